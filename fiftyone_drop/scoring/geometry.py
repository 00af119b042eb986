"""Scores from the geometry of embeddings: distance to the class mean, k-center order."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fiftyone_drop import checks
from fiftyone_drop._torch import torch
from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring.registry import register_score
from fiftyone_drop.scoring.switches import Whole

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 1024
"""Embeddings converted at a time: extra memory is independent of N."""

LARGEST = 1e14
"""Of embeddings: sums of products of as many as fit in memory are finite in float32."""

_NEAR = 0.01
"""A squared distance is a difference of terms; below this fraction of them it is recomputed."""

_SERIAL = 2**15
"""PyTorch hands operations on more elements to several threads. For so little work that costs more
than it gains, and far more on a busy machine."""

Embeddings: TypeAlias = "Tensor | npt.NDArray[Any]"


@register_score(
    "class_mean_distance",
    hard="high",
    needs="embeddings",
    description="Distance of the embedding to the mean embedding of its class (SSP-y, Moderate).",
    source="DRoP authors' scorers (SSPY); after Sorscher et al., NeurIPS 2022, arXiv 2206.14486",
)
def class_mean_distance(
    embeddings: Embeddings, labels: Tensor | npt.ArrayLike
) -> npt.NDArray[np.float64]:
    """Euclidean distance to the class mean.

    Goes through the embeddings twice, 1,024 at a time, so that a memory-mapped array of float32 may
    have any size; one of another type is copied. Means are float64.

    Args:
        embeddings: (N, D) float
        labels: (N,) integers

    Returns:
        (N,) float64 >= 0, higher = further from the prototype = harder. Moderate coresets keep
        the middle instead

    Raises:
        DropError: if shapes do not match, or embeddings are not finite
    """
    table = as_tensor(embeddings)
    index, counts = class_index(labels, len(table))
    which = torch.from_numpy(index).to(table.device)
    means = torch.zeros(len(counts), table.shape[1], dtype=torch.float64, device=table.device)
    parts = [slice(i, i + _ROWS) for i in range(0, len(table), _ROWS)]
    for part in parts:
        means.index_add_(0, which[part], table[part].double())
    means /= torch.from_numpy(counts).to(table.device)[:, None]
    distances = [(table[part].double() - means[which[part]]).norm(dim=1) for part in parts]
    return np.asarray(torch.cat(distances).cpu().numpy(), np.float64)


@register_score(
    "k_center",
    hard=None,
    kept_first="low",
    needs="embeddings",
    description="Position in the greedy k-center order (CoreSet): picked first, covers most.",
    source="Sener and Savarese, ICLR 2018, arXiv 1708.00489; DRoP authors' scorers/coreset.py",
    conventions={"picks": Whole(default=0, minimum=0)},
    uses_labels=False,
)
def k_center(
    embeddings: Embeddings, labels: object = None, *, picks: int = 0
) -> npt.NDArray[np.float64]:
    """Position of each sample in the order of :func:`k_center_order`.

    The score has no hard end. Keeping the lowest positions first gives, at every size, the greedy
    k-center subset of that size, so that its subsets are nested.

    Args:
        embeddings: (N, D) float
        labels: ignored
        picks (0): how many samples to pick one by one; 0 for all. The time is proportional to it.
            The others follow by their distance to the picked ones, the furthest first

    Returns:
        (N,) float64, a permutation of 0 ... N-1

    Raises:
        DropError: see :func:`k_center_order`
    """
    table = as_tensor(embeddings)
    order, left = _pick(table, min(picks, len(table)) or len(table))
    rest = np.setdiff1d(np.arange(len(table)), order)
    rest = rest[np.argsort(-left[rest], kind="stable")]
    positions = np.empty(len(table))
    positions[np.concatenate([order, rest])] = np.arange(len(table))
    return positions


def k_center_order(embeddings: Embeddings, n: int | None = None) -> npt.NDArray[np.int64]:
    """Greedy k-center: the sample nearest the mean, then always the one furthest from all picked.

    One matrix-vector product in float32 per pick and O(N) extra memory. float32 arrays and tensors
    are used in place, on their device. Distances that the float32 product cannot resolve, between
    near-duplicates, are recomputed from differences.

    Args:
        embeddings: (N, D) float
        n (None): how many to pick, in [1, N]; None for all

    Returns:
        (n,) int64, the picked samples in the order of picking. Ties go to the lower number

    Raises:
        DropError: if ``n`` is out of range, or embeddings are no finite (N, D) array
    """
    table = as_tensor(embeddings)
    number = checks.whole("n", n, least=1, most=len(table), optional=True)
    return _pick(table, len(table) if number is None else number)[0]


def _pick(table: Tensor, n: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    """The first n picks, and every sample's squared distance to them."""
    mean, size, square = _moments(table)
    picks = torch.empty(n, dtype=torch.long, device=table.device)
    nearest, distance = torch.full_like(square, torch.inf), torch.empty_like(square)
    columns = _Columns(table, size, square, nearest, distance)
    rows = _SERIAL if table.is_cpu else len(table)
    blocks = [
        _Columns(*(column[start : start + rows] for column in columns))
        for start in range(0, len(table), rows)
    ]
    pick = square.argmin()
    for i in range(n):
        picks[i] = pick
        centre = table[pick]
        arm = centre - mean
        torch.mv(table, arm, out=distance)
        offset, near = square[pick] + 2 * (mean @ arm), _NEAR * arm.norm()
        for block in blocks:
            _update(block, centre, offset, near)
        nearest[pick] = -1.0  # below every distance: no sample is picked twice, even a duplicate
        pick = nearest.max(0).indices
    return picks.cpu().numpy(), nearest.cpu().numpy()


