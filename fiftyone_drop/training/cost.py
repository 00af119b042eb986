"""What a training will cost, before it starts."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy.typing as npt
import torch

from fiftyone_drop import checks
from fiftyone_drop.engine.devices import default_workers
from fiftyone_drop.engine.images import read_image, spread
from fiftyone_drop.engine.randomness import deterministic_algorithms, own_randomness
from fiftyone_drop.engine.reader import fits_in_memory
from fiftyone_drop.engine.settings import own_settings
from fiftyone_drop.training.architectures import build
from fiftyone_drop.training.arrays import check_enough, split_folds
from fiftyone_drop.training.optimiser import Optimiser
from fiftyone_drop.training.options import Setup, TrainingOptions, in_words
from fiftyone_drop.training.query_model import QueryModel

TIMED_SECONDS = 0.5
TIMED_FILES = 16
PACE_SECONDS = 3.0  # of steps that are timed while training
INSTANT = 5e-4  # seconds: no step is that fast
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
        setup = self.setup
        inputs = setup.architecture, setup.image_size
        words = in_words(self.models, *inputs, self.epochs, self.training_images)
        line = f"{words} on {setup.device}"
        return line if self.seconds is None else f"{line}: about {_duration(self.seconds)}"


class Pace:
    """Says how long a training takes, once its first steps have been timed.

    A step alone, on random data and a machine at rest, tells little: reading, other processes and
    the length of the training all matter.

    Args:
        total: images that are counted in the end
        say: is told once, in words
        clock (time.perf_counter): seconds
    """

    def __init__(
        self,
        total: int,
        say: Callable[[str], object],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._total, self._say, self._clock = total, say, clock
        self._done, self._said = 0, False
        self._started: tuple[float, int] | None = None  # when, and how many images were done then
        self._last = clock()

    def __call__(self, images: int) -> None:
        """Count images that are done."""
        now, before = self._clock(), self._last
        self._last = now
        self._done += images
        # The first step sets libraries up; steps that a checkpoint vouches for take no time
        if self._started is None or now - before < INSTANT:
            self._started = (now, self._done)
            return
        since, first = self._started
        if self._said or now - since < PACE_SECONDS or self._done == first:
            return
        left = (self._total - self._done) * (now - since) / (self._done - first)
        self._say(f"about {_duration(left)} left, after {self._done:,} of {self._total:,} images")
        self._said = True


@own_settings()
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
        reading = (len(paths) if cached else trained + predicted) * _time_to_read(paths, setup)
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


def _time_to_read(paths: Sequence[str], setup: Setup) -> float:
    """Seconds per image of reading with all workers, measured on a few of the files."""
    rows = spread(len(paths), TIMED_FILES)
    start = time.perf_counter()
    for i in rows:
        read_image(paths[i], setup.image_size)
    cores = min(setup.workers, default_workers())
    return (time.perf_counter() - start) / (len(rows) * cores)


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"
