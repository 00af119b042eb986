"""Plans from arrays and Parquet files: those of ``apply_drop``, without FiftyOne."""

import contextlib
import os
from decimal import Decimal
from fractions import Fraction

import fiftyone as fo
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from digits import NAMES
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
        {"weights": {name: len(name) - 3 for name in NAMES}, "density": 0.5},
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
    for table, words in [
        (twice, "id_column: 1 samples occur more"),
        (lacking, "label_column: 1 ro"),
    ]:
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
    with pytest.raises(DropError, match=r"^labels: must be .*, one for each sample, but one is"):
        fod.plan_arrays(["a", "b", "c"], labels, 0.5, rule="none")


def plan(ids=("a", "b", "c"), labels=("x", "x", "y"), **options):
    return fod.plan_arrays(list(ids) if isinstance(ids, tuple) else ids, labels, 0.5, **options)


def plan_column(path, **columns):
    """The plan of a file of three rows, of which one column is given."""
    values = {"id": ["a", "b", "c"], "label": ["x", "x", "y"], "score": [0.1, 0.2, 0.3]} | columns
    pq.write_table(pa.table(values), path)
    return fod.plan_parquet(path, density=0.5, rule="none", score_column="score")


# -- scores ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "reason"),
    [
        (["x"] * 3, "holds 'x'"),
        (["0.1", 0.2, 0.3], "holds '0.1'"),
        ([True, 0.5, 0.3], "holds True"),
        (np.array([True, False, True]), "holds values of bool"),
        (pd.Series([True, None, 0.5], dtype=object), "holds True"),
        (np.array([1j, 2, 3]), "holds values of complex128"),
        (np.array([1, "NaT", 3], "m8[s]"), "holds values of timedelta64"),
        (np.array([1, 2, 3], "M8[s]"), "holds values of datetime64"),
        (np.ma.masked_array([0.1, 0.2, 0.3], [False, True, False]), "1 are masked; leave them out"),
        ([[1], [1, 2], 3], "holds [1]"),
        ([10**400, 1, 2], "holds a number that is too large"),
        ([None, 0.1, float("nan")], "2 are missing; leave samples without a score out"),
        (np.zeros((3, 1)), "has the shape (3, 1)"),
        ([1.0] * 2, "has the shape (2,)"),
        ({0.1, 0.2, 0.3}, "holds {"),
    ],
)
def test_scores_that_are_no_numbers_are_refused(scores, reason):
    with pytest.raises(DropError) as refused:
        plan(rule="none", scores=scores)
    assert str(refused.value).startswith("scores: must be 3 numbers, but ")
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "scores",
    [
        np.array([0.1, 0.2, 0.3], np.float16),
        np.array([1, 2, 3], ">i2"),
        np.ma.masked_array([0.1, 0.2, 0.3]),
        pd.Series([1, 2, 3], dtype="Int64"),
        pa.array([1, 2, 3]),
        [Fraction(1, 3), 2**70, Decimal("1e30")],
    ],
)
def test_scores_may_be_numbers_of_any_library(scores):
    expected = plan(rule="none", scores=[1.0, 2.0, 3.0])
    np.testing.assert_array_equal(plan(rule="none", scores=scores).keep_at, expected.keep_at)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (["1", "2", "3"], "holds values of the type string"),
        ([True, False, True], "holds values of the type bool"),
        (pa.array([1, 2, 3], pa.timestamp("s")), "holds values of the type timestamp"),
        ([[1.0]] * 3, "holds values of the type list"),
        (pa.nulls(3), "holds values of the type null"),
        ([0.1, None, float("nan")], "must be 3 numbers, but 2 are missing"),
    ],
)
def test_a_score_column_of_anything_else_is_refused(tmp_path, column, reason):
    with pytest.raises(DropError) as refused:
        plan_column(tmp_path / "all.parquet", score=column)
    assert refused.value.argument == "score_column"
    assert reason in refused.value.message


