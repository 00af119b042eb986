"""Offsets on the logits of a trained model, one per class, that help its worst class.

Quotas decide what a model is trained on; offsets correct what it has learned to expect. Where
classes are unequal in the kept samples, the model expects the large ones, and no quota moves the
smallest off zero; an offset does. Both go together.

NumPy only.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.errors import DropError

ROUNDS = 400
FIRST_STEP, LAST_STEP = 2.0, 0.02  # of an offset, for a recall that is 1 below the mean
MARGIN = 2.0  # between the two largest logits of a sample, for which the steps are meant
SCALE = 16.0  # logits of margins up to four times as large, or as small, count as of this margin
MOST_POWERS = 200  # of the scale: sums of more, and of their opposite, need not be floats
ENOUGH = 50  # samples of a class whose recall is taken as it was measured


def log_prior_offsets(sizes: npt.ArrayLike) -> FloatArray:
    """Offsets that take the frequencies of the training samples off the logits.

    They are logarithms of probabilities and do not follow the scale of the logits, which must be
    those that the model's softmax takes: cosines, for example, only once its temperature is in.

    Args:
        sizes: (K,) int >= 0, training samples of each class; a class without any counts as one

    Returns:
        (K,) float64, ``-log(n_k / n)`` less its mean

    Source: Menon et al., ICLR 2021, arXiv 2007.07314, with temperature 1.
    """
    logs: FloatArray = np.log(np.maximum(np.asarray(sizes, dtype=np.float64), 1))
    return np.asarray(logs.mean() - logs)


def tuned_offsets(logits: npt.ArrayLike, labels: npt.ArrayLike) -> FloatArray:
    """Offsets under which the worst recall on held-out samples is highest.

    In every round the offset of a class grows by as much as its recall is below the mean, in steps
    that get smaller. Of all rounds, the one with the highest worst recall counts; among equals that
    with the highest mean.

    One hard sample of a class that has no other must not decide for all classes. So a class counts
    as if it were filled up with samples of mean recall: see :func:`shares_known`.

    A factor on all logits changes no prediction, so the offsets follow it: steps are multiples of
    a unit that grows with the margins of the predictions. The unit is a power of 16, which rounds
    nothing, and 1 for the logits of most classifiers: the published figures are of those.

    Args:
        logits: (N, K) float, of samples that the model was not trained on
        labels: (N,) int in [0, K), their classes; classes without samples keep the mean offset

    Returns:
        (K,) float64 with mean 0; all zeros if nothing was better than no offset

    Raises:
        DropError: if there is no sample

    Source: the post-hoc weights of DROPS (arXiv 2309.08825) without its constraint.
    """
    table, targets = np.asarray(logits, dtype=np.float64), np.asarray(labels, dtype=np.int64)
    if not len(targets):
        raise DropError("logits", "must be those of at least one sample")
    known = shares_known(np.bincount(targets, minlength=table.shape[1]))
    offsets = np.zeros(table.shape[1])
    best, highest = offsets, (-1.0, -1.0)
    for step in _unit(table) * np.geomspace(FIRST_STEP, LAST_STEP, ROUNDS):
        observed = recalls_under(offsets, table, targets)
        mean = np.nansum(known * observed) / known.sum()
        recalls = known * observed + (1 - known) * mean
        found = (float(np.nanmin(recalls)), float(mean))
        if found > highest:
            best, highest = offsets, found
        offsets = offsets + step * np.nan_to_num(mean - recalls)
        offsets -= offsets.mean()
    return best


def shares_known(support: IntArray) -> FloatArray:
    """How much the recall of each class says about it; the rest is taken from the other classes.

    A class of 50 samples or more counts in full; where none has as many, the largest does.

    Args:
        support: (K,) int, validation samples

    Returns:
        (K,) float64 in [0, 1]
    """
    shares: FloatArray = np.minimum(support / min(ENOUGH, support.max()), 1)
    return shares


def _unit(logits: FloatArray) -> float:
    """The power of 16 by which the margins of the predictions differ from those of most models."""
    top = np.sort(logits, axis=1)[:, -2:]
    with np.errstate(invalid="ignore", over="ignore"):  # infinities
        margins = top[:, -1] - top[:, 0]
    margins = margins[(margins > 0) & (margins < np.inf)]
    if not len(margins):
        return 1.0
    power = round((float(np.median(np.log(margins))) - math.log(MARGIN)) / math.log(SCALE))
    return float(SCALE ** np.clip(power, -MOST_POWERS, MOST_POWERS))


def recalls_under(offsets: FloatArray, logits: FloatArray, labels: IntArray) -> FloatArray:
    """The recall of each class if offsets are added to the logits.

    Args:
        offsets: (K,) float
        logits: (N, K) float
        labels: (N,) int in [0, K)

    Returns:
        (K,) float64 in [0, 1], NaN for classes without samples
    """
    k = logits.shape[1]
    correct = (logits + offsets).argmax(1) == labels
    with np.errstate(invalid="ignore"):
        return np.bincount(labels[correct], minlength=k) / np.bincount(labels, minlength=k)
