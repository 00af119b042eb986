"""Recalls from FiftyOne: evaluations, validation views, and what is said about them."""

from inspect import signature

import fiftyone as fo
import numpy as np
import pytest
import torch
from digit_models import CLASSES
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning, reader
from fiftyone_drop.options import DropOptions
from fiftyone_drop.recall import class_recalls
from fiftyone_drop.recall_sources import check_source


def recalls_by_hand(samples, field, group=None):
    """Recall with a plain loop over samples."""
    right, total = {}, {}
    for sample in samples:
        name = sample.ground_truth.label
        name = name if group is None else (name, sample[group])
        prediction = sample[field]
        total[name] = total.get(name, 0) + 1
        right[name] = right.get(name, 0) + (
            prediction is not None and prediction.label == sample.ground_truth.label
        )
    return {name: right[name] / total[name] for name in total}


@pytest.fixture
def split(dataset):
    """A target and a validation view that do not overlap."""
    return dataset[:150], dataset[150:]


@pytest.fixture
def uneven(dataset):
    """A function that writes predictions that fail most on the digits 'eight' and 'three'."""

    def write(samples, field="predictions", missing=0):
        labels = samples.values("ground_truth.label")
        failing = {"eight": 2, "three": 3}
        values = [
            None
            if missing and i % missing == 0
            else fo.Classification(label="one" if i % failing.get(name, 40) == 0 else name)
            for i, name in enumerate(labels)
        ]
        samples.set_values(field, values)
        return field

    return write


def test_an_evaluation_on_a_view_gives_its_recalls(split, uneven):
    target, validation = split
    uneven(validation, missing=7)
    results = validation.evaluate_classifications(
        "predictions", "ground_truth", eval_key="val_eval"
    )
    plan = fod.plan_drop(target, 0.5, eval_key="val_eval", smoothing=0)
    assert plan.recalls == pytest.approx(recalls_by_hand(validation, "predictions"))
    report = results.report()
    assert plan.recalls == pytest.approx({n: report[n]["recall"] for n in plan.recalls})
    assert plan.table.support.sum() == len(validation)
    assert plan.recalls_from == "evaluation 'val_eval'"


def test_predictions_on_a_validation_view_give_the_same_recalls(split, uneven):
    target, validation = split
    uneven(validation, missing=7)
    plan = fod.plan_drop(target, 0.5, validation=validation, pred_field="predictions", smoothing=0)
    assert plan.recalls == pytest.approx(recalls_by_hand(validation, "predictions"))


def test_recalls_are_drawn_towards_their_mean_by_default(split, uneven):
    target, validation = split
    uneven(validation)
    given = {"validation": validation, "pred_field": "predictions"}
    table = fod.plan_drop(target, 0.5, **given).table
    observed = table.correct / table.support
    assert np.ptp(table.recalls) < np.ptp(observed)
    np.testing.assert_allclose(table.recalls, class_recalls(table.correct, table.support))


def test_a_number_smooths_towards_one_half(split, uneven):
    target, validation = split
    uneven(validation)
    given = {"validation": validation, "pred_field": "predictions", "smoothing": 0.5}
    table = fod.plan_drop(target, 0.5, **given).table
    np.testing.assert_allclose(table.recalls, (table.correct + 0.5) / (table.support + 1))


def test_predictions_may_be_strings(split):
    target, validation = split
    labels = validation.values("ground_truth.label")
    wrong = [label if i % 3 or label != "two" else "one" for i, label in enumerate(labels)]
    validation.set_values("guess", ["nine" if w == "four" else w for w in wrong])
    plan = fod.plan_drop(target, 0.5, validation=validation, pred_field="guess", smoothing=0)
    assert plan.recalls["four"] == 0
    assert plan.recalls["zero"] == 1


@pytest.mark.parametrize("source", ["eval_key", "validation"])
def test_group_recalls_are_those_of_the_cells(split, uneven, source):
    target, validation = split
    uneven(validation)
    validation.evaluate_classifications("predictions", "ground_truth", eval_key="val_eval")
    given = (
        {"eval_key": "val_eval"}
        if source == "eval_key"
        else {"validation": validation, "pred_field": "predictions"}
    )
    plan = fod.plan_drop(target, 0.5, group_by="parity", smoothing=0, missing_recall=0.5, **given)
    by_hand = recalls_by_hand(validation, "predictions", "parity")
    assert {n: r for n, r in plan.recalls.items() if n in by_hand} == pytest.approx(by_hand)


