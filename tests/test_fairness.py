"""``report``: what it says follows from independent counts, and no more than they allow."""

import json

import fiftyone as fo
import numpy as np
import pandas as pd
import pytest
from fiftyone import ViewField as F
from scipy.stats import binomtest

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.recall import recall_intervals, samples_for_width

PROPORTIONAL = {"rule": "proportional"}


def said(report, words):
    """The only finding that holds some words: its level and its text."""
    (finding,) = [(level, text) for level, text in report.findings if words in text]
    return finding


def silent(report, words):
    return all(words not in text for _, text in report.findings)


@pytest.fixture
def two_classes(make_dataset):
    """A function that makes a dataset of two classes, half train, half test, and evaluates it.

    It takes how many of 50 test samples of each class are predicted right, by evaluation key.
    """

    def make(**evaluations):
        dataset = make_dataset(200)
        labels = ["cat" if i % 2 == 0 else "dog" for i in range(200)]
        dataset.set_values("ground_truth", [fo.Classification(label=name) for name in labels])
        dataset.set_values("tags", [["train" if i < 100 else "test"] for i in range(200)])
        test = dataset.match_tags("test")
        for key, right in evaluations.items():
            left = dict(right)
            predictions = []
            for name in test.values("ground_truth.label"):
                left[name] -= 1
                predictions.append(fo.Classification(label=name if left[name] >= 0 else "other"))
            test.set_values(f"pred_{key}", predictions)
            test.evaluate_classifications(
                f"pred_{key}", "ground_truth", eval_key=key, progress=False
            )
        return dataset

    return make


# -- before training ------------------------------------------------------------------------------


def test_it_names_the_smallest_class_that_is_kept(odd_dataset):
    odd_dataset.apply_drop(density=0.5, **PROPORTIONAL)
    kept = odd_dataset.load_saved_view("drop-kept").count_values("ground_truth.label")
    name, n = min(kept.items(), key=lambda item: item[1])
    level, text = said(fod.report(odd_dataset, "drop"), "smallest class kept")
    assert level == "info"
    assert f"{name!r}: {n} of " in text


def test_emptied_classes_are_named_and_do_not_count_as_the_smallest(dataset, recalls):
    perfect = recalls | {"zero": 1.0, "one": 1.0}
    dataset.apply_drop(0.3, recalls=perfect, min_per_class=0, allow_empty_classes=True)
    report = fod.report(dataset, "drop")
    level, text = said(report, "nothing is kept of".capitalize())
    assert level == "warning"
    assert "2 of 10 classes: 'one', 'zero'" in text
    assert not {"'zero'", "'one'"} & set(said(report, "smallest class kept")[1].split())


def test_nearly_emptied_classes_are_named_with_what_nearly_means(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls | {"zero": 0.999})
    sizes = dataset.count_values("ground_truth.label")
    kept = dataset.load_saved_view("drop-kept").count_values("ground_truth.label")
    assert kept["zero"] == 1
    assert kept["two"] == 5
    level, text = said(fod.report(dataset, "drop"), "Nearly emptied")
    assert level == "warning"
    named = f"2 of 10 classes: 'zero' (1 of {sizes['zero']}), 'two' (5 of {sizes['two']})."
    assert named in text
    assert "at most 5 samples and a class density below half of the dataset's" in text


def test_a_small_class_that_is_pruned_no_harder_than_others_is_not_nearly_emptied(make_dataset):
    dataset = make_dataset(60)
    labels = [fo.Classification(label="rare" if i < 4 else "common") for i in range(60)]
    dataset.set_values("ground_truth", labels)
    dataset.apply_drop(density=0.5, **PROPORTIONAL)
    assert dataset.load_saved_view("drop-kept").count_values("ground_truth.label")["rare"] == 2
    assert silent(fod.report(dataset, "drop"), "emptied")


def test_recalls_measured_on_few_samples_are_called_unsure(two_classes):
    dataset = two_classes(val={"cat": 25, "dog": 45})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    level, text = said(fod.report(dataset, "drop"), "95 % interval wider than 0.2")
    low, high = binomtest(25, 50).proportion_ci(method="wilson")
    assert level == "warning"
    assert text.startswith("The recalls of 1 of 2 classes")
    assert f"'cat' ({low:.2f} to {high:.2f}, measured on 50)" in text
    assert "93 validation samples of a class are enough" in text


def test_so_many_samples_are_enough_and_no_fewer():
    for width in (0.05, 0.2, 0.5):
        n = samples_for_width(width)
        for samples, enough in ((n, True), (n - 2, False)):
            correct = np.arange(samples + 1)
            ends = recall_intervals(correct, np.full_like(correct, samples))
            assert (np.diff(ends).max() <= width) == enough


