"""A field of values is what it was, or what it became, or says that it is neither."""

from dataclasses import replace

import fiftyone as fo
import numpy as np
import pytest
from bson import ObjectId

from fiftyone_drop import DropError, field_marks, field_writes, lease, store
from fiftyone_drop.fields import number_field, score_fields
from fiftyone_drop.reader import read_ids
from fiftyone_drop.schema import save_fields


@pytest.fixture
def small(make_dataset):
    """40 digits."""
    return make_dataset(40)


def write(dataset, samples, number, kind, *, name="x", clears=False):
    values = np.full(len(samples), float(number))
    field = store.FieldValues(fo.FloatField, values, f"All {number}", {"hard": "high"})
    write_field(dataset, samples, name, field, kind, clears)


def write_field(dataset, samples, name, values, kind=None, clears=True):
    with lease.writing(dataset) as held:
        field_writes.recover(dataset)
        field_writes.write(
            dataset,
            held,
            [(read_ids(samples), {name: values})],
            fingerprints={name: kind},
            clears=clears,
            tokens=set(),
            progress=False,
        )


def stored(dataset, name="x"):
    """What documents hold, whatever the schema says."""
    return [document.get(name) for document in dataset._sample_collection.find().sort("_id")]


def strays(dataset):
    schema = set(dataset.get_field_schema()) | {"_id"}
    documents = list(dataset._sample_collection.find())
    return {name for d in documents for name in d if not name.startswith("_")} - schema


def interrupt(monkeypatch, module, name):
    """The client is killed where a function is called, and cannot clean up."""

    def kill(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, name, kill)
    monkeypatch.setattr(field_writes, "_undo", kill)


def interrupt_after(monkeypatch, n):
    """The client is killed when n samples have got their values."""
    whole = store.write_fields

    def some(dataset, ids, fields, progress=None):
        part = {name: replace(f, values=f.values[:n]) for name, f in fields.items()}
        whole(dataset, ids[:n], part, progress)
        raise KeyboardInterrupt

    interrupt(monkeypatch, store, "write_fields")
    monkeypatch.setattr(store, "write_fields", some)


def recover(dataset):
    with lease.writing(dataset):
        field_writes.recover(dataset)


def test_a_new_field_is_whole_and_marked(small):
    write(small, small[:30], 1, "a")
    assert stored(small) == [1.0] * 30 + [None] * 10
    mark = field_marks.mark_of(small.get_field("x"))
    assert mark["fingerprint"] == "a"
    assert set(mark) == {"token", "fingerprint"}
    assert not field_marks.unfinished(small.get_field("x"))


def test_values_of_one_kind_fill_a_field_together_and_every_write_has_a_token(small):
    write(small, small[:30], 1, "a")
    before = field_marks.tokens(small, ["x", "absent"])
    write(small, small[20:], 1, "a")
    assert stored(small) == [1.0] * 40
    after = field_marks.tokens(small, ["x", "absent"])
    assert set(after) == {"x"}
    assert before != after


def test_values_of_another_kind_replace_all_or_nothing(small):
    write(small, small[:30], 1, "a")
    with pytest.raises(DropError, match=r"overwrite: 20 samples .* 'x' .*overwrite=True"):
        write(small, small[20:], 2, "b")
    assert stored(small) == [1.0] * 30 + [None] * 10
    assert not strays(small)
    write(small, small[20:], 2, "b", clears=True)
    assert stored(small) == [None] * 20 + [2.0] * 20
    assert small.get_field("x").description == "All 2"
    write(small, small, 3, "c")  # it covers all that had values
    assert stored(small) == [3.0] * 40
    assert not strays(small)
    assert "x_being_written" not in small.get_field_schema()


@pytest.mark.parametrize(("part", "values"), [(slice(0, 40), [2.0] * 40), (slice(20, 40), None)])
def test_other_values_of_the_same_kind_replace_those_of_the_call_all_or_none(
    small, monkeypatch, part, values
):
    write(small, small, 1, "a")
    with monkeypatch.context() as patch:
        interrupt_after(patch, 30 if values else 10)
        with pytest.raises(KeyboardInterrupt):
            write(small, small[part], 2, "a")
    small.reload()
    assert number_field(small, "x", "select", "choose another") == "x"
    assert stored(small) == [1.0] * 40
    assert small.get_field("x").description == "All 1"
    recover(small)
    assert not strays(small)
    assert not small.has_field("x_being_written")
    with monkeypatch.context() as patch:
        interrupt(patch, field_writes, "_finish")
        with pytest.raises(KeyboardInterrupt):
            write(small, small[part], 2, "a")
    small.reload()
    with pytest.raises(DropError, match=r"score: the values of 'x' are being replaced"):
        number_field(small, "x", "score", "choose another")
    recover(small)
    assert stored(small) == (values or [1.0] * 20 + [2.0] * 20)
    assert small.get_field("x").description == "All 2"
    assert not strays(small)


