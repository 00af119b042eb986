"""``report``: what it says follows from independent counts, and no more than they allow."""

import json

import fiftyone as fo
import pandas as pd
import pytest
from reports import PROPORTIONAL, said

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