def test_a_top_k_evaluation_counts_what_it_calls_correct(split):
    target, validation = split
    classes = sorted(set(validation.values("ground_truth.label")))
    rng = np.random.default_rng(0)
    validation.set_values(
        "predictions",
        [
            fo.Classification(label=classes[int(np.argmax(logits))], logits=logits)
            for logits in rng.normal(size=(len(validation), 10))
        ],
    )
    validation.evaluate_classifications(
        "predictions", "ground_truth", eval_key="top", method="top-k", k=4, classes=classes
    )
    with pytest.warns(DropWarning, match="cannot be told apart"):
        plan = fod.plan_drop(target, 0.5, eval_key="top")
    assert plan.table.correct.sum() == validation.match(F("top") == True).count()  # noqa: E712


def test_an_overlap_with_the_target_is_a_warning_with_the_number(dataset, uneven):
    validation = dataset[100:]
    uneven(validation)
    with pytest.warns(DropWarning, match="50 of 200 samples .* also in the target view"):
        fod.plan_drop(dataset[:150], 0.5, validation=validation, pred_field="predictions")


def test_recalls_that_are_noise_are_a_warning_with_what_would_do(split, predict):
    target, validation = split
    predict(validation, wrong=4)
    with pytest.warns(DropWarning, match=r"told apart \(p = .*15 validation samples per class"):
        fod.plan_drop(target, 0.5, validation=validation, pred_field="predictions")


@pytest.mark.filterwarnings("ignore:the class recalls")
def test_a_run_records_what_was_warned_about(split, predict):
    target, validation = split
    predict(validation, wrong=4)
    for key in ("first", "second"):  # Python itself shows a warning once
        target.apply_drop(0.5, validation=validation, pred_field="predictions", key=key)
        run = fod.load_drop(target, key)
        (message,) = run.config.warnings
        assert "cannot be told apart" in message
        assert message in str(run)


def test_a_class_that_only_validation_has_is_ignored(split, uneven):
    target, validation = split
    uneven(validation)
    without = target.match(F("ground_truth.label") != "zero")
    plan = fod.plan_drop(without, 0.5, validation=validation, pred_field="predictions")
    assert "zero" not in plan.recalls


def test_unlabeled_validation_samples_are_ignored(split, uneven):
    target, validation = split
    uneven(validation)
    validation.limit(5).set_values("ground_truth", [None] * 5)
    plan = fod.plan_drop(target, 0.5, validation=validation, pred_field="predictions")
    assert plan.table.support.sum() == 145


def test_a_missing_recall_fills_the_gap(dataset, recalls):
    some = {name: r for name, r in recalls.items() if name != "zero"}
    plan = fod.plan_drop(dataset, 0.5, recalls=some, missing_recall=0.25)
    assert plan.recalls == some | {"zero": 0.25}


def test_a_rule_without_recalls_makes_no_query_model(dataset, monkeypatch):
    for name in ("cross_predict", "predict_left_out"):
        monkeypatch.setattr(f"fiftyone_drop.recall_sources.{name}", None)
    plan = fod.plan_drop(dataset, 0.5, rule="proportional")
    assert plan.recalls is None
    assert "recall" not in str(plan)


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
@pytest.mark.usefixtures("few_steps")
def test_group_recalls_come_from_models_of_the_labels(dataset):
    plan = fod.plan_drop(dataset, 0.5, holdout=0.4, group_by="parity", missing_recall=0.5)
    assert len(plan.recalls) == 20
    assert set(plan.predictions.labels) <= set(dataset.distinct("ground_truth.label"))


