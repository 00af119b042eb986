"""Quotas: exact totals, nested over densities, and Algorithm 1 in the limit."""

import math
from dataclasses import replace

import numpy as np
import pytest
from algorithm1 import algorithm1
from class_tables import class_tables, densities, floors, rules, weights_of
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_drop import kept_size
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.quotas import class_densities, levels, quotas_of_size


@pytest.mark.parametrize("n", [500, 1500, 2500])
def test_a_class_of_next_to_no_weight_takes_nothing_from_the_others(n):
    sizes = np.array([1000, 1000, 1000])
    quotas = quotas_of_size(sizes, np.array([500.0, 300.0, 1e-17]), n)
    expected = quotas_of_size(sizes, np.array([500.0, 300.0, 1e-3]), n)
    np.testing.assert_array_equal(quotas, expected)


@pytest.mark.parametrize(
    "weights", [[1e300, 1e-300, 1e-300], [1.7e308, 1.7e308, 1.7e308], [1e-320, 2e-320, 0.0]]
)
def test_weights_of_any_size_are_ratios(weights):
    """Those beyond what a float can hold side by side are as good as equal, or as nothing."""
    sizes, alike = np.array([10, 20, 30]), {1e300: [1, 1e-9, 1e-9], 1.7e308: [1, 1, 1]}
    ratios = np.array(alike.get(weights[0], [1, 2, 0]), float)
    for n in range(61):
        found = quotas_of_size(sizes, np.array(weights), n)
        np.testing.assert_array_equal(found, quotas_of_size(sizes, ratios, n))
        if n:
            shares = class_densities(sizes, np.array(weights), n / 60)
            np.testing.assert_allclose(shares, class_densities(sizes, ratios, n / 60), atol=1e-6)


@given(table=class_tables, density=densities, rule=rules, floor=floors)
def test_quotas_sum_to_the_kept_size_and_never_exceed_the_class(table, density, rule, floor):
    sizes, recalls = table
    n = kept_size(int(sizes.sum()), density)
    quotas = quotas_of_size(sizes, weights_of(rule, sizes, recalls), n, Bounds.none(sizes, floor))
    assert quotas.sum() == n
    assert np.all((quotas >= 0) & (quotas <= sizes))


@given(table=class_tables, densities=st.tuples(densities, densities), rule=rules, floor=floors)
def test_quotas_never_shrink_when_the_density_grows(table, densities, rule, floor):
    sizes, recalls = table
    weights = weights_of(rule, sizes, recalls)
    total, bounds = int(sizes.sum()), Bounds.none(sizes, floor)
    low, high = (kept_size(total, d) for d in sorted(densities))
    assert np.all(
        quotas_of_size(sizes, weights, low, bounds) <= quotas_of_size(sizes, weights, high, bounds)
    )


@given(table=class_tables, density=densities, rule=rules, floor=floors)
@settings(max_examples=300)
def test_one_level_explains_all_quotas(table, density, rule, floor):
    """There is one c with |n_k - clip(c w_k, m_k, N_k)| <= 1/2 for every class (DESIGN)."""
    sizes, recalls = table
    weights = weights_of(rule, sizes, recalls)
    n = kept_size(int(sizes.sum()), density)
    floored = np.minimum(sizes, floor)
    if n < floored.sum():
        return
    quotas = quotas_of_size(sizes, weights, n, Bounds.none(sizes, floor))
    weighted = weights > 0
    # Classes of weight 0 get their floor, and share by size when all others are saturated
    for members, w in ((weighted, weights), (~weighted, sizes.astype(float))):
        # Which levels c satisfy class k: an interval each; they must share a point
        low = np.where(quotas > floored, (quotas - 0.5) / np.maximum(w, 1e-300), 0)
        high = np.where(quotas < sizes, (quotas + 0.5) / np.maximum(w, 1e-300), np.inf)
        if members.any():
            assert low[members].max() <= high[members].min() * (1 + 1e-9)
    if (quotas[~weighted] > floored[~weighted]).any():
        assert np.array_equal(quotas[weighted], sizes[weighted])


@given(table=class_tables, density=densities, rule=rules, draw=st.data())
@settings(max_examples=300)
def test_the_level_is_the_one_that_the_quotas_follow(table, density, rule, draw):
    sizes, recalls = table
    weights = weights_of(rule, sizes, recalls)
    if not weights.any():
        return
    sides = [np.array([draw.draw(st.integers(0, int(n))) for n in sizes]) for _ in range(2)]
    low, high = np.minimum(*sides), np.maximum(*sides)
    bounds = replace(Bounds.none(sizes), floors=low, caps=high)
    n = kept_size(int(sizes.sum()), density)
    some = weights > 0
    if not low.sum() <= n <= np.where(some, high, low).sum():
        return  # classes of weight 0 climb when all others are at their caps
    (level,) = levels(sizes, weights, [n / sizes.sum()], bounds)
    exact = np.clip(level * weights, low, high)
    np.testing.assert_allclose(exact.sum(), n, rtol=1e-6, atol=1e-6)
    quotas = quotas_of_size(sizes, weights, n, bounds)
    assert np.abs(quotas - exact).sum() <= len(sizes)


@given(
    table=class_tables.map(lambda t: (t[0], np.minimum(t[1], 0.999))),
    density=densities,
)
@settings(max_examples=300)
def test_quotas_stay_within_the_proven_bound_of_algorithm_1(table, density):
    """|n_k - q_k| <= 1/2 + q_k / (2 q_min), q_min the smallest unsaturated quota (DESIGN)."""
    sizes, recalls = table
    total = int(sizes.sum())
    n = kept_size(total, density)
    if n == 0:
        return
    # The bound is about whole numbers: compare at the density that they make up exactly
    q = algorithm1(sizes, recalls, n / total) * sizes
    quotas = quotas_of_size(sizes, weights_of("drop", sizes, recalls), n)
    unsaturated = q < sizes * (1 - 1e-9)
    q_min = q[unsaturated].min() if unsaturated.any() else np.inf
    assert np.all(np.abs(quotas - q) <= 0.5 + q / (2 * q_min) + 1e-6)


@given(table=class_tables.map(lambda t: (t[0], np.minimum(t[1], 0.999))), density=densities)
@settings(max_examples=300)
def test_class_densities_are_those_of_algorithm_1(table, density):
    sizes, recalls = table
    ours = class_densities(sizes, weights_of("drop", sizes, recalls), density)
    np.testing.assert_allclose(ours, algorithm1(sizes, recalls, density), rtol=1e-6, atol=1e-8)


@given(table=class_tables, density=densities, rule=rules)
def test_class_densities_use_the_budget_exactly(table, density, rule):
    sizes, recalls = table
    ours = class_densities(sizes, weights_of(rule, sizes, recalls), density)
    assert np.all((ours >= 0) & (ours <= 1))
    assert math.isclose(float((ours * sizes).sum()), density * sizes.sum(), rel_tol=1e-9)
