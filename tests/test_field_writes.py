"""A field of values is what it was, or what it became, or says that it is neither."""

import fiftyone as fo
import numpy as np
import pytest

from fiftyone_drop import DropError, field_marks, field_writes, lease, store
from fiftyone_drop.fields import number_field, score_fields
from fiftyone_drop.reader import read_ids


@pytest.fixture
def small(make_dataset):
    """40 digits."""
    return make_dataset(40)


def write(dataset, samples, number, kind, *, name="x", clears=False):
    ids = read_ids(samples)
    values = store.FieldValues(
        fo.FloatField, np.full(len(ids), float(number)), f"All {number}", {"hard": "high"}
    )
    with lease.writing(dataset) as held:
        field_writes.recover(dataset)
        field_writes.write(
            dataset,
            held,
            [(ids, {name: values})],
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
    with lease.writing(small):
        field_writes.recover(small)
    assert stored(small) == (values or [None] * 20 + [2.0] * 20)
    assert score_fields(small) == ["x"]
    assert not small.has_field(staged)
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
    with lease.writing(small):
        field_writes.recover(small)
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
