"""Class recalls, and how sure they are.

"Class" is the class, or with ``group_by`` the cell (class x value): the functions see codes only.

NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence, Set
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import checks
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.noise import pearson

Z = 1.959963984540054  # the normal quantile of a two-sided 95 % interval
SHRINKAGE: Literal["shrinkage"] = "shrinkage"
Smoothing = float | Literal["shrinkage"]


def class_counts(
    codes: NDArray[np.int32], correct: NDArray[np.bool_], k: int
) -> tuple[IntArray, IntArray]:
    """Count correct predictions and samples per class.

    Args:
        codes: (n,) int in [0, K), the true class of each validation sample
        correct: (n,) bool, whether its prediction is right; a missing prediction is wrong
        k: the number of classes, K

    Returns:
        a tuple of two (K,) int arrays: correct predictions, and validation samples
    """
    return np.bincount(codes[correct], minlength=k), np.bincount(codes, minlength=k)


def check_smoothing(argument: str, smoothing: object) -> Smoothing:
    """Return ``smoothing``, a number as a float.

    Raises:
        DropError: if it is neither ``"shrinkage"`` nor a finite number >= 0
    """
    if isinstance(smoothing, str) and smoothing == SHRINKAGE:
        return SHRINKAGE
    hint = "where 0.5 is Jeffreys' prior and 0 none, or 'shrinkage' (towards the mean recall)"
    return checks.number(argument, smoothing, "[0, inf)", hint)


def class_recalls(
    correct: IntArray, support: IntArray, smoothing: Smoothing = SHRINKAGE
) -> FloatArray:
    """Recall per class from counts.

    A number ``s`` gives ``(correct + s) / (n + 2s)``: ``s = 0`` is Algorithm 1 of the paper to the
    digit, ``s = 0.5`` the posterior mean under Jeffreys' prior. That pulls a class with few
    validation samples towards 1/2. Of an accurate model, the classes with the fewest validation
    samples would then keep most. ``"shrinkage"`` pulls towards the mean recall of all classes
    instead, as strongly as chance explains the differences between them: all the way if chance
    explains them all, and hardly at all if there are many samples.

    Args:
        correct: (K,) int, correct predictions
        support: (K,) int, validation samples
        smoothing ("shrinkage"): ``"shrinkage"`` or ``s``, >= 0

    Returns:
        (K,) float in [0, 1]; NaN for classes without a validation sample
    """
    recalls = np.full(len(support), np.nan)
    seen = support > 0
    if not seen.any():
        return recalls
    if smoothing == "shrinkage":
        recalls[seen] = _shrunk(correct[seen], support[seen])
    else:
        recalls[seen] = (correct[seen] + smoothing) / (support[seen] + 2 * smoothing)
    return recalls


def _shrunk(correct: IntArray, support: IntArray) -> FloatArray:
    """Posterior means under a Beta prior fitted to all classes by moments, (K,) float.

    With ``rho = 1 / (a + b + 1)`` of Beta(a, b), the statistic of the homogeneity test is ``K - 1``
    on average by chance, and ``rho (N - sum n^2 / N - (K - 1))`` beyond that.

    Kleinman: Proportions with extraneous variance: single and independent samples, JASA 68 (1973).
    """
    statistic, freedom = pearson(correct, support)
    total = int(support.sum())
    room = total - float(support @ support) / total - freedom
    rho = min(1.0, max(0.0, (statistic - freedom) / room)) if room > 0 else 0.0
    weights = 1 / (1 + (support - 1) * rho)
    mean = (weights @ correct) / (weights @ support)
    shrunk: FloatArray = (rho * correct + (1 - rho) * mean) / (rho * support + (1 - rho))
    return shrunk


def recall_intervals(correct: IntArray, support: IntArray) -> FloatArray:
    """95 % Wilson score intervals of the recalls, without smoothing.

    Wilson: Probable inference, the law of succession, and statistical inference, JASA 22 (1927).

    Args:
        correct: (K,) int, correct predictions
        support: (K,) int, validation samples

    Returns:
        (K, 2) float in [0, 1], lower and upper ends; (0, 1) for classes without a sample
    """
    n = np.maximum(support, 1)
    p = correct / n
    centre = (p + Z**2 / (2 * n)) / (1 + Z**2 / n)
    half = Z * np.sqrt(p * (1 - p) / n + Z**2 / (4 * n**2)) / (1 + Z**2 / n)
    ends = np.clip(np.stack([centre - half, centre + half], axis=1), 0, 1)
    ends[support == 0] = (0, 1)
    return ends


def samples_for_width(width: float) -> int:
    """Validation samples of a class that make its interval no wider, at any recall.

    The Wilson interval is widest at a recall of one half, ``Z / sqrt(n + Z**2)``.

    Args:
        width: a float in (0, 1)
    """
    return math.ceil((Z / width) ** 2 - Z**2)


def recalls_of_mapping(
    recalls: Mapping[Any, float],
    classes: Sequence[Hashable],
    missing_recall: float | None = None,
    remedy: str = "add it",
) -> FloatArray:
    """Recalls that were passed, as an array over ``classes``.

    Args:
        recalls: a mapping from class to recall in [0, 1]; numbers, True and False stand for the
            classes that are their words
        classes: the K classes of the target
        missing_recall (None): the recall of classes that ``recalls`` lacks
        remedy ("add it"): what the caller can do about such classes, for the error

    Returns:
        (K,) float in [0, 1]

    Raises:
        DropError: if a class is missing, unknown, or its recall out of range
    """
    recalls = _in_words(recalls, set(classes))
    absent = [name for name in classes if name not in recalls]
    if absent and missing_recall is None:
        _check_known("recalls", recalls, classes)
        raise DropError("recalls", f"no recall for {listing(absent)}; {remedy}")
    complete = {**recalls, **dict.fromkeys(absent, missing_recall)}
    return column_of_mapping("recalls", complete, classes, "[0, 1]")


def _in_words(recalls: Mapping[Any, float], classes: Set[Hashable]) -> dict[Any, float]:
    """The same recalls, where a name that is no class is the word that is one."""
    found: dict[Any, float] = {}
    for name, recall in recalls.items():
        word = tuple(map(str, name)) if isinstance(name, tuple) else str(name)
        known = word if name not in classes and word in classes else name
        if known in found:
            raise DropError("recalls", f"has two recalls of {known!r}; leave one of them out")
        found[known] = recall
    return found


def column_of_mapping(
    argument: str,
    values: Mapping[Any, Any],
    classes: Sequence[Hashable],
    interval: str = "(-inf, inf)",
) -> FloatArray:
    """A number per class as an array over ``classes``.

    Args:
        argument: the name of the argument, for errors
        values: a mapping from class to number
        classes: the K classes
        interval: where the numbers must lie

    Returns:
        (K,) float

    Raises:
        DropError: if a class is missing or unknown, or its value is no number in the interval
    """
    _check_known(argument, values, classes)
    absent = [name for name in classes if name not in values]
    if absent:
        raise DropError(argument, f"no value for {listing(absent)}; add it")
    return np.array(
        [checks.number(argument, values[name], interval, f"for {name!r}") for name in classes],
        dtype=np.float64,
    )


def _check_known(argument: str, values: Mapping[Any, Any], classes: Sequence[Hashable]) -> None:
    known = set(classes)
    unknown = [name for name in values if name not in known]
    if unknown:
        raise DropError(
            argument,
            f"{listing(unknown)} is no class of the target, whose classes are "
            f"{listing(list(classes))}; leave it out",
        )
