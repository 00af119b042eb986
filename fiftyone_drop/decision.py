"""Decide: which samples each density keeps, and the class table that follows. Arrays alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.limits import class_bounds, weights_of
from fiftyone_drop.options import RANDOM, DropOptions
from fiftyone_drop.order import drop_order, inner_order, positions_to_keep_at
from fiftyone_drop.population import Population
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.recall_sources import Recalls


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
    table = class_table(options, population, recalls, columns)
    order = order_of(options, population, highest_first, table.weights, table.bounds)
    in_order = bytes_in_order(population, order)
    bounds, sizes = table.bounds, table.sizes
    n = options.amount.checked_size(len(population), bounds.while_extending(), in_order)
    if table.weights is None:
        quotas = np.bincount(population.codes[order[:n]], minlength=len(sizes))
    else:
        quotas = quotas_of_size(sizes, table.weights, n, bounds)
        if not options.allow_empty_classes:
            check_no_class_emptied(population.classes, quotas)
    density = options.amount.density_of(n, len(population))
    table = replace(table, density=density, quotas=quotas)
    return positions_to_keep_at(order, bounds.most), table


def class_table(
    options: DropOptions,
    population: Population,
    recalls: Recalls | None,
    columns: Mapping[str, FloatArray],
) -> ClassTable:
    """The class table at the highest density that the caps leave, whatever the amount is.

    Takes the arguments of :func:`decide`.

    Raises:
        DropError: if bounds contradict each other
    """
    options = options.of_classes(population.classes, population.were)
    sizes, bounds = population.sizes, bounds_of(options, population)
    known = {"sizes": sizes.astype(np.float64), **columns}
    if recalls is not None:
        known["recalls"] = recalls.values
    return ClassTable(
        classes=population.classes,
        sizes=sizes,
        density=bounds.most / len(population),
        quotas=bounds.caps,
        weights=weights_of(options.the_rule, options.weights, population.classes, known),
        bounds=bounds,
        recalls=None if recalls is None else recalls.values,
        correct=None if recalls is None else recalls.correct,
        support=None if recalls is None else recalls.support,
        columns=columns,
    )


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
        order = order_of(options, population, highest_first, any_weights, bounds)
        in_order = bytes_in_order(population, order)
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
        options.of_classes(population.classes, population.were).limits,
        population.classes,
        population.sizes,
        population.count(must_keep),
        population.count(before),
    )


def order_of(
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


def bytes_in_order(population: Population, order: IntArray) -> IntArray | None:
    """The bytes of each image file in an order, (N,) int; None where nobody asked."""
    return None if population.file_sizes is None else population.file_sizes[order]
