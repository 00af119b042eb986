"""What a GPU may refuse: memory, and to do the same thing twice. No GPU is needed to test it."""

import os

import numpy as np
import pytest
import torch
from interrupting import OPTIONS
from torch import nn

from fiftyone_drop.errors import DropError
from fiftyone_drop.training import QueryModel, TrainingOptions, cross_validate, train
from fiftyone_drop.training.architectures import SmallCNN
from fiftyone_drop.training.randomness import CUBLAS, deterministic_algorithms

CUDA = torch.device("cuda")


class Small(nn.Module):
    """A network that runs out of memory whenever it gets more than ``most`` images."""

    def __init__(self, most, error=torch.cuda.OutOfMemoryError("CUDA out of memory.")):  # noqa: B008
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = SmallCNN(10, 8)
        self.most, self.error, self.sizes = most, error, []

    def forward(self, images):
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise self.error
        return self.network(images)


def model_of(few, most):
    return QueryModel(Small(most), few[2], "small-cnn", 8, (0.5,) * 3, (0.25,) * 3)


def predictions_of(model, paths):
    return [np.concatenate(column) for column in zip(*model.predict_features(paths), strict=True)]


def test_prediction_halves_its_batches_until_they_fit_and_leaves_nothing_out(few):
    model = model_of(few, most=40)
    indices, logits, features = predictions_of(model, few[0])
    assert indices.tolist() == list(range(120))
    assert model.module.sizes == [120, 60, 30, 30, 30, 30]
    _, whole, of_whole = predictions_of(model_of(few, most=120), few[0])
    np.testing.assert_allclose(logits, whole, atol=1e-5)
    np.testing.assert_allclose(features, of_whole, atol=1e-5)


def test_batches_stay_small_once_they_had_to_be_halved(few):
    model = model_of(few, most=20)
    sizes = [len(indices) for indices, _ in model.predict(few[0], batch_size=40)]
    assert sizes == [40, 40, 40]
    assert model.module.sizes == [40, 20, 20, 20, 20, 20, 20]


def test_one_passing_shortage_is_survived(few):
    model = model_of(few, most=100)
    batches = model.predict(few[0], batch_size=120)
    assert len(next(batches)[1]) == 120


def test_a_gpu_that_cannot_take_a_single_image_says_so(few):
    with pytest.raises(DropError, match="not enough memory to predict even one image"):
        list(model_of(few, most=0).predict(few[0][:3]))


@pytest.fixture
def failing(monkeypatch):
    """A function that makes every new network fail in training."""

    def fail(error):
        monkeypatch.setattr("fiftyone_drop.training.task.build", lambda *_, **__: Small(16, error))

    return fail


def test_training_out_of_memory_names_the_remedies_and_keeps_its_batch_size(few, failing):
    failing(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."))
    with pytest.raises(
        DropError, match=r"'small-cnn' with `batch_size=32` and `image_size=8`; set half .* 2 GiB"
    ):
        train(*few, OPTIONS)
    with pytest.raises(DropError, match="batch_size=32"):
        cross_validate(*few, np.arange(120) % 2, OPTIONS, on_logits=print)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("max_pool_cuda does not have a deterministic implementation", "`deterministic` .* False"),
        (f"to enable it set {CUBLAS}=:4096:8", rf"variable {CUBLAS}=:4096:8"),
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


def test_the_cpu_is_deterministic_anyway(few):
    options = TrainingOptions(epochs=1, batch_size=32, device="cpu", deterministic=True)
    enabled = set()
    train(
        *few,
        options,
        on_batch=lambda *_: enabled.add(torch.are_deterministic_algorithms_enabled()),
    )
    assert enabled == {False}


def test_a_word_is_no_answer_to_whether_to_be_deterministic():
    with pytest.raises(DropError, match="`deterministic` to be True or False, but got 'yes'"):
        TrainingOptions(deterministic="yes")
