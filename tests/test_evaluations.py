"""Evaluation runs of FiftyOne: which fit, and what they say of each sample."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod
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


def test_an_evaluation_of_other_classes_is_refused_by_its_key(dataset, predict, recalls):
    others = dataset.match(F("ground_truth.label").is_in(["one", "two"]))
    predict(others, eval_key="val")
    target = dataset.match(F("ground_truth.label").is_in(["three", "four"]))
    given = {name: recalls[name] for name in ("three", "four")}
    target.apply_drop(0.5, label_field="ground_truth", recalls=given, key="other")
    for call in (
        lambda: fod.plan_drop(target, 0.5, eval_key="val"),
        lambda: fod.plan_drop(target, 0.5, eval_key="val", missing_recall=0.5),
        lambda: fod.report(dataset, "other", eval_key="val"),
    ):
        with pytest.raises(DropError, match="'val' has no sample of the classes 'four', 'three'"):
            call()


def test_an_evaluation_does_not_fit_labels_that_only_a_view_has(dataset, predict):
    predict(dataset[150:], eval_key="val")
    merged = dataset[:150].map_labels("ground_truth", {"one": "two"})
    with pytest.raises(DropError, match=r"^samples: the view changes 'ground_truth.label'"):
        fod.plan_drop(merged, 0.5, eval_key="val")


# -- evaluations of what has changed since ---------------------------------------------------------


@pytest.fixture
def corrected(dataset, predict):
    """A function: every fourth prediction was counted wrong, until its label was corrected."""

    def make(new_objects=False, **method):
        predict(dataset[100:], wrong=4)
        view = dataset[100:]
        view.evaluate_classifications(
            "predictions", "ground_truth", eval_key="val", progress=False, **method
        )
        guesses = view.values("predictions.label")
        if new_objects:
            view.set_values("ground_truth", [fo.Classification(label=name) for name in guesses])
        else:
            view.set_values("ground_truth.label", guesses)
        return dataset

    return make


@pytest.mark.filterwarnings("ignore:the class recalls")
@pytest.mark.parametrize("new_objects", [False, True])
def test_labels_that_were_corrected_after_an_evaluation_count_as_they_are(corrected, new_objects):
    dataset = corrected(new_objects)
    with pytest.warns(fod.DropWarning, match="of 200 samples are others than those that the eval"):
        plan = fod.plan_drop(dataset[:100], 0.5, eval_key="val", smoothing=0)
    assert set(plan.recalls.values()) == {1.0}
    plan.apply()
    dataset[100:].evaluate_classifications(
        "predictions", "ground_truth", eval_key="val", progress=False
    )
    again = fod.plan_drop(dataset[:100], 0.5, eval_key="val", smoothing=0)
    assert not any("are others than" in message for message in again.warnings)
    assert again.recalls == plan.recalls


def test_a_report_of_corrected_labels_counts_them_as_they_are(corrected, recalls):
    dataset = corrected()
    dataset[:100].apply_drop(0.5, recalls=recalls)
    report = fod.report(dataset, "drop", eval_key="val")
    assert report.accuracy["after"].average == 1
    assert "are others than those that the evaluation 'val' compared" in str(report)


@pytest.mark.filterwarnings(
    "ignore:the class recalls", "ignore:300 of 300 samples", "ignore:the quotas may go too far"
)
@pytest.mark.parametrize("new_objects", [False, True])
def test_outcomes_of_which_not_all_is_known_are_refused_when_labels_have_changed(
    dataset, new_objects
):
    classes = sorted(set(dataset.values("name")))
    rng = np.random.default_rng(0)
    dataset.set_values(
        "predictions",
        [fo.Classification(label="one", logits=logits) for logits in rng.normal(size=(300, 10))],
    )
    dataset.evaluate_classifications(
        "predictions",
        "ground_truth",
        eval_key="top",
        method="top-k",
        k=4,
        classes=classes,
        progress=False,
    )
    fod.plan_drop(dataset, 0.5, eval_key="top")
    sample = dataset.first()
    if new_objects:
        sample.ground_truth = fo.Classification(label="nine")
    sample.ground_truth.label = "nine" if sample.name != "nine" else "one"
    sample.save()
    with pytest.raises(DropError, match="eval_key: 1 of 300 samples have other labels"):
        fod.plan_drop(dataset, 0.5, eval_key="top")


def test_without_its_predictions_an_evaluation_stands_until_labels_change(corrected):
    dataset = corrected()
    dataset.delete_sample_field("predictions")
    with pytest.raises(DropError, match="samples have other labels than those that the evaluation"):
        fod.plan_drop(dataset[:100], 0.5, eval_key="val")


GONE = {
    "deleted outcomes": lambda ds: ds.delete_sample_field("val"),
    "renamed outcomes": lambda ds: ds.rename_sample_field("val", "other"),
    "renamed labels": lambda ds: ds.rename_sample_field("ground_truth", "truth"),
    "cleared outcomes": lambda ds: ds.clear_sample_field("val"),
    "deleted samples": lambda ds: ds.delete_samples(ds[100:]),
    "cleared labels": lambda ds: ds[100:].clear_sample_field("ground_truth"),
}


@pytest.mark.parametrize("how", GONE)
def test_an_evaluation_whose_fields_are_gone_or_empty_says_so(dataset, predict, recalls, how):
    predict(dataset[100:], eval_key="val")
    GONE[how](dataset)
    labels = "truth" if how == "renamed labels" else "ground_truth"
    dataset[:100].apply_drop(0.5, label_field=labels, recalls=recalls, key="other")
    for call in (
        lambda: fod.plan_drop(dataset[:100], 0.5, label_field=labels, eval_key="val"),
        lambda: fod.plan_drop(dataset[:100], 0.5, eval_key="val"),
        lambda: fod.report(dataset, "other", eval_key="val"),
    ):
        with pytest.raises(DropError, match="evaluate again") as caught:
            call()
        assert caught.value.argument == "eval_key"
        assert "'val'" in caught.value.message


def test_an_evaluation_settles_which_labels_are_pruned(dataset, predict):
    predict(dataset[100:], eval_key="val")
    dataset.clone_sample_field("ground_truth", "first_draft")
    with pytest.raises(DropError, match="several fields hold class labels"):
        fod.plan_drop(dataset[:100], 0.5)
    plan = fod.plan_drop(dataset[:100], 0.5, eval_key="val")
    assert plan.options.label_field == "ground_truth"
    with pytest.raises(DropError, match="pass label_field='ground_truth'"):
        fod.plan_drop(dataset[:100], 0.5, label_field="first_draft", eval_key="val")
