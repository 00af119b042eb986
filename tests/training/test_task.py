"""Errors of a GPU in training, and arrays that do not fit, each with a remedy."""

import numpy as np
import pytest
import torch
from interrupting import OPTIONS, Small

from fiftyone_drop import DropError
from fiftyone_drop.engine.randomness import CUBLAS
from fiftyone_drop.training import TrainingOptions, cross_validate, train


@pytest.fixture
def failing(monkeypatch):
    """A function that makes every new network fail in training."""

    def fail(error):
        monkeypatch.setattr("fiftyone_drop.training.task.build", lambda *_, **__: Small(16, error))

    return fail


def test_training_out_of_memory_names_the_remedies_and_keeps_its_batch_size(few, failing):
    failing(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    with pytest.raises(
        DropError, match=r"batch_size: .*'small-cnn' with batch_size=32 and image_size=8; .* 2 GiB"
    ):
        train(*few, OPTIONS)
    with pytest.raises(DropError, match="batch_size=32"):
        cross_validate(*few, np.arange(120) % 2, OPTIONS, on_logits=print)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (
            "max_pool_cuda does not have a deterministic implementation",
            "deterministic: must be False with",
        ),
        (
            f"to enable it set {CUBLAS}=:4096:8",
            rf"deterministic: .* variable {CUBLAS}=:4096:8",
        ),
    ],
)
def test_what_cannot_be_deterministic_says_so(few, failing, message, words):
    failing(RuntimeError(message))
    with pytest.raises(DropError, match=words):
        train(*few, OPTIONS)


def test_other_errors_pass_unchanged(few, failing):
    failing(RuntimeError("something else"))
    with pytest.raises(RuntimeError, match="something else"):
        train(*few, OPTIONS)


def test_the_cpu_is_deterministic_anyway(few):
    options = TrainingOptions(epochs=1, batch_size=32, device="cpu", deterministic=True)
    enabled = set()
    train(
        *few,
        options,
        on_batch=lambda *_: enabled.add(torch.are_deterministic_algorithms_enabled()),
    )
    assert enabled == {False}
