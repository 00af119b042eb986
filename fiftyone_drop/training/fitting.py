"""Train one model: from the beginning, or from where an interrupted call stopped."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from fiftyone_drop.engine.images import Indices
from fiftyone_drop.engine.randomness import own_randomness, random_state, set_random_state
from fiftyone_drop.errors import DropError
from fiftyone_drop.training.optimiser import Optimiser
from fiftyone_drop.training.query_model import Progress, QueryModel
from fiftyone_drop.training.task import Task

if TYPE_CHECKING:
    from fiftyone_drop.scoring import DynamicsRecorder


class Keeper(Protocol):
    """Keeps the states of trainings: a :class:`Checkpoint`, or what stands in its place."""

    def load(self, name: str) -> Any:
        """See :meth:`Checkpoint.load`."""

    def save(self, name: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """See :meth:`Checkpoint.save`."""

    def keep(self, name: str, make: Callable[[], Mapping[str, Any]]) -> None:
        """See :meth:`Checkpoint.keep`."""


OnBatch = Callable[[Indices, torch.Tensor], object]


@dataclass(frozen=True)
class Listeners:
    """The callbacks and the recorder: the arguments of ``train`` of the same names."""

    progress: Progress | None = None
    on_batch: OnBatch | None = None
    recorder: DynamicsRecorder | None = None

    @property
    def want_clean(self) -> bool:
        """Whether a forward pass in evaluation mode follows each step."""
        return self.recorder is not None and self.recorder.wants_clean

    def step(self, batch: Indices, logits: torch.Tensor, clean: torch.Tensor | None) -> None:
        """Report a step."""
        if self.on_batch is not None:
            self.on_batch(batch, logits)
        if self.recorder is not None:
            self.recorder.update(batch, logits, clean_logits=clean)
        self.count(len(batch))

    def count(self, images: int) -> None:
        """Report images that are done."""
        if self.progress is not None and images:
            self.progress(images)


def fit(
    task: Task, indices: Indices, fold: int, listeners: Listeners, checkpoint: Keeper
) -> QueryModel:
    """Train a model on some of the samples; its seed follows from the options' and the fold."""
    seed = int(np.random.SeedSequence((task.options.seed, fold)).generate_state(1)[0])
    name = f"fold-{fold}"
    with own_randomness(task.setup.device, seed):
        training = _Training(task, indices, listeners, checkpoint.load(name))
        # The batches that are done already are drawn once more, which takes no time.
        training.run(np.random.default_rng(seed), lambda: checkpoint.save(name, training.state))
    checkpoint.keep(name, training.state)
    training.model.module.eval().zero_grad(set_to_none=True)
    return training.model


class _Training:
    """A training in progress: everything that changes from step to step."""

    def __init__(
        self, task: Task, indices: Indices, listeners: Listeners, saved: Mapping[str, Any] | None
    ) -> None:
        options, device = task.options, task.setup.device
        self.task, self.indices, self.listeners = task, indices, listeners
        self.steps = options.steps_per_epoch(len(indices))
        self.epochs = options.epochs_for(len(indices))
        self.model = task.new_model(indices, saved)
        self.targets = torch.from_numpy(task.codes).to(device)
        self.optimiser = Optimiser(
            self.model, options, task.setup.learning_rate, self.epochs * self.steps
        )
        self.loss = torch.zeros((), device=device)  # the sum over the steps of this epoch
        if saved is not None:
            self.optimiser.load_state_dict(saved["optimiser"])
            self.loss += saved["loss"].to(device)
            if listeners.recorder is not None:
                listeners.recorder.load_state_dict(saved["recorder"])
            set_random_state(saved["random"], device)

    def run(self, shuffle: np.random.Generator, save: Callable[[], None]) -> None:
        """Take all steps that are left, calling ``save`` after each."""
        for epoch in range(self.epochs):
            batches = np.array_split(shuffle.permutation(self.indices), self.steps)
            done = min(max(self.optimiser.done - epoch * self.steps, 0), self.steps)
            self.listeners.count(sum(len(batch) for batch in batches[:done]))
            for batch, pixels in self.task.images.batches(batches[done:]):
                logits, loss, clean = self.optimiser.step(
                    pixels, self.targets[batch], clean=self.listeners.want_clean
                )
                self.loss += loss
                self.listeners.step(batch, logits, clean)
                if self.optimiser.done == (epoch + 1) * self.steps:
                    self._end_epoch(epoch)
                save()

    def state(self) -> dict[str, Any]:
        """Everything that the rest of the training follows from, weights on the CPU."""
        recorder = self.listeners.recorder
        weights = self.model.module.state_dict()
        return {
            "weights": {name: value.cpu() for name, value in weights.items()},
            "mean": self.model.mean,
            "std": self.model.std,
            "optimiser": self.optimiser.state_dict(),
            "loss": self.loss.cpu(),
            "recorder": None if recorder is None else recorder.state_dict(),
            "random": random_state(self.task.setup.device),
        }

    def _end_epoch(self, epoch: int) -> None:
        if self.listeners.recorder is not None:
            self.listeners.recorder.end_epoch()
        loss = float(self.loss) / self.steps
        self.loss.zero_()
        if not math.isfinite(loss):
            rate = self.task.setup.learning_rate
            raise DropError(
                "learning_rate",
                f"the query model diverged in epoch {epoch + 1} (loss {loss}) with architecture "
                f"{self.task.setup.architecture!r} at {rate:g}; pass a tenth of that",
            )
