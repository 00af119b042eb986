"""Switches: whatever spells an allowed value becomes a plain one, everything else is refused."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import Whole, get_score
from fiftyone_drop.scoring.switches import parse_switch

score = get_score("dynamic_uncertainty")
SPELLINGS = [int, np.int16, np.uint64, np.array, torch.tensor]
BAD_NUMBERS = [1, -3, 5.0, "5", True, np.True_, None, [5], np.array([5]), 2**63, np.nan]
BAD_WORDS = ["no", "", 0, None, True, ["skip"], ("skip", "include"), np.array(["skip"]), b"skip"]


@pytest.mark.parametrize("spell", SPELLINGS, ids=lambda function: function.__name__)
def test_any_spelling_of_a_whole_number_becomes_an_int(spell):
    switches = score.switches({"window": spell(5)})
    assert switches["window"] == 5
    assert type(switches["window"]) is int
    assert json.loads(json.dumps(switches)) == switches


def test_numpys_text_becomes_a_str():
    for word in (np.str_("include"), np.array("include")):
        last_window = score.switches({"last_window": word})["last_window"]
        assert last_window == "include"
        assert type(last_window) is str


@pytest.mark.parametrize(
    ("switch", "value"),
    [("window", v) for v in BAD_NUMBERS] + [("last_window", v) for v in BAD_WORDS],
    ids=repr,
)
def test_other_values_are_refused_under_the_name_of_the_switch(switch, value):
    with pytest.raises(DropError, match="must be") as error:
        score.switches({switch: value})
    assert error.value.argument == switch


@given(st.integers(-(2**70), 2**70), st.integers(-(2**63), 2**63 - 1))
def test_whole_numbers_of_64_bits_above_the_minimum_are_taken(value, minimum):
    allowed = Whole(minimum, minimum)
    if minimum <= value < 2**63:
        assert parse_switch("window", value, allowed) == value
    else:
        with pytest.raises(DropError):
            parse_switch("window", value, allowed)


@pytest.mark.parametrize(
    ("default", "minimum", "argument"),
    [(1, 2, "default"), (2.5, 0, "default"), (True, 0, "default"), (3, "0", "minimum")],
)
def test_a_default_that_is_not_allowed_is_refused(default, minimum, argument):
    with pytest.raises(DropError) as error:
        Whole(default, minimum)
    assert error.value.argument == argument


def test_bounds_are_stored_as_plain_numbers():
    assert str(Whole(np.int64(10), np.array(2))) == "a whole number >= 2 (default 10)"
    assert type(Whole(np.int64(10), 2).default) is int
