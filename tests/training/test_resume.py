"""An interrupted training goes on where it stopped, and its results do not show it."""

import json
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from clock import Clock
from interrupting import (
    OPTIONS,
    Interruption,
    folds_outcome,
    outcome,
    recorder_of,
    same,
    stop_after,
)
from killed import leave_checkpoint

from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.engine import checkpoint
from fiftyone_drop.scoring import Accumulator, DynamicsRecorder, register_score, registry
from fiftyone_drop.training import TrainingOptions, train


@pytest.fixture
def always(monkeypatch):
    """A checkpoint after every step."""
    monkeypatch.setattr(checkpoint, "SECONDS", 0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))


@pytest.fixture(scope="module")
def whole(few):
    return outcome(few)


@pytest.fixture
def interrupted(few, always, tmp_path):
    """The folder of a training that was stopped at step 6 of 12, after 5 checkpoints."""
    with pytest.raises(Interruption):
        outcome(few, tmp_path, progress=stop_after(180))
    return tmp_path


def steps_of(few, folder, **changes):
    """How many steps a call takes, other than those that a checkpoint saves it."""
    given = {"codes": few[1], "classes": few[2], "options": OPTIONS, "recorder": recorder_of(few)}
    given |= changes
    steps = []
    train(
        few[0],
        given["codes"],
        given["classes"],
        given["options"],
        recorder=given["recorder"],
        checkpoint_dir=folder,
        on_batch=lambda indices, _: steps.append(indices),
    )
    return len(steps)


@pytest.mark.parametrize("images", [30, 90, 120, 240, 360])
def test_weights_and_dynamics_are_the_same_wherever_the_training_stopped(
    few, whole, always, tmp_path, images
):
    with pytest.raises(Interruption):
        outcome(few, tmp_path, progress=stop_after(images))
    assert same(outcome(few, tmp_path), whole)


def test_a_training_may_be_interrupted_again_and_again(few, whole, always, tmp_path):
    for images in (60, 150, 330):
        with pytest.raises(Interruption):
            outcome(few, tmp_path, progress=stop_after(images))
    assert same(outcome(few, tmp_path), whole)


def test_only_the_steps_that_are_left_are_taken_and_progress_counts_all(few, interrupted):
    steps, counted = [], []
    outcome(
        few,
        interrupted,
        on_batch=lambda indices, _: steps.append(len(indices)),
        progress=counted.append,
    )
    assert len(steps) == 7
    assert sum(counted) == 360


def test_nothing_is_left_after_a_training_that_was_resumed(few, interrupted):
    assert list(interrupted.iterdir()) != []
    outcome(few, interrupted)
    assert list(interrupted.iterdir()) == []


def test_dropout_and_images_that_do_not_fit_in_memory_go_on_too(few, always, tmp_path, monkeypatch):
    monkeypatch.setattr("fiftyone_drop.engine.reader.CACHE_BYTES", 0)
    few = few[0][:16], few[1][:16], few[2]
    options = TrainingOptions("mobilenet_v3_small", epochs=2, batch_size=4, image_size=32)
    with pytest.raises(Interruption):
        outcome(few, tmp_path, options, progress=stop_after(20))
    assert same(outcome(few, tmp_path, options), outcome(few, None, options))


def test_a_training_that_was_killed_goes_on(few, whole, tmp_path):
    script = """
import json, sys
from pathlib import Path
from interrupting import outcome
from fiftyone_drop.engine import checkpoint

checkpoint.SECONDS, checkpoint.SHARE = 0, float("inf")
folder, arguments = sys.argv[1:]
paths, codes, names = json.loads(Path(arguments).read_text())
steps = []

def progress(images):
    steps.append(images)
    if len(steps) == 7:
        end()

outcome((paths, codes, tuple(names)), folder, progress=progress)
"""
    paths, codes, names = few
    arguments = tmp_path / "few.json"
    arguments.write_text(json.dumps([paths, codes.tolist(), names]))
    folder = tmp_path / "checkpoints"
    here = [str(Path(__file__).parent), str(Path(__file__).parents[2])]
    leave_checkpoint(script, folder, arguments, environment={"PYTHONPATH": os.pathsep.join(here)})
    steps = []
    assert same(outcome(few, folder, on_batch=lambda indices, _: steps.append(indices)), whole)
    assert len(steps) == 6
    assert list(folder.iterdir()) == []