@pytest.mark.parametrize(
    "column",
    [
        pa.array([2**53 + 1, 2**60 + 1, 2**61]),
        pa.array([1, 2, 2**64 - 1], pa.uint64()),
        pa.array([Decimal("0.25"), Decimal("0.5"), Decimal("1.5")]),
        pa.array(np.array([0.1, 0.2, 0.3], np.float16)),
        pa.array([1, 2, 3]).dictionary_encode(),
    ],
)
def test_a_score_column_may_be_of_any_type_of_numbers(tmp_path, column):
    expected = plan_column(tmp_path / "floats.parquet")
    found = plan_column(tmp_path / "all.parquet", score=column)
    np.testing.assert_array_equal(found.keep_at, expected.keep_at)


# -- labels and ids -------------------------------------------------------------------------------

MISSING = [
    ["x", None, "y"],
    ["x", float("nan"), "y"],
    ["x", pd.NA, "y"],
    ["x", pd.NaT, "y"],
    np.array([1.0, np.nan, 2.0]),
    np.array(["2020", "NaT", "2021"], "M8[D]"),
    np.ma.masked_array(["x", "y", "z"], [False, True, False]),
    pd.Series(["x", None, "y"], dtype="category"),
    pa.array(["x", None, "y"]),
]


@pytest.mark.parametrize("argument", ["labels", "ids"])
@pytest.mark.parametrize("values", MISSING, ids=range(len(MISSING)))
def test_samples_without_a_label_or_an_id_are_refused(argument, values):
    with pytest.raises(DropError, match=rf"^{argument}: .*1 are (missing|masked)"):
        plan(rule="none", **{argument: values})


@pytest.mark.parametrize("argument", ["labels", "ids"])
@pytest.mark.parametrize(
    "values",
    [[1.0, 2.0, 3.0], np.array([1.0, 2.0, 3.0]), [1j, 2, 3], [np.timedelta64(1, "s"), 1, 2]]
    + [[Decimal(1), 2, 3], [b"\xff", "y", "z"], np.array([b"\xff", b"y"]), ["\udcff", "y", "z"]]
    + [np.array(["\udcff", "y", "z"]), np.zeros(3, [("a", int)]), [10**5000, 1, 2], {"x", "y"}]
    + ["xyz", np.zeros((3, 2), int)],
)
def test_labels_and_ids_of_anything_else_are_refused(argument, values):
    with pytest.raises(DropError, match=f"^{argument}: must be ") as refused:
        plan(rule="none", **{argument: values})
    assert len(str(refused.value)) < 300


CLASSES = {
    "texts": (["x", "ü", "x"], ["x", "ü"]),
    "whole numbers": ([10, 9, 9], ["10", "9"]),
    "wide numbers": (np.array([2**64 - 1, 1, 1], np.uint64), ["1", str(2**64 - 1)]),
    "booleans": ([True, False, False], ["False", "True"]),
    "bytes": ([b"x", "ü".encode(), b"x"], ["x", "ü"]),
    "categories": (pd.Categorical(["x", "y", "x"], categories=["x", "y", "z"]), ["x", "y"]),
}


@pytest.mark.parametrize("kind", CLASSES)
def test_classes_have_the_same_names_through_both_doors(tmp_path, kind):
    labels, names = CLASSES[kind]
    assert list(plan(rule="none", labels=labels).table.classes) == names
    assert list(plan(rule="none", labels=np.asarray(labels)).table.classes) == names
    columns = [pa.array(labels), pa.array(labels).dictionary_encode()]
    for column in columns:
        found = plan_column(tmp_path / "all.parquet", label=column)
        assert list(found.table.classes) == names


@pytest.mark.parametrize(
    ("kind", "values"), [(fo.IntField, [10, 9, 10] * 4), (fo.BooleanField, [True, False, True] * 4)]
)
def test_classes_have_the_names_of_a_fiftyone_field(make_dataset, kind, values):
    dataset = make_dataset(12)
    dataset.add_sample_field("kind", kind)
    dataset.set_values("kind", values)
    expected = fod.plan_drop(dataset, 0.5, label_field="kind", rule="balanced")
    found = fod.plan_arrays(dataset.values("id"), values, 0.5, rule="balanced")
    assert found.table.classes == expected.table.classes
    assert found.table.by_class("quotas") == expected.quotas


