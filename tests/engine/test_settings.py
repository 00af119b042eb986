"""What a notebook has set in PyTorch for its own code."""

import contextlib

import numpy as np
import pytest
import torch

from fiftyone_drop.engine.settings import own_settings
from fiftyone_drop.training import TrainingOptions, cross_validate, train, training_cost
from fiftyone_drop.training.closed_form import LeftOut

OPTIONS = TrainingOptions(epochs=1, device="cpu")


@contextlib.contextmanager
def float64():
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)


SETTINGS = {  # "meta" in the place of a GPU: whatever is made there has no values
    "no gradients": torch.no_grad,
    "inference mode": torch.inference_mode,
    "float64": float64,
    "another device": lambda: torch.device("meta"),
}


@pytest.fixture
def images(digits):
    paths, labels = (part[:40] for part in digits)
    names = sorted(set(labels))
    return list(map(str, paths)), [names.index(label) for label in labels], names


def logits_of(images):
    """What each way predicts for every image."""
    found = {}

    def keep(rows, logits):
        found.update(zip(rows.tolist(), logits, strict=True))

    paths, labels, names = images
    model = train(*images, OPTIONS)
    for rows, logits in model.predict(paths):
        keep(rows, logits)
    one = [found.pop(row) for row in range(len(paths))]
    cross_validate(*images, np.arange(40) % 2, OPTIONS, on_logits=keep)
    two = [found.pop(row) for row in range(len(paths))]
    LeftOut.of(paths).predict(labels, names, 0, on_logits=keep)
    assert training_cost(paths, None, OPTIONS) is not None
    return np.array([one, two, [found[row] for row in range(len(paths))]])


@pytest.mark.parametrize("setting", SETTINGS)
def test_query_models_are_the_same_whatever_the_caller_has_set(images, setting):
    expected = logits_of(images)
    with SETTINGS[setting]():
        found = logits_of(images)
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_callers_settings_are_as_they_were_afterwards(setting):
    def settings():
        made = torch.empty(1)
        return torch.is_grad_enabled(), made.is_inference(), made.dtype, made.device

    with SETTINGS[setting]():
        before = settings()
        with own_settings():
            assert settings() == (True, False, torch.float32, torch.device("cpu"))
        assert settings() == before
