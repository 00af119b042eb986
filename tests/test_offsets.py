"""Offsets on logits: what they are, and that the worst class of the samples never loses."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fiftyone_drop import DropError
from fiftyone_drop.offsets import log_prior_offsets, recalls_under, shares_known, tuned_offsets


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


def counted(recalls, labels):
    """Recalls as they count: of a class with few samples hardly, the mean taking its place."""
    shares = shares_known(np.bincount(labels, minlength=len(recalls)))
    mean = np.nansum(shares * recalls) / shares.sum()
    return shares * recalls + (1 - shares) * mean


@settings(max_examples=25)
@given(
    logits=arrays(float, (40, 4), elements=st.floats(-5, 5)),
    labels=arrays(np.int64, 40, elements=st.integers(0, 3)),
)
def test_tuned_offsets_never_lower_the_worst_recall_that_counts(logits, labels):
    offsets = tuned_offsets(logits, labels)
    before, after = (
        counted(recalls_under(values, logits, labels), labels) for values in (np.zeros(4), offsets)
    )
    assert np.nanmin(after) >= np.nanmin(before)
    assert offsets.mean() == pytest.approx(0, abs=1e-9)


def test_tuned_offsets_find_the_shift_of_a_model_that_prefers_a_class():
    rng = np.random.default_rng(1)
    labels = np.repeat(np.arange(3), 200)
    logits = rng.normal(size=(600, 3)) + 3 * np.eye(3)[labels]
    shifted = logits + np.array([4.0, 0, -4.0])
    best = recalls_under(np.zeros(3), logits, labels).min()
    assert recalls_under(np.zeros(3), shifted, labels).min() < 0.2
    assert recalls_under(tuned_offsets(shifted, labels), shifted, labels).min() >= best - 0.02


# What tuned_offsets found at commit 0152dc5, before it followed the scale of logits
PUBLISHED = [
    *(-2.985468128396554, -0.934732516056959, -0.0394310381917983),
    *(-0.1925300412499185, 1.0483755710450113, 3.103786152850218),
]


def uneven_model(per_class=100):
    """Logits of six classes, some of which the model prefers; the usual margin is about 2."""
    rng = np.random.default_rng(2)
    labels = np.repeat(np.arange(6), per_class)
    logits = rng.normal(size=(len(labels), 6)) + 2 * np.eye(6)[labels]
    return logits + np.array([3.0, 1, 0, 0, -1, -3]), labels


def test_tuned_offsets_of_ordinary_logits_are_those_that_were_published():
    """docs/evidence.md rests on this algorithm, and not all of it can be measured again."""
    assert tuned_offsets(*uneven_model()).tolist() == pytest.approx(PUBLISHED, abs=1e-9)


@pytest.mark.parametrize("factor", [1e-30, 1e-3, 0.1, 16.0, 100.0, 1e3, 1e30])
def test_tuned_offsets_follow_the_scale_of_the_logits(factor):
    """A factor on all logits changes no prediction."""
    logits, labels = uneven_model()
    worst = recalls_under(tuned_offsets(logits, labels), logits, labels).min()
    assert worst > recalls_under(np.zeros(6), logits, labels).min() + 0.3
    scaled = factor * logits
    offsets = tuned_offsets(scaled, labels)
    assert recalls_under(offsets, scaled, labels).min() == pytest.approx(worst, abs=0.02)
    if factor == 16:
        assert (offsets == factor * tuned_offsets(logits, labels)).all()


@pytest.mark.parametrize(
    "logits",
    [
        np.zeros((4, 2)),
        np.zeros((4, 1)),
        np.array([[0, -np.inf]] * 4),
        np.array([[1e308, -1e308]] * 4),
        np.array([[1e308, 0]] * 4),
        np.array([[5e-324, 0]] * 4),
    ],
    ids=["ties", "one class", "infinite", "no float", "huge", "tiny"],
)
def test_logits_without_a_scale_have_offsets_too(logits):
    labels = np.arange(4) % logits.shape[1]
    offsets = tuned_offsets(logits, labels)
    assert offsets.shape == (logits.shape[1],)
    assert np.isfinite(offsets).all()


def test_one_hard_sample_of_a_class_that_has_no_other_decides_nothing():
    rng = np.random.default_rng(0)
    labels = np.append(np.repeat(np.arange(5), 200), 5)
    logits = rng.normal(size=(1001, 6)) + 3.6 * np.eye(6)[labels]
    logits[-1] = [7, 0, 0, 0, 0, 0]
    before = recalls_under(np.zeros(6), logits, labels)[:5]
    after = recalls_under(tuned_offsets(logits, labels), logits, labels)[:5]
    assert after.min() >= before.min()
    assert after.mean() > before.mean() - 0.01


@pytest.mark.parametrize(
    ("support", "shares"),
    [
        ([500, 50, 25, 1, 0], [1, 1, 0.5, 0.02, 0]),
        ([10, 10, 5, 0], [1, 1, 0.5, 0]),
    ],
)
def test_a_class_counts_in_full_with_50_samples_or_as_many_as_the_largest(support, shares):
    assert shares_known(np.array(support)).tolist() == shares


def test_recalls_are_those_that_a_loop_counts():
    logits = np.array([[2.0, 1.0, 0.0], [0.0, 1.0, 0.0], [3.0, 0.0, 0.0]])
    labels = np.array([0, 1, 1])
    assert recalls_under(np.zeros(3), logits, labels).tolist()[:2] == [1.0, 0.5]
    assert np.isnan(recalls_under(np.zeros(3), logits, labels)[2])
    assert recalls_under(np.array([0, 4.0, 0]), logits, labels).tolist()[:2] == [0.0, 1.0]


def test_no_samples_are_refused():
    with pytest.raises(DropError, match="logits: must be those of at least one sample"):
        tuned_offsets(np.zeros((0, 3)), np.zeros(0, int))
