"""How many samples of each class are kept: quotas, and Algorithm 1 of the paper.

One order of all samples gives every density (see :mod:`fiftyone_drop.order`). Its first ``n``
samples hold a number of each class that follows from sizes, weights and floor alone; this module
computes that number without the samples. The j-th sample of class k (j = 1, 2, ...) has the
priority ``(j - 1/2) / w_k``, and the lowest priorities come first: the Sainte-Laguë divisor
method. So totals are exact, no class exceeds its size, what a saturated class cannot take goes to
the others by itself, and a sample kept at one density is kept at every higher one.

NumPy only.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.recall import recalls_of_mapping
from fiftyone_drop.rules import RULES, class_weights, get_rule

# -- density and size -----------------------------------------------------------------------------


def check_density(density: object) -> float:
    """Return ``density`` as a float.

    Raises:
        DropError: if it is not a number in (0, 1]
    """
    if isinstance(density, bool) or not isinstance(density, numbers.Real):
        raise DropError(
            f"density: must be a number in (0, 1], the fraction that is kept; got {density!r}"
        )
    value = float(density)
    if not 0 < value <= 1:  # NaN fails this too
        raise DropError(
            f"density: must lie in (0, 1], the fraction that is kept; got {value!r}"
            + (f". To keep {value:g} % write {value / 100:g}" if 1 < value <= 100 else "")
        )
    return value


def kept_size(n: int, density: float) -> int:
    """How many of ``n`` samples a dataset density keeps.

    Position ``p`` (from 0) of the order is kept at every density of at least ``(p + 1/2) / n``.
    This is the number of such positions, compared in float64 exactly as MongoDB compares the
    stored values, so that it always equals the count of the view.

    Args:
        n: the number of samples
        density: the dataset density, in (0, 1]

    Returns:
        an int in [0, n], within 1/2 of ``density * n``
    """
    size = min(n, int(density * n + 0.5))
    while size < n and keep_at(size, n) <= density:
        size += 1
    while size > 0 and keep_at(size - 1, n) > density:
        size -= 1
    return size


def keep_at(position: int, n: int) -> float:
    """The smallest dataset density that keeps 0-based ``position`` of ``n``, in (0, 1)."""
    return (position + 0.5) / n


def checked_size(n: int, density: float, at_least: int = 1) -> int:
    """:func:`kept_size`, refused where it is below ``at_least``.

    Raises:
        DropError: if fewer than ``at_least`` samples are kept; it names the smallest density
            that keeps as many
    """
    size = kept_size(n, density)
    if size >= max(1, at_least):
        return size
    # Rounded up to four digits, so that what the message says works when typed
    smallest = keep_at(max(1, at_least) - 1, n)
    digits = 4 - math.ceil(math.log10(smallest))
    shown = min(1.0, math.ceil(smallest * 10**digits) / 10**digits)
    floor = f", fewer than the {at_least} that min_per_class asks for" if at_least > 1 else ""
    remedy = " or lower min_per_class" if at_least > 1 else ""
    raise DropError(
        f"density: {density:g} keeps {size} of {n} samples{floor}; "
        f"the smallest density that works is {shown:g}: use that or more{remedy}"
    )


def floor_size(sizes: IntArray, min_per_class: int) -> int:
    """How many samples the floor takes: ``min_per_class`` of each class, all of a smaller one."""
    return int(np.minimum(sizes, min_per_class).sum())


# -- quotas ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tier:
    """A part of the order: the samples ``first < j <= last`` of each class, by priority.

    Attributes:
        first: (K,) int
        last: (K,) int, equal to ``first`` for classes that have no sample in the tier
        weights: (K,) float > 0, by which the priorities ``(j - 1/2) / weight`` are made
    """

    first: IntArray
    last: IntArray
    weights: FloatArray


def tiers(sizes: IntArray, weights: FloatArray, min_per_class: int) -> Iterator[Tier]:
    """The parts of the order: within the floor, then beyond it, and in each weighted classes first.

    Classes of weight 0 come after all others, in proportion to their size.
    """
    floors = np.minimum(sizes, min_per_class)
    # Scaled so that only ratios matter and priorities stay far from overflow
    weighted = weights > 0
    scaled = np.where(weighted, weights / max(weights.max(), np.finfo(float).tiny), sizes)
    for low, high in ((np.zeros_like(sizes), floors), (floors, sizes)):
        for members in (weighted, ~weighted):
            tier = Tier(low, np.where(members, high, low), scaled)
            if np.any(tier.last > tier.first):
                yield tier


def quotas_of_size(
    sizes: IntArray, weights: FloatArray, n: int, min_per_class: int = 0
) -> IntArray:
    """How many of each class are among the first ``n`` samples of the order.

    Args:
        sizes: (K,) int > 0, class sizes
        weights: (K,) float >= 0, class weights
        n: an int in [0, sum(sizes)]
        min_per_class (0): this many samples of each class (all of a smaller one) come first

    Returns:
        (K,) int, ``0 <= quotas <= sizes``, summing to ``n``
    """
    quotas = np.zeros_like(sizes)
    for tier in tiers(sizes, weights, min_per_class):
        quotas += _merge(tier, n - int(quotas.sum()))
    return quotas


def _merge(tier: Tier, n: int) -> IntArray:
    """How many of each class are among the first ``n`` of the tier, (K,) int."""
    first, last, weights = tier.first, tier.last, tier.weights
    if n >= int((last - first).sum()):
        return last - first

    def count(bound: float) -> IntArray:
        """Samples of priority <= bound, by the very comparison that sorts the samples."""
        j = np.floor(bound * weights + 0.5)
        j -= (j - 0.5) / weights > bound
        j += (j + 0.5) / weights <= bound
        # Clipped before it is cast: beside a class of next to no weight it is beyond all integers
        return np.clip(j, first, last).astype(np.int64)

    low, high = 0.0, float(((last - 0.5) / weights)[last > first].max())
    below, above = count(low), count(high)
    while int((above - below).sum()) > 2 * len(weights):
        middle = (low + high) / 2
        if not low < middle < high:
            break
        counts = count(middle)
        if int((counts - first).sum()) <= n:
            low, below = middle, counts
        else:
            high, above = middle, counts
    # The few samples between the bounds are sorted as the order sorts them: by priority, ties
    # by class, which a stable sort keeps
    classes = np.repeat(np.arange(len(weights)), above - below)
    starts = np.cumsum(above - below) - (above - below)
    j = below[classes] + np.arange(len(classes)) - starts[classes] + 1
    order = np.argsort((j - 0.5) / weights[classes], kind="stable")
    rest = n - int((below - first).sum())
    return below - first + np.bincount(classes[order[:rest]], minlength=len(weights))


def class_densities(sizes: IntArray, weights: FloatArray, density: float) -> FloatArray:
    """Algorithm 1's real-valued class densities, by water-filling.

    Solves ``d_k = min(1, c w_k / N_k)`` with ``sum_k N_k d_k = density * N`` for ``c``, exactly,
    by sorting. With the weights of rule ``"drop"`` this is Algorithm 1. Classes of weight 0
    get what is left when all others are saturated, at one density.

    Args:
        sizes: (K,) int > 0, class sizes
        weights: (K,) float >= 0, class weights
        density: the dataset density, in (0, 1]

    Returns:
        (K,) float in [0, 1]
    """
    densities = np.zeros(len(sizes))
    budget = density * float(sizes.sum())
    weighted = np.flatnonzero(weights > 0)
    if len(weighted):
        per_sample = weights[weighted] / sizes[weighted]
        by_saturation = weighted[np.argsort(-per_sample, kind="stable")]
        w, size = weights[by_saturation], sizes[by_saturation]
        saturated = np.cumsum(size) - size  # samples of the classes that saturate earlier
        level = (budget - saturated) / np.cumsum(w[::-1])[::-1]
        unsaturated = np.flatnonzero(level * w <= size)
        if len(unsaturated):
            level_reached = max(level[unsaturated[0]], 0.0)
            densities[by_saturation] = np.minimum(1, level_reached * w / size)
            return densities
        densities[weighted] = 1.0
    rest = weights <= 0
    if rest.any():
        left = budget - float(sizes[~rest].sum())
        densities[rest] = min(1.0, max(0.0, left / float(sizes[rest].sum())))
    return densities


@dataclass(frozen=True)
class Allocation:
    """What :func:`allocate` returns.

    Attributes:
        classes: the K classes: the keys of ``class_sizes``, or 0 ... K-1
        class_sizes: (K,) int, class sizes
        densities: (K,) float in [0, 1], Algorithm 1's real-valued class densities
        quotas: (K,) int, whole numbers of samples to keep, summing to ``kept_size(N, density)``
    """

    classes: tuple[Hashable, ...]
    class_sizes: IntArray
    densities: FloatArray
    quotas: IntArray


def allocate(
    class_sizes: Mapping[Hashable, int] | Sequence[int] | ArrayLike,
    recalls: Mapping[Hashable, float] | Sequence[float] | ArrayLike | None,
    density: float,
    rule: str = "drop",
    min_per_class: int = 0,
    allow_empty_classes: bool = True,
) -> Allocation:
    """Divide a dataset density among classes.

    Needs NumPy alone. ``allocate`` gives the very quotas that ``apply_drop`` keeps.

    Example::

        >>> from fiftyone_drop import allocate
        >>> allocate({"cat": 100, "dog": 100}, {"cat": 0.6, "dog": 0.9}, 0.5).quotas
        array([80, 20])

    Args:
        class_sizes: (K,) int > 0, samples per class; a mapping from class to size, or an array
        recalls: (K,) float in [0, 1], recall per class, a mapping with the same keys or an array
            of the same length; None for a rule that needs none
        density: the fraction of all samples that is kept, in (0, 1]
        rule ("drop"): the name of a rule, see :data:`fiftyone_drop.rules.RULES`
        min_per_class (0): keep at least this many samples of each class (all of a smaller one)
        allow_empty_classes (True): whether a class may get a quota of 0

    Returns:
        an :class:`Allocation`. Ties between classes go to the class that comes first in sorted
        order (mappings) or in the array

    Raises:
        DropError: if an argument is out of its range, or ``density`` is too small
    """
    density = check_density(density)
    chosen = get_rule(rule)
    check_min_per_class(min_per_class)
    classes, sizes, recall = _columns(class_sizes, recalls)
    if chosen.weights is None:
        raise DropError(f"rule: '{rule}' sets no quotas; choose one of {_with_quotas()}")
    order = sorted(range(len(classes)), key=lambda k: sort_key(classes[k]))
    sizes_in_order = sizes[order]
    weights = class_weights(chosen, sizes_in_order, None if recall is None else recall[order])
    assert weights is not None
    n = checked_size(int(sizes.sum()), density, floor_size(sizes, min_per_class))
    quotas, densities = np.empty_like(sizes), np.empty(len(sizes))
    quotas[order] = quotas_of_size(sizes_in_order, weights, n, min_per_class)
    densities[order] = class_densities(sizes_in_order, weights, density)
    if not allow_empty_classes:
        check_no_class_emptied(classes, quotas)
    return Allocation(classes, sizes, densities, quotas)


def sort_key(name: Hashable) -> tuple[str, str]:
    """Sorted label order for names of any type: numbers in an array keep their order."""
    return ("", f"{name:020d}") if isinstance(name, int) else (type(name).__name__, str(name))


def check_min_per_class(min_per_class: object) -> int:
    """Raise a :class:`DropError` unless ``min_per_class`` is an int >= 0; return it."""
    if isinstance(min_per_class, bool) or not isinstance(min_per_class, numbers.Integral):
        raise DropError(f"min_per_class: must be an integer >= 0, but got {min_per_class!r}")
    if min_per_class < 0:
        raise DropError(f"min_per_class: must be an integer >= 0, but got {min_per_class}")
    return int(min_per_class)


def check_no_class_emptied(classes: Sequence[Hashable], quotas: IntArray) -> None:
    """Raise a :class:`DropError` that names the classes of which nothing is kept, if any."""
    emptied = [name for name, quota in zip(classes, quotas, strict=True) if quota == 0]
    if emptied:
        raise DropError(
            f"allow_empty_classes: nothing would be kept of {listing(emptied)}; raise density, "
            "set min_per_class=1 or more, choose another rule, or pass allow_empty_classes=True"
        )


def _with_quotas() -> list[str]:
    return sorted(name for name, rule in RULES.items() if rule.weights is not None)


def _columns(
    class_sizes: object, recalls: object
) -> tuple[tuple[Hashable, ...], IntArray, FloatArray | None]:
    """Both arguments as arrays over the same classes."""
    if isinstance(class_sizes, Mapping):
        classes = tuple(class_sizes)
        values: object = list(class_sizes.values())
    else:
        values = class_sizes
        classes = tuple(range(np.size(np.asarray(values))))
    given = np.asarray(values)
    if (
        given.ndim != 1
        or len(given) == 0
        or not np.all(np.equal(np.mod(given, 1), 0) & (given > 0))
    ):
        raise DropError(
            f"class_sizes: must be one positive whole number per class, but got {class_sizes!r}"
        )
    sizes = given.astype(np.int64)
    if recalls is None:
        return classes, sizes, None
    if isinstance(recalls, Mapping) != isinstance(class_sizes, Mapping):
        raise DropError("recalls: must be a mapping if class_sizes is one, and an array otherwise")
    if isinstance(recalls, Mapping):
        return classes, sizes, recalls_of_mapping(recalls, classes)
    array = np.asarray(recalls, dtype=np.float64)
    if array.shape != sizes.shape:
        raise DropError(
            f"recalls: must have one entry per class, but there are {len(array)} recalls and "
            f"{len(sizes)} classes"
        )
    return (
        classes,
        sizes,
        recalls_of_mapping(dict(zip(classes, array.tolist(), strict=True)), classes),
    )


def suggested_epochs(epochs: int, density: float) -> int:
    """How long to train on the pruned dataset: ``E (0.5 + 0.5 d) / d`` epochs, rounded.

    At equal epochs a small subset is undertrained; this is the paper's length for a model on a
    dataset pruned to ``density``. Scale the epochs of learning rate drops alike.

    Args:
        epochs: the epochs of a training on the full dataset, > 0
        density: the dataset density, in (0, 1]

    Returns:
        an int >= ``epochs``

    Raises:
        DropError: if an argument is out of its range
    """
    density = check_density(density)
    if isinstance(epochs, bool) or not isinstance(epochs, numbers.Real) or not epochs > 0:
        raise DropError(f"epochs: must be a number > 0, but got {epochs!r}")
    return round(epochs * (0.5 + 0.5 * density) / density)
