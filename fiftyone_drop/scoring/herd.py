"""Herding: an order of each class whose first samples have nearly the mean of the class."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fiftyone_drop._torch import torch
from fiftyone_drop.scoring.geometry import Embeddings, as_tensor, class_index
from fiftyone_drop.scoring.registry import register_score

if TYPE_CHECKING:
    from torch import Tensor

_ROWS = 1024
"""Embeddings converted at a time."""


@register_score(
    "herding",
    hard=None,
    kept_first="low",
    needs="embeddings",
    description="Position in the herding order of its class: picked first, keeps the class mean.",
    source="Welling, ICML 2009; Guo et al. (DeepCore), DEXA 2022; deepcore/methods/herding.py",
    conventions={"herding_pick": ("closest", "welling")},
)
def herding(
    embeddings: Embeddings, labels: Tensor | npt.ArrayLike, *, herding_pick: str = "closest"
) -> npt.NDArray[np.float64]:
    """Position of each sample in the herding order of its class, from 0 to 1.

    Each pick is the sample that brings the mean of the picked samples nearest to the mean of the
    class. DeepCore sets out to do the same, but its code takes the furthest sample. The score has
    no hard end. Keeping the scores below d keeps the first fraction d of every class, as DeepCore
    does by default, and at every d the herding subset of that size.

    A pick takes one product of the class's embeddings with a vector. A class with at most as many
    samples as dimensions takes one matrix product in all. Extra memory is a copy of the largest
    class.

    Args:
        embeddings: (N, D) float
        labels: (N,) integers
        herding_pick ("closest"): "closest", or "welling": the largest inner product with Welling's
            weights, the sum of the differences between the mean and each picked sample. Where all
            embeddings have the same norm, both are the same

    Returns:
        (N,) float64 in (0, 1): (j - 1/2) / N_k for the j-th pick of a class of N_k samples. Ties
        go to the lower number

    Raises:
        DropError: if shapes do not match, or embeddings are not finite
    """
    table = as_tensor(embeddings)
    index, counts = class_index(labels, len(table))
    members = np.split(np.argsort(index, kind="stable"), np.cumsum(counts)[:-1])
    positions = np.empty(len(table))
    for rows in members:
        order = _herd(table, rows, herding_pick)
        positions[rows[order]] = (np.arange(len(rows)) + 0.5) / len(rows)
    return positions


def _herd(table: Tensor, rows: npt.NDArray[np.int64], pick_by: str) -> npt.NDArray[np.int64]:
    """The order of picking of some rows, as positions among them."""
    # With y = x - mean, the next pick minimises |sum of the picked y + y|, and so
    # |y|^2 / 2 + y (sum of the picked y); Welling's maximises y (mean - sum of the picked y)
    arms, mean = _centred(table, torch.from_numpy(rows).to(table.device))
    if pick_by == "closest":
        start = torch.linalg.vector_norm(arms, dim=1, dtype=torch.float64).square_() / 2
    else:
        start = -(arms @ mean.float()).double()
    picks = torch.empty(len(arms), dtype=torch.long, device=table.device)
    if len(arms) <= arms.shape[1]:
        products = arms.double() @ arms.double().T  # no larger than the embeddings
        for i in range(len(arms)):
            picks[i] = pick = start.argmin()
            start += products[pick]
            start[pick] = torch.inf
    else:
        start = start.float()
        cost, total = start.clone(), torch.zeros_like(mean)
        for i in range(len(arms)):
            picks[i] = pick = cost.argmin()
            start[pick] = torch.inf
            total += arms[pick]  # in float64, and every product from the total: no error adds up
            torch.addmv(start, arms, total.float(), out=cost)
    return picks.cpu().numpy()


def _centred(table: Tensor, rows: Tensor) -> tuple[Tensor, Tensor]:
    """Rows of the table minus their mean, (n, D) float32, and the mean, (D,) float64."""
    arms = table[rows]
    mean = torch.zeros(table.shape[1], dtype=torch.float64, device=table.device)
    parts = [arms[start : start + _ROWS] for start in range(0, len(arms), _ROWS)]
    for part in parts:
        mean += part.sum(0, dtype=torch.float64)
    mean /= len(arms)
    for part in parts:
        part.copy_(part.double() - mean)
    return arms, mean
