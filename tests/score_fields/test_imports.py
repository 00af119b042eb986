"""import_scores: numbers from a cluster arrive at the right samples, or not at all."""

import fiftyone as fo
import numpy as np
import pytest
import torch

import fiftyone_drop as fod
from fiftyone_drop import DropError, scoring


@pytest.fixture
def scores():
    return np.random.default_rng(0).random(60)


def recorded(recorder):
    generator = torch.Generator().manual_seed(0)
    for _ in range(3):
        recorder.update(torch.arange(60), torch.randn(60, 10, generator=generator))
        recorder.end_epoch()
    return recorder


def test_a_file_of_the_recorder_goes_by_the_order_of_the_view(small, tmp_path):
    names = sorted(small.distinct("ground_truth.label"))
    labels = np.array([names.index(x) for x in small.values("ground_truth.label")])
    recorder = recorded(
        scoring.DynamicsRecorder(
            60, labels, scores=["forgetting", "aum"], never_learned="inf", aum_on="softmax"
        )
    )
    recorder.save(tmp_path / "run.npz")
    written = fod.import_scores(small, str(tmp_path / "run.npz"), prefix="c_")
    assert written == ["c_forgetting", "c_aum"]
    for name, values in recorder.finish().items():
        np.testing.assert_array_equal(small.values(f"c_{name}"), values)
    info = small.get_field("c_forgetting").info
    assert info["hard"] == "high"
    assert info["convention"] == {"never_learned": "inf"}
    assert info["epochs"] == 3
    assert info["model"] == "imported from run.npz"
    assert small.get_field("c_aum").info["hard"] == "low"
    with pytest.raises(DropError, match=r"'forgetting' must hold one number .* 59 samples"):
        fod.import_scores(small[1:], tmp_path / "run.npz", prefix="d_")


def test_a_file_with_ids_goes_by_these(small, tmp_path):
    recorder = recorded(fod.DynamicsRecorder(small, scores=["aum"]))
    recorder.save(tmp_path / "run.npz")
    recorder.finish()
    other = small.sort_by("filepath", reverse=True)
    fod.import_scores(other, tmp_path / "run.npz", prefix="c_")
    assert small.values("c_aum") == small.values("aum")
    with pytest.raises(DropError, match="1 of 60 ids or filepaths of 'aum' are not in the coll"):
        fod.import_scores(small[1:], tmp_path / "run.npz", prefix="d_")


@pytest.mark.parametrize("key", ["id", "filepath"])
def test_a_mapping_goes_by_id_or_filepath(small, scores, key):
    mapping = dict(zip(small.values(key), scores.tolist(), strict=True))
    assert fod.import_scores(small, mapping, name="el2n") == ["el2n"]
    np.testing.assert_array_equal(small.values("el2n"), scores)
    assert small.get_field("el2n").info["hard"] == "high"


def test_fields_of_different_samples_and_unregistered_scores(small, scores):
    ids = small.values("id")
    columns = {
        "margin": dict(zip(ids, scores.tolist(), strict=True)),
        "mine": dict(zip(ids[:7], [1, 2, None, 4, float("nan"), 6, 7], strict=True)),
    }
    assert fod.import_scores(small, columns, hard={"mine": "low"}) == ["margin", "mine"]
    assert small.values("mine") == [1, 2, None, 4, None, 6, 7] + [None] * 53
    assert small.get_field("mine").info["hard"] == "low"
    view = small.exists("mine").apply_drop(density=0.4, rule="none", select="mine")
    assert sorted(view.values("mine")) == [1, 2]


