"""Drop runs: what is recorded, several side by side, renamed, moved, deleted."""

from concurrent.futures import ThreadPoolExecutor

import fiftyone as fo
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.rules import RULES


def state(dataset):
    """Everything about a dataset that a drop run could change."""
    dataset.reload()
    return (
        sorted(dataset.get_field_schema()),
        sorted(dataset.list_saved_views()),
        sorted(dataset.list_runs()),
        sorted(dataset.list_evaluations()),
    )


def test_a_run_records_how_it_was_made(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, seed=7, min_per_class=2)
    run = fod.load_drop(dataset, "drop")
    assert run.density == 0.5
    assert run.recalls == recalls
    assert run.config.seed == 7
    assert run.config.min_per_class == 2
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


def test_moving_the_density_moves_the_saved_views_and_the_record(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    sample = dataset[dataset.match(F("drop_kept") == False).first().id]  # noqa: E712
    for density in (0.2, 0.9, 1.0):
        expected = set(fod.drop_view(dataset, "drop", density).values("id"))
        view = fod.set_density(dataset, "drop", density)
        assert set(view.values("id")) == expected
        assert set(dataset.load_saved_view("drop-kept").values("id")) == expected
        run = fod.load_drop(dataset, "drop")
        assert run.density == run.table.density == density
        assert view.count_values("ground_truth.label") == run.table.by_class("quotas")
    assert sample.drop_kept is True


@pytest.mark.parametrize("density", [0, 1.5, "0.5", 0.001])
def test_moving_to_a_bad_density_changes_nothing(dataset, recalls, density):
    dataset.apply_drop(density=0.5, recalls=recalls)
    with pytest.raises(DropError, match="density"):
        fod.set_density(dataset, "drop", density)
    with pytest.raises(DropError, match="density"):
        fod.drop_view(dataset, "drop", density)
    assert fod.load_drop(dataset, "drop").density == 0.5
    assert len(dataset.load_saved_view("drop-kept")) == 150


def test_moving_the_density_may_not_empty_a_class_either(dataset, recalls):
    nearly = recalls | {"zero": 0.99}
    dataset.apply_drop(density=0.9, recalls=nearly, min_per_class=0)
    with pytest.raises(DropError, match="nothing would be kept of 'zero'"):
        fod.set_density(dataset, "drop", 0.05)


@pytest.mark.parametrize("delete", [fod.delete_drop, fo.Dataset.delete_run])
def test_deleting_a_run_leaves_the_dataset_as_it_was(dataset, recalls, delete):
    before = state(dataset)
    dataset.apply_drop(density=0.5, recalls=recalls)
    assert state(dataset) != before
    delete(dataset, "drop")
    assert state(dataset) == before
    stored = dataset._sample_collection.find_one()
    assert not [name for name in stored if name.startswith("drop")]


def test_overlapping_runs_do_not_disturb_each_other(dataset, recalls):
    dataset[:200].apply_drop(density=0.5, recalls=recalls, key="one")
    one = dataset.values("one_keep_at")
    dataset[100:].apply_drop(density=0.3, recalls=recalls, key="two", overwrite=True)
    assert fod.list_drops(dataset) == ["one", "two"]
    assert dataset.values("one_keep_at") == one
    fod.delete_drop(dataset, "two")
    assert dataset.values("one_keep_at") == one
    assert len(dataset.load_saved_view("one-kept")) == 100


def test_overwriting_replaces_the_whole_run(dataset, recalls):
    dataset[:200].apply_drop(density=0.5, recalls=recalls)
    view = dataset[150:].apply_drop(density=0.4, recalls=recalls, overwrite=True)
    assert len(view) == 60
    assert dataset[:150].values("drop_keep_at") == [None] * 150
    assert fod.load_drop(dataset, "drop").density == 0.4


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


def test_another_process_sees_the_run(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.reload()
    dataset.clear_cache()
    assert fod.load_drop(dataset, "drop").recalls == recalls
    assert fod.load_drop(dataset.view(), "drop").density == 0.5


def test_threads_of_a_server_load_a_run_at_once(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    with ThreadPoolExecutor(8) as pool:
        runs = list(pool.map(lambda _: fod.load_drop(dataset, "drop"), range(100)))
    assert all(run.recalls == recalls for run in runs)


@pytest.mark.parametrize("call", [fod.load_drop, fod.delete_drop])
def test_a_run_that_does_not_exist_is_named_with_those_that_do(dataset, recalls, call):
    dataset.apply_drop(density=0.5, recalls=recalls, key="mine")
    with pytest.raises(DropError, match=r"'yours'.*\['mine'\]"):
        call(dataset, "yours")


def test_a_target_view_of_many_ids_is_recorded_without_them(dataset, recalls, monkeypatch):
    monkeypatch.setattr("fiftyone_drop.runs.MAX_VIEW_BYTES", 1000)
    target = dataset.select(dataset.values("id")[:200])
    view = target.apply_drop(density=0.5, recalls=recalls)
    assert len(view) == 100
    assert dataset.load_run_view("drop") == dataset


@pytest.mark.parametrize("rule", sorted(RULES))
def test_every_rule_runs_on_a_dataset(dataset, recalls, rule):
    assert len(dataset.apply_drop(density=0.5, recalls=recalls, rule=rule)) == 150
    assert fod.load_drop(dataset, "drop").config.rule == rule
