"""Modules that only run another one: of ``torch.compile``, and of trainings on several GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from fiftyone_drop._torch import torch

if TYPE_CHECKING:
    from torch.nn import Module


def unwrapped(module: Module) -> Module:
    """The module that computes, in any nesting of wrappers, of which each gives the same output.

    A compiled module does not call hooks that are added later, ``DataParallel`` wants the GPUs of
    its training, and ``DistributedDataParallel`` its other processes.
    """
    parallel = torch.nn.parallel
    inner: Any = module
    while True:
        if hasattr(inner, "_orig_mod"):
            inner = inner._orig_mod
        elif isinstance(inner, parallel.DataParallel | parallel.DistributedDataParallel):
            inner = inner.module
        else:
            return cast("Module", inner)
