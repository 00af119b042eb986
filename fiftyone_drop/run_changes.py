"""Write, move and delete drop runs, under the lease of the dataset and with an intent first.

A run is written in this order: its record with the state "writing", fields, views; then all of it
is read back, and its state becomes "complete". A run that replaces another is written under a
staged key first, so that the old run stands until the new one is whole. All three changes are here,
since they share lease and steps, so that the module is longer than others.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks, lease, store
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.counts import counts_samples, kept_counts
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.errors import DropError
from fiftyone_drop.fields import label_path
from fiftyone_drop.file_sizes import read_file_sizes
from fiftyone_drop.order import places
from fiftyone_drop.predictions import Predictions
from fiftyone_drop.reader import read_order
from fiftyone_drop.run_keys import Uses, abandoned_fields, check_key, serialized
from fiftyone_drop.run_lookup import check_dataset, find_configs, load_order
from fiftyone_drop.run_outputs import (
    Outputs,
    check_not_read_only,
    key_of_successor,
    own_fields,
)
from fiftyone_drop.run_recovery import (
    evaluate,
    finish_deleting,
    finish_moving,
    finish_replacing,
    finish_writing,
    recover,
    save_record,
    undo,
    verify,
)
from fiftyone_drop.runs import DropConfig, DropResults
from fiftyone_drop.saved_views import check_views_free, own_views
from fiftyone_drop.snapshot import Snapshot, save_snapshot
from fiftyone_drop.views import part_view
from fiftyone_drop.waiting import UNFINISHED, while_away

MAX_VIEW_BYTES = 4_000_000  # a document holds 16 MB; a target view may be a selection of ids
PACKAGES = ("fiftyone-drop", "fiftyone", "numpy", "torch")


def write_run(
    samples: foc.SampleCollection,
    key: object,
    overwrite: object,
    *,
    uses: Uses,
    asked: Mapping[str, Any],
    found: Mapping[str, Any],
    table: ClassTable,
    decided_on: Snapshot,
    keep_at: FloatArray,
    predictions: Predictions | None,
    progress: Any,
    saved: str,
    extends: DropConfig | None = None,
) -> DropConfig:
    """Write a decided run. After a failure, the old run of that key stands, or there is none.

    A database that is away is waited for.

    Args:
        samples: the target view
        key: the run key
        overwrite: whether a run of that key is replaced
        uses: argument and name of each field, evaluation and run that the run was decided by
        asked: every argument as a plain value, for the record
        found: size, source of recalls, warnings and so on, for the record; see
            :class:`~fiftyone_drop.runs.DropConfig`
        table: the class table
        decided_on: the N samples of the run
        keep_at: (N,) float, their smallest dataset densities, above 1 beyond a cap, in the same
            order
        predictions: the predictions of query models that decided the run; None without any
        progress: as everywhere in FiftyOne
        saved: what is not lost if the database does not come back, and where
        extends (None): the record of the run that this one extends, as it was read

    Returns:
        the record of the run

    Raises:
        DropError: if the key is unfit or taken, samples were deleted since they were read, or the
            run that is extended has changed since
        ConnectionError: the database was away for too long
    """
    dataset = samples._root_dataset
    overwrite = checks.flag("overwrite", overwrite)
    registered_on, size = _registered_on(samples), len(decided_on.ids)
    tokens: set[str] = set()  # of the attempts to write the run

    def write() -> DropConfig:
        with lease.writing(dataset, patience=lease.LONG_PATIENCE) as held:
            begun = find_configs(dataset).values()
            # Over fields of no run, it was seen by nobody
            unseen = any(c.intent.get("key") == key and not c.overwrites for c in begun)
            recover(dataset, key)
            configs = find_configs(dataset)
            for config in configs.values():
                if config.token in tokens:
                    return config  # the last attempt got there, and did not hear of it
            name = check_key(samples, key, overwrite or unseen, uses)
            # What stands under the key, the fields that another dataset's run has left too, stands
            # until the new run is whole
            replaces = name in configs or bool(abandoned_fields(dataset, name))
            if extends is not None:
                _check_unchanged(name, extends, configs.get(name))
            staged_key = key_of_successor(name) if replaces else name
            token = uuid.uuid4().hex
            tokens.add(token)
            predicts = predictions is not None
            # FiftyOne evaluates Classification fields only, no strings and numbers
            label_field = found["label_field"]
            evaluates = predicts and label_path(samples, label_field, "label_field") != label_field
            outputs = Outputs.of(staged_key, token, predicts=predicts, evaluates=evaluates)
            config = DropConfig(
                state="writing",
                density=table.density,
                asked=asked,
                found={**found, "target_recorded": registered_on is samples},
                written=outputs.names(),
                versions=_versions(),
                token=token,
                # Of a run that comes without some of its samples the quotas are counted too
                quotas=None
                if table.weights is not None and size == table.size
                else table.quotas.tolist(),
            )
            try:
                if replaces:
                    store.delete_fields(dataset, abandoned_fields(dataset, staged_key))
                registered_on.register_run(staged_key, config)
                if predictions is not None:
                    _write_predictions(dataset, name, config, predictions)
                fields = _field_values(name, config, keep_at)
                save_snapshot(token, decided_on)
                store.write_fields(dataset, decided_on.ids, fields, progress)
                results = DropResults(dataset, config, staged_key, class_table=table.to_dict())
                dataset.save_run_results(staged_key, results, cache=False)
                held.check()
                if replaces:
                    verify(dataset, staged_key, config, size, views=False)
                    # From here on the new run is whole: whatever happens, it takes the place of
                    # the old
                    config.state = "replacing"
                    config.intent = {"key": name, "overwrites": name in configs}
                    save_record(dataset, staged_key, config)
                else:
                    finish_writing(dataset, name, config, size)
            except BaseException:
                # From the server: the failure may have left memory and database apart
                dataset.reload()
                if held.renew():  # else whoever holds it now has undone this
                    undo(dataset, staged_key, config)
                raise
            if replaces:
                finish_replacing(dataset, staged_key, config)
                if not config.complete:
                    raise DropError(
                        "dataset",
                        f"somebody deleted fields of the run that was about to replace '{name}', "
                        "which stays as it was; make the call again",
                    )
        return config

    return while_away(write, saved)


def _check_unchanged(key: str, read: DropConfig, now: DropConfig | None) -> None:
    if now is None or (read.token, read.density) != (now.token, now.density):
        raise DropError(
            "key",
            f"the drop run '{key}' was moved or replaced while it was being extended; make the "
            "call again",
        )


def _write_predictions(
    dataset: fo.Dataset, key: str, config: DropConfig, predictions: Predictions
) -> None:
    outputs = config.outputs
    values = predictions.field_values(outputs.eval_key is None, outputs.marks(key))
    store.write_fields(dataset, predictions.ids, {str(outputs.pred_field): values}, progress=False)
    if outputs.eval_key is not None:
        evaluate(dataset, config, outputs)


def _field_values(
    key: str, config: DropConfig, keep_at: FloatArray
) -> dict[str, store.FieldValues]:
    marks = config.outputs.marks(key)
    return {
        config.keep_at_field: store.FieldValues(
            fo.FloatField,
            keep_at,
            f"Smallest dataset density at which the drop run '{key}' keeps the sample",
            marks,
        ),
        config.kept_field: store.FieldValues(
            fo.BooleanField,
            keep_at <= config.density,
            f"Whether the drop run '{key}' keeps the sample",
            marks | {"density": config.density},
        ),
    }


def _registered_on(samples: foc.SampleCollection) -> foc.SampleCollection:
    """The target view, or its dataset where the view is too large to be recorded."""
    if samples is samples._root_dataset or len(serialized(samples)) <= MAX_VIEW_BYTES:
        return samples
    return samples._root_dataset


def _versions() -> dict[str, str]:
    """Package -> version, of the packages that this process has imported."""
    versions = {"python": sys.version.split()[0]}
    for package in PACKAGES:
        # What it says itself: what is installed may be another one than what runs
        module = sys.modules.get(package.replace("-", "_"))
        if module is not None:
            versions[package] = str(module.__version__)
    return versions


def set_density(
    dataset: foc.SampleCollection,
    key: str,
    density: float | None = None,
    *,
    size: int | None = None,
    max_bytes: int | None = None,
) -> fo.DatasetView:
    """Move a run to another density. Its saved views follow.

    Pass one of ``density``, ``size`` and ``max_bytes``; see :func:`fiftyone_drop.apply_drop`. The
    bounds of the run hold at every density: ``must_keep``, floors, caps, ``protect``, ``quotas``.

    Where samples of the dataset are gone since the run was decided, the quotas of its class table
    are counted: they say what is there, by the classes that the run was decided on. Where the
    database does not have these, and the labels of now cannot be they, a warning says so.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        density: the dataset density, in (0, 1]
        size: the number of samples to keep
        max_bytes: the bytes that the kept image files may take

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the samples that are kept at this density; it
        stays as it is when the run is moved again

    Raises:
        DropError: if there is no such run, its order was deleted, ``density`` is out of range,
            below the floors, or above the caps, a class would be emptied and the run does not allow
            that, ``<key>_kept`` is read-only, another saved view has taken the name of one of the
            run's, or another process is writing the runs of the dataset
        ConnectionError: the database was away for ten minutes, or again and again
    """
    root = check_dataset(dataset)._root_dataset
    key, amount = checks.text("key", key), Amount.parse(density, size, max_bytes)

    def move() -> fo.DatasetView:
        with lease.writing(root):
            recover(root, key)
            results = load_order(root, key)
            config, table = results.config, results.table
            changed = [n for n in own_fields(root, config.outputs) if n == config.kept_field]
            check_not_read_only(root, changed)
            mine = own_views(root, config.views, config.token)
            check_views_free(root, config.views, mine, "rename that view")
            in_order = None
            if amount.max_bytes is not None:
                in_order = _bytes_in_order(root, config, table.size)
            reached = table.density_of(amount, in_order)
            if table.weights is not None and not config.allow_empty_classes:
                check_no_class_emptied(table.classes, table.quotas_at([reached])[0])
            quotas = None
            if counts_samples(root, results):
                quotas = kept_counts(root, key, [reached])[0].tolist()
            config.state, config.intent = "moving", {"density": reached, "quotas": quotas}
            save_record(root, key, config)
            finish_moving(root, key, config)
        return part_view(root, config, reached, "kept")

    return while_away(move, UNFINISHED)


def _bytes_in_order(dataset: fo.Dataset, config: DropConfig, size: int) -> IntArray:
    """The bytes of the image file of each sample of a run, (size,), in the order of the run.

    Samples that the dataset has no more keep their place, and take nothing.
    """
    ids, keep_at = read_order(dataset, config.keep_at_field)
    in_order = np.zeros(size, np.int64)
    in_order[places(keep_at, size)] = read_file_sizes(dataset, ids)
    return in_order


def delete_drop(dataset: foc.SampleCollection, key: str) -> None:
    """Delete a drop run: its saved views, then its fields, then the run itself.

    Predictions and the evaluation run that it had to make go too. Fields and saved views of these
    names that are not the run's own stay.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key

    Raises:
        DropError: if there is no such run, one of its fields is read-only, or another process is
            writing the runs of the dataset
        ConnectionError: the database was away for ten minutes, or again and again
    """
    root = check_dataset(dataset)._root_dataset
    key = checks.text("key", key)
    tokens: set[str | None] = set()  # of the run that is being deleted

    def delete() -> None:
        with lease.writing(root):
            ended = recover(root, key)
            config = find_configs(root).get(key)
            if config is None and (key in ended or tokens):
                return  # it was incomplete, or its deletion was cut off, or done and not heard of
            if config is None:
                runs = sorted(find_configs(root))
                raise DropError(
                    "key", f"'{root.name}' has no drop run {key!r}; the runs are {runs}"
                )
            if tokens and config.token not in tokens:
                return  # somebody else has made another one
            check_not_read_only(root, own_fields(root, config.outputs))
            tokens.add(config.token)
            config.state = "deleting"
            save_record(root, key, config)
            finish_deleting(root, key, config)

    while_away(delete, UNFINISHED)