@pytest.fixture(scope="module")
def fold_of():
    return np.arange(120) % 3


@pytest.fixture(scope="module")
def whole_folds(few, fold_of):
    return folds_outcome(few, fold_of)


class TestFolds:
    """Cross-validation: folds that are done are predicted again, not trained again."""

    @pytest.mark.parametrize(
        ("images", "steps"),
        [
            (100, 15),  # while the first fold trains: 18 steps in all
            (180, 12),  # while it predicts, which follows its 160 images of training
            (240, 11),  # while the second trains
            (600, 0),  # at the very end
        ],
    )
    def test_every_sample_is_predicted_once_by_the_same_models(
        self, few, fold_of, whole_folds, always, tmp_path, images, steps
    ):
        with pytest.raises(Interruption):
            folds_outcome(few, fold_of, tmp_path, progress=stop_after(images))
        taken = []
        again = folds_outcome(
            few, fold_of, tmp_path, on_batch=lambda indices, _: taken.append(indices)
        )
        assert same(again, whole_folds)
        assert len(taken) == steps
        assert list(tmp_path.iterdir()) == []

    def test_other_folds_train_again(self, few, fold_of, always, tmp_path):
        with pytest.raises(Interruption):
            folds_outcome(few, fold_of, tmp_path, progress=stop_after(240))
        other = (fold_of + 1) % 3
        assert same(folds_outcome(few, other, tmp_path), folds_outcome(few, other))

    def test_a_finished_fold_waits_in_memory_until_it_is_time(
        self, few, fold_of, whole_folds, tmp_path, monkeypatch
    ):
        clock = Clock(monkeypatch)
        done = []

        def progress(images):
            done.append(images)
            if len(done) == 9:  # the first fold takes 6 steps, and predicts one batch
                assert list(tmp_path.iterdir()) == []
                clock.now += 31
            if len(done) == 10:
                raise Interruption

        with pytest.raises(Interruption):
            folds_outcome(few, fold_of, tmp_path, progress=progress)
        assert sorted(path.name for path in tmp_path.glob("*/*")) == ["fold-0.pt", "fold-1.pt"]
        assert same(folds_outcome(few, fold_of, tmp_path), whole_folds)

    def test_a_long_prediction_does_not_put_the_training_at_risk(
        self, few, fold_of, tmp_path, monkeypatch
    ):
        clock, taken = Clock(monkeypatch), []
        monkeypatch.setattr("fiftyone_drop.training.query_model.SMALL_IMAGE", 0)  # 64 at once
        fold_of = np.where(fold_of == 0, -1, 0)

        def on_logits(indices, _):
            if len(indices) < 64:
                raise Interruption
            clock.now += 31

        with pytest.raises(Interruption):
            folds_outcome(few, fold_of, tmp_path, on_logits)
        folds_outcome(few, fold_of, tmp_path, on_batch=lambda *step: taken.append(step))
        assert taken == []


