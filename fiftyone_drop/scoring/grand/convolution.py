"""Per-sample squared gradient norms in the weight of a 2d convolution.

The places of ``layer_formulas.py`` are the output pixels, and x_t is the patch under the kernel.
The Gram form never writes patches out: neighbouring ones overlap, so the products of patches are
sums of products of padded input pixels, ``x_t . x_s = sum_o pixel_{t+o} . pixel_{s+o}``, o running
over the kernel. That takes k^2 times fewer multiplications than the products of patches themselves.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

_CHUNK, _GPU_CHUNK = 2**23, 2**26
"""Most floats of per-sample gradients at a time: more than 32 MiB leave the caches of a CPU, while
a GPU has no use for small pieces of work."""

# Costs in multiplications of a batched matrix product. Measured on two CPU cores with oneDNN; in
# nearly every layer of ResNet-18 and VGG-16 the cheapest form is so by a factor
_TOUCH = 32
"""Writing one element and reading it again."""
_CALL = 4_000_000
"""One more call of a convolution kernel."""
_KERNEL = 0.5
"""A multiplication inside a convolution kernel."""


def chunked(
    count: int, size: int, gradients: Callable[[slice], Tensor], device: torch.device
) -> Tensor:
    """Squared norms of per-sample gradients, a few samples at a time.

    Args:
        count: number of samples
        size: floats per gradient
        gradients: slice of samples -> their gradients, one per row
        device: where they are

    Returns:
        (count,) squared norms
    """
    rows = max(1, (_CHUNK if device.type == "cpu" else _GPU_CHUNK) // size)
    parts = (gradients(slice(i, i + rows)) for i in range(0, count, rows))
    return torch.cat([part.flatten(1).square_().sum(1) for part in parts])


def conv2d_weight(layer: nn.Module, x: Tensor, g: Tensor) -> Tensor:
    """Weight of ``nn.Conv2d``: x (B, in, H, W), g (B, out, H', W')."""
    assert isinstance(layer, nn.Conv2d)
    left, right, top, bottom = _margins(layer)
    pixels = (x.shape[2] + top + bottom) * (x.shape[3] + left + right)
    if layer.kernel_size == (1, 1):
        pixels = g.shape[2] * g.shape[3]  # a stride skips the others
    places, weights = g.shape[2] * g.shape[3], layer.weight.numel()
    offsets = layer.kernel_size[0] * layer.kernel_size[1]
    costs: dict[Callable[[nn.Conv2d, Tensor, Tensor], Tensor], float] = {
        _gram: pixels**2 * (x.shape[1] + _TOUCH * layer.groups)
        + places**2 * (g.shape[1] + _TOUCH * layer.groups * offsets),
        _batched: (places + _TOUCH) * weights + _TOUCH * places * x.shape[1] * offsets,
    }
    if x.is_cpu:
        costs[_one_by_one] = (_KERNEL * places + _TOUCH) * weights + _CALL
    return min(costs, key=costs.__getitem__)(layer, x, g)


def _margins(layer: nn.Conv2d) -> list[int]:
    """The padding of the layer as (left, right, top, bottom)."""
    if layer.padding == "valid":
        return [0, 0, 0, 0]
    if layer.padding == "same":
        # PyTorch puts the odd one of an even kernel after the image
        total = [d * (k - 1) for d, k in zip(layer.dilation, layer.kernel_size, strict=True)]
        return [total[1] // 2, total[1] - total[1] // 2, total[0] // 2, total[0] - total[0] // 2]
    rows, columns = (int(side) for side in layer.padding)
    return [columns, columns, rows, rows]


def _gram(layer: nn.Conv2d, x: Tensor, g: Tensor) -> Tensor:
    x, stride = functional.pad(x, _margins(layer)), layer.stride
    if layer.kernel_size == (1, 1):
        x, stride = x[:, :, :: stride[0], :: stride[1]], (1, 1)
    (height, width), (out_height, out_width) = x.shape[2:], g.shape[2:]
    # Groups are independent small convolutions: treat each as a sample of its own, then add up
    rows = len(x) * layer.groups
    x = x.reshape(rows, -1, height * width)
    g = g.reshape(rows, -1, out_height * out_width)
    pixels = torch.bmm(x.mT, x).view(rows, height, width, height, width)
    patches = pixels.new_zeros(rows, out_height, out_width, out_height, out_width)
    for i in range(layer.kernel_size[0]):
        for j in range(layer.kernel_size[1]):
            top, left = i * layer.dilation[0], j * layer.dilation[1]
            down = slice(top, top + (out_height - 1) * stride[0] + 1, stride[0])
            across = slice(left, left + (out_width - 1) * stride[1] + 1, stride[1])
            patches += pixels[:, down, across, down, across]
    norms = patches.view(rows, g.shape[2], -1).mul_(torch.bmm(g.mT, g)).sum((1, 2))
    # Rounding can take the sum of a vanishing gradient below zero
    return norms.view(-1, layer.groups).sum(1).clamp_min_(0)


def _one_by_one(layer: nn.Conv2d, x: Tensor, g: Tensor) -> Tensor:
    """One convolution kernel per sample: on a CPU faster than batched matrix products."""
    left, right, top, bottom = _margins(layer)
    if (left, top) != (right, bottom):
        x, left, top = functional.pad(x, (left, right, top, bottom)), 0, 0

    def gradient(i: int) -> Tensor:
        # torch.nn.grad.conv2d_weight does the same, after copying a dummy weight at every call
        weight: Tensor = torch.ops.aten.convolution_backward(
            *(g[i, None], x[i, None], layer.weight, None),
            *(layer.stride, (top, left), layer.dilation),
            *(False, (0, 0), layer.groups, (False, True, False)),
        )[1]
        norm: Tensor = torch.linalg.vector_norm(weight)
        return norm

    return torch.stack([gradient(i) for i in range(len(x))]).square()


def _batched(layer: nn.Conv2d, x: Tensor, g: Tensor) -> Tensor:
    """Batched matrix products of patches: few calls for many samples, which suits a GPU."""
    x, places = functional.pad(x, _margins(layer)), g.shape[2] * g.shape[3]

    def gradients(part: slice) -> Tensor:
        patches = functional.unfold(x[part], layer.kernel_size, layer.dilation, 0, layer.stride)
        rows = len(patches) * layer.groups
        products = torch.bmm(g[part].reshape(rows, -1, places), patches.view(rows, -1, places).mT)
        return products.view(len(patches), -1)

    patch = x.shape[1] * layer.kernel_size[0] * layer.kernel_size[1]
    return chunked(len(x), max(layer.weight.numel(), patch * places), gradients, x.device)
