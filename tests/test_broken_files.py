"""Files and values of others that are damaged or forged: a prompt answer in words, and no write.

Images, score files, tables of scores, weights, query models and stored logits.
"""

import io
import json
import os
import pickle
import socket
import struct
import time
import zipfile
import zlib

import fiftyone as fo
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from bson import Binary
from PIL import Image

import fiftyone_drop as fod
from fiftyone_drop.engine.images import Transformed, probe_size, read_image
from fiftyone_drop.training.architectures import build

SECONDS = 30  # for an answer: 5 on a quiet machine, and what hangs does so for ever
KINDS = ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]
NAN = float("nan")


class Code:
    """What a pickle must not run."""

    def __reduce__(self):
        return os.mkdir, ("written-by-a-pickle",)


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path, monkeypatch):
    """No code of a pickle has run in the end."""
    monkeypatch.chdir(tmp_path)
    yield
    assert not os.path.exists("written-by-a-pickle")


@pytest.fixture
def unchanged(dataset):
    """Fails if the dataset has another field or value in the end."""

    def state():
        return list(dataset._sample_collection.find()), list(dataset.get_field_schema())

    before = state()
    yield
    assert state() == before


@pytest.fixture
def dataset(make_dataset):
    """20 digits."""
    return make_dataset(20)


def error_of(call, *arguments):
    """The DropError about one of the arguments that a call ends in, or None; it comes soon."""
    start = time.monotonic()
    try:
        call()
        error = None
    except fod.DropError as raised:
        error = raised
    assert time.monotonic() - start < SECONDS
    assert error is None or error.argument in arguments, error
    assert len(str(error)) < 3000
    return error


def refused(call, argument):
    """Check that a call ends in a DropError about an argument."""
    assert error_of(call, argument) is not None


def truncated(content, pieces):
    """The beginnings of a file; the empty one is the first."""
    return [content[: len(content) * i // pieces] for i in range(pieces)]


def flipped(content, times, seed=51):
    """A file with one to eight wrong bits, several times."""
    rng = np.random.default_rng(seed)
    for _ in range(times):
        damaged = bytearray(content)
        for at in rng.integers(0, len(content), rng.integers(1, 9)):
            damaged[at] ^= 1 << rng.integers(0, 8)
        yield bytes(damaged)


# Files of another kind
def strangers():
    picture = io.BytesIO()
    Image.new("RGB", (8, 8)).save(picture, "EPS")
    document = io.BytesIO()
    Image.new("RGB", (8, 8)).save(document, "PDF")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a.txt", "text")
    array = io.BytesIO()
    np.save(array, np.zeros(3))
    return [
        *(picture.getvalue(), document.getvalue(), archive.getvalue(), array.getvalue()),
        *(b"text", b"\0" * 100, b"<svg xmlns='http://www.w3.org/2000/svg'/>", pickle.dumps(Code())),
        *(b"\x1f\x8b" + b"\0" * 50, b"PK\3\4" + b"\0" * 50, b"PK\5\6" + b"\0" * 18, b"\x80\x04."),
        *(json.dumps({"a": 1}).encode(), b"\xff\xfe" * 50, b"%!PS-Adobe-3.0 EPSF-3.0\n" * 3),
    ]


# -- images ---------------------------------------------------------------------------------------


def image(kind, size=(24, 24)):
    buffer = io.BytesIO()
    noise = np.random.default_rng(51).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, kind)
    return buffer.getvalue()


def bomb():
    """A PNG of a few bytes that says it has 3.6 billion pixels."""
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    content = b"\x89PNG\r\n\x1a\n"
    for name, data in ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b"")):
        content += struct.pack(">I", len(data)) + name + data
        content += struct.pack(">I", zlib.crc32(name + data))
    return content


def ways(path):
    """The ways in which an image file is read."""
    yield lambda: read_image(path, 8)
    yield lambda: Transformed(lambda image: torch.from_numpy(np.array(image)))(path)
    yield lambda: probe_size([path])


