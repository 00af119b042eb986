"""Offsets on the logits of a trained model, one per class, that help its worst class.

Quotas decide what a model is trained on; offsets correct what it has learned to expect. Where
classes are unequal in the kept samples, the model expects the large ones, and no quota moves the
smallest off zero; an offset does. Both go together.

NumPy only.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.errors import DropError

LOGIT_ADJUSTMENT = "Menon et al.: Long-tail learning via logit adjustment, ICLR 2021"
DROPS = "Dong et al.: DROPS, Distributionally robust post-hoc classifiers, ICLR 2023"

ROUNDS = 400
FIRST_STEP, LAST_STEP = 2.0, 0.02  # of an offset, for a recall that is 1 below the mean


def log_prior_offsets(sizes: npt.ArrayLike) -> FloatArray:
    """Offsets that take the frequencies of the training samples off the logits.

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
    offsets = np.zeros(table.shape[1])
    best, highest = offsets, (-1.0, -1.0)
    for step in np.geomspace(FIRST_STEP, LAST_STEP, ROUNDS):
        recalls = recalls_under(offsets, table, targets)
        found = (float(np.nanmin(recalls)), float(np.nanmean(recalls)))
        if found > highest:
            best, highest = offsets, found
        offsets = offsets + step * np.nan_to_num(found[1] - recalls)
        offsets -= offsets.mean()
    return best


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
