"""How much is kept: exact for a density and a number of samples, the nearest below for bytes."""

import re

import numpy as np
import pytest
from class_tables import densities
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_drop import DropError, kept_size
from fiftyone_drop.amount import Amount
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.limits import Limits, class_bounds


def bounds_of(n, least=0, most=None):
    """Bounds of one class of n samples."""
    limits = Limits(min_per_class=least, max_per_class=most)
    return class_bounds(limits, ("one",), np.array([n]))


@given(n=st.integers(1, 100_000), density=densities, least=st.integers(1, 50))
def test_a_size_that_is_too_small_names_a_density_that_is_enough(n, density, least):
    least = min(least, n)
    size, bounds = kept_size(n, density), bounds_of(n, least)
    if size >= least:
        assert Amount(density).checked_size(n, bounds) == size
        return
    with pytest.raises(DropError, match=r"^density: .*smallest density that works is") as caught:
        Amount(density).checked_size(n, bounds)
    named = float(re.search(r"works is ([^:]+):", caught.value.message)[1])
    assert Amount(named).checked_size(n, bounds) >= least
    # And hardly a smaller one is, beyond the four digits that are shown
    assert kept_size(n, named * 0.999) < least or named * n - least < 1


@given(n=st.integers(2, 100_000), density=densities, data=st.data())
def test_a_size_that_is_too_large_names_a_density_that_is_not(n, density, data):
    most = data.draw(st.integers(1, n - 1))
    size, bounds = kept_size(n, density), bounds_of(n, 0, most)
    if not 0 < size <= most:
        if size == 0:
            return
        with pytest.raises(DropError, match=r"^density: .*largest density that works is") as caught:
            Amount(density).checked_size(n, bounds)
        named = float(re.search(r"works is ([^:]+):", caught.value.message)[1])
        assert kept_size(n, named) <= most
        assert kept_size(n, min(1.0, named * 1.002)) >= most or most < 10
        return
    assert Amount(density).checked_size(n, bounds) == size


@given(n=st.integers(1, 10_000_000), data=st.data())
def test_a_number_of_samples_is_kept_exactly(n, data):
    size = data.draw(st.integers(1, n))
    amount = Amount.parse(size=size)
    assert amount.checked_size(n, bounds_of(n)) == size
    assert kept_size(n, amount.density_of(size, n)) == size


@given(sizes=st.lists(st.integers(0, 50), min_size=1, max_size=60), budget=st.integers(1, 2000))
def test_as_many_samples_are_kept_as_fit_into_the_bytes(sizes, budget):
    n, in_order = len(sizes), np.array(sizes)
    fits = max((i for i in range(n + 1) if sum(sizes[:i]) <= budget), default=0)
    amount = Amount.parse(max_bytes=budget)
    if fits == 0:
        with pytest.raises(DropError, match=r"^max_bytes: .* hold 0 of") as caught:
            amount.checked_size(n, bounds_of(n), in_order)
        needed = int(re.search(r"max_bytes=(\d+)", caught.value.message)[1])
        assert Amount.parse(max_bytes=needed).checked_size(n, bounds_of(n), in_order) >= 1
        return
    assert amount.checked_size(n, bounds_of(n), in_order) == fits
    most = max(1, n // 2)  # a budget that the caps leave unused is no error
    assert amount.checked_size(n, bounds_of(n, 0, most), in_order) == min(fits, most)


@pytest.mark.parametrize(
    ("given", "argument", "words"),
    [
        ({}, "density", "must be a number in (0, 1]"),
        ({"density": 0.5, "size": 5}, "size", "pass one of density, size and max_bytes"),
        ({"size": 5, "max_bytes": 5}, "max_bytes", "['size', 'max_bytes']"),
        ({"size": 0}, "size", "whole number >= 1"),
        ({"size": 0.5}, "size", "whole number >= 1"),
        ({"max_bytes": True}, "max_bytes", "whole number >= 1"),
        ({"density": 50}, "density", "To keep 50 % write 0.5"),
    ],
)
def test_exactly_one_of_three_says_how_much(given, argument, words):
    with pytest.raises(DropError) as caught:
        Amount.parse(**given)
    assert caught.value.argument == argument
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("amount", "bounds", "words"),
    [
        ({"size": 101}, bounds_of(100), "size: 101 is more than the 100 samples that there are"),
        (
            {"size": 3},
            bounds_of(100, 5),
            "fewer than the 5 that min_per_class asks for; pass size=5",
        ),
        (
            {"size": 9},
            bounds_of(100, 0, 7),
            "more than the 7 that max_per_class allows; pass size=7",
        ),
        ({"size": 1}, Bounds.none(np.array([3, 3]), 1), "fewer than the 2 that min_per_class"),
        (
            {"size": 101},
            bounds_of(100, 0, 7),
            "more than the 7 that max_per_class allows; pass size=7",
        ),
    ],
)
def test_a_number_of_samples_outside_the_bounds_is_refused_with_one_that_works(
    amount, bounds, words
):
    with pytest.raises(DropError) as caught:
        Amount.parse(**amount).checked_size(100, bounds)
    assert words in str(caught.value)


def test_quotas_of_every_class_say_how_much_and_of_some_they_do_not():
    amount = Amount.parse(optional=True)
    both = class_bounds(Limits(quotas={"a": 3, "b": 0.5}), ("a", "b"), np.array([5, 8]))
    assert amount.checked_size(13, both) == 3 + 4
    one = class_bounds(Limits(quotas={"a": 3}), ("a", "b"), np.array([5, 8]))
    with pytest.raises(DropError, match=r"density: pass one of .* quotas= leave 3 to 11 samples"):
        amount.checked_size(13, one)


@pytest.mark.parametrize(
    ("limits", "argument"),
    [
        (Limits(max_per_class=0), "max_per_class"),
        (Limits(max_per_class={"a": 0, "b": 0}), "max_per_class"),
        (Limits(quotas={"a": 0, "b": 0.0}), "quotas"),
    ],
)
@pytest.mark.parametrize("given", [{"density": 0.5}, {"size": 3}, {"max_bytes": 9}, {}])
def test_caps_that_leave_nothing_are_to_blame_and_not_the_amount(limits, argument, given):
    bounds = class_bounds(limits, ("a", "b"), np.array([5, 8]))
    with pytest.raises(DropError, match="allows no sample of any class") as refused:
        Amount.parse(**given, optional=True).checked_size(13, bounds, np.ones(13, np.int64))
    assert refused.value.argument == argument


@given(n=st.integers(2, 1_000_000), data=st.data())
def test_a_density_that_a_message_names_works_however_close_the_bounds_are(n, data):
    least = data.draw(st.integers(1, n))
    most = data.draw(st.integers(least, min(n, least + 3)))
    bounds = bounds_of(n, least, most)
    for density in (0.5 / n, 1.0):
        if least <= kept_size(n, density) <= most:
            continue
        with pytest.raises(DropError, match=r"^density: .* density that works is") as caught:
            Amount(density).checked_size(n, bounds)
        named = float(re.search(r"works is ([^:]+):", caught.value.message)[1])
        assert least <= Amount(named).checked_size(n, bounds) <= most
