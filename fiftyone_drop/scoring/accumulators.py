"""Scores of training dynamics, as accumulators that see every presentation once.

A presentation is one row of logits: one sample, once, in one epoch. Each accumulator names the
column of a presentation that it wants (:data:`COLUMNS`), receives it in the order of presentations,
and learns where epochs end. The odd cases:

* a sample seen twice in an epoch: both presentations count, in order, for scores that are defined
  over presentations (forgetting, AUM); scores that are defined over epochs take their mean;
* not seen in an epoch: nothing happens to the sample, and it keeps what it has (a window holds the
  sample's own last J epochs, and counts once; the authors' code presents every sample in every
  epoch);
* never seen, or too rarely for the score: NaN.

State is a dict of NumPy arrays, so that saving and loading it is the same for all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fiftyone_drop import checks
from fiftyone_drop._torch import torch
from fiftyone_drop.scoring.forward import el2n
from fiftyone_drop.scoring.registry import register_score

if TYPE_CHECKING:
    from torch import Tensor

Array = npt.NDArray[Any]
Scores = npt.NDArray[np.float64]
Samples = npt.NDArray[np.int64]
ColumnFunction: TypeAlias = "Callable[[Tensor, Tensor], Tensor]"
Column: TypeAlias = "str | ColumnFunction"

FORWARD: tuple[str, ...] = ("training", "clean")
"""Which logits: those of the training step itself, or of an extra forward pass."""


def _correct(logits: Tensor, labels: Tensor) -> Tensor:
    return (logits.argmax(1) == labels).to(logits.dtype)


def _p_true(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.softmax(logits, 1).gather(1, labels[:, None])[:, 0]


def _margin(values: Tensor, labels: Tensor) -> Tensor:
    own = labels[:, None]
    return values.gather(1, own)[:, 0] - values.scatter(1, own, -torch.inf).amax(1)


COLUMNS: dict[str, ColumnFunction] = {
    "correct": _correct,
    "p_true": _p_true,
    "logit_margin": _margin,
    "softmax_margin": lambda logits, labels: _margin(torch.softmax(logits, 1), labels),
    "el2n": el2n,
    "probabilities": lambda logits, labels: torch.softmax(logits, 1),
}
"""What an accumulator can ask for: (logits (B, K) float32, labels (B,)) -> (B,) or (B, K)."""


class Accumulator:
    """One dynamics score in the making. Subclass it, and register the subclass, for your own.

    Attributes:
        column: the column that :meth:`see` receives: a name in :data:`COLUMNS`, or a method
            ``column(self, logits, labels)`` that computes it on the device of the logits
        forward: "training" or "clean", which logits the column is computed from
        state: everything that changes, as arrays
    """

    column: Column
    forward: str = "training"

    def __init__(self) -> None:
        self.state: dict[str, Array] = {}

    def see(self, samples: Samples, values: Array) -> None:
        """Take presentations in, in order; a sample may occur several times.

        Args:
            samples: (M,) sample numbers
            values: (M,) or (M, K) float32, the column
        """
        raise NotImplementedError

    def end_epoch(self) -> None:
        """End an epoch: all its presentations have been seen."""

    def result(self) -> Scores:
        """The scores so far, (N,) float64; NaN where the sample has none."""
        raise NotImplementedError


def column_function(accumulator: Accumulator) -> ColumnFunction:
    """The function that computes an accumulator's column.

    Raises:
        DropError: if the accumulator, one of the user's own, asks for something unknown
    """
    checks.choice("forward", accumulator.forward, FORWARD)
    column = accumulator.column
    return COLUMNS[checks.choice("column", column, COLUMNS)] if isinstance(column, str) else column


def _in_runs(
    samples: Samples,
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Sort presentations by sample, keeping their order; mark first and last of each sample."""
    order = np.argsort(samples, kind="stable")
    change = samples[order][1:] != samples[order][:-1]
    edge = np.ones(1, bool)
    return order, np.concatenate([edge, change]), np.concatenate([change, edge])


