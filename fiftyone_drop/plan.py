"""A plan: a pruning that is decided. :meth:`DropPlan.apply` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop._types import ClassName, FloatArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.decision import bytes_in_order, decide
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.errors import Warner
from fiftyone_drop.options import DropOptions
from fiftyone_drop.overshoot import overshoot_warning
from fiftyone_drop.population import Population
from fiftyone_drop.predictions import Predictions
from fiftyone_drop.recall_sources import Recalls
from fiftyone_drop.run_changes import write_run
from fiftyone_drop.run_outputs import in_part
from fiftyone_drop.target import snapshot_of, with_file_sizes
from fiftyone_drop.waiting import UNFINISHED, while_away

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


@dataclass(frozen=True, eq=False)
class DropPlan:
    """A pruning that is decided and not written. Prints as a class table.

    Attributes:
        samples: the target view
        table: the class table at the plan's density
        population: the N samples of the target view, as arrays
        keep_at: (N,) float, the smallest dataset density at which each sample is kept; above 1
            beyond a cap, so that no density keeps it
        options: the arguments that made the plan
        recalls_from: where the recalls are from, in words; None without recalls
        warnings: the warnings of the call that made the plan
        left_out: the samples that ``drop_below`` and ``drop_above`` left out of the run
        predictions: the predictions of query models that the plan was made with; None without any
    """

    samples: foc.SampleCollection
    table: ClassTable
    population: Population
    keep_at: FloatArray
    options: DropOptions = field(repr=False)
    recalls_from: str | None = None
    warnings: tuple[str, ...] = ()
    left_out: int = 0
    predictions: Predictions | None = field(default=None, repr=False)

    @property
    def density(self) -> float:
        """The dataset density, in (0, 1]."""
        return self.table.density

    @property
    def quotas(self) -> dict[ClassName, int]:
        """How many samples of each class are kept."""
        return self.table.by_class("quotas")

    @property
    def recalls(self) -> dict[ClassName, float] | None:
        """Recall in [0, 1] by class; None if the rule needs none."""
        return None if self.table.recalls is None else self.table.by_class("recalls")

    @property
    def kept_ids(self) -> list[str]:
        """The ids of the kept samples."""
        kept = self.keep_at <= self.density
        return [i.decode() for i in self.population.ids[kept].tolist()]

    def at(
        self,
        density: float | None = None,
        *,
        size: int | None = None,
        max_bytes: int | None = None,
    ) -> DropPlan:
        """The same plan with another amount to keep; nothing is computed again.

        Pass one of three; see :func:`fiftyone_drop.apply_drop`.

        Args:
            density: the dataset density, in (0, 1]
            size: a number of samples
            max_bytes: the bytes that the image files may take; their sizes are read now, if the
                plan was not made with ``max_bytes`` itself

        Raises:
            DropError: if not one is passed, or it is out of range, below the floors, or above the
                caps
        """
        amount = Amount.parse(density, size, max_bytes)
        population, table = self.population, self.table
        if amount.max_bytes is not None:
            population = with_file_sizes(population, self.samples)
        reached = table.density_of(amount, bytes_in_order(population, np.argsort(self.keep_at)))
        counted = None
        if table.weights is None:
            counted = population.count(self.keep_at <= reached)
        table = table.at(reached, counted)
        if not self.options.allow_empty_classes and table.weights is not None:
            check_no_class_emptied(table.classes, table.quotas)
        options = self.options.at(amount)
        return replace(self, table=table, options=options, population=population)

    def apply(
        self, key: str = "drop", overwrite: bool = False, progress: Any = None
    ) -> fo.DatasetView:
        """Write the plan as a drop run. Nothing is computed again.

        Args:
            key ("drop"): the run key
            overwrite (False): whether to replace the run of that key
            progress (None): whether to render a progress bar (True/False), use the default value
                ``fiftyone.config.show_progress_bars`` (None), or a progress callback function

        Returns:
            the kept samples: the target view and a match

        Raises:
            DropError: if the key is invalid or taken, or the target view shows other labels, groups
                or scores than the dataset stores
            ConnectionError: the database was away for ten minutes, or again and again
        """
        assert self.options.label_field is not None
        label_field, group_by = self.options.label_field, self.options.group_by
        saved = self.predictions.saved if self.predictions else UNFINISHED
        with self.predictions.checkpoint if self.predictions else nullcontext():
            while_away(
                lambda: self.population.check_as_stored(self.samples, label_field, group_by), saved
            )
            config = write_run(
                self.samples,
                key,
                overwrite,
                uses=self.options.uses(),
                asked=self.options.asked(),
                found={
                    "size": len(self.population),
                    "label_field": self.options.label_field,
                    "recalls_from": self.recalls_from,
                    "warnings": list(self.warnings),
                    "left_out": self.left_out,
                    **self.population.dataset_state,
                },
                table=self.table,
                decided_on=snapshot_of(self.population, self.options),
                keep_at=self.keep_at,
                predictions=self.predictions,
                progress=progress,
                saved=saved,
            )
        return kept_samples(self.samples, config.keep_at_field, self.density)

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable values; ``kept_ids`` are not among them."""
        return {
            "density": self.density,
            "kept": int(self.table.quotas.sum()),
            "size": self.table.size,
            "left_out": self.left_out,
            "recalls_from": self.recalls_from,
            "table": self.table.rows(),
            "warnings": list(self.warnings),
        }

    def to_pandas(self) -> pd.DataFrame:
        """All classes as a :class:`pandas.DataFrame`: see :meth:`ClassTable.to_pandas`."""
        return self.table.to_pandas()

    def plot(self, kind: str = "classes", **layout: Any) -> go.Figure:
        """A picture of the classes: see :meth:`ClassTable.plot`."""
        return self.table.figure(f"DRoP plan, density {self.density:g}", kind, layout)

    def __str__(self) -> str:
        return "\n".join([*self._lines(), str(self.table)])

    def _repr_html_(self) -> str:
        return self.table.in_html(self._lines())

    def _lines(self) -> list[str]:
        rule = self.options.the_rule
        lines = [f"DRoP plan: density {self.density:g}, rule '{rule.name}' ({rule.description})"]
        sizes = self.population.file_sizes
        if sizes is not None:
            kept = int(sizes[self.keep_at <= self.density].sum())
            lines.append(f"image files: {kept:,} of {int(sizes.sum()):,} bytes are kept")
        if self.left_out:
            lines.append(
                f"left out of the run: {self.left_out:,} samples ({self.options.suspects})"
            )
        if self.recalls_from:
            lines.append(f"recalls: {self.recalls_from}")
        return lines

    __repr__ = __str__


