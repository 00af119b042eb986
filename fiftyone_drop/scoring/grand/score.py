"""The score ``grand``, registered: PyTorch and what computes it are loaded when it is called."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fiftyone_drop.scoring.registry import register_score

if TYPE_CHECKING:
    from torch import Tensor, nn


@register_score(
    "grand",
    hard="high",
    needs="model",
    description="Norm of the loss gradient in all parameters.",
    source="Paul et al., NeurIPS 2021, arXiv 2107.07075; data_diet/scores.py:get_grad_norm_fn",
)
def per_sample_gradient_norms(module: nn.Module, inputs: Tensor, labels: Tensor) -> Tensor:
    """GraNd of one batch: ``|| d loss_i / d parameters ||_2`` for each sample.

    For many batches of one model build a ``GradientNorms`` once: this function probes the
    model at every call.

    Args:
        module: maps inputs (B, ...) to logits (B, K)
        inputs: (B, ...), not augmented
        labels: (B,) integer class indices

    Returns:
        (B,) float >= 0, higher = harder. Average it over several query models

    Raises:
        DropError: see ``GradientNorms``
    """
    from fiftyone_drop.scoring.grand.gradient_norms import GradientNorms

    return GradientNorms(module)(inputs, labels)
