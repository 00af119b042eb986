"""ZCore: the coverage of a sample in random subspaces of the embedding, minus its redundancy."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from math import isqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from fiftyone_drop.scoring.geometry import Embeddings, as_tensor
from fiftyone_drop.scoring.registry import register_score
from fiftyone_drop.scoring.switches import Whole

_MOST_DRAWS = 1_000_000
_DRAWS_PER_SAMPLE = 10

_COLUMNS = 32
"""Dimensions that are read and held together: rows of the table come in pieces of this length."""

Column = npt.NDArray[np.float32]
Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.intp]


@register_score(
    "zcore",
    hard=None,
    kept_first="high",
    needs="embeddings",
    description="Zero-shot coreset score: coverage in random subspaces minus redundancy.",
    source="Griffin et al. (ZCore), arXiv 2411.15349; voxel51/zcore, core/coreset/zcore.py",
    conventions={
        "zcore_draws": Whole(default=0, minimum=0),
        "zcore_dimensions": Whole(default=2, minimum=1),
        "zcore_neighbours": Whole(default=1000, minimum=1),
        "zcore_exponent": Whole(default=4, minimum=1),
        "zcore_start": ("uniform", "zero"),
        "seed": Whole(default=51, minimum=0),
    },
    uses_labels=False,
)
def zcore(
    embeddings: Embeddings,
    labels: object = None,
    *,
    zcore_draws: int = 0,
    zcore_dimensions: int = 2,
    zcore_neighbours: int = 1000,
    zcore_exponent: int = 4,
    zcore_start: str = "uniform",
    seed: int = 51,
) -> Floats:
    """ZCore: how much of the embedding space a sample covers that no other does.

    Each draw takes random dimensions and in them a random point, by a triangular distribution from
    the minimum over the median to the maximum of each. The sample nearest to it in L1 gains 1. The
    samples nearest to that one lose 1 among them, in proportion to their distance to the power
    minus ``zcore_exponent``.

    Samples that are equal in the drawn dimensions share gain and loss, which cancel: a draw that
    meets several such samples adds nothing. Rectified embeddings have many. The authors' code gives
    1 to the first of them and takes 1 from another, by the order of sorting. It fails in a constant
    dimension; here such a dimension adds nothing. It has no seed, and its worker processes make the
    same draws where they are forked; here all draws differ.

    Samples are sorted along one of the drawn dimensions, so that a draw looks at a fraction of
    them, with the result of looking at all. Everything is computed on the CPU, with the same result
    for embeddings of any device. Extra memory is O(N) and O(draws); the embeddings are read in
    place, once per pair of groups of 32 dimensions.

    Args:
        embeddings: (N, D) float
        labels: ignored
        zcore_draws (0): how many points to draw; 0 for ten per sample, at most a million, as the
            authors' FiftyOne plugin does. Their research code always draws a million
        zcore_dimensions (2): in how many dimensions, at most D
        zcore_neighbours (1000): how many samples lose, at most all others; more when several are
            as near as the last of them
        zcore_exponent (4): how steeply the loss falls with distance
        zcore_start ("uniform"): "uniform" starts at a random number in [0, 1), as the authors'
            experiments do, "zero" at 0: many samples tie then
        seed (51): of all random numbers

    Returns:
        (N,) float64, scaled to [0, 1]; high = covers much and is not redundant. All 0 where no
        sample differs from another

    Raises:
        DropError: if embeddings are no finite (N, D) array
    """
    table = as_tensor(embeddings)
    n, width = table.shape
    count = zcore_draws or min(_MOST_DRAWS, _DRAWS_PER_SAMPLE * n)
    size = min(zcore_dimensions, width)

    @lru_cache(maxsize=max(1, size - 1))
    def group(number: int) -> Column:
        part = table[:, number * _COLUMNS : (number + 1) * _COLUMNS]
        return np.asarray(part.T.contiguous().cpu().numpy())

    @lru_cache(maxsize=_COLUMNS)
    def ordered(dimension: int) -> tuple[Floats, Rows]:
        column = table[:, dimension].double().cpu().numpy()
        rows = np.argsort(column, kind="stable")
        return column[rows], rows

    random = np.random.default_rng(seed)
    scores = random.random(n) * (zcore_start == "uniform")
    uniform = random.random((count, 2 * size))
    dimensions = _choose(uniform[:, :size], width)
    points = _triangular(uniform[:, size:], *_ranges(group, width)[:, dimensions])
    # Draws of the same groups of dimensions follow one another, so that few are read again.
    for draw in np.lexsort((dimensions // _COLUMNS).T[::-1]):
        first, *others = dimensions[draw].tolist()
        columns = [group(d // _COLUMNS)[d % _COLUMNS] for d in others]
        subspace = _Subspace(*ordered(first), columns)
        _count(scores, subspace, points[draw], min(zcore_neighbours, n - 1), zcore_exponent)
    scores -= scores.min()
    return scores / (scores.max() or 1.0)


class _Subspace(NamedTuple):
    """All samples in some dimensions.

    Attributes:
        values: (N,) the first dimension, ascending
        rows: (N,) the samples in this order
        columns: the other dimensions, (N,) each, in the order of the samples
    """

    values: Floats
    rows: Rows
    columns: Sequence[Column]

    def nearest(self, centre: Sequence[float], number: int) -> tuple[Rows, Floats]:
        """The ``number`` samples nearest to a centre in L1, and all that tie with the last one.

        Returns:
            their positions in the order of the first dimension, and their distances
        """
        # About as many as lie so near in the first of two dimensions that are uniform
        reach = number + isqrt(len(self.rows) * number // 2)
        middle = int(self.values.searchsorted(centre[0]))
        window = slice(max(0, middle - reach), middle + reach)
        distances = self._distances(window, centre)
        radius = np.partition(distances, number - 1)[number - 1]
        # A sample within the radius is within it in the first dimension alone
        start = int(self.values.searchsorted(centre[0] - radius))
        stop = int(self.values.searchsorted(centre[0] + radius, "right"))
        if start < window.start or stop > window.stop:
            window = slice(min(start, window.start), max(stop, window.stop))
            distances = self._distances(window, centre)
            radius = np.partition(distances, number - 1)[number - 1]
        near = np.flatnonzero(distances <= radius)
        return window.start + near, distances[near]

    def place(self, position: int) -> list[float]:
        """The coordinates of a sample."""
        row = self.rows[position]
        return [float(self.values[position]), *(float(column[row]) for column in self.columns)]

    def _distances(self, window: slice, centre: Sequence[float]) -> Floats:
        total = np.abs(self.values[window] - centre[0])
        rows = self.rows[window]
        for column, place in zip(self.columns, centre[1:], strict=True):
            offset = np.subtract(column.take(rows), place, dtype=np.float64)
            total += np.abs(offset, out=offset)
        return total


def _count(
    scores: Floats, subspace: _Subspace, point: Floats, neighbours: int, exponent: int
) -> None:
    """Add the gains and losses of all samples in one draw."""
    nearest, distances = subspace.nearest(point.tolist(), 1)
    finder = int(nearest[distances.argmin()])
    near, distances = subspace.nearest(subspace.place(finder), neighbours + 1)
    others = near != finder
    near, distances = subspace.rows[near[others]], distances[others]
    least = distances.min(initial=np.inf)
    if least == 0:
        return  # duplicates share the gain, and lose as much
    scores[subspace.rows[finder]] += 1
    weights = (least / distances) ** exponent  # at most 1, so that no power overflows
    scores[near] -= weights / weights.sum()


def _ranges(group: Callable[[int], Column], width: int) -> Floats:
    """Minimum, median and maximum of every dimension, (3, D)."""
    parts = []
    for number in range(-(-width // _COLUMNS)):
        columns = group(number).astype(np.float64)
        parts.append([columns.min(1), np.median(columns, axis=1), columns.max(1)])
    return np.concatenate(parts, axis=1)


def _choose(uniform: Floats, width: int) -> npt.NDArray[np.int64]:
    """Different dimensions for every draw, (draws, d), from as many numbers in [0, 1)."""
    dimensions = np.empty(uniform.shape, np.int64)
    for i in range(uniform.shape[1]):
        pick = (uniform[:, i] * (width - i)).astype(np.int64)
        # The pick counts the remaining dimensions: step over the earlier picks
        for earlier in np.sort(dimensions[:, :i], axis=1).T:
            pick += pick >= earlier
        dimensions[:, i] = pick
    return dimensions


def _triangular(uniform: Floats, low: Floats, mode: Floats, high: Floats) -> Floats:
    """Triangular random numbers from uniform ones, by the inverse of the distribution."""
    rising = low + np.sqrt(uniform * (high - low) * (mode - low))
    falling = high - np.sqrt((1 - uniform) * (high - low) * (high - mode))
    return np.where(uniform * (high - low) < mode - low, rising, falling)
