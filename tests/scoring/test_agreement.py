"""Whether logits and labels belong together: said where they cannot, and only there."""

import numpy as np
import pytest
import torch

from fiftyone_drop.errors import DropWarning
from fiftyone_drop.scoring import DynamicsRecorder
from fiftyone_drop.scoring.agreement import misfit

WORDS = "do not belong together"


def training(n=300, k=10, epochs=3, seed=0, order=None, sure=4.0, good=0.8):
    """Logits of a model that is right on ``good`` of the samples, and sure; labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, n)
    for _ in range(epochs):
        chosen = np.where(rng.random(n) < good, labels, rng.integers(0, k, n))
        if order is not None:
            chosen = np.asarray(order)[chosen]
        yield labels, torch.tensor(sure * np.eye(k)[chosen] + rng.normal(size=(n, k)))


def record(epochs, rows=None, **options):
    for number, (labels, logits) in enumerate(epochs):
        if not number:
            recorder = DynamicsRecorder(len(labels), labels, scores=["aum"], **options)
        recorder.update(np.arange(len(labels)) if rows is None else rows, logits)
        recorder.end_epoch()
    return recorder


def test_a_model_that_learns_is_not_spoken_of():
    record(training())
    record(training(good=0.3))


@pytest.mark.parametrize("k", [2, 10])
def test_the_reverse_order_of_classes_is_said_once_with_the_names(k):
    names = [f"name {i}" for i in range(k)]
    with pytest.warns(DropWarning, match=rf"{WORDS}: in epoch 1, .*'name 0' \(0\) as '") as said:
        record(training(k=k, order=range(k)[::-1]), classes=names)
    assert len(said) == 1
    assert "classes= in the order of the outputs" in str(said[0].message)


def test_two_classes_out_of_place_are_said():
    """The accuracy is far above chance, since the other eight are right."""
    order = [0, 1, 3, 2, 4, 5, 6, 7, 8, 9]
    with pytest.warns(DropWarning, match=rf"{WORDS}.*class 2 as class 3, class 3 as class 2"):
        record(training(order=order, n=600))


def test_numbers_that_are_sorted_as_texts_are_said():
    order = [int(name) for name in sorted(map(str, range(12)))]
    with pytest.warns(DropWarning, match=WORDS):
        record(training(n=600, k=12, order=order))


@pytest.mark.parametrize("k", [2, 10, 100])
def test_positions_of_other_samples_are_said(k):
    rows = np.random.default_rng(5).permutation(600)
    with pytest.warns(DropWarning, match=rf"{WORDS}.*no more than by chance.*targets="):
        record(training(n=600, k=k, sure=9.0), rows=rows)


@pytest.mark.parametrize("k", [2, 10, 100])
@pytest.mark.parametrize("seed", range(10))
def test_a_model_that_has_learned_nothing_yet_is_not_spoken_of(k, seed):
    """It is wrong, but it does not know better either."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, k, 200)
    logits = torch.tensor(rng.normal(size=(5, 200, k)))
    record([(labels, epoch) for epoch in logits])


def test_a_model_that_says_one_class_for_all_is_not_spoken_of():
    labels = np.repeat([0, 1, 2], [80, 10, 10])
    assert misfit(labels, labels * 0, np.full(100, 0.8), str) is None


@pytest.mark.parametrize("share", [1.0, 0.9])
@pytest.mark.parametrize("good", [0.95, 0.5])
def test_samples_of_nearly_one_class_say_nothing_of_a_model_that_is_too_sure(share, good):
    rng = np.random.default_rng(1)
    labels = (rng.random(5000) > share).astype(np.int64)
    predicted = np.where(rng.random(5000) < good, labels, 1 - labels)
    assert misfit(labels, predicted, np.full(5000, 0.999), str) is None


@pytest.mark.parametrize("n", [30, 50, 100])
@pytest.mark.parametrize("seed", range(20))
def test_hard_samples_of_a_model_that_is_too_sure_are_not_spoken_of(n, seed):
    """Of ten classes a model knows a fifth of the samples, and guesses the others."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, n)
    chosen = np.where(rng.random(n) < 0.2, labels, rng.integers(0, 10, n))
    assert misfit(labels, chosen, np.full(n, 0.85), str) is None


def test_few_presentations_say_nothing():
    assert misfit(np.zeros(5, np.int64), np.ones(5, np.int64), np.ones(5), str) is None
    assert misfit(*np.zeros((2, 0), np.int64), np.zeros(0), str) is None


@pytest.mark.parametrize("number", [np.nan, np.inf])
def test_one_confidence_that_is_not_finite_does_not_hide_the_others(number):
    labels = np.arange(300) % 10
    predicted, confidence = (labels + 1) % 10, np.full(300, 0.9)
    said = misfit(labels, predicted, confidence, str)
    assert said is not None
    assert "in a circle" in said
    predicted, confidence = np.append(predicted, 0), np.append(confidence, number)
    assert misfit(np.append(labels, 3), predicted, confidence, str) == said
    assert misfit(labels, predicted[:-1], np.full(300, number), str) is None