class TestOtherInputs:
    """A checkpoint of other inputs is never used."""

    def test_the_same_inputs_use_it_whatever_the_number_of_threads(self, few, interrupted):
        options = TrainingOptions(epochs=3, batch_size=32, device="cpu", workers=3)
        assert steps_of(few, interrupted, options=options) == 7

    @pytest.mark.parametrize(
        "changes",
        [
            {"options": TrainingOptions(epochs=3, batch_size=32, device="cpu", seed=52)},
            {"options": TrainingOptions(epochs=3, batch_size=33, device="cpu", momentum=0.8)},
            {"classes": tuple("abcdefghij")},
            {"recorder": None},
        ],
    )
    def test_other_arguments_train_again(self, few, interrupted, changes):
        assert steps_of(few, interrupted, **changes) == 12

    def test_other_labels_train_again(self, few, fold_of, always, tmp_path):
        with pytest.raises(Interruption):
            folds_outcome(few, fold_of, tmp_path, progress=stop_after(240))
        other = few[0], np.roll(few[1], 1), few[2]
        assert same(folds_outcome(other, fold_of, tmp_path), folds_outcome(other, fold_of))

    def test_other_scores_train_again(self, few, interrupted):
        assert steps_of(few, interrupted, recorder=recorder_of(few, ("aum", "dual", "tdds"))) == 12

    def test_a_corrected_score_of_ones_own_trains_again(self, few, always, tmp_path, monkeypatch):
        monkeypatch.setattr(
            registry, "SCORES", dict(registry.SCORES)
        )  # so that it goes with the test

        def recorder(factor):
            @register_score("total", hard="low", needs="dynamics", description="-", source="-")
            class Total(Accumulator):
                column = "p_true"

                def __init__(self, n):
                    self.state = {"sum": np.zeros(n)}

                def see(self, samples, values):
                    np.add.at(self.state["sum"], samples, factor * values)

                def result(self):
                    return self.state["sum"]

            return DynamicsRecorder(len(few[1]), few[1], scores=["total"])

        with pytest.raises(Interruption):
            train(
                *few,
                OPTIONS,
                recorder=recorder(1),
                checkpoint_dir=tmp_path,
                progress=stop_after(180),
            )
        assert steps_of(few, tmp_path, recorder=recorder(2)) == 12
        assert steps_of(few, tmp_path, recorder=recorder(1)) == 7

    def test_a_file_that_has_changed_trains_again(self, few, interrupted):
        path = few[0][5]
        before = os.stat(path)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
        try:
            assert steps_of(few, interrupted) == 12
        finally:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


class Bomb:
    def __reduce__(self):
        return (exec, ("raise SystemExit('the pickle ran')",))


def flip_a_bit(data):
    middle = len(data) // 2
    return data[:middle] + bytes([data[middle] ^ 1]) + data[middle + 1 :]


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"",
        lambda data: data[: len(data) // 2],
        flip_a_bit,
        lambda data: pickle.dumps(Bomb()),
        lambda data: b"".join(checkpoint._pack({"weights": Bomb()})),
    ],
    ids=["empty", "cut", "flipped", "pickle", "code"],
)
def test_a_damaged_checkpoint_is_ignored_with_a_warning(few, whole, interrupted, damage):
    (path,) = interrupted.glob("*/fold-0.pt")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(DropWarning, match=r"fold-0\.pt is damaged"):
        again = outcome(few, interrupted)
    assert same(again, whole)


def test_a_folder_that_cannot_be_written_to_is_refused_before_the_training(few, tmp_path):
    tmp_path.joinpath("file").write_text("no folder")
    with pytest.raises(DropError, match="checkpoint_dir: must be a folder that can be written to"):
        steps_of(few, tmp_path / "file" / "below")


def test_a_disk_that_fills_up_costs_a_warning_and_not_the_training(
    few, whole, always, tmp_path, monkeypatch
):
    def full(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.warns(DropWarning, match="No space left.* checkpoint_dir") as caught:
        again = outcome(few, tmp_path)
    assert len(caught) == 1
    assert same(again, whole)
    assert list(tmp_path.iterdir()) == []


def test_a_training_of_some_seconds_never_touches_the_disk(few, tmp_path):
    folder = tmp_path / "never"
    outcome(few, folder)
    assert not folder.exists()


def test_checkpoints_are_half_a_minute_apart(few, tmp_path, monkeypatch):
    clock, written = Clock(monkeypatch), []
    monkeypatch.setattr(checkpoint, "write_atomically", lambda *_: written.append(clock.now))

    def progress(images):
        clock.now += 10

    outcome(few, tmp_path, progress=progress)  # 12 steps of 10 seconds
    assert written == [1030, 1060, 1090, 1120]


def test_global_random_states_are_left_alone(few, interrupted):
    before = torch.get_rng_state()
    outcome(few, interrupted)
    assert torch.equal(torch.get_rng_state(), before)
