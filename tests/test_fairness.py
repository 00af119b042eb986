"""``report``: what it says follows from independent counts, and no more than they allow."""

import json

import fiftyone as fo
import pandas as pd
import pytest
from reports import PROPORTIONAL, said
from scipy.stats import binomtest

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning

pytestmark = pytest.mark.filterwarnings("ignore:the quotas may go too far")


def test_the_warnings_of_the_run_are_repeated(two_classes):
    dataset = two_classes(val={"cat": 25, "dog": 26})
    with pytest.warns(DropWarning, match="cannot be told apart"):
        dataset.match_tags("train").apply_drop(density=0.5, eval_key="val")
    level, text = said(fod.report(dataset, "drop"), "cannot be told apart")
    assert level == "warning"
    assert text.startswith("The class recalls")


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


# -- beside models that were trained otherwise ----------------------------------------------------


@pytest.fixture
def three_models(two_classes):
    """A run, and the evaluations of models of all samples, a random half, and the kept samples."""
    dataset = two_classes(
        full={"cat": 30, "dog": 48}, random={"cat": 10, "dog": 46}, after={"cat": 40, "dog": 45}
    )
    dataset.match_tags("train").apply_drop(density=0.5, recalls={"cat": 0.5, "dog": 0.9})
    return dataset


def test_models_stand_side_by_side_class_by_class(three_models):
    report = fod.report(three_models, "drop", "after", baseline_eval=("full", "random"))
    assert list(report.baselines) == ["full", "random"]
    assert (report.baselines["full"].average, report.baselines["full"].worst) == (0.78, 0.6)
    assert report.baselines["random"].worst == 0.2
    accuracies = {
        row.class_name: (row.before, *row.baselines.values(), row.after) for row in report.classes
    }
    assert accuracies == {"cat": (0.5, 0.6, 0.2, 0.8), "dog": (0.9, 0.96, 0.92, 0.9)}
    assert {r.class_name: dict(r.clear) for r in report.classes} == {
        "cat": {"full": True, "random": True},
        "dog": {"full": False, "random": False},
    }
    assert [row.class_name for row in report.classes] == ["dog", "cat"]


def test_it_says_what_is_better_and_what_is_noise(three_models):
    report = fod.report(three_models, "drop", "after", baseline_eval=("full", "random"))
    level, text = said(report, "0.780 in 'full' and 0.850 in 'after'")
    p_value = binomtest(0, 10).pvalue  # ten cats more are right, and no fewer
    words = f": better by more than noise (p = {p_value:.2g})"
    assert (level, text[-len(words) :]) == ("info", words)
    assert "better by more than noise" in said(report, "0.560 in 'random' and")[1]
    assert "'cat' (0.200 to 0.800)" in said(report, "eside 'random', classes that gained")[1]
    worse = fod.report(three_models, "drop", "random", baseline_eval="after")
    assert said(worse, "in 'after' and 0.560 in 'random'")[0] == "warning"


def test_it_prints_a_table_of_models_and_one_of_classes(three_models):
    report = fod.report(three_models, "drop", "after", baseline_eval=("full", "random"))
    lines = [line.split() for line in str(report).splitlines()]
    assert ["before", "full", "random", "after"] in lines
    assert ["worst", "class", "0.500", "0.600", "0.200", "0.800"] in lines
    assert ["class", "density", "before", "full", "random", "after"] in lines
    assert ["cat", "0.840", "0.500", "0.600*", "0.200*", "0.800"] in lines
    assert ["average", "0.700", "0.780", "0.560", "0.850"] in lines
    values = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert values["baselines"]["random"]["worst"] == 0.2
    assert values["classes"][1]["baselines"] == {"full": 0.6, "random": 0.2}


def test_a_run_without_recalls_has_no_column_before(three_models):
    three_models.match_tags("train").apply_drop(density=0.5, key="same", **PROPORTIONAL)
    lines = [
        line.split()
        for line in str(
            fod.report(three_models, "same", "after", baseline_eval="full")
        ).splitlines()
    ]
    assert ["class", "density", "full", "after"] in lines
    assert ["full", "after"] in lines


def test_models_measured_on_the_same_samples_are_said_to_be_and_others_not(three_models):
    report = fod.report(three_models, "drop", "after", baseline_eval="full")
    level, text = said(report, "'full' and 'after' were measured")
    assert (level, text) == ("info", "'full' and 'after' were measured on the same 100 samples")
    few = three_models.match_tags("test")[:60]
    few.evaluate_classifications("pred_full", "ground_truth", eval_key="fewer", progress=False)
    report = fod.report(three_models, "drop", "after", baseline_eval="fewer")
    level, text = said(report, "'fewer' and 'after' were measured")
    assert level == "warning"
    assert "on different samples, 60 and 100 (60 of them in both)" in text


def test_a_baseline_that_may_have_seen_its_samples_is_doubted(three_models):
    three_models.clone_sample_field("ground_truth", "pred_all")
    three_models.evaluate_classifications(
        "pred_all", "ground_truth", eval_key="everything", progress=False
    )
    report = fod.report(three_models, "drop", "after", baseline_eval="everything")
    assert said(report, "100 samples of the evaluation 'everything' are in the run")[0] == "warning"


@pytest.mark.parametrize(
    ("eval_key", "baseline", "message"),
    [
        (None, "full", "baseline_eval: is compared with eval_key=<an evaluation>"),
        ("after", "after", "evaluations of other models than 'after', each once"),
        ("after", ["full", "full"], "each once, but got \\['full', 'full'\\]"),
        ("after", "none", "baseline_eval: the evaluation 'none' does not exist"),
        (["after"], "full", "eval_key: must be"),
        ("after", 3, "baseline_eval: must be"),
        ("after", ["full", 3], "baseline_eval: must be"),
    ],
)
def test_a_baseline_that_compares_with_nothing_is_refused(
    three_models, eval_key, baseline, message
):
    with pytest.raises(DropError, match=message):
        fod.report(three_models, "drop", eval_key, baseline_eval=baseline)
