"""Randomness of a training's own, that can be stored, and algorithms that leave none to CUDA."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch

CUBLAS = "CUBLAS_WORKSPACE_CONFIG"  # without it, cuBLAS may sum in another order every time


@contextmanager
def own_randomness(device: torch.device, seed: int) -> Iterator[None]:
    """Seed PyTorch inside; outside, its generators go on as if nothing had happened."""
    cuda = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        # Not torch.manual_seed, which would reseed the devices that are not ours.
        torch.default_generator.manual_seed(seed)
        if cuda:
            with torch.cuda.device(device):
                torch.cuda.manual_seed(seed)
        yield


def random_state(device: torch.device) -> dict[str, torch.Tensor]:
    """Where PyTorch's generators are, for ``set_random_state``."""
    states = {"cpu": torch.get_rng_state()}
    if device.type == "cuda":
        states["cuda"] = torch.cuda.get_rng_state(device)
    return states


def set_random_state(states: Mapping[str, torch.Tensor], device: torch.device) -> None:
    """Let PyTorch's generators go on from where they were."""
    torch.set_rng_state(states["cpu"])
    if device.type == "cuda":
        torch.cuda.set_rng_state(states["cuda"], device)


@contextmanager
def deterministic_algorithms(device: torch.device, wanted: bool) -> Iterator[None]:
    """On CUDA, if ``wanted``, the same numbers every time; everything is as it was outside.

    The CPU's algorithms are deterministic anyway.
    """
    if not wanted or device.type != "cuda":
        yield
        return
    enabled = torch.are_deterministic_algorithms_enabled()
    only_warns = torch.is_deterministic_algorithms_warn_only_enabled()
    benchmark = torch.backends.cudnn.benchmark
    workspace = os.environ.get(CUBLAS)
    os.environ.setdefault(CUBLAS, ":4096:8")
    torch.use_deterministic_algorithms(True)
    torch.backends.cudnn.benchmark = False  # it times algorithms, and may pick another every time
    try:
        yield
    finally:
        torch.backends.cudnn.benchmark = benchmark
        torch.use_deterministic_algorithms(enabled, warn_only=only_warns)
        if workspace is None:
            os.environ.pop(CUBLAS, None)
