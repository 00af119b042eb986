"""Per-sample squared gradient norms of single layers, from their inputs and output gradients.

For a linear map ``y_t = W x_t + b`` applied at T places of a sample, the sample's gradient in W is
``sum_t g_t x_t^T``, g being the gradient of the loss in y. Its squared norm has two forms:

* direct: build the matrix, sum its squares; T * in * out multiplications;
* Gram:   ``sum_{t,s} (g_t . g_s)(x_t . x_s)``, which never builds it; T^2 * (in + out).

Each layer takes the cheaper one ("ghost norm", Goodfellow 2015, arXiv 1510.01799; Bu et al. 2022,
arXiv 2205.10683). With T = 1 the Gram form is ``|g|^2 |x|^2``, all but free. Every function here
returns a (B,) tensor of squared norms for one parameter of one layer. Convolutions have a module
of their own, ``convolution.py``.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from fiftyone_drop.engine.head import Head
from fiftyone_drop.scoring.forward import widen
from fiftyone_drop.scoring.grand.convolution import chunked, conv2d_weight

Norm = Callable[[nn.Module, Tensor, Tensor], Tensor]
"""(layer, input, gradient in the output) -> (B,) squared norms."""


def linear_weight(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Weight of ``nn.Linear``: x (B, ..., in), g (B, ..., out)."""
    x, g = (a.reshape(len(a), -1, a.shape[-1]) for a in (x, g))
    places, width, height = x.shape[1], x.shape[2], g.shape[2]
    if places == 1:
        return g.square().sum((1, 2)) * x.square().sum((1, 2))
    if places * (width + height) <= width * height:
        # Rounding can take the sum of a vanishing gradient below zero
        return torch.bmm(x, x.mT).mul_(torch.bmm(g, g.mT)).sum((1, 2)).clamp_min_(0)
    return chunked(len(x), width * height, lambda c: torch.bmm(g[c].mT, x[c]), x.device)


def last_bias(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """A bias along the last dimension of g (B, ..., out)."""
    return g.reshape(len(g), -1, g.shape[-1]).sum(1).square().sum(1)


def channel_bias(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """A bias along dimension 1 of g (B, C, ...)."""
    return g.flatten(2).sum(2).square().sum(1) if g.ndim > 2 else g.square().sum(1)


def batch_norm_weight(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Scale of a batch norm that uses its running statistics: x, g (B, C, ...)."""
    assert isinstance(layer, _BatchNorm)
    assert layer.running_mean is not None
    assert layer.running_var is not None
    x, g = (a.flatten(2) if a.ndim > 2 else a[..., None] for a in (x, g))
    # sum_t g (x - m) = sum_t g x - m sum_t g would save a pass, and cancel where |m| is large
    product = (x - layer.running_mean[:, None]).mul_(g)
    slope = (layer.running_var + layer.eps).rsqrt()
    return (product.sum(2) * slope).square().sum(1)


def layer_norm_weight(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Scale of ``nn.LayerNorm``: x, g (B, ..., *normalized_shape)."""
    assert isinstance(layer, nn.LayerNorm)
    unit = functional.layer_norm(x, layer.normalized_shape, eps=layer.eps)
    return layer_norm_bias(layer, x, g * unit)


def layer_norm_bias(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Shift of ``nn.LayerNorm``: g (B, ..., *normalized_shape)."""
    assert isinstance(layer, nn.LayerNorm)
    last = len(layer.normalized_shape)
    return g.reshape(len(g), -1, *g.shape[-last:]).sum(1).flatten(1).square().sum(1)


def group_norm_weight(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Scale of ``nn.GroupNorm``: x, g (B, C, ...)."""
    assert isinstance(layer, nn.GroupNorm)
    return channel_bias(layer, x, g * functional.group_norm(x, layer.num_groups, eps=layer.eps))


def embedding_weight(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Table of ``nn.Embedding``: x (B, ...) integers, g (B, ..., D)."""
    assert isinstance(layer, nn.Embedding)
    x, g = x.reshape(len(x), -1), g.reshape(len(g), -1, g.shape[-1])
    if layer.padding_idx is not None:
        g = g * (x != layer.padding_idx)[..., None]
    # Places that look up the same row add up before the norm is taken
    same = x[:, :, None] == x[:, None, :]
    return (torch.bmm(g, g.mT) * same).sum((1, 2)).clamp_min_(0)


def layer_norms(layer: nn.Module) -> dict[str, Norm]:
    """The formulas for the parameters of a layer.

    Args:
        layer: any module

    Returns:
        parameter name ("weight", "bias") -> function; empty for layers without a formula. A
        subclass has one only if it inherits the forward function that the formula belongs to
    """
    forward = type(layer).forward
    # The instance has a forward function of its own, or a hook that may change the output
    if "forward" in vars(layer) or layer._forward_hooks:
        return {}
    for kind, original, norms in _LAYERS:
        if isinstance(layer, kind) and forward is original:
            return norms if _is_plain(layer) else {}
    return {}


_LAYERS: list[tuple[type[nn.Module], object, dict[str, Norm]]] = [
    (nn.Linear, nn.Linear.forward, {"weight": linear_weight, "bias": last_bias}),
    (Head, Head.forward, {"weight": linear_weight, "bias": last_bias}),
    (nn.Conv2d, nn.Conv2d.forward, {"weight": conv2d_weight, "bias": channel_bias}),
    (_BatchNorm, _BatchNorm.forward, {"weight": batch_norm_weight, "bias": channel_bias}),
    (nn.LayerNorm, nn.LayerNorm.forward, {"weight": layer_norm_weight, "bias": layer_norm_bias}),
    (nn.GroupNorm, nn.GroupNorm.forward, {"weight": group_norm_weight, "bias": channel_bias}),
    (nn.Embedding, nn.Embedding.forward, {"weight": embedding_weight}),
]


def _is_plain(layer: nn.Module) -> bool:
    """Whether the layer uses no option that its formula leaves out."""
    if isinstance(layer, nn.Conv2d):
        return layer.padding_mode == "zeros"
    if isinstance(layer, nn.Embedding):
        return layer.max_norm is None and not layer.scale_grad_by_freq
    return True


def squared_norm(norm: Norm, layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Apply a function of this module in at least float32.

    Args:
        norm: one of ``layer_norms(layer)``
        layer: the layer
        x: its input, (B, ...)
        g: the gradient in its output, (B, ...)

    Returns:
        (B,) squared norms; squares of half-precision gradients would underflow
    """
    return norm(layer, widen(x) if x.is_floating_point() else x, widen(g))
