"""Batches of logits become predictions, as NumPy finds them from all logits at once."""

import fiftyone as fo
import numpy as np
import pytest

from fiftyone_drop import DropError
from fiftyone_drop.predictions import Collector, predict_samples, query_model_source
from fiftyone_drop.training import TrainingOptions, train

NAMES = ["a", "b", "c"]
IDS = np.array([b"%024x" % i for i in range(9)])
LOGITS = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32) * 3
LABELS = np.array([0, 1, 2, 0, 1, 2, -1, -1, 0], dtype=np.int32)  # -1: not a class of the model


def softmax(logits):
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return shifted / shifted.sum(axis=1, keepdims=True)


def collect(batches, names=NAMES, rows=None, **options):
    collector = Collector(LABELS, names, **options)
    for batch in batches:
        collector.add(np.array(batch), LOGITS[batch])
    return collector.finish(IDS, np.arange(9) if rows is None else np.array(rows), "a test")


BATCHES = [[list(range(9))], [[i] for i in range(9)], [[8, 0, 7], [1, 2], [6, 5, 4, 3]]]


@pytest.mark.parametrize("batches", BATCHES)
def test_predictions_do_not_depend_on_the_batches(batches):
    predictions = collect(batches)
    probabilities = softmax(LOGITS)
    assert predictions.labels == [NAMES[code] for code in LOGITS.argmax(axis=1)]
    np.testing.assert_allclose(predictions.confidences, probabilities.max(axis=1), rtol=1e-5)
    assert predictions.correct.tolist() == (LOGITS.argmax(axis=1) == LABELS).tolist()
    known = LABELS >= 0
    errors = probabilities[known] - np.eye(3)[LABELS[known]]
    el2n = predictions.scores["el2n"]
    np.testing.assert_allclose(el2n[known], np.linalg.norm(errors, axis=1), rtol=1e-4)
    assert np.isnan(el2n[~known]).all()
    assert predictions.ids.tolist() == IDS.tolist()


def test_a_label_that_the_model_does_not_know_is_predicted_wrong():
    assert not collect(BATCHES[0]).correct[LABELS < 0].any()


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_not_finite_are_no_predictions(number):
    logits = LOGITS.copy()
    logits[[2, 5], 1] = number
    collector = Collector(LABELS, NAMES)
    collector.add(np.arange(9), logits)
    words = f"^model: the output of a test is not finite for 2 of 9 samples, such as {2:024x}; "
    with pytest.raises(DropError, match=words):
        collector.finish(IDS, np.arange(9), "a test")
    assert len(collector.finish(IDS, np.array([0, 1, 3]), "a test").labels) == 3


def test_two_outputs_of_one_name_are_one_class():
    predictions = collect(BATCHES[0], ["a", "a", "c"])
    merged = np.array([0, 0, 1])
    expected = (LABELS >= 0) & (merged[LOGITS.argmax(axis=1)] == merged[LABELS])
    assert predictions.correct.tolist() == expected.tolist()


def test_the_rows_that_were_predicted_alone_are_returned():
    predictions = collect([[4, 2], [7]], rows=[2, 4, 7])
    assert predictions.ids.tolist() == IDS[[2, 4, 7]].tolist()
    assert predictions.labels == [NAMES[code] for code in LOGITS[[2, 4, 7]].argmax(axis=1)]
    assert {name: len(values) for name, values in predictions.scores.items()} == {"el2n": 3}


def test_the_scores_that_were_asked_for_are_computed():
    scores = collect(BATCHES[0], scores={"margin": {}, "entropy": {}}).scores
    assert list(scores) == ["margin", "entropy"]
    known = LABELS >= 0
    p = softmax(LOGITS)[known]
    np.testing.assert_allclose(scores["entropy"][known], -(p * np.log(p)).sum(axis=1), rtol=1e-4)


def test_predictions_are_written_as_classifications_with_their_source():
    values = collect(BATCHES[0]).field_values(as_text=False)
    assert values.ftype is fo.Classification
    assert list(values.values) == [NAMES[code] for code in LOGITS.argmax(axis=1)]
    assert values.description == "Predictions of a test"
    assert values.info == {"source": "a test"}


def test_a_query_model_predicts_samples_by_their_names(digits, few_steps):
    paths, labels = [str(path) for path in digits[0][:60]], digits[1][:60]
    names = sorted(set(labels))
    codes = np.array([names.index(label) for label in labels])
    model = train(paths, codes, names, TrainingOptions(seed=0))
    ids = np.array([b"%024x" % i for i in range(60)])
    odd = ["a class it does not know", *labels[1:]]
    predictions = predict_samples(query_model_source(model), ids, paths, odd, progress=False)
    logits = np.concatenate([batch for _, batch in model.predict(paths)])
    guesses = [names[code] for code in logits.argmax(axis=1)]
    assert predictions.labels == guesses
    assert predictions.correct.tolist() == [a == b for a, b in zip(guesses, odd, strict=True)]
    assert np.isnan(predictions.scores["el2n"]).tolist() == [True] + [False] * 59
