"""Write, move and delete drop runs.

A run is written in this order: registered with ``complete=False``, fields, views, then
``complete=True``. The next run of its key replaces an incomplete run, and :func:`delete_drop`
removes it.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
from fiftyone import ViewField as F

from fiftyone_drop import checks, store
from fiftyone_drop._types import FloatArray, Ids
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.counts import kept_counts
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.errors import DropError
from fiftyone_drop.fields import label_path
from fiftyone_drop.predictions import Predictions
from fiftyone_drop.run_keys import check_key, serialized
from fiftyone_drop.run_lookup import check_dataset, find_configs, load_order
from fiftyone_drop.runs import Drop, DropConfig, DropResults, delete_outputs, names_for

MAX_VIEW_BYTES = 4_000_000  # a document holds 16 MB; a target view may be a selection of ids
PACKAGES = ("fiftyone-drop", "fiftyone", "numpy", "torch")


# -- writing --------------------------------------------------------------------------------------


def write_run(
    samples: foc.SampleCollection,
    key: object,
    overwrite: object,
    *,
    asked: Mapping[str, Any],
    found: Mapping[str, Any],
    table: ClassTable,
    ids: Ids,
    keep_at: FloatArray,
    predictions: Predictions | None,
    progress: Any,
) -> DropConfig:
    """Write a decided run; a failure leaves nothing of it behind.

    Args:
        samples: the target view
        key: the run key
        overwrite: whether a run of that key is replaced
        asked: every argument as a plain value, for the record
        found: size, source of recalls and warnings, for the record; see
            :class:`~fiftyone_drop.runs.DropConfig`
        table: the class table
        ids: (N,) S24, the samples of the run
        keep_at: (N,) float in (0, 1), their smallest dataset densities
        predictions: the predictions of query models that the run trained; None without any
        progress: as everywhere in FiftyOne

    Returns:
        the record of the run

    Raises:
        DropError: if the key is unfit or taken
    """
    dataset = samples._root_dataset
    key = check_key(samples, key, checks.flag("overwrite", overwrite))
    label_field = found["label_field"]
    predicts = predictions is not None
    # FiftyOne evaluates Classification fields only, not strings
    evaluates = predicts and label_path(samples, label_field, "label_field") != label_field
    config = DropConfig(
        density=table.density,
        asked=asked,
        found=found,
        written=names_for(key, predicts=predicts, evaluates=evaluates),
        versions=_versions(),
    )
    if key in dataset.list_runs():
        delete_drop(dataset, key)
    try:
        _registered_on(samples).register_run(key, config)
        if predictions is None:
            _write_outputs(dataset, key, config, table, ids, keep_at, progress)
        else:
            with predictions.checkpoint:
                _write_predictions(dataset, config, predictions)
                _write_outputs(dataset, key, config, table, ids, keep_at, progress)
    except BaseException:
        # From the server: the failure may have left memory and database apart
        dataset.reload()
        delete_outputs(dataset, config)
        _delete_record(dataset, key)
        raise
    return config


def _write_predictions(dataset: fo.Dataset, config: DropConfig, predictions: Predictions) -> None:
    assert config.pred_field is not None
    store.write_predictions(
        dataset,
        predictions.ids,
        predictions.field_values(),
        config.pred_field,
        config.label_field,
        config.written_eval_key,
    )


def _write_outputs(
    dataset: fo.Dataset,
    key: str,
    config: DropConfig,
    table: ClassTable,
    ids: Ids,
    keep_at: FloatArray,
    progress: Any,
) -> None:
    """Write fields, views and results, and then say that the run is complete."""
    fields = {
        config.keep_at_field: store.FieldValues(
            fo.FloatField,
            keep_at,
            f"Smallest dataset density at which the drop run '{key}' keeps the sample",
            {"drop_run": key},
        ),
        config.kept_field: store.FieldValues(
            fo.BooleanField,
            keep_at <= config.density,
            f"Whether the drop run '{key}' keeps the sample",
            {"drop_run": key},
        ),
    }
    store.write_fields(dataset, ids, fields, progress)
    store.save_views(dataset, config.kept_view, config.pruned_view, config.kept_field, key)
    _save_results(dataset, key, config, table)
    config.complete = True
    dataset.update_run_config(key, config)


def _save_results(dataset: fo.Dataset, key: str, config: DropConfig, table: ClassTable) -> None:
    results = DropResults(dataset, config, key, class_table=table.to_dict())
    dataset.save_run_results(key, results, cache=False)


def _registered_on(samples: foc.SampleCollection) -> foc.SampleCollection:
    """The target view, or its dataset where the view is too large to be recorded."""
    if samples is samples._root_dataset or len(serialized(samples)) <= MAX_VIEW_BYTES:
        return samples
    return samples._root_dataset


def _versions() -> dict[str, str]:
    """Package -> version, of the packages that this process has imported."""
    versions = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        if package.replace("-", "_") in sys.modules:
            try:
                versions[package] = version(package)
            except PackageNotFoundError:  # run from a folder, as the App's plugins are
                versions[package] = str(sys.modules[package.replace("-", "_")].__version__)
    return versions


# -- moving and deleting --------------------------------------------------------------------------


def set_density(dataset: foc.SampleCollection, key: str, density: float) -> fo.DatasetView:
    """Move a run to another density. Its saved views follow.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        density: the dataset density, in (0, 1]

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the kept samples

    Raises:
        DropError: if there is no such run, its order was deleted, ``density`` is out of range or
            keeps too little, or a class would be emptied and the run does not allow that
    """
    density = checks.density("density", density)
    results = load_order(dataset, key)
    key, config, table = results.key, results.config, results.table
    counted = kept_counts(dataset, key, [density])[0] if table.weights is None else None
    table = table.at(density, counted)
    if table.weights is not None and not config.allow_empty_classes:
        check_no_class_emptied(table.classes, table.quotas)
    root = dataset._root_dataset
    store.rewrite_kept(root, config.keep_at_field, config.kept_field, density)
    config.density = density
    _save_results(root, key, config, table)
    root.update_run_config(key, config)
    return root.match(F(config.kept_field) == True)  # noqa: E712


def delete_drop(dataset: foc.SampleCollection, key: str) -> None:
    """Delete a drop run: its saved views, then its fields, then the run itself.

    Predictions and the evaluation run that it had to make go too. Incomplete runs can be deleted.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key

    Raises:
        DropError: if there is no such run
    """
    root = check_dataset(dataset)._root_dataset
    key = checks.text("key", key)
    configs = find_configs(root)
    if key not in configs:
        raise DropError(
            "key", f"'{root.name}' has no drop run {key!r}; the runs are {sorted(configs)}"
        )
    delete_outputs(root, configs[key])
    _delete_record(root, key)


def _delete_record(dataset: fo.Dataset, key: str) -> None:
    if key in dataset.list_runs():
        Drop.delete_run(dataset, key, cleanup=False)
