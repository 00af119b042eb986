"""Whether recalls differ by more than noise: tests, and their p-values.

NumPy, and SciPy's distributions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from fiftyone_drop._types import IntArray

NOISE_LEVEL = 0.05  # a p-value above: noise alone may be the reason
NO_VARIANCE = 1e-9  # in units of the mean: chance cannot change the statistic, but for rounding
ROUNDS = 50  # of the search for a number of samples: far more than it takes


def pearson(correct: IntArray, support: IntArray) -> tuple[float, int]:
    """Pearson's statistic that all classes have the same recall, and its degrees of freedom.

    Args:
        correct: (K,) int, correct predictions
        support: (K,) int, validation samples

    Returns:
        a float and an int, both 0 if fewer than two classes have samples, or all or none are
        correct
    """
    seen = support > 0
    correct, support = correct[seen], support[seen]
    pooled = float(correct.sum()) / max(1, int(support.sum()))
    if len(support) < 2 or not 0 < pooled < 1:
        return 0.0, 0
    deviations = (correct - pooled * support) ** 2 / (pooled * (1 - pooled) * support)
    return float(deviations.sum()), len(support) - 1


def homogeneity_p_value(correct: IntArray, support: IntArray) -> float:
    """The p-value of Pearson's test that all classes have the same recall.

    The statistic is compared with a multiple of a chi-square distribution, which has the mean and
    the variance that it has if chance alone decides which of the samples are correct. With many
    samples that is Pearson's chi-square. In a long tail of an accurate model's validation samples
    the variance is several times as large, for there a single mistake weighs much.

    Args:
        correct: (K,) int, correct predictions
        support: (K,) int, validation samples

    Returns:
        a float in [0, 1]; 1 if there is nothing to test
    """
    from scipy.special import chdtrc

    statistic, classes = pearson(correct, support)
    if not classes:
        return 1.0
    mean, variance = _by_chance(correct, support)
    if variance <= NO_VARIANCE * mean**2:
        return 1.0
    freedom = 2 * mean**2 / variance
    return float(chdtrc(freedom, statistic * freedom / mean))


def samples_to_tell_apart(correct: IntArray, support: IntArray, level: float) -> int | None:
    """Validation samples per class that would make the observed differences significant.

    Of Pearson's statistic, chance contributes its mean; the part beyond that grows with the number
    of samples.

    Args:
        correct: (K,) int, correct predictions
        support: (K,) int, validation samples
        level: the p-value that counts as significant, in (0, 1)

    Returns:
        an int, at least as many as there are; None if the recalls differ by no more than chance
        alone makes them
    """
    from scipy.special import chdtri

    statistic, classes = pearson(correct, support)
    if not classes:
        return None
    mean, _ = _by_chance(correct, support)
    excess = statistic - mean
    if excess <= NO_VARIANCE * mean:
        return None
    times = 1.0
    for _ in range(ROUNDS):
        mean, variance = _by_chance(correct, support, times)
        freedom = 2 * mean**2 / variance
        critical = float(chdtri(freedom, level)) * mean / freedom
        times = max(1.0, (critical - mean) / excess)
    return math.ceil(times * float(support[support > 0].mean()))


def _by_chance(correct: IntArray, support: IntArray, times: float = 1.0) -> tuple[float, float]:
    """Mean and variance of Pearson's statistic if chance alone decides which samples are correct.

    Dawson: A simplified expression for the variance of the chi-square function on a contingency
    table, Biometrika 41 (1954).

    Args:
        correct: (K,) int, correct predictions
        support: (K,) int, validation samples
        times: how many times as many there are of both
    """
    sizes = times * support[support > 0]
    k, n = len(sizes), float(sizes.sum())
    pooled = times * float(correct.sum()) / n
    # Of two and three samples all terms that are divided by 0 are 0
    outcomes = (1 / (pooled * (1 - pooled)) - 4) / max(n - 2, 1)
    classes = (float((n / sizes).sum()) - k**2) / max(n - 2, 1)
    both = ((n - 2) / (n - 1) - outcomes) * ((k - 1) * (n - k) / (n - 1) - classes)
    variance = 2 * n / max(n - 3, 1) * both + n**2 / (n - 1) * outcomes * classes
    return n * (k - 1) / (n - 1), variance


def paired_p_value(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test that two models are right equally often on some samples.

    McNemar: Note on the sampling error of the difference between correlated proportions or
    percentages, Psychometrika 12 (1947).

    Args:
        only_first: the number of samples on which the first model alone is right
        only_second: the number of those on which the second alone is

    Returns:
        a float in [0, 1]
    """
    from scipy.special import bdtr

    fewer, all_of_them = min(only_first, only_second), only_first + only_second
    return min(1.0, 2 * float(bdtr(fewer, all_of_them, 0.5)))


def chance_p_value(truth: Sequence[Hashable], predicted: Sequence[Hashable]) -> float:
    """The p-value of a one-sided test that predictions are right no more often than by chance.

    Chance names each class as often as the predictions do, whatever the truth is. So a model that
    always names the largest class is no better.

    Fleiss, Cohen, Everitt: Large sample standard errors of kappa, Psychological Bulletin 72 (1969).

    Args:
        truth: n classes of samples
        predicted: their n predictions

    Returns:
        a float in [0, 1]; 1 if all predictions, or all samples, are of one class
    """
    from scipy.special import ndtr

    n = len(truth)
    of_truth, of_predicted = Counter(truth), Counter(predicted)
    p = np.array([of_truth[name] / n for name in of_truth])
    q = np.array([of_predicted[name] / n for name in of_truth])
    chance = float(p @ q)
    variance = (chance + chance**2 - float((p * q) @ (p + q))) / n
    if variance <= 1e-12 / n:
        return 1.0
    right = sum(a == b for a, b in zip(truth, predicted, strict=True)) / n
    return float(ndtr(-(right - chance) / math.sqrt(variance)))