def test_values_for_more_samples_go_straight_into_a_field_of_the_same_kind(small, monkeypatch):
    write(small, small[:30], 1, "a")
    with monkeypatch.context() as patch:
        patch.setattr(field_writes, "staged_name", None)
        write(small, small, 1, "a")  # and those of before are the same
        assert stored(small) == [1.0] * 40
        with pytest.raises(TypeError):
            write(small, small[35:], 2, "a")
    write(small, small[35:], 2, "a")
    assert stored(small) == [1.0] * 35 + [2.0] * 5


def test_a_field_is_of_no_kind_where_nothing_says_which(small):
    write(small, small[:30], 1, None)
    with pytest.raises(DropError, match="nobody knows which"):
        write(small, small[20:], 1, None)


@pytest.mark.parametrize("staged", ["x_being_written", "x__next"])  # as earlier versions had it
@pytest.mark.parametrize(("part", "values"), [(slice(0, 40), [2.0] * 40), (slice(20, 40), None)])
def test_a_replacement_that_was_cut_off_is_ended_by_whoever_writes_next(
    small, monkeypatch, part, values, staged
):
    write(small, small[:30], 1, "a")
    with monkeypatch.context() as patch:
        patch.setattr(field_writes, "staged_name", lambda name: staged)
        interrupt(patch, field_writes, "_finish")
        with pytest.raises(KeyboardInterrupt):
            write(small, small[part], 2, "b", clears=True)
    small.reload()
    with pytest.raises(DropError, match=r"score: the values of 'x' are being replaced"):
        number_field(small, "x", "score", "choose another")
    assert score_fields(small) == []
    recover(small)
    assert stored(small) == (values or [None] * 20 + [2.0] * 20)
    assert score_fields(small) == ["x"]
    assert not small.has_field(staged)
    assert not strays(small)


@pytest.mark.parametrize("taken", [False, True])
def test_a_replacement_whose_new_values_were_deleted_is_refused_until_it_is_made_again(
    small, monkeypatch, taken
):
    write(small, small, 1, "a")
    with monkeypatch.context() as patch:
        interrupt(patch, field_writes, "_finish")
        with pytest.raises(KeyboardInterrupt):
            write(small, small, 2, "b")
    moved = {"_id": {"$in": [ObjectId(i) for i in small[:10].values("id")]}}
    small._sample_collection.update_many(moved, {"$set": {"x": 2.0}})
    small.reload()
    small.delete_sample_field("x_being_written")
    if taken:
        small.set_values("x_being_written", [5.0] * 40)
    for _ in range(2):
        recover(small)
        assert stored(small) == [2.0] * 10 + [1.0] * 30
        with pytest.raises(DropError, match=r"select: the values of 'x' are old ones and new ones"):
            number_field(small, "x", "select", "choose another")
        assert score_fields(small) == []
    if taken:
        assert stored(small, "x_being_written") == [5.0] * 40
        small.delete_sample_field("x_being_written")
    with pytest.raises(DropError, match=r"overwrite: 20 samples that this call does not cover"):
        write(small, small[20:], 2, "b")
    write(small, small, 2, "b")
    assert stored(small) == [2.0] * 40
    assert score_fields(small) == ["x"]


def test_a_replacement_goes_on_where_another_session_has_swept_the_staged_field_away(
    small, monkeypatch
):
    write(small, small, 1, "a")
    with monkeypatch.context() as patch:
        interrupt(patch, field_writes, "_finish")
        with pytest.raises(KeyboardInterrupt):
            write(small, small, 2, "b")
    save_fields(small, {}, gone=["x_being_written"])
    recover(small)
    assert stored(small) == [2.0] * 40
    assert score_fields(small) == ["x"]
    assert not strays(small)


def test_a_first_write_that_was_cut_off_says_so_and_is_made_again(small, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, field_writes, "save_fields")
        with pytest.raises(KeyboardInterrupt):
            write(small, small, 1, "a")
    small.reload()
    with pytest.raises(DropError, match=r"the values of 'x' are not whole.*delete_sample_field"):
        number_field(small, "x", "select", "choose another")
    write(small, small[:10], 2, "b")
    assert stored(small) == [2.0] * 10 + [None] * 30