def test_recalls_that_were_given_or_not_needed_are_not_judged(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, key="given")
    assert said(fod.report(dataset, "given"), "recalls were given")[0] == "info"
    dataset.apply_drop(density=0.5, key="none", **PROPORTIONAL)
    report = fod.report(dataset, "none")
    assert silent(report, "recall")
    assert report.accuracy is None


def test_the_warnings_of_the_run_are_repeated(two_classes):
    dataset = two_classes(val={"cat": 25, "dog": 26})
    with pytest.warns(DropWarning, match="cannot be told apart"):
        dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    level, text = said(fod.report(dataset, "drop"), "cannot be told apart")
    assert level == "warning"
    assert text.startswith("The class recalls")


def test_kept_samples_of_low_aum_are_counted_and_shown(dataset, recalls):
    values = np.random.default_rng(0).normal(1, 1, 300)
    dataset.set_values("margin", [None if i % 10 == 0 else v for i, v in enumerate(values)])
    field = dataset.get_field("margin")
    field.info = {"score": "aum", "hard": "low"}
    field.save()
    dataset[100:].apply_drop(density=0.5, recalls=recalls)
    kept = dataset.match(F("drop_kept") == True).values("margin")  # noqa: E712
    wrong, scored = sum(v is not None and v < 0 for v in kept), sum(v is not None for v in kept)
    level, text = said(fod.report(dataset, "drop"), "AUM")
    assert level == "warning"
    assert text.startswith(f"{wrong} of {scored} kept samples")
    call = text[text.index("fod.drop_view") : text.index(" shows them first")]
    shown = eval(call, {"fod": fod, "dataset": dataset}).exists("margin").values("margin")
    assert max(shown[:wrong]) < 0 <= shown[wrong]


def test_kept_samples_that_fiftyone_finds_mistaken_are_counted(dataset, recalls):
    import fiftyone.brain as fob

    labels = dataset.values("ground_truth.label")
    predictions = [
        fo.Classification(label=name if i % 5 else "other", confidence=0.95 - 0.3 * (i % 2))
        for i, name in enumerate(labels)
    ]
    dataset.set_values("predictions", predictions)
    fob.compute_mistakenness(dataset, "predictions", label_field="ground_truth")
    dataset[:200].apply_drop(density=0.5, recalls=recalls, label_field="ground_truth")
    kept = dataset.match(F("drop_kept") == True).values("mistakenness")  # noqa: E712
    level, text = said(fod.report(dataset, "drop"), "mistakenness above 0.9")
    assert level == "warning"
    assert text.startswith(f"{sum(v > 0.9 for v in kept)} of 100 kept samples")
    shown = fod.drop_view(dataset, "drop", score="mistakenness").values("mistakenness")
    assert shown == sorted(kept, reverse=True)


def test_labels_without_a_sign_of_mistakes_are_no_warning(dataset, recalls):
    dataset.set_values("aum", [1.0] * 300)
    field = dataset.get_field("aum")
    field.info = {"score": "aum", "hard": "low"}
    field.save()
    dataset.apply_drop(density=0.5, recalls=recalls)
    level, text = said(fod.report(dataset, "drop"), "AUM")
    assert level == "info"
    assert text.startswith("0 of 150 kept samples")


# -- after training -------------------------------------------------------------------------------


def test_before_and_after_are_the_accuracies_that_pandas_counts(dataset, predict):
    dataset[150:].set_values("tags", [["test"]] * 150)
    test = dataset.match_tags("test")
    predict(test, "first", eval_key="val", wrong=3)
    predict(test, "second", eval_key="final", wrong=7)
    with pytest.warns(DropWarning, match="cannot be told apart"):
        dataset.match_tags("train").apply_drop(0.5, label_field="ground_truth", eval_key="val")
    accuracy = fod.report(dataset, "drop", eval_key="final").accuracy
    for column, key in (("before", "val"), ("after", "final")):
        names, right = test.values(["ground_truth.label", key])
        classes = pd.Series(right).groupby(names).mean()
        found = accuracy[column]
        assert found.average == pytest.approx(classes.mean())
        assert found.worst == pytest.approx(classes.min())
        assert found.worst_class == classes.idxmin()
        assert found.gap == pytest.approx(classes.mean() - classes.min())
        assert found.spread == pytest.approx(classes.std(ddof=0))
        assert found.samples == 150


def test_a_difference_within_noise_is_called_that(two_classes):
    dataset = two_classes(val={"cat": 30, "dog": 45}, final={"cat": 36, "dog": 44})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    report = fod.report(dataset, "drop", eval_key="final")
    level, text = said(report, "worst class")
    assert level == "info"
    assert "'cat' with 0.600 before and is 'cat' with 0.720 after" in text
    assert "within noise" in text
    assert "better" not in text
    assert [(c.class_name, c.clear) for c in report.gained] == [("cat", False)]
    assert [(c.class_name, c.clear) for c in report.lost] == [("dog", False)]