@pytest.mark.parametrize(
    ("make", "arguments", "words"),
    [
        (lambda ids: 3, {}, "scores: must be the path"),
        (lambda ids: {}, {}, "scores: must be the path"),
        (lambda ids: {ids[0]: 1.0}, {}, "name: must be given with a mapping from id"),
        (lambda ids: {"el2n": {ids[0]: 1.0}}, {"name": "el2n"}, "name: must be given"),
        (lambda ids: "nowhere.npz", {}, "there is no file nowhere.npz"),
        (lambda ids: __file__, {}, r"is not an .npz file"),
        (lambda ids: {"mine": {ids[0]: 1.0}}, {}, "hard: must be 'high' or 'low' for 'mine'"),
        (lambda ids: {"aum": {ids[0]: 1.0}}, {"hard": "high"}, "'aum' is registered with 'low'"),
        (lambda ids: {"el2n": {ids[0]: 1.0, "0" * 24: 2.0}}, {}, "1 of 2 ids .*'0{24}'"),
        (lambda ids: {"el2n": {"/a.jpg": 1.0, "/b.jpg": 2.0}}, {}, "2 of 2 ids .*'/a.jpg'"),
        (lambda ids: {"el2n": {7: 1.0}}, {}, "1 of 1 ids .*7"),
        (lambda ids: {"el2n": {ids[0]: "hard"}}, {}, "those of 'el2n' must be numbers"),
        (lambda ids: {"el2n": {ids[0]: "0.1"}}, {}, "those of 'el2n' must be .* holds '0.1'"),
        (lambda ids: {"el2n": {ids[0]: True, ids[1]: 0.5}}, {}, "must be numbers, but holds True"),
        (lambda ids: {"el2n": {ids[0]: 1j}}, {}, "must be numbers, but holds 1j"),
        (lambda ids: {"el2n": {ids[0]: np.timedelta64(1, "s")}}, {}, "holds values of timedelta64"),
        (lambda ids: {"el2n": {ids[0]: np.ma.masked}}, {}, "must be numbers, but holds masked"),
        (lambda ids: {"a b": {ids[0]: 1.0}}, {"hard": "low"}, "must make valid field names"),
        (lambda ids: {"taken": {ids[0]: 1.0}}, {"hard": "low"}, "'taken' exists .*overwrite=True"),
        (lambda ids: {"name": {ids[0]: 1.0}}, {"hard": "low"}, "'name' exists and is no float"),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_written(small, make, arguments, words):
    small.set_values("taken", [1.0] * 60)
    fields = sorted(small.get_field_schema())
    with pytest.raises(DropError, match=words):
        fod.import_scores(small, make(small.values("id")), **arguments)
    assert sorted(small.get_field_schema()) == fields
    assert small.values("taken") == [1.0] * 60


def test_a_sample_may_be_named_only_once(small):
    one = small.first()
    with pytest.raises(DropError, match="are the same sample"):
        fod.import_scores(small, {"el2n": {one.id: 1.0, one.filepath: 2.0}})


def test_fields_may_be_replaced(small):
    small.set_values("taken", [1.0] * 60)
    mapping = {"taken": {small.first().id: 5.0}}
    fod.import_scores(small, mapping, hard="high", overwrite=True)
    assert small.values("taken") == [5.0] + [None] * 59  # nothing of what was there
    assert small.get_field("taken").info["hard"] == "high"


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("scores", [3, None, {3: {}}, [1.0]]),
        ("name", [3, b"el2n", ""]),
        ("hard", ["middle", 3, {"mine": "up"}]),
        ("prefix", [3, None, b"my_", "a b"]),
        ("overwrite", [1, None, "yes"]),
    ],
)
def test_odd_values_are_refused_by_the_name_of_the_argument(small, argument, values):
    given = {"scores": {"mine": {small.first().id: 1.0}}, "hard": "low"}
    fields = sorted(small.get_field_schema())
    for value in values:
        with pytest.raises(DropError) as refused:
            fod.import_scores(small, **given | {argument: value})
        assert refused.value.argument == argument, value
    assert sorted(small.get_field_schema()) == fields


@pytest.mark.parametrize("kind", [np.array, lambda value: np.array(value)[()]])
def test_values_of_numpy_are_stored_as_plain_ones(small, kind):
    mapping = {np.str_(small.first().id): np.float32(0.5)}
    fod.import_scores(
        small,
        mapping,
        name=kind("mine"),
        hard=kind("low"),
        prefix=kind("my_"),
        overwrite=kind(True),
    )
    info = small.get_field("my_mine").info
    assert (info["score"], info["hard"]) == ("mine", "low")
    assert type(info["score"]) is type(info["hard"]) is str
    assert small.first()["my_mine"] == 0.5


def damaged(content):
    half = len(content) // 2
    return content[: half - 20] + b"?" * 40 + content[half + 20 :]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda path: np.save(path.open("wb"), np.arange(60.0)),
        lambda path: path.write_bytes(b""),
        lambda path: path.write_bytes(b"PK\x03\x04"),
        lambda path: path.write_bytes(damaged(path.read_bytes())),
        lambda path: path.write_bytes(path.read_bytes()[:200]),
        lambda path: np.savez(path, mine=np.arange(60.0), conventions=np.array("no JSON")),
        lambda path: np.savez(path, mine=np.arange(60.0), conventions=np.array("[1]")),
        lambda path: np.savez(path, mine=np.arange(60) * 1j),
    ],
)
def test_a_file_of_anything_else_is_refused_and_nothing_is_written(small, tmp_path, spoil):
    path, before = tmp_path / "scores.npz", set(small.get_field_schema())
    np.savez(path, mine=np.arange(60.0))
    spoil(path)
    with pytest.raises(DropError) as refused:
        fod.import_scores(small, path, hard="high")
    assert refused.value.argument == "scores"
    assert set(small.get_field_schema()) == before


def test_the_score_of_a_file_goes_to_all_samples_of_it(make_dataset):
    dataset = make_dataset(20)
    paths = dataset.values("filepath")
    again = [fo.Sample(filepath=path, ground_truth=None) for path in paths[:5]]
    dataset.add_samples(again, progress=False)
    scores = {path: float(i) for i, path in enumerate(paths)}
    fod.import_scores(dataset, {"mine": scores}, hard="high")
    for path, value in zip(*dataset.values(["filepath", "mine"]), strict=True):
        assert value == scores[path]
    both = {**scores, dataset.last().id: 3.0}
    with pytest.raises(DropError, match="are the same sample"):
        fod.import_scores(dataset, {"mine": both}, hard="high")
