"""Samples by the classes of a run, and ids in lists of ids."""

import fiftyone as fo
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_drop.members import OTHER, UNLABELED, read_members, rows_of

IDS = st.sets(st.integers(0, 50))


def to_ids(numbers):
    return np.array([f"{number:024x}" for number in numbers], dtype="S24")


@given(IDS, st.lists(st.integers(0, 50)))
def test_an_id_is_found_where_it_is(among, wanted):
    among = sorted(among)
    expected = [among.index(number) if number in among else -1 for number in wanted]
    assert rows_of(to_ids(wanted), to_ids(among)).tolist() == expected


def test_samples_have_the_codes_of_their_classes(dataset):
    members = read_members(dataset, ("one", "two"), "ground_truth", None, ["filepath"])
    labels = dataset.values("ground_truth.label")
    code_of = {"one": 0, "two": 1}
    assert members.codes.tolist() == [code_of.get(label, OTHER) for label in labels]
    assert members.ids.tolist() == [i.encode() for i in dataset.values("id")]
    assert members.columns == [dataset.values("filepath")]


def test_a_missing_label_or_group_is_no_class(dataset):
    dataset.set_values("big", [None, True, *[False] * 298])
    labels = [fo.Classification(label="cat"), None, *[fo.Classification(label="cat")] * 298]
    dataset.set_values("ground_truth", labels)
    classes = (("cat", "False"), ("cat", "True"))
    codes = read_members(dataset, classes, "ground_truth", "big").codes
    assert codes.tolist() == [UNLABELED, UNLABELED, *[0] * 298]
    assert set(read_members(dataset, classes, None, "big").codes.tolist()) == {UNLABELED}


def test_an_empty_collection_has_no_members(dataset):
    members = read_members(dataset.limit(0), ("one",), "ground_truth", None, ["filepath"])
    assert (len(members.ids), len(members.codes), members.columns) == (0, 0, [[]])
