"""Samples of a manifest are found by id, or by file path."""

import dataclasses

import numpy as np
import pytest

from fiftyone_drop import DropError
from fiftyone_drop.matching import check_prefix, find_rows
from fiftyone_drop.members import Members


@dataclasses.dataclass
class Row:
    """Those parts of a manifest that are looked at."""

    ids: np.ndarray
    filepaths: list


def ids(*numbers):
    return np.array([f"{number:024x}" for number in numbers], dtype="S24")


def members(numbers, paths):
    return Members(ids(*numbers), np.zeros(len(numbers), np.int32), [paths])


MANIFEST = Row(ids(1, 2, 3), ["/a/1", "/a/2", "/a/3"])


@pytest.mark.parametrize("match", [None, "id"])
def test_ids_are_found_in_any_order(match):
    there = members([3, 9, 1, 2], ["/b/1"] * 4)
    assert find_rows(MANIFEST, there, match, None).tolist() == [2, 3, 0]


@pytest.mark.parametrize("match", [None, "filepath"])
def test_paths_are_found_where_ids_are_others(match):
    there = members([7, 9, 8], ["/a/3", "/a/0", "/a/1"])
    assert find_rows(MANIFEST, there, match, None).tolist() == [2, -1, 0]
    assert find_rows(MANIFEST, there, "id", None).tolist() == [-1, -1, -1]


def test_the_way_that_finds_more_is_taken():
    mostly_ids = members([1, 2, 9], ["/a/3", "/b", "/b"])
    assert find_rows(MANIFEST, mostly_ids, None, None).tolist() == [0, 1, -1]
    mostly_paths = members([1, 8, 9], ["/b", "/a/1", "/a/2"])
    assert find_rows(MANIFEST, mostly_paths, None, None).tolist() == [1, 2, -1]
    nothing = members([], [])
    assert find_rows(MANIFEST, nothing, None, None).tolist() == [-1, -1, -1]


def test_files_may_have_moved():
    there = members([7, 8, 9], ["/mnt/a/2", "/mnt/a/3", "/mnt/a/1"])
    assert find_rows(MANIFEST, there, None, ("/a/", "/mnt/a/")).tolist() == [2, 0, 1]
    assert find_rows(MANIFEST, there, None, ("", "/mnt")).tolist() == [2, 0, 1]
    with pytest.raises(DropError, match=r"^path_prefix: no file path .* begins with '/data'"):
        find_rows(MANIFEST, there, None, ("/data", "/mnt"))


def test_paths_that_are_there_twice_cannot_tell_samples():
    there = members([7, 8, 9], ["/a/1", "/a/1", "/a/2"])
    with pytest.raises(DropError, match=r"^match: 1 file paths of the manifest .*'/a/1'"):
        find_rows(MANIFEST, there, "filepath", None)
    others = members([7, 8, 9, 5, 6], ["/a/1", "/a/3", "/a/2", "/c", "/c"])
    assert find_rows(MANIFEST, others, "filepath", None).tolist() == [0, 2, 1]
    twice = Row(ids(1, 2), ["/a/1", "/a/1"])
    with pytest.raises(DropError, match=r"^match: 1 samples of the manifest share a file path"):
        find_rows(twice, members([7], ["/a/1"]), "filepath", None)
    assert find_rows(twice, members([1, 2], ["/a/1"] * 2), None, None).tolist() == [0, 1]


def test_a_view_that_holds_a_sample_twice_is_refused():
    with pytest.raises(DropError, match=r"^dataset: 1 samples occur more than once"):
        find_rows(MANIFEST, members([1, 1], ["/a/1"] * 2), None, None)


@pytest.mark.parametrize(
    "value", ["/a", ("/a",), ("/a", "/b", "/c"), 3, ("/a", 3), {"/a": "/b"}, {"/a", "/b"}]
)
def test_a_prefix_is_two_texts(value):
    with pytest.raises(DropError, match=r"^path_prefix: "):
        check_prefix(value, None)
    assert check_prefix(["/a", np.str_("/b")], None) == ("/a", "/b")
    assert check_prefix(None, "id") is None
    with pytest.raises(DropError, match=r"^path_prefix: .*match='id' does not look at"):
        check_prefix(("/a", "/b"), "id")
