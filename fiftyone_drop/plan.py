"""Decide: which samples each density keeps. :meth:`DropPlan.apply` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName, FloatArray
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.density import check_no_class_emptied, kept_size
from fiftyone_drop.options import RANDOM, DropOptions
from fiftyone_drop.order import drop_order, inner_order, positions_to_keep_at
from fiftyone_drop.population import Population
from fiftyone_drop.predictions import Predictions
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.recall_sources import Recalls
from fiftyone_drop.rules import class_weights
from fiftyone_drop.run_changes import write_run
from fiftyone_drop.snapshot import Snapshot
from fiftyone_drop.views import in_part


@dataclass(frozen=True, eq=False)
class DropPlan:
    """A pruning that is decided and not written. Prints as a class table.

    Attributes:
        samples: the target view
        table: the class table at the plan's density
        population: the N samples of the target view, as arrays
        keep_at: (N,) float in (0, 1), the smallest dataset density at which each sample is kept
        options: the arguments that made the plan
        recalls_from: where the recalls are from, in words; None without recalls
        warnings: the warnings of the call that made the plan
        predictions: the predictions of the query models that the plan trained; None without any
    """

    samples: foc.SampleCollection
    table: ClassTable
    population: Population
    keep_at: FloatArray
    options: DropOptions = field(repr=False)
    recalls_from: str | None = None
    warnings: tuple[str, ...] = ()
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

    def at(self, density: float) -> DropPlan:
        """The same plan at another density; nothing is read or computed again.

        Args:
            density: the dataset density, in (0, 1]

        Raises:
            DropError: if ``density`` is out of (0, 1] or keeps too little
        """
        density = checks.density("density", density)
        counted = None
        if self.table.weights is None:
            kept = self.population.codes[self.keep_at <= density]
            counted = np.bincount(kept, minlength=len(self.population.classes))
        table = self.table.at(density, counted)
        if table.weights is not None and not self.options.allow_empty_classes:
            check_no_class_emptied(table.classes, table.quotas)
        return replace(self, table=table, options=replace(self.options, density=density))

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
        """
        assert self.options.label_field is not None
        label_field, group_by = self.options.label_field, self.options.group_by
        self.population.check_as_stored(self.samples, label_field, group_by)
        with self.predictions.checkpoint if self.predictions else nullcontext():
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
                    **self.population.dataset_state,
                },
                table=self.table,
                decided_on=self._snapshot(),
                keep_at=self.keep_at,
                predictions=self.predictions,
                progress=progress,
            )
        return kept_samples(self.samples, config.keep_at_field, self.density)

    def _snapshot(self) -> Snapshot:
        scores = None
        if self.options.select != RANDOM:
            scores = self.population.values[self.options.select]
        return Snapshot(self.population.ids, self.population.codes, scores)

    def __str__(self) -> str:
        rule = self.options.the_rule
        lines = [f"DRoP plan: density {self.density:g}, rule '{rule.name}' ({rule.description})"]
        if self.recalls_from:
            lines.append(f"recalls: {self.recalls_from}")
        return "\n".join([*lines, str(self.table)])

    __repr__ = __str__


def decide(
    options: DropOptions,
    population: Population,
    highest_first: bool,
    recalls: Recalls | None,
    columns: Mapping[str, FloatArray],
) -> tuple[FloatArray, ClassTable]:
    """Decide which samples each density keeps.

    Args:
        options: the options
        population: the N samples
        highest_first: whether the high values of the score field are kept first
        recalls: the recalls of the K classes, if there are any
        columns: what else the rule needs: column -> (K,) float

    Returns:
        the smallest density at which each sample is kept, (N,) float in (0, 1), and the class table
        at the density of the options

    Raises:
        DropError: if a class would be emptied, and the options do not allow that
    """
    sizes, floor = population.sizes, options.floor
    known = {"sizes": sizes.astype(np.float64), **columns}
    if recalls is not None:
        known["recalls"] = recalls.values
    weights = class_weights(options.the_rule, known)
    n = kept_size(len(population), options.density)
    scores = None if options.select == RANDOM else population.values[options.select]
    inner = inner_order(population.ids, options.seed, scores, highest_first)
    order = drop_order(population.codes, inner, weights, floor)
    if weights is None:
        quotas = np.bincount(population.codes[order[:n]], minlength=len(sizes))
    else:
        quotas = quotas_of_size(sizes, weights, n, floor)
        if not options.allow_empty_classes:
            check_no_class_emptied(population.classes, quotas)
    table = ClassTable(
        classes=population.classes,
        sizes=sizes,
        density=options.density,
        quotas=quotas,
        weights=weights,
        min_per_class=floor,
        recalls=None if recalls is None else recalls.values,
        correct=None if recalls is None else recalls.correct,
        support=None if recalls is None else recalls.support,
        columns=columns,
    )
    return positions_to_keep_at(order), table


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