def written(path, content):
    path.write_bytes(content)
    return str(path)


@pytest.mark.parametrize("kind", KINDS)
def test_the_beginning_of_an_image_is_no_image(kind, tmp_path):
    for content in truncated(image(kind), 12)[:9]:
        path = written(tmp_path / "x", content)
        refused(lambda path=path: read_image(path, 8), "paths")


@pytest.mark.parametrize("kind", KINDS)
def test_an_image_with_wrong_bits_is_read_or_refused(kind, tmp_path):
    for content in flipped(image(kind), 10):
        path = written(tmp_path / "x", content)
        for read in ways(path):
            error = error_of(read, "paths")
            assert error is None or path in str(error)


@pytest.mark.parametrize("content", [*strangers(), bomb()], ids=range(len(strangers()) + 1))
def test_another_file_is_no_image(content, tmp_path):
    path = written(tmp_path / "x.png", content)
    for read in ways(path):
        refused(read, "paths")


@pytest.fixture
def no_files(tmp_path):
    """Paths that are no files: most of them would let a reader wait for ever."""
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "round.png").symlink_to("round.png")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("socket.png")
        names = ("pipe.png", "folder.png", "round.png", "socket.png", "nothing.png")
        yield ["/dev/zero", "/dev/tty", *(str(tmp_path / name) for name in names)]


def test_what_is_no_file_is_refused_at_once(no_files):
    for path in no_files:
        for read in ways(path):
            refused(read, "paths")


@pytest.mark.filterwarnings("default::fiftyone_drop.DropWarning")
def test_unreadable_images_are_counted_and_the_others_scored(dataset, no_files, tmp_path):
    broken = [*no_files, written(tmp_path / "a.png", bomb()), written(tmp_path / "b.png", b"")]
    broken += [written(tmp_path / f"{i}.eps", strangers()[i]) for i in (0, 1)]
    paths = dataset.values("filepath")
    paths[: len(broken)] = broken
    dataset.set_values("filepath", paths)
    model = query_model(classes=tuple(sorted(set(dataset.values("ground_truth.label")))))
    with pytest.warns(fod.DropWarning, match=f"{len(broken)} of 20 "):
        fod.compute_scores(dataset, "ground_truth", ("el2n",), model=model)
    assert dataset.exists("el2n").values("filepath") == paths[len(broken) :]
    with pytest.raises(fod.DropError):
        fod.compute_scores(dataset, "ground_truth", ("el2n",), model=model, on_error="raise")


# -- score files ----------------------------------------------------------------------------------


def score_file(compressed=False, **arrays):
    buffer = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(buffer, **arrays)
    return buffer.getvalue()


def lying_array(shape, data=b"", descr="<f8"):
    """An .npy file that says it has another shape."""
    header = repr({"descr": descr, "fortran_order": False, "shape": shape}).encode()
    header += b" " * (-(len(header) + 11) % 64) + b"\n"
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header + data


