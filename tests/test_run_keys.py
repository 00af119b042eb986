"""A key is refused where a run under it would replace something else."""

import fiftyone as fo
import pytest
from fiftyone import ViewField as F
from whole_runs import assert_whole, contents, protect

import fiftyone_drop as fod
from fiftyone_drop import DropError, load_drop
from fiftyone_drop.run_keys import check_key

PROPORTIONAL = {"density": 0.5, "rule": "proportional", "label_field": "ground_truth"}


@pytest.fixture
def refused(dataset):
    """A function that expects a key to be refused for an argument, with some words."""

    def check(argument, *words, samples=None, key="drop", overwrite=True, uses=()):
        with pytest.raises(DropError) as caught:
            check_key(dataset if samples is None else samples, key, overwrite, uses)
        assert caught.value.argument == argument
        for word in words:
            assert word in caught.value.message

    return check


def test_a_key_that_is_no_field_name(refused):
    for key in ("", "1st", "a b", "a-b", "_x", "a.b", None, 3):
        refused("key", repr(key), key=key)


def test_a_free_key_is_returned(dataset):
    assert check_key(dataset, "drop", overwrite=False) == "drop"
    assert check_key(dataset.limit(3), "größe_2", overwrite=True) == "größe_2"


def test_a_key_of_a_run_may_be_used_again_with_overwrite_alone(dataset, refused):
    dataset.apply_drop(**PROPORTIONAL)
    refused("key", "pass overwrite=True", overwrite=False)
    assert check_key(dataset, "drop", overwrite=True) == "drop"


def test_a_key_of_a_run_that_was_not_written_to_its_end_is_free(dataset):
    dataset.apply_drop(**PROPORTIONAL)
    config = load_drop(dataset, "drop").config
    config.state = "writing"
    dataset.update_run_config("drop", config)
    assert check_key(dataset, "drop", overwrite=False) == "drop"


