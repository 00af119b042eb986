"""``minimax_weights``: a model that was trained on a run says which classes need more."""

import numpy as np
import pytest
from reports import PROPORTIONAL

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning

LABELS = {"label_field": "ground_truth"}


@pytest.fixture
def trained(dataset, predict):
    """A run on 200 digits, and an evaluation of 100 others: every fourth prediction is wrong."""
    dataset[:200].apply_drop(0.5, **LABELS, **PROPORTIONAL)
    predict(dataset[200:], eval_key="val")
    return dataset


def recalls_of(samples):
    """The recall of each class on evaluated samples."""
    labels, right = np.array(samples.values("ground_truth.label")), np.array(samples.values("val"))
    return {name: right[labels == name].mean() for name in np.unique(labels)}


def test_classes_below_the_mean_get_more(trained):
    before = fod.load_drop(trained, "drop").table.by_class("weights")
    after = fod.minimax_weights(trained, "drop", eval_key="val")
    assert sum(after.values()) == pytest.approx(1)
    recalls = recalls_of(trained[200:])
    mean = np.mean(list(recalls.values()))
    grown = {name: after[name] / before[name] for name in before}
    least = min(grown.values())
    for name, recall in recalls.items():  # pulled towards the mean, which moves a little
        if abs(recall - mean) > 0.01:
            assert (grown[name] > 1.0001 * least) == (recall < mean)


def test_the_weights_make_a_run_that_keeps_as_many(trained):
    weights = fod.minimax_weights(trained, "drop", eval_key="val", step=5)
    trained[:200].apply_drop(0.5, weights=weights, key="corrected", **LABELS)
    first, second = (fod.load_drop(trained, key).table for key in ("drop", "corrected"))
    assert second.quotas.sum() == first.quotas.sum() == 100
    order = np.argsort(list(recalls_of(trained[200:]).values()))
    assert second.densities[order[0]] > first.densities[order[0]]


def test_a_larger_step_goes_further(trained):
    small, large = (
        fod.minimax_weights(trained, "drop", eval_key="val", step=step) for step in (0.5, 5)
    )
    assert max(large.values()) > max(small.values())


def test_recalls_of_cells_correct_the_weights_of_cells(dataset, predict):
    predict(dataset[200:], eval_key="val")
    dataset[:200].apply_drop(0.5, group_by="parity", **LABELS, **PROPORTIONAL)
    weights = fod.minimax_weights(dataset, "drop", eval_key="val")
    assert set(weights) == set(fod.load_drop(dataset, "drop").table.classes)


def test_samples_that_the_run_keeps_are_a_warning(trained, predict):
    predict(trained, field="all", eval_key="everything")
    with pytest.warns(DropWarning, match="100 of 300 samples of the evaluation 'everything'"):
        fod.minimax_weights(trained, "drop", eval_key="everything")


def test_a_run_without_quotas_is_refused(trained):
    trained[:200].apply_drop(0.5, rule="none", key="flat", **LABELS)
    with pytest.raises(DropError, match="has no class weights") as refused:
        fod.minimax_weights(trained, "flat", eval_key="val")
    assert refused.value.argument == "key"


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"eval_key": "none"}, "eval_key"),
        ({"eval_key": "val", "step": 0}, "step"),
        ({"eval_key": "val", "step": np.inf}, "step"),
        ({"eval_key": "val", "key": "none"}, "key"),
    ],
)
def test_what_is_not_there_is_refused(trained, arguments, argument):
    with pytest.raises(DropError) as refused:
        fod.minimax_weights(trained, **{"key": "drop"} | arguments)
    assert refused.value.argument == argument
