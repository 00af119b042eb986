"""GraNd over all parameters: per-sample gradient norms at the price of one backward pass.

A batched backward pass already computes, at every layer, the gradient of each sample's loss in
that layer's output. Together with the layer's input this gives each sample's squared gradient norm
(``layer_formulas.py``), and no weight gradient is ever computed. ``coverage.py`` finds the
parameters for which that holds. Others (tied weights, layers called twice, class tokens, the
in-projection of ``nn.MultiheadAttention``) go to ``torch.func``: ``vmap(grad)`` in these parameters
only, in chunks.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, vmap
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import cross_entropy

from fiftyone_drop import checks
from fiftyone_drop.engine.batches import evaluating
from fiftyone_drop.engine.wrappers import unwrapped
from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.scoring.forward import widen
from fiftyone_drop.scoring.grand.coverage import Plan, edges, find_coverage, forward_hooks
from fiftyone_drop.scoring.grand.layer_formulas import Norm, squared_norm
from fiftyone_drop.scoring.grand.untrained import looks_untrained

Loss = Callable[[Tensor, Tensor], Tensor]
"""(logits (B, K), labels (B,)) -> (B,) losses."""
OfSample = Callable[[Tensor, Tensor], Tensor]
"""(input, label) -> the squared norm of its gradient."""


def _cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    return cross_entropy(logits, labels, reduction="none")


class GradientNorms:
    """Per-sample gradient norms of a model, batch after batch.

    The parameters are those with ``requires_grad``; frozen ones do not count. Do not alter the
    model between calls. Running statistics, ``.grad`` and ``requires_grad`` stay as they are.

    Args:
        module: maps inputs (B, ...) to logits (B, K). Its samples must not influence each other,
            which holds in evaluation mode; the norms are taken in that mode, and the modes restored
        loss: (logits, labels) -> (B,) losses; by default cross-entropy
        chunk_size (16): samples per call of ``vmap(grad)``, which holds their gradients in memory
            at once. Only for the parameters that need ``vmap``

    Raises:
        DropError: if no parameter requires a gradient, or samples influence each other

    Warns:
        DropWarning: if the model looks untrained (``untrained.py``). GraNd at initialisation is no
            better than random: the published result came from a checkpoint-restore bug (arXiv
            2303.14753)
    """

    def __init__(
        self, module: nn.Module, *, loss: Loss = _cross_entropy, chunk_size: int = 16
    ) -> None:
        self.module = unwrapped(module)
        self.loss = loss
        self.chunk_size = checks.whole("chunk_size", chunk_size, least=1)
        self._plan: Plan | None = None
        _check_module(self.module)

    def __call__(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """The norms of one batch.

        Args:
            inputs: (B, ...), on the device of the module
            labels: (B,) integer class indices

        Returns:
            (B,) float >= 0, the norm of each sample's loss gradient in all parameters together

        Raises:
            DropError: if inputs and labels do not match
        """
        if labels.shape != inputs.shape[:1]:
            raise DropError(
                "labels",
                f"must have the shape ({len(inputs)},), one per input, but got "
                f"{tuple(labels.shape)}",
            )
        if len(inputs) == 0:
            return torch.zeros(0, device=inputs.device)
        inputs = inputs.detach()  # of no graph that ends in the weights of a transform
        if inputs.is_inference():  # autograd refuses to save those
            inputs = inputs.clone()
        with _prepared(self.module, inputs.device.type) as trainable:
            if self._plan is None:
                self._plan = find_coverage(self.module, trainable, inputs)
            squares = _hooked_squares(self.module, self._plan.hooked, self.loss, inputs, labels)
            if self._plan.rest:
                squares = squares + self._rest(inputs, labels)
        return squares.sqrt()

    def _rest(self, inputs: Tensor, labels: Tensor) -> Tensor:
        """Squared norms in the parameters that the hooks do not cover."""
        assert self._plan is not None
        frozen = {name: p.detach() for name, p in self.module.named_parameters()}
        rest = {name: frozen.pop(name) for name in self._plan.rest}

        def sample_loss(parameters: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
            x = x[None].clone()  # the model may change it
            logits = functional_call(self.module, {**frozen, **parameters}, (x,))
            return self.loss(logits, y[None]).sum()

        def square(x: Tensor, y: Tensor) -> Tensor:
            return _square(grad(sample_loss)(rest, x, y).values())

        def square_alone(x: Tensor, y: Tensor) -> Tensor:
            leaves = {name: p.detach().requires_grad_() for name, p in rest.items()}
            total = sample_loss(leaves, x, y)
            if not total.requires_grad:
                return torch.zeros_like(total)
            of = list(leaves.values())
            return _square(torch.autograd.grad(total, of, materialize_grads=True))

        starts = range(0, len(inputs), self.chunk_size)
        chunks = (slice(start, start + self.chunk_size) for start in starts)
        # The fused attention kernels have no batching rule: vmap would fall back to a slow loop
        with sdpa_kernel(SDPBackend.MATH):
            parts = [_vectorised(square, square_alone, inputs[c], labels[c]) for c in chunks]
            return torch.cat(parts)


def _check_module(module: nn.Module) -> None:
    if not any(p.requires_grad for p in module.parameters()):
        raise DropError(
            "module",
            "must have a parameter with requires_grad=True, but all are frozen; "
            "call module.requires_grad_(True) to take the gradient in every parameter",
        )
    norms = [m for m in module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if any(m.running_mean is None for m in norms):
        raise DropError(
            "module",
            "must not have a batch norm without running statistics, since the gradient of a sample "
            "depends on its batch then; use track_running_stats=True or another norm",
        )
    if looks_untrained(module):
        warnings.warn(
            "The model looks untrained: all of its norms (or without norms, its layers) have "
            "their initial values. GraNd at initialisation does not reproduce (arXiv 2303.14753) "
            "and is no better than random: train the model for some epochs first",
            DropWarning,
            stacklevel=3,
        )


@contextmanager
def _prepared(module: nn.Module, device: str) -> Iterator[dict[str, nn.Parameter]]:
    """Evaluation mode, parameters frozen, gradients on; everything is restored at the end.

    Yields:
        the parameters that had ``requires_grad``, by name
    """
    trainable = {name: p for name, p in module.named_parameters() if p.requires_grad}
    # The fast path of nn.MultiheadAttention runs where nothing requires a gradient, and would
    # bypass the hooks
    fast_path = torch.backends.mha.get_fastpath_enabled()
    try:
        torch.backends.mha.set_fastpath_enabled(False)
        for p in trainable.values():
            p.requires_grad_(False)
        with (
            evaluating(module),
            torch.inference_mode(False),
            torch.enable_grad(),
            torch.autocast(device, enabled=False),
        ):
            yield trainable
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)
        for p in trainable.values():
            p.requires_grad_(True)


def _hooked_squares(
    module: nn.Module,
    hooked: dict[nn.Module, list[Norm]],
    loss: Loss,
    inputs: Tensor,
    labels: Tensor,
) -> Tensor:
    """Squared norms in the parameters of the hooked layers: one forward and one backward pass."""
    squares: list[Tensor] = []
    calls: Counter[nn.Module] = Counter()

    def tap(layer: nn.Module, args: tuple[Tensor], output: Tensor) -> Tensor | None:
        calls[layer] += 1
        x = args[0].detach()
        replaced = None
        if not output.requires_grad:
            # The graph starts here, since parameters are frozen. The clone is for an in-place
            # activation after it, which must not modify a leaf
            output = replaced = output.detach().requires_grad_().clone()

        def add(g: Tensor) -> None:
            squares.extend(squared_norm(norm, layer, x, g) for norm in hooked[layer])

        # A tensor hook sees the gradient of the value as it is now, before in-place changes
        output.register_hook(add)  # type: ignore[no-untyped-call]
        return replaced

    with forward_hooks(hooked, tap):
        logits = module(inputs.clone())  # which the model may change
    if any(calls[layer] != 1 for layer in hooked):
        raise DropError(
            "module",
            "must call its layers as often for every batch, but called one more or less often than "
            "in the probe; its forward pass must not depend on the data",
        )
    total = loss(logits, labels).sum()
    # All leaves, not only those made above: where something else in the model requires a gradient,
    # such as the output of a hook, layers after it are on the way to that alone
    if leaves := edges(total):
        torch.autograd.grad(total, list(leaves), allow_unused=True)
    zero = torch.zeros(len(inputs), device=total.device, dtype=widen(total).dtype)
    return torch.stack([zero, *squares]).sum(0)


def _square(gradients: Iterable[Tensor]) -> Tensor:
    """The squared norm of gradients together."""
    return torch.stack([widen(g).square().sum() for g in gradients]).sum()


def _vectorised(function: OfSample, alone: OfSample, x: Tensor, y: Tensor) -> Tensor:
    """``vmap(function)(x, y)``, or ``alone`` one by one for models that vmap cannot trace."""
    try:
        return vmap(function)(x, y).detach()
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        warnings.warn(
            f"torch.func.vmap cannot vectorise this model, so some gradients are taken one sample "
            f"at a time, which is slow: {error}",
            DropWarning,
            stacklevel=2,
        )
        return torch.stack([alone(a, b).detach() for a, b in zip(x, y, strict=True)])
