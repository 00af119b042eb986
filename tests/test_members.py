"""Samples by the classes of a run."""

import fiftyone as fo

from fiftyone_drop.members import OTHER, UNLABELED, read_members


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