class _Columns(NamedTuple):
    table: Tensor
    size: Tensor
    square: Tensor
    nearest: Tensor
    distance: Tensor


def _update(block: _Columns, centre: Tensor, offset: Tensor, near: Tensor) -> None:
    """Lower ``nearest`` to the squared distance to the new centre c; ``distance`` is x (c - m)."""
    # |x - c|^2 = |x - m|^2 + |c - m|^2 - 2 (x - m)(c - m): with the mean m taken off the centre,
    # the product is nearly as exact as with centred embeddings, which would be a second copy
    table, size, square, nearest, distance = block
    distance.mul_(-2).add_(square).add_(offset)
    close = (distance <= size * near).nonzero()[:, 0]
    if len(close):
        _recompute(distance, table, centre, close)
    torch.minimum(nearest, distance, out=nearest)


def _recompute(distance: Tensor, table: Tensor, centre: Tensor, rows: Tensor) -> None:
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS]
        distance[part] = (table[part] - centre).square_().sum(1)


def _moments(table: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean (D,), norms (N,) and squared distances to the mean (N,), in float32."""
    total = torch.zeros(table.shape[1], dtype=torch.float64, device=table.device)
    for start in range(0, len(table), _ROWS):
        total += table[start : start + _ROWS].sum(0, dtype=torch.float64)
    mean = (total / len(table)).float()
    size, square = (
        torch.empty(len(table), dtype=torch.float32, device=table.device) for _ in range(2)
    )
    for start in range(0, len(table), _ROWS):
        part = table[start : start + _ROWS]
        torch.linalg.vector_norm(part, dim=1, out=size[start : start + _ROWS])
        square[start : start + _ROWS] = (part - mean).square_().sum(1)
    return mean, size, square


def class_index(
    labels: Tensor | npt.ArrayLike, n: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The class of each of n samples, counted from 0, and the size of each class.

    Raises:
        DropError: if there is not one label per sample
    """
    numbers = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    if numbers.shape != (n,):
        raise DropError(
            "labels", f"must have the shape ({n},), one per embedding, but got {numbers.shape}"
        )
    _, index, counts = np.unique(numbers, return_inverse=True, return_counts=True)
    return index, counts


def as_tensor(embeddings: Embeddings) -> Tensor:
    """A float32 tensor, of the same memory where the input is float32 already.

    Raises:
        DropError: if embeddings are no (N, D) array, not finite, or beyond ``LARGEST``
    """
    if isinstance(embeddings, torch.Tensor):
        table = embeddings.detach().float().contiguous()
    else:
        array = np.ascontiguousarray(embeddings, np.float32)
        with warnings.catch_warnings():
            # A memory map opened for reading is not writable, and nothing here writes
            warnings.filterwarnings("ignore", message=".*not writable")
            table = torch.from_numpy(array)
    if table.ndim != 2 or 0 in table.shape:
        raise DropError("embeddings", f"must have the shape (N, D), but got {tuple(table.shape)}")
    for i in range(0, len(table), _ROWS):
        most = float(table[i : i + _ROWS].abs().amax())  # NaN if there is one
        if not math.isfinite(most):
            raise DropError(
                "embeddings",
                "must be finite, but got NaN or infinite values; leave out the samples whose "
                "embedding failed",
            )
        if most > LARGEST:
            raise DropError(
                "embeddings",
                f"must lie in [{-LARGEST:g}, {LARGEST:g}], whose squares float32 can add up, but "
                f"reach {most:g}; divide all of them by one number",
            )
    return table
