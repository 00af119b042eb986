"""What a query model's training can be told, and what follows from it for a given set of files."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from numbers import Integral, Real

import torch

from fiftyone_drop.errors import DropError
from fiftyone_drop.training.architectures import architecture_names
from fiftyone_drop.training.images import MIN_SIZE, probe_size

SMALL_IMAGE = 64  # up to this many pixels a side, "auto" takes the small CNN
ORDINARY_IMAGE = 224  # the side that torchvision's pretrained weights know
QUERY_EPOCHS = 16  # the paper: 10 % of 160
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
        seed: weights, shuffling and dropout follow from it. On the CPU, results are the same bit
            for bit on the same machine with the same number of threads
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
        _check_architecture(self.architecture, self.pretrained)
        _check_whole("epochs", self.epochs, 1, optional=True)
        _check_whole("batch_size", self.batch_size, 2)
        _check_whole("image_size", self.image_size, MIN_SIZE, optional=True)
        _check_whole("workers", self.workers, 1, optional=True)
        _check_whole("seed", self.seed, 0)
        if not isinstance(self.deterministic, bool):
            raise DropError(
                f"Expected argument `deterministic` to be True or False, "
                f"but got {self.deterministic!r}."
            )
        _check_number("momentum", self.momentum, lambda x: 0 < x < 1, "in (0, 1)")
        _check_number("weight_decay", self.weight_decay, lambda x: x >= 0, "of at least 0")
        if self.learning_rate is not None:
            _check_number("learning_rate", self.learning_rate, lambda x: x > 0, "above 0")
        if self.device is not None:
            _check_device(self.device)

    def setup(self, paths: Sequence[str]) -> Setup:
        """Fill in what the options leave open, looking at the headers of some of the files.

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


@dataclass(frozen=True)
class Setup:
    """The options with nothing left open."""

    architecture: str
    image_size: int
    learning_rate: float
    device: torch.device
    workers: int


def choose_device(device: str | None) -> torch.device:
    """The device asked for; for None, CUDA where there is one, else the CPU."""
    if device is not None:
        return _check_device(device)
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def default_workers() -> int:
    """Threads that read images where nobody says how many."""
    return min(os.cpu_count() or 1, 16)


def _check_architecture(architecture: str, pretrained: bool) -> None:
    known = ("auto", *architecture_names())
    if architecture not in known:
        close = get_close_matches(str(architecture), known, n=1) or ["auto"]
        raise DropError(
            "Expected argument `architecture` to be 'auto', 'small-cnn', 'small-resnet18' or a "
            f"torchvision classification model, but got {architecture!r}; try {close[0]!r}."
        )
    if pretrained and architecture.startswith("small-"):
        raise DropError(
            f"Expected argument `pretrained` to be False with architecture {architecture!r}, which "
            "has no pretrained weights; use architecture='resnet18' or another of torchvision's."
        )


def _check_whole(name: str, value: int | None, least: int, *, optional: bool = False) -> None:
    if value is None and optional:
        return
    if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
        alternative = " or None" if optional else ""
        raise DropError(
            f"Expected argument `{name}` to be a whole number of at least {least}{alternative}, "
            f"but got {value!r}."
        )


def _check_number(name: str, value: float, holds: Callable[[float], bool], rule: str) -> None:
    if not isinstance(value, Real) or not math.isfinite(value) or not holds(value):
        raise DropError(f"Expected argument `{name}` to be a number {rule}, but got {value!r}.")


def _check_device(device: str) -> torch.device:
    try:
        torch.empty(1, device=device)
        return torch.device(device)
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DropError(
            f"Expected argument `device` to be a device of this machine, such as 'cpu', "
            f"but got {device!r} ({reason}); leave it out to take the best there is."
        ) from error
