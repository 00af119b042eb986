"""Floors and caps: what a user says about classes holds at every size, against brute force."""

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fiftyone_drop import DropError
from fiftyone_drop.limits import (
    Limits,
    check_per_class,
    check_protect,
    check_quotas,
    check_weights,
    class_bounds,
    weights_of,
)
from fiftyone_drop.order import drop_order, inner_order, positions_to_keep_at
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.rules import rule_for

NAMES = ("a", "b", "c", "d")
CONTRADICT = ("max_per_class", "quotas", "protect", "must_keep")


@st.composite
def cases(draw, largest=40, most_classes=4, positive=False):
    """Sizes, weights, limits and samples that must be kept, of a few classes."""
    k = draw(st.integers(1, most_classes))
    sizes = np.array(draw(st.lists(st.integers(1, largest), min_size=k, max_size=k)))
    choices = [0.1, 1.0, 1.0, 2.5, 7.0] + ([] if positive else [0.0, 1e6])
    weights = np.array(draw(st.lists(st.sampled_from(choices), min_size=k, max_size=k)))
    number = st.integers(0, largest + 3)
    some = st.dictionaries(st.sampled_from(NAMES[:k]), number, max_size=k)
    limits = Limits(
        min_per_class=draw(st.one_of(st.integers(0, 5), some)),
        otherwise=draw(st.integers(0, 1)),
        max_per_class=draw(st.one_of(st.none(), number, some)),
        protect=tuple(draw(st.sets(st.sampled_from(NAMES[:k]), max_size=1))),
        quotas=draw(
            st.dictionaries(
                st.sampled_from(NAMES[:k]),
                st.one_of(st.integers(0, 5), st.floats(0, 1)),
                max_size=2,
            )
        ),
    )
    must = np.array([draw(st.integers(0, min(4, int(n)))) for n in sizes])
    return sizes, weights, limits, must


def bounds_or_none(sizes, limits, must):
    """The bounds, None where they contradict each other: the error names an argument then."""
    try:
        return class_bounds(limits, NAMES[: len(sizes)], sizes, must)
    except DropError as error:
        return None if error.argument in CONTRADICT else pytest.fail(str(error))


def number_of(value, name, otherwise):
    if isinstance(value, dict):
        return value.get(name, otherwise), name in value
    return (otherwise if value is None else value), False


@given(case=cases())
@settings(max_examples=400)
def test_bounds_say_what_the_user_said(case):
    sizes, _, limits, must = case
    bounds = bounds_or_none(sizes, limits, must)
    if bounds is None:
        return
    for k, name in enumerate(NAMES[: len(sizes)]):
        floor, cap, size = bounds.floors[k], bounds.caps[k], int(sizes[k])
        assert 0 <= must[k] <= floor <= cap <= size
        low, low_named = number_of(limits.min_per_class, name, limits.otherwise)
        high, high_named = number_of(limits.max_per_class, name, size)
        if name in limits.protect:
            assert floor == cap == size
        elif name in limits.quotas:
            share = limits.quotas[name]
            assert floor == cap
            assert cap == share if isinstance(share, int) else abs(cap - share * size) <= 0.5001
        else:
            if low_named or not high_named:
                assert floor >= min(low, size)
            if high_named or not low_named:
                assert cap == min(high, size)


@given(case=cases())
@settings(max_examples=300)
def test_at_every_size_totals_are_exact_bounds_are_kept_and_subsets_are_nested(case):
    sizes, weights, limits, must = case
    bounds = bounds_or_none(sizes, limits, must)
    if bounds is None:
        return
    before = np.zeros_like(sizes)
    for n in range(int(sizes.sum()) + 1):
        quotas = quotas_of_size(sizes, weights, n, bounds)
        assert quotas.sum() == n
        assert np.all(before <= quotas)
        if bounds.least <= n <= bounds.most:
            assert np.all((bounds.floors <= quotas) & (quotas <= bounds.caps))
        elif n < bounds.least:
            assert np.all(quotas <= bounds.floors)
        # All that must be kept, or nothing else
        assert np.all(quotas <= must) or np.all(quotas >= must)
        before = quotas


