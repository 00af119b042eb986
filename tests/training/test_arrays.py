"""Labels, folds and recorders that do not fit are refused."""

import numpy as np
import pytest
from interrupting import OPTIONS, recorder_of

from fiftyone_drop import DropError
from fiftyone_drop.training import cross_validate, train


def test_a_single_sample_is_refused(few):
    with pytest.raises(DropError, match="at least 2 samples"):
        train(few[0][:1], few[1][:1], few[2])


@pytest.mark.parametrize(
    ("codes", "words"),
    [
        (np.zeros(7, int), r"one integer per path, \(8,\)"),
        (np.zeros(8), "but got float64"),
        (np.full(8, 10), "0 to 9, but got values from 10 to 10"),
        (np.full(8, -1), "values from -1 to -1"),
    ],
)
def test_bad_labels_are_refused(few, codes, words):
    with pytest.raises(DropError, match=words):
        train(few[0][:8], codes, few[2])


@pytest.mark.parametrize(
    ("fold_of", "words"),
    [
        (np.zeros(119, int), "one integer >= -1 per path"),
        (np.zeros(120), "one integer >= -1 per path"),
        (np.full(120, -2), "from -2 up"),
        (["a", "b"] * 60, "one integer >= -1 per path, .* but got <U1"),
        ([None] * 120, "but got object of shape"),
        ([True] * 120, "but got bool of shape"),
        (np.full(120, -1), "every value is -1"),
        (np.zeros(120, int), "samples outside fold 0 are 0"),
    ],
)
def test_impossible_folds_are_refused(few, fold_of, words):
    with pytest.raises(DropError, match=words):
        cross_validate(*few, fold_of, on_logits=print)


def test_several_folds_have_no_common_dynamics(few):
    with pytest.raises(DropError, match="recorder: must be None with 2 folds"):
        cross_validate(
            *few, np.arange(120) % 2, OPTIONS, on_logits=print, recorder=recorder_of(few)
        )


def test_a_recorder_of_other_labels_is_refused(few):
    other = recorder_of((few[0], np.roll(few[1], 1), few[2]))
    with pytest.raises(DropError, match=r"recorder: must be of the same 120 samples and labels"):
        train(*few, OPTIONS, recorder=other)
