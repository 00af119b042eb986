"""Quotas: exact totals, nested over densities, and Algorithm 1 in the limit."""

import math

import numpy as np
import pytest
from algorithm1 import algorithm1
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_drop import DropError, allocate, kept_size, suggested_epochs
from fiftyone_drop.allocation import (
    class_densities,
    keep_at,
    quotas_of_size,
)
from fiftyone_drop.rules import RULES, Rule, class_weights, get_rule, register_rule

RULES_WITH_QUOTAS = sorted(name for name, rule in RULES.items() if rule.weights is not None)

densities = st.floats(min_value=1e-6, max_value=1.0, exclude_min=True)
class_tables = st.lists(
    st.tuples(
        st.integers(1, 400),
        st.one_of(
            st.sampled_from([0.0, 1.0, math.nextafter(1, 0), 0.5, 0.9, 0.99]), st.floats(0, 1)
        ),
    ),
    min_size=1,
    max_size=15,
).map(lambda rows: (np.array([n for n, _ in rows]), np.array([r for _, r in rows])))
rules = st.sampled_from(RULES_WITH_QUOTAS)
floors = st.integers(0, 5)


def weights_of(rule, sizes, recalls):
    return class_weights(get_rule(rule), sizes, recalls)


@given(n=st.integers(1, 10_000_000), density=densities)
def test_the_kept_size_is_the_number_of_positions_at_or_below_the_density(n, density):
    size = kept_size(n, density)
    assert 0 <= size <= n
    assert abs(size - density * n) <= 0.5 * (1 + 1e-9)
    assert size == n or keep_at(size, n) > density
    assert size == 0 or keep_at(size - 1, n) <= density


@pytest.mark.parametrize("n", [500, 1500, 2500])
def test_a_class_of_next_to_no_weight_takes_nothing_from_the_others(n):
    sizes = np.array([1000, 1000, 1000])
    quotas = quotas_of_size(sizes, np.array([500.0, 300.0, 1e-17]), n)
    expected = quotas_of_size(sizes, np.array([500.0, 300.0, 1e-3]), n)
    np.testing.assert_array_equal(quotas, expected)


def test_half_of_the_1797_digits_are_899():
    assert kept_size(1797, 0.5) == 899


@given(table=class_tables, density=densities, rule=rules, floor=floors)
def test_quotas_sum_to_the_kept_size_and_never_exceed_the_class(table, density, rule, floor):
    sizes, recalls = table
    n = kept_size(int(sizes.sum()), density)
    quotas = quotas_of_size(sizes, weights_of(rule, sizes, recalls), n, floor)
    assert quotas.sum() == n
    assert np.all((quotas >= 0) & (quotas <= sizes))


