"""The file of a manifest: what was written is read, and nothing else is taken for one."""

import contextlib
import json
import os
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fiftyone_drop import DropError
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.manifest_file import METADATA, Manifest, is_manifest, read_manifest, to_parquet

N = 12


CELLS = {
    None: ("a", "b", ""),
    "g": (("a", "x"), ("a", "y"), ("b", "x")),
    ("g", "h"): (("a", "x", "1"), ("a", "x", "2"), ("b", "x", "1")),
}


def manifest(group_by=None, scores=True, cap=4):
    """A run of twelve samples of three classes, at one half, without its last sample."""
    classes = tuple(sorted(CELLS[group_by]))
    codes = np.arange(N, dtype=np.int32) % 3
    keep_at = (np.arange(N) + 0.5) / N + (np.arange(N) >= 3 * cap)
    zeros, caps = np.zeros(3, np.int64), np.array([cap, cap, cap])
    bounds = Bounds(zeros, zeros + 1, caps, zeros + 2, ("min_per_class",), ("max_per_class",))
    table = ClassTable(
        classes=classes,
        sizes=np.array([4, 4, 4]),
        density=0.5,
        quotas=np.array([2, 2, 2]),
        weights=np.array([1.0, 1.0, 1.0]),
        bounds=bounds,
        recalls=np.array([0.5, 0.25, 1.0]),
        columns={"mean:x": np.array([0.1, 0.2, 0.3])},
    )
    return Manifest(
        key="drop",
        dataset="mine",
        density=0.75,
        asked={
            "density": 0.5,
            "rule": "drop",
            "select": "random",
            "group_by": list(group_by) if isinstance(group_by, tuple) else group_by,
            "quotas": [["a", 0.5], [["b", "x"], 3]],
            "protect": None,
            "allow_empty_classes": False,
            "seed": 51,
            "smoothing": "shrinkage",
        },
        label_field="ground_truth",
        recalls_from="given",
        warnings=("a warning",),
        table=table,
        ids=np.array([f"{i:024x}" for i in range(N - 1)], dtype="S24"),
        filepaths=[f"/ä/{i}.png" for i in range(N - 1)],
        codes=codes[:-1],
        keep_at=keep_at[:-1],
        scores=np.linspace(0, 1, N)[:-1] if scores else None,
    )


def write(path, manifest):
    path.write_bytes(to_parquet(manifest))
    return path


@pytest.mark.parametrize("group_by", CELLS)
@pytest.mark.parametrize("scores", [False, True])
@pytest.mark.parametrize("cap", [2, 4])
def test_what_is_written_is_read(tmp_path, group_by, scores, cap):
    written = manifest(group_by, scores, cap)
    path = write(tmp_path / "m", written)
    assert is_manifest(path)
    read = read_manifest(path)
    for name in ("key", "dataset", "density", "asked", "label_field", "recalls_from", "warnings"):
        assert getattr(read, name) == getattr(written, name)
    assert read.table.to_dict() == written.table.to_dict()
    assert read.filepaths == written.filepaths
    for name in ("ids", "codes", "keep_at", "scores"):
        np.testing.assert_array_equal(getattr(read, name), getattr(written, name))
    assert len(read) == N - 1


@pytest.mark.parametrize("kind", [pa.int16(), pa.float32()])
def test_scores_may_be_numbers_of_any_type(tmp_path, kind):
    path = write(tmp_path / "m", manifest())
    table = pq.read_table(path)
    pq.write_table(column(table, "score", pa.array(range(11)).cast(kind)), path)
    assert read_manifest(path).scores.tolist() == list(range(11))


def test_scores_without_bounds_are_read_and_no_score_is_refused(tmp_path):
    path, scores = tmp_path / "m", [-np.inf, *range(9), np.inf]
    write(path, replace(manifest(), scores=np.array(scores, float)))
    assert read_manifest(path).scores.tolist() == scores
    write(path, replace(manifest(), scores=np.array([*range(10), np.nan])))
    with pytest.raises(DropError, match="a value of score is not a number"):
        read_manifest(path)
    write(path, replace(manifest(), keep_at=np.array([*manifest().keep_at[:-1], np.inf])))
    with pytest.raises(DropError, match="a value of keep_at is not finite"):
        read_manifest(path)


