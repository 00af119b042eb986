"""Bounds as a record: they survive JSON and stand beside others."""

import itertools
import json

import numpy as np

from fiftyone_drop.bounds import Bounds

SIZES = np.array([5, 2, 9])


def test_one_floor_takes_all_of_a_smaller_class():
    assert Bounds.none(SIZES, 3).floors.tolist() == [3, 2, 3]
    assert Bounds.none(SIZES, 3).least == 8
    assert (Bounds.none(SIZES).least, Bounds.none(SIZES).most) == (0, 16)


def test_bounds_survive_json():
    bounds = Bounds.none(SIZES, 3)
    again = Bounds.from_dict(json.loads(json.dumps(bounds.to_dict())))
    assert again.to_dict() == bounds.to_dict()


def test_one_more_class_without_bounds_has_room_for_all():
    both = Bounds.none(SIZES, 3).beside(7)
    assert (both.least, both.most) == (8, 23)


def test_the_steps_of_a_class_ascend():
    zeros = np.zeros(3, np.int64)
    bounds = Bounds(zeros, np.array([1, 2, 0]), np.array([5, 2, 4]), np.array([3, 0, 4]))
    steps = [zeros, *bounds.steps(), SIZES]
    assert all(np.all(low <= high) for low, high in itertools.pairwise(steps))
    assert bounds.while_extending().least == 3 + 2 + 4
    assert bounds.least == 3