@given(table=class_tables, densities=st.tuples(densities, densities), rule=rules, floor=floors)
def test_quotas_never_shrink_when_the_density_grows(table, densities, rule, floor):
    sizes, recalls = table
    weights = weights_of(rule, sizes, recalls)
    total = int(sizes.sum())
    low, high = (kept_size(total, d) for d in sorted(densities))
    assert np.all(
        quotas_of_size(sizes, weights, low, floor) <= quotas_of_size(sizes, weights, high, floor)
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
    quotas = quotas_of_size(sizes, weights, n, floor)
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


@given(table=class_tables, density=densities, rule=rules, data=st.data())
def test_permuting_classes_with_their_names_permutes_quotas(table, density, rule, data):
    sizes, recalls = table
    if kept_size(int(sizes.sum()), density) == 0:
        return
    names = [f"class {k:02d}" for k in range(len(sizes))]
    shuffled = data.draw(st.permutations(range(len(sizes))))

    def quotas(order):
        found = allocate(
            {names[k]: int(sizes[k]) for k in order},
            {names[k]: float(recalls[k]) for k in order},
            density,
            rule=rule,
        )
        return dict(zip(found.classes, found.quotas.tolist(), strict=True))

    assert quotas(range(len(sizes))) == quotas(shuffled)


def test_equal_recalls_give_equal_densities_whatever_the_class_sizes():
    """Catches a rule that forgets the class size."""
    found = allocate([1000, 100, 10], [0.8, 0.8, 0.8], 0.3)
    assert found.quotas.tolist() == [300, 30, 3]
    np.testing.assert_allclose(found.densities, 0.3)


def test_the_authors_code_and_the_paper_differ_on_imbalanced_classes():
    """Group sizes of Waterbirds: N_k (1 - r_k) against 1 - r_k, worked out by hand."""
    sizes, recalls = [3498, 184, 56, 1057], [0.99, 0.75, 0.60, 0.95]
    paper = allocate(sizes, recalls, 0.1)
    code = allocate(sizes, recalls, 0.1, rule="drop-unweighted")
    assert paper.quotas.tolist() == [111, 146, 56, 167]
    assert code.quotas.tolist() == [40, 184, 56, 200]


def test_balanced_quotas_are_equal_as_far_as_the_classes_last():
    assert allocate([100, 100, 10], None, 0.5, rule="balanced").quotas.tolist() == [48, 47, 10]


def test_perfect_recall_everywhere_falls_back_to_equal_densities():
    found = allocate([40, 20], [1.0, 1.0], 0.5)
    assert found.quotas.tolist() == [20, 10]
    np.testing.assert_allclose(found.densities, 0.5)


def test_the_floor_comes_first():
    assert allocate([100, 100], [1.0, 0.5], 0.1, min_per_class=3).quotas.tolist() == [3, 17]


def test_a_density_too_small_for_the_floors_names_one_that_works():
    with pytest.raises(DropError, match=r"smallest density that works is 0\.0275") as caught:
        allocate([100, 100], [0.9, 0.5], 0.01, min_per_class=3)
    assert "min_per_class" in str(caught.value)
    assert allocate([100, 100], [0.9, 0.5], 0.0275, min_per_class=3).quotas.tolist() == [3, 3]


def test_an_emptied_class_is_named():
    with pytest.raises(DropError, match=r"nothing would be kept of 'cat'; .*allow_empty_classes"):
        allocate({"cat": 9, "dog": 9}, {"cat": 1.0, "dog": 0.5}, 0.3, allow_empty_classes=False)


@pytest.mark.parametrize(
    ("density", "words"),
    [
        (0, "in (0, 1]"),
        (-0.1, "in (0, 1]"),
        (1.0001, "in (0, 1]"),
        (50, "To keep 50 % write 0.5"),
        (float("nan"), "in (0, 1]"),
        (float("inf"), "in (0, 1]"),
        ("0.5", "got '0.5'"),
        (None, "got None"),
        (True, "got True"),
        (0.004, "smallest density that works is 0.005"),
    ],
)
def test_a_bad_density_is_refused_with_the_rule_and_the_value(density, words):
    with pytest.raises(DropError) as caught:
        allocate([60, 40], [0.5, 0.5], density)
    assert "density" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "recalls", "words"),
    [
        ([], [], "class_sizes: must be"),
        ([0, 3], [0.5, 0.5], "class_sizes: must be"),
        ([1.5, 3], [0.5, 0.5], "class_sizes: must be"),
        ([[1, 2]], [[0.5, 0.5]], "class_sizes: must be"),
        ([5, 5], [0.5], "1 recalls and 2 classes"),
        ([5, 5], [0.5, 1.5], "recall of 1 must lie in [0, 1], but is 1.5"),
        ([5, 5], [0.5, float("nan")], "must lie in [0, 1], but is nan"),
        ([5, 5], None, "rule 'drop' needs the recall"),
        ({"a": 5, "b": 5}, {"a": 0.5}, "no recall for 'b'"),
        ({"a": 5}, {"a": 0.5, "x": 0.5}, "'x' is no class"),
        ({"a": 5}, [0.5], "must be a mapping if class_sizes is one"),
        ({"a": 5}, {"a": "0.5"}, "is '0.5'"),
    ],
)
def test_bad_columns_are_refused_with_what_is_wrong(sizes, recalls, words):
    with pytest.raises(DropError) as caught:
        allocate(sizes, recalls, 0.5)
    assert words in str(caught.value)


@pytest.mark.parametrize("min_per_class", [-1, 0.5, True, None, "1"])
def test_a_bad_floor_is_refused(min_per_class):
    with pytest.raises(DropError, match="min_per_class: must be an integer >= 0"):
        allocate([5, 5], [0.5, 0.5], 0.5, min_per_class=min_per_class)


def test_an_unknown_rule_is_refused_with_those_there_are():
    with pytest.raises(DropError, match=r"no rule 'drp'; choose one of .*'drop'"):
        allocate([5], [0.5], 0.5, rule="drp")


def test_a_rule_without_quotas_cannot_allocate():
    with pytest.raises(DropError, match="rule: 'none' sets no quotas"):
        allocate([5], [0.5], 0.5, rule="none")


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_every_rule_says_what_it_is_and_where_it_is_from(rule):
    assert rule.description
    assert rule.source
    assert set(rule.needs) <= {"sizes", "recalls"}


def test_a_rule_of_ones_own_is_one_registration():
    rule = Rule("sqrt", ("sizes",), lambda table: np.sqrt(table["sizes"]), "root", "a test")
    try:
        register_rule(rule)
        assert allocate([100, 400], None, 0.3, rule="sqrt").quotas.tolist() == [50, 100]
        with pytest.raises(DropError, match="registered already"):
            register_rule(rule)
    finally:
        del RULES["sqrt"]


def test_a_rule_may_read_only_columns_that_exist():
    with pytest.raises(DropError, match=r"needs \['colour'\]"):
        register_rule(Rule("x", ("colour",), lambda table: table["colour"], "x", "a test"))
    assert "x" not in RULES


def test_weights_that_are_none_are_refused():
    rule = Rule("negative", ("sizes",), lambda table: -table["sizes"], "x", "a test")
    with pytest.raises(DropError, match="one finite weight >= 0"):
        class_weights(rule, np.array([3, 4]), None)


@pytest.mark.parametrize(("density", "epochs"), [(1.0, 160), (0.5, 240), (0.3, 347), (0.1, 880)])
def test_suggested_epochs_follow_the_paper(density, epochs):
    assert suggested_epochs(160, density) == epochs


def test_suggested_epochs_refuse_no_epochs():
    with pytest.raises(DropError, match="epochs: must be a number > 0"):
        suggested_epochs(0, 0.5)
