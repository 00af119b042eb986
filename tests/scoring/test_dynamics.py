"""Training dynamics, against references that keep all N x K x epochs."""

import json

import numpy as np
import pytest
import torch
from histories import EPOCHS, K, N, feed, irregular, labels, record, regular
from score_references import REFERENCES

from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.scoring import DYNAMICS, SCORES, DynamicsRecorder, epochs, presentations

# Made-up trainings present samples unevenly; a test of its own looks for the warning
pytestmark = pytest.mark.filterwarnings("ignore:Samples were presented unevenly")

NAMES = [score.name for score in SCORES.values() if score.needs == "dynamics"]
VARIANTS = [
    ("forgetting", {}),
    ("forgetting", {"never_learned": "inf"}),
    ("forgetting", {"never_learned": "zero"}),
    ("first_learned", {}),
    ("aum", {}),
    ("aum", {"aum_on": "softmax"}),
    ("el2n_mean", {}),
    ("el2n_mean", {"el2n_epochs": 3}),
    ("dynamic_uncertainty", {}),
    ("dynamic_uncertainty", {"window": 3}),
    ("dynamic_uncertainty", {"window": 3, "last_window": "include"}),
    ("dual", {}),
    ("dual", {"window": 4, "dual_epochs": 7}),
    ("tdds", {}),
    ("tdds", {"tdds_window": 4, "tdds_epochs": 8}),
]


def test_every_variant_of_every_dynamics_score_is_tried():
    assert {name for name, _ in VARIANTS} == set(NAMES)
    words = {(s, w) for n in NAMES for s, a in SCORES[n].conventions.items() for w in a_words(a)}
    tried = {pair for n, v in VARIANTS for pair in (SCORES[n].defaults | v).items()}
    assert {pair for pair in words if pair[1] != "clean"} <= tried


def a_words(allowed):
    return allowed if isinstance(allowed, tuple) else ()


@pytest.mark.parametrize(("name", "switches"), VARIANTS, ids=str)
@pytest.mark.parametrize("history", [regular, irregular])
def test_score_equals_its_reference(name, switches, history):
    result = record(history(), scores=[name], **switches).finish()[name]
    expected = REFERENCES[name](history(), labels(), **switches)
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)
    assert np.isnan(result[7]) == (history is irregular)


@pytest.mark.parametrize("history", [regular, irregular])
def test_all_scores_recorded_together_are_those_recorded_alone(history):
    together = record(history(), scores=NAMES).finish()
    for name in NAMES:
        np.testing.assert_array_equal(
            together[name], record(history(), scores=[name]).finish()[name]
        )


def test_all_but_tdds_are_recorded_unless_told_otherwise():
    assert set(DYNAMICS) == set(NAMES) - {"tdds"}
    assert list(record(regular()).finish()) == list(DYNAMICS)


@pytest.mark.parametrize("name", NAMES)
def test_the_hard_end_is_where_the_registry_says(name):
    recorder = DynamicsRecorder(2, [0, 0], scores=[name])
    for epoch in range(EPOCHS):
        recorder.update([0, 1], torch.tensor([[9.0, 0.0], [min(epoch % 3, 1) - 0.5, 0.0]]))
        recorder.end_epoch()
    easy, hard = recorder.finish()[name]
    assert (hard > easy) == (SCORES[name].hard == "high")
    assert hard != easy


@pytest.mark.parametrize("stop", [(0, 0), (4, 2), (11, 0), (13, 3)])
def test_a_resumed_recording_equals_an_uninterrupted_one_bit_for_bit(tmp_path, stop):
    history = irregular()
    expected = record(history, scores=NAMES, window=3).finish()
    recorder = DynamicsRecorder(N, labels(), scores=NAMES, window=3)
    for number, epoch in enumerate(history):
        for start in range(0, len(epoch), 6):
            if (number, start // 6) == stop:
                torch.save(recorder.state_dict(), tmp_path / "state.pt")
                recorder = DynamicsRecorder(N, labels(), scores=NAMES, window=3)
                recorder.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
            feed(recorder, epoch[start : start + 6])
        recorder.end_epoch()
    for name, values in recorder.finish().items():
        np.testing.assert_array_equal(values, expected[name])


def test_the_batch_size_and_the_buffer_do_not_matter(monkeypatch):
    expected = record(irregular(), scores=NAMES).finish()
    monkeypatch.setattr(presentations, "WAITING", 1)
    recorder = DynamicsRecorder(N, labels(), scores=NAMES)
    for epoch in irregular():
        feed(recorder, epoch, batch=1)
        recorder.end_epoch()
    for name, values in recorder.finish().items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6)


