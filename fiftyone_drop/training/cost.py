"""What a training will cost, before it starts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy.typing as npt
import torch

from fiftyone_drop import checks
from fiftyone_drop.engine.devices import default_workers
from fiftyone_drop.engine.images import read_image, spread
from fiftyone_drop.engine.randomness import deterministic_algorithms, own_randomness
from fiftyone_drop.engine.reader import fits_in_memory
from fiftyone_drop.training.architectures import build
from fiftyone_drop.training.arrays import check_enough, split_folds
from fiftyone_drop.training.closed_form import LeftOut, PatchFeatures
from fiftyone_drop.training.optimiser import Optimiser
from fiftyone_drop.training.options import Setup, TrainingOptions
from fiftyone_drop.training.query_model import QueryModel

TIMED_SECONDS = 0.5
TIMED_FILES = 16
TIMED_IMAGES = 256
ALGEBRA_SECONDS = 1  # and more where there are many samples, but little beside their reading
SMALL_BATCH = 4  # to begin with: a whole batch of a large network takes many seconds on a CPU


@dataclass(frozen=True)
class TrainingCost:
    """The size of a ``train`` or ``cross_validate`` call.

    Attributes:
        models: query models to be trained
        epochs: of the longest training
        training_images: of the largest training
        total_images: what ``progress`` will have counted at the end: all epochs of all models, and
            the predictions
        setup: architecture, image size and device
        seconds: a measured estimate; None where it was not asked for
    """

    models: int
    epochs: int
    training_images: int
    total_images: int
    setup: Setup
    seconds: float | None

    def __str__(self) -> str:
        """One line for people."""
        plural = "" if self.models == 1 else "s"
        size = self.setup.image_size
        line = (
            f"{self.models} query model{plural}, {self.setup.architecture}, "
            f"{self.epochs} epochs of {self.training_images:,} images "
            f"at {size}x{size} on {self.setup.device}"
        )
        return line if self.seconds is None else f"{line}: about {_duration(self.seconds)}"


def training_cost(
    paths: Sequence[str],
    fold_of: npt.ArrayLike | None = None,
    options: TrainingOptions | None = None,
    *,
    num_classes: int = 10,
    measure: bool = True,
) -> TrainingCost:
    """Count the images of a training, and estimate its time by timing real steps on random data.

    Args:
        paths: N >= 2 image files
        fold_of: (N,) as for ``cross_validate``. None means ``train`` on all samples
        options: how to train. None means the defaults
        num_classes: K
        measure: whether to estimate the seconds, which takes one itself, and some more with a
            large network

    Raises:
        DropError: as in ``cross_validate``
    """
    options = options or TrainingOptions()
    num_classes = checks.whole("num_classes", num_classes, least=1)
    measure = checks.flag("measure", measure)
    check_enough("paths", len(paths), "all samples")
    folds = [] if fold_of is None else split_folds(fold_of, len(paths))
    sizes = [len(fold.kept) for fold in folds] or [len(paths)]
    trained = sum(options.epochs_for(size) * size for size in sizes)
    predicted = sum(len(fold.held_out) for fold in folds)
    setup = options.setup(paths)
    seconds = None
    if measure:
        batch = max(sizes) // options.steps_per_epoch(max(sizes))
        per_image = _time_to_train(options, setup, batch, num_classes)
        computing = (trained + predicted / 3) * per_image  # no backward pass in prediction
        cached = fits_in_memory(len(paths), setup.image_size)
        per_file = _time_to_read(paths, setup.image_size, setup.workers)
        reading = (len(paths) if cached else trained + predicted) * per_file
        # Reading goes on beside a GPU, but takes the CPU's time away from the CPU.
        beside = setup.device.type == "cuda"
        seconds = max(computing, reading) if beside else computing + reading
    return TrainingCost(
        models=len(sizes),
        epochs=max(options.epochs_for(size) for size in sizes),
        training_images=max(sizes),
        total_images=trained + predicted,
        setup=setup,
        seconds=seconds,
    )


def left_out_cost(model: LeftOut) -> str:
    """The size of a query model in closed form in words, with an estimate of its time.

    Measures for a fraction of a second.

    Raises:
        DropError: a file cannot be read
    """
    n, size, device = len(model.paths), model.size, model.device
    images = torch.randint(
        0,
        256,
        (TIMED_IMAGES, 3, size, size),
        dtype=torch.uint8,
        device=device,
        generator=torch.Generator(device).manual_seed(0),
    )
    features_of = PatchFeatures(images, 0)
    times = []
    for _ in range(3):
        start = time.perf_counter()
        features_of(images).sum().item()  # waits for the device
        times.append(time.perf_counter() - start)
    per_image = min(times) / TIMED_IMAGES + _time_to_read(model.paths, size, default_workers())
    words = f"a query model in closed form, {n:,} images at {size}x{size} on {device}"
    return f"{words}: about {_duration(n * per_image + ALGEBRA_SECONDS)}"


def _time_to_train(options: TrainingOptions, setup: Setup, batch: int, num_classes: int) -> float:
    """Seconds per image of an optimiser step, measured on random data."""
    size, device = setup.image_size, setup.device
    with (
        own_randomness(device, options.seed),
        deterministic_algorithms(device, options.deterministic),
    ):
        module = build(setup.architecture, num_classes, size)
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        model = QueryModel(module, (), setup.architecture, size, (0.5,) * 3, (0.25,) * 3)
        optimiser = Optimiser(model, options, learning_rate=1e-6, steps=1_000_000)

        def step(images: int) -> float:
            pixels = torch.randint(0, 256, (images, size, size, 3), dtype=torch.uint8)
            targets = torch.randint(0, num_classes, (images,)).to(device)
            start = time.perf_counter()
            _, loss, _ = optimiser.step(pixels.permute(0, 3, 1, 2), targets)
            loss.item()  # waits for the device
            return time.perf_counter() - start

        images = min(batch, SMALL_BATCH)
        step(images)  # the first step also sets up the libraries
        times = [step(images)]
        spent = times[0]
        while spent < TIMED_SECONDS:
            if images < batch:
                images, times = min(batch, images * 4), []
            times.append(step(images))
            spent += times[-1]
        return min(times) / images  # on a busy machine some steps stutter


def _time_to_read(paths: Sequence[str], size: int, workers: int) -> float:
    """Seconds per image of reading with all workers, measured on a few of the files."""
    rows = spread(len(paths), TIMED_FILES)
    start = time.perf_counter()
    for i in rows:
        read_image(paths[i], size)
    cores = min(workers, default_workers())
    return (time.perf_counter() - start) / (len(rows) * cores)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
