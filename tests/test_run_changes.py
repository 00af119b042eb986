"""Runs are written, moved and deleted; what else a dataset has stays as it was."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F
from whole_runs import assert_whole, protect

import fiftyone_drop as fod
from fiftyone_drop import DropError, precheck


def state(dataset):
    """Everything about a dataset that a drop run could change."""
    dataset.reload()
    return (
        sorted(dataset.get_field_schema()),
        sorted(dataset.list_saved_views()),
        sorted(dataset.list_runs()),
        sorted(dataset.list_evaluations()),
    )


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


def test_a_target_view_of_many_ids_is_recorded_without_them(dataset, recalls, monkeypatch):
    monkeypatch.setattr("fiftyone_drop.run_changes.MAX_VIEW_BYTES", 1000)
    target = dataset.select(dataset.values("id")[:200])
    view = target.apply_drop(density=0.5, recalls=recalls)
    assert len(view) == 100
    assert dataset.load_run_view("drop") == dataset


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
@pytest.mark.usefixtures("few_steps")
def test_deleting_the_run_deletes_what_it_had_to_predict(dataset):
    before = sorted(dataset.get_field_schema())
    dataset.apply_drop(density=0.5, holdout=0.3)
    assert dataset.exists("drop_pred").count() == dataset.exists("drop_eval").count() == 91
    assert fod.load_drop(dataset, "drop").table.support.sum() == 91
    fod.delete_drop(dataset, "drop")
    assert sorted(dataset.get_field_schema()) == before
    assert dataset.list_evaluations() == []


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
@pytest.mark.usefixtures("few_steps")
def test_string_labels_are_predicted_too_but_fiftyone_cannot_evaluate_them(dataset):
    dataset.delete_sample_field("ground_truth")
    dataset.apply_drop(density=0.5, label_field="name", holdout=0.3)
    run = fod.load_drop(dataset, "drop")
    assert run.config.written_eval_key is None
    assert dataset.list_evaluations() == []
    predicted = dataset.exists("drop_pred")
    right = np.array(predicted.values("drop_pred")) == np.array(predicted.values("name"))
    assert right.sum() == run.table.correct.sum()


def test_a_plan_without_its_key_or_with_an_odd_flag_writes_nothing(dataset):
    plan = fod.plan_drop(dataset, 0.5, rule="proportional")
    before = state(dataset)
    for arguments in ({"key": "a b"}, {"overwrite": "yes"}, {"key": None}):
        with pytest.raises(DropError, match=f"^{next(iter(arguments))}: "):
            plan.apply(**arguments)
    assert state(dataset) == before


def test_a_run_that_does_not_exist_cannot_be_moved_or_deleted(dataset):
    with pytest.raises(DropError, match=r"^key: .* does not exist; the runs are \[\]"):
        fod.set_density(dataset, "drop", 0.5)
    with pytest.raises(DropError, match=r"^key: .* has no drop run 'drop'; the runs are \[\]"):
        fod.delete_drop(dataset, "drop")


@pytest.mark.parametrize("rule", ["drop", "none"])
def test_a_run_that_was_moved_and_moved_back_is_as_it_was(dataset, recalls, rule):
    view = dataset.apply_drop(density=0.5, recalls=recalls, rule=rule)
    kept, table = view.values("id"), str(fod.load_drop(dataset, "drop").table)
    fod.set_density(dataset, "drop", 0.2)
    assert view.values("id") == kept  # a view that somebody holds stays as it was
    assert fod.set_density(dataset.limit(3), "drop", 0.5).values("id") == kept
    assert str(fod.load_drop(dataset, "drop").table) == table


@pytest.mark.filterwarnings("ignore:the class recalls")
def test_whoever_holds_a_sample_replaces_extends_and_scores_all_the_same(make_dataset, new_samples):
    """A notebook holds one after ``dataset.first()`` or a loop over samples."""
    dataset = make_dataset(60)
    sample = dataset.first()
    for _ in range(2):
        view = dataset.apply_drop(0.5, label_field="ground_truth", overwrite=True)
        assert sample.drop_kept == (sample.id in view.values("id"))
        assert sample.drop_pred.label == dataset[sample.id].drop_pred.label
    for value in (1.0, 2.0):
        scores = dict.fromkeys(dataset.values("id"), value)
        fod.import_scores(dataset, scores, name="el2n")
        assert sample.el2n == value
    more = new_samples(range(60, 80))
    dataset.add_samples(more, progress=False)
    view = fod.extend_drop(dataset, "drop", dataset)
    assert [one.drop_kept for one in more] == [one.id in view.values("id") for one in more]
    fod.delete_drop(dataset, "drop")
    assert not sample.has_field("drop_kept")


def test_a_read_only_flag_is_named_before_a_run_is_moved(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.apply_drop(density=0.5, recalls=recalls, key="other")
    protect(dataset, "drop_kept")
    flags = dataset.values("drop_kept")
    with pytest.raises(DropError, match="key: the field 'drop_kept' of the run is read-only; "):
        fod.set_density(dataset, "drop", 0.2)
    assert dataset.values("drop_kept") == flags
    fod.set_density(dataset, "other", 0.2)  # nothing of the first call is left to be ended
    assert_whole(dataset, ["drop", "other"])
    protect(dataset, "drop_kept", False)
    protect(dataset, "drop_keep_at")  # which a move does not change
    fod.set_density(dataset, "drop", 0.2)
    assert dataset.get_field("drop_kept").info["density"] == 0.2
    assert_whole(dataset, ["drop", "other"])


@pytest.mark.parametrize("name", ["drop-kept", "Drop kept"])
def test_a_run_is_not_moved_where_somebody_has_taken_the_name_of_its_saved_view(dataset, name):
    dataset.apply_drop(0.5, rule="proportional")
    dataset.delete_saved_view("drop-kept")
    dataset.save_view(name, dataset.limit(3))
    with pytest.raises(DropError, match=f"'drop-kept' cannot be made.*'{name}'.*rename that view"):
        fod.set_density(dataset, "drop", 0.2)
    assert sorted(dataset.list_saved_views()) == sorted([name, "drop-pruned"])
    assert fod.load_drop(dataset, "drop").density == 0.5
    dataset.update_saved_view_info(name, {"name": "mine"})
    fod.set_density(dataset, "drop", 0.2)
    assert_whole(dataset, ["drop"])
    assert len(dataset.load_saved_view("mine")) == 3


def clone(dataset, folder):
    return dataset.clone()


def carry(dataset, folder):
    """Export a dataset, and import it."""
    kind = fo.types.FiftyOneDataset
    dataset.export(export_dir=str(folder), dataset_type=kind, export_media=False)
    return fo.Dataset.from_dir(dataset_dir=str(folder), dataset_type=kind, progress=False)


@pytest.fixture(params=[clone, carry])
def copied(request, dataset, recalls, tmp_path, made_datasets):
    """A copy of a dataset with a run: FiftyOne copies saved views without their tokens."""
    dataset.apply_drop(density=0.5, recalls=recalls)
    made_datasets.append(request.param(dataset, tmp_path / "exported"))
    return made_datasets[-1]


def test_a_run_of_a_copy_is_moved_with_its_saved_views(copied):
    fod.set_density(copied, "drop", 0.2)
    assert sorted(copied.list_saved_views()) == ["drop-kept", "drop-pruned"]
    assert_whole(copied, ["drop"])


def test_a_run_of_a_copy_is_extended_and_replaced(copied, recalls, new_samples):
    copied.add_samples(new_samples(range(20)), progress=False)
    fod.extend_drop(copied, "drop", copied)
    assert_whole(copied, ["drop"])
    copied.apply_drop(density=0.3, recalls=recalls, overwrite=True)
    assert sorted(copied.list_saved_views()) == ["drop-kept", "drop-pruned"]
    assert_whole(copied, ["drop"])


def test_a_run_of_a_copy_is_replaced(copied, recalls):
    copied.apply_drop(density=0.3, recalls=recalls, overwrite=True)
    assert sorted(copied.list_saved_views()) == ["drop-kept", "drop-pruned"]
    assert_whole(copied, ["drop"])


def test_a_run_of_a_copy_is_deleted_with_its_saved_views(copied):
    assert precheck.outputs(copied, "drop").views == ["drop-kept", "drop-pruned"]
    fod.delete_drop(copied, "drop")
    assert state(copied)[1:] == ([], [], [])


def test_a_saved_view_of_somebody_else_in_a_copy_stays(copied):
    copied.delete_saved_view("drop-kept")
    copied.save_view("drop-kept", copied.limit(3))
    with pytest.raises(DropError, match="'drop-kept'"):
        fod.set_density(copied, "drop", 0.2)
    fod.delete_drop(copied, "drop")
    assert copied.list_saved_views() == ["drop-kept"]
