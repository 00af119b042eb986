"""Out-of-sample predictions: of every held-out sample, once, by a model that has not seen it."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from fiftyone_drop.training import TrainingOptions, cross_validate, training_cost

QUICK = TrainingOptions(epochs=1, batch_size=32)


@dataclass
class Diary:
    """What happened during a cross-validation, one set of indices per fold."""

    n: int
    trained: list = field(default_factory=list)
    predicted: list = field(default_factory=list)
    images: int = 0
    predicting: bool = True

    def __post_init__(self):
        self.logits = {}

    def on_batch(self, indices, logits):
        assert logits.shape == (len(indices), 10)
        assert not logits.requires_grad
        if self.predicting:
            self.trained.append(set())
            self.predicted.append([])
            self.predicting = False
        self.trained[-1].update(indices.tolist())

    def on_logits(self, indices, logits):
        assert (logits.dtype, logits.shape) == (np.float32, (len(indices), 10))
        self.predicting = True
        self.predicted[-1] += indices.tolist()
        self.logits.update(zip(indices.tolist(), logits, strict=True))

    def progress(self, images):
        self.images += images

    def run(self, *args, **kwargs):
        return cross_validate(
            *args,
            on_logits=self.on_logits,
            on_batch=self.on_batch,
            progress=self.progress,
            **kwargs,
        )


@pytest.fixture(scope="module")
def folds(samples):
    return np.random.default_rng(0).integers(0, 2, len(samples[0]))


@pytest.fixture(scope="module")
def diary(samples, folds):
    """Two folds of all digits with the default options: some seconds."""
    diary = Diary(len(folds))
    assert diary.run(*samples, folds) == []
    return diary


@pytest.mark.slow
def test_the_defaults_learn_digits(diary, samples):
    _, codes, _ = samples
    right = [diary.logits[i].argmax() == code for i, code in enumerate(codes)]
    assert np.mean(right) > 0.95


@pytest.mark.slow
def test_every_sample_is_predicted_exactly_once(diary):
    everything = [i for fold in diary.predicted for i in fold]
    assert sorted(everything) == list(range(diary.n))


@pytest.mark.slow
def test_no_model_predicts_what_it_was_trained_on(diary):
    assert len(diary.trained) == 2
    for trained, predicted in zip(diary.trained, diary.predicted, strict=True):
        assert trained.isdisjoint(predicted)
        assert len(trained) + len(predicted) == diary.n


@pytest.mark.slow
def test_progress_ends_at_the_announced_total(diary, samples, folds):
    assert diary.images == training_cost(samples[0], folds, measure=False).total_images


def test_samples_of_fold_minus_one_are_trained_on_and_never_predicted(few):
    fold_of = np.where(np.arange(120) % 3 == 0, 0, -1)
    diary = Diary(120)
    models = diary.run(*few, fold_of, QUICK, keep_models=True)
    assert len(models) == 1
    assert diary.predicted == [np.flatnonzero(fold_of == 0).tolist()]
    assert diary.trained == [set(np.flatnonzero(fold_of == -1).tolist())]
    assert diary.images == training_cost(few[0], fold_of, QUICK, measure=False).total_images


def test_a_class_absent_from_what_a_fold_trains_on_still_has_its_logit(few):
    paths, codes, names = few
    fold_of = (codes != 3).astype(int)  # fold 0 holds out all threes
    diary = Diary(120)
    diary.run(paths, codes, names, fold_of, QUICK)
    assert len(diary.logits) == 120


def test_kept_models_are_those_that_predicted(few):
    paths, _, _ = few
    fold_of = np.arange(120) % 2
    diary = Diary(120)
    models = diary.run(*few, fold_of, QUICK, keep_models=True)
    for fold, model in enumerate(models):
        held_out = np.flatnonzero(fold_of == fold)
        for indices, logits in model.predict([paths[i] for i in held_out]):
            again = np.stack([diary.logits[i] for i in held_out[indices]])
            np.testing.assert_allclose(logits, again, atol=1e-5)