def test_what_a_writer_that_died_had_begun_does_not_take_the_key(dataset, monkeypatch):
    """The check comes before a training, and the next writer ends what began only after it."""
    dataset.apply_drop(**PROPORTIONAL)

    def kill(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("fiftyone_drop.run_changes.finish_replacing", kill)
    with pytest.raises(KeyboardInterrupt):
        dataset.apply_drop(**PROPORTIONAL, overwrite=True)
    monkeypatch.undo()
    assert dataset.has_field("drop_being_written_kept")
    assert check_key(dataset, "drop", overwrite=True) == "drop"
    with pytest.raises(DropError, match="pass overwrite=True"):
        check_key(dataset, "drop", overwrite=False)
    dataset.add_sample_field("drop_pred", fo.FloatField)
    with pytest.raises(DropError, match="'drop_pred' exists and belongs to no drop run"):
        check_key(dataset, "drop", overwrite=True)


def test_a_key_that_is_taken_by_another_kind_of_run(refused, dataset):
    dataset.register_run("drop", dataset.init_run())
    refused("key", "no drop run")


@pytest.mark.parametrize("field", ["drop_keep_at", "drop_kept", "drop_pred", "drop_eval"])
def test_a_field_name_that_is_taken(refused, dataset, field):
    dataset.add_sample_field(field, fo.FloatField)
    refused("key", f"'{field}'")


def test_a_field_that_a_run_of_the_key_does_not_own_stays_taken(refused, dataset):
    """The run made no predictions, so a field of that name is somebody else's."""
    dataset.apply_drop(**PROPORTIONAL)
    dataset.add_sample_field("drop_pred", fo.FloatField)
    refused("key", "'drop_pred' exists and belongs to no drop run")


@pytest.mark.parametrize("name", ["drop-kept", "drop_kept", "Drop Kept", "DROP-PRUNED"])
def test_a_saved_view_of_the_same_name_or_slug(refused, dataset, name):
    dataset.save_view(name, dataset.limit(3))
    refused("key", f"'{name}'")
    assert len(dataset.load_saved_view(name)) == 3


def test_an_evaluation_of_the_name_that_would_be_needed(refused, dataset, predict):
    predict(dataset, "predictions", eval_key="drop_eval")
    refused("key", "'drop_eval'")


def test_a_target_view_that_rests_on_the_run_to_be_replaced(refused, dataset, recalls):
    kept = dataset.apply_drop(density=0.5, recalls=recalls)
    refused("key", "depends on ['drop_keep_at']", samples=kept)
    with pytest.raises(DropError, match=r"key: .* depends on \['drop_keep_at'\]"):
        kept.apply_drop(density=0.5, recalls=recalls, overwrite=True)
    refused("key", "depends on ['drop_keep_at']", samples=dataset.sort_by("drop_keep_at"))
    assert len(kept.apply_drop(density=0.5, recalls=recalls, key="again")) == 75


def test_a_target_view_of_a_field_with_a_longer_name_does_not_rest_on_the_run(dataset):
    dataset.apply_drop(**PROPORTIONAL)
    for name in ("drop_kept_too", "not_drop_kept"):
        dataset.set_values(name, [True] * 300)
        assert check_key(dataset.match(F(name) == True), "drop", overwrite=True)  # noqa: E712


def test_an_evaluation_that_belongs_to_the_run_to_be_replaced(refused, dataset, recalls, predict):
    dataset.apply_drop(density=0.5, recalls=recalls)
    predict(dataset, "predictions", eval_key="drop_eval")
    config = load_drop(dataset, "drop").config
    config.written["eval_key"] = "drop_eval"
    dataset.update_run_config("drop", config)
    refused("eval_key", "load_drop(dataset, 'drop').recalls", uses=[("eval_key", "drop_eval")])
    with pytest.raises(DropError, match="eval_key: 'drop_eval' belongs to the run"):
        dataset.apply_drop(0.5, eval_key="drop_eval", overwrite=True)


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("group_by", {"group_by": "drop_kept", "rule": "proportional"}),
        ("select", {"select": "drop_keep_at", "rule": "proportional"}),
        ("eval_key", {"eval_key": "drop_eval"}),
    ],
)
def test_an_argument_that_rests_on_the_run_to_be_replaced(dataset, recalls, argument, arguments):
    """The run would be decided by what is deleted when it is written."""
    dataset.apply_drop(0.5, recalls=recalls)
    field = dataset.get_field("drop_keep_at")
    field.info = {**field.info, "hard": "low"}
    field.save()
    config = load_drop(dataset, "drop").config
    config.written["eval_key"] = "drop_eval"
    dataset.update_run_config("drop", config)
    with pytest.raises(DropError, match="that would be replaced") as caught:
        dataset.apply_drop(0.5, key="drop", overwrite=True, **arguments)
    assert caught.value.argument == argument


@pytest.mark.usefixtures("few_steps")
@pytest.mark.filterwarnings("ignore:the class recalls")
def test_a_clone_of_a_view_has_fields_of_a_run_and_no_run_so_that_the_key_is_free(dataset):
    view = dataset.apply_drop(0.5, label_field="ground_truth", holdout=0.5)
    clone = view.clone()
    try:
        assert clone.has_field("drop_keep_at")
        assert clone.has_field("drop_eval")
        kept = clone[:100].apply_drop(0.5, label_field="ground_truth", rule="proportional")
        assert len(fod.drop_view(clone, "drop", 1.0)) == 100  # nothing of the old order is left
        assert len(kept) == 50
        assert not clone.has_field("drop_pred")
    finally:
        clone.delete()
    assert len(fod.drop_view(dataset, "drop")) == 150


