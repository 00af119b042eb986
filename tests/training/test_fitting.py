"""Steps and their recorded dynamics, of one model on the samples it is trained on."""

import numpy as np
import pytest
from interrupting import OPTIONS, Interruption, recorder_of, same, stop_after

from fiftyone_drop import DropError
from fiftyone_drop.training import TrainingOptions, cross_validate, train


def test_dynamics_are_those_of_a_hand_loop_over_the_batches(few):
    ours, theirs, steps = recorder_of(few), recorder_of(few), []

    def by_hand(indices, logits):
        theirs.update(indices, logits)
        steps.append(indices)
        if len(steps) % 4 == 0:
            theirs.end_epoch()

    train(*few, OPTIONS, recorder=ours, on_batch=by_hand)
    assert ours.epoch == theirs.epoch == 3
    assert same(ours.state_dict()["state"], theirs.state_dict()["state"])
    assert all(np.isfinite(values).all() for values in ours.finish().values())


def test_a_recorder_changes_nothing_in_the_training(few):
    with_it = train(*few, OPTIONS, recorder=recorder_of(few))
    without = train(*few, OPTIONS)
    assert same(with_it.module.state_dict(), without.module.state_dict())


def test_after_an_interruption_the_recorder_is_as_it_was_and_serves_the_same_call(few):
    used, fresh = recorder_of(few), recorder_of(few)
    with pytest.raises(Interruption):
        train(*few, OPTIONS, recorder=used, progress=stop_after(200))
    assert used.epoch == 0
    assert same(used.state_dict()["state"], fresh.state_dict()["state"])
    for recorder in (used, fresh):
        train(*few, OPTIONS, recorder=recorder)
    assert same(used.state_dict()["state"], fresh.state_dict()["state"])


def test_a_hold_out_records_the_samples_that_are_not_held_out(few):
    fold_of = np.where(np.arange(120) % 3 == 0, 0, -1)
    recorder = recorder_of(few)
    cross_validate(*few, fold_of, OPTIONS, on_logits=lambda *_: None, recorder=recorder)
    for values in recorder.finish().values():
        assert np.isnan(values).tolist() == (fold_of == 0).tolist()


def test_a_training_that_diverges_says_so(few):
    options = TrainingOptions(epochs=2, learning_rate=1e30)
    with pytest.raises(DropError, match=r"learning_rate: .* diverged"):
        train(*few, options)
