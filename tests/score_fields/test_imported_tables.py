"""import_scores from tables: CSV, Parquet, data frames and npz, as practitioners have them."""

import os
import sys
from pathlib import Path

import fiftyone as fo
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bson import ObjectId

import fiftyone_drop as fod
from fiftyone_drop import DropError


@pytest.fixture
def small(make_dataset):
    """30 digits."""
    return make_dataset(30)


@pytest.fixture
def loss():
    return np.random.default_rng(51).random(30).round(6)


@pytest.fixture
def frame(small, loss):
    """A table as a training script writes it, in an order of its own."""
    table = pd.DataFrame({"image": small.values("filepath"), "loss": loss})
    return table.sample(frac=1, random_state=51, ignore_index=True)


def as_csv(frame, folder, **how):
    frame.to_csv(folder / "scores.csv", index=False, **how)
    return folder / "scores.csv"


def as_parquet(frame, folder):
    frame.to_parquet(folder / "scores.parquet")
    return str(folder / "scores.parquet")


def as_npz(frame, folder):
    columns = {name: frame[name].to_numpy() for name in frame.columns}
    columns = {
        n: c.astype(str) if c.dtype == object or n == "image" else c for n, c in columns.items()
    }
    np.savez(folder / "scores.npz", **columns)
    return folder / "scores.npz"


FORMATS = {
    "csv": as_csv,
    "tsv": lambda frame, folder: as_csv(frame, folder, sep="\t"),
    "excel": lambda frame, folder: as_csv(
        frame, folder, sep=";", decimal=",", encoding="utf-8-sig", lineterminator="\r\n"
    ),
    "unicode": lambda frame, folder: as_csv(frame, folder, sep="\t", encoding="utf-16"),
    "parquet": as_parquet,
    "parquet with an index": lambda frame, folder: as_parquet(frame.sample(frac=1), folder),
    "npz": as_npz,
    "frame": lambda frame, folder: frame,
    "indexed": lambda frame, folder: frame.set_index("image"),
    "series": lambda frame, folder: frame.set_index("image")["loss"],
    "arrow": lambda frame, folder: frame.convert_dtypes(dtype_backend="pyarrow"),
    "category": lambda frame, folder: frame.astype({"image": "category"}),
}


def parts(small):
    """The fields of a dataset, and the values of one sample."""
    return sorted(small.get_field_schema()), small.first().to_dict()


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("key", ["id", "filepath"])
def test_the_scores_of_a_table_arrive_at_their_samples(small, frame, loss, tmp_path, form, key):
    keys = dict(zip(small.values("filepath"), small.values(key), strict=True))
    scores = FORMATS[form](frame.assign(image=frame["image"].map(keys)), tmp_path)
    assert fod.import_scores(small, scores, hard="high") == ["loss"]
    np.testing.assert_allclose(small.values("loss"), loss, rtol=1e-12)
    info = small.get_field("loss").info
    assert info["hard"] == "high"
    source = scores.name if isinstance(scores, Path) else os.path.basename(str(scores))
    source = "the data frame" if isinstance(scores, pd.DataFrame | pd.Series) else source
    assert info["model"] == f"imported from {source}"


@pytest.mark.parametrize("form", FORMATS)
def test_the_one_score_of_a_table_may_get_another_name(small, frame, loss, tmp_path, form):
    scores = FORMATS[form](frame, tmp_path)
    assert fod.import_scores(small, scores, name="el2n", prefix="my_") == ["my_el2n"]
    np.testing.assert_allclose(small.values("my_el2n"), loss, rtol=1e-12)