@given(case=cases(largest=7, most_classes=3, positive=True))
@settings(max_examples=200, deadline=None)
def test_quotas_are_the_best_of_all_allocations_within_the_bounds(case):
    """The Sainte-Laguë method minimises sum n_k^2 / w_k: every allocation is tried."""
    sizes, weights, limits, must = case
    bounds = bounds_or_none(sizes, limits, must)
    if bounds is None:
        return
    exact = [Fraction(str(w)) for w in weights]

    def cost(allocation):
        return sum(Fraction(int(n)) ** 2 / w for n, w in zip(allocation, exact, strict=True))

    ranges = [range(low, high + 1) for low, high in zip(bounds.floors, bounds.caps, strict=True)]
    best = {}
    for allocation in itertools.product(*ranges):
        n = sum(allocation)
        best[n] = min(best.get(n, cost(allocation)), cost(allocation))
    assert sorted(best) == list(range(bounds.least, bounds.most + 1))
    for n, least_cost in best.items():
        found = cost(quotas_of_size(sizes, weights, n, bounds))
        assert abs(found - least_cost) <= Fraction(1, 10**9) * (1 + least_cost)


@given(case=cases(), seed=st.integers(0, 99), quotaless=st.booleans())
@settings(max_examples=200, deadline=None)
def test_one_order_of_samples_gives_the_quotas_at_every_density(case, seed, quotaless):
    sizes, weights, limits, must = case
    bounds = bounds_or_none(sizes, limits, must)
    if bounds is None:
        return
    codes = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    n = len(codes)
    ids = np.array([b"%024x" % (i * 7919) for i in range(n)])
    first = np.concatenate([np.arange(size) < m for size, m in zip(sizes, must, strict=True)])
    inner = inner_order(ids, seed, first=[first])
    order = drop_order(codes, inner, None if quotaless else weights, bounds)
    assert sorted(order) == list(range(n))
    keep_at = positions_to_keep_at(order, bounds.most)
    for size in range(n + 1):
        kept = np.zeros(n, bool)
        kept[order[:size]] = True
        assert np.all(kept[first]) or not np.any(kept & ~first)
        counted = np.bincount(codes[kept], minlength=len(sizes))
        if not quotaless:
            assert counted.tolist() == quotas_of_size(sizes, weights, size, bounds).tolist()
        if bounds.least <= size <= bounds.most:
            assert np.all((bounds.floors <= counted) & (counted <= bounds.caps))
        if size <= bounds.most:
            assert np.array_equal(keep_at <= size / n, kept)
    # Beyond the caps nothing is kept, whatever the density
    assert int((keep_at <= 1).sum()) == bounds.most
    assert np.all(keep_at[keep_at > 1] < 2)


@given(case=cases(largest=20), data=st.data())
@settings(max_examples=200)
def test_what_was_kept_before_stays_kept_and_is_no_floor(case, data):
    sizes, weights, limits, must = case
    bounds = bounds_or_none(sizes, limits, must)
    if bounds is None:
        return
    n = data.draw(st.integers(bounds.least, bounds.most))
    kept = quotas_of_size(sizes, weights, n, bounds)
    grown = sizes + np.array([data.draw(st.integers(0, 9)) for _ in sizes])
    try:
        after = class_bounds(limits, NAMES[: len(sizes)], grown, must, kept)
    except DropError:
        return  # a fraction of a class may round to fewer
    assert after.least == int(after.floors.sum())
    least = after.while_extending().least
    for size in range(after.least, after.most + 1):
        quotas = quotas_of_size(grown, weights, size, after)
        assert np.all((after.floors <= quotas) & (quotas <= after.caps))
        if size >= least:
            assert np.all(quotas >= kept)


# -- what contradicts itself is named -------------------------------------------------------------

SIZES = np.array([10, 20, 30])


@pytest.mark.parametrize(
    ("limits", "must", "argument", "words"),
    [
        (Limits(5, 0, 3), None, "max_per_class", "allows 3 samples of 'a', but min_per_class asks"),
        (Limits({"a": 5}, 0, {"a": 3}), None, "max_per_class", "allows 3 samples of 'a'"),
        (Limits(quotas={"a": 11}), None, "quotas", "asks for 11 samples of 'a', which has 10"),
        (Limits({"a": 5}, quotas={"a": 4}), None, "quotas", "5 is more than 4"),
        (Limits(max_per_class={"a": 3}, quotas={"a": 4}), None, "quotas", "4 is more than 3"),
        (
            Limits(protect=("a",), quotas={"a": 4}),
            None,
            "protect",
            "for which quotas says a number",
        ),
        (Limits(max_per_class={"a": 9}, protect=("a",)), None, "protect", "max_per_class says"),
        (Limits(max_per_class=2), [0, 3, 0], "must_keep", "has 3 samples of 'b', more than the 2"),
        (Limits(quotas={"b": 2}), [0, 3, 0], "must_keep", "that quotas allows"),
        (Limits({"x": 1}), None, "min_per_class", "'x' is no class; the classes are 'a', 'b', 'c'"),
        (Limits(max_per_class={"x": 1}), None, "max_per_class", "'x' is no class"),
        (Limits(protect=("x",)), None, "protect", "'x' is no class"),
        (Limits(quotas={"x": 1}), None, "quotas", "'x' is no class"),
    ],
)
def test_contradictions_are_named(limits, must, argument, words):
    with pytest.raises(DropError) as caught:
        class_bounds(limits, ("a", "b", "c"), SIZES, None if must is None else np.array(must))
    assert caught.value.argument == argument
    assert words in caught.value.message


