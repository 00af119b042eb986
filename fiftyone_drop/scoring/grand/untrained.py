"""Whether a model of any architecture looks untrained.

Frameworks start norms with constants, biases with zeros and PyTorch's own layers with uniform
weights of a known bound. Training moves all of these. So a model counts as untrained only if every
norm, or without norms every layer, still has its initial values.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd

_NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


def looks_untrained(module: nn.Module) -> bool:
    """Whether all norms, or without norms all layers, are initial; frozen ones do not count."""
    norms = [_fresh_norm(layer) for layer in module.modules() if isinstance(layer, _NORMS)]
    signs = [fresh for fresh in norms if fresh is not None]
    if not signs:
        layers = [m for m in module.modules() if isinstance(m, (nn.Linear, _ConvNd))]
        signs = [_fresh_layer(m.weight, m.bias) for m in layers if m.weight.requires_grad]
    return bool(signs) and all(signs)


def _fresh_norm(norm: nn.Module) -> bool | None:
    """None for a norm that has neither trainable parameters nor running statistics."""
    mean, var = getattr(norm, "running_mean", None), getattr(norm, "running_var", None)
    facts = [_constant(p) for p in norm.parameters(recurse=False) if p.requires_grad]
    if mean is not None and var is not None:
        facts.append(not mean.any() and bool((var == 1).all()))
    return all(facts) if facts else None


def _fresh_layer(weight: Tensor, bias: Tensor | None) -> bool:
    if bias is not None and bias.requires_grad and len(bias) > 1 and _constant(bias):
        return True
    bound, n = 1 / math.sqrt(weight[0].numel()), weight.numel()
    within = float(weight.detach().abs().max()) <= bound * (1 + 1e-5)
    # The mean square of uniform numbers, to four standard errors
    square = float(weight.detach().double().square().mean()) / (bound**2 / 3)
    return within and abs(square - 1) <= 4 * math.sqrt(0.8 / n)


def _constant(values: Tensor) -> bool:
    first = values.detach().flatten()[:1]
    return bool(torch.all(values.detach() == first))
