"""Fixtures of tests that score digits."""

import numpy as np
import pytest
from digit_models import CLASSES, TRANSFORM

import fiftyone_drop as fod


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's cache, which must be empty after every call that came to its end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fiftyone-drop"


@pytest.fixture
def score():
    """compute_scores of a module on digits; returns the values as arrays."""

    def call(samples, scores, model, prefix="", **arguments):
        extras = {"transform": TRANSFORM, "classes": CLASSES} | arguments
        names = fod.compute_scores(
            samples, "ground_truth", scores, model=model, prefix=prefix, **extras
        )
        return {name: np.array(samples.values(name), dtype=float) for name in names}

    return call


@pytest.fixture
def broken(small, tmp_path):
    """60 digits, two of which cannot be read; their ids."""
    garbage = tmp_path / "garbage.png"
    garbage.write_bytes(b"no image")
    paths = small.values("filepath")
    paths[0], paths[41] = str(tmp_path / "missing.png"), str(garbage)
    small.set_values("filepath", paths)
    ids = small.values("id")
    return small, [ids[0], ids[41]]