IDS = [
    pa.array(["a", "ü", "c"]),
    pa.array(["a", "ü", "c"], pa.large_string()),
    pa.array(["a", "ü", "c"], pa.string_view()),
    pa.array(["a", "ü", "c"]).dictionary_encode(),
    pa.array([b"a", "ü".encode(), b"c"]),
]


@pytest.mark.parametrize("column", IDS, ids=lambda column: str(column.type)[:20])
def test_ids_of_any_type_of_texts_are_ordered_alike(tmp_path, column):
    expected = plan(ids=["a", "ü", "c"], rule="none").keep_at
    for ids in (np.array(["a", "ü", "c"]), [b"a", "ü".encode(), b"c"], column):
        np.testing.assert_array_equal(plan(ids=ids, rule="none").keep_at, expected)
    pq.write_table(pa.table({"id": column, "label": ["x", "x", "y"]}), tmp_path / "all.parquet")
    found = fod.plan_parquet(
        tmp_path / "all.parquet", tmp_path / "kept.parquet", 0.5, rule="none", kept_only=True
    )
    np.testing.assert_array_equal(found.keep_at, expected)
    kept = pq.read_table(tmp_path / "kept.parquet")["id"].cast(pa.string()).to_pylist()
    assert kept == [name for name, k in zip(["a", "ü", "c"], found.kept, strict=True) if k]


def test_columns_that_cannot_be_filtered_are_refused_before_the_work(tmp_path, monkeypatch):
    views = pa.array([["x"]] * 3, pa.list_(pa.string_view()))
    table = pa.table({"id": ["a", "b", "c"], "label": ["x", "x", "y"], "views": views})
    pq.write_table(table, tmp_path / "all.parquet")
    try:
        table.filter(pa.array([True, False, True]))
    except pa.ArrowException:
        with pytest.raises(DropError, match=r"kept_only: .* has a column that PyArrow can"):
            fod.plan_parquet(
                tmp_path / "all.parquet", tmp_path / "kept", 0.5, rule="none", kept_only=True
            )
        assert not (tmp_path / "kept").exists()


def test_whole_numbers_are_ids_of_their_digits(tmp_path):
    expected = plan(ids=["1", "2", "3"], rule="none", scores=[0.1, 0.2, 0.3]).keep_at
    found = plan(ids=np.array([1, 2, 3]), rule="none", scores=[0.1, 0.2, 0.3]).keep_at
    np.testing.assert_array_equal(found, expected)
    of_file = plan_column(tmp_path / "all.parquet", id=[1, 2, 3])
    np.testing.assert_array_equal(of_file.keep_at, expected)


@pytest.mark.parametrize("name", ["id", "label"])
@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array([1.0, float("nan"), 2.0]), "values of the type double; convert them"),
        ([["x"]] * 3, "values of the type list"),
        (pa.array([b"a" * 12] * 3, pa.binary(12)), "values of the type fixed_size_binary"),
        (pa.array([0, 1, 2], pa.timestamp("s")), "values of the type timestamp"),
        ([b"\xff", b"y", b"z"], "bytes that are no UTF-8"),
        (["x", None, "y"], "1 rows have no"),
    ],
)
def test_columns_of_anything_else_are_refused(tmp_path, name, column, reason):
    with pytest.raises(DropError) as refused:
        plan_column(tmp_path / "all.parquet", **{name: column})
    assert refused.value.argument == f"{name}_column"
    assert reason in refused.value.message


@pytest.mark.parametrize("ids", [["a", "ü", "ü"], [b"a", b"b", b"b"], [1, "1", 2]])
def test_an_id_that_occurs_twice_names_the_ids(ids):
    with pytest.raises(DropError, match=r"^ids: 1 samples occur more than once.*leave one of each"):
        plan(ids=ids, rule="none")


