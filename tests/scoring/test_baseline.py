"""The random baseline."""

import numpy as np
import pytest
from score_references import REFERENCES

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import random


def test_random_equals_its_reference_and_looks_uniform():
    keys = [f"{i:024x}" for i in range(4000)]
    numbers = random(keys)
    np.testing.assert_array_equal(numbers, REFERENCES["random"](keys))
    assert 0 <= numbers.min() <= numbers.max() < 1
    assert np.histogram(numbers, 10, (0, 1))[0] == pytest.approx(np.full(10, 400), abs=100)


def test_random_depends_on_key_and_seed_only():
    assert random(range(10))[[3, 5]].tolist() == random([3, 5]).tolist()
    assert not np.isin(random(range(10)), random(range(10), seed=1)).any()
    # The same on every machine, for ever: kept sets depend on it.
    assert random(["a"])[0] == 0.2778139149342519


def test_random_refuses_a_key_that_occurs_twice():
    with pytest.raises(DropError, match="repeated keys"):
        random(["a", "b", "a"])