@pytest.mark.parametrize("form", ["csv", "parquet", "frame"])
def test_several_scores_are_taken_where_it_is_clear_that_they_are_scores(
    small, frame, tmp_path, form
):
    frame = frame.rename(columns={"loss": "el2n"})
    frame["aum"] = -frame["el2n"]
    frame["label"] = "three"
    frame["correct"] = True
    scores = FORMATS[form](frame, tmp_path)
    assert fod.import_scores(small, scores) == ["el2n", "aum"]
    assert small.values("aum") == [-value for value in small.values("el2n")]

    frame["epoch"] = 7
    scores = FORMATS[form](frame, tmp_path)
    with pytest.raises(DropError, match=r"score_columns: .*'el2n', 'aum', 'epoch'.* are scores"):
        fod.import_scores(small, scores, prefix="b_")
    assert fod.import_scores(small, scores, score_columns=("aum",), prefix="b_") == ["b_aum"]
    renamed = {"epoch": "age", "el2n": "el2n"}
    assert fod.import_scores(small, scores, score_columns=renamed, hard={"age": "low"}) == [
        "age",
        "el2n",
    ]
    assert small.values("age") == [7.0] * 30
    assert fod.import_scores(small, scores, hard={"epoch": "high"}, prefix="c_") == [
        "c_el2n",
        "c_aum",
        "c_epoch",
    ]


@pytest.mark.parametrize("form", ["csv", "parquet", "frame", "npz"])
def test_the_column_of_samples_is_the_one_that_is_found(small, frame, loss, tmp_path, form):
    """A manifest of another database has ids too."""
    frame.insert(0, "id", [f"{i:024x}" for i in range(30)])
    frame["label"] = "three"
    fod.import_scores(small, FORMATS[form](frame, tmp_path), hard="high")
    np.testing.assert_allclose(small.values("loss"), loss)
    frame["other"] = frame["image"].to_numpy()[::-1]
    with pytest.raises(DropError, match=r"sample_column: .*'image', 'other'.* tells the samples"):
        fod.import_scores(small, FORMATS[form](frame, tmp_path), hard="high")
    fod.import_scores(
        small, FORMATS[form](frame, tmp_path), hard="high", sample_column="other", prefix="o_"
    )
    backwards = dict(zip(frame["other"], frame["loss"], strict=True))
    assert small.values("o_loss") == [backwards[path] for path in small.values("filepath")]


def test_ids_that_look_like_numbers_stay_ids(make_dataset, tmp_path):
    dataset = make_dataset(3)
    ids = ["12345678901234567890e001", "000000000000000000000007", "00000000000000000000e009"]
    stored = list(dataset._sample_collection.find())
    dataset.clear()
    dataset._sample_collection.insert_many(
        [{**document, "_id": ObjectId(i)} for document, i in zip(stored, ids, strict=True)]
    )
    rows = "".join(f"{i},{n}\n" for n, i in enumerate(ids))
    (tmp_path / "s.csv").write_text("id,el2n\n" + rows)
    fod.import_scores(dataset, tmp_path / "s.csv")
    assert dict(zip(*dataset.values(["id", "el2n"]), strict=True)) == dict(
        zip(ids, range(3), strict=True)
    )


def test_missing_numbers_are_no_scores_and_integers_are_numbers(small, tmp_path):
    paths = small.values("filepath")
    words = ["3", "", "NaN", "n/a", "null", "-2", " 5 ", "1e3", "inf"]
    rows = [f'"{path}",{word}' for path, word in zip(paths, words, strict=False)]
    (tmp_path / "s.csv").write_text("path,el2n\r\n" + "\r\n".join(rows) + "\r\n\r\n,\r\n")
    fod.import_scores(small, tmp_path / "s.csv")
    there = [3, None, None, None, None, -2, 5, 1000, np.inf]
    assert small.values("el2n") == there + [None] * 21
    frame = pd.DataFrame({"path": paths, "aum": pd.array([1, None, *range(28)], dtype="Int64")})
    fod.import_scores(small, frame)
    assert small.values("aum") == [1, None, *range(28)]


def test_a_row_that_is_there_twice_counts_once_unless_its_scores_differ(small, frame, loss):
    twice = pd.concat([frame, frame[:7]])
    fod.import_scores(small, twice, hard="high")
    np.testing.assert_array_equal(small.values("loss"), loss)
    twice.iloc[-1, 1] += 1
    with pytest.raises(DropError, match=r"scores: .* of 'loss' are the same sample, with the sco"):
        fod.import_scores(small, twice, hard="high", prefix="b_")