def test_a_file_of_before_there_were_bounds_is_read(tmp_path):
    path = write(tmp_path / "m", manifest())
    table = pq.read_table(path)
    record = json.loads(table.schema.metadata[METADATA])
    del record["class_table"]["bounds"], record["asked"]["quotas"], record["asked"]["protect"]
    record["class_table"]["min_per_class"] = 2
    pq.write_table(table.replace_schema_metadata({METADATA: json.dumps(record)}), path)
    bounds = read_manifest(path).table.bounds
    assert bounds.floors.tolist() == [2, 2, 2]
    assert bounds.caps.tolist() == [4, 4, 4]
    record["class_table"]["min_per_class"] = -1
    pq.write_table(table.replace_schema_metadata({METADATA: json.dumps(record)}), path)
    with pytest.raises(DropError, match="its floors or caps cannot be"):
        read_manifest(path)


def test_others_can_read_it_as_a_table(tmp_path):
    table = pq.read_table(write(tmp_path / "m.parquet", manifest("g")))
    assert table.column_names == ["id", "filepath", "label", "group", "score", "keep_at", "kept"]
    assert table.column("kept").to_pylist() == [True] * 9 + [False] * 2
    assert table.column("label").to_pylist()[:3] == ["a", "a", "b"]
    assert table.column("group").to_pylist()[:3] == ["x", "y", "x"]
    several = pq.read_table(write(tmp_path / "several.parquet", manifest(("g", "h"))))
    assert several.column("group_2").to_pylist()[:3] == ["1", "2", "1"]
    assert json.loads(table.schema.metadata[METADATA])["class_table"]["quotas"] == [2, 2, 2]


def changed(record, path, value):
    """The record with something else at a path."""
    record = json.loads(json.dumps(record))
    *way, last = path
    inner = record
    for name in way:
        inner = inner[name]
    inner[last] = value
    return record


BAD_RECORDS = [
    (("format",), 2),
    (("key",), ""),
    (("density",), 0),
    (("density",), "0.5"),
    (("asked",), []),
    (("asked", "seed"), {"$gt": 1}),
    (("asked", "rule"), None),
    (("asked", "group_by"), "g"),
    (("asked", "allow_empty_classes"), "yes"),
    (("label_field",), None),
    (("warnings",), "one"),
    (("warnings",), [3]),
    (("recalls_from",), 3),
    (("class_table",), None),
    (("class_table", "sizes"), [4, 4]),
    (("class_table", "sizes"), [4, 4, 0]),
    (("class_table", "sizes"), [4, 4, 5]),
    (("class_table", "sizes"), ["4", "x", "4"]),
    (("class_table", "quotas"), [2, 2, 5]),
    (("class_table", "quotas"), [2, 2, 1]),
    (("class_table", "weights"), [1, 1, -1]),
    (("class_table", "weights"), [1, 1, float("nan")]),
    (("class_table", "recalls"), [0, 1, 2]),
    (("class_table", "columns"), {"mean:x": [1]}),
    (("class_table", "classes"), ["", "b", "a"]),
    (("class_table", "classes"), ["", "a", "a"]),
    (("class_table", "classes"), ["", "a", 3]),
    (("class_table", "classes"), ["", "a", ["b", "c"]]),
    (("asked", "protect"), [["a", {"$gt": 1}]]),
    (("asked", "group_by"), []),
    (("asked", "group_by"), ["g", "h"]),
    (("class_table", "bounds"), None),
    (("class_table", "bounds", "floors"), [-1, 0, 0]),
    (("class_table", "bounds", "floors"), [5, 1, 1]),
    (("class_table", "bounds", "floors"), [1]),
    (("class_table", "bounds", "floors"), ["1", "x", "1"]),
    (("class_table", "bounds", "caps"), [4, 4, 5]),
    (("class_table", "bounds", "must_keep"), [2, 0, 0]),
    (("class_table", "bounds", "kept_before"), [5, 0, 0]),
    (("class_table", "bounds", "caps_by"), [3]),
    (("class_table", "density"), 7),
]