def test_it_does_not_matter_how_many_samples_are_looked_at_together(monkeypatch):
    expected = record(irregular(), scores=NAMES, window=3).finish()
    monkeypatch.setattr(epochs, "AT_ONCE", 2 * K)
    for name, values in record(irregular(), scores=NAMES, window=3).finish().items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-12)


def test_an_epoch_that_begins_again_counts_once():
    recorder = DynamicsRecorder(N, labels())
    for epoch in regular():
        feed(recorder, epoch[: N // 2])
        recorder.restart_epoch()
        feed(recorder, epoch)
        recorder.end_epoch()
    expected = record(regular()).finish()
    for name, values in recorder.finish().items():
        np.testing.assert_array_equal(values, expected[name])


def test_half_precision_and_attached_logits_are_fine():
    recorder = DynamicsRecorder(2, [0, 1], scores=["aum"])
    logits = torch.tensor([[3.0, 1.0], [0.5, 0.25]], dtype=torch.float16, requires_grad=True)
    recorder.update([0, 1], logits)
    recorder.end_epoch()
    assert recorder.finish()["aum"].tolist() == [2.0, -0.25]
    assert logits.grad is None


def test_overflowed_logits_are_left_out_and_reported():
    recorder = DynamicsRecorder(2, [0, 1], scores=["aum", "forgetting"])
    recorder.update([0, 1], torch.tensor([[3.0, 1.0], [torch.inf, 0.0]]))
    recorder.update([0, 1], torch.tensor([[torch.nan, 1.0], [0.0, 1.0]]))
    recorder.end_epoch()
    with pytest.warns(DropWarning, match="2 presentations"):
        scores = recorder.finish()
    assert scores["aum"].tolist() == [2.0, 1.0]
    assert scores["forgetting"].tolist() == [0.0, 0.0]


def test_clean_logits_are_used_where_asked_for_and_only_there():
    history, clean = regular(seed=5), regular(seed=6)
    switches = {"window": 3, "uncertainty_forward": "clean", "el2n_forward": "clean"}
    recorder = DynamicsRecorder(N, labels(), **switches)
    for epoch, other in zip(history, clean, strict=True):
        other = dict(other)
        logits = torch.tensor(np.array([z for _, z in epoch]))
        cleaned = torch.tensor(np.array([other[i] for i, _ in epoch]))
        recorder.update([i for i, _ in epoch], logits, clean_logits=cleaned)
        recorder.end_epoch()
    result = recorder.finish()
    for name, source in [("el2n_mean", clean), ("dynamic_uncertainty", clean), ("dual", history)]:
        options = {"window": 3} if name != "el2n_mean" else {}
        expected = REFERENCES[name](source, labels(), **options)
        np.testing.assert_allclose(result[name], expected, rtol=1e-5)
    with pytest.raises(
        DropError, match="clean_logits: must be the logits of an extra forward pass"
    ):
        recorder.update([0], torch.zeros(1, K))


def test_a_training_shorter_than_the_window_is_warned_about():
    with pytest.warns(DropWarning, match=r"After 10 epochs no sample .*\['dynamic_uncertainty'\]"):
        scores = record(regular(10)).finish()
    assert np.isnan(scores["dynamic_uncertainty"]).all()
    assert not np.isnan(scores["dual"]).any()


def test_memory_does_not_grow_with_the_number_of_epochs():
    def size(epochs):
        state = record(regular(epochs), scores=NAMES).state_dict()["state"]
        return sum(t.numel() for tensors in state.values() for t in tensors.values())

    assert size(12) == size(24)


def test_saved_scores_come_back_with_their_conventions(tmp_path):
    recorder = record(regular(), never_learned="inf")
    recorder.save(tmp_path / "scores.npz")
    with np.load(tmp_path / "scores.npz") as file:
        facts = json.loads(str(file["conventions"]))
        assert facts["epochs"] == EPOCHS
        assert facts["switches"]["forgetting"] == {"never_learned": "inf"}
        for name, values in recorder.finish().items():
            np.testing.assert_array_equal(file[name], values)
    assert [path.name for path in tmp_path.iterdir()] == ["scores.npz"]


@pytest.mark.parametrize("other", [{"window": 4}, {"scores": ["aum"]}])
def test_the_state_of_another_recording_is_refused(other):
    with pytest.raises(DropError, match="construct the recorder in the same way"):
        DynamicsRecorder(N, labels(), **other).load_state_dict(record(regular(1)).state_dict())


@pytest.mark.parametrize("given", [np.roll(labels(), 1), labels()[:-1]])
def test_the_state_of_other_samples_is_refused(given):
    with pytest.raises(DropError, match="construct the recorder in the same way"):
        DynamicsRecorder(len(given), given).load_state_dict(record(regular(1)).state_dict())


@pytest.mark.parametrize(
    ("options", "argument", "message"),
    [
        ({"scores": ["el2n"]}, "scores", "'el2n' needs 'logits'"),
        ({"scores": ["aumm"]}, "scores", "no score 'aumm'; the scores are .*'aum'"),
        ({"scores": "aum"}, "scores", "must be a sequence of names"),
        ({"windows": 3}, "windows", r"no argument and no switch of .*'window'"),
        ({"window": 1}, "window", "must be a whole number >= 2, but got 1"),
        ({"window": True}, "window", "must be a whole number"),
        ({"never_learned": "never"}, "never_learned", "must be one of"),
        ({"n": 0, "labels": []}, "n", "must be a whole number >= 1"),
        ({"n": 3.0}, "n", "must be a whole number >= 1"),
        ({"labels": [0, 1]}, "labels", r"of the shape \(3,\)"),
        ({"labels": [0.0, 1.0, 2.0]}, "labels", "integer class indices"),
        ({"labels": [0, 1, -1]}, "labels", "integer class indices >= 0"),
    ],
)
def test_a_bad_recorder_is_refused(options, argument, message):
    with pytest.raises(DropError, match=message) as error:
        DynamicsRecorder(**({"n": 3, "labels": [0, 1, 2]} | options))
    assert error.value.argument == argument


@pytest.mark.parametrize(
    ("indices", "logits", "argument", "message"),
    [
        ([0, 3], torch.zeros(2, 3), "indices", r"must lie in \[0, 3\)"),
        ([-1], torch.zeros(1, 3), "indices", r"must lie in \[0, 3\)"),
        ([0.5], torch.zeros(1, 3), "indices", "must be a list of sample numbers"),
        ([0, 1], torch.zeros(1, 3), "logits", r"must have the shape \(2, K\)"),
        ([0, 2], torch.zeros(2, 2), "logits", "output per class"),
    ],
)
def test_a_bad_batch_is_refused(indices, logits, argument, message):
    recorder = DynamicsRecorder(3, [0, 1, 2])
    with pytest.raises(DropError, match=message) as error:
        recorder.update(indices, logits)
    assert error.value.argument == argument


@pytest.mark.parametrize("scores", [["tdds"], ["aum"]])
def test_batches_of_another_number_of_outputs_are_refused_at_once(scores):
    recorder = DynamicsRecorder(3, [0, 1, 2], scores=scores)
    recorder.update([0, 1], torch.zeros(2, 3))
    words = "logits: must have as many outputs in every batch, 3 so far, but got 4"
    with pytest.raises(DropError, match=words):
        recorder.update([2], torch.zeros(1, 4))
    recorder.end_epoch()
    resumed = DynamicsRecorder(3, [0, 1, 2], scores=scores)
    resumed.load_state_dict(recorder.state_dict())
    with pytest.raises(DropError, match=words):
        resumed.update([2], torch.zeros(1, 4))
    old = recorder.state_dict()
    del old["outputs"]  # of an earlier version
    resumed.load_state_dict(old)
    resumed.update([2], torch.zeros(1, 3))


def test_clean_logits_of_another_shape_are_refused_under_their_own_name():
    recorder = DynamicsRecorder(3, [0, 1, 2], scores=["el2n_mean"], el2n_forward="clean")
    with pytest.raises(DropError) as error:
        recorder.update([0], torch.zeros(1, 3), clean_logits=torch.zeros(2, 3))
    assert error.value.argument == "clean_logits"


def test_numpy_values_are_stored_as_plain_ones():
    recorder = DynamicsRecorder(
        np.int64(3),
        np.array([0, 1, 2], np.uint8),
        scores=np.array(["dual", "forgetting"]),
        window=np.array(4),
        never_learned=np.str_("inf"),
    )
    assert json.dumps(recorder.switches) == json.dumps(
        {"dual": {"window": 4, "dual_epochs": 30}, "forgetting": {"never_learned": "inf"}}
    )
    assert all(type(name) is str for name in recorder.switches)
    assert type(recorder.n) is int
    assert recorder.labels.dtype == np.int64
