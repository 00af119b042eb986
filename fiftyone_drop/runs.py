"""Drop runs: the record of one application of DRoP under a key, kept as a FiftyOne custom run.

:mod:`fiftyone_drop.run_lookup` finds runs, :mod:`fiftyone_drop.run_changes` writes, moves and
deletes them.

The paths of :class:`DropConfig` and :class:`DropResults` are stored in MongoDB: they never move. So
both stay here with all that they show, and the module is longer than others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import fiftyone.core.runs as focr
import numpy as np

from fiftyone_drop import documents, lease, saved_views
from fiftyone_drop._types import ClassName
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.dataset_state import changes_since
from fiftyone_drop.rules import BY_HAND
from fiftyone_drop.run_outputs import Outputs, delete_outputs, run_views
from fiftyone_drop.snapshot import delete_snapshot

if TYPE_CHECKING:
    import fiftyone as fo
    import pandas as pd
    import plotly.graph_objects as go

METHOD = "drop"
# The record of 0.1.0 before its sections: which of its attributes belong where today
_FOUND = ("size", "recalls_from", "warnings")
_WRITTEN = ("keep_at_field", "kept_field", "kept_view", "pruned_view", "pred_field", "eval_key")


class DropConfig(focr.RunConfig):  # type: ignore[misc]
    """The record of a drop run, as stored in MongoDB.

    Attributes:
        state: ``"complete"``, or the change that is going on, and that the next writer ends if its
            writer died: ``"writing"``, ``"moving"``, ``"replacing"`` or ``"deleting"``
        intent: where the change leads: while moving the ``density``, while replacing the ``key``
        token: the mark of everything that the run owns; None for runs from before there were marks
        density: the dataset density at which the run stands, in (0, 1]
        quotas: the samples kept of each class at this density, where they were counted; None where
            the rule says
        asked: every argument of ``apply_drop``, as plain values
        found: ``size`` (samples in the run), ``label_field``, ``recalls_from`` (words, or None),
            ``warnings`` (a list of texts), ``left_out`` (samples that ``drop_below`` and
            ``drop_above`` left out) and ``extended_by`` (samples that came later, if any); the
            state of the dataset, by which it is noticed that samples came or went;
            ``target_recorded``, whether the target view could be stored; and ``manifest``, where
            the run was loaded from a file
        written: the names of what the run wrote: ``keep_at_field``, ``kept_field``, ``kept_view``,
            ``pruned_view``; and, where query models decided, ``pred_field`` and ``eval_key``,
            None otherwise
        versions: package -> version of what the run was made with
    """

    def __init__(
        self,
        state: str = "",
        density: float = 1.0,
        asked: Mapping[str, Any] | None = None,
        found: Mapping[str, Any] | None = None,
        written: Mapping[str, Any] | None = None,
        versions: Mapping[str, str] | None = None,
        token: str | None = None,
        intent: Mapping[str, Any] | None = None,
        quotas: Sequence[int] | None = None,
        method: str = METHOD,
        **before: Any,
    ):
        super().__init__(method=method)
        if written is None:
            asked, found, written = _sections(density, before)
        # Earlier records said only whether they were complete
        self.state = state or ("complete" if before.get("complete") else "writing")
        self.intent = dict(intent or {})
        self.token = token
        self.quotas = None if quotas is None else list(quotas)
        self.density = density
        self.asked = dict(asked or {})
        self.found = dict(found or {})
        self.written = dict(written)
        self.versions = dict(versions or {})

    @property
    def complete(self) -> bool:
        """Whether the run can be read: it is whole, or only its density is changing."""
        return self.state in ("complete", "moving")

    @property
    def overwrites(self) -> bool:
        """Whether the run is whole, and about to stand where another run stood."""
        return self.state == "replacing" and bool(self.intent.get("overwrites", True))

    @property
    def label_field(self) -> str:
        """The field of the class labels."""
        return str(self.found["label_field"])

    @property
    def group_by(self) -> str | tuple[str, ...] | None:
        """The field that divides classes into cells, several fields as a tuple, or None."""
        group_by = self.asked["group_by"]
        return tuple(group_by) if isinstance(group_by, list) else group_by

    @property
    def rule(self) -> str:
        """The name of the rule; ``"weights"`` where the class weights were given."""
        return BY_HAND.name if self.asked.get("weights") else str(self.asked["rule"])

    @property
    def select(self) -> str:
        """``"random"``, or the score field that samples were ordered by."""
        return str(self.asked["select"])

    @property
    def allow_empty_classes(self) -> bool:
        """Whether a class may lose all its samples."""
        return bool(self.asked["allow_empty_classes"])

    @property
    def recalls_from(self) -> str | None:
        """Where the recalls are from, in words; None without recalls."""
        return self.found["recalls_from"]  # type: ignore[no-any-return]

    @property
    def recalls_eval_key(self) -> str | None:
        """The evaluation that has the outcomes behind the recalls, or None."""
        return self.asked.get("eval_key") or self.written_eval_key

    @property
    def warnings(self) -> list[str]:
        """The warnings of the call that made the run."""
        return list(self.found["warnings"])

    @property
    def keep_at_field(self) -> str:
        """The field with the smallest density at which each sample is kept."""
        return str(self.written["keep_at_field"])

    @property
    def kept_field(self) -> str:
        """The field that says whether a sample is kept at the run's density."""
        return str(self.written["kept_field"])

    @property
    def kept_view(self) -> str:
        """The saved view of the kept samples."""
        return str(self.written["kept_view"])

    @property
    def pruned_view(self) -> str:
        """The saved view of the pruned samples."""
        return str(self.written["pruned_view"])

    @property
    def pred_field(self) -> str | None:
        """The predictions that the run wrote, or None."""
        return self.written["pred_field"]  # type: ignore[no-any-return]

    @property
    def written_eval_key(self) -> str | None:
        """The evaluation run that the run itself wrote, or None."""
        return self.written["eval_key"]  # type: ignore[no-any-return]

    @property
    def outputs(self) -> Outputs:
        """Everything that the run has written, with its mark."""
        return Outputs(token=self.token, **self.written)

    @property
    def fields(self) -> list[str]:
        """The sample fields of the run."""
        return self.outputs.fields

    @property
    def views(self) -> list[str]:
        """The saved views of the run."""
        return self.outputs.views


