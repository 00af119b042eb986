"""Plans from arrays and Parquet files: those of ``apply_drop``, without FiftyOne."""

import os

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fresh import run

import fiftyone_drop as fod
from fiftyone_drop import DropError, arrays

RECALLS = {"a": 0.9, "b": 0.5, "c": 0.2}


@pytest.fixture
def columns():
    rng = np.random.default_rng(0)
    ids = [f"{i:024x}" for i in rng.choice(2**40, 1000, replace=False)]
    labels = rng.choice(list("abc"), 1000, p=[0.6, 0.3, 0.1]).tolist()
    return {"id": ids, "label": labels, "score": rng.random(1000), "uri": ids[::-1]}


@pytest.fixture
def path(columns, tmp_path, monkeypatch):
    """A file of these, which is read in several parts."""
    monkeypatch.setattr(arrays, "ROWS", 300)
    pq.write_table(pa.table(columns), tmp_path / "all.parquet")
    return tmp_path / "all.parquet"


@pytest.mark.parametrize(
    "options",
    [
        {"density": 0.3},
        {"density": 0.3, "select": "score"},
        {"density": 0.5, "select": "score", "keep": "easiest", "rule": "balanced"},
        {"size": 130, "min_per_class": 10, "max_per_class": {"4": 12}, "seed": 7},
        {"density": 0.4, "rule": "none", "select": "score"},
        {"quotas": {"3": 5, "4": 0.5}, "density": 0.5, "protect": ["1"]},
    ],
)
def test_the_plan_is_that_of_apply_drop(dataset, recalls, options, tmp_path, monkeypatch):
    monkeypatch.setattr(arrays, "ROWS", 70)
    digits = {"zero": "0", "one": "1", "two": "2", "three": "3", "four": "4"}
    scores = np.random.default_rng(0).integers(0, 9, 300) / 10  # some are equal
    dataset.add_sample_field("score", __import__("fiftyone").FloatField)
    dataset.set_values("score", scores.tolist())
    words = {digit: name for name, digit in digits.items()}
    options = {
        name: {words.get(k, k): v for k, v in value.items()}
        if isinstance(value, dict)
        else [words.get(v, v) for v in value]
        if isinstance(value, list)
        else value
        for name, value in options.items()
    }
    rule = options.get("rule")
    given = {} if rule in ("balanced", "none") else {"recalls": recalls}
    scored = {"hard": "high"}
    dataset.get_field("score").info = scored
    dataset.get_field("score").save()
    expected = fod.plan_drop(dataset, label_field="ground_truth", **given, **options)
    rows = dict(zip([i.decode() for i in expected.population.ids], expected.keep_at, strict=True))
    ids, labels = dataset.values(["id", "ground_truth.label"])
    select = options.pop("select", None)
    found = fod.plan_arrays(ids, labels, scores=scores if select else None, **given, **options)
    np.testing.assert_array_equal(found.keep_at, [rows[i] for i in ids])
    assert found.table.by_class("quotas") == expected.quotas
    pq.write_table(
        pa.table({"sample": ids, "digit": labels, "s": scores}), tmp_path / "all.parquet"
    )
    of_file = fod.plan_parquet(
        tmp_path / "all.parquet",
        id_column="sample",
        label_column="digit",
        score_column="s" if select else None,
        **given,
        **options,
    )
    np.testing.assert_array_equal(of_file.keep_at, found.keep_at)
    assert str(of_file) == str(found)


@pytest.mark.parametrize("kept_only", [False, True])
def test_the_file_has_all_columns_and_when_each_sample_is_kept(path, columns, tmp_path, kept_only):
    plan = fod.plan_parquet(
        path, tmp_path / "out.parquet", 0.25, recalls=RECALLS, kept_only=kept_only
    )
    written = pq.read_table(tmp_path / "out.parquet").to_pydict()
    assert list(written) == ["id", "label", "score", "uri", "keep_at", "kept"]
    rows = np.flatnonzero(plan.kept) if kept_only else np.arange(1000)
    assert plan.kept.sum() == plan.table.quotas.sum() == fod.kept_size(1000, 0.25)
    for name, values in columns.items():
        assert written[name] == [values[row] for row in rows]
    np.testing.assert_array_equal(written["keep_at"], plan.keep_at[rows])
    np.testing.assert_array_equal(written["kept"], plan.kept[rows])
    with pytest.raises(DropError, match=r"to: .*exists; pass another, or overwrite=True"):
        fod.plan_parquet(path, tmp_path / "out.parquet", 0.25, recalls=RECALLS)