def test_paths_that_moved_are_found_and_the_error_says_how(small, frame, loss, tmp_path):
    folder = os.path.dirname(small.first().filepath) + "/"
    relative = frame.assign(image=frame["image"].str.removeprefix(folder))
    path = as_csv(relative, tmp_path)
    with pytest.raises(DropError) as refused:
        fod.import_scores(small, path, hard="high")
    assert f"pass path_prefix=('', '{folder}')" in str(refused.value)
    fod.import_scores(small, path, hard="high", path_prefix=("", folder))
    np.testing.assert_allclose(small.values("loss"), loss)

    windows = relative.assign(image="D:\\data\\" + relative["image"].str.replace("/", "\\"))
    prefix = ("D:\\data\\", folder)
    fod.import_scores(
        small, as_csv(windows, tmp_path), hard="high", path_prefix=prefix, prefix="w_"
    )
    np.testing.assert_allclose(small.values("w_loss"), loss)
    with pytest.raises(DropError, match=r"path_prefix: no file path of the scores begins with '/n"):
        fod.import_scores(small, path, hard="high", path_prefix=("/nothing", folder))


def test_a_prefix_leaves_ids_alone(small, loss):
    folder = os.path.dirname(small.first().filepath) + "/"
    ids, paths = small.values(["id", "filepath"])
    keys = ids[:15] + [path.removeprefix(folder) for path in paths[15:]]
    fod.import_scores(small, pd.Series(loss, keys), name="el2n", path_prefix=("", folder))
    np.testing.assert_array_equal(small.values("el2n"), loss)


@pytest.mark.parametrize("form", FORMATS)
def test_scores_of_other_samples_are_refused_or_left_out(small, frame, loss, tmp_path, form):
    scores = FORMATS[form](frame, tmp_path)
    view = small[10:]
    with pytest.raises(DropError, match=r"scores: 10 of 30 ids .* not in the .*extra='ignore'"):
        fod.import_scores(view, scores, hard="high")
    fod.import_scores(view, scores, hard="high", extra="ignore")
    np.testing.assert_allclose(view.values("loss"), loss[10:])
    assert small[:10].values("loss") == [None] * 10
    assert small.get_field("loss").info["left_out"] == 10


def test_scores_of_none_of_the_samples_are_no_extra(small, frame):
    frame["image"] = "/elsewhere" + frame["image"]
    with pytest.raises(DropError, match=r"scores: 30 of 30 .* pass path_prefix=\('/elsewhere/"):
        fod.import_scores(small, frame, hard="high", extra="ignore")


def test_a_mapping_and_a_query_model_take_prefix_and_extra(small, loss):
    folder = os.path.dirname(small.first().filepath)
    paths = [path.replace(folder, "/old") for path in small.values("filepath")]
    scores = {**dict(zip(paths, loss.tolist(), strict=True)), "/old/unknown.jpg": 1.0}
    how = {"path_prefix": ("/old", folder), "extra": "ignore"}
    fod.import_scores(small, scores, name="el2n", **how)
    np.testing.assert_array_equal(small.values("el2n"), loss)
    for argument in ("sample_column", "score_columns"):
        with pytest.raises(DropError, match=f"^{argument}: goes with a file or a data frame"):
            fod.import_scores(small, scores, name="el2n", **how, **{argument: "x"})


def test_the_score_of_a_file_goes_to_all_samples_of_it(make_dataset):
    dataset = make_dataset(10)
    paths = dataset.values("filepath")
    dataset.add_samples([fo.Sample(filepath=path) for path in paths[:5]], progress=False)
    fod.import_scores(dataset, pd.Series(range(10), paths, name="el2n"))
    assert dataset.values("el2n") == [*range(10), *range(5)]


