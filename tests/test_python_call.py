"""The Python call that makes a run once more, executed."""

import fiftyone as fo
import pytest

import fiftyone_drop as fod
from fiftyone_drop.python_call import python_call


def again(dataset, key):
    """Execute the call, with the run still there; the ids that it keeps, and the script."""
    script, done = python_call(dataset, key), {}
    exec(script, done)
    assert fod.list_drops(dataset) == [key, f"{key}_2"]
    return done["view"].values("id"), script


pytestmark = pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")


@pytest.mark.parametrize(
    "arguments",
    [
        {"rule": "proportional"},
        {"rule": "proportional", "order_by": "filepath", "seed": 7},
        {"query": "closed-form", "min_per_class": 3, "protect": ["three"]},
        {"rule": "proportional", "group_by": ["parity"], "max_per_class": {"two": 10}},
        {"rule": "proportional", "group_by": ["parity"], "protect": [("two", "even")]},
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


@pytest.mark.parametrize("tagged", [False, True])
def test_a_run_that_was_extended_is_made_of_its_own_samples(dataset, tagged):
    dataset[:100].tag_samples("some")
    target = dataset.match_tags("some") if tagged else dataset[:100]
    target.apply_drop(0.4, key="mine", rule="proportional")
    fod.extend_drop(dataset, "mine", dataset[:150])
    _, script = again(dataset, "mine")
    assert "fod.drop_view(dataset, 'mine', part=\"all\")," in script
    assert fod.load_drop(dataset, "mine_2").table.size == 150


def test_a_run_of_a_manifest_is_made_of_its_own_samples(dataset, make_dataset, tmp_path):
    dataset[:100].apply_drop(0.4, key="mine", rule="proportional")
    file = fod.save_manifest(dataset, "mine", tmp_path / "mine.parquet")
    other = make_dataset()
    kept = fod.load_manifest(other, file).values("id")
    found, _ = again(other, "mine")
    assert len(found) == len(kept) == 40
    assert fod.load_drop(other, "mine_2").table.size == 100


def test_a_run_whose_target_was_not_recorded_is_made_of_its_own_samples(dataset, monkeypatch):
    monkeypatch.setattr("fiftyone_drop.run_changes.MAX_VIEW_BYTES", 10)
    kept = dataset[:100].apply_drop(0.4, key="mine", rule="proportional").values("id")
    found, _ = again(dataset, "mine")
    assert found == kept


def test_a_split_is_said_as_its_tag(dataset):
    dataset[:200].tag_samples("half")
    dataset.match_tags("half").apply_drop(0.4, key="mine", rule="proportional")
    found, script = again(dataset, "mine")
    assert "dataset.match_tags('half')" in script
    assert len(found) == 80


@pytest.mark.parametrize("name", ["tag", "favourite"])
def test_what_must_be_kept_is_said_by_its_tag_or_field(dataset, name):
    dataset[:40].tag_samples("tag")
    dataset.add_sample_field("favourite", fo.BooleanField)
    dataset.set_values("favourite", [i < 40 for i in range(300)])
    kept = dataset.apply_drop(0.3, key="mine", rule="proportional", must_keep=name).values("id")
    found, script = again(dataset, "mine")
    assert found == kept
    assert f"must_keep={name!r}" in script


def test_a_view_that_had_to_be_kept_is_taken_from_the_run(dataset, recalls):
    first = dataset.match(fo.ViewField("ground_truth.label") == "three").limit(20)
    kept = dataset.apply_drop(0.3, key="mine", recalls=recalls, must_keep=first).values("id")
    found, script = again(dataset, "mine")
    assert found == kept
    assert set(first.values("id")) <= set(found)
    assert "must_keep=fod.drop_view(dataset, 'mine', density=" in script
    assert fod.load_drop(dataset, "mine_2").table.bounds.must_keep.sum() == 20


def test_a_tag_that_is_gone_is_taken_from_the_run(dataset):
    dataset[:40].tag_samples("gone")
    kept = dataset.apply_drop(0.3, key="mine", rule="proportional", must_keep="gone").values("id")
    dataset.untag_samples("gone")
    found, _ = again(dataset, "mine")
    assert found == kept


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
