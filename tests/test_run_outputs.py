"""Only what carries the token of a run is deleted with it."""

import fiftyone as fo
import pytest
from whole_runs import protect

import fiftyone_drop as fod
from fiftyone_drop import DropError, run_outputs
from fiftyone_drop.run_outputs import Outputs


@pytest.fixture
def run(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    return fod.load_drop(dataset, "drop")


def test_everything_that_a_run_writes_carries_its_token(dataset, run):
    outputs = run.config.outputs
    assert outputs.token
    assert run_outputs.own_fields(dataset, outputs) == ["drop_keep_at", "drop_kept"]
    assert dataset.get_field("drop_kept").info["density"] == 0.5
    assert run_outputs.own_fields(dataset, Outputs.of("drop", "another token")) == []


def test_a_field_and_a_view_of_the_same_name_that_are_somebody_elses_stay(dataset, run):
    dataset.delete_sample_field("drop_kept")
    dataset.add_sample_field("drop_kept", fo.StringField)
    dataset.set_values("drop_kept", ["mine"] * 300)
    dataset.delete_saved_view("drop-kept")
    dataset.save_view("drop-kept", dataset.limit(3))
    fod.delete_drop(dataset, "drop")
    assert set(dataset.values("drop_kept")) == {"mine"}
    assert dataset.list_saved_views() == ["drop-kept"]
    assert not dataset.has_field("drop_keep_at")


def test_moving_a_run_whose_flag_is_gone_leaves_every_sample_readable(dataset, run):
    dataset.delete_sample_field("drop_kept")
    assert len(fod.set_density(dataset, "drop", 0.2)) == 60
    assert len(dataset.load_saved_view("drop-kept")) == 60
    assert "drop_kept" not in dataset._sample_collection.find_one()
    dataset.reload()
    assert dataset.first().drop_keep_at is not None


def test_a_read_only_field_is_named_before_anything_is_deleted(dataset, run):
    protect(dataset, "drop_kept")
    with pytest.raises(DropError, match="key: the field 'drop_kept' of the run is read-only"):
        fod.delete_drop(dataset, "drop")
    assert len(dataset.load_saved_view("drop-kept")) == 150
    protect(dataset, "drop_kept", False)
    fod.delete_drop(dataset, "drop")
