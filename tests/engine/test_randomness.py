"""Deterministic algorithms, on inside and as before outside. No GPU is needed to test it."""

import os

import pytest
import torch

from fiftyone_drop.engine.randomness import CUBLAS, deterministic_algorithms

CUDA = torch.device("cuda")


def settings():
    return (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        torch.backends.cudnn.benchmark,
        os.environ.get(CUBLAS),
    )


def test_deterministic_algorithms_end_with_the_training(monkeypatch):
    monkeypatch.delenv(CUBLAS, raising=False)
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    before = settings()
    inside = []

    def interrupted():
        with deterministic_algorithms(CUDA, True):
            inside.append(settings())
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert inside == [(True, False, False, ":4096:8")]
    assert settings() == before


def test_somebody_elses_determinism_is_kept(monkeypatch):
    monkeypatch.setenv(CUBLAS, ":16:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with deterministic_algorithms(CUDA, True):
            assert settings()[0::3] == (True, ":16:8")
        assert settings()[:2] == (True, True)
    finally:
        torch.use_deterministic_algorithms(False)
    assert os.environ[CUBLAS] == ":16:8"
