"""One optimiser step: schedule and mixed precision."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from fiftyone_drop.engine.batches import evaluating
from fiftyone_drop.training.options import TrainingOptions
from fiftyone_drop.training.query_model import QueryModel

WARM_UP = 0.2


class Optimiser:
    """SGD with Nesterov momentum, in mixed precision on CUDA.

    Args:
        model: its module is put into training mode and changed by ``step``
        options: momentum and weight decay
        learning_rate: the peak of the schedule
        steps: the number of times that ``step`` will be called

    Attributes:
        done: the number of times that it has been
    """

    def __init__(
        self, model: QueryModel, options: TrainingOptions, learning_rate: float, steps: int
    ) -> None:
        self._model = model
        self._learning_rate = learning_rate
        self._steps, self.done = steps, 0
        self._sgd = torch.optim.SGD(
            model.module.train().parameters(),
            lr=learning_rate,
            momentum=options.momentum,
            weight_decay=options.weight_decay,
            nesterov=True,
        )
        cuda = model.device.type == "cuda"
        half = cuda and not torch.cuda.is_bf16_supported(including_emulation=False)
        dtype = torch.float16 if half else torch.bfloat16
        self._autocast = torch.autocast(model.device.type, dtype, enabled=cuda)
        # bf16 has the exponents of float32, fp16 has not: its gradients vanish without scaling.
        self._scaler = torch.amp.GradScaler("cuda", enabled=half)

    def step(
        self, pixels: torch.Tensor, targets: torch.Tensor, *, clean: bool = False
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
        """Take one step.

        Args:
            pixels: (B, 3, S, S) uint8, B >= 2
            targets: (B,) int64 on the model's device
            clean: whether to run the network a second time, in evaluation mode

        Returns:
            logits (B, K) and loss () from before the step, and the clean logits (B, K) from between
            its forward and its backward pass, or None; detached, on the device
        """
        for group in self._sgd.param_groups:
            group["lr"] = self._learning_rate * schedule(self.done, self._steps)
        self.done += 1
        module, inputs = self._model.module, self._model.normalise(pixels)
        with self._autocast:
            logits = module(inputs)
        again = None
        if clean:
            with evaluating(module), torch.no_grad(), self._autocast:
                again = module(inputs)
        loss = nn.functional.cross_entropy(logits, targets)
        self._sgd.zero_grad(set_to_none=True)
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.step(self._sgd)
        self._scaler.update()
        return logits.detach(), loss.detach(), again

    def state_dict(self) -> dict[str, Any]:
        """The state to go on from later, without the module's own; it shares memory."""
        if self.done == self._steps:  # there is nothing to go on with
            return {"done": self.done}
        return {
            "done": self.done,
            "sgd": self._sgd.state_dict(),
            "scaler": self._scaler.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another optimiser of the same model stopped."""
        self.done = state["done"]
        if self.done < self._steps:
            self._sgd.load_state_dict(state["sgd"])
            self._scaler.load_state_dict(state["scaler"])


def schedule(step: int, steps: int) -> float:
    """The share of the peak learning rate at a step (0-based): up for a fifth, then down to zero.

    Short trainings need both: warm-up bears a high peak, and decay settles the batch statistics.
    """
    at = (step + 0.5) / steps
    return min(at / WARM_UP, (1 - at) / (1 - WARM_UP))
