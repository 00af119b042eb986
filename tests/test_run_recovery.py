"""A change that was cut off is ended, or undone, by whoever writes next."""

import fiftyone as fo
import pytest
from whole_runs import assert_whole, protect

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


def test_a_move_is_ended_though_the_flag_is_read_only_since(runs):
    cut_off(runs, "drop", state="moving", intent={"density": 0.2, "quotas": None})
    protect(runs, "drop_kept")
    fod.set_density(runs, "other", 0.3)
    runs.reload()
    field = runs.get_field("drop_kept")
    assert (field.info["density"], field.read_only) == (0.2, True)
    assert_whole(runs, ["drop", "other"])


def test_a_move_is_ended_without_the_saved_view_whose_name_somebody_has_taken(runs, caplog):
    cut_off(runs, "drop", state="moving", intent={"density": 0.2, "quotas": None})
    runs.save_view("drop-kept", runs.limit(3), overwrite=True)
    fod.set_density(runs, "other", 0.3)
    assert "'drop-kept' of the drop run 'drop' is left out" in caplog.text
    assert len(runs.load_saved_view("drop-kept")) == 3
    assert runs.list_saved_views().count("drop-kept") == 1
    assert len(runs.load_saved_view("drop-pruned")) == 240
    run = fod.load_drop(runs, "drop")
    assert (run.density, run.config.state) == (0.2, "complete")


def test_a_clone_that_was_made_during_a_move_ends_it_with_its_saved_views(runs, made_datasets):
    cut_off(runs, "drop", state="moving", intent={"density": 0.2, "quotas": None})
    made_datasets.append(runs.clone())
    clone = made_datasets[-1]
    fod.set_density(clone, "other", 0.3)
    assert len(clone.list_saved_views()) == 4
    assert_whole(clone, ["drop", "other"])


@pytest.fixture
def replacing(runs, recalls, monkeypatch):
    """A function that cuts off a replacement of the run "drop" after a step, or before any."""

    def cut(step=None, **how):
        original = getattr(run_recovery, step) if step else None

        def die(*arguments, **options):
            if original:
                original(*arguments, **options)
            raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            where = (run_recovery, step) if step else (run_changes, "finish_replacing")
            patch.setattr(*where, die)
            with pytest.raises(KeyboardInterrupt):
                runs.apply_drop(0.4, **({"recalls": recalls} | how), overwrite=True)
        runs.reload()
        return runs

    return cut


@pytest.mark.parametrize("field", ["drop_being_written_kept", "drop_being_written_keep_at"])
def test_a_replacement_that_has_lost_a_field_is_undone_while_the_old_run_stands(
    replacing, recalls, caplog, field
):
    runs = replacing()
    runs.delete_sample_field(field)
    fod.set_density(runs, "other", 0.3)
    assert "is undone" in caplog.text
    assert fod.load_drop(runs, "drop").density == 0.5
    assert not [name for name in runs.get_field_schema() if "being_written" in name]
    assert_whole(runs, ["drop", "other"])
    runs.apply_drop(0.4, recalls=recalls, overwrite=True)
    assert_whole(runs, ["drop", "other"])


@pytest.mark.parametrize("step", ["finish_deleting", "_rename_record"])
@pytest.mark.parametrize("field", ["kept", "keep_at"])
def test_a_replacement_that_has_lost_a_field_after_the_old_run_is_ended_without_it(
    replacing, caplog, step, field
):
    runs = replacing(step)
    names = [f"drop_being_written_{field}", f"drop_{field}"]
    runs.delete_sample_fields([name for name in names if runs.has_field(name)])
    fod.set_density(runs, "other", 0.3)
    assert "has lost" in caplog.text
    assert fod.load_drop(runs, "drop").config.state == "complete"
    if field == "kept":
        assert len(fod.set_density(runs, "drop", 0.2)) == 60
    fod.delete_drop(runs, "drop")
    assert_whole(runs, ["other"])


@pytest.mark.usefixtures("few_steps")
@pytest.mark.filterwarnings("ignore:the class recalls")
@pytest.mark.parametrize("step", [None, "evaluate"])
def test_a_replacement_is_ended_though_its_labels_are_elsewhere_since(replacing, caplog, step):
    runs = replacing(step, label_field="ground_truth", recalls=None, holdout=0.5)
    predicted = runs.count("drop_being_written_pred")
    assert predicted
    runs.rename_sample_field("ground_truth", "labels")
    fod.set_density(runs, "other", 0.3)
    assert "cannot be evaluated any more" in caplog.text
    assert runs.list_evaluations() == []
    run = fod.load_drop(runs, "drop")
    assert (run.density, run.config.written_eval_key) == (0.4, None)
    assert runs.count("drop_pred") == predicted
    fod.delete_drop(runs, "drop")
    assert not [name for name in runs.get_field_schema() if name.startswith("drop_")]


def test_a_replacement_that_cannot_be_ended_stops_no_other_run(replacing, caplog):
    runs = replacing("finish_deleting")
    runs.add_sample_field("drop_kept", fo.StringField)
    runs.set_values("drop_kept", ["mine"] * 300)
    fod.set_density(runs, "other", 0.3)
    assert "A change of the drop run 'drop' cannot be ended now" in caplog.text
    with pytest.raises(DropError, match="'drop_kept' has become one of somebody else; rename"):
        fod.delete_drop(runs, "drop")
    assert runs.distinct("drop_kept") == ["mine"]
    runs.rename_sample_field("drop_kept", "mine")
    fod.set_density(runs, "other", 0.4)
    assert_whole(runs, ["drop", "other"])


@pytest.mark.usefixtures("few_steps")
@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_a_replacement_that_was_cut_off_leaves_a_field_that_somebody_made_meanwhile(
    runs, monkeypatch
):
    def die(*args):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(run_changes, "finish_replacing", die)
        with pytest.raises(KeyboardInterrupt):
            runs.apply_drop(density=0.3, holdout=0.5, overwrite=True)
    runs.reload()
    runs.set_values("drop_eval", ["mine"] * len(runs))
    fod.set_density(runs, "other", 0.4)
    assert runs.values("drop_eval") == ["mine"] * len(runs)
    assert fod.load_drop(runs, "drop").config.written_eval_key is None
    assert_whole(runs, ["drop", "other"])


def test_a_run_over_fields_of_no_run_that_was_cut_off_is_made_again_without_overwrite(
    dataset, recalls, monkeypatch
):
    dataset.apply_drop(density=0.5, recalls=recalls)
    copy = dataset.view().clone()
    try:
        with monkeypatch.context() as patch:
            patch.setattr(run_changes, "finish_replacing", lambda *args: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                copy.apply_drop(density=0.3, recalls=recalls)
        assert fod.list_drops(copy) == []
        copy.apply_drop(density=0.2, recalls=recalls)
        assert fod.load_drop(copy, "drop").density == 0.2
        assert_whole(copy, ["drop"])
        with pytest.raises(DropError, match="there is a drop run 'drop' already"):
            copy.apply_drop(density=0.3, recalls=recalls)
    finally:
        copy.delete()


def test_a_run_that_no_list_has_is_deleted_with_what_it_wrote(runs):
    documents.change_records(runs, "runs", {"$unset": {"runs.drop": ""}})
    fod.set_density(runs, "other", 0.4)
    assert not [name for name in runs.get_field_schema() if name.startswith("drop_")]
    assert runs.list_saved_views() == ["other-kept", "other-pruned"]
    runs.apply_drop(density=0.5, rule="proportional")
    assert_whole(runs, ["drop", "other"])
