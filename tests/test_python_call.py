"""The Python call that makes a run once more, executed."""

import fiftyone as fo
import pytest

import fiftyone_drop as fod
from fiftyone_drop.python_call import python_call


def again(dataset, key):
    """Execute the call under another key; the ids that it keeps, and the script."""
    script = python_call(dataset, key)
    assert script.count(f"key={key!r}") == 1
    done = {}
    exec(script.replace(f"key={key!r}", "key='again'"), done)
    return done["view"].values("id"), script


pytestmark = pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")


@pytest.mark.parametrize(
    "arguments",
    [
        {"rule": "proportional"},
        {"rule": "proportional", "order_by": "filepath", "seed": 7},
        {"query": "closed-form", "min_per_class": 3, "protect": ["three"]},
        {"rule": "proportional", "group_by": ["parity"], "max_per_class": {"two": 10}},
        {"quotas": {"two": 9}, "rule": "proportional"},
    ],
)
def test_the_call_keeps_the_same_samples(dataset, arguments):
    kept = dataset.apply_drop(0.4, key="mine", **arguments).values("id")
    found, _ = again(dataset, "mine")
    assert found == kept


def test_an_evaluation_is_named(dataset, predict):
    predict(dataset[:100], eval_key="val_eval")
    kept = dataset[100:].apply_drop(0.4, key="mine", eval_key="val_eval").values("id")
    found, script = again(dataset, "mine")
    assert found == kept
    assert "eval_key='val_eval'" in script
    assert "dataset.load_run_view('mine')" in script


def test_recalls_that_no_record_holds_are_taken_from_the_run(dataset, recalls):
    dataset.apply_drop(0.4, key="mine", recalls=recalls, smoothing=0.5)
    fod.set_density(dataset, "mine", 0.6)
    kept = fod.drop_view(dataset, "mine").values("id")
    found, script = again(dataset, "mine")
    assert found == kept
    assert "recalls=fod.load_drop(dataset, 'mine').recalls" in script


def test_a_split_is_said_as_its_tag(dataset):
    dataset[:200].tag_samples("half")
    dataset.match_tags("half").apply_drop(0.4, key="mine", rule="proportional")
    found, script = again(dataset, "mine")
    assert "dataset.match_tags('half')" in script
    assert len(found) == 80


def test_scores_and_thresholds_are_said(dataset):
    dataset.add_sample_field("hardness", fo.FloatField, info={"hard": "high"})
    dataset.set_values("hardness", [float(i) for i in range(300)])
    kept = dataset.apply_drop(
        0.4, key="mine", rule="proportional", select="hardness", drop_above={"hardness": 290.0}
    ).values("id")
    found, _ = again(dataset, "mine")
    assert found == kept


def test_there_must_be_such_a_run(dataset):
    with pytest.raises(fod.DropError, match="nowhere"):
        python_call(dataset, "nowhere")
