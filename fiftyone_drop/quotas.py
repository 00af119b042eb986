"""How many samples of each class are kept: quotas, and the densities of Algorithm 1 of the paper.

One order of all samples gives every density (see :mod:`fiftyone_drop.order`). Its first ``n``
samples hold a number of each class that follows from sizes, weights and bounds alone; this module
computes that number without the samples. The j-th sample of class k (j = 1, 2, ...) has the
priority ``(j - 1/2) / w_k``, and the lowest priorities come first: the Sainte-Laguë divisor
method. So totals are exact, no class exceeds its size, the other classes take what a saturated
class cannot, and a sample kept at one density is kept at every higher one.

Bounds cut every class into steps, and all classes climb one step before any climbs the next: what
must be kept, the rest of the floor, the rest up to the cap, and what is beyond it. So at every
size between all floors and all caps each class is within its bounds, and there is one level ``c``
with ``n_k = clip(c w_k, floor_k, cap_k)`` up to rounding. Nothing beyond a cap is ever kept.

NumPy only.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.bounds import Bounds

LIGHTEST = 1e-290
"""The smallest weight beside 1: that of a class of 2**53 samples leaves its priorities finite."""


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


def tiers(sizes: IntArray, weights: FloatArray, bounds: Bounds | None = None) -> Iterator[Tier]:
    """The parts of the order: step by step, and in each step weighted classes first.

    Classes of weight 0 come after all others, in proportion to their size.
    """
    weighted = weights > 0
    scaled = np.where(weighted, _scaled(weights), sizes)
    for low, high in pairwise((np.zeros_like(sizes), *steps(sizes, bounds))):
        for members in (weighted, ~weighted):
            tier = Tier(low, np.where(members, high, low), scaled)
            if np.any(tier.last > tier.first):
                yield tier


def _scaled(weights: FloatArray) -> FloatArray:
    """The weights as parts of the largest, so that no sum and no priority overflows.

    Only ratios matter; those of weights that are next to nothing beside the largest do not.
    """
    largest = max(weights.max(), np.finfo(float).tiny)
    return np.where(weights > 0, np.maximum(weights / largest, LIGHTEST), 0.0)


def steps(sizes: IntArray, bounds: Bounds | None) -> list[IntArray]:
    """Where the steps of each class end, (K,) int each, ascending."""
    return [sizes] if bounds is None else [*bounds.steps(), sizes]


def quotas_of_size(
    sizes: IntArray, weights: FloatArray, n: int, bounds: Bounds | None = None
) -> IntArray:
    """How many of each class are among the first ``n`` samples of the order.

    Args:
        sizes: (K,) int > 0, class sizes
        weights: (K,) float >= 0, class weights
        n: an int in [0, sum(sizes)]
        bounds (None): floors and caps

    Returns:
        (K,) int, ``0 <= quotas <= sizes``, summing to ``n``; within the bounds where ``n`` is
        between all floors and all caps
    """
    quotas = np.zeros_like(sizes)
    for tier in tiers(sizes, weights, bounds):
        quotas += _merge(tier, n - int(quotas.sum()))
    return quotas


def _merge(tier: Tier, n: int) -> IntArray:
    """How many of each class are among the first ``n`` of the tier, (K,) int."""
    first, last, weights = tier.first, tier.last, tier.weights
    if n >= int((last - first).sum()):
        return last - first

    def count(bound: float) -> IntArray:
        """Samples of priority <= bound, by the same comparison as the sort of the samples."""
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
    share the rest of the budget, at one density, when all others are saturated.

    Args:
        sizes: (K,) int > 0, class sizes
        weights: (K,) float >= 0, class weights
        density: the dataset density, in (0, 1]

    Returns:
        (K,) float in [0, 1]
    """
    densities = np.zeros(len(sizes))
    budget = density * float(sizes.sum())
    weights = _scaled(weights)
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


def levels(
    sizes: IntArray, weights: FloatArray, densities: Sequence[float], bounds: Bounds
) -> FloatArray:
    """The levels ``c`` with ``n_k = clip(c w_k, floor_k, cap_k)``, real-valued.

    Without bounds they are those of :func:`class_densities`.

    Args:
        sizes: (K,) int > 0, class sizes
        weights: (K,) float >= 0, class weights, some of which are not 0
        densities: D dataset densities, in (0, 1]
        bounds: floors and caps; what was kept before an extension counts as a floor

    Returns:
        (D,) float; that of the floors at densities below them, and that of the caps above
    """
    floors, caps, some = np.maximum(bounds.floors, bounds.kept_before), bounds.caps, weights > 0

    def total(level: float) -> float:
        return float(np.clip(level * weights, floors, np.where(some, caps, floors)).sum())

    # It is linear between the levels at which a class leaves its floor or reaches its cap
    bends = np.unique(np.concatenate([side[some] / weights[some] for side in (floors, caps)]))
    found = []
    for density in densities:
        wanted = density * float(sizes.sum())
        after = bisect_left(bends, wanted, key=total)
        low, high = bends[max(0, after - 1)], bends[min(after, len(bends) - 1)]
        rise = total(high) - total(low)
        found.append(low if rise <= 0 else low + (high - low) * (wanted - total(low)) / rise)
    return np.array(found)