@pytest.mark.parametrize(
    ("after", "level", "word"), [(45, "info", "better"), (2, "warning", "worse")]
)
def test_a_difference_beyond_noise_is_called_that(two_classes, after, level, word):
    dataset = two_classes(val={"cat": 20, "dog": 45}, final={"cat": after, "dog": 46})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    report = fod.report(dataset, "drop", eval_key="final")
    found, text = said(report, "worst class was")
    assert found == level
    assert f"{word} by more than noise" in text
    (change,) = report.gained[:1] if word == "better" else report.lost
    assert (change.class_name, change.before, change.after, change.clear) == (
        "cat",
        0.4,
        after / 50,
        True,
    )


def test_equally_many_samples_are_not_taken_for_the_same_ones(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45}, final={"cat": 30, "dog": 46})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    level, text = said(fod.report(dataset, "drop", "final"), "equally many samples")
    assert level == "info"
    assert "whether on the same ones is not recorded" in text


def test_other_samples_kept_samples_and_missing_classes_are_warned_about(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45})
    train = dataset.match_tags("train")
    train.apply_drop(density=0.5, eval_key="val")
    cats = train.match(F("ground_truth.label") == "cat")
    cats.set_values("late", [fo.Classification(label="cat")] * 50)
    cats.evaluate_classifications("late", "ground_truth", eval_key="late_eval", progress=False)
    report = fod.report(dataset, "drop", eval_key="late_eval")
    kept = fod.load_drop(dataset, "drop").table.by_class("quotas")["cat"]
    assert said(report, "different samples, 100 and 50")[0] == "warning"
    assert said(report, "has no sample of 'dog'")[0] == "warning"
    level, text = said(report, "are kept by the run")
    assert level == "warning"
    assert text.startswith(f"{kept} samples")
    assert report.accuracy["after"].average == 1


def test_given_recalls_are_not_compared_as_if_they_were_measured(two_classes):
    dataset = two_classes(final={"cat": 30, "dog": 46})
    dataset.match_tags("train").apply_drop(density=0.5, recalls={"cat": 0.5, "dog": 0.6})
    report = fod.report(dataset, "drop", eval_key="final")
    assert said(report, "whether they were measured on the samples of 'final'")[0] == "warning"
    assert "whether that is more than noise is not known" in said(report, "worst class was")[1]
    assert {change.clear for change in report.gained} == {None}
    assert report.accuracy["before"].worst_interval is None


def test_a_rule_without_recalls_shows_the_accuracy_after_alone(two_classes):
    dataset = two_classes(final={"cat": 30, "dog": 46})
    dataset.match_tags("train").apply_drop(density=0.5, **PROPORTIONAL)
    report = fod.report(dataset, "drop", eval_key="final")
    assert list(report.accuracy) == ["after"]
    assert report.accuracy["after"].worst == 0.6
    assert report.gained == report.lost == ()


def test_cells_are_the_classes_of_a_grouped_run(two_classes):
    dataset = two_classes(final={"cat": 30, "dog": 46})
    train = dataset.match_tags("train")
    dataset.set_values("half", [i // 2 % 2 == 0 for i in range(200)])
    train.apply_drop(density=0.5, group_by="half", **PROPORTIONAL)
    report = fod.report(dataset, "drop", eval_key="final")
    names, halves, right = dataset.match_tags("test").values(
        ["ground_truth.label", "half", "final"]
    )
    cells = pd.Series(right).groupby([names, halves]).mean()
    found = report.accuracy["after"]
    assert found.average == pytest.approx(cells.mean())
    assert found.worst_class == " / ".join(map(str, cells.idxmin()))


def test_the_report_prints_and_survives_json(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45}, final={"cat": 30, "dog": 46})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    report = fod.report(dataset, "drop", eval_key="final")
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert [(f["level"], f["text"]) for f in values["findings"]] == list(report.findings)
    assert values["accuracy"]["after"]["worst"] == 0.6
    assert values["gained"][0]["class_name"] == "cat"
    lines = str(report).splitlines()
    assert lines[0] == "Drop run 'drop': density 0.5 keeps 50 of 100 samples of 2 classes"
    assert ["worst", "class", "0.400", "0.600"] in [line.split() for line in lines]
    assert str(report) == repr(report)


@pytest.mark.parametrize(
    ("eval_key", "message"),
    [("none", "eval_key: the evaluation 'none' does not exist"), ("other", "no sample of the cla")],
)
def test_an_evaluation_that_says_nothing_about_the_run_is_refused(two_classes, eval_key, message):
    dataset = two_classes(val={"cat": 20, "dog": 45})
    dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    few = dataset[:10]
    few.set_values("ground_truth", [fo.Classification(label="emu")] * 10)
    few.evaluate_classifications("ground_truth", "ground_truth", eval_key="other", progress=False)
    with pytest.raises(DropError, match=message):
        fod.report(dataset, "drop", eval_key=eval_key)
