"""A score field is of one model and one convention, whatever is cut off and whoever else writes."""

import contextlib
import threading

import fiftyone as fo
import numpy as np
import pytest
import torch
from cells import LONG
from digit_models import CLASSES, TRANSFORM, network
from pymongo.errors import AutoReconnect
from torchvision.transforms import v2
from writes import Writes

import fiftyone_drop as fod
from fiftyone_drop import DropError, documents, field_marks, field_writes, lease, target
from fiftyone_drop.engine.checkpoint import Checkpoint
from fiftyone_drop.inference.image_model import ImageModel
from fiftyone_drop.score_fields import sources


def values_of(dataset, field):
    return np.array(dataset.values(field), dtype=float)


# -- parts ----------------------------------------------------------------------------------------


def test_the_same_model_and_convention_fill_a_field_part_by_part(small, score):
    whole = score(small, ["el2n", "grand"], network(), prefix="whole_")
    score(small[:25], ["el2n", "grand"], network())
    again = network().double().float()  # the same weights in another object
    score(small[20:], ["el2n", "grand"], again)
    for name in ("el2n", "grand"):
        np.testing.assert_allclose(values_of(small, name), whole[f"whole_{name}"], rtol=1e-5)


@pytest.mark.parametrize(
    "other",
    [
        {"model": network(1)},
        {"transform": v2.Compose([v2.ToImage(), v2.RandomInvert(1), v2.ToDtype(torch.float32)])},
        {"classes": CLASSES[::-1]},
        {"model": [network(), network(1)]},
    ],
)
def test_a_part_that_another_model_has_filled_is_refused(small, score, other, monkeypatch):
    score(small[:25], ["el2n"], network())
    before = small.values("el2n")
    with monkeypatch.context() as patch:
        patch.setattr(sources, "by_models", None)  # before anything is computed
        with pytest.raises(DropError, match=r"overwrite: 20 samples .*'el2n'.* \(Sequential \("):
            score(small[20:], ["el2n"], **{"model": network()} | other)
    assert small.values("el2n") == before
    score(small[20:], ["el2n"], **{"model": network()} | other, overwrite=True)
    assert small.exists("el2n").count() == 40
    assert small[:20].exists("el2n").count() == 0


def test_a_part_of_another_convention_is_refused(small, score):
    small.set_values("noisy", small.values("ground_truth"))
    score(small[:25], ["k_center"], network())
    with pytest.raises(DropError, match="25 samples"):
        score(small[25:], ["k_center"], network())  # an order of these among themselves
    fod.compute_scores(small[:25], "noisy", scores=["random"], seed=1, prefix="my_")
    with pytest.raises(DropError, match="'seed': 1"):
        fod.compute_scores(small[25:], "noisy", scores=["random"], seed=2, prefix="my_")
    score(small[:25], ["el2n", "entropy"], network())
    how = {"transform": TRANSFORM, "classes": CLASSES, "model": network()}
    fod.compute_scores(small[25:], "noisy", ["entropy"], **how)  # which uses no labels
    with pytest.raises(DropError, match="25 samples"):
        fod.compute_scores(small[25:], "noisy", ["el2n"], **how)


def test_gradients_in_other_parameters_are_another_score_and_logits_are_not(small, score):
    frozen = network()
    frozen[0].requires_grad_(False)
    score(small[:25], ["el2n", "grand"], network())
    with pytest.raises(DropError, match=r"25 samples .*'grand'"):
        score(small[25:], ["grand"], frozen)
    score(small[25:], ["el2n"], frozen)
    assert small.exists("el2n").count() == 60
    score(small, ["grand"], frozen, overwrite=True)
    assert small.exists("grand").count() == 60


