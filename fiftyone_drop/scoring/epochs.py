"""Scores of training dynamics that are defined over epochs, most of them in a sliding window.

Windows remember the last J epochs of each sample, and nothing older.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt

from fiftyone_drop.scoring.accumulators import FORWARD, Accumulator, Array, Scores
from fiftyone_drop.scoring.registry import register_score
from fiftyone_drop.scoring.switches import Whole

AT_ONCE = 2**20  # numbers of samples that are looked at together when an epoch ends


class _PerEpoch(Accumulator):
    """Reduces the presentations of an epoch to their mean before anything else."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.state = {
            "sum": np.zeros(shape),
            "count": np.zeros(shape[0], np.int64),
            "epoch": np.zeros((), np.int64),
        }

    def see(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        np.add.at(self.state["sum"], samples, values)
        np.add.at(self.state["count"], samples, 1)

    def end_epoch(self) -> None:
        state = self.state
        seen = np.flatnonzero(state["count"])
        some = max(1, AT_ONCE // max(1, state["sum"][0].size))
        for start in range(0, len(seen), some):
            rows = seen[start : start + some]
            count = state["count"][rows].reshape(-1, *[1] * (state["sum"].ndim - 1))
            self.take(rows, state["sum"][rows] / count)
        state["sum"][:] = 0
        state["count"][:] = 0
        state["epoch"] += 1

    def take(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        """Some of the samples seen in this epoch, each of which comes once, with their mean."""
        raise NotImplementedError


@register_score(
    "el2n_mean",
    hard="high",
    needs="dynamics",
    description="EL2N during training, averaged over the first epochs.",
    source="Zheng et al. (CCS), ICLR 2023, arXiv 2210.15809; generate_importance_score.py",
    conventions={"el2n_epochs": Whole(default=10, minimum=1), "el2n_forward": FORWARD},
)
class EL2NMean(_PerEpoch):
    """Mean over the first ``el2n_epochs`` epochs (or all there were, if fewer) of EL2N.

    CCS sums over ten, which gives the same order. ``el2n_forward="clean"`` takes the logits of an
    extra forward pass in evaluation mode.
    """

    column = "el2n"

    def __init__(self, n: int, *, el2n_epochs: int = 10, el2n_forward: str = "training") -> None:
        super().__init__((n,))
        self.epochs, self.forward = el2n_epochs, el2n_forward
        self.state |= {"total": np.zeros(n), "taken": np.zeros(n, np.int64)}

    def take(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        """Add the epoch's EL2N, if it is one of the first."""
        if self.state["epoch"] < self.epochs:
            self.state["total"][samples] += values
            self.state["taken"][samples] += 1

    def result(self) -> Scores:
        """(N,) float64 in [0, sqrt(2)], higher = harder."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.state["total"] / self.state["taken"], np.float64)


class _Ring:
    """The last J values of every sample, one ring per sample."""

    def __init__(self, state: dict[str, Array], n: int, length: int) -> None:
        self.state = state
        state |= {"ring": np.zeros((n, length), np.float32), "filled": np.zeros(n, np.int64)}

    def push(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        ring, filled = self.state["ring"], self.state["filled"]
        ring[samples, filled[samples] % ring.shape[1]] = values
        filled[samples] += 1

    def full(self, samples: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """Those of some samples that have a whole window."""
        whole: npt.NDArray[np.bool_] = self.state["filled"][samples] >= self.state["ring"].shape[1]
        return samples[whole]


class _WindowMean(_PerEpoch):
    """Mean over windows of a function of the label's probability in J epochs."""

    column = "p_true"

    def __init__(self, n: int, window: int, skip_last: bool) -> None:
        super().__init__((n,))
        self.ring = _Ring(self.state, n, window)
        self.skip_last = skip_last
        self.state |= {
            "total": np.zeros(n),
            "windows": np.zeros(n, np.int64),
            # The window that ends now. It counts as soon as another epoch follows
            "last": np.full(n, np.nan),
        }

    def end_epoch(self) -> None:
        self._count_last()
        super().end_epoch()

    def take(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        self.ring.push(samples, values)
        full = self.ring.full(samples)
        self.state["last"][full] = self.of_window(self.state["ring"][full].astype(np.float64))

    def _count_last(self) -> None:
        known = ~np.isnan(self.state["last"])
        self.state["total"][known] += self.state["last"][known]
        self.state["windows"][known] += 1
        self.state["last"][:] = np.nan  # once: a sample that is not seen now has no new window

    def of_window(self, values: Array) -> Array:
        """(M, J) label probabilities -> (M,)."""
        raise NotImplementedError

    def result(self) -> Scores:
        """(N,) float64 >= 0, higher = harder."""
        total, windows, last = (self.state[k] for k in ("total", "windows", "last"))
        if not self.skip_last:
            known = ~np.isnan(last)
            total, windows = total + np.where(known, last, 0), windows + known
        with np.errstate(invalid="ignore"):
            return np.asarray(total / windows, np.float64)


@register_score(
    "dynamic_uncertainty",
    hard="high",
    needs="dynamics",
    description="10 x standard deviation of the label's probability in J epochs, over all windows.",
    source="He et al., CVPR 2024, arXiv 2306.05175; BAAI-DCAI/Dataset-Pruning, get_coreset.py",
    conventions={
        "window": Whole(default=10, minimum=2),
        "last_window": ("skip", "include"),
        "uncertainty_forward": FORWARD,
    },
)
class DynamicUncertainty(_WindowMean):
    """Dynamic Uncertainty: mean over windows of 10 x the unbiased standard deviation.

    ``last_window``: "skip" leaves out the window that ends with the last epoch, as the authors'
    code does; "include" counts all, as DUAL's version does. The effective window of DRoP's code is
    one shorter: pass ``window=9`` for its 10. ``uncertainty_forward="clean"``: the authors take the
    probability from an extra forward pass on the image without augmentation, in evaluation mode.
    Needs J + 1 epochs with "skip", J with "include".
    """

    def __init__(
        self,
        n: int,
        *,
        window: int = 10,
        last_window: Literal["skip", "include"] = "skip",
        uncertainty_forward: str = "training",
    ) -> None:
        super().__init__(n, window, skip_last=last_window == "skip")
        self.forward = uncertainty_forward

    def of_window(self, values: Array) -> Array:
        """10 x standard deviation."""
        return np.asarray(10 * values.std(axis=1, ddof=1))


@register_score(
    "dual",
    hard="high",
    needs="dynamics",
    description="Uncertainty times difficulty, 10 std (1 - mean) within J epochs, early on.",
    source="Cho et al. (DUAL), 2025, arXiv 2502.06905; exp_cifar/importance_evaluation.py",
    conventions={"window": Whole(default=10, minimum=2), "dual_epochs": Whole(30, minimum=2)},
)
class Dual(_WindowMean):
    """DUAL: mean over the windows of the first ``dual_epochs`` epochs of 10 std (1 - mean).

    The authors look at the first 30 epochs of 200, and sample by a Beta density at high pruning
    rates; this is the score alone.
    """

    def __init__(self, n: int, *, window: int = 10, dual_epochs: int = 30) -> None:
        super().__init__(n, window, skip_last=False)
        self.epochs = dual_epochs

    def take(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        """Move the windows on, in the first epochs."""
        if self.state["epoch"] < self.epochs:
            super().take(samples, values)

    def of_window(self, values: Array) -> Array:
        """10 x standard deviation x (1 - mean)."""
        return np.asarray(10 * values.std(axis=1, ddof=1) * (1 - values.mean(axis=1)))


@register_score(
    "tdds",
    hard="high",
    needs="dynamics",
    description="Temporal Dual-Depth Scoring: how unsteadily the prediction moves, late more.",
    source="Zhang et al. (TDDS), CVPR 2024, arXiv 2311.13613; importance_evaluation.py",
    conventions={"tdds_window": Whole(10, minimum=3), "tdds_epochs": Whole(90, minimum=3)},
)
class TDDS(_PerEpoch):
    """TDDS over the first ``tdds_epochs`` epochs.

    The move from one epoch to the next is ``sum_c |p' (log p' - log p)|``. A window of J epochs has
    J - 1 moves and counts the norm of their deviations from their mean; windows are averaged with
    exponential weights 0.9 x 0.1^age. The authors choose epochs and window per pruning rate:
    CIFAR-100 90/10, 70/10, 60/20, 20/10 and 10/5 at 30, 50, 70, 80 and 90 % pruned. Keeps the
    last prediction of every sample, 4 bytes per sample and class; those of the epoch that is open
    take 4 more, and their sums another 4 while it ends.
    """

    column = "probabilities"

    def __init__(self, n: int, *, tdds_window: int = 10, tdds_epochs: int = 90) -> None:
        super().__init__((n, 0))
        self.epochs = tdds_epochs
        self.ring = _Ring(self.state, n, tdds_window - 1)
        self.state |= {"before": np.zeros((n, 0), np.float32), "average": np.full(n, np.nan)}

    def see(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        """Add the predictions up, in the first epochs."""
        if self.state["epoch"] >= self.epochs:
            return
        shape = len(self.state["before"]), values.shape[1]
        if self.state["before"].shape != shape:  # the first logits tell the number of classes
            self.state["before"] = np.full(shape, np.nan, np.float32)
        if self.state["sum"].shape != shape:
            self.state["sum"] = np.zeros(shape, np.float32)
        super().see(samples, values)

    def end_epoch(self) -> None:
        """Give the memory of the sums back until another epoch ends."""
        super().end_epoch()
        self.state["sum"] = self.state["sum"][:, :0].copy()

    def take(self, samples: npt.NDArray[np.int64], values: Array) -> None:
        """Measure the move since the sample's last epoch, and average its newest window in."""
        before = self.state["before"][samples]
        self.state["before"][samples] = values
        known = ~np.isnan(before[:, 0])
        samples, values, before = samples[known], values[known], before[known]
        ratio = np.log(values + 1e-8) - np.log(before + 1e-8)
        self.ring.push(samples, np.abs(values * ratio).sum(1))
        full = self.ring.full(samples)
        moves = self.state["ring"][full].astype(np.float64)
        spread = np.linalg.norm(moves - moves.mean(1, keepdims=True), axis=1)
        average = np.nan_to_num(self.state["average"][full])
        self.state["average"][full] = 0.1 * average + 0.9 * spread

    def result(self) -> Scores:
        """(N,) float64 >= 0, higher = kept."""
        return np.array(self.state["average"], np.float64)