@pytest.mark.parametrize(("where", "value"), BAD_RECORDS)
def test_a_record_that_cannot_be_is_refused(tmp_path, where, value):
    path = write(tmp_path / "m", manifest())
    table = pq.read_table(path)
    record = changed(json.loads(table.schema.metadata[METADATA]), where, value)
    pq.write_table(table.replace_schema_metadata({METADATA: json.dumps(record)}), path)
    with pytest.raises(
        DropError, match=r"^path: .* is no manifest of a drop run, or it is damaged"
    ):
        read_manifest(path)


def column(table, name, values):
    return table.set_column(table.column_names.index(name), name, values)


BAD_ROWS = {
    "no id": lambda t: t.drop_columns(["id"]),
    "odd id": lambda t: column(t, "id", pa.array(["x" * 24] * 11)),
    "short id": lambda t: column(t, "id", pa.array([f"{i:03x}" for i in range(11)])),
    "ids twice": lambda t: column(t, "id", pa.array(["0" * 24] * 11)),
    "no path": lambda t: column(t, "filepath", pa.array([None] * 11, pa.string())),
    "other class": lambda t: column(t, "label", pa.array(["c"] * 11)),
    "too many of a class": lambda t: column(t, "label", pa.array(["a"] * 11)),
    "texts for numbers": lambda t: column(t, "keep_at", pa.array(["0.5"] * 11)),
    "not finite": lambda t: column(t, "keep_at", pa.array([float("nan")] * 11)),
    "other places": lambda t: column(t, "keep_at", pa.array(np.linspace(0.1, 0.9, 11))),
    "one place": lambda t: column(t, "keep_at", pa.array([0.5 / 12] * 11)),
    "outside": lambda t: column(t, "keep_at", pa.array((np.arange(11) + 5.5) / 12)),
    "descending": lambda t: t.take(list(range(11))[::-1]),
    "empty": lambda t: t.slice(0, 0),
    "odd scores": lambda t: column(t, "score", pa.array([None] * 11, pa.float64())),
    "scores of booleans": lambda t: column(t, "score", pa.array([True] * 11)),
    "scores of texts": lambda t: column(t, "score", pa.array(["0.5"] * 11)),
    "numbers for texts": lambda t: column(t, "filepath", pa.array(range(11))),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_rows_that_cannot_be_are_refused(tmp_path, name):
    path = write(tmp_path / "m", manifest())
    pq.write_table(BAD_ROWS[name](pq.read_table(path)), path)
    with pytest.raises(
        DropError, match=r"^path: .* is no manifest of a drop run, or it is damaged"
    ):
        read_manifest(path)


@settings(max_examples=60, suppress_health_check=list(HealthCheck))
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=8))
def test_a_damaged_file_is_refused_or_read_as_it_was(tmp_path, where, noise):
    """Parquet has no checksums by default: noise in a file path may go unseen, and no more."""
    whole = bytes(to_parquet(manifest()))
    where %= len(whole)
    path = tmp_path / "m"
    path.write_bytes(whole[:where] + noise + whole[where + len(noise) :])
    with contextlib.suppress(DropError):
        read_manifest(path).check()
    path.write_bytes(whole[:where])
    with pytest.raises(DropError, match=r"^path: "):
        read_manifest(path)


def test_foreign_files_are_refused_at_once(tmp_path):
    foreign = tmp_path / "foreign.parquet"
    pq.write_table(pa.table({"id": ["a"]}), foreign)
    text = tmp_path / "notes.txt"
    text.write_text("mine")
    empty = tmp_path / "empty"
    empty.touch()
    for path in (foreign, text, empty):
        assert not is_manifest(path)
        with pytest.raises(DropError, match=r"^path: .* is no manifest of a drop run"):
            read_manifest(path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, tmp_path / "missing"):
        assert not is_manifest(path)
        with pytest.raises(DropError, match=r"^path: there is no file"):
            read_manifest(path)
