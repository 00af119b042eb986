"""DynamicsRecorder: the logits of any training loop become fields.

The scores themselves are tested in tests/scoring; here they must arrive at the right samples.
"""

import io
import logging
import re
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from pymongo.errors import AutoReconnect
from torch.utils.data.distributed import DistributedSampler

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning, lease, scoring, store
from fiftyone_drop.scoring import (
    SCORES,
)

DYNAMIC = [name for name, score in SCORES.items() if score.needs == "dynamics"]


EPOCHS = 5


SHORT = {"window": 3, "tdds_window": 3}


def training(n=60, k=10, seed=0):
    """Batches of a training run: rows and logits, in another order in each epoch."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(EPOCHS):
        order = torch.randperm(n, generator=generator)
        yield [(rows, torch.randn(len(rows), k, generator=generator)) for rows in order.split(16)]


def record(recorder, name=lambda rows: rows):
    for epoch in training():
        for rows, logits in epoch:
            recorder.update(name(rows), logits)
        recorder.end_epoch()
    return recorder


def expected(samples, scores=tuple(DYNAMIC), **switches):
    names = sorted(samples.distinct("ground_truth.label"))
    labels = [names.index(label) for label in samples.values("ground_truth.label")]
    recorder = scoring.DynamicsRecorder(60, np.array(labels), scores=scores, **switches)
    return record(recorder).finish()


def test_every_score_of_dynamics_becomes_a_field(small):
    recorder = fod.DynamicsRecorder(small, "ground_truth", DYNAMIC, prefix="d_", **SHORT)
    assert record(recorder).finish() == [f"d_{name}" for name in DYNAMIC]
    for name, values in expected(small, **SHORT).items():
        np.testing.assert_array_equal(small.values(f"d_{name}"), values, err_msg=name)
        info = small.get_field(f"d_{name}").info
        assert info["hard"] == SCORES[name].hard
        assert info["score"] == name
        assert info["epochs"] == EPOCHS
        switches = {k: v for k, v in SHORT.items() if k in SCORES[name].conventions}
        assert info["convention"] == SCORES[name].defaults | switches
    view = small.apply_drop(density=0.5, rule="none", select="d_aum")
    assert max(view.values("d_aum")) <= sorted(small.values("d_aum"))[30]


@pytest.mark.parametrize("kind", [list, np.array, tuple])
def test_samples_go_by_id_as_well_as_by_position(small, kind):
    ids = small.values("id")
    recorder = fod.DynamicsRecorder(small, scores=["aum"])
    record(recorder, lambda rows: kind([ids[row] for row in rows])).finish()
    np.testing.assert_array_equal(small.values("aum"), expected(small, ["aum"])["aum"])


def test_a_view_has_positions_of_its_own_and_other_samples_stay_empty(small):
    view = small.sort_by("filepath", reverse=True)[:20]
    recorder = fod.DynamicsRecorder(view, scores=["aum"], classes=sorted(digit_names(small)))
    recorder.update([0, 19], torch.eye(10)[[3, 4]])
    recorder.end_epoch()
    recorder.finish()
    assert [value is not None for value in view.values("aum")] == [True] + [False] * 18 + [True]
    assert small.exists("aum").count() == 2


def digit_names(samples):
    return samples.distinct("ground_truth.label")


def test_the_logits_may_come_in_another_order_of_classes(small):
    names = sorted(digit_names(small), reverse=True)
    recorder = fod.DynamicsRecorder(small, scores=["aum"], classes=names)
    for epoch in training():
        for rows, logits in epoch:
            recorder.update(rows, logits.flip(1).half().requires_grad_())
        recorder.end_epoch()
    recorder.finish()
    np.testing.assert_allclose(
        small.values("aum"), expected(small, ["aum"])["aum"], rtol=0, atol=5e-3
    )


def test_recording_may_go_on_after_the_fields_are_written(small):
    recorder = fod.DynamicsRecorder(small, scores=["aum"])
    for epoch in training():
        for rows, logits in epoch:
            recorder.update(rows, logits)
        recorder.end_epoch()
        recorder.finish()
    np.testing.assert_array_equal(small.values("aum"), expected(small, ["aum"])["aum"])
    assert small.get_field("aum").info["epochs"] == EPOCHS


@pytest.fixture
def log(monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("fiftyone.drop"), "propagate", True)
    return caplog


@pytest.fixture
def another_writer(small, monkeypatch):
    """Somebody who writes into the dataset, and does not end."""
    monkeypatch.setattr(lease, "LONG_PATIENCE", 0.2)
    other = lease.Lease(small)
    other.acquire(0.0)
    yield other
    other.release()


def test_scores_that_cannot_be_written_lie_in_a_file(small, another_writer, log):
    recorder = record(fod.DynamicsRecorder(small, scores=["aum", "forgetting"], prefix="d_"))
    for _ in range(2):
        with pytest.raises(DropError, match="are being written by"):
            recorder.finish()
    another_writer.release()
    (remedy,) = set(re.findall(r"lie in a file, for fiftyone_drop\.(.*)", log.text))
    (file,) = re.findall(r"import_scores\(samples, '(.*\.npz)', prefix='d_'\)", remedy)
    assert fod.import_scores(small, file, prefix="d_") == ["d_aum", "d_forgetting"]
    np.testing.assert_array_equal(small.values("d_aum"), expected(small, ["aum"])["aum"])
    assert Path(file).exists()
    recorder.finish()
    assert not Path(file).exists()


def test_scores_that_are_written_while_the_database_is_away_are_named(small, monkeypatch):
    recorder = record(fod.DynamicsRecorder(small, scores=["aum"]))

    def away(*arguments):
        raise AutoReconnect("away")

    monkeypatch.setattr(store, "write_fields", away)
    with pytest.raises(ConnectionError, match=r"the scores .*import_scores\(samples, '.*\.npz'\)"):
        recorder.finish()


def test_scores_wait_for_another_writer_for_long(small, another_writer, monkeypatch, log):
    monkeypatch.setattr(lease, "PATIENCE", 0.0)
    monkeypatch.setattr(lease, "LONG_PATIENCE", 60.0)
    recorder = record(fod.DynamicsRecorder(small, scores=["aum"]))
    threading.Timer(0.3, another_writer.release).start()
    assert recorder.finish() == ["aum"]
    assert "Waiting for" in log.text


def test_scores_are_written_where_no_file_can_be(small, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    recorder = record(fod.DynamicsRecorder(small, scores=["aum"]))
    assert recorder.finish() == ["aum"]
    assert small.exists("aum").count() == 60


def test_it_goes_into_a_checkpoint_of_the_training(small):
    first = fod.DynamicsRecorder(small, scores=["forgetting"])
    epochs = list(training())
    for epoch in epochs[:2]:
        for rows, logits in epoch:
            first.update(rows, logits)
        first.end_epoch()
    file = io.BytesIO()
    torch.save(first.state_dict(), file)
    file.seek(0)
    second = fod.DynamicsRecorder(small, scores=["forgetting"])
    second.load_state_dict(torch.load(file, weights_only=True))
    for epoch in epochs[2:]:
        for rows, logits in epoch:
            second.update(rows, logits)
        second.end_epoch()
    second.finish()
    reference = expected(small, ["forgetting"])["forgetting"]
    np.testing.assert_array_equal(small.values("forgetting"), reference)


def test_a_window_longer_than_the_training_warns_and_stays_empty(small):
    recorder = record(fod.DynamicsRecorder(small, scores=["dual"], window=9))
    with pytest.warns(DropWarning, match="no sample has a value"):
        recorder.finish()
    assert small.values("dual") == [None] * 60


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scores": "aum"}, "scores: must be a sequence"),
        ({"scores": ["el2n"]}, "'el2n' needs 'logits' and cannot be recorded"),
        ({"scores": ["aumm"]}, "no score 'aumm'"),
        ({"windows": 3}, "windows: is no argument and no switch of"),
        ({"classes": ["one", "two"]}, "classes: must hold every label in 'ground_truth'"),
        ({"label_field": "nothing"}, "label_field"),
        ({"prefix": "taken_"}, "prefix: the field 'taken_aum' exists"),
    ],
)
def test_what_does_not_fit_is_refused_at_the_start(small, arguments, words):
    small.set_values("taken_aum", [1.0] * 60)
    with pytest.raises(DropError, match=words):
        fod.DynamicsRecorder(small, **arguments)


def test_what_does_not_fit_is_refused_at_an_update(small):
    recorder = fod.DynamicsRecorder(small, scores=["aum"])
    with pytest.raises(DropError, match=r"1 of 2 ids are not in the view .* '0{24}'"):
        recorder.update([small.first().id, "0" * 24], torch.zeros(2, 10))
    with pytest.raises(DropError, match=r"logits: must have one column for each of the 10"):
        recorder.update([0, 1], torch.zeros(2, 11))
    with pytest.raises(DropError, match=r"lie in \[0, 60\)"):
        recorder.update([0, 60], torch.zeros(2, 10))
    with pytest.raises(DropError, match="no epoch has ended"):
        recorder.finish()
    assert "aum" not in small.get_field_schema()


def test_samples_without_a_label_are_refused(small):
    small[:2].clear_sample_field("ground_truth")
    with pytest.raises(DropError, match=r"label_field: 2 of 60 .*\.exists\('ground_truth"):
        fod.DynamicsRecorder(small, "ground_truth")


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("label_field", [3, "", b"ground_truth"]),
        ("scores", ["aum", 3, [3], None]),
        ("classes", ["abc", 3, [1, 2]]),
        ("prefix", [3, None, b"my_", "a b"]),
        ("overwrite", [1, None, "yes"]),
    ],
)
def test_odd_values_are_refused_by_the_name_of_the_argument(small, argument, values):
    for value in values:
        with pytest.raises(DropError) as refused:
            fod.DynamicsRecorder(small, **{argument: value})
        assert refused.value.argument == argument, value


@pytest.mark.parametrize("kind", [np.array, lambda value: np.array(value)[()]])
def test_values_of_numpy_are_as_good_as_plain_ones(small, kind):
    recorder = fod.DynamicsRecorder(
        small,
        kind("ground_truth"),
        np.array(["aum"]),
        classes=np.array(sorted(digit_names(small))),
        prefix=kind("my_"),
        overwrite=kind(True),
    )
    assert {type(name) for name in recorder.classes} == {str}
    assert record(recorder).finish() == ["my_aum"]


@pytest.mark.parametrize("path", [3, None, b"run.npz", ""])
def test_a_file_is_a_text_or_a_path(small, path):
    recorder = record(fod.DynamicsRecorder(small, scores=["aum"]))
    with pytest.raises(DropError, match="path: must be a text"):
        recorder.save(path)


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("samples", {"samples": None}),
        ("samples", {"samples": "0" * 24}),
        ("samples", {"samples": ["\xe9"] * 2}),
        ("samples", {"samples": [0.5, 1.0]}),
        ("samples", {"samples": [60, 0]}),
        ("samples", {"samples": {0, 1}}),
        ("targets", {"targets": {"one", "two"}}),
        ("logits", {"logits": [[1.0] * 10] * 2}),
        ("logits", {"logits": np.zeros((2, 10))}),
        ("logits", {"logits": None}),
    ],
)
def test_odd_batches_are_refused_by_the_name_of_the_argument(small, argument, arguments):
    recorder = fod.DynamicsRecorder(small)
    with pytest.raises(DropError) as refused:
        recorder.update(**({"samples": [0, 1], "logits": torch.zeros(2, 10)} | arguments))
    assert refused.value.argument == argument


def test_a_text_that_begins_with_an_id_is_none(small):
    with pytest.raises(DropError, match="samples: 1 of 1 ids"):
        fod.DynamicsRecorder(small).update([small.first().id + "x"], torch.zeros(1, 10))


def test_a_state_of_something_else_is_refused(small):
    with pytest.raises(DropError, match="state: must be of the same samples"):
        fod.DynamicsRecorder(small).load_state_dict({})


def numbered(make_dataset):
    """60 samples of the classes "0" to "11"."""
    samples = make_dataset(60)
    samples.set_values("number", [str(i % 12) for i in range(60)])
    return samples


def test_whole_numbers_are_classes_in_the_order_of_their_values(make_dataset):
    samples = numbered(make_dataset)
    recorder = fod.DynamicsRecorder(samples, "number", ["aum"])
    assert recorder.classes == tuple(map(str, range(12)))
    recorder.update(range(60), 5 * torch.eye(12)[torch.arange(60) % 12])
    recorder.end_epoch()
    recorder.finish()
    assert samples.values("aum") == [5.0] * 60


@pytest.mark.parametrize("where", ["classes", "default_classes"])
def test_the_dataset_s_own_class_list_goes_first(small, where):
    names = [*sorted(digit_names(small), reverse=True), "none of them"]
    if where == "classes":
        small.classes = {"ground_truth": names}
        small.default_classes = ["something else"]
    else:
        small.default_classes = names
    assert fod.DynamicsRecorder(small).classes == tuple(names)
    assert fod.DynamicsRecorder(small, classes=sorted(names)).classes == tuple(sorted(names))
    small.default_classes, small.classes = names[1:], {}
    with pytest.raises(DropError, match=r"classes: of the dataset .* must hold every label"):
        fod.DynamicsRecorder(small)


@pytest.mark.parametrize(
    "kind",
    [
        np.array,
        iter,
        tuple,
        lambda names: map(str, names),
        lambda names: dict.fromkeys(names).keys(),
    ],
)
def test_classes_may_be_anything_in_order(small, kind):
    names = sorted(digit_names(small))
    assert fod.DynamicsRecorder(small, classes=kind(names)).classes == tuple(names)


@pytest.mark.parametrize(
    ("classes", "words"),
    [
        (set, "got a set, which has no order"),
        (frozenset, "got a set, which has no order"),
        (
            lambda names: [*names, names[2]],
            r"is a label in 'ground_truth' and the name of .* 2, 10",
        ),
        (lambda names: [], "must name the model's outputs in their order, but is empty"),
    ],
)
def test_classes_without_one_place_for_each_label_are_refused(small, classes, words):
    with pytest.raises(DropError, match=words) as refused:
        fod.DynamicsRecorder(small, classes=classes(sorted(digit_names(small))))
    assert refused.value.argument == "classes"


def right(samples, sure=5.0):
    """The logits of a model that knows every sample, with classes sorted."""
    names = sorted(digit_names(samples))
    labels = torch.tensor([names.index(label) for label in samples.values("ground_truth.label")])
    return labels, sure * torch.eye(10)[labels]


def test_a_wrong_order_of_classes_is_said_with_their_names(small):
    names = sorted(digit_names(small), reverse=True)
    recorder = fod.DynamicsRecorder(small, scores=["aum"], classes=names)
    recorder.update(range(60), right(small)[1])
    with pytest.warns(DropWarning, match=r"Logits and labels .* circle \('.*' \(0\) as '") as said:
        recorder.end_epoch()
    assert all(repr(name) in str(said[0].message) for name in (names[0], names[-1]))


def test_positions_in_a_shuffled_loader_are_said(small):
    recorder = fod.DynamicsRecorder(small, scores=["aum"])
    order = np.random.default_rng(0).permutation(60)
    recorder.update(range(60), right(small)[1][order])
    with pytest.warns(DropWarning, match=r"no more than by chance .*targets= to have the labels"):
        recorder.end_epoch()


@pytest.mark.parametrize(
    "kind",
    [
        lambda labels, names: labels,
        lambda labels, names: labels.numpy().astype(np.uint8),
        lambda labels, names: labels.tolist(),
        lambda labels, names: [names[i] for i in labels],
        lambda labels, names: np.array(names)[labels],
    ],
)
def test_targets_are_compared_with_the_labels_of_the_samples(small, kind):
    labels, logits = right(small)
    names, ids = sorted(digit_names(small)), small.values("id")
    recorder = fod.DynamicsRecorder(small, scores=["aum"])
    recorder.update(ids, logits, targets=kind(labels, names))
    wrong = labels.clone()
    wrong[[3, 8]] = (labels[[3, 8]] + 1) % 10
    with pytest.raises(DropError) as refused:
        recorder.update(ids, logits, targets=kind(wrong, names))
    assert refused.value.argument == "targets"
    own, other = names[labels[3]], names[wrong[3]]
    assert (
        f"2 of 60 are others: {other!r} ({wrong[3]}) for sample {ids[3]}, whose label is {own!r}"
        in refused.value.message
    )


@pytest.mark.parametrize("targets", [torch.eye(10)[:2], [0.5, 1.0], [0], "ab", 3, ["one", "two"]])
def test_targets_that_are_no_labels_are_refused(small, targets):
    recorder = fod.DynamicsRecorder(small, scores=["aum"])
    with pytest.raises(DropError, match="targets: must be"):
        recorder.update([0, 1], torch.zeros(2, 10), targets=targets)
    recorder.end_epoch()
    assert recorder.state_dict()["presentations"].sum() == 0


def test_an_epoch_that_has_not_ended_does_not_count_and_is_said(small):
    recorder = fod.DynamicsRecorder(small, scores=["aum"])
    recorder.update(range(60), right(small, 5.0)[1])
    recorder.end_epoch()
    recorder.update(range(30), right(small, 1.0)[1][:30])
    with pytest.warns(DropWarning, match="The last epoch has not ended, and its 30") as said:
        recorder.finish()
    assert len(said) == 1
    assert small.values("aum") == [5.0] * 60
    recorder.update(range(30, 60), right(small, 1.0)[1][30:])
    recorder.end_epoch()
    recorder.finish()
    assert small.values("aum") == [3.0] * 60


def test_files_of_two_processes_that_nothing_gathered_give_all_samples(make_dataset, tmp_path):
    """One after the other, and each has said that its samples were presented unevenly."""
    samples = make_dataset(201)
    _, logits = right(samples)
    for rank in range(2):
        recorder = fod.DynamicsRecorder(samples, scores=["aum"], gather=False)
        sampler = DistributedSampler(range(201), 2, rank)
        for epoch in range(3):
            sampler.set_epoch(epoch)
            rows = list(sampler)
            recorder.update(rows, logits[rows])
            recorder.end_epoch()
        with pytest.warns(DropWarning, match="presented unevenly: 1 to 3 times in 3 epochs"):
            recorder.save(tmp_path / f"{rank}.npz")
    for rank in range(2):
        fod.import_scores(samples, tmp_path / f"{rank}.npz", model="of two processes")
    assert samples.values("aum") == [5.0] * 201
    assert samples.get_field("aum").info["presentations"] == [1, 3]
