"""A change that was cut off is ended, or undone, by whoever writes next."""

import pytest
from whole_runs import assert_whole

import fiftyone_drop as fod
from fiftyone_drop import DropError, documents, run_changes, run_recovery, waiting


def cut_off(dataset, key, **changes):
    """Leave the record of a run as a writer does that dies."""
    config = fod.load_drop(dataset, key).config
    for name, value in changes.items():
        setattr(config, name, value)
    dataset.update_run_config(key, config)


@pytest.fixture
def runs(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.apply_drop(density=0.5, recalls=recalls, key="other")
    return dataset


def test_a_move_that_was_cut_off_is_ended(runs):
    cut_off(runs, "drop", state="moving", intent={"density": 0.2, "quotas": None})
    assert fod.list_drops(runs) == ["drop", "other"]
    fod.set_density(runs, "other", 0.3)
    assert fod.load_drop(runs, "drop").density == 0.2
    assert_whole(runs, ["drop", "other"])


@pytest.mark.parametrize("successor", ["drop_being_written", "drop__next"])  # as it was called
def test_a_replacement_that_was_cut_off_is_ended(runs, recalls, monkeypatch, successor):
    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_changes, "key_of_successor", lambda key: successor)
        patch.setattr(run_changes, "finish_replacing", die)
        with pytest.raises(KeyboardInterrupt):
            runs.apply_drop(density=0.3, recalls=recalls, overwrite=True)
    runs.reload()
    fod.set_density(runs, "other", 0.4)
    assert fod.load_drop(runs, "drop").density == 0.3
    assert not [name for name in runs.get_field_schema() if name.startswith(successor)]
    assert_whole(runs, ["drop", "other"])


def test_a_deletion_that_was_cut_off_is_invisible_and_ended(runs):
    cut_off(runs, "drop", state="deleting")
    assert fod.list_drops(runs) == ["other"]
    with pytest.raises(DropError, match=r"'drop' .* is being deleted"):
        fod.load_drop(runs, "drop")
    fod.set_density(runs, "other", 0.3)
    assert not runs.has_field("drop_kept")
    assert_whole(runs, ["other"])


def test_fields_that_another_session_swept_away_are_put_back(runs, recalls, monkeypatch):
    """FiftyOne saves its lists whole, so that a session with an older list takes ours away."""
    original = run_recovery.save_views

    def sweep(dataset, key, config, density):
        original(dataset, key, config, density)
        names = [field.name for field in dataset._doc.sample_fields]
        if sweep.times and "third_kept" in names:
            sweep.times -= 1
            left = [f for f in dataset._doc.sample_fields if not f.name.startswith("third")]
            dataset._doc.sample_fields = left
            dataset._doc.save()

    sweep.times = 1
    monkeypatch.setattr(run_recovery, "save_views", sweep)
    runs.apply_drop(density=0.5, recalls=recalls, key="third")
    assert_whole(runs, ["drop", "other", "third"])


def test_samples_that_are_gone_since_the_plan_are_said(runs, recalls):
    plan = fod.plan_drop(runs, 0.5, recalls=recalls)
    runs.delete_samples(runs.values("id")[:30])
    with pytest.raises(DropError, match="samples: 30 of the 300 samples of the run were deleted"):
        plan.apply(key="late")
    assert "late" not in fod.list_drops(runs)
    assert not runs.has_field("late_kept")


def test_a_session_that_holds_the_dataset_since_before_sees_what_others_wrote(runs, recalls):
    """As two notebooks: the second changed the database behind the back of the first."""
    import fiftyone.core.odm as foo

    old = foo.get_db_conn().datasets.find_one({"_id": runs._doc.id})
    runs.apply_drop(density=0.4, recalls=recalls, key="third")
    now = foo.get_db_conn().datasets.find_one({"_id": runs._doc.id})
    # The first session's memory: the dataset as it was
    runs._doc.runs = {k: v for k, v in runs._doc.runs.items() if k != "third"}
    with pytest.raises(DropError, match="there is a drop run 'third' already"):
        runs.apply_drop(density=0.4, recalls=recalls, key="third")
    assert old["runs"].keys() < now["runs"].keys()
    assert_whole(runs, ["drop", "other", "third"])


