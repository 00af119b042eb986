"""Train a network on arrays: augmentation, schedules, and trainings that resume exactly.

The package trains query models on image files; the experiment needs final models too, with
augmentation and the lengths of the paper. What can be shared is taken from there: checkpoints,
randomness, the schedule, the recorder of training dynamics.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from data import Split
from networks import NETWORKS
from steps import Steps
from torch import Tensor, nn

from fiftyone_drop.engine.checkpoint import Checkpoint
from fiftyone_drop.engine.randomness import own_randomness
from fiftyone_drop.scoring import DynamicsRecorder
from fiftyone_drop.training.architectures import head_of
from fiftyone_drop.training.optimiser import schedule as triangle

SHIFT = 4  # pixels, at most, of the augmentation
PREDICTED_AT_ONCE = 500


@dataclass(frozen=True)
class Recipe:
    """How a preset trains.

    Attributes:
        network: a name in ``NETWORKS``
        epochs: of a training on the full dataset
        batch_size: images per step, at most; batches of an epoch are of nearly equal size
        learning_rate: the peak of the schedule
        weight_decay: of SGD with momentum 0.9
        nesterov: whether the momentum is Nesterov's
        schedule: "triangle" warms up over a fifth of the steps, then falls to zero; "drops"
            multiplies by 0.2 after a half and three quarters of the steps
        half: bfloat16 where the device has it
    """

    network: str
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float
    nesterov: bool
    schedule: Literal["triangle", "drops"]
    half: bool

    def rate(self, step: int, steps: int, constant: bool = False) -> float:
        """The learning rate of a step (0-based)."""
        if self.schedule == "triangle":
            return self.learning_rate * triangle(step, steps)
        drops = 0 if constant else (step >= steps * 0.5) + (step >= steps * 0.75)
        return self.learning_rate * 0.2**drops


class Images:
    """Images on the device, as the network takes them."""

    def __init__(self, split: Split, device: torch.device, mean: Tensor, std: Tensor) -> None:
        padding = ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0))
        self.padded = torch.from_numpy(np.pad(split.pixels, padding, "reflect")).to(device)
        self.labels = torch.from_numpy(split.labels).to(device)
        self.size = split.pixels.shape[1]
        self.mean, self.std = mean.to(device), std.to(device)

    def __len__(self) -> int:
        return len(self.labels)

    def places(
        self, rows: npt.NDArray[np.int64], random: np.random.Generator | None = None
    ) -> npt.NDArray[np.int64]:
        """Where the pixels of some images are, shifted and flipped if a generator says how.

        Returns:
            (B, 4) int64: the row, pixels down and to the right, and whether it is flipped
        """
        shift = np.full((len(rows), 2), SHIFT)
        flip = np.zeros(len(rows), bool)
        if random is not None:
            shift = random.integers(0, 2 * SHIFT + 1, shift.shape)
            flip = random.random(flip.shape) < 0.5
        return np.column_stack([rows, shift, flip]).astype(np.int64)

    def at(self, places: Tensor) -> Tensor:
        """The images at some places, (B, 4) int64 on the device.

        Returns:
            (B, 3, S, S) float32 on the device, channels last in memory
        """
        steps = torch.arange(self.size, device=places.device)
        rows, down, right, flip = places.T[:, :, None]
        y, x = down + steps, right + torch.where(flip > 0, self.size - 1 - steps, steps)
        pixels = self.padded[rows[:, :, None], y[:, :, None], x[:, None, :]]
        return ((pixels.float() - self.mean) / self.std).permute(0, 3, 1, 2)

    def batch(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Some images as they are: see ``at``."""
        return self.at(torch.from_numpy(self.places(rows)).to(self.padded.device))


def channel_statistics(split: Split) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the channels, (3,) float32 each, in [0, 255]."""
    pixels = split.pixels[:: max(1, len(split) // 5000)].astype(np.float64)
    return (
        torch.from_numpy(pixels.mean((0, 1, 2))).float(),
        torch.from_numpy(pixels.std((0, 1, 2))).float(),
    )


def autocast(device: torch.device, recipe: Recipe) -> AbstractContextManager[Any]:
    """Mixed precision as the recipe has it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=recipe.half)


