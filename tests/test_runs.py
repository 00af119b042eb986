"""The record of a run: what was asked, what was found, and what was written."""

import json
import logging
import threading

import fiftyone as fo
import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, lease
from fiftyone_drop.run_outputs import Outputs, delete_outputs
from fiftyone_drop.runs import Drop, DropConfig, DropResults


def test_a_run_records_how_it_was_made(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, seed=7, min_per_class=2)
    run = fod.load_drop(dataset, "drop")
    assert run.density == 0.5
    assert run.recalls == recalls
    assert run.config.asked["seed"] == 7
    assert run.config.asked["min_per_class"] == 2
    assert run.config.label_field == "ground_truth"
    assert run.config.recalls_from == "given"
    assert run.config.method == "drop"
    assert dataset.list_runs(method="drop") == fod.list_drops(dataset) == ["drop"]
    assert dataset.get_run_info("drop").config.rule == "drop"
    assert "zero" in str(run)


def test_the_recalls_of_a_run_make_another_one(dataset, recalls):
    first = dataset.apply_drop(density=0.5, recalls=recalls)
    again = dataset.apply_drop(0.5, recalls=fod.load_drop(dataset, "drop").recalls, key="again")
    assert first.values("id") == again.values("id")


def test_a_renamed_run_keeps_its_fields_and_views(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.rename_run("drop", "old")
    assert fod.list_drops(dataset) == ["old"]
    assert len(fod.drop_view(dataset, "old", 0.3)) == 90
    assert len(fod.set_density(dataset, "old", 0.4)) == 120
    with pytest.raises(DropError, match="'drop_keep_at' exists"):
        dataset.apply_drop(density=0.5, recalls=recalls)
    fod.delete_drop(dataset, "old")
    assert dataset.list_saved_views() == []


def test_the_classes_that_are_stored_by_their_path_stay_there():
    for stored in (DropConfig, DropResults, Drop):
        assert stored.__module__ == "fiftyone_drop.runs"


def test_a_record_holds_what_json_can_hold_and_is_read_back(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, group_by=None)
    config = fod.load_drop(dataset, "drop").config
    again = DropConfig.from_dict(json.loads(json.dumps(config.serialize())))
    assert isinstance(again, DropConfig)
    assert again.serialize() == config.serialize()
    assert set(config.serialize()) >= {"state", "density", "asked", "found", "written"}
    assert config.found["size"] == 300
    assert config.complete is True


def test_the_versions_of_what_made_a_run_are_recorded(dataset):
    dataset.apply_drop(density=0.5, rule="proportional")
    versions = fod.load_drop(dataset, "drop").config.versions
    assert versions["fiftyone"] == fo.__version__
    assert versions["numpy"] == np.__version__
    assert versions["fiftyone-drop"] == fod.__version__
    assert {"python", "fiftyone"} < set(versions)


@pytest.mark.parametrize(("predicts", "evaluates"), [(False, False), (True, False), (True, True)])
def test_the_names_of_what_a_run_writes_follow_from_its_key(predicts, evaluates):
    outputs = Outputs.of("half", "a token", predicts=predicts, evaluates=evaluates)
    config = DropConfig(written=outputs.names(), token="a token")
    assert config.outputs == outputs
    fields = ["half_keep_at", "half_kept"]
    fields += ["half_pred"] * predicts + ["half_eval"] * evaluates
    assert config.fields == fields
    assert config.views == ["half-kept", "half-pruned"]
    assert config.pred_field == ("half_pred" if predicts else None)
    assert config.written_eval_key == ("half_eval" if evaluates else None)


def test_fiftyone_lists_the_fields_of_a_run(dataset):
    dataset.apply_drop(density=0.5, rule="proportional")
    run = Drop(fod.load_drop(dataset, "drop").config)
    assert run.get_fields(dataset, "drop") == ["drop_keep_at", "drop_kept"]


def test_the_results_hold_one_entry_per_class_and_none_per_sample(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    run = fod.load_drop(dataset, "drop")
    assert run.attributes() == ["cls", "class_table"]
    assert max(len(column) for column in run.class_table.values() if isinstance(column, list)) == 10
    assert run.table.by_class("quotas") == dataset.load_saved_view("drop-kept").count_values("name")


def test_a_run_without_recalls_has_none(dataset):
    dataset.apply_drop(density=0.5, rule="proportional")
    run = fod.load_drop(dataset, "drop")
    assert run.recalls is None
    assert run.config.recalls_from is None
    assert run.config.warnings == []


def test_deleting_outputs_takes_what_exists(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    config = fod.load_drop(dataset, "drop").config
    dataset.delete_saved_view("drop-kept")
    dataset.delete_sample_field("drop_kept")
    for _ in range(2):
        delete_outputs(dataset, config.outputs)
        assert dataset.list_saved_views() == []
        assert not dataset.has_field("drop_keep_at")


def test_fiftyones_own_deletion_waits_for_whoever_writes(dataset, monkeypatch, caplog):
    monkeypatch.setattr(lease, "PATIENCE", 0.0)
    monkeypatch.setattr(logging.getLogger("fiftyone"), "propagate", True)
    dataset.apply_drop(density=0.5, rule="proportional")
    other = lease.Lease(dataset)
    other.acquire(0.0)
    threading.Timer(0.1, other.release).start()
    dataset.delete_run("drop")
    assert "Waiting for" in caplog.text
    assert "Failed" not in caplog.text
    assert not dataset.has_field("drop_kept")
    assert dataset.list_runs() == []
    dataset.reload()
    assert dataset.list_saved_views() == []


def test_a_writer_of_ours_may_have_fiftyone_delete_a_run(dataset):
    dataset.apply_drop(density=0.5, rule="proportional")
    with lease.writing(dataset):
        dataset.delete_run("drop")
    assert not dataset.has_field("drop_kept")


def test_fiftyones_own_deletion_takes_a_run_that_was_replaced_while_it_waited(dataset, monkeypatch):
    dataset.apply_drop(density=0.5, rule="proportional")
    original = lease.writing

    def replaced_first(*arguments, **options):
        monkeypatch.setattr(lease, "writing", original)
        other = fo.load_dataset(dataset.name)
        other.apply_drop(density=0.3, rule="proportional", overwrite=True)
        return original(*arguments, **options)

    monkeypatch.setattr(lease, "writing", replaced_first)
    dataset.delete_run("drop")
    dataset.reload()
    assert (dataset.list_runs(), dataset.list_saved_views()) == ([], [])
    assert not dataset.has_field("drop_keep_at")
    dataset.apply_drop(density=0.5, rule="proportional")


def test_fiftyones_own_deletion_takes_the_saved_views_of_a_clone(dataset):
    dataset.apply_drop(density=0.5, rule="proportional")
    copy = dataset.clone()
    try:
        copy.delete_run("drop")
        copy.reload()
        assert copy.list_saved_views() == []
        copy.apply_drop(density=0.5, rule="proportional")
    finally:
        copy.delete()
    assert sorted(dataset.list_saved_views()) == ["drop-kept", "drop-pruned"]
