"""Drop runs: one application of DRoP under a key, kept as a FiftyOne custom run.

A run is written in this order: registered with ``complete=False``, fields, views, then
``complete=True``. An incomplete run (the client was killed) is invisible to :func:`list_drops` and
:func:`load_drop`, is replaced by the next run of that key, and is removed by :func:`delete_drop`.

The path of :class:`DropConfig` is stored in MongoDB: it must never move.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import fiftyone.core.runs as focr
import numpy as np

from fiftyone_drop import store
from fiftyone_drop._types import ClassName, Ids
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.errors import DropError

METHOD = "drop"
# FiftyOne reads results through a file position that all threads of a server share
_READING = threading.Lock()
MAX_VIEW_BYTES = 4_000_000  # a document holds 16 MB; a target view may be a selection of ids


class DropConfig(focr.RunConfig):  # type: ignore[misc]
    """Configuration of a drop run, as stored in MongoDB.

    Args:
        complete (False): whether everything of the run has been written
        keep_at_field, kept_field (""): the run's fields
        kept_view, pruned_view (""): the run's saved views
        pred_field, eval_key (None): predictions and evaluation run that the run had to make
        **parameters: the arguments of ``apply_drop`` that made the run
    """

    def __init__(
        self,
        complete: bool = False,
        keep_at_field: str = "",
        kept_field: str = "",
        kept_view: str = "",
        pruned_view: str = "",
        pred_field: str | None = None,
        eval_key: str | None = None,
        method: str = METHOD,
        **parameters: Any,
    ):
        super().__init__(method=method, **parameters)
        self.complete = complete
        self.keep_at_field = keep_at_field
        self.kept_field = kept_field
        self.kept_view = kept_view
        self.pruned_view = pruned_view
        self.pred_field = pred_field
        self.eval_key = eval_key

    @classmethod
    def for_key(cls, key: str, **parameters: Any) -> DropConfig:
        """A configuration whose names follow from the key."""
        return cls(
            keep_at_field=f"{key}_keep_at",
            kept_field=f"{key}_kept",
            kept_view=f"{key}-kept",
            pruned_view=f"{key}-pruned",
            **parameters,
        )

    @property
    def fields(self) -> list[str]:
        """The sample fields of the run."""
        own = [self.keep_at_field, self.kept_field, self.pred_field, self.eval_key]
        return [name for name in own if name]

    @property
    def views(self) -> list[str]:
        """The saved views of the run."""
        return [self.kept_view, self.pruned_view]

    def attributes(self) -> list[str]:
        """What is stored: everything but the derived properties."""
        derived = {"fields", "views"}
        return [name for name in super().attributes() if name not in derived]


class Drop(focr.Run):  # type: ignore[misc]
    """The hooks that FiftyOne calls for a drop run.

    Renaming a run keeps its fields and views: their names stand in the configuration.
    """

    config: DropConfig

    def get_fields(self, samples: Any, key: str) -> list[str]:
        """The sample fields of the run."""
        return self.config.fields

    def cleanup(self, samples: Any, key: str) -> None:
        """Remove what the run wrote (``dataset.delete_run`` calls this)."""
        delete_outputs(samples._root_dataset, self.config)


class DropResults(focr.RunResults):  # type: ignore[misc]
    """A drop run as loaded: its configuration and its class table.

    Attributes:
        config: the :class:`DropConfig`
        key: the run key
        table: a :class:`ClassTable`, the run as it stands
    """

    config: DropConfig
    key: str

    def __init__(
        self,
        samples: Any,
        config: DropConfig,
        key: str,
        backend: Any = None,
        class_table: Mapping[str, Any] | None = None,
    ):
        super().__init__(samples, config, key, backend=backend)
        self.class_table = dict(class_table or {})

    @property
    def density(self) -> float:
        """The dataset density of the run, in (0, 1]."""
        return float(self.config.density)

    @property
    def recalls(self) -> dict[ClassName, float] | None:
        """Recall in [0, 1] by class, fit for ``recalls=`` of another run; None without recalls."""
        table = self.table
        return None if table.recalls is None else table.by_class("recalls")

    @property
    def table(self) -> ClassTable:
        """The class table of the run as it stands."""
        return ClassTable.from_dict(self.class_table)

    def attributes(self) -> list[str]:
        """What is stored: K-sized tables only, for the order is in the field."""
        return ["cls", "class_table"]

    def __str__(self) -> str:
        lines = [f"Drop run '{self.key}', density {self.density:g}", str(self.table)]
        return "\n".join(lines + [f"Warning: {message}" for message in self.config.warnings])

    __repr__ = __str__


# -- reading runs ---------------------------------------------------------------------------------


def find_configs(dataset: fo.Dataset) -> dict[str, DropConfig]:
    """All drop runs of a dataset by key, incomplete ones too."""
    keys = dataset.list_runs(method=METHOD)
    return {key: dataset.get_run_info(key).config for key in keys}


def list_drops(dataset: fo.Dataset) -> list[str]:
    """The keys of the drop runs of a dataset, sorted.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it

    Returns:
        a list of keys; incomplete runs are left out
    """
    configs = find_configs(dataset._root_dataset)
    return sorted(key for key, config in configs.items() if config.complete)


def get_config(dataset: fo.Dataset, key: str) -> DropConfig:
    """The configuration of a complete run.

    Raises:
        DropError: if there is no such run
    """
    config = find_configs(dataset._root_dataset).get(key)
    if config is None or not config.complete:
        state = "was not written to its end; apply it again" if config else "does not exist"
        raise DropError(
            f"key: the drop run {key!r} of '{dataset._root_dataset.name}' {state}; runs there are: "
            f"{list_drops(dataset)}"
        )
    return config


def load_drop(dataset: fo.Dataset, key: str) -> DropResults:
    """Load a drop run.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key

    Returns:
        a :class:`DropResults`, with ``.table``, ``.recalls``, ``.density`` and ``.config``

    Raises:
        DropError: if there is no such run
    """
    config = get_config(dataset, key)
    root = dataset._root_dataset
    with _READING:
        results = root.load_run_results(key, cache=False, load_view=False)
    results._config = config
    return results  # type: ignore[no-any-return]


def check_order(dataset: fo.Dataset, key: str) -> DropConfig:
    """The config of a run that still has the order that it has given the samples.

    Raises:
        DropError: if there is no such run, or its order was deleted
    """
    config = get_config(dataset, key)
    name = config.keep_at_field
    if not dataset._root_dataset.has_field(name):
        raise DropError(
            f"key: the field '{name}' of the drop run '{key}' was deleted, so what it keeps is not "
            "known; delete the run, or make it again"
        )
    return config


def load_order(dataset: fo.Dataset, key: str) -> DropResults:
    """:func:`load_drop` for whoever reads the run's order: see :func:`check_order`."""
    check_order(dataset, key)
    return load_drop(dataset, key)


