"""Networks for query models, by name: two for small images, and torchvision's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torchvision
from torch import nn

from fiftyone_drop.engine.head import Head
from fiftyone_drop.engine.settings import own_settings
from fiftyone_drop.errors import DropError
from fiftyone_drop.training.architecture_names import SMALL


class SmallCNN(nn.Module):
    """Five 3x3 convolutions with batch norm, for images of 8 to 64 pixels a side.

    The image is halved after each convolution while it has 4 pixels a side or more: 8x8 digits
    twice, 32x32 photos four times. Halving late instead takes longer.
    """

    widths = (32, 64, 128, 128, 256)

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in self.widths:
            layers += [
                nn.Conv2d(channels, width, 3, padding=1, bias=False),
                nn.BatchNorm2d(width),
                nn.ReLU(inplace=True),
            ]
            if image_size >= 4:
                layers.append(nn.MaxPool2d(2))
                image_size //= 2
            channels = width
        self.body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.head = Head(channels, num_classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Map images (B, 3, S, S) to logits (B, K)."""
        logits: torch.Tensor = self.head(self.body(images))
        return logits


def small_resnet18(num_classes: int, image_size: int) -> nn.Module:
    """ResNet-18 in its CIFAR form: a 3x3 stem of stride 1 and no max-pool."""
    module: nn.Module = torchvision.models.resnet18(weights=None, num_classes=num_classes)
    module.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
    module.maxpool = nn.Identity()
    return module


_SMALL: dict[str, Callable[[int, int], nn.Module]] = dict(
    zip(SMALL, (SmallCNN, small_resnet18), strict=True)
)


@own_settings()
def build(
    architecture: str,
    num_classes: int,
    image_size: int,
    *,
    pretrained: bool = False,
    tried: bool = False,
) -> nn.Module:
    """Make a network whose last layer is a fresh ``Head``.

    Weights are drawn from PyTorch's global CPU generator: fork it around the call.

    Args:
        architecture: one of ``architecture_names()``
        num_classes: K, outputs of the head
        image_size: S, the side of the square images
        pretrained: start from torchvision's default weights
        tried: the network is known to take images of this size; else it is tried

    Returns:
        a module on the CPU that maps (B, 3, S, S) float32 to (B, K) float32 logits

    Raises:
        DropError: the weights cannot be downloaded, or the network cannot take images this small
    """
    if architecture in _SMALL:
        module = _SMALL[architecture](num_classes, image_size)
    else:
        module = _from_torchvision(architecture, image_size, pretrained)
    _replace_head(module, num_classes)
    if not tried:
        _check_runs(module, architecture, image_size)
    return module


def head_of(module: nn.Module) -> nn.Linear:
    """The last linear layer: its input is the penultimate activations, its output the logits."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)][-1]


def _from_torchvision(architecture: str, image_size: int, pretrained: bool) -> nn.Module:
    models = torchvision.models
    # Vision transformers learn one embedding per patch position, so they must know the size.
    sized: dict[str, Any] = {}
    if architecture.startswith("vit_"):
        sized = {"image_size": image_size}
    elif architecture == "maxvit_t":
        sized = {"input_size": (image_size, image_size)}
    weights = models.get_model_weights(architecture).DEFAULT if pretrained else None
    try:
        module: nn.Module = models.get_model(architecture, weights=weights, **sized)
    except OSError as error:
        if weights is None:
            raise
        raise DropError(
            "pretrained",
            f"cannot download the weights of {architecture!r} from {weights.url}: {error}; put "
            f"that file into {torch.hub.get_dir()}/checkpoints yourself, or pass pretrained=False",
        ) from error
    except (AssertionError, ValueError) as error:
        raise _unfit(architecture, image_size, error) from error
    return module


def _replace_head(module: nn.Module, num_classes: int) -> None:
    old = head_of(module)
    path = next(name for name, layer in module.named_modules() if layer is old)
    parent, _, name = path.rpartition(".")
    setattr(module.get_submodule(parent), name, Head(old.in_features, num_classes))


def _check_runs(module: nn.Module, architecture: str, image_size: int) -> None:
    module.eval()
    try:
        with torch.inference_mode():
            module(torch.zeros(1, 3, image_size, image_size))
    except (RuntimeError, AssertionError, ValueError) as error:
        raise _unfit(architecture, image_size, error) from error
    module.train()


def _unfit(architecture: str, image_size: int, error: Exception) -> DropError:
    return DropError(
        "image_size",
        f"the architecture {architecture!r} cannot take images of {image_size}x{image_size} "
        f"pixels ({error}); pass image_size=224, or architecture='auto'",
    )