@dataclass(frozen=True)
class Training:
    """One training of a network; calling it again after a crash goes on from a checkpoint.

    Attributes:
        recipe: how
        images: what on
        epochs: how long
        seed: of weights, shuffling and augmentation
        classes: K, outputs of the network
        augment: shift and flip
        query: whether this is a query model, whose learning rate never drops in the paper
        checkpoint_dir: where checkpoints go while it lasts
        prior: what is added to the logits in the loss, (K,) float, so that the network itself
            need not learn it
    """

    recipe: Recipe
    images: Images
    epochs: int
    seed: int
    classes: int
    augment: bool = False
    query: bool = False
    checkpoint_dir: str | None = None
    prior: tuple[float, ...] = ()

    def run(
        self,
        after_epoch: Callable[[nn.Module], Tensor | None] | None = None,
        recorder: DynamicsRecorder | None = None,
    ) -> nn.Module:
        """Train.

        Args:
            after_epoch: called with the module in evaluation mode after every epoch; what it
                returns, if anything, weights the loss of the classes from then on, (K,) float
            recorder: records the training dynamics

        Returns:
            the module, in evaluation mode
        """
        device = self.images.padded.device
        checkpoint = Checkpoint(self.checkpoint_dir)
        checkpoint.open(lambda: self._inputs(recorder))
        saved = checkpoint.load("state")
        with own_randomness(device, self.seed):
            module = NETWORKS[self.recipe.network](self.classes)
        module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        steps = Steps(
            module,
            lambda part: self._logits(module, part),
            self.images.labels,
            torch.tensor(self.prior or (0.0,) * self.classes, device=device),
            learning_rate=self.recipe.learning_rate,
            weight_decay=self.recipe.weight_decay,
            nesterov=self.recipe.nesterov,
        )
        first, weights = 0, None
        if saved is not None:
            module.load_state_dict(saved["module"])
            steps.optimiser.load_state_dict(saved["optimiser"])
            first, weights = saved["epochs"], saved["weights"]
            weights = None if weights is None else weights.to(device)
            if recorder is not None:
                recorder.load_state_dict(saved["recorder"])
        for epoch in range(first, self.epochs):
            module.train()
            steps.weigh(weights)
            self._epoch(steps, epoch, recorder)
            if recorder is not None:
                recorder.end_epoch()
            if after_epoch is not None:
                weights = after_epoch(module.eval())
            state = {
                "module": module.state_dict(),
                "optimiser": steps.optimiser.state_dict(),
                "epochs": epoch + 1,
                "weights": weights,
            }
            checkpoint.save(
                "state",
                lambda state=state: (
                    state | {"recorder": None if recorder is None else recorder.state_dict()}
                ),
            )
        checkpoint.remove()
        return module.eval()

    def _logits(self, module: nn.Module, part: Tensor) -> Tensor:
        with autocast(part.device, self.recipe):
            logits: Tensor = module(self.images.at(part))
        return logits

    def _epoch(self, steps: Steps, epoch: int, recorder: DynamicsRecorder | None) -> None:
        images, recipe = self.images, self.recipe
        # A generator of its own for every epoch: there is no random state to be stored
        random = np.random.default_rng((self.seed, epoch))
        n = -(-len(images) // recipe.batch_size)
        batches = np.array_split(random.permutation(len(images)), n)
        # A whole epoch at once: a copy at every step would wait for the device
        places = [images.places(rows, random if self.augment else None) for rows in batches]
        there = torch.from_numpy(np.concatenate(places)).to(images.padded.device)
        parts = there.split([len(rows) for rows in batches])
        for i, (rows, part) in enumerate(zip(batches, parts, strict=True)):
            rate = recipe.rate(epoch * n + i, self.epochs * n, self.query)
            logits, loss = steps.take(part, rate)
            if recorder is not None:
                recorder.update(rows, logits)
        if not torch.isfinite(loss):
            raise RuntimeError(f"the training diverged in epoch {epoch + 1}: loss {loss}")

    def _inputs(self, recorder: DynamicsRecorder | None) -> dict[str, object]:
        """What the weights follow from, for the name of the checkpoint."""
        return {
            "recipe": repr(self.recipe),
            "labels": self.images.labels,
            "pixels": self.images.padded[:: max(1, len(self.images) // 1000)],
            "call": (self.epochs, self.seed, self.classes, self.augment, self.query, self.prior),
            "recorder": None if recorder is None else recorder.state_dict(),
        }


def predict(
    module: nn.Module, images: Images, recipe: Recipe
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Logits (N, K) float32 and the inputs of the last layer (N, D) float32, not augmented."""
    features: list[Tensor] = []
    logits: list[Tensor] = []
    hook = head_of(module).register_forward_pre_hook(
        lambda layer, inputs: features.append(inputs[0].float())
    )
    try:
        with torch.inference_mode(), autocast(images.padded.device, recipe):
            for start in range(0, len(images), PREDICTED_AT_ONCE):
                rows = np.arange(start, min(start + PREDICTED_AT_ONCE, len(images)))
                logits.append(module(images.batch(rows)))
    finally:
        hook.remove()
    return torch.cat(logits).cpu().numpy(), torch.cat(features).cpu().numpy()


def recalls(module: nn.Module, images: Images, recipe: Recipe, k: int) -> npt.NDArray[np.float64]:
    """The recall of every class, (K,) float."""
    logits, _ = predict(module, images, recipe)
    labels = images.labels.cpu().numpy()
    correct = logits.argmax(1) == labels
    return np.bincount(labels, correct, minlength=k) / np.bincount(labels, minlength=k)
