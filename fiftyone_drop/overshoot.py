"""Whether class quotas go so far that the worst class would be another, and worse, one.

DRoP moves the decisions of a model in the right direction, and may go too far where classes overlap
much and few samples are kept (docs/evidence.md). How far is predicted here with the model of the
paper: any two classes are two Gaussians on a line, divided by the threshold of least average risk.
Sizes and recalls determine it. The errors of a class are taken to go to all others alike.

NumPy, and SciPy's normal distribution.
"""

from __future__ import annotations

import numpy as np

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.class_table import ClassTable

LEAST_RISE = 0.002  # of the worst risk: less is no reason to warn
LEAST_RISE_OF_MANY = 0.02  # with three classes or more, where the errors go is a guess
LEAST_RISK = 1e-6
MOST_CLASSES = 1_000  # all pairs of more would take seconds


def risks_after(sizes: IntArray, recalls: FloatArray, kept: IntArray) -> FloatArray:
    """The class risks that a model trained on the kept samples will have, as far as can be told.

    Two classes ``N(0, 1)`` and ``N(gap, s^2)`` with the priors ``p`` and ``1 - p`` are divided at
    ``t``, so their risks are ``ndtr(-t)`` and ``ndtr((t - gap) / s)``. There the densities are
    equal, ``p phi(t) = (1 - p) phi((t - gap) / s) / s``, which gives ``s`` from the risks.

    Args:
        sizes: (K,) int > 0, K >= 2, samples that the recalls' model was trained on
        recalls: (K,) float in [0, 1]
        kept: (K,) int, samples that are kept

    Returns:
        (K,) float in [0, 1]
    """
    from scipy.special import ndtr, ndtri

    k = len(sizes)
    risks = np.clip((1 - recalls) / (k - 1), LEAST_RISK, 1 - LEAST_RISK)
    first, second = risks[:, None], risks[None, :]
    t = -ndtri(first)
    z = ndtri(second)
    s = sizes[None, :] / sizes[:, None] * np.exp((t**2 - z**2) / 2)
    gap = t - s * z
    # Where the logarithm of the ratio of both densities grows through 0: a quadratic in t
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        a = (1 - 1 / s**2) / 2
        b = gap / s**2
        c = np.log(kept[None, :] / (kept[:, None] * s)) - gap**2 / (2 * s**2)
        discriminant = b**2 - 4 * a * c
        after = -2 * c / (b + np.sqrt(discriminant))
        all_second = np.where(kept[None, :] > kept[:, None], -np.inf, np.inf)
        mine = ndtr(-after)
        others = ndtr((after - gap) / s)
        share = kept[:, None] / (kept[:, None] + kept[None, :])
        learnt = share * mine + (1 - share) * others < np.minimum(share, 1 - share)
        after = np.where((discriminant > 0) & learnt, after, all_second)
    result = ndtr(-after)
    np.fill_diagonal(result, 0)
    sums: FloatArray = np.minimum(result.sum(axis=1), 1)
    return sums


def overshoot_warning(table: ClassTable) -> str | None:
    """Words if the worst class is likely to do worse after pruning than before; None if not."""
    k = len(table.classes)
    if table.recalls is None or table.weights is None or not 2 <= k <= MOST_CLASSES:
        return None
    if isinstance(table.classes[0], tuple) or not table.quotas.all():
        return None  # a model predicts labels, and not cells; emptied classes are said elsewhere
    before = 1 - table.recalls
    after = risks_after(table.sizes, table.recalls, table.quotas)
    worst, then = int(before.argmax()), int(after.argmax())
    least = LEAST_RISE if k == 2 else LEAST_RISE_OF_MANY
    if then == worst or after[then] - before[worst] <= least:
        return None
    return (
        f"the quotas may go too far: the worst recall, {1 - before[worst]:.2f} of "
        f"{table.names[worst]!r}, would become about {1 - after[then]:.2f}, of "
        f"{table.names[then]!r}, if the classes overlap as two Gaussians do. A larger density, a "
        "better query model or rule='proportional' avoids that"
    )