def test_a_file_that_cannot_be_written_is_named_with_a_remedy(path, tmp_path):
    with pytest.raises(DropError, match=r"to: there is no folder .*; make it, or pass another"):
        fod.plan_parquet(path, tmp_path / "no" / "out.parquet", 0.25, recalls=RECALLS)
    with pytest.raises(DropError, match=r"to: .*cannot be written .*; pass another"):
        fod.plan_parquet(path, tmp_path / ("x" * 300), 0.25, recalls=RECALLS)


def test_ids_of_one_hash_are_ordered_by_what_they_are(path, columns, monkeypatch):
    expected = fod.plan_arrays(columns["id"], columns["label"], 0.5, recalls=RECALLS)
    monkeypatch.setattr(arrays, "keyed_hash", lambda ids, seed: np.zeros(len(ids), np.uint64))
    tied = fod.plan_parquet(path, density=0.5, recalls=RECALLS)
    assert not np.array_equal(tied.keep_at, expected.keep_at)
    first = {}
    for row in np.argsort(tied.keep_at):
        first.setdefault(columns["label"][row], []).append(columns["id"][row])
    assert all(ids == sorted(ids) for ids in first.values())


def test_what_cannot_be_planned_is_refused_and_nothing_is_written(path, columns, tmp_path):
    plan, out = fod.plan_parquet, tmp_path / "out.parquet"
    for arguments, words in [
        ({"id_column": "name"}, "id_column: .* has no column 'name'"),
        ({"label_column": "class"}, "label_column: .* has no column 'class'"),
        ({"density": 2}, "density: must be"),
        ({"recalls": {"a": 1.0}}, "recalls: "),
        ({"density": 0.001}, "density: "),
    ]:
        with pytest.raises(DropError, match=words):
            plan(path, out, **{"density": 0.5, "recalls": RECALLS, **arguments})
    with pytest.raises(TypeError, match="unexpected keyword argument 'folds'"):
        plan(path, out, 0.5, folds=5)
    twice = {**columns, "id": [columns["id"][1], *columns["id"][1:]]}
    lacking = {**columns, "label": [None, *columns["label"][1:]]}
    for table, words in [(twice, "samples: 1 samples occur more"), (lacking, "label_column: 1 ro")]:
        pq.write_table(pa.table(table), tmp_path / "bad.parquet")
        with pytest.raises(DropError, match=words):
            plan(tmp_path / "bad.parquet", out, 0.5, recalls=RECALLS)
    (tmp_path / "bad.parquet").write_bytes(b"no parquet")
    with pytest.raises(DropError, match=r"path: cannot read .* as a Parquet file"):
        plan(tmp_path / "bad.parquet", out, 0.5)
    os.mkfifo(tmp_path / "pipe.parquet")  # which would be waited for
    for name in ("pipe.parquet", "missing.parquet"):
        with pytest.raises(DropError, match=r"path: there is no file"):
            plan(tmp_path / name, out, 0.5)
    with pytest.raises(DropError, match="labels: must be one per id"):
        fod.plan_arrays(["a", "b"], ["c"], 0.5)
    assert not out.exists()


def test_neither_fiftyone_nor_pytorch_is_loaded(path):
    run(f"""
        import sys
        import fiftyone_drop as fod
        fod.plan_parquet({str(path)!r}, density=0.5, rule="balanced")
        assert not {{"fiftyone", "torch", "scipy"}} & set(sys.modules)
    """)


@pytest.mark.parametrize(
    "labels", [[["x"], ["y", "z"], ["x"]], [("x",), "y", "z"], [{"x": 1}, "y", "z"]]
)
def test_several_labels_of_a_sample_are_refused(labels):
    with pytest.raises(DropError, match=r"^labels: must be one per id, but one of them is"):
        fod.plan_arrays(["a", "b", "c"], labels, 0.5, rule="none")


@pytest.mark.parametrize("missing", [None, float("nan"), pd.NA])
def test_samples_without_a_label_are_no_class(missing):
    with pytest.raises(DropError, match=r"^labels: 1 are missing \(None or NaN\)"):
        fod.plan_arrays(["a", "b", "c"], ["x", missing, "y"], 0.5, rule="none")


@pytest.mark.parametrize("scores", [["x"] * 3, [[1], [1, 2], 3], [1j] * 3, [None] * 3, [1.0] * 2])
def test_scores_that_are_no_numbers_are_refused(scores):
    with pytest.raises(DropError, match=r"^scores: must be 3 numbers"):
        fod.plan_arrays(["a", "b", "c"], ["x", "x", "y"], 0.5, rule="none", scores=scores)