def archive(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return buffer.getvalue()


def good_arrays(dataset):
    return {"ids": np.array(dataset.values("id"), "S24"), "mine": np.arange(20.0)}


def bad_score_files(dataset):
    """Score files that are whole, but forged."""
    good = good_arrays(dataset)
    for facts in (
        *("{", "[]", "1", "null", '"text"', "", "{'a': 1}", "[" * 100_000, "\\ud800"),
        *('{"epochs": -1}', '{"epochs": 1.5}', '{"epochs": {}}', '{"epochs": 1e999}'),
        *('{"switches": []}', '{"switches": 3}', '{"switches": {"mine": 1}}'),
        *('{"switches": {"mine": {"$where": {"a": 1}}}}', '{"switches": {"mine": {"a": null}}}'),
    ):
        yield score_file(**good, conventions=np.array(facts))
    yield score_file(**good, conventions=np.zeros(0))
    for ids in (
        *(np.zeros(20), np.zeros((20, 2), "S24"), np.array("x"), np.array(["é"] * 20)),
        *(good["ids"][:19], np.array([b"x"] * 20), np.repeat(good["ids"][:1], 20)),
        np.array(["a" * 100] * 20),
    ):
        yield score_file(**good | {"ids": ids})
    for values in (
        *(np.zeros((20, 2)), np.zeros(19), np.array(1.0), np.array(["x"] * 20)),
        *(np.zeros(20, complex), np.zeros(20, "M8[s]"), np.zeros(20, [("a", "f8")]), np.zeros(0)),
        np.zeros(20, "V8"),
    ):
        yield score_file(**good | {"mine": values})
    objects = io.BytesIO()
    np.save(objects, np.array([Code()], object), allow_pickle=True)
    for array in (
        *(objects.getvalue(), lying_array((2**60,)), lying_array((2**31, 2**31)), b"", b"text"),
        *(lying_array((10**9,)), lying_array((-1,)), lying_array("x"), lying_array((20,), b"1")),
        *(
            lying_array((20,), descr="|O"),
            lying_array((20,), descr="x" * 9_000),
            pickle.dumps(Code()),
        ),
        lying_array((20,), descr="(" * 5_000),
    ):
        yield archive(**{"mine.npy": array})
    yield archive(**{"mine.npy": lying_array((2**23,), b"\0" * 2**26)})  # 64 MB
    yield archive(**{"conventions.npy": lying_array((), b"\0" * 2**26, descr=f"<U{2**24}")})
    yield archive(**{"mine.txt": "text"})
    yield score_file(compressed=True, mine=np.zeros(2**22))


def test_the_beginning_of_a_score_file_is_no_score_file(dataset, tmp_path, unchanged):
    for content in truncated(score_file(**good_arrays(dataset)), 20) + strangers():
        path = written(tmp_path / "x.npz", content)
        refused(lambda path=path: fod.import_scores(dataset, path, hard="high"), "scores")


def test_forged_score_files_are_refused(dataset, tmp_path, unchanged):
    for content in bad_score_files(dataset):
        path = written(tmp_path / "x.npz", content)
        refused(lambda path=path: fod.import_scores(dataset, path, hard="high"), "scores")


def test_a_score_file_with_wrong_bits_is_read_or_refused(dataset, tmp_path):
    for content in flipped(score_file(**good_arrays(dataset)), 40):
        path = written(tmp_path / "x.npz", content)
        error_of(
            lambda path=path: fod.import_scores(dataset, path, hard="high"), "scores", "prefix"
        )


def test_a_score_file_that_is_no_file_is_refused(dataset, no_files, unchanged):
    for path in no_files:
        refused(lambda path=path: fod.import_scores(dataset, path, hard="high"), "scores")


# -- tables of scores -----------------------------------------------------------------------------


def good_table(dataset, kind):
    """A good file, compressed in the way that is easiest to damage."""
    columns = {"id": dataset.values("id"), "mine": np.linspace(0, 1, 20)}
    if kind == "parquet":
        return parquet(pa.table(columns))
    return "\n".join(
        ["id,mine", *(f"{i},{x:.9f}" for i, x in zip(*columns.values(), strict=True))]
    ).encode()


def parquet(table, **how):
    buffer = io.BytesIO()
    pq.write_table(table, buffer, **how)
    return buffer.getvalue()


def bad_tables(dataset):
    """Files that are whole, but forged, as (end of the name, content)."""
    good = good_table(dataset, "csv")
    (first, *_), ids = good.splitlines(), dataset.values("id")
    for content in (
        *(b"", b"\n\n", first, first + b"\n", first + b"\n\r\n,\n", b"\xef\xbb\xbf", b"\xff\xfe"),
        *(good + b"\n1", good + b"\n1,2,3", good + b'\n"', good + b'\n"a"b,1', good + b"\n\0,1"),
        *(
            good + b"\n\xff,1",
            b"id,id\n" + good,
            b"id,mine,mine\n",
            b"i" * 10**5 + good,
            good.replace(b",", b" "),
        ),
        *(good + f"\n{ids[0]},7".encode(), good + b"\n,7", good.replace(b"0.0", b"x0.0")),
        *(good.replace(b"0.0", b"0_0"), good + b"\n" + b"x" * 200_000 + b",1", b"," * 200_000),
        *(good + b"\n" * 2**25, b"\xff\xfe" + good, good + b"\n$(touch written-by-a-pickle),1"),
        *(good + b"\n=1+1,2", good[: len(good) // 2] + b"\r" * 100 + good),
    ):
        yield ".csv", content
    numbers = pa.array(np.linspace(0, 1, 20))
    texts = pa.array(ids)
    for table in (
        *(pa.table({"mine": numbers}), pa.table({"id": texts}), pa.table({}), pa.table({"a": []})),
        *(
            pa.table([texts, numbers], ["id", "id"]),
            pa.table({"id": texts[:0], "mine": numbers[:0]}),
        ),
        *(
            pa.table({"id": texts, "mine": nothing})
            for nothing in (pa.nulls(20), pa.nulls(20, "f8"))
        ),
        pa.table({"id": texts, "mine": pa.array([[1.0]] * 20)}),
        pa.table({"id": texts, "mine": pa.array([Code.__name__] * 20)}),
        pa.table({"id": pa.array([*ids[:19], None]), "mine": numbers}),
        pa.table({"id": pa.array([ids[0]] * 20), "mine": numbers}),
        pa.table({"id": pa.array(["x" * 2**20] * 20), "mine": numbers}),
    ):
        yield ".parquet", parquet(table)
    many = pa.table({"id": pa.array(["x"] * 2**22), "mine": pa.array(np.zeros(2**22))})
    yield ".parquet", parquet(many)  # 64 MB in a few bytes


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_another_file_is_no_table(dataset, tmp_path, unchanged, kind):
    beginnings = truncated(good_table(dataset, "parquet"), 20) if kind == "parquet" else []
    for content in beginnings + strangers():
        path = written(tmp_path / f"x.{kind}", content)
        refused(lambda path=path: fod.import_scores(dataset, path, hard="high"), "scores")


def test_forged_tables_are_refused(dataset, tmp_path, unchanged):
    for end, content in bad_tables(dataset):
        path = written(tmp_path / f"x{end}", content)
        refused(lambda path=path: fod.import_scores(dataset, path, hard="high"), "scores")


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_with_wrong_bits_is_read_or_refused(dataset, tmp_path, kind):
    about = ("scores", "prefix", "hard", "score_columns", "sample_column")
    for content in flipped(good_table(dataset, kind), 40):
        path = written(tmp_path / f"x.{kind}", content)
        error_of(lambda path=path: fod.import_scores(dataset, path, hard="high"), *about)


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_table_that_is_no_file_is_refused(dataset, tmp_path, unchanged, kind):
    os.mkfifo(tmp_path / f"pipe.{kind}")
    (tmp_path / f"folder.{kind}").mkdir()
    (tmp_path / f"round.{kind}").symlink_to(f"round.{kind}")
    (tmp_path / f"zero.{kind}").symlink_to("/dev/zero")
    for name in ("pipe", "folder", "round", "zero", "nothing"):
        path = tmp_path / f"{name}.{kind}"
        refused(lambda path=path: fod.import_scores(dataset, path, hard="high"), "scores")


# -- query models and weights ---------------------------------------------------------------------


def query_model(classes=("a", "b")):
    module = build("small-cnn", len(classes), 8)
    return fod.QueryModel(module, classes, "small-cnn", 8, (0.5, 0.5, 0.5), (0.2, 0.2, 0.2))


def saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def compressed(content):
    """The same archive, compressed: it may grow a thousandfold when it is read."""
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(io.BytesIO(content)) as old,
        zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for info in old.infolist():
            new.writestr(info.filename, old.read(info))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def good_model():
    buffer = io.BytesIO()
    folder_free = query_model()
    content = {
        "format": "fiftyone-drop query model 1",
        "classes": list(folder_free.classes),
        "architecture": "small-cnn",
        "image_size": 8,
        "mean": [0.5, 0.5, 0.5],
        "std": [0.2, 0.2, 0.2],
        "weights": folder_free.module.state_dict(),
    }
    torch.save(content, buffer)
    return content


def bad_models(good):
    """Contents of model files: one thing in them is wrong."""
    weights = good["weights"]
    first = next(iter(weights))
    for name, values in {
        "format": [None, 1, "fiftyone-drop query model 2", ["a"]],
        "classes": [
            None,
            3,
            "ab",
            [],
            ["a"],
            ["a", "b", "c"],
            [1, 2],
            [["a"], ["b"]],
            ["a\0", "b"],
        ],
        "architecture": [None, 3, "nothing", "resnet18", "auto", "../small-cnn", ["small-cnn"]],
        "image_size": [None, "8", 0, -8, 7, 8.0, 10**9, NAN, True, 2**70, torch.tensor(10**6)],
        "mean": [None, 1, [0.5, 0.5], [0.5] * 4, [NAN] * 3, ["x"] * 3, [2, 2, 2], {"a": 1}],
        "std": [None, 0, [0, 0, 0], [-1, 1, 1], [float("inf")] * 3, [[1]] * 3],
        "weights": [
            *(None, [], {}, 3, {"a": 1}, {1: torch.zeros(1)}, {**weights, "more": torch.zeros(1)}),
            *({**weights, first: 3}, {**weights, first: torch.zeros(1)}),
            {**weights, first: torch.zeros(1).expand(10**12)},
            {**weights, first: weights[first].to(torch.complex64)},
            {**weights, first: torch.zeros(3, 3).to_sparse()},
            {name: value for name, value in weights.items() if name != first},
        ],
    }.items():
        for value in values:
            yield {**good, name: value}
    yield from ([], 3, "text", torch.zeros(3), {}, weights)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_the_beginning_of_a_model_file_is_no_model(good_model, tmp_path):
    content = saved(good_model)
    for part in [*truncated(content, 20), *strangers(), compressed(content)]:
        path = written(tmp_path / "x.pt", part)
        refused(lambda path=path: fod.QueryModel.load(path), "path")


@pytest.mark.filterwarnings("ignore:Validating sparse tensor")
def test_forged_model_files_are_refused(good_model, tmp_path):
    fod.QueryModel.load(written(tmp_path / "good.pt", saved(good_model)))
    for content in bad_models(good_model):
        path = written(tmp_path / "x.pt", saved(content))
        refused(lambda path=path: fod.QueryModel.load(path), "path")


def test_a_model_file_with_code_runs_none_of_it(good_model, tmp_path):
    for content in (Code(), {**good_model, "weights": Code()}, {**good_model, "more": Code()}):
        path = written(tmp_path / "x.pt", saved(content))
        refused(lambda path=path: fod.QueryModel.load(path), "path")


def test_a_model_file_with_wrong_bits_is_read_or_refused(good_model, tmp_path):
    for content in flipped(saved(good_model), 25):
        path = written(tmp_path / "x.pt", content)
        error_of(lambda path=path: fod.QueryModel.load(path), "path")


def test_a_model_file_that_is_no_file_is_refused(no_files):
    for path in no_files:
        if os.path.lexists(path):
            refused(lambda path=path: fod.QueryModel.load(path), "path")
        else:
            with pytest.raises(FileNotFoundError):
                fod.QueryModel.load(path)


@pytest.mark.filterwarnings("ignore:Detected pickle protocol")
def test_weights_that_are_none_are_refused(dataset, good_model, no_files, tmp_path, unchanged):
    content = saved(good_model["weights"])
    weights = good_model["weights"]
    files = [*truncated(content, 12), *strangers(), compressed(content), content, *no_files]
    files += [saved(one) for one in ([], 3, {}, {"a": 1}, {1: 2}, {"state_dict": {"a": Code()}})]
    files += [saved({name: value.tolist() for name, value in weights.items()}), saved(Code())]
    for file in files:
        path = file if isinstance(file, str) else written(tmp_path / "x.pth", file)
        call = {"model": "squeezenet1_1", "checkpoint": path, "classes": ["one", "two"]}
        refused(lambda call=call: fod.compute_scores(dataset, **call), "checkpoint")


# -- stored logits --------------------------------------------------------------------------------


def packed(array):
    return zlib.compress(array)


def bad_logits():
    """Values in place of the logits of a sample; there are ten classes."""
    objects, good = io.BytesIO(), io.BytesIO()
    np.save(objects, np.array([Code()], object), allow_pickle=True)
    np.save(good, np.zeros(10))
    content = packed(good.getvalue())
    return [
        *truncated(content, 10),
        *(packed(one) for one in truncated(good.getvalue(), 10)),
        *(packed(one) for one in strangers()[1:]),
        *(packed(objects.getvalue()), packed(pickle.dumps(Code())), packed(b"\0" * 2**28)),
        *(packed(lying_array((2**60,))), packed(lying_array((10**9,))), packed(lying_array((-1,)))),
        *(packed(lying_array((10,), descr="|O")), packed(lying_array((10,), descr="(" * 5_000))),
        *(packed(archive(**{"a.npy": good.getvalue()})), content + content[:20]),
        *("text", "1.0", {"a": 1}, {"$ne": 1}, True, 3, [], [[0.0]], ["x"] * 10, [None, "x"]),
        *([{"a": 1}] * 2, [0.0] * 9, [0.0] * 11, [[0.0] * 10] * 2, [0.0] * 9 + [[0.0]]),
    ]


@pytest.fixture
def score_logits(dataset):
    """A function that scores with other logits of the first sample; the error, or None."""
    names = sorted(set(dataset.values("ground_truth.label")))
    classes = [*names, *map(str, range(10))][:10]
    logits = fo.Classification(label=names[0], logits=[0.0] * 10)
    dataset.set_values("guess", [logits.copy() for _ in range(20)])
    first = dataset.first()._id

    def score(value):
        value = Binary(value) if isinstance(value, bytes) else value
        dataset._sample_collection.update_one({"_id": first}, {"$set": {"guess.logits": value}})
        call = {"label_field": "ground_truth", "scores": ("el2n",), "model": "guess"}
        error = error_of(
            lambda: fod.compute_scores(dataset, **call, classes=classes), "model", "classes"
        )
        assert error is None or str(first) in str(error)
        return error

    return score


def test_logits_that_are_none_are_refused_with_their_sample(score_logits, dataset):
    for value in bad_logits():
        assert score_logits(value) is not None, value
    assert not dataset.has_field("el2n")


def test_logits_with_wrong_bits_are_read_or_refused(score_logits):
    good = io.BytesIO()
    np.save(good, np.zeros(10))
    for value in flipped(packed(good.getvalue()), 20):
        score_logits(value)


def test_there_are_at_least_two_hundred(dataset, good_model):
    whole = len(strangers())
    images = 6 * (9 + 10) + whole + 1
    files = 20 + whole + len(list(bad_score_files(dataset))) + 40
    tables = 20 + 2 * whole + len(list(bad_tables(dataset))) + 80 + 10
    models = 2 * (20 + whole) + len(list(bad_models(good_model))) + 25
    assert images + files + tables + models + len(bad_logits()) + 20 > 500