@pytest.mark.parametrize("rule", ["proportional", "balanced", "none"])
def test_no_sample_is_no_plan(rule):
    with pytest.raises(DropError, match=r"^ids: must be those of at least one sample"):
        fod.plan_arrays([], [], 0.5, rule=rule)


# -- files ----------------------------------------------------------------------------------------


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_read(
    path, tmp_path, monkeypatch
):
    monkeypatch.setattr(arrays._File, "read", lambda *_: pytest.fail("the file was read"))
    (tmp_path / "folder").mkdir()
    before = sorted(tmp_path.iterdir())
    for to in ("missing/x.parquet", "folder", "all.parquet/x", "x" * 250):
        with pytest.raises(DropError) as refused:
            fod.plan_parquet(path, tmp_path / to, 0.5, rule="none", overwrite=True)
        assert refused.value.argument == "to"
    assert sorted(tmp_path.iterdir()) == before
    with pytest.raises(DropError, match=r"^to: /dev/null is no file that can be replaced"):
        fod.plan_parquet(path, "/dev/null", 0.5, rule="none", overwrite=True)


def test_a_file_whose_writing_fails_is_the_old_one_and_is_closed(path, tmp_path, monkeypatch):
    (tmp_path / "out.parquet").write_bytes(b"old")
    files = []

    class Full(pq.ParquetWriter):
        def __init__(self, file, *arguments, **options):
            files.append(file)
            super().__init__(file, *arguments, **options)

        def write_table(self, table):
            raise OSError("no space left")

    monkeypatch.setattr(pq, "ParquetWriter", Full)
    with pytest.raises(DropError, match=r"^to: .*out.parquet cannot be written \(no space left\)"):
        fod.plan_parquet(path, tmp_path / "out.parquet", 0.5, rule="none", overwrite=True)
    assert [file.closed for file in files] == [True]
    assert (tmp_path / "out.parquet").read_bytes() == b"old"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all.parquet", "out.parquet"]


def test_a_file_is_on_the_disk_before_it_has_its_name(path, tmp_path, monkeypatch):
    def fail(_):
        raise OSError("the power failed")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(DropError, match=r"^to: .*the power failed"):
        fod.plan_parquet(path, tmp_path / "out.parquet", 0.5, rule="none")
    assert not (tmp_path / "out.parquet").exists()


def test_a_column_of_which_there_are_several_is_refused_where_it_is_asked_for(tmp_path):
    def write(*names):
        values = [pa.array(["a", "b", "c"])] * len(names)
        pq.write_table(pa.Table.from_arrays(values, list(names)), tmp_path / "all.parquet")

    for argument in ("id_column", "label_column"):
        write("id", "label", argument.removesuffix("_column"))
        with pytest.raises(DropError, match=rf"^{argument}: .* has several columns"):
            fod.plan_parquet(tmp_path / "all.parquet", density=0.5, rule="none")
    write("id", "label", "other", "other", "keep_at", "keep_at")
    fod.plan_parquet(tmp_path / "all.parquet", tmp_path / "out.parquet", 0.7, rule="none")
    names = pq.ParquetFile(tmp_path / "out.parquet").schema_arrow.names
    assert names == ["id", "label", "other", "other", "keep_at", "kept"]


def test_a_damaged_file_is_answered_in_words(path, tmp_path):
    content = path.read_bytes()
    rng = np.random.default_rng(51)
    for _ in range(60):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), 4):
            damaged[at] ^= 1 << rng.integers(0, 8)
        (tmp_path / "bad.parquet").write_bytes(damaged)
        with contextlib.suppress(DropError):
            fod.plan_parquet(tmp_path / "bad.parquet", density=0.5, rule="none")
    os.mkfifo(tmp_path / "pipe")  # who opened it would wait for ever
    with pytest.raises(DropError, match=r"^path: there is no file"):
        fod.plan_parquet(tmp_path / "pipe", density=0.5)
