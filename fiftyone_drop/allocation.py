"""``allocate``: class quotas from arrays or mappings, without samples.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from fiftyone_drop import array_checks, checks
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.limits import (
    Limits,
    check_per_class,
    check_protect,
    check_quotas,
    check_weights,
    class_bounds,
    weights_of,
)
from fiftyone_drop.quotas import class_densities, quotas_of_size
from fiftyone_drop.recall import column_of_mapping, recalls_of_mapping
from fiftyone_drop.rules import DEFAULT_RULE, RULES, rule_for


@dataclass(frozen=True)
class Allocation:
    """What :func:`allocate` returns.

    Attributes:
        classes: the K classes: the keys of ``class_sizes``, or 0 ... K-1
        class_sizes: (K,) int, class sizes
        densities: (K,) float in [0, 1], Algorithm 1's real-valued class densities, which know of no
            floors and caps
        quotas: (K,) int, whole numbers of samples to keep, summing to ``kept_size(N, density)``
    """

    classes: tuple[Hashable, ...]
    class_sizes: IntArray
    densities: FloatArray
    quotas: IntArray


def allocate(
    class_sizes: Mapping[Hashable, int] | Sequence[int] | ArrayLike,
    recalls: Mapping[Hashable, float] | Sequence[float] | ArrayLike | None,
    density: float | None = None,
    rule: str = DEFAULT_RULE,
    min_per_class: int | Mapping[Hashable, int] = 0,
    allow_empty_classes: bool = True,
    columns: Mapping[str, Mapping[Hashable, float] | ArrayLike] | None = None,
    *,
    size: int | None = None,
    max_per_class: int | Mapping[Hashable, int] | None = None,
    protect: Sequence[Hashable] | None = None,
    quotas: Mapping[Hashable, int | float] | None = None,
    weights: Mapping[Hashable, float] | None = None,
) -> Allocation:
    """Divide a dataset density among classes.

    Needs NumPy alone, and gives the same quotas as ``apply_drop``.

    Example::

        >>> from fiftyone_drop import allocate
        >>> allocate({"cat": 100, "dog": 100}, {"cat": 0.6, "dog": 0.9}, 0.5).quotas
        array([80, 20])

    Args:
        class_sizes: (K,) int > 0, samples per class; a mapping from class to size, or an array
        recalls: (K,) float in [0, 1], recall per class, a mapping with the same keys or an array
            of the same length; None for a rule that needs none
        density (None): the fraction of all samples that is kept, in (0, 1]
        rule ("drop"): the name of a rule, such as ``"proportional"`` or one of your own
            (:func:`fiftyone_drop.register_rule`)
        min_per_class (0): keep at least this many samples of each class (all of a smaller one): a
            number for all classes, or a mapping from class to number, 0 for the others
        allow_empty_classes (True): whether a class may get a quota of 0
        columns (None): for a rule of your own: its columns beside sizes and recalls, by name, each
            (K,) float, a mapping or an array like ``class_sizes``
        size (None): instead of ``density``, the number of samples to keep
        max_per_class (None): keep at most this many: a number, or a mapping from class to number
        protect (None): the classes of which every sample is kept
        quotas (None): a mapping from class to a number of samples (an ``int``) or a fraction of the
            class (a ``float``) that is kept of it; if it names every class, neither ``density`` nor
            ``size`` is needed
        weights (None): a mapping from every class to its weight, instead of a rule; ``recalls`` may
            be None then

    The mappings have the classes for keys: 0 ... K-1 where ``class_sizes`` is an array. A pandas
    Series is a mapping from its index.

    Returns:
        an :class:`Allocation`. Ties between classes go to the class that comes first in sorted
        order (mappings) or in the array

    Raises:
        DropError: if an argument is out of its range, or ``density`` is too small
    """
    given = check_quotas("quotas", quotas)
    amount = Amount.parse(density, size, optional=bool(given))
    low = check_per_class("min_per_class", min_per_class)
    high = check_per_class("max_per_class", max_per_class, optional=True)
    limits = Limits(low or 0, 0, high, check_protect("protect", protect), given)
    by_hand = check_weights("weights", weights)
    weighting = rule_for(rule, by_hand)
    allow_empty_classes = checks.flag("allow_empty_classes", allow_empty_classes)
    if not weighting.sets_quotas:
        raise DropError("rule", f"'{rule}' sets no quotas; choose one of {_with_quotas()}")
    class_sizes = _by_name("class_sizes", class_sizes)
    classes, sizes = _sizes(class_sizes)
    named = isinstance(class_sizes, Mapping)
    order = list(range(len(classes)))  # an array has the order that its caller gave it
    if named:
        order.sort(key=lambda k: sort_key(classes[k]))
    in_order = sizes[order]
    table = {"sizes": in_order.astype(np.float64)}
    if recalls is not None:
        by_class = _by_class("recalls", recalls, classes, named)
        table["recalls"] = recalls_of_mapping(by_class, classes)[order]
    for name, values in _check_columns(columns).items():
        by_class = _by_class("columns", values, classes, named)
        table[name] = column_of_mapping("columns", by_class, classes)[order]
    names = [classes[k] for k in order]
    of_class = weights_of(weighting, by_hand, names, table)
    assert of_class is not None
    bounds = class_bounds(limits, names, in_order)
    n = amount.checked_size(int(sizes.sum()), bounds)
    found, densities = np.empty_like(sizes), np.empty(len(sizes))
    found[order] = quotas_of_size(in_order, of_class, n, bounds)
    reached = amount.density_of(n, int(sizes.sum()))
    densities[order] = class_densities(in_order, of_class, reached)
    if not allow_empty_classes:
        check_no_class_emptied(classes, found)
    return Allocation(classes, sizes, densities, found)


def sort_key(name: Hashable) -> tuple[str, ...]:
    """The order in which ``apply_drop`` breaks ties: that of the names as texts, cell by cell."""
    return tuple(map(str, name)) if isinstance(name, tuple) else (str(name),)


def _with_quotas() -> list[str]:
    return sorted(name for name, rule in RULES.items() if rule.sets_quotas)


def _by_name(argument: str, values: Any) -> Any:
    """A pandas Series as a mapping, and anything else as it is.

    Its rows have names, and rarely the order of those of another one.
    """
    series = hasattr(values, "to_dict") and hasattr(values, "index")
    if not series or values.ndim != 1:  # a data frame
        return values
    if not values.index.is_unique:
        twice = values.index[values.index.duplicated()].unique()
        raise DropError(argument, f"has two values of {listing(list(twice))}; leave one out")
    return values.to_dict()


def _sizes(class_sizes: object) -> tuple[tuple[Hashable, ...], IntArray]:
    """The classes and their sizes, (K,) int."""
    if isinstance(class_sizes, Mapping):
        values = _array("class_sizes", list(class_sizes.values()))
        classes: tuple[Hashable, ...] = tuple(class_sizes)
    else:
        values = _array("class_sizes", class_sizes)
        classes = tuple(range(values.size))
    in_range = values.ndim == 1 and len(values) > 0 and np.all((values > 0) & (values < 2**53))
    if in_range and not np.mod(values, 1).any():
        return classes, values.astype(np.int64)
    raise DropError(
        "class_sizes", f"must be one positive whole number per class, but got {class_sizes!r}"
    )


def _check_columns(columns: object) -> Mapping[str, Any]:
    if columns is None:
        return {}
    if not isinstance(columns, Mapping):
        raise DropError("columns", f"must be a mapping from column to values, but got {columns!r}")
    for name in ("sizes", "recalls"):
        if name in columns:
            raise DropError("columns", f"must not hold {name!r}, which is an argument of its own")
    return columns


def _by_class(
    argument: str, values: Any, classes: Sequence[Hashable], named: bool
) -> Mapping[Any, Any]:
    """A mapping, a series or an array over the classes, as a mapping."""
    values = _by_name(argument, values)
    if isinstance(values, Mapping) != named:
        raise DropError(
            argument,
            "must be a mapping if class_sizes is one, and an array otherwise; a pandas Series is a "
            "mapping, and .to_numpy() makes an array of it",
        )
    if named:
        return values  # type: ignore[no-any-return]
    array = _array(argument, values)
    if array.shape != (len(classes),):
        raise DropError(
            argument,
            f"must have one entry per class, but has the shape {array.shape} for "
            f"{len(classes)} classes",
        )
    return dict(zip(classes, array.tolist(), strict=True))


def _array(argument: str, values: object) -> FloatArray:
    return array_checks.real_numbers(argument, values, "must be one number per class")