def kept_samples(
    samples: foc.SampleCollection, keep_at_field: str, density: float
) -> fo.DatasetView:
    """The target view with a match on the run's order, which stays as it is when the run is moved.

    Where the view selects or excludes fields, the match goes before that: it could not see the
    field after it.
    """
    kept = in_part(keep_at_field, density, "kept")
    if samples is samples._root_dataset:
        return samples.match(kept)
    hiding = (fo.SelectFields, fo.ExcludeFields)
    view = samples._root_dataset.view()
    hidden = []
    for stage in samples._all_stages:
        if isinstance(stage, hiding):
            hidden.append(stage)
        else:
            view = view.add_stage(stage)
    view = view.match(kept)
    for stage in hidden:
        view = view.add_stage(stage)
    return view


def plan_of(
    samples: foc.SampleCollection,
    options: DropOptions,
    population: Population,
    highest_first: bool,
    recalls: Recalls | None,
    columns: Mapping[str, FloatArray],
    warn: Warner,
    left_out: int,
) -> DropPlan:
    """Decide which samples of a target view are kept.

    Args:
        samples: the target view
        options: the options
        population: its N samples
        highest_first: whether the high values of the score field are kept first
        recalls: the recalls of the K classes, if there are any
        columns: what else the rule needs: column -> (K,) float
        warn: is told where the quotas may go too far; the plan has all of its messages
        left_out: the samples that ``drop_below`` and ``drop_above`` have left out

    Raises:
        DropError: as :func:`~fiftyone_drop.decision.decide`
    """
    keep_at, table = decide(options, population, highest_first, recalls, columns)
    if "recalls" in options.the_rule.needs and (too_far := overshoot_warning(table)):
        warn(too_far)
    return DropPlan(
        samples,
        table,
        population,
        keep_at,
        options,
        recalls_from=None if recalls is None else recalls.source,
        warnings=tuple(warn.messages),
        left_out=left_out,
        predictions=None if recalls is None else recalls.predictions,
    )
