"""The arguments of ``compute_scores``, parsed once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fiftyone_drop import checks
from fiftyone_drop.cluster import Cluster, check_device
from fiftyone_drop.errors import DropError
from fiftyone_drop.inference.resolve import Extras
from fiftyone_drop.inference.source import PassOptions, Source, Switches, wanted
from fiftyone_drop.scoring import deal_switches, get_score
from fiftyone_drop.training import TrainingOptions


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(PassOptions):
    """The arguments of ``compute_scores`` as plain values.

    Attributes:
        conventions: the switches that the user set
        extras: what some kinds of models need
        switches: score -> all of its switches

    Raises:
        DropError: a value is out of range, a score or switch is unknown, or a score needs a
            training run
    """

    label_field: str | None
    scores: Sequence[str]
    conventions: Mapping[str, Any]
    extras: Extras
    spread: bool
    prefix: str
    folds: int
    models: int
    seed: int
    overwrite: bool
    cluster: Cluster | None = None
    switches: Switches = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        scores, seed = checks.texts("scores", self.scores), checks.seed("seed", self.seed)
        check_device(self.cluster, self.extras.device)
        self._settle(
            label_field=checks.text("label_field", self.label_field, optional=True),
            scores=scores,
            spread=checks.flag("spread", self.spread),
            prefix=checks.text("prefix", self.prefix, empty=True),
            folds=checks.whole("folds", self.folds, least=2),
            models=checks.whole("models", self.models, least=1),
            seed=seed,
            overwrite=checks.flag("overwrite", self.overwrite),
            cluster=Cluster.of(self.cluster),
            switches=_deal(scores, seed, self.conventions),
        )

    def training(self, number: int) -> TrainingOptions:
        """How the query models of a cross-validation are trained."""
        return TrainingOptions(seed=(self.seed + number) % 2**32, deterministic=self.deterministic)

    def check_models(self, model: object, sources: Sequence[Source]) -> None:
        """Check that the models, or the query models without any, can give the scores.

        Args:
            model: the argument of ``compute_scores``
            sources: its sources of logits

        Raises:
            DropError: if one cannot
        """
        if model is not None and self.models > 1:
            raise DropError(
                "models",
                f"must be 1 with model=, but got {self.models}; pass a list of models as model=",
            )
        if self.spread and (self.models if model is None else len(sources)) < 2:
            raise DropError(
                "spread",
                "several models have a spread; pass a list of them as model=, or models=5",
            )
        remedy = "pass a model that reads images, such as fiftyone_drop.train_query_model(...)"
        needy = wanted(self.switches, "features", "model", "embeddings")
        if needy and model is None:
            raise DropError(
                "model",
                f"{needy} need one model for all samples, since activations and gradients of "
                f"cross-validated query models do not compare; {remedy}",
            )
        for source in sources:
            needy = [
                n for n in self.switches if get_score(n).needs not in {*source.gives, "nothing"}
            ]
            if needy:
                raise DropError(
                    "model",
                    f"{needy} need more than {source.words}: activations or gradients; {remedy}",
                )


def _deal(
    scores: Sequence[str], seed: int, conventions: Mapping[str, Any]
) -> dict[str, dict[str, Any]]:
    """Give every score the switches that it knows."""
    if not scores:
        raise DropError("scores", "must name at least one score")
    registered = [get_score(name) for name in scores]
    dynamic = [score.name for score in registered if score.needs == "dynamics"]
    if dynamic:
        raise DropError(
            "scores",
            f"{dynamic} follow from a training run, not from a model; record them with "
            "fiftyone_drop.DynamicsRecorder in your training loop",
        )
    return deal_switches(scores, conventions, {"seed": seed})
