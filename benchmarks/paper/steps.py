"""The steps of a training: eager, and on CUDA as graphs.

A small network on small images is hundreds of kernels of a few microseconds each, and a step waits
for Python to launch them. A CUDA graph launches all of them at once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

EAGER = 3  # steps of a size before its graph is captured: cuDNN and cuBLAS choose and allocate

Forward = Callable[[Tensor], Tensor]
Outcome = tuple[Tensor, Tensor]


class Steps:
    """Takes steps of SGD with momentum 0.9.

    Args:
        module: the network, on its device
        forward: the logits (B, K) of a batch, given where its images are, (B, 4) int64
        labels: (N,) int64, the labels of all images, on the device
        prior: (K,) float, what is added to the logits in the loss
        learning_rate: the first; every step is given its own
        weight_decay: of SGD
        nesterov: whether the momentum is Nesterov's

    Attributes:
        optimiser: its state is that of the training
    """

    def __init__(
        self,
        module: nn.Module,
        forward: Forward,
        labels: Tensor,
        prior: Tensor,
        *,
        learning_rate: float,
        weight_decay: float,
        nesterov: bool,
    ) -> None:
        self._forward, self._labels, self._prior = forward, labels, prior
        self._graphed = labels.is_cuda
        # A graph reads the rate from the device, and only the fused optimiser takes it from there
        self._rate = torch.tensor(learning_rate, device=labels.device)
        self.optimiser = torch.optim.SGD(
            module.parameters(),
            lr=self._rate if self._graphed else learning_rate,
            momentum=0.9,
            weight_decay=weight_decay,
            nesterov=nesterov,
            fused=self._graphed or None,
        )
        self._taken: Counter[tuple[int, bool]] = Counter()
        self._graphs: dict[tuple[int, bool], _Graph] = {}
        self._weights: Tensor | None = None

    def weigh(self, weights: Tensor | None) -> None:
        """Set the weights of the classes in the loss, (K,) float; None for none."""
        if weights is None or self._weights is None:
            self._weights = None if weights is None else weights.clone()
            self._graphs.clear()  # they read other weights
        else:
            self._weights.copy_(weights)  # in place: graphs read them there

    def take(self, part: Tensor, rate: float) -> Outcome:
        """Take a step.

        Args:
            part: (B, 4) int64, where the images are
            rate: the learning rate

        Returns:
            the logits (B, K) and the loss () from before the step
        """
        for group in self.optimiser.param_groups:
            # The same tensor each time: a state that was loaded brings one of its own
            group["lr"] = self._rate.fill_(rate) if self._graphed else rate
        if not self._graphed:
            return self._step(part)
        kind = len(part), self._weights is not None
        self._taken[kind] += 1
        if self._taken[kind] <= EAGER:
            return self._aside(part)
        if kind not in self._graphs:
            self.optimiser.zero_grad(set_to_none=True)  # the graph has gradients of its own
            self._graphs[kind] = _Graph(self._step, part)
        return self._graphs[kind].replay(part)

    def _step(self, part: Tensor) -> Outcome:
        logits = self._forward(part)
        labels = self._labels[part[:, 0]]
        loss = cross_entropy(logits + self._prior, labels, weight=self._weights)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        self.optimiser.step()
        return logits.detach(), loss.detach()

    def _aside(self, part: Tensor) -> Outcome:
        """A step on another stream, as it must be before a capture."""
        here, aside = torch.cuda.current_stream(), torch.cuda.Stream()
        aside.wait_stream(here)
        with torch.cuda.stream(aside):
            outcome = self._step(part)
        here.wait_stream(aside)
        return outcome


class _Graph:
    """A step that was captured, for batches of one size."""

    def __init__(self, step: Callable[[Tensor], Outcome], part: Tensor) -> None:
        self._part = part.clone()
        self._graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self._graph):
            self._outcome = step(self._part)

    def replay(self, part: Tensor) -> Outcome:
        """Take the step on other images."""
        self._part.copy_(part)
        self._graph.replay()
        logits, loss = self._outcome
        return logits.clone(), loss.clone()
