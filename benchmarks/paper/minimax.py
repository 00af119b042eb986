"""Minimax quotas: class weights that a model trained on what they keep corrects, round by round."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import torch

from fiftyone_drop.engine.images import Indices
from fiftyone_drop.engine.reader import positions
from fiftyone_drop.training.closed_form import AT_ONCE, LeaveOneOut

ROUNDS = 10  # of corrections
STEP = 1.5  # of the log of a weight, for a recall that is 1 below the mean

Floats = npt.NDArray[np.float64]


def corrected(weights: Floats, recalls: Floats, step: float = STEP) -> Floats:
    """Class weights that give more to the classes which a model trained on the quotas does worst.

    Repeated with a model trained on each selection, it goes towards the quotas under which the
    worst recall is highest.

    Args:
        weights: (K,) float >= 0, those of the quotas
        recalls: (K,) float in [0, 1], of a model that was trained on what they keep; NaN where
            nothing is known, as if it were at the mean
        step (1.5): how much the log of a weight grows for a recall that is 1 below the mean, > 0

    Returns:
        (K,) float >= 0 that add up to one

    Source: exponentiated gradient on the classes below the mean, after REDUCR (Bankes et al.,
    NeurIPS 2024, arXiv 2312.00486).
    """
    lacking = np.nan_to_num(np.maximum(0, np.nanmean(recalls) - recalls))
    grown: Floats = weights * np.exp(step * lacking)
    return grown / grown.sum()


def minimax(
    weights: Floats, recalls_of: Callable[[Floats], Floats], rounds: int = ROUNDS
) -> Floats:
    """Class weights under which the worst recall of a model trained on the quotas is highest.

    Args:
        weights: (K,) float >= 0, the first ones
        recalls_of: the recalls (K,) of a model that was trained on the quotas of some weights
        rounds (10): how often the weights are corrected

    Returns:
        (K,) float >= 0: of all weights that were tried, those with the highest worst recall; among
        equals, with the highest mean recall
    """
    best, highest = weights, (-1.0, -1.0)
    for _ in range(rounds + 1):
        recalls = recalls_of(weights)
        found = (float(np.nanmin(recalls)), float(np.nanmean(recalls)))
        if found > highest:
            best, highest = weights, found
        weights = corrected(weights, recalls)
    return best


class Refitted(LeaveOneOut):
    """Ridge regression that can be fitted on some samples only, again and again."""

    def recalls(self, kept: Indices) -> npt.NDArray[np.float64]:
        """The recalls of all classes, had the model seen some samples only.

        Those that it saw are left out once, as ever; the others it has not seen.

        Args:
            kept: (n,) int, n >= 2, distinct rows

        Returns:
            (K,) float64 in [0, 1], NaN for classes without samples
        """
        part, targets = self._rotated[kept], self._targets(kept)
        n, centre, shares = len(part), part.mean(0), targets.mean(0)
        part = part - centre
        gram = (part.T @ part).double()
        gram.diagonal().add_(self.ridge * n)
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(gram)).to(part.dtype)
        slopes = inverse @ (part.T @ targets)
        predicted = torch.empty_like(self._labels)
        for rows in positions(0, len(predicted), AT_ONCE):
            predicted[rows] = ((self._rotated[rows] - centre) @ slopes + shares).argmax(1)
        leverage = ((part @ inverse * part).sum(1) + 1 / n).clamp(max=1 - 1e-9).unsqueeze(1)
        fitted = part @ slopes + shares
        predicted[kept] = ((fitted - leverage * targets) / (1 - leverage)).argmax(1)
        right = torch.bincount(self._labels[predicted == self._labels], minlength=self._classes)
        sizes = torch.bincount(self._labels, minlength=self._classes)
        return (right.double() / sizes).cpu().numpy()
