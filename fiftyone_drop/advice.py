"""What else than quotas a run needs, from what is known before training.

What was measured is in docs/evidence.md; where a threshold lies between two measurements, its
comment says so. Recalls that noise alone may have made differ are no measurement: quotas by them
would follow noise.

NumPy, and SciPy's chi-square distribution.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.noise import NOISE_LEVEL, homogeneity_p_value

NEARLY_ALL = 0.8  # of the dataset is kept: quotas hardly moved the worst class
# How many times the samples of the smallest class the largest one has, where offsets are advised
UNEQUAL = 10  # measured: log-prior offsets lifted the worst class of models without quotas
UNEQUAL_WITH_QUOTAS = 30  # 100: measured; 10: within noise with DRoP; 30: between, not measured


def advice(table: ClassTable) -> Iterator[str]:
    """Sentences about what to do besides, or instead; none where nothing is to be said.

    Args:
        table: the class table of a run
    """
    if table.weights is not None and table.recalls is not None:
        yield from _about_need(table)
    most, least = int(table.sizes.max()), int(table.sizes.min())
    alike = _keeps_classes_alike(table)
    if most >= (UNEQUAL if alike else UNEQUAL_WITH_QUOTAS) * least:
        why = "A run without class quotas, or with proportional ones, leaves"
        why = why if alike else "Quotas alone leave"
        yield (
            f"the largest class has {most / least:.3g} times the samples of the smallest. {why} "
            "the prior of such a dataset in the model; class offsets on logits, "
            "fod.class_offsets, take it out"
        )


def _keeps_classes_alike(table: ClassTable) -> bool:
    """Whether there are no quotas, or proportional ones without limits that somebody has set."""
    if table.weights is None:
        return True
    limits = {*table.bounds.floors_by, *table.bounds.caps_by} - {"min_per_class"}
    shares = table.weights / table.sizes
    return not limits and bool(np.allclose(shares, shares.mean(), atol=0))


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
                f"the differences between the recalls may be noise, {between}, so "
                "rule='proportional' may do as well; more validation samples would tell"
            )
        else:
            yield f"quotas matter here: the recalls differ by more than noise, {between}"
