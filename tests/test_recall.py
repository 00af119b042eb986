"""Recalls from counts, against independent references."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency

from fiftyone_drop import DropError
from fiftyone_drop.recall import (
    chance_p_value,
    check_smoothing,
    class_counts,
    class_recalls,
    homogeneity_p_value,
    recall_intervals,
    samples_for_width,
    samples_to_tell_apart,
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


@given(counts)
def test_the_homogeneity_test_is_pearsons(table):
    correct, support = table
    if not 0 < correct.sum() < support.sum():
        assert homogeneity_p_value(correct, support) == 1
        return
    expected = chi2_contingency(np.stack([correct, support - correct]), correction=False).pvalue
    assert homogeneity_p_value(correct, support) == pytest.approx(expected, abs=1e-9)


def test_clear_differences_are_told_apart_and_noise_is_not():
    support = np.full(10, 100)
    assert homogeneity_p_value(np.array([90] * 9 + [50]), support) < 1e-6
    assert homogeneity_p_value(np.array([90] * 9 + [88]), support) > 0.5


def test_the_suggested_number_of_samples_makes_real_differences_visible():
    """Simulated: with so many samples more than half of the tests are significant."""
    recalls = np.array([0.90, 0.92, 0.94, 0.96])
    # As far apart as 120 draws of each of these recalls are on average, chance included
    typical = np.array([107, 110, 113, 116])
    enough = samples_to_tell_apart(typical, np.full(4, 120), 0.05)
    rng = np.random.default_rng(0)

    def share(n):
        draws = rng.binomial(n, recalls, size=(1000, 4))
        return np.mean([homogeneity_p_value(d, np.full(4, n)) <= 0.05 for d in draws])

    assert enough > 120
    assert share(120) < 0.4
    assert 0.5 < share(enough) < 0.7


def test_equal_recalls_cannot_be_told_apart_by_any_number():
    assert samples_to_tell_apart(np.array([9, 9]), np.array([10, 10]), 0.05) is None
    assert samples_to_tell_apart(np.array([10, 10]), np.array([10, 10]), 0.05) is None


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


def shuffles_as_good(truth, predicted, times=4000):
    """How often predictions that are dealt out at random are right as often, by trying."""
    rng = np.random.default_rng(0)
    right = (truth == predicted).sum()
    dealt = np.array([(truth == rng.permutation(predicted)).sum() for _ in range(times)])
    return (np.mean(dealt >= right) + np.mean(dealt > right)) / 2  # ties count by half


@pytest.mark.parametrize("share_right", [0.0, 0.03, 0.06, 0.1])
def test_predictions_are_compared_with_as_many_of_each_class_dealt_at_random(share_right):
    rng = np.random.default_rng(1)
    truth, predicted = rng.integers(0, 4, 600), rng.choice(4, 600, p=[0.6, 0.2, 0.1, 0.1])
    known = rng.random(600) < share_right
    predicted[known] = truth[known]
    p_value = chance_p_value(truth.tolist(), predicted.tolist())
    assert p_value == pytest.approx(shuffles_as_good(truth, predicted), abs=0.03)


def test_naming_one_class_always_is_chance_and_being_right_is_not():
    truth = ["a"] * 90 + ["b"] * 10
    assert chance_p_value(truth, ["a"] * 100) == 1
    assert chance_p_value(truth, truth) < 1e-6
    assert chance_p_value(["a"] * 5, ["a"] * 5) == 1
    assert chance_p_value(["a"], ["b"]) == 1
