"""The part of a transform that can wait until images are a batch on the device.

Most transforms end with the same steps: bytes become floats, and each channel is normalised. In
Python, these cost more per image than to decode a small one, and keep the other reading threads
waiting. They change each number by itself, so that a batch of images has the same values bit for
bit; and bytes are a quarter of what floats take to the device.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import embedding
from torchvision.transforms import _presets as presets
from torchvision.transforms import functional, v2
from torchvision.transforms import transforms as v1

Transform = Callable[[Any], Any]
BatchTransform = Callable[[Tensor], Tensor]


def split(transform: Transform) -> tuple[Transform, BatchTransform | None]:
    """Split a transform into what needs one image after the other, and the rest.

    Only steps of torchvision's own are split off, those whose effect is known; subclasses may do
    anything.

    Returns:
        a transform of one image of Pillow's, and one of the batch (B, ...) of what it gives, or
        None for nothing: together they give what ``transform`` does, bit for bit
    """
    single, tail = list(_steps(transform)), list[BatchTransform]()
    while single:
        pair = _split_step(single[-1])
        if pair is None:
            break
        single[-1:] = pair[0]
        tail.insert(0, pair[1])
        if pair[0]:  # an image of Pillow's goes in there
            break
    return (Chain(single), OnBatches(tail)) if tail else (transform, None)


class Chain:
    """Some functions, one after the other."""

    def __init__(self, steps: Sequence[Callable[[Any], Any]]) -> None:
        self.steps = tuple(steps)

    def __call__(self, value: Any) -> Any:
        """The last one's result."""
        for step in self.steps:
            value = step(value)
        return value

    def __repr__(self) -> str:
        return f"{list(self.steps)}"


class OnBatches(Chain):
    """Steps that change each number by itself, in the same way in each batch (B, C, H, W).

    A GPU may round otherwise: CUDA divides by a number as it multiplies with its inverse. There,
    each byte is looked up in a table that was made on the CPU.
    """

    def __call__(self, value: Tensor) -> Tensor:
        """What the steps make of a batch, the same on every device."""
        if value.device.type == "cpu" or value.dtype != torch.uint8 or value.ndim != 4:
            batch: Tensor = super().__call__(value)
            return batch
        return self.looked_up(value)

    def looked_up(self, pixels: Tensor) -> Tensor:
        """What the steps make of bytes, by a table of 256 numbers for each channel."""
        bytes_ = torch.arange(256, dtype=torch.uint8, device="cpu")
        bytes_ = bytes_.expand(1, pixels.shape[1], 1, 256)
        table: Tensor = super().__call__(bytes_.contiguous())[0, :, 0].to(pixels.device)
        channels = [
            embedding(pixels[:, c].int(), table[c, :, None])[..., 0] for c in range(len(table))
        ]
        return torch.stack(channels, dim=1)


def _steps(transform: Transform) -> list[Transform]:
    if type(transform) in (v1.Compose, v2.Compose):
        return [step for part in transform.transforms for step in _steps(part)]  # type: ignore[attr-defined]
    return [transform]


def _split_step(step: Any) -> tuple[list[Transform], BatchTransform] | None:
    """A step as what remains of it for one image, and what a batch can do; None if nothing can."""
    kind = type(step)
    if kind in (v1.Normalize, v2.Normalize):
        return None if step.inplace else ([], step)
    if kind in (v1.ConvertImageDtype, v2.ConvertImageDtype):
        return [], step
    if kind is v2.ToDtype and isinstance(step.dtype, torch.dtype):
        return [], step
    if kind is v1.ToTensor:
        return [_unscaled], _scaled
    if kind is presets.ImageClassification:
        return [functools.partial(_cropped, step)], functools.partial(_normalised, step)
    return None


def _unscaled(image: Any) -> Tensor:
    """The first half of ``ToTensor``; of what is no image of bytes, all of it."""
    is_bytes = isinstance(image, Image.Image) and image.mode in ("L", "RGB", "RGBA")
    pixels: Tensor = functional.pil_to_tensor(image) if is_bytes else functional.to_tensor(image)
    return pixels


def _scaled(pixels: Tensor) -> Tensor:
    """The second half of ``ToTensor``, which leaves other numbers than bytes as they are."""
    if pixels.dtype != torch.uint8:
        return pixels
    return pixels.to(torch.get_default_dtype()).div(255)


def _cropped(preset: presets.ImageClassification, image: Any) -> Tensor:
    """The first half of the preset."""
    image = functional.resize(
        image, preset.resize_size, interpolation=preset.interpolation, antialias=preset.antialias
    )
    image = functional.center_crop(image, preset.crop_size)
    pixels: Tensor = image if isinstance(image, Tensor) else functional.pil_to_tensor(image)
    return pixels


def _normalised(preset: presets.ImageClassification, pixels: Tensor) -> Tensor:
    """The second half of the preset."""
    values = functional.convert_image_dtype(pixels, torch.float)
    normalised: Tensor = functional.normalize(values, mean=preset.mean, std=preset.std)
    return normalised