def test_a_record_that_no_list_has_goes_with_the_next_write(runs):
    """Its writer died after it had taken it out of the list, or before it put it in."""
    import fiftyone.core.odm as foo

    db, chosen = foo.get_db_conn(), {"_dataset_id": runs._doc.id}
    db.datasets.update_one({"_id": runs._doc.id}, {"$unset": {"runs.other": ""}})
    assert db.runs.count_documents(chosen) == 2
    fod.set_density(runs, "drop", 0.3)
    assert db.runs.count_documents(chosen) == 1
    assert_whole(runs, ["drop"])


def test_a_deletion_that_was_cut_off_at_its_last_step_is_ended_by_the_same_call(runs):
    import fiftyone.core.odm as foo

    foo.get_db_conn().datasets.update_one({"_id": runs._doc.id}, {"$unset": {"runs.other": ""}})
    fod.delete_drop(runs, "other")
    with pytest.raises(DropError, match="has no drop run 'other'"):
        fod.delete_drop(runs, "other")
    assert_whole(runs, ["drop"])


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_a_replacement_that_was_cut_off_is_ended_though_samples_are_gone_since(
    runs, recalls, monkeypatch
):
    with monkeypatch.context() as patch:
        patch.setattr(run_changes, "finish_replacing", interrupted)
        with pytest.raises(KeyboardInterrupt):
            runs.apply_drop(0.4, recalls=recalls, overwrite=True)
    runs.reload()
    runs.delete_samples(runs.values("id")[:3])
    fod.set_density(runs, "other", 0.3)
    assert fod.load_drop(runs, "drop").density == 0.4
    fod.delete_drop(runs, "drop")
    assert fod.list_drops(runs) == ["other"]


@pytest.mark.parametrize("successor", ["drop__next", "drop_being_written"])
def test_a_replacement_that_was_cut_off_after_its_copies_is_replaced(
    runs, recalls, monkeypatch, successor
):
    """An earlier version had another name for what is staged."""
    copy = run_recovery.store.copy_fields

    def copy_and_die(*arguments):
        copy(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_changes, "key_of_successor", lambda key: successor)
        patch.setattr(run_recovery.store, "copy_fields", copy_and_die)
        with pytest.raises(KeyboardInterrupt):
            runs.apply_drop(0.4, recalls=recalls, overwrite=True)
    runs.reload()
    runs.apply_drop(0.3, recalls=recalls, overwrite=True)
    assert fod.load_drop(runs, "drop").density == 0.3
    assert_whole(runs, ["drop", "other"])


def test_a_server_that_began_anew_after_the_last_step_has_the_whole_run(runs, recalls, monkeypatch):
    """It knows the last step, but the writer does not know that it does."""
    update, process = type(runs).update_run_config, documents.server_process
    anew = []

    def update_and_end(dataset, key, config):
        update(dataset, key, config)
        if config.state == "complete" and not anew:
            anew.append(object())

    monkeypatch.setattr(waiting, "FIRST", 0.0)
    monkeypatch.setattr(waiting, "PATIENCE", 60.0)
    monkeypatch.setattr(type(runs), "update_run_config", update_and_end)
    monkeypatch.setattr(documents, "server_process", lambda: anew[-1] if anew else process())
    runs.apply_drop(0.4, recalls=recalls, key="third")
    assert anew
    assert_whole(runs, ["drop", "other", "third"])


def test_no_value_is_copied_into_a_field_that_a_server_may_have_forgotten(
    runs, recalls, monkeypatch
):
    like, process, anew = run_recovery._like, documents.server_process, []

    def like_and_end(*arguments):
        like(*arguments)
        anew.append(object())

    monkeypatch.setattr(run_recovery, "_like", like_and_end)
    monkeypatch.setattr(documents, "server_process", lambda: anew[-1] if anew else process())
    copied = []
    monkeypatch.setattr(run_recovery.store, "copy_fields", lambda *a: copied.append(a))
    with pytest.raises(ConnectionError):
        runs.apply_drop(0.4, recalls=recalls, overwrite=True)
    assert anew
    assert not copied
    monkeypatch.undo()
    runs.apply_drop(0.3, recalls=recalls, overwrite=True)
    assert_whole(runs, ["drop", "other"])