def test_a_replacement_that_was_not_staged_to_its_end_leaves_the_old_values(small, monkeypatch):
    write(small, small, 1, "a")
    with monkeypatch.context() as patch:
        interrupt(patch, field_writes, "_clear_rest")
        with pytest.raises(KeyboardInterrupt):
            write(small, small, 2, "b")
    small.reload()
    assert number_field(small, "x", "select", "choose another") == "x"
    assert stored(small) == [1.0] * 40
    assert score_fields(small) == ["x"]  # and not the staged one
    recover(small)
    assert "x_being_written" not in small.get_field_schema()
    assert not strays(small)
    assert [sample["x"] for sample in small] == [1.0] * 40


def test_somebody_elses_field_is_never_taken_for_a_staged_one(small):
    write(small, small, 1, "a")
    small.set_values("x_being_written", [5.0] * 40)
    with pytest.raises(DropError, match=r"'x_being_written', which is a field of somebody else"):
        write(small, small, 2, "b", clears=True)
    assert stored(small, "x_being_written") == [5.0] * 40
    assert stored(small) == [1.0] * 40


def test_a_field_that_goes_leaves_the_sidebar(small):
    groups = [fo.SidebarGroupDocument(name="mine", paths=["x"])]
    write(small, small, 1, "a")
    small.app_config.sidebar_groups = groups
    small.save()
    write(small, small, 2, "b")
    small.reload()
    paths = [path for group in small.app_config.sidebar_groups for path in group.paths]
    assert "x" in paths
    assert "x_being_written" not in paths


# -- evaluations ----------------------------------------------------------------------------------


def predict(dataset, label):
    """Predictions of one label for all samples, which are evaluated as "q_eval"."""
    evaluation = {"key": "q_eval", "label_field": "ground_truth"}
    info = {field_writes.EVALUATION: evaluation}
    values = store.FieldValues(fo.Classification, [label] * len(dataset), f"All {label}", info)
    write_field(dataset, dataset, "q_pred", values)


def right(dataset, label):
    return [name == label for name in dataset.values("ground_truth.label")]


def test_predictions_are_evaluated_again_when_they_are_replaced(small):
    for label in ("zero", "one"):
        predict(small, label)
        assert stored(small, "q_eval") == right(small, label)
        assert small.get_evaluation_info("q_eval").config.pred_field == "q_pred"


@pytest.mark.parametrize("step", ["register_run", "save_run_results"])
def test_an_evaluation_that_was_cut_off_goes_with_its_predictions(small, monkeypatch, step):
    with monkeypatch.context() as patch:
        interrupt(patch, fo.core.evaluation.EvaluationMethod, step)
        with pytest.raises(KeyboardInterrupt):
            predict(small, "zero")
    small.reload()
    assert small.has_field("q_eval")
    recover(small)
    assert not {"q_pred", "q_eval"} & set(small.get_field_schema())
    assert small.list_evaluations() == []
    assert not strays(small)


@pytest.mark.parametrize("replaces", [False, True])
def test_a_field_of_somebody_else_is_not_taken_for_the_evaluation_of_what_was_cut_off(
    small, monkeypatch, caplog, replaces
):
    """Predictions that were being written go, and those that were being replaced are replaced."""
    if replaces:
        predict(small, "zero")
        small.delete_evaluation("q_eval")
    with monkeypatch.context() as patch:
        interrupt(patch, field_writes, "_finish" if replaces else "_evaluate")
        with pytest.raises(KeyboardInterrupt):
            predict(small, "one")
    small.reload()
    small.set_values("q_eval", ["mine"] * 40)
    recover(small)
    assert small.values("q_eval") == ["mine"] * 40
    assert small.has_field("q_pred") == replaces
    if replaces:
        assert small.values("q_pred.label") == ["one"] * 40
        assert "'q_pred' is not evaluated: 'q_eval' is a field" in caplog.text


def test_a_field_of_another_kind_is_not_written_over(dataset):
    dataset.set_values("mine", ["a word"] * 300)
    values = store.FieldValues(fo.FloatField, np.ones(300), "Ones")
    with pytest.raises(DropError, match="'mine' is a StringField"):
        write_field(dataset, dataset, "mine", values)
    assert dataset.values("mine") == ["a word"] * 300