def test_a_field_takes_samples_from_a_gpu_and_from_a_cpu(small, score, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(ImageModel, "mixed", True)  # as on CUDA
        score(small[:25], ["el2n"], network())
    score(small[25:], ["el2n"], network())
    whole = score(small, ["el2n"], network(), "whole_")["whole_el2n"]
    found = values_of(small, "el2n")
    assert not np.array_equal(found[:25], whole[:25])
    np.testing.assert_allclose(found, whole, atol=2e-2)


def test_scores_of_other_labels_replace_those_of_before_all_or_none(small, score, monkeypatch):
    score(small, ["el2n"], network())
    before = small.values("el2n")
    small.set_values("ground_truth.label", small.values("ground_truth.label")[::-1])

    def fail(*arguments):
        raise RuntimeError("no connection")

    with monkeypatch.context() as patch:
        patch.setattr(field_writes, "_clear_rest", fail)  # when all values have been written
        with pytest.raises(RuntimeError, match="no connection"):
            score(small, ["el2n"], network())
    small.reload()
    assert small.values("el2n") == before
    score(small, ["el2n"], network())
    assert small.values("el2n") != before


@pytest.mark.usefixtures("few_steps")
def test_query_models_of_two_calls_are_two_models(small):
    fod.compute_scores(small[:30], scores=["el2n"], folds=2)
    with pytest.raises(DropError, match="30 samples"):
        fod.compute_scores(small[30:], scores=["el2n"], folds=2)
    fod.compute_scores(small, scores=["el2n"], folds=2)
    assert small.exists("el2n").count() == 60


def test_imports_fill_a_field_part_by_part_where_they_name_one_model(small):
    ids = small.values("id")
    first, second = dict.fromkeys(ids[:30], 1.0), dict.fromkeys(ids[30:], 2.0)
    fod.import_scores(small, first, name="el2n")
    fod.import_scores(small, first, name="el2n")
    with pytest.raises(DropError, match=r"overwrite: 30 samples .*imported from a mapping"):
        fod.import_scores(small, second, name="el2n")
    assert small.exists("el2n").count() == 30
    fod.import_scores(small, second, name="el2n", model="run 7", overwrite=True)
    assert small.exists("el2n").count() == 30
    fod.import_scores(small, first, name="el2n", model="run 7")
    assert small.values("el2n") == [1.0] * 30 + [2.0] * 30
    assert small.get_field("el2n").info["model"] == "run 7"
    with pytest.raises(DropError, match=r"60 samples|30 samples"):
        fod.import_scores(small, first, name="el2n", model="run 8")


def test_a_recorder_is_refused_before_the_training(small):
    recorder = fod.DynamicsRecorder(small[:30], scores=["aum"])
    recorder.update(torch.arange(30), torch.randn(30, 10)[:, : len(recorder.classes)])
    recorder.end_epoch()
    recorder.finish()
    recorder.end_epoch()
    recorder.finish()  # recording has gone on
    with pytest.raises(DropError, match=r"30 samples .* 'aum' .*a training run of 2 epochs"):
        fod.DynamicsRecorder(small[30:], scores=["aum"])
    fod.DynamicsRecorder(small[30:], scores=["aum"], overwrite=True)
    fod.DynamicsRecorder(small, scores=["aum"])


def test_fields_of_runs_are_never_written(small):
    small.apply_drop(0.5, rule="proportional", key="my")
    kept = small.values("my_keep_at")
    scores = {"keep_at": dict.fromkeys(small.values("id"), 0.5)}
    with pytest.raises(DropError, match="belongs to the drop run 'my'"):
        fod.import_scores(small, scores, hard="high", prefix="my_", overwrite=True)
    assert small.values("my_keep_at") == kept


def test_a_field_from_before_there_were_marks_is_whole_and_of_an_unknown_model(small, score):
    field = {"score": "el2n", "hard": "high", "model": "an older one", "convention": {}}
    small.add_sample_field("el2n", fo.FloatField, info=field)
    small[:30].set_values("el2n", [0.5] * 30)
    assert len(small[:30].apply_drop(0.5, rule="none", select="el2n")) == 15
    with pytest.raises(DropError, match=r"30 samples .*an older one"):
        score(small[30:], ["el2n"], network())
    score(small, ["el2n"], network())
    assert small.exists("el2n").count() == 60


# -- faults ---------------------------------------------------------------------------------------


@pytest.fixture
def faults(monkeypatch):
    """Faults of the database, and leases that expire soon."""
    monkeypatch.setattr(lease, "SECONDS", 0.4)
    return Writes(monkeypatch.setattr)


def recompute(samples, seed=1, **how):
    how = {"transform": TRANSFORM, "classes": CLASSES, "overwrite": True} | how
    fod.compute_scores(samples, "ground_truth", ["el2n", "entropy"], model=network(seed), **how)


def reimport(samples, number=2.0, model=None):
    ids = samples.values("id")
    columns = {"el2n": dict.fromkeys(ids, number), "entropy": dict.fromkeys(ids[:20], number)}
    fod.import_scores(samples, columns, model=model, overwrite=True)


CALLS = {
    "the first scores": (None, recompute),
    "another model": (lambda samples: recompute(samples, 0), recompute),
    "another model, a part": (
        lambda samples: recompute(samples, 0),
        lambda samples: recompute(samples[10:]),
    ),
    "the same model, more samples": (lambda samples: recompute(samples[10:]), recompute),
    "the first import": (None, reimport),
    "another import": (lambda samples: reimport(samples, 1.0), reimport),
    "the same model, other values": (
        lambda samples: reimport(samples, 1.0, "run 7"),
        lambda samples: reimport(samples, 2.0, "run 7"),
    ),
}


def fields_of(dataset):
    dataset.reload()
    there = [name for name in ("el2n", "entropy") if dataset.has_field(name)]
    return {name: dataset.values(name) for name in there}


WAYS = ("before", "after", "from then on")


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
def test_a_write_that_fails_leaves_old_scores_or_new_ones_or_a_field_that_says_so(
    make_dataset, faults, call, way
):
    """And the same call made again comes to its end, as if nothing had happened."""
    first, make = CALLS[call]
    original = make_dataset(40)
    if first:
        first(original)

    def prepared():
        dataset = original.clone()
        dataset.set_values("mine", list(range(40)))
        return dataset

    dataset = prepared()
    fo_names = set(dataset.get_field_schema()) | {"el2n", "entropy"}
    old = fields_of(dataset)
    faults.reset()
    make(dataset)
    writes, new = faults.count, fields_of(dataset)
    dataset.delete()
    assert writes > 5
    for at in range(WAYS.index(way) + 1, writes + 1, 1 if LONG else 4):
        dataset = prepared()
        faults.reset(at, way)
        with contextlib.suppress(AutoReconnect, DropError, ConnectionError):
            make(dataset)
        faults.reset()
        where = f"{call}, {way} write {at} of {writes}"
        for name, values in fields_of(dataset).items():
            if field_marks.unfinished(dataset.get_field(name)):
                with pytest.raises(DropError, match="make the call that wrote them again"):
                    dataset.apply_drop(0.5, rule="none", select=name)
            elif call == "the same model, more samples":
                known = [
                    b if a is not None else None for a, b in zip(values, new[name], strict=True)
                ]
                np.testing.assert_array_equal(values, known, where)
            else:
                assert values in [old.get(name), new[name]], where
        assert [sample.mine for sample in dataset] == list(range(40)), where
        make(dataset)
        assert fields_of(dataset) == new, where
        assert set(dataset.get_field_schema()) == fo_names, where
        stored = {name for d in dataset._sample_collection.find() for name in d}
        assert not [name for name in stored if name.endswith("_being_written")], where
        dataset.delete()


def test_the_checkpoint_goes_after_the_scores_are_on_disk(small, score, monkeypatch, tmp_path):
    score(small, ["el2n"], network())
    seen, remove = [], Checkpoint.remove
    journaled, on_disk = [], documents.on_disk
    monkeypatch.setattr(documents, "on_disk", lambda name: journaled.append(name) or on_disk(name))

    def removed(checkpoint):
        (mark,) = field_marks.tokens(small, ["el2n"]).values()
        seen.append((mark, journaled[-1:]))
        remove(checkpoint)

    monkeypatch.setattr(Checkpoint, "remove", removed)
    score(small, ["el2n"], network(1), checkpoint_dir=tmp_path)
    mark, last = seen[-1]
    assert mark == field_marks.tokens(small, ["el2n"])["el2n"]
    assert "state" not in mark
    assert last == ["fiftyone_drop.leases"]  # the end of the write


# -- readers and other writers --------------------------------------------------------------------


def test_scores_that_are_written_while_they_are_read_are_refused(small, score, monkeypatch):
    score(small, ["el2n"], network())
    original = target.read_population

    def read(samples, *args, **kwargs):
        population = original(samples, *args, **kwargs)
        score(fo.load_dataset(small.name), ["el2n"], network(1))
        return population

    monkeypatch.setattr(target, "read_population", read)
    with pytest.raises(DropError, match=r"select: the scores in 'el2n' .* while they were read"):
        fod.plan_drop(small, 0.5, rule="none", select="el2n")
    monkeypatch.undo()
    assert len(small.apply_drop(0.5, rule="none", select="el2n")) == 30


def test_of_writers_at_once_each_leaves_all_of_its_scores_or_none(small):
    failed = []

    def write(number):
        columns = {"el2n": dict.fromkeys(small.values("id"), float(number))}
        try:
            fod.import_scores(small, columns)
        except DropError as error:
            failed.append(error)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    small.reload()
    assert len(set(small.values("el2n"))) == 1
    assert not failed
    assert "el2n_being_written" not in small.get_field_schema()


def test_parts_of_one_field_have_one_hard_end(dataset):
    ids = dataset.values("id")
    parts = [dict.fromkeys(some, 1.0) for some in (ids[:20], ids[20:])]
    how = {"name": "mine", "model": "run 7", "progress": False}
    fod.import_scores(dataset, parts[0], hard="high", **how)
    with pytest.raises(DropError, match=r"^overwrite: 20 samples .* and a score field is of one"):
        fod.import_scores(dataset, parts[1], hard="low", **how)
    assert dataset.get_field("mine").info["hard"] == "high"
    fod.import_scores(dataset, parts[1], hard="high", **how)
    assert dataset.count("mine") == len(ids)