class _Learning(Accumulator):
    """Keeps whether each sample was right at its last presentation, and when it was first."""

    column = "correct"

    def __init__(self, n: int) -> None:
        super().__init__()
        self.state = {
            "seen": np.zeros(n, np.int64),
            "right": np.zeros(n, bool),
            "forgotten": np.zeros(n, np.int64),
            "first": np.full(n, -1, np.int64),
            "epoch": np.zeros((), np.int64),
        }

    def see(self, samples: Samples, values: Array) -> None:
        state = self.state
        order, first, last = _in_runs(samples)
        samples, right = samples[order], values[order] > 0.5
        before = np.where(first, state["right"][samples], np.roll(right, 1))
        np.add.at(state["forgotten"], samples, before & ~right)
        np.add.at(state["seen"], samples, 1)
        state["right"][samples[last]] = right[last]
        learned = samples[right & (state["first"][samples] < 0)]
        state["first"][learned] = state["epoch"]

    def end_epoch(self) -> None:
        self.state["epoch"] += 1


@register_score(
    "forgetting",
    hard="high",
    needs="dynamics",
    description="How often the sample was right at one presentation and wrong at the next.",
    source="Toneva et al., ICLR 2019, arXiv 1812.05159; order_examples_by_forgetting.py",
    conventions={"never_learned": ("max", "inf", "zero")},
)
class Forgetting(_Learning):
    """Forgetting events.

    A sample that was never right has none, though it is the hardest. ``never_learned`` is its
    score: "max", the most presentations of any sample, which no count reaches (Toneva et al.);
    "inf" (data_diet); or "zero", so that it counts as easiest (DeepCore, CCS, dPrune, DUAL and the
    authors of DRoP). Counts tie heavily: break ties at random, never by position.
    """

    def __init__(self, n: int, *, never_learned: Literal["max", "inf", "zero"] = "max") -> None:
        super().__init__(n)
        self.never_learned = never_learned

    def result(self) -> Scores:
        """(N,) float64 >= 0, higher = harder."""
        state = self.state
        scores = state["forgotten"].astype(np.float64)
        most = float(state["seen"].max(initial=0))
        worst = {"max": most, "inf": np.inf, "zero": 0.0}[self.never_learned]
        scores[state["first"] < 0] = worst
        scores[state["seen"] == 0] = np.nan
        return scores


@register_score(
    "first_learned",
    hard="high",
    needs="dynamics",
    description="The epoch in which the sample was right for the first time.",
    source="Toneva et al., ICLR 2019, arXiv 1812.05159; order_examples_by_forgetting.py",
)
class FirstLearned(_Learning):
    """First-learned epoch, counted from 0; the number of epochs if it was never learned."""

    def result(self) -> Scores:
        """(N,) float64 in [0, E], higher = harder."""
        state = self.state
        scores = np.where(state["first"] < 0, state["epoch"], state["first"]).astype(np.float64)
        scores[state["seen"] == 0] = np.nan
        return scores


@register_score(
    "aum",
    hard="low",
    needs="dynamics",
    description="Area under the margin: mean of label logit minus highest other logit.",
    source="Pleiss et al., NeurIPS 2020, arXiv 2001.10528; asappresearch/aum",
    conventions={"aum_on": ("logits", "softmax")},
)
class AUM(Accumulator):
    """Mean margin over all presentations.

    ``aum_on``: "logits", as the authors define it, or "softmax", the same on probabilities (CCS,
    DataCull, DUAL). Low values flag hard and mislabelled samples.
    """

    def __init__(self, n: int, *, aum_on: Literal["logits", "softmax"] = "logits") -> None:
        super().__init__()
        self.column = {"logits": "logit_margin", "softmax": "softmax_margin"}[aum_on]
        self.state = {"sum": np.zeros(n), "count": np.zeros(n, np.int64)}

    def see(self, samples: Samples, values: Array) -> None:
        """Add the margins up."""
        # add.at adds one after the other: the sum does not depend on how rows were grouped.
        np.add.at(self.state["sum"], samples, values)
        np.add.at(self.state["count"], samples, 1)

    def result(self) -> Scores:
        """(N,) float64, LOWER = harder; in [-1, 1] on softmax."""
        with np.errstate(invalid="ignore"):
            return np.asarray(self.state["sum"] / self.state["count"], np.float64)
