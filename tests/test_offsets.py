"""Offsets on logits: what they are, and that the worst class of the samples never loses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fiftyone_drop import DropError
from fiftyone_drop.offsets import log_prior_offsets, recalls_under, tuned_offsets


def test_log_prior_offsets_are_the_log_of_inverse_frequencies_with_mean_zero():
    offsets = log_prior_offsets([10, 100, 1000])
    np.testing.assert_allclose(offsets, np.log([10, 1, 0.1]), atol=1e-12)
    assert log_prior_offsets([7, 7, 7]).tolist() == [0, 0, 0]


def test_a_class_without_training_samples_counts_as_one():
    assert log_prior_offsets([0, 5]).tolist() == log_prior_offsets([1, 5]).tolist()


def test_log_prior_offsets_undo_the_prior_of_a_model_that_knows_nothing_else():
    """The logits of Bayes' rule are those of equal classes plus the log of the priors."""
    rng = np.random.default_rng(0)
    equal = rng.normal(size=(500, 4))
    sizes = np.array([5, 50, 500, 5000])
    seen = equal + np.log(sizes / sizes.sum())
    assert ((seen + log_prior_offsets(sizes)).argmax(1) == equal.argmax(1)).all()


@settings(max_examples=25)
@given(
    logits=arrays(float, (40, 4), elements=st.floats(-5, 5)),
    labels=arrays(np.int64, 40, elements=st.integers(0, 3)),
)
def test_tuned_offsets_never_lower_the_worst_recall_of_their_samples(logits, labels):
    offsets = tuned_offsets(logits, labels)
    before = recalls_under(np.zeros(4), logits, labels)
    assert np.nanmin(recalls_under(offsets, logits, labels)) >= np.nanmin(before)
    assert offsets.mean() == pytest.approx(0, abs=1e-9)


def test_tuned_offsets_find_the_shift_of_a_model_that_prefers_a_class():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 200)
    logits = rng.normal(size=(600, 3)) + 3 * np.eye(3)[labels]
    shifted = logits + np.array([4.0, 0, -4.0])
    best = recalls_under(np.zeros(3), logits, labels).min()
    assert recalls_under(np.zeros(3), shifted, labels).min() < 0.2
    assert recalls_under(tuned_offsets(shifted, labels), shifted, labels).min() >= best - 0.02


def test_recalls_are_those_that_a_loop_counts():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    labels = np.array([0, 1, 1])
    assert recalls_under(np.zeros(3), logits, labels).tolist()[:2] == [1.0, 0.5]
    assert np.isnan(recalls_under(np.zeros(3), logits, labels)[2])
    assert recalls_under(np.array([0, 4.0, 0]), logits, labels).tolist()[:2] == [0.0, 1.0]


def test_no_samples_are_refused():
    with pytest.raises(DropError, match="logits: must be those of at least one sample"):
        tuned_offsets(np.zeros((0, 3)), np.zeros(0, int))
