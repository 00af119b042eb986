"""Decide: which samples each density keeps. :meth:`DropPlan.apply` writes it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop._types import ClassName, FloatArray, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.limits import all_weights, class_bounds
from fiftyone_drop.options import RANDOM, DropOptions
from fiftyone_drop.order import drop_order, inner_order, positions_to_keep_at
from fiftyone_drop.population import Population
from fiftyone_drop.predictions import Predictions
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.recall_sources import Recalls
from fiftyone_drop.rules import class_weights
from fiftyone_drop.run_changes import write_run
from fiftyone_drop.target import with_file_sizes
from fiftyone_drop.views import in_part


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
        predictions: the predictions of the query models that the plan trained; None without any
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
        reached = table.density_of(amount, _bytes_in_order(population, np.argsort(self.keep_at)))
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
            DropError: if the key is invalid or taken
        """
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
                    "left_out": self.left_out,
                },
                table=self.table,
                ids=self.population.ids,
                keep_at=self.keep_at,
                predictions=self.predictions,
                progress=progress,
            )
        return kept_samples(self.samples, config.keep_at_field, self.density)

    def __str__(self) -> str:
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
        population: the N samples; with ``max_bytes`` with the sizes of their files
        highest_first: whether the high values of the score field are kept first
        recalls: the recalls of the K classes, if there are any
        columns: what else the rule needs: column -> (K,) float

    Returns:
        the smallest density at which each sample is kept, (N,) float, see
        :func:`~fiftyone_drop.order.positions_to_keep_at`; and the class table at the amount of the
        options

    Raises:
        DropError: if the amount is below the floors or above the caps, or a class would be emptied,
            and the options do not allow that
    """
    sizes, bounds = population.sizes, bounds_of(options, population)
    known = {"sizes": sizes.astype(np.float64), **columns}
    if recalls is not None:
        known["recalls"] = recalls.values
    weights = _weights(options, population, known)
    order = _order(options, population, highest_first, weights, bounds)
    bytes_in_order = _bytes_in_order(population, order)
    n = options.amount.checked_size(len(population), bounds.while_extending(), bytes_in_order)
    if weights is None:
        quotas = np.bincount(population.codes[order[:n]], minlength=len(sizes))
    else:
        quotas = quotas_of_size(sizes, weights, n, bounds)
        if not options.allow_empty_classes:
            check_no_class_emptied(population.classes, quotas)
    table = ClassTable(
        classes=population.classes,
        sizes=sizes,
        density=options.amount.density_of(n, len(population)),
        quotas=quotas,
        weights=weights,
        bounds=bounds,
        recalls=None if recalls is None else recalls.values,
        correct=None if recalls is None else recalls.correct,
        support=None if recalls is None else recalls.support,
        columns=columns,
    )
    return positions_to_keep_at(order, bounds.most), table


def check_amount(options: DropOptions, population: Population, highest_first: bool) -> None:
    """Check the amount to keep before recalls are known: before an hour of training, not after it.

    Raises:
        DropError: if bounds contradict each other, or the amount is below the floors or above the
            caps
    """
    bounds, in_order = bounds_of(options, population), None
    if population.file_sizes is not None:
        # The samples within the floors, which weights do not change
        any_weights = population.sizes.astype(np.float64)
        order = _order(options, population, highest_first, any_weights, bounds)
        in_order = _bytes_in_order(population, order)
    options.amount.checked_size(len(population), bounds.while_extending(), in_order)


def bounds_of(options: DropOptions, population: Population) -> Bounds:
    """The floors and caps of a population's classes.

    Raises:
        DropError: if they contradict each other
    """
    must_keep, before = population.must_keep, population.kept_before
    if before is not None and must_keep is not None:
        before = before | must_keep
    return class_bounds(
        options.limits,
        population.classes,
        population.sizes,
        population.count(must_keep),
        population.count(before),
    )


def _weights(
    options: DropOptions, population: Population, columns: Mapping[str, FloatArray]
) -> FloatArray | None:
    """The class weights, (K,) float: those of the rule, or those that were given."""
    if options.weights is None:
        return class_weights(options.the_rule, columns)
    return all_weights(options.weights, population.classes)


def _order(
    options: DropOptions,
    population: Population,
    highest_first: bool,
    weights: FloatArray | None,
    bounds: Bounds,
) -> IntArray:
    """The order of all samples, (N,) int."""
    inner = inner_order(
        population.ids,
        options.seed,
        None if options.select == RANDOM else population.values[options.select],
        highest_first,
        population.names,
        [rows for rows in (population.must_keep, population.kept_before) if rows is not None],
    )
    return drop_order(population.codes, inner, weights, bounds)


def _bytes_in_order(population: Population, order: IntArray) -> IntArray | None:
    return None if population.file_sizes is None else population.file_sizes[order]


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