@pytest.mark.parametrize(
    ("arguments", "argument", "words"),
    [
        ({"eval_key": "val"}, "eval_key", "does not exist"),
        ({"validation": "empty", "pred_field": "name"}, "validation", "empty"),
        ({"validation": "elsewhere", "pred_field": "name"}, "validation", "must be a view into"),
        ({"validation": "here", "pred_field": "tags"}, "pred_field", "holds no class labels"),
        ({"validation": "here", "pred_field": "nothing"}, "pred_field", "no field 'nothing'"),
        ({"validation": "unlabeled", "pred_field": "name"}, "label_field", "no field"),
        ({"validation": 3, "pred_field": "name"}, "validation", "must be a FiftyOne Dataset"),
    ],
)
def test_a_source_is_checked_before_samples_are_read(
    dataset, make_dataset, monkeypatch, arguments, argument, words
):
    views = {
        "empty": dataset.limit(0),
        "elsewhere": make_dataset(10),
        "here": dataset[:10],
        "unlabeled": dataset.exclude_fields("ground_truth"),
    }
    given = arguments | {"validation": views.get(arguments.get("validation"))}
    if arguments.get("validation") == 3:
        given["validation"] = 3
    defaults = {n: p.default for n, p in signature(fod.apply_drop).parameters.items()}
    options = DropOptions.parse(defaults | {"density": 0.5, "label_field": "ground_truth"} | given)
    monkeypatch.setattr(reader, "stream", None)
    with pytest.raises(DropError) as caught:
        check_source(dataset, options)
    assert caught.value.argument == argument
    assert words in caught.value.message


def module_of(outputs, **attributes):
    """A module with some outputs; the attributes are those that users set on it."""
    module = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, outputs))
    return Attributed(module, attributes)


class Attributed(torch.nn.Module):
    def __init__(self, module, attributes):
        super().__init__()
        self.module = module
        vars(self).update(attributes)

    def forward(self, images):
        return self.module(images)


def pixels(image):
    return torch.tensor(np.array(image)).permute(2, 0, 1).float()


@pytest.mark.parametrize(
    "model",
    [
        "resnet18",
        "ground_truth",
        module_of(10, transform=pixels),
        module_of(10, transform=pixels, classes=3),
        module_of(7, transform=pixels, classes=list(CLASSES)),
        module_of(10, transform=lambda image: 3, classes=list(CLASSES)),
    ],
)
def test_whatever_a_model_lacks_is_about_the_argument_model(dataset, model):
    with pytest.raises(DropError) as refused:
        fod.plan_drop(dataset, 0.5, validation=dataset[:20], model=model, progress=False)
    assert refused.value.argument == "model"


@pytest.mark.filterwarnings("ignore:the class recalls", "ignore:100 of 100", "ignore:the quotas")
@pytest.mark.parametrize("order", [CLASSES[::-1], (*CLASSES[1:], CLASSES[0])])
def test_a_model_whose_classes_stand_in_another_order_is_said(dataset, order):
    view = dataset[:100]
    rows = [CLASSES.index(name) for name in view.values("ground_truth.label")]
    logits = 9 * np.eye(10, dtype=np.float32)[rows]
    view.set_values("guess", [fo.Classification(label="?", logits=z) for z in logits])
    given = {"label_field": "ground_truth", "validation": view, "model": "guess"}
    dataset.default_classes = list(order)
    with pytest.warns(DropWarning, match=r"Logits and labels .* 'guess', .* circle .*; name its"):
        plan = fod.plan_drop(dataset, 0.5, **given)
    assert any("do not belong together" in message for message in plan.warnings)
    dataset.default_classes = list(CLASSES)
    plan = fod.plan_drop(dataset, 0.5, **given)
    assert not any("do not belong together" in message for message in plan.warnings)


def test_recalls_name_classes_as_the_samples_do(dataset):
    dataset.set_values("number", [i % 3 for i in range(300)])
    dataset.set_values("flag", [i % 2 == 0 for i in range(300)])
    plan = fod.plan_drop(
        dataset, 0.5, label_field="number", recalls={0: 0.5, np.int64(1): 0.6, "2": 0.7}
    )
    assert plan.recalls == {"0": 0.5, "1": 0.6, "2": 0.7}
    cells = {(flag, n): 0.5 + n / 10 for flag in (True, False) for n in range(3)}
    plan = fod.plan_drop(dataset, 0.5, label_field="flag", group_by="number", recalls=cells)
    assert plan.recalls == {(str(flag), str(n)): r for (flag, n), r in cells.items()}
    with pytest.raises(DropError, match="recalls: has two recalls of '0'"):
        fod.plan_drop(dataset, 0.5, label_field="number", recalls={0: 0.5, "0": 0.6, 1: 1, 2: 1})
    with pytest.raises(DropError, match="recalls: 3 is no class of the target"):
        fod.plan_drop(dataset, 0.5, label_field="number", recalls={3: 0.5})
