"""What else than quotas a run needs, from what is known before training.

When to use what was measured in docs/evidence.md; each piece of advice here is a row of its table.

NumPy, and SciPy's chi-square distribution.
"""

from __future__ import annotations

from collections.abc import Iterator

from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.recall import NOISE_LEVEL, homogeneity_p_value

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
        p = homogeneity_p_value(table.correct, table.support)
        between = f"from {low:.2f} to {high:.2f} (p = {p:.2g})"
        if p > NOISE_LEVEL:
            yield (
                f"the recalls differ by no more than noise, {between}, so rule='proportional' may "
                "do as well; more validation samples would tell"
            )
        else:
            yield f"quotas matter here: the recalls differ by more than noise, {between}"
