"""The mark of a field tells whether its values are whole, and what they are from."""

import fiftyone as fo
import pytest

from fiftyone_drop import DropError, field_marks
from fiftyone_drop.field_marks import MARK
from fiftyone_drop.reader import read_ids


@pytest.fixture
def marked(make_dataset):
    """40 digits, and a function that gives the field "x" a mark."""
    dataset = make_dataset(40)

    def mark(**mark):
        dataset.add_sample_field("x", fo.FloatField, info={MARK: mark})
        return dataset

    return mark


def test_a_field_without_a_mark_is_whole_and_like_no_other(make_dataset):
    dataset = make_dataset(40)
    dataset.set_values("x", [1.0] * 40)
    assert field_marks.mark_of(dataset.get_field("x")) == {}
    assert not field_marks.unfinished(dataset.get_field("x"))
    field_marks.check_whole(dataset.get_field("x"), "x", "select")
    assert not field_marks.same_kind(dataset, "x", None)
    assert not field_marks.unfinished(None)


@pytest.mark.parametrize(
    ("state", "words"),
    [("writing", "not whole"), ("replacing", "replaced"), ("mixed", "old ones and new ones")],
)
def test_a_field_with_a_state_is_refused(marked, state, words):
    dataset = marked(token="t", fingerprint="a", state=state)
    with pytest.raises(DropError, match=rf"^select: the values of 'x' are .*{words}.*again"):
        field_marks.check_whole(dataset.get_field("x"), "x", "select")
    assert not field_marks.same_kind(dataset, "x", "a")
    assert field_marks.unfinished(dataset.get_field("x"))
    assert field_marks.recoverable(dataset.get_field("x")) == (state != "mixed")


def test_fields_of_one_fingerprint_are_of_one_kind(marked):
    dataset = marked(token="t", fingerprint="a")
    assert field_marks.same_kind(dataset, "x", "a")
    assert not field_marks.same_kind(dataset, "x", "b")
    assert field_marks.tokens(dataset, ["x", "y"]) == {"x": {"token": "t", "fingerprint": "a"}}


def test_samples_outside_are_those_with_a_value(make_dataset):
    dataset = make_dataset(40)
    dataset[:30].set_values("x", [1.0] * 30)
    assert field_marks.outside(dataset, "x", read_ids(dataset[20:])) == 20
    assert field_marks.outside(dataset, "x", read_ids(dataset[:30])) == 0
    assert field_marks.outside(dataset, "x", read_ids(dataset)) == 0
