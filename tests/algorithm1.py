"""Algorithm 1 of the paper, line by line: the independent reference of the allocation tests."""

import numpy as np


def algorithm1(sizes, recalls, density):
    """Class densities of DRoP, by the paper's loop; recalls below 1.

    Vysogorets, Ahuja, Kempe: DRoP, ICLR 2025, Algorithm 1. ``U`` are the unsaturated classes, ``E``
    the samples that are still to be given out.
    """
    sizes, error = np.asarray(sizes, dtype=float), 1 - np.asarray(recalls, dtype=float)
    densities = np.zeros(len(sizes))
    unsaturated = set(range(len(sizes)))
    excess = density * sizes.sum()
    while excess > 1e-9 * sizes.sum() and unsaturated:
        z = sum(sizes[k] * error[k] for k in unsaturated) / excess
        excess = 0.0
        for k in sorted(unsaturated):
            densities[k] += error[k] / z
            if densities[k] > 1:
                unsaturated.remove(k)
                excess += sizes[k] * (densities[k] - 1)
                densities[k] = 1
    return densities
