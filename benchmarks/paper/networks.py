"""The networks of the presets, all for images of 32 pixels a side."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from fiftyone_drop.engine.head import Head


def convolution(inputs: int, outputs: int) -> nn.Sequential:
    """A 3x3 convolution with batch norm."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def patch_cnn(classes: int) -> nn.Module:
    """Four convolutions and a linear layer, made for CPUs: the first one quarters the pixels."""
    return nn.Sequential(
        nn.Conv2d(3, 16, 4, stride=2, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        convolution(16, 32),
        nn.MaxPool2d(2),
        convolution(32, 64),
        nn.MaxPool2d(2),
        convolution(64, 128),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        Head(128, classes),
    )


def vgg16(classes: int) -> nn.Module:
    """VGG-16 with batch norm, as the pruning papers have it: one linear layer at the end."""
    layers: list[nn.Module] = []
    channels = 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers.append(convolution(channels, width))
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers, nn.Flatten(), Head(channels, classes))


class Residual(nn.Module):
    """Two convolutions beside an identity."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.body = nn.Sequential(convolution(channels, channels), convolution(channels, channels))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the body to its input."""
        added: torch.Tensor = x + self.body(x)
        return added


def resnet9(classes: int) -> nn.Module:
    """ResNet-9, which won DAWNBench on CIFAR-10 (David Page, How to Train Your ResNet, 2018)."""
    return nn.Sequential(
        convolution(3, 64),
        convolution(64, 128),
        nn.MaxPool2d(2),
        Residual(128),
        convolution(128, 256),
        nn.MaxPool2d(2),
        convolution(256, 512),
        nn.MaxPool2d(2),
        Residual(512),
        nn.AdaptiveMaxPool2d(1),
        nn.Flatten(),
        Head(512, classes),
    )


NETWORKS: dict[str, Callable[[int], nn.Module]] = {
    "patch-cnn": patch_cnn,
    "resnet9": resnet9,
    "vgg16": vgg16,
}