@pytest.mark.parametrize("field", ["drop_keep_at", "drop_kept"])
def test_a_read_only_field_of_the_run_to_be_replaced(dataset, refused, new_samples, field):
    """What delete_drop refuses to delete, overwrite=True and extend_drop would delete too."""
    dataset.apply_drop(**PROPORTIONAL)
    protect(dataset, field)
    refused("key", f"'{field}' of the run is read-only")
    dataset.add_samples(new_samples(range(30)), progress=False)
    calls = (
        lambda: dataset.apply_drop(**PROPORTIONAL, overwrite=True),
        lambda: fod.extend_drop(dataset, "drop", dataset),
    )
    before = contents(dataset), dataset.values(field)
    for call in calls:
        with pytest.raises(DropError, match="read-only"):
            call()
    assert (contents(dataset), dataset.values(field)) == before
    protect(dataset, field, False)
    for call in calls[::-1]:
        call()
    assert_whole(dataset, ["drop"])


@pytest.fixture
def small(dataset, made_datasets):
    """A clone of a view: it has fields of the run, and not the run."""
    dataset.apply_drop(**PROPORTIONAL)
    made_datasets.append(dataset[:200].clone())
    return made_datasets[-1]


def test_a_target_view_that_rests_on_what_a_run_of_another_dataset_has_left(small, refused):
    before = contents(small)
    target = small.match((F("drop_keep_at") > 0) & (F("drop_keep_at") <= 0.3))
    refused("key", "depends on ['drop_keep_at']", "a run 'drop' of another dataset", samples=target)
    with pytest.raises(DropError, match="choose another key"):
        target.apply_drop(**PROPORTIONAL)
    words, uses = "'drop_kept' belongs to a run 'drop' of another", [("group_by", "drop_kept")]
    refused("group_by", words, samples=small, uses=uses)
    assert contents(small) == before
    kept = target.apply_drop(**PROPORTIONAL, key="again")
    assert len(kept) == fod.kept_size(len(target), 0.5)


def test_a_read_only_field_that_a_run_of_another_dataset_has_left(small, refused):
    protect(small, "drop_kept")
    refused("key", "'drop_kept' of the run is read-only", samples=small)


def test_what_a_run_of_another_dataset_has_left_stands_until_the_new_run_is_whole(
    small, monkeypatch
):
    before = contents(small), small.values(["drop_keep_at", "drop_kept"])

    def fail(*arguments):
        raise RuntimeError

    with monkeypatch.context() as patch:
        patch.setattr("fiftyone_drop.run_changes.save_snapshot", fail)
        with pytest.raises(RuntimeError):
            small.apply_drop(**PROPORTIONAL)
    assert (contents(small), small.values(["drop_keep_at", "drop_kept"])) == before
    small.apply_drop(**PROPORTIONAL)
    assert_whole(small, ["drop"])


def test_a_clone_of_a_view_that_was_made_during_a_replacement_has_fields_of_no_run(
    dataset, made_datasets, monkeypatch
):
    dataset.apply_drop(**PROPORTIONAL)

    def clone_and_die(*arguments):
        made_datasets.append(dataset[:200].clone())
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("fiftyone_drop.run_changes.finish_replacing", clone_and_die)
        with pytest.raises(KeyboardInterrupt):
            dataset.apply_drop(**PROPORTIONAL, overwrite=True)
    small = made_datasets[-1]
    assert small.has_field("drop_being_written_kept")
    small.apply_drop(**PROPORTIONAL)
    assert_whole(small, ["drop"])
    assert not small.has_field("drop_being_written_kept")


def test_a_field_of_a_run_that_somebody_has_copied_is_theirs(dataset):
    dataset.apply_drop(0.5, rule="proportional")
    order = dataset.values("drop_keep_at")
    dataset.clone_sample_field("drop_keep_at", "old_keep_at")
    fod.delete_drop(dataset, "drop")
    with pytest.raises(DropError, match="'old_keep_at' exists and belongs to no drop run 'old'"):
        dataset.apply_drop(0.3, rule="proportional", key="old")
    assert dataset.values("old_keep_at") == order