def test_a_number_for_all_classes_yields_to_one_that_names_the_class():
    limits = Limits(8, 0, {"a": 3}, ("c",), {"b": 5})
    bounds = class_bounds(limits, ("a", "b", "c"), SIZES)
    assert bounds.floors.tolist() == [3, 5, 30]
    assert bounds.caps.tolist() == [3, 5, 30]
    assert bounds.floors_by == ("protect", "quotas", "min_per_class")
    raised = class_bounds(Limits({"a": 8}, 1, 3), ("a", "b", "c"), SIZES)
    assert (raised.floors.tolist(), raised.caps.tolist()) == ([8, 1, 1], [8, 3, 3])
    assert raised.caps_by == ("max_per_class",)


def test_a_label_stands_for_its_cells_and_a_cell_for_itself():
    cells = (("cat", "day"), ("cat", "night"), ("dog", "day"))
    limits = Limits({"cat": 5, ("cat", "night"): 2}, 0, protect=("dog",))
    bounds = class_bounds(limits, cells, SIZES)
    assert bounds.floors.tolist() == [5, 2, 30]
    assert class_bounds(Limits(protect=(("cat", "day"),)), cells, SIZES).floors.tolist() == [
        10,
        0,
        0,
    ]


def test_classes_of_integers_are_named_by_integers_and_words():
    for name in (7, "7"):
        bounds = class_bounds(Limits({name: 4}), ("1", "7", "x"), SIZES)
        assert bounds.floors.tolist() == [0, 4, 0]


def test_a_fraction_of_a_class_is_a_float_and_a_number_an_integer():
    bounds = class_bounds(Limits(quotas={"a": 1, "b": 1.0, "c": 0.5}), ("a", "b", "c"), SIZES)
    assert bounds.caps.tolist() == [1, 20, 15]


def given_weights(weights):
    return weights_of(rule_for("drop", weights), weights, ("a", "b"), {"sizes": np.ones(2)})


def test_weights_name_every_class():
    assert given_weights({"b": 2.0, "a": 0.0}).tolist() == [0, 2]
    with pytest.raises(DropError, match="weights: must name every class, but 'b' has none"):
        given_weights({"a": 1.0})
    with pytest.raises(DropError, match="weights: 'c' is no class"):
        given_weights({"a": 1.0, "b": 1.0, "c": 1.0})


@pytest.mark.parametrize(
    ("check", "value"),
    [
        (check_per_class, -1),
        (check_per_class, 1.5),
        (check_per_class, {"a": -1}),
        (check_per_class, {"a": None}),
        (check_per_class, {1.5: 1}),
        (check_quotas, {"a": 1.5}),
        (check_quotas, {"a": -0.1}),
        (check_quotas, {"a": True}),
        (check_quotas, [1]),
        (check_weights, {"a": -1}),
        (check_weights, {"a": float("nan")}),
        (check_weights, 3),
        (check_protect, "cat"),
        (check_protect, [None]),
        (check_protect, 3),
    ],
)
def test_what_says_nothing_about_classes_is_refused(check, value):
    with pytest.raises(DropError, match=r"^name: must"):
        check("name", value)


def test_numbers_of_numpy_become_plain():
    assert check_per_class("n", {np.str_("a"): np.int64(3), np.int8(7): 1}) == {"a": 3, 7: 1}
    quotas = check_quotas("n", {"a": np.float32(0.5), ("b", True): np.int8(2)})
    assert quotas == {"a": 0.5, ("b", "True"): 2}
    assert [type(value) for value in quotas.values()] == [float, int]
    assert check_protect("n", [np.str_("a"), ["b", 1]]) == ("a", ("b", "1"))