# -- writing runs ---------------------------------------------------------------------------------


def check_key(dataset: fo.Dataset, key: object, overwrite: bool) -> str:
    """Check that a run can be written under ``key``, before anything is computed.

    Raises:
        DropError: if ``key`` is no valid field name, is taken by a run and ``overwrite`` is False,
            or one of its fields, views or its evaluation run belongs to something else
    """
    if not isinstance(key, str) or not key.isidentifier() or key.startswith("_"):
        raise DropError(
            f"key: must be a valid field name (letters, digits and _, not starting with a digit or "
            f"_), but got {key!r}"
        )
    existing = find_configs(dataset).get(key)
    if existing is None and key in dataset.list_runs():
        raise DropError(f"key: '{key}' is a custom run that is no drop run; choose another key")
    if existing is not None and existing.complete and not overwrite:
        raise DropError(
            f"key: there is a drop run '{key}' already; pass overwrite=True to replace it, or "
            "another key"
        )
    own_fields = existing.fields if existing else []
    new = DropConfig.for_key(key, pred_field=f"{key}_pred", eval_key=f"{key}_eval")
    schema = dataset.get_field_schema()
    for field in new.fields:
        if field in schema and field not in own_fields:
            raise DropError(
                f"key: the field '{field}' exists and belongs to no drop run '{key}'; choose "
                "another key, or rename or delete that field"
            )
    if dataset.has_evaluation(new.eval_key) and new.eval_key not in own_fields:
        raise DropError(f"key: the evaluation run '{new.eval_key}' exists; choose another key")
    store.check_views_free(dataset, new.views, existing.views if existing else [])
    return key


def check_independent(samples: Any, key: str, eval_key: str | None = None) -> None:
    """Check that neither the target view nor the recalls rest on the run that would be replaced.

    Raises:
        DropError: if they do: what is returned would not be what was pruned
    """
    config = find_configs(samples._root_dataset).get(key)
    if config is None:
        return
    if eval_key is not None and eval_key == config.eval_key:
        raise DropError(
            f"eval_key: '{eval_key}' belongs to the run '{key}' that would be replaced; pass "
            f"recalls=load_drop(dataset, '{key}').recalls, or choose another key"
        )
    if samples is samples._root_dataset:
        return
    stages = json.dumps(samples._serialize(include_uuids=False), default=str)
    used = [name for name in config.fields if re.search(rf'"\$?{re.escape(name)}[".]', stages)]
    if used:
        raise DropError(
            f"key: the target view depends on {used}, which belong to the run '{key}' that would "
            "be replaced; choose another key"
        )


