"""The two-Gaussian model of benchmarks/paper/theory.py, against optimisers and drawn samples."""

import math
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm

sys.path.append(str(Path(__file__).resolve().parents[1] / "benchmarks" / "paper"))

from theory import (
    Setting,
    best_threshold,
    class_risks,
    fairest_prior,
    fairest_threshold,
    fit_threshold,
    prune,
    simulate,
)

settings_of_two_classes = st.builds(
    Setting,
    separation=st.floats(0.2, 2.5),
    ratio=st.floats(0.25, 4),
    prior=st.floats(0.02, 0.98),
)


def average_risk(setting, t, prior):
    zero = norm(0, 1).sf(t)
    one = norm(setting.gap, setting.ratio).cdf(t)
    return prior * zero + (1 - prior) * one


@given(settings_of_two_classes)
def test_no_other_threshold_has_a_smaller_average_risk(setting):
    best = average_risk(setting, best_threshold(setting, setting.prior), setting.prior)
    elsewhere = np.linspace(-20, setting.gap + 80, 20_001)
    assert best <= average_risk(setting, elsewhere, setting.prior).min() + 1e-12
    assert best <= min(setting.prior, 1 - setting.prior)


@given(settings_of_two_classes)
def test_the_fairest_threshold_minimises_the_worst_class_risk(setting):
    found = minimize_scalar(
        lambda t: max(class_risks(setting, t)), bounds=(0, setting.gap), method="bounded"
    )
    fair = class_risks(setting, fairest_threshold(setting))
    assert max(fair) <= found.fun + 1e-12
    assert fair[0] == pytest.approx(fair[1]) == pytest.approx(norm.sf(setting.separation))


@given(settings_of_two_classes)
def test_the_fairest_priors_are_in_the_ratio_of_the_standard_deviations(setting):
    prior = fairest_prior(setting)
    assert prior / (1 - prior) == pytest.approx(1 / setting.ratio)
    # Where the classes overlap so much that one is given up, no priors lead to the fairest
    assume(norm.sf(setting.separation) < min(prior, 1 - prior) - 1e-9)
    assert best_threshold(setting, prior) == pytest.approx(fairest_threshold(setting), abs=1e-6)


@given(settings_of_two_classes, st.floats(0.05, 0.95))
def test_drop_moves_the_threshold_towards_the_fairest_wherever_both_classes_are_learnt(
    setting, density
):
    outcome = prune(setting, density)
    if outcome is None:
        assert math.isinf(best_threshold(setting, setting.prior))
    else:
        assert outcome.towards


def test_drop_lowers_the_worst_risk_of_a_rare_wide_class_and_overshoots_where_classes_overlap():
    assert prune(Setting(separation=1.5, ratio=2, prior=0.8), 0.5).change < -0.03
    overshot = prune(Setting(separation=0.5, ratio=1.4, prior=0.5), 0.2)
    assert overshot.change > 0.1


@given(st.lists(st.tuples(st.integers(0, 9), st.booleans()), min_size=1, max_size=12))
def test_the_fitted_threshold_makes_as_few_errors_as_any(samples):
    zeros = np.array([x for x, one in samples if not one], dtype=float)
    ones = np.array([x for x, one in samples if one], dtype=float)
    assume(len(set(zeros) & set(ones)) == 0)

    def errors(t):
        return (zeros > t).sum() + (ones <= t).sum()

    assert errors(fit_threshold(zeros, ones)) == min(errors(t) for t in np.arange(-0.5, 10.5))


@pytest.mark.parametrize(
    ("setting", "density"),
    [
        (Setting(separation=1, ratio=2, prior=0.2), 0.3),
        (Setting(separation=1.5, ratio=1, prior=0.8), 0.5),
    ],
)
def test_the_closed_form_is_what_drawn_samples_show(setting, density):
    outcome = prune(setting, density)
    drawn = np.mean([simulate(setting, density, 300_000, seed) for seed in range(8)], axis=0)
    np.testing.assert_allclose(drawn[0], outcome.risks_before, atol=0.01)
    np.testing.assert_allclose(drawn[1], outcome.risks_after, atol=0.01)
    assert np.abs(np.subtract(outcome.risks_before, outcome.risks_after)).max() > 0.03
