"""The options of a query model's training, and what follows from them for a set of files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from fiftyone_drop import checks
from fiftyone_drop._torch import torch
from fiftyone_drop.engine.devices import (
    check_device,
    check_workers,
    choose_device,
    default_workers,
)
from fiftyone_drop.engine.images import MAX_SIZE, MIN_SIZE, probe_size
from fiftyone_drop.errors import DropError
from fiftyone_drop.training.architecture_names import architecture_names

SMALL_IMAGE = 64  # up to this many pixels a side, "auto" takes the small CNN
ORDINARY_IMAGE = 224  # the side that torchvision's pretrained weights know
QUERY_EPOCHS = 16  # the paper: 10 % of 160
MOST_EPOCHS = 100_000
MIN_STEPS = 200  # 16 epochs of a tiny dataset are too few steps to learn anything


@dataclass(frozen=True)
class TrainingOptions:
    """How to train a query model. The defaults suit; every field may be left alone.

    Args:
        architecture: ``"auto"`` (``"small-cnn"`` for images of up to 64 pixels a side,
            ``"resnet18"`` above), ``"small-cnn"``, ``"small-resnet18"`` (ResNet-18 with a 3x3
            stem and no max-pool, the CIFAR form) or the name of a torchvision classification model
        pretrained: start from torchvision's default weights; they are downloaded once
        epochs: None means 16, the paper's 10 % of 160, and more for small datasets: at least 200
            optimiser steps in all
        batch_size: images per optimiser step, at least 2. Batches are of nearly equal size
        learning_rate: the peak of the schedule (linear warm-up over the first fifth of the steps,
            then linear decay to zero). None means 0.05, and 0.01 with ``pretrained``
        momentum: of SGD with Nesterov momentum, in (0, 1)
        weight_decay: of SGD
        image_size: every image is scaled to this many pixels a side. None means the size of the
            files, at most 224, and 224 with ``pretrained``
        device: a PyTorch device such as ``"cuda:1"``. None means CUDA where there is one, else CPU
        workers: threads that read images. None means one per CPU core, at most 16
        seed: at least 0; weights, shuffling and dropout follow from it. On the CPU, results are
            the same bit for bit on the same machine with the same number of threads
        deterministic: the same bit for bit on CUDA too, by slower algorithms. Not every
            architecture has them

    Raises:
        DropError: a value is out of range, or an architecture or device is unknown
    """

    architecture: str = "auto"
    pretrained: bool = False
    epochs: int | None = None
    batch_size: int = 128
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float = 1e-4
    image_size: int | None = None
    device: str | None = None
    workers: int | None = None
    seed: int = 51
    deterministic: bool = False

    def __post_init__(self) -> None:
        pretrained = checks.flag("pretrained", self.pretrained)
        rate = checks.number("learning_rate", self.learning_rate, "(0, inf)", optional=True)
        plain = {
            "architecture": _check_architecture(self.architecture, pretrained),
            "pretrained": pretrained,
            "epochs": checks.whole("epochs", self.epochs, least=1, most=MOST_EPOCHS, optional=True),
            "batch_size": checks.whole("batch_size", self.batch_size, least=2),
            "learning_rate": rate,
            "momentum": checks.number("momentum", self.momentum, "(0, 1)"),
            "weight_decay": checks.number("weight_decay", self.weight_decay, "[0, inf)"),
            "image_size": checks.whole(
                "image_size", self.image_size, least=MIN_SIZE, most=MAX_SIZE, optional=True
            ),
            "device": None if self.device is None else check_device(self.device),
            "workers": check_workers(self.workers),
            "seed": checks.whole("seed", self.seed, least=0),
            "deterministic": checks.flag("deterministic", self.deterministic),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)  # the class is frozen

    def inputs(self, paths: Sequence[str]) -> tuple[str, int]:
        """The architecture, and how many pixels a side its images have, by the headers of some.

        Raises:
            DropError: a file cannot be read
        """
        size = self.image_size
        if size is None and self.pretrained:
            size = ORDINARY_IMAGE
        if size is None:
            size = min(probe_size(paths), ORDINARY_IMAGE)
        architecture = self.architecture
        if architecture == "auto":
            small = size <= SMALL_IMAGE and not self.pretrained
            architecture = "small-cnn" if small else "resnet18"
        return architecture, size

    def setup(self, paths: Sequence[str]) -> Setup:
        """Fill in what the options leave open, looking at the headers of some of the files.

        Raises:
            DropError: a file cannot be read
        """
        architecture, size = self.inputs(paths)
        default_rate = 0.01 if self.pretrained else 0.05
        return Setup(
            architecture=architecture,
            image_size=size,
            learning_rate=self.learning_rate or default_rate,
            device=choose_device(self.device),
            workers=self.workers or default_workers(),
        )

    def steps_per_epoch(self, images: int) -> int:
        """Optimiser steps that an epoch of ``images`` (at least 2) takes.

        No batch holds fewer than two images: batch norm has no statistics of a single value.
        """
        return min(math.ceil(images / self.batch_size), images // 2)

    def epochs_for(self, images: int) -> int:
        """Epochs that a training on ``images`` (at least 2) takes."""
        if self.epochs is not None:
            return self.epochs
        return max(QUERY_EPOCHS, math.ceil(MIN_STEPS / self.steps_per_epoch(images)))


def in_words(models: int, architecture: str, size: int, epochs: int, images: int) -> str:
    """The size of a training: epochs of images, of a number of pixels a side each."""
    plural = "" if models == 1 else "s"
    return (
        f"{models} query model{plural}, {architecture}, {epochs} epochs of {images:,} images at "
        f"{size}x{size}"
    )


@dataclass(frozen=True)
class Setup:
    """The options with nothing left open."""

    architecture: str
    image_size: int
    learning_rate: float
    device: torch.device
    workers: int


def _check_architecture(architecture: object, pretrained: bool) -> str:
    known = ("auto", *architecture_names())
    name = checks.text("architecture", architecture)
    if name not in known:
        close = get_close_matches(name, known, n=1) or ["auto"]
        raise DropError(
            "architecture",
            "must be 'auto', 'small-cnn', 'small-resnet18' or a torchvision classification "
            f"model, but got {name!r}; try {close[0]!r}",
        )
    if pretrained and name.startswith("small-"):
        raise DropError(
            "pretrained",
            f"must be False with architecture {name!r}, which has no pretrained weights; pass "
            "architecture='resnet18' or another of torchvision's",
        )
    return name
