"""What else than quotas a run needs, from what is known before training.

When to use what was measured in docs/evidence.md; each piece of advice here is a row of its table.

NumPy, and SciPy's test of a contingency table.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fiftyone_drop._types import IntArray
from fiftyone_drop.class_table import ClassTable

NOISE = 0.05  # a p value above: the recalls differ by no more than noise does
NEARLY_ALL = 0.8  # of the dataset is kept: quotas hardly moved the worst class
UNEQUAL = 30  # times as many samples in the largest class: 100 call for offsets, 10 do not


def advice(table: ClassTable) -> Iterator[str]:
    """Sentences about what to do besides, or instead; none where nothing is to be said.

    Args:
        table: the class table of a run
    """
    if table.weights is not None and table.recalls is not None:
        yield from _about_need(table)
    most, least = int(table.sizes.max()), int(table.sizes.min())
    if most >= UNEQUAL * least:
        yield (
            f"the largest class has {most / least:.3g} times the samples of the smallest. Quotas "
            "alone leave the prior of such a dataset in the model; class offsets on logits, "
            "fod.class_offsets, take it out"
        )


def _about_need(table: ClassTable) -> Iterator[str]:
    assert table.recalls is not None
    low, high = table.recalls.min(), table.recalls.max()
    if table.density >= NEARLY_ALL:
        yield f"nearly all samples are kept ({table.density:.3g}), so quotas change little"
    elif table.correct is not None and table.support is not None:
        p = homogeneity(table.correct, table.support)
        between = f"from {low:.2f} to {high:.2f} (p = {p:.2g})"
        if p > NOISE:
            yield (
                f"the recalls differ by no more than noise, {between}, so rule='proportional' may "
                "do as well; more validation samples would tell"
            )
        else:
            yield f"quotas matter here: the recalls differ by more than noise, {between}"


def homogeneity(correct: IntArray, support: IntArray) -> float:
    """The probability of recalls that differ as much, if all classes had one: a chi-squared test.

    Args:
        correct: (K,) int, correct predictions of each class
        support: (K,) int, of how many samples; classes of none are left out

    Returns:
        the p value, in [0, 1]; 1 where there is nothing to compare
    """
    from scipy.stats import chi2_contingency

    counts = np.array([correct, support - correct])[:, support > 0]
    if counts.shape[1] < 2 or not counts.sum(axis=1).all():
        return 1.0
    return float(chi2_contingency(counts, correction=False).pvalue)
