"""DynamicsRecorder: the logits of any training loop become fields.

The scores themselves are tested in tests/scoring; here they must arrive at the right samples.
"""

import io

import numpy as np
import pytest
import torch

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning, scoring
from fiftyone_drop.scoring import (
    SCORES,
)

DYNAMIC = [name for name, score in SCORES.items() if score.needs == "dynamics"]


EPOCHS = 5


SHORT = {"window": 3, "tdds_window": 3}


@pytest.fixture
def small(make_dataset):
    """60 digits."""
    return make_dataset(60)


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
    with pytest.raises(DropError, match=r"label_field: 2 of 60 .*\.exists\('ground_truth'\)"):
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
