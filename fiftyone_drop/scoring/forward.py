"""Scores of one forward pass: functions of logits, labels and penultimate activations.

All of them together cost a few operations on a (B, K) matrix, so that one pass over the images
gives them all. Each function is pure, stays on the device of its input, computes in float32
(float64 when the logits are float64; half precision is lifted first) and never overflows: logits
of +-1e30 are as good as any. The model should be in evaluation mode, its inputs not augmented.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fiftyone_drop._torch import torch
from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring.registry import get_score, register_score

if TYPE_CHECKING:
    from torch import Tensor

FORWARD = ("logits", "features")
"""The needs that one forward pass covers."""


def widen(values: Tensor) -> Tensor:
    """Half precision to float32; anything wider stays as it is."""
    return values if values.dtype in (torch.float32, torch.float64) else values.float()


def finite_rows(*values: Tensor | None) -> Tensor:
    """(B,) bool, whether all values (B, ...) of a row are finite; None is left out."""
    return torch.stack([v.isfinite().flatten(1).all(1) for v in values if v is not None]).all(0)


def are_probabilities(outputs: Tensor) -> bool:
    """Whether outputs (B, K) look like those of a softmax, as far as their precision tells."""
    if not outputs.is_floating_point():
        return False
    error = max(1e-4, torch.finfo(outputs.dtype).eps)
    sums = widen(outputs).sum(1)
    return bool((outputs >= 0).all() and ((sums - 1).abs() <= error).all())


def _others(probabilities: Tensor, classes: Tensor) -> Tensor:
    """The probabilities with one class (B,) of each row put to 0.

    The others sum to 1 - p without cancellation, however close to 1 that p is.
    """
    return probabilities.scatter(1, classes[:, None], 0.0)


@register_score(
    "el2n",
    hard="high",
    needs="logits",
    description="Norm of the error vector: softmax minus one-hot label.",
    source="Paul et al., NeurIPS 2021, arXiv 2107.07075; data_diet/scores.py:get_lord_error_fn",
)
def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """EL2N, ``||softmax(f(x)) - onehot(y)||_2``.

    Args:
        logits: (B, K) float
        labels: (B,) integer class indices in [0, K)

    Returns:
        (B,) float in [0, sqrt(2)], higher = harder. Average it over several query models: the
        authors recommend ten, DRoP's experiments use five after 10 % of the epochs
    """
    others = _others(torch.softmax(widen(logits), dim=1), labels)
    return (others.square().sum(1) + others.sum(1).square()).sqrt()


@register_score(
    "grand_last_layer",
    hard="high",
    needs="features",
    description="Norm of the loss gradient in the last linear layer: EL2N * sqrt(1 + |h|^2).",
    source="Guo et al. (DeepCore), DEXA 2022, arXiv 2204.08499; deepcore/methods/grand.py",
)
def grand_last_layer(logits: Tensor, labels: Tensor, features: Tensor) -> Tensor:
    """Gradient norm of the cross-entropy loss in weight and bias of the last linear layer.

    Args:
        logits: (B, K) float
        labels: (B,) integer class indices in [0, K)
        features: (B, D) float, the inputs of the last linear layer

    Returns:
        (B,) float >= 0, higher = harder. DeepCore averages it over ten models. A cheap stand-in
        for ``grand``, which takes the gradient in all parameters
    """
    norm = torch.linalg.vector_norm(widen(features), dim=1)
    result: Tensor = el2n(logits, labels) * torch.hypot(norm, torch.ones_like(norm))
    return result


@register_score(
    "loss",
    hard="high",
    needs="logits",
    description="Cross-entropy of the label, in nats.",
    source="standard",
)
def loss(logits: Tensor, labels: Tensor) -> Tensor:
    """Cross-entropy loss of each sample.

    Args:
        logits: (B, K) float
        labels: (B,) integer class indices in [0, K)

    Returns:
        (B,) float >= 0, higher = harder
    """
    return torch.nn.functional.cross_entropy(widen(logits), labels, reduction="none")


@register_score(
    "entropy",
    hard="high",
    needs="logits",
    description="Entropy of the predicted distribution, in nats; FiftyOne's hardness.",
    source="Shannon 1948; Settles 2009; fiftyone.brain.compute_hardness",
    uses_labels=False,
)
def entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Entropy of the softmax. Does not look at the labels.

    Args:
        logits: (B, K) float
        labels: (B,) ignored

    Returns:
        (B,) float in [0, ln K], higher = harder
    """
    # entr(0) = 0, where p * log p would give NaN for a logit of -inf
    result: Tensor = torch.special.entr(torch.softmax(widen(logits), dim=1)).sum(1)
    return result