def _sections(
    density: float, before: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """The sections of a record that was written before records had sections."""
    found: dict[str, Any] = {
        "label_field": before.get("label_field"),
        "warnings": [],
        "recalls_from": None,
    }
    found |= {name: before[name] for name in _FOUND if name in before}
    written = dict.fromkeys(_WRITTEN) | {n: before[n] for n in _WRITTEN if n in before}
    rest = {n: v for n, v in before.items() if n not in (*_FOUND, *_WRITTEN, "complete")}
    asked = {"group_by": None, "rule": "drop", "select": "random", "allow_empty_classes": False}
    return asked | rest | {"density": density}, found, written


RECORD = f"{DropConfig.__module__}.{DropConfig.__name__}"
"""A record's ``cls``, as FiftyOne stores it."""


class Drop(focr.Run):  # type: ignore[misc]
    """The hooks that FiftyOne calls for a drop run.

    Renaming a run keeps its fields and views: their names stand in the record.
    """

    config: DropConfig

    def get_fields(self, samples: Any, key: str) -> list[str]:
        """The sample fields of the run."""
        return self.config.fields

    def cleanup(self, samples: Any, key: str) -> None:
        """Remove what the run wrote (``dataset.delete_run`` calls this)."""
        dataset = samples._root_dataset
        # FiftyOne deletes the record even if this fails, and then nobody owns what is left
        waits = lease.writing(dataset, patience=lease.LONG_PATIENCE)
        # Registering a run in place of another calls this too, under our own lease
        with contextlib.nullcontext() if lease.held(dataset) else waits:
            for config in self._configs(dataset, key):
                adopt_views(dataset, [config])
                delete_outputs(dataset, config.outputs)
                delete_snapshot(config.token)

    def _configs(self, dataset: fo.Dataset, key: str) -> list[DropConfig]:
        """The record, and what another session has put in its place meanwhile."""
        stored = documents.records(dataset, "runs").get(key, {})
        if stored.get("cls") != RECORD or stored.get("token") == self.config.token:
            return [self.config]
        return [self.config, DropConfig.from_dict(stored)]


def copied_views(dataset: fo.Dataset, config: DropConfig) -> dict[str, Any]:
    """The saved views of a run that have lost its token, as in a clone: name -> id."""
    found: dict[str, Any] = {}
    for density in {config.density, config.intent.get("density", config.density)}:
        found |= saved_views.copies(dataset, run_views(dataset, config.outputs, density))
    return found


def adopt_views(dataset: fo.Dataset, configs: Iterable[DropConfig]) -> None:
    """Give the saved views of runs their tokens, which a clone or an import has left behind."""
    unmarked = saved_views.unmarked_names(dataset)
    for config in configs:
        if config.token is not None and unmarked.intersection(config.views):
            saved_views.adopt(copied_views(dataset, config).values(), config.token)


class DropResults(focr.RunResults):  # type: ignore[misc]
    """A drop run as loaded: its record and its class table.

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
        table = self.decided_table
        quotas = self.config.quotas
        if quotas is None and table.density == self.density:
            return table
        return table.at(self.density, None if quotas is None else np.array(quotas, np.int64))

    @property
    def decided_table(self) -> ClassTable:
        """The class table at the density that the run was made with."""
        return ClassTable.from_dict(self.class_table)

    @property
    def changes(self) -> str | None:
        """One line if samples of the dataset came or went since the run was decided; else None.

        Looked up when it is asked for. Where it is not known, as of runs of earlier versions, None
        too; :func:`fiftyone_drop.verify_drop` says more.
        """
        changes = changes_since(self.samples._root_dataset, self.config.found)
        return None if changes is None else changes.in_words(self.key)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        table, config = self.table, self.config
        return {
            "key": self.key,
            "density": self.density,
            "kept": int(table.quotas.sum()),
            "size": table.size,
            "recalls_from": config.recalls_from,
            "kept_view": config.kept_view,
            "pruned_view": config.pruned_view,
            "table": table.rows(),
            "warnings": self._warnings(),
        }

    def _warnings(self) -> list[str]:
        """Those of the call that made the run, and what has changed since."""
        return [*self.config.warnings, *filter(None, [self.changes])]

    def attributes(self) -> list[str]:
        """The stored attributes: K-sized tables only, for the order is in the field."""
        return ["cls", "class_table"]

    def to_pandas(self) -> pd.DataFrame:
        """All classes as a :class:`pandas.DataFrame`: see :meth:`ClassTable.to_pandas`."""
        return self.table.to_pandas()

    def plot(self, kind: str = "classes", **layout: Any) -> go.Figure:
        """A picture of the classes: see :meth:`ClassTable.plot`."""
        return self.table.figure(self._title, kind, layout)

    @property
    def _title(self) -> str:
        return f"Drop run '{self.key}', density {self.density:g}"

    def _warning_lines(self) -> list[str]:
        return [f"Warning: {message}" for message in self._warnings()]

    def __str__(self) -> str:
        return "\n".join([self._title, str(self.table), *self._warning_lines()])

    def _repr_html_(self) -> str:
        return self.table.in_html([self._title], self._warning_lines())

    __repr__ = __str__
