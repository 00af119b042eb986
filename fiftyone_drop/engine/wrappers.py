"""Modules that only run another one: of ``torch.compile``, and of trainings on several GPUs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fiftyone_drop._torch import torch

if TYPE_CHECKING:
    from torch.nn import Module


def unwrapped(module: Module) -> Module:
    """The module that computes, in any nesting of wrappers, of which each gives the same output.

    A compiled module does not call hooks that are added later, ``DataParallel`` wants the GPUs of
    its training, and ``DistributedDataParallel`` its other processes.
    """
    parallel = torch.nn.parallel
    while True:
        if hasattr(module, "_orig_mod"):
            module = module._orig_mod
        elif isinstance(module, parallel.DataParallel | parallel.DistributedDataParallel):
            module = module.module
        else:
            return module
