"""Which parameters the layer formulas cover exactly once.

Per-sample gradient norms from hooks can go silently wrong in three ways, and a probe (two forward
passes, of two and of three samples) looks for each of them:

* a parameter that is used elsewhere too (tied weights, functional use): the autograd graph must
  lead to it along exactly one edge;
* a layer that is called twice or not at all: hooks count the calls;
* a layer whose first dimension is not the batch (position tables, windowed attention): it must be
  2 in one probe and 3 in the other, so that no fixed dimension passes for the batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import Tensor, nn

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring.grand.layer_formulas import Norm, layer_norms


@dataclass(frozen=True)
class Plan:
    """Where the norm of each parameter comes from.

    Attributes:
        hooked: layer -> the formulas for its parameters
        rest: names of the parameters that no formula covers
    """

    hooked: dict[nn.Module, list[Norm]]
    rest: list[str]


@contextmanager
def forward_hooks(
    modules: Iterable[nn.Module], hook: Callable[..., Tensor | None]
) -> Iterator[None]:
    """Call ``hook(module, args, output)`` after the forward function of each module."""
    handles = [m.register_forward_hook(hook) for m in modules]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def find_coverage(module: nn.Module, trainable: dict[str, nn.Parameter], inputs: Tensor) -> Plan:
    """Find the parameters that the hooks cover exactly once.

    Args:
        module: maps inputs to logits; in evaluation mode, gradients on
        trainable: its parameters that count, by name; frozen before and after
        inputs: (B, ...), B >= 1; the first sample serves as the probe

    Returns:
        every used parameter in one of the two places

    Raises:
        DropError: if the module returns anything but logits
    """
    owners = _owners(module, trainable.values())
    watched = {layer for pairs in owners.values() for layer, _ in pairs}
    for p in trainable.values():
        p.requires_grad_(True)
    odd: set[nn.Module] = set()
    for size in (2, 3):
        samples = inputs[:1].expand(size, *inputs.shape[1:]).clone()
        calls, uses = _run(module, watched, samples, odd)
    for p in trainable.values():
        p.requires_grad_(False)

    plan = Plan({}, [])
    for name, p in trainable.items():
        pairs = owners[p]
        if not uses[p] and not any(calls[m] for m, _ in pairs):
            continue  # not used in evaluation mode, as an auxiliary head: its gradient is zero
        layer, local = pairs[0]
        norm = layer_norms(layer).get(local)
        once = len(pairs) == 1 and calls[layer] == 1 and uses[p] == 1 and layer not in odd
        if norm is not None and once:
            plan.hooked.setdefault(layer, []).append(norm)
        else:
            plan.rest.append(name)
    return plan


def _owners(
    module: nn.Module, parameters: Iterable[nn.Parameter]
) -> dict[nn.Parameter, list[tuple[nn.Module, str]]]:
    """The layers that hold each parameter, with its name there."""
    owners: dict[nn.Parameter, list[tuple[nn.Module, str]]] = {p: [] for p in parameters}
    for layer in module.modules():
        for name, p in layer._parameters.items():
            if p in owners:
                owners[p].append((layer, name))
    return owners


def _run(
    module: nn.Module, watched: Iterable[nn.Module], samples: Tensor, odd: set[nn.Module]
) -> tuple[Counter[nn.Module], Counter[Tensor]]:
    """Count layer calls and graph edges per parameter; add layers of odd shapes to ``odd``."""
    calls: Counter[nn.Module] = Counter()

    def watch(layer: nn.Module, args: tuple[object, ...], output: object) -> None:
        calls[layer] += 1
        batched = all(
            isinstance(t, Tensor) and t.shape[:1] == samples.shape[:1] for t in (*args, output)
        )
        if len(args) != 1 or not batched:
            odd.add(layer)

    with forward_hooks(watched, watch):
        logits = module(samples)
    _check_logits(logits, len(samples))
    return calls, edges(logits.sum())


def _check_logits(logits: object, size: int) -> None:
    if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != size:
        returned = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
        raise DropError(
            "module",
            f"must return logits of the shape (B, K), but returned {returned} for {size} samples; "
            "wrap it in a module that returns the logits",
        )


def edges(root: Tensor) -> Counter[Tensor]:
    """How many edges of the autograd graph lead to each leaf."""
    count: Counter[Tensor] = Counter()
    seen = {root.grad_fn}
    stack = [root.grad_fn]
    while stack:
        node = stack.pop()
        for parent, _ in node.next_functions if node else ():
            leaf = getattr(parent, "variable", None)
            if leaf is not None:
                count[leaf] += 1
            elif parent not in seen:
                seen.add(parent)
                stack.append(parent)
    return count