def write_run(
    samples: Any,
    key: str,
    config: DropConfig,
    table: ClassTable,
    ids: Ids,
    keep_at: np.ndarray[Any, np.dtype[np.float64]],
    predictions: tuple[Ids, store.FieldValues] | None,
    progress: Any = None,
) -> None:
    """Write a decided run; a failure leaves nothing of it behind.

    Args:
        samples: the target view
        key: the run key, checked with :func:`check_key`; a run under it is replaced
        config: the configuration, with the names of the run's fields and views
        table: the class table
        ids: (N,) S24, the samples of the run
        keep_at: (N,) float in (0, 1), their smallest dataset densities
        predictions: ids and values for ``config.pred_field``; None if nothing was predicted
        progress (None): as everywhere in FiftyOne
    """
    dataset = samples._root_dataset
    if key in find_configs(dataset):
        delete_drop(dataset, key)
    try:
        config.complete = False
        _registered_on(samples).register_run(key, config)
        if predictions is not None:
            ids_predicted, values = predictions
            assert config.pred_field
            store.write_fields(dataset, ids_predicted, {config.pred_field: values}, progress=False)
            if config.eval_key:
                _evaluate(dataset, config.pred_field, config.label_field, config.eval_key)
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
        results = DropResults(dataset, config, key, class_table=table.to_dict())
        dataset.save_run_results(key, results, cache=False)
        config.complete = True
        dataset.update_run_config(key, config)
    except BaseException:
        # Read anew: the failure may have left memory and database apart
        dataset.reload()
        delete_outputs(dataset, config)
        _delete_record(dataset, key)
        raise


def _registered_on(samples: Any) -> Any:
    """The target view, or its dataset where the view is too large to be recorded."""
    if samples is samples._root_dataset:
        return samples
    size = len(json.dumps(samples._serialize(include_uuids=False), default=str))
    return samples if size <= MAX_VIEW_BYTES else samples._root_dataset


def _evaluate(dataset: fo.Dataset, pred_field: str, gt_field: str, eval_key: str) -> None:
    dataset.exists(pred_field).evaluate_classifications(
        pred_field, gt_field=gt_field, eval_key=eval_key, progress=False
    )


def write_predictions(
    dataset: fo.Dataset,
    ids: Ids,
    values: store.FieldValues,
    label_field: str,
    pred_field: str,
    eval_key: str | None,
) -> None:
    """Write predictions that belong to no run, replacing older ones, and evaluate them.

    A failure leaves neither the field nor the evaluation run.
    """
    _delete_predictions(dataset, pred_field, eval_key)
    try:
        store.write_fields(dataset, ids, {pred_field: values}, progress=False)
        if eval_key is not None:
            _evaluate(dataset, pred_field, label_field, eval_key)
    except BaseException:
        dataset.reload()
        _delete_predictions(dataset, pred_field, eval_key)
        raise


def _delete_predictions(dataset: fo.Dataset, pred_field: str | None, eval_key: str | None) -> None:
    if eval_key and dataset.has_evaluation(eval_key):
        dataset.delete_evaluation(eval_key)
    store.delete_fields(dataset, [name for name in (pred_field, eval_key) if name])


def update_density(dataset: fo.Dataset, key: str, config: DropConfig, table: ClassTable) -> None:
    """Move a run to the density of ``table``: the kept flags, then the record."""
    store.rewrite_kept(dataset, config.keep_at_field, config.kept_field, table.density)
    config.density = table.density
    results = DropResults(dataset, config, key, class_table=table.to_dict())
    dataset.save_run_results(key, results, cache=False)
    dataset.update_run_config(key, config)


# -- deleting runs --------------------------------------------------------------------------------


def delete_drop(dataset: fo.Dataset, key: str) -> None:
    """Delete a drop run: its saved views, then its fields, then the run itself.

    Predictions and the evaluation run that it had to make go too. Incomplete runs can be deleted.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key

    Raises:
        DropError: if there is no such run
    """
    root = dataset._root_dataset
    config = find_configs(root).get(key)
    if config is None:
        raise DropError(
            f"key: '{root.name}' has no drop run {key!r}; runs there are: {list_drops(root)}"
        )
    delete_outputs(root, config)
    _delete_record(root, key)


def delete_outputs(dataset: fo.Dataset, config: DropConfig) -> None:
    """Remove the saved views, the evaluation run and the fields of a run, as far as they exist."""
    store.delete_views(dataset, config.views)
    _delete_predictions(dataset, config.pred_field, config.eval_key)
    store.delete_fields(dataset, [config.keep_at_field, config.kept_field])


def _delete_record(dataset: fo.Dataset, key: str) -> None:
    if key in dataset.list_runs():
        Drop.delete_run(dataset, key, cleanup=False)