def test_what_a_table_lacks_is_said(small):
    path = small.first().filepath
    n = len(small)
    for words, frame, how in (
        ("has no column of sample ids or file paths", pd.DataFrame({"a": [1.0] * n}), {}),
        ("has no scores: none of its columns holds numbers", pd.DataFrame({"a": [path]}), {}),
        ("the data frame has no row", pd.DataFrame({"a": []}), {}),
        ("two columns of the data frame are", pd.DataFrame([[path, 1]], columns=["a", "a"]), {}),
        ("'b' holds 'abc' in row 2", pd.DataFrame({"a": [path] * 2, "b": ["1", "abc"]}), {}),
        ("'el2n' is empty", pd.DataFrame({"a": [path], "el2n": [None], "b": [1.0]}), {}),
        ("row 1 has a value of 'b', and no id", pd.DataFrame({"a": [None, path], "b": [1, 2]}), {}),
        (
            "has no column 'c', but 'a', 'b'",
            pd.DataFrame({"a": [path], "b": [1]}),
            {"sample_column": "c"},
        ),
        (
            "has no column 'c', but 'a', 'b'",
            pd.DataFrame({"a": [path], "b": [1]}),
            {"score_columns": ["b", "c"]},
        ),
        (
            "'b' of the data frame holds no texts",
            pd.DataFrame({"a": [path], "b": [1]}),
            {"sample_column": "b"},
        ),
        (
            "must name columns of numbers, but 'a' ",
            pd.DataFrame({"a": [path], "b": [1]}),
            {"score_columns": "a"},
        ),
        ("must name a column", pd.DataFrame({"a": [path], "b": [1]}), {"score_columns": ()}),
        (
            "must name each score once",
            pd.DataFrame({"a": [path], "b": [1]}),
            {"score_columns": {"a": "x", "b": "x"}},
        ),
        (
            "no column .*'a', such as 'x', 'b', such as 'y'",
            pd.DataFrame([["x", "y", 1]], columns=list("abc")),
            {},
        ),
        (
            "name: must be left out where there are several scores, 'el2n', 'aum'",
            pd.DataFrame({"a": [path], "el2n": [1], "aum": [1]}),
            {"name": "x"},
        ),
        ("name: must be given, since the Series has none", pd.Series([1.0], [path]), {}),
        (
            "'b' holds True",
            pd.DataFrame({"a": [path] * 2, "b": pd.Series([True, None], dtype=object)}),
            {"score_columns": "b"},
        ),
        ("complex128", pd.DataFrame({"a": [path], "b": [1j]}), {"score_columns": "b"}),
        (
            "holds .*datetime|Timestamp",
            pd.DataFrame({"a": [path], "b": [pd.Timestamp(0)]}),
            {"score_columns": "b"},
        ),
    ):
        before = parts(small)
        with pytest.raises(DropError, match=words):
            fod.import_scores(small, frame, **{"hard": "high"} | how)
        assert parts(small) == before


