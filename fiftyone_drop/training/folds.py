"""The trainings of a call, each of which may run elsewhere: fit a model, predict the rest."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from fiftyone_drop.engine.checkpoint import Checkpoint, Content
from fiftyone_drop.engine.images import Indices
from fiftyone_drop.engine.randomness import deterministic_algorithms
from fiftyone_drop.training.arrays import Fold
from fiftyone_drop.training.fitting import Listeners, fit
from fiftyone_drop.training.query_model import Floats, QueryModel
from fiftyone_drop.training.task import Task


@dataclass(frozen=True)
class Trained:
    """The end of a training.

    Attributes:
        model: the model, where it was trained in this process
        state: its weights and all else that follows from the training, where it was not
    """

    model: QueryModel | None
    state: Mapping[str, Any] | None


Saved = Mapping[str, Any] | None  # the state of a training that was interrupted
Logits = tuple[Indices, Floats]


class FoldTrainer:
    """Trains the model of a fold, and predicts the samples that the fold holds out.

    Args:
        task: what all trainings share
        listeners: are told of every step, in this process only
        checkpoint: keeps the state of a training, in this process only
    """

    def __init__(self, task: Task, listeners: Listeners, checkpoint: Checkpoint) -> None:
        self._task, self._listeners = task, listeners
        self._checkpoint: Checkpoint | _Memory = checkpoint

    def __call__(self, part: tuple[Fold, Saved]) -> Generator[Logits | Trained, None, None]:
        """Yields positions (B,) and logits (B, K) of what is held out, and :class:`Trained`."""
        fold, saved = part
        task, memory = self._task, self._checkpoint
        if isinstance(memory, _Memory):
            memory.saved = saved
        with task.running():
            model = fit(task, fold.kept, fold.number, self._listeners, memory)
        with deterministic_algorithms(task.setup.device, task.options.deterministic):
            for indices, logits in model.predict_images(
                task.images, fold.held_out, progress=self._listeners.count
            ):
                yield indices, logits
                memory.tick()
        if isinstance(memory, _Memory):
            yield Trained(None, memory.saved)
        else:
            yield Trained(model, None)

    def __getstate__(self) -> dict[str, Any]:
        """Elsewhere nobody listens, but a recorder comes back in the state."""
        listeners = Listeners(recorder=self._listeners.recorder)
        return {"_task": self._task, "_listeners": listeners, "_checkpoint": _Memory()}


class _Memory:
    """In the place of a checkpoint where a training has none: keeps the last state."""

    def __init__(self) -> None:
        self.saved: Saved = None

    def load(self, name: str) -> Any:
        return self.saved

    def save(self, name: str, make: Callable[[], Content]) -> None:
        """Nothing: who loses this process trains again."""

    def keep(self, name: str, make: Callable[[], Content]) -> None:
        self.saved = make()

    def tick(self) -> None:
        """Nothing."""
