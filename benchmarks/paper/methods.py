"""What is compared: which score orders the samples, and which rule gives the class quotas."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from data import Data, members_by_class

from fiftyone_drop.density import kept_size
from fiftyone_drop.order import drop_order, inner_order
from fiftyone_drop.rules import class_weights, get_rule
from fiftyone_drop.scoring import get_score

SHORT = (
    "el2n",
    "grand",
    "loss",
    "herding",
)  # scores of query models trained for a tenth of the epochs
LONG = ("forgetting", "dynamic_uncertainty", "k_center")  # scores of one full training
WINSORISED = 0.1  # of each end

Found = Mapping[str, npt.NDArray[np.float64]]


@dataclass(frozen=True)
class Method:
    """A way to prune, and to train on what is left.

    Attributes:
        title: what tables and plots call it
        score: the name of a score; None is at random
        rule: a rule of the package, or "nucs", "rcap" or "minimax"
        weighted_loss: CDB-W: the loss of a class is weighted by 1 - its validation recall after
            the epoch before (Sinha et al., IJCV 2022, as the authors' code has it)
        adjusted_loss: the log of the kept share of each class is added to its logits in the loss
            (Menon et al., ICLR 2021)
        closed_form: recalls are those of ridge regression on random patches, without training
        minimax: quotas are those under which models fitted on the selection have their worst
            recall highest, found in a few rounds: short trainings, or ridge regression with
            ``closed_form``
    """

    title: str
    score: str | None = None
    rule: str = "none"
    weighted_loss: bool = False
    adjusted_loss: bool = False
    closed_form: bool = False
    minimax: bool = False

    @property
    def queries(self) -> tuple[str, ...]:
        """The kinds of query that it needs."""
        if self.minimax:
            return ()
        if self.closed_form:
            return ("closed",)
        short = self.rule not in ("none", "proportional", "balanced") or self.score in SHORT
        return ("short",) * short + ("long",) * (self.score in LONG)


TITLES = {
    "el2n": "EL2N",
    "grand": "GraNd",
    "forgetting": "Forgetting",
    "dynamic_uncertainty": "Dynamic Uncertainty",
    "k_center": "CoreSet",
}
METHODS = {
    "full": Method("Full data"),
    "random": Method("Random"),
    "random+drop": Method("Random + DRoP", rule="drop"),
    **{name: Method(title, name) for name, title in TITLES.items()},
    **{f"{name}+drop": Method(f"{title} + DRoP", name, "drop") for name, title in TITLES.items()},
    "random+drop-closed": Method("Random + DRoP, closed form", rule="drop", closed_form=True),
    "random+minimax": Method("Random + minimax quotas", rule="minimax", minimax=True),
    "random+minimax-closed": Method(
        "Random + minimax quotas, closed form", rule="minimax", minimax=True, closed_form=True
    ),
    "random+drop-unweighted": Method("Random + DRoP, unweighted", rule="drop-unweighted"),
    "random+proportional": Method("Random, proportional", rule="proportional"),
    "random+balanced": Method("Random, balanced", rule="balanced"),
    "random+nucs": Method("Random + NUCS quotas", rule="nucs"),
    "random+rcap": Method("Random + RCAP quotas", rule="rcap"),
    "full+cdb-w": Method("Full data, CDB-W", weighted_loss=True),
    "random+cdb-w": Method("Random, CDB-W", weighted_loss=True),
    "herding": Method("Herding", "herding", "proportional"),
    "herding+drop": Method("Herding + DRoP", "herding", "drop"),
    "herding+balanced": Method("Herding, balanced", "herding", "balanced"),
    "full+adjusted": Method("Full data, adjusted loss", adjusted_loss=True),
    "random+adjusted": Method("Random, adjusted loss", adjusted_loss=True),
    "random+drop+adjusted": Method("Random + DRoP, adjusted loss", rule="drop", adjusted_loss=True),
    "random+balanced+adjusted": Method(
        "Random, balanced, adjusted loss", rule="balanced", adjusted_loss=True
    ),
    "herding+drop+adjusted": Method(
        "Herding + DRoP, adjusted loss", "herding", "drop", adjusted_loss=True
    ),
}


def select(
    data: Data, method: Method, density: float, seed: int, found: Found
) -> npt.NDArray[np.int64]:
    """The positions of the training samples that are kept, ascending.

    Args:
        data: the dataset
        method: how
        density: how many
        seed: of what is at random
        found: "recalls" (K,), and the scores (N,) by name, as far as the method needs them; or the
            class "weights" (K,) themselves
    """
    scores = None if method.score is None else found[method.score]
    first = method.score is None or get_score(method.score).kept_first == "high"
    inner = inner_order(data.train.ids, seed, scores, highest_first=first)
    order = drop_order(data.train.labels.astype(np.int32), inner, weights_of(data, method, found))
    return np.sort(order[: kept_size(len(data.train), density)])


def weights_of(data: Data, method: Method, found: Found) -> npt.NDArray[np.float64] | None:
    """The class weights of a method, (K,) float; None if it has no quotas."""
    if "weights" in found:
        return found["weights"]
    if method.rule == "nucs":
        # Zhang et al., 2025, arXiv 2504.13234: quotas follow size times mean difficulty, the
        # extremes of which are cut off; difficulty is EL2N here
        return data.sizes * np.array([winsorised_mean(s) for s in by_class(data, found["el2n"])])
    if method.rule == "rcap":
        # Hassan et al., UAI 2025, arXiv 2606.11761: the square root of class loss times prior.
        # They take it anew in every epoch, here it is that of the query models
        means = np.array([scores.mean() for scores in by_class(data, found["loss"])])
        return np.sqrt(means * data.sizes / data.sizes.sum())
    columns = {"sizes": data.sizes, **{n: found[n] for n in ("recalls",) if n in found}}
    return class_weights(get_rule(method.rule), columns)


def by_class(data: Data, scores: npt.NDArray[np.float64]) -> list[npt.NDArray[np.float64]]:
    """The scores of each class's samples."""
    return [scores[rows] for rows in members_by_class(data.train.labels, len(data.classes))]


def winsorised_mean(values: npt.NDArray[np.float64]) -> float:
    """The mean after the extremes have been moved to the quantiles."""
    low, high = np.quantile(values, (WINSORISED, 1 - WINSORISED))
    return float(values.clip(low, high).mean())