def test_parquet_says_what_it_needs(small, frame, tmp_path, monkeypatch):
    path = as_parquet(frame, tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(DropError, match=r"scores: Parquet files need PyArrow; .*\[parquet\]"):
        fod.import_scores(small, path, hard="high")


def test_parquet_columns_of_other_types(small, frame, loss, tmp_path):
    table = pa.table(
        {
            "image": pa.array(frame["image"]).dictionary_encode(),
            "loss": pa.array(frame["loss"].astype(np.float32)),
            "box": pa.array([[1.0, 2.0]] * 30),
            "time": pa.array([0] * 30, pa.timestamp("s")),
            "raw": pa.array([b"\xff"] * 30),
        }
    )
    pq.write_table(table, tmp_path / "s.pq")
    fod.import_scores(small, tmp_path / "s.pq", hard="high")
    np.testing.assert_allclose(small.values("loss"), loss, rtol=1e-6)
    with pytest.raises(DropError, match=r"score_columns: .*'box' holds values of the type list"):
        fod.import_scores(small, tmp_path / "s.pq", hard="high", score_columns="box")


def test_booleans_of_an_npz_file_are_no_scores(small, loss, tmp_path):
    ids = np.array(small.values("id"))
    np.savez(tmp_path / "s.npz", ids=ids, loss=loss, correct=loss > 0.5)
    assert fod.import_scores(small, tmp_path / "s.npz", hard="high") == ["loss"]
    with pytest.raises(DropError, match=r"score_columns: .* 'correct' holds values of bool"):
        fod.import_scores(small, tmp_path / "s.npz", hard="high", score_columns="correct")
    np.savez(tmp_path / "s.npz", ids=ids, correct=loss > 0.5)
    with pytest.raises(DropError, match=r"scores: .* that are no numbers: 'correct' holds values"):
        fod.import_scores(small, tmp_path / "s.npz", hard="high")


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view()])
def test_parquet_texts_of_any_type_tell_the_samples(small, frame, loss, tmp_path, kind):
    table = pa.table({"image": pa.array(frame["image"]).cast(kind), "loss": frame["loss"]})
    pq.write_table(table, tmp_path / "s.pq")
    fod.import_scores(small, tmp_path / "s.pq", hard="high")
    np.testing.assert_allclose(small.values("loss"), loss)


@pytest.mark.parametrize(
    ("name", "header", "end"),
    [("s.tsv", "filepath\tloss, mean", "\t"), ("s.csv", '"file, path, x";loss', ";")],
)
def test_delimiters_in_the_names_of_columns_are_none(small, loss, tmp_path, name, header, end):
    rows = (f"{p}{end}{n}" for p, n in zip(small.values("filepath"), loss, strict=True))
    (tmp_path / name).write_text("\n".join([header, *rows]))
    fod.import_scores(small, tmp_path / name, name="mine", hard="high")
    np.testing.assert_allclose(small.values("mine"), loss)


def test_a_table_may_have_many_scores(small, frame):
    wide = frame.assign(**{f"s{i}": frame["loss"] for i in range(50)})
    names = [f"s{i}" for i in range(50)]
    assert len(fod.import_scores(small, wide, hard="high", score_columns=names)) == 50


@pytest.mark.parametrize("key", ["id", "filepath"])
def test_a_table_without_column_names_is_refused_and_loses_no_first_row(small, tmp_path, key):
    rows = zip(small.values(key), range(30), strict=True)
    (tmp_path / "s.csv").write_text("".join(f"{name},{n}\n" for name, n in rows))
    before = parts(small)
    for how in ({}, {"name": "el2n"}, {"prefix": "s_"}):
        with pytest.raises(DropError, match=r"scores: s.csv must begin with the names .* sample '"):
            fod.import_scores(small, tmp_path / "s.csv", hard="high", **how)
    folder = os.path.dirname(small.first().filepath)
    moved = (tmp_path / "s.csv").read_text().replace(folder, "/old")
    (tmp_path / "s.csv").write_text(moved)
    if key == "filepath":
        with pytest.raises(DropError, match="must begin with the names of its columns"):
            fod.import_scores(small, tmp_path / "s.csv", name="el2n", path_prefix=("/old", folder))
    assert parts(small) == before


@pytest.mark.parametrize(
    ("argument", "how"),
    [("score_columns", {}), ("name", {"name": "a b"}), ("prefix", {"prefix": "3_"})],
)
def test_a_name_that_no_field_can_have_is_about_the_argument_that_it_is_from(
    small, frame, argument, how
):
    frame = frame.rename(columns={"loss": "my loss" if argument == "score_columns" else "loss"})
    with pytest.raises(DropError, match="valid field names") as refused:
        fod.import_scores(small, frame, hard="high", **how)
    assert refused.value.argument == argument
    renamed = {frame.columns[1]: "mine"}
    assert fod.import_scores(small, frame, hard="high", score_columns=renamed) == ["mine"]
