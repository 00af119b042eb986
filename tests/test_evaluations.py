"""Evaluation runs of FiftyOne: which fit, and what they say of each sample."""

import fiftyone as fo
import numpy as np
import pytest

from fiftyone_drop import DropError
from fiftyone_drop.evaluations import check_evaluation, read_evaluation


def refusal(samples, eval_key, label_field="ground_truth"):
    with pytest.raises(DropError) as caught:
        check_evaluation(samples, eval_key, label_field)
    assert caught.value.argument == "eval_key"
    return caught.value.message


def by_id(evaluation):
    ids, codes, correct = evaluation
    assert (codes.dtype, correct.dtype) == (np.dtype("i4"), np.dtype(bool))
    rows = zip(codes.tolist(), correct.tolist(), strict=True)
    return dict(zip([i.decode() for i in ids.tolist()], rows, strict=True))


def test_an_evaluation_of_the_labels_fits_any_view(dataset, predict):
    predict(dataset[100:], eval_key="val")
    for samples in (dataset, dataset[:100]):
        assert check_evaluation(samples, np.str_("val"), "ground_truth") == "val"


@pytest.mark.parametrize("eval_key", ["other", "", None, 3])
def test_an_evaluation_that_is_not_there_is_refused(dataset, predict, eval_key):
    predict(dataset, eval_key="val")
    message = refusal(dataset, eval_key)
    assert repr(eval_key) in message
    if eval_key == "other":
        assert "does not exist" in message
        assert "['val']" in message


def test_an_evaluation_of_something_else_is_refused(dataset):
    boxes = [fo.Detections(detections=[fo.Detection(label="a", bounding_box=[0, 0, 1, 1])])]
    dataset.set_values("truth", boxes * 300)
    dataset.set_values("guess", boxes * 300)
    dataset.limit(3).evaluate_detections("guess", "truth", eval_key="boxes", progress=False)
    assert "is not an evaluation of classifications" in refusal(dataset, "boxes")


def test_an_evaluation_of_other_labels_is_refused_with_these(dataset, predict):
    predict(dataset, eval_key="val")
    assert "pass label_field='ground_truth'" in refusal(dataset, "val", "cleaned")


def test_what_is_read_is_what_a_loop_over_samples_finds(dataset, predict):
    predict(dataset[100:], eval_key="val", wrong=3, missing=11)
    classes = ("nine", "zero")
    expected = {}
    for sample in dataset[100:]:
        if sample.ground_truth.label in classes:
            guess = sample.predictions
            right = guess is not None and guess.label == sample.ground_truth.label
            expected[sample.id] = (classes.index(sample.ground_truth.label), right)
    assert by_id(read_evaluation(dataset, "val", classes, "ground_truth", None)) == expected


def test_cells_are_the_classes_of_a_group(dataset, predict):
    predict(dataset, eval_key="val")
    classes = (("zero", "even"), ("zero", "odd"))
    zeros = dataset.match({"ground_truth.label": "zero"})
    ids, parities, right = zeros.values(["id", "parity", "val"])
    expected = {
        i: (("even", "odd").index(parity), ok)
        for i, parity, ok in zip(ids, parities, right, strict=True)
    }
    assert by_id(read_evaluation(dataset, "val", classes, "ground_truth", "parity")) == expected


def test_the_words_of_a_binary_evaluation_are_understood(dataset):
    truth = ["cat" if i % 2 else "dog" for i in range(300)]
    guess = ["cat" if i % 3 else "dog" for i in range(300)]
    dataset.set_values("truth", [fo.Classification(label=name) for name in truth])
    dataset.set_values("guess", [fo.Classification(label=name) for name in guess])
    dataset.evaluate_classifications(
        "guess", "truth", eval_key="bin", method="binary", classes=["dog", "cat"], progress=False
    )
    assert set(dataset.values("bin")) == {"TP", "TN", "FP", "FN"}
    _, codes, correct = read_evaluation(dataset, "bin", ("cat", "dog"), "truth", None)
    assert codes.tolist() == [("cat", "dog").index(name) for name in truth]
    assert correct.tolist() == [a == b for a, b in zip(truth, guess, strict=True)]


def test_no_sample_of_the_classes_is_no_error(dataset, predict):
    predict(dataset, eval_key="val")
    assert by_id(read_evaluation(dataset, "val", ("emu",), "ground_truth", None)) == {}