@register_score(
    "margin",
    hard="low",
    needs="logits",
    description="Highest minus second-highest probability.",
    source="Scheffer et al., IDA 2001; Settles 2009; deepcore/methods/uncertainty.py",
    uses_labels=False,
)
def margin(logits: Tensor, labels: Tensor) -> Tensor:
    """Margin between the two most probable classes. Does not look at the labels.

    Args:
        logits: (B, K) float, K >= 2
        labels: (B,) ignored

    Returns:
        (B,) float in [0, 1], LOWER = harder
    """
    first, second = torch.softmax(widen(logits), dim=1).topk(2, dim=1).values.unbind(1)
    return first - second


@register_score(
    "least_confidence",
    hard="high",
    needs="logits",
    description="One minus the highest probability.",
    source="Lewis and Gale, SIGIR 1994; Settles 2009",
    uses_labels=False,
)
def least_confidence(logits: Tensor, labels: Tensor) -> Tensor:
    """One minus the probability of the predicted class. Does not look at the labels.

    Args:
        logits: (B, K) float
        labels: (B,) ignored

    Returns:
        (B,) float in [0, 1 - 1/K], higher = harder
    """
    return _others(torch.softmax(widen(logits), dim=1), logits.argmax(1)).sum(1)


def forward_scores(
    scores: Iterable[str],
    logits: Tensor,
    labels: Tensor,
    features: Tensor | None = None,
    *,
    switches: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, npt.NDArray[np.float32]]:
    """Compute several forward-pass scores of one batch.

    Args:
        scores: names of scores that need ``"logits"`` or ``"features"``
        logits: (B, K) float, K >= 2, on any device
        labels: (B,) integer class indices in [0, K), on any device
        features (None): (B, D) float, the inputs of the last linear layer; only where a score needs
            them
        switches (None): score name -> its switches; the others have their defaults

    Returns:
        name -> (B,) float32 array, in the order of ``scores``. A row whose logits (or features) are
        not finite scores NaN

    Raises:
        DropError: if a score is unknown or needs more than this, or arrays do not match
    """
    table = [get_score(name) for name in scores]
    for score in table:
        if score.needs not in FORWARD:
            raise DropError(
                "scores",
                f"'{score.name}' needs {score.needs!r}, but a forward pass gives {list(FORWARD)}",
            )
        if score.needs == "features" and features is None:
            raise DropError("features", f"must be a tensor for '{score.name}', but got None")
    _check_batch(logits, labels, features)
    if not table:
        return {}
    labels = labels.to(logits.device, torch.long)
    with torch.no_grad():
        columns = []
        for score in table:
            more = [features] if score.needs == "features" else []
            own = score.switches((switches or {}).get(score.name, {}))
            column = score.function(logits, labels, *more, **own)
            columns.append(score.checked(column, len(logits)).float())
        # One copy from the device for all scores together
        finite = finite_rows(logits, features)
        rows = torch.stack(columns).masked_fill(~finite, torch.nan).cpu().numpy()
    return {score.name: row for score, row in zip(table, rows, strict=True)}


def _check_batch(logits: Tensor, labels: Tensor, features: Tensor | None) -> None:
    if logits.ndim != 2 or logits.shape[1] < 2 or not logits.is_floating_point():
        raise DropError(
            "logits",
            "must be a float tensor of the shape (B, K) with K >= 2 classes, but got "
            f"{logits.dtype} of the shape {tuple(logits.shape)}",
        )
    rows, classes = logits.shape
    if labels.shape != (rows,) or labels.is_floating_point():
        raise DropError(
            "labels",
            f"must be integers of the shape ({rows},), one per row of logits, but got "
            f"{labels.dtype} of the shape {tuple(labels.shape)}",
        )
    if rows and not 0 <= int(labels.min()) <= int(labels.max()) < classes:
        raise DropError(
            "labels",
            f"must lie in [0, {classes}), since the model has an output per class, but got "
            f"[{int(labels.min())}, {int(labels.max())}]",
        )
    if features is not None and (features.ndim != 2 or len(features) != rows):
        raise DropError(
            "features",
            f"must have the shape ({rows}, D), but got {tuple(features.shape)}; flatten or pool "
            "the activations first",
        )
