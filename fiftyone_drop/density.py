"""A dataset density: how many samples it keeps, and for how long to train on them.

NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence

from fiftyone_drop import checks
from fiftyone_drop._types import IntArray
from fiftyone_drop.errors import DropError, listing


def kept_size(n: int, density: float) -> int:
    """How many of ``n`` samples a dataset density keeps.

    Position ``p`` (from 0) of the order is kept at every density of at least ``(p + 1/2) / n``.
    This is the number of such positions, compared in float64 exactly as MongoDB compares the
    stored values, so that it always equals the count of the view.

    Args:
        n: the number of samples, >= 0
        density: the dataset density, in [0, 1]; 0 keeps nothing

    Returns:
        an int in [0, n], within 1/2 of ``density * n``

    Raises:
        DropError: if an argument is out of its range
    """
    n = checks.whole("n", n, least=0)
    density = checks.number("density", density, "[0, 1]", "the fraction that is kept")
    size = min(n, int(density * n + 0.5))
    while size < n and keep_at(size, n) <= density:
        size += 1
    while size > 0 and keep_at(size - 1, n) > density:
        size -= 1
    return size


def keep_at(position: int, n: int) -> float:
    """The smallest dataset density that keeps 0-based ``position`` of ``n``, in (0, 1)."""
    return (position + 0.5) / n


def check_no_class_emptied(classes: Sequence[Hashable], quotas: IntArray) -> None:
    """Check that every class keeps a sample.

    Raises:
        DropError: if some do not; it names them
    """
    emptied = [name for name, quota in zip(classes, quotas, strict=True) if quota == 0]
    if emptied:
        raise DropError(
            "allow_empty_classes",
            f"nothing would be kept of {listing(emptied)}; raise density, "
            "set min_per_class=1 or more, choose another rule, or pass allow_empty_classes=True",
        )


def suggested_epochs(epochs: float, density: float) -> int:
    """How long to train on the pruned dataset: ``E (0.5 + 0.5 d) / d`` epochs, a whole number.

    At equal epochs a small subset is undertrained; this is the paper's length for a model on a
    dataset pruned to ``density``. Scale the epochs of learning rate drops alike.

    Args:
        epochs: the epochs of a training on the full dataset, > 0
        density: the dataset density, in (0, 1]

    Returns:
        an int >= ``epochs``

    Raises:
        DropError: if an argument is out of its range
    """
    epochs_of_all = checks.number("epochs", epochs, "(0, inf)")
    density = checks.density("density", density)
    suggested = epochs_of_all * (0.5 + 0.5 * density) / density
    if math.isinf(suggested):
        raise DropError("epochs", f"{epochs_of_all:g} at a density of {density:g} have no end")
    return max(round(suggested), math.ceil(epochs_of_all))
