"""Recalls from counts, against independent references."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fiftyone_drop import DropError
from fiftyone_drop.recall import (
    check_smoothing,
    class_counts,
    class_recalls,
    recall_intervals,
    samples_for_width,
)

counts = st.lists(
    st.integers(1, 500).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=2,
    max_size=20,
).map(lambda rows: (np.array([c for c, _ in rows]), np.array([n for _, n in rows])))


@given(st.lists(st.tuples(st.integers(0, 4), st.booleans()), max_size=60))
def test_counts_are_those_of_a_loop(rows):
    codes = np.array([code for code, _ in rows], dtype=np.int32)
    right = np.array([ok for _, ok in rows], dtype=bool)
    correct, support = class_counts(codes, right, 5)
    for k in range(5):
        assert support[k] == sum(code == k for code, _ in rows)
        assert correct[k] == sum(code == k and ok for code, ok in rows)


def test_without_smoothing_recall_is_the_fraction_correct():
    recalls = class_recalls(np.array([0, 3, 4]), np.array([4, 4, 4]), smoothing=0)
    assert recalls.tolist() == [0, 0.75, 1]


def test_jeffreys_smoothing_keeps_recall_off_0_and_1_and_fades_with_samples():
    few = class_recalls(np.array([0, 4]), np.array([4, 4]), smoothing=0.5)
    many = class_recalls(np.array([0, 4000]), np.array([4000, 4000]), smoothing=0.5)
    assert few.tolist() == [0.1, 0.9]
    np.testing.assert_allclose(many, [0, 1], atol=2e-4)


@pytest.mark.parametrize("smoothing", [0, 0.5, "shrinkage"])
def test_a_class_without_a_validation_sample_has_no_recall(smoothing):
    recalls = class_recalls(np.array([0, 1]), np.array([0, 1]), smoothing)
    assert math.isnan(recalls[0])
    assert not math.isnan(recalls[1])
    assert np.isnan(class_recalls(np.array([0, 0]), np.array([0, 0]), smoothing)).all()


@given(counts)
def test_shrunk_recalls_lie_between_the_observed_and_one_mean_of_all(table):
    correct, support = table
    observed, shrunk = correct / support, class_recalls(correct, support)
    assert ((shrunk >= 0) & (shrunk <= 1)).all()
    up, down = shrunk > observed + 1e-12, shrunk < observed - 1e-12
    # All are pulled towards the same number, from below it or from above
    assert max(shrunk[up], default=0) <= min(shrunk[down], default=1) + 1e-12


@given(st.integers(1, 300), st.data())
def test_of_classes_with_equal_support_the_one_with_more_correct_has_the_larger_recall(n, data):
    correct = np.array(data.draw(st.lists(st.integers(0, n), min_size=1, max_size=30)))
    shrunk = class_recalls(correct, np.full(len(correct), n))
    order = np.argsort(correct, kind="stable")
    assert (np.diff(shrunk[order]) >= -1e-12).all()


@given(counts)
def test_shrinkage_fades_as_the_same_recalls_are_measured_on_more_samples(table):
    correct, support = table
    many = class_recalls(correct * 100_000, support * 100_000)
    np.testing.assert_allclose(many, correct / support, atol=0.005)


@given(counts)
def test_recalls_that_differ_by_no_more_than_chance_become_the_pooled_recall(table):
    correct, support = table
    pooled = correct.sum() / support.sum()
    spread = (support * (correct / support - pooled) ** 2).sum()
    by_chance = pooled * (1 - pooled) * (len(support) - 1)
    shrunk = class_recalls(correct, support)
    if spread <= by_chance * (1 - 1e-9):
        np.testing.assert_allclose(shrunk, pooled, atol=1e-12)
    elif spread > by_chance * (1 + 1e-6) and support.max() > 1:  # else nothing can be fitted
        assert len(set(shrunk)) > 1


@pytest.mark.parametrize(
    ("correct", "support"), [([3], [4]), ([4, 9], [4, 9]), ([0, 0, 0], [1, 5, 9]), ([1, 0], [1, 1])]
)
def test_where_nothing_can_be_fitted_every_class_has_the_pooled_recall(correct, support):
    shrunk = class_recalls(np.array(correct), np.array(support))
    np.testing.assert_allclose(shrunk, sum(correct) / sum(support))


def test_shrinkage_finds_the_prior_that_recalls_were_drawn_from():
    """Against the exact posterior means under the true Beta prior, which nobody knows."""
    rng = np.random.default_rng(0)
    a, b = 18, 2
    recalls = rng.beta(a, b, 2000)
    support = rng.integers(5, 100, 2000)
    correct = rng.binomial(support, recalls)
    shrunk = class_recalls(correct, support)
    np.testing.assert_allclose(shrunk, (correct + a) / (support + a + b), atol=0.02)

    def error(estimate):
        return np.mean((estimate - recalls) ** 2)

    assert error(shrunk) < 0.6 * error(class_recalls(correct, support, smoothing=0.5))


def test_shrinkage_gives_no_bonus_to_classes_with_few_validation_samples():
    support = np.repeat([10, 200], 500)
    correct = np.random.default_rng(0).binomial(support, 0.95)

    def bonus(smoothing):
        few, many = (1 - class_recalls(correct, support, smoothing)).reshape(2, 500).mean(axis=1)
        return few / many

    assert bonus(0.5) > 1.5
    assert bonus("shrinkage") == pytest.approx(1, abs=0.1)


@given(counts)
def test_intervals_are_wilson_score_intervals(table):
    correct, support = table
    expected = [
        binomtest(int(c), int(n)).proportion_ci(0.95, method="wilson")
        for c, n in zip(correct, support, strict=True)
    ]
    np.testing.assert_allclose(recall_intervals(correct, support), expected, atol=1e-9)


def test_nothing_is_known_about_a_class_without_samples():
    assert recall_intervals(np.array([0]), np.array([0])).tolist() == [[0, 1]]


@pytest.mark.parametrize("smoothing", [-1, float("nan"), float("inf"), "0.5", "mean", None, True])
def test_bad_smoothing_is_refused(smoothing):
    with pytest.raises(
        DropError, match=r"smoothing: must be a number in \[0, inf\), .*or 'shrinkage'"
    ):
        check_smoothing("smoothing", smoothing)


def test_so_many_samples_are_enough_and_no_fewer():
    for width in (0.05, 0.2, 0.5):
        n = samples_for_width(width)
        for samples, enough in ((n, True), (n - 2, False)):
            correct = np.arange(samples + 1)
            ends = recall_intervals(correct, np.full_like(correct, samples))
            assert (np.diff(ends).max() <= width) == enough
