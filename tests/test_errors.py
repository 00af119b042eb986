"""Errors and warnings: they name the argument, and survive being sent and recorded."""

import copy
import pickle
import warnings

import pytest

from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.errors import Warner, listing

ERROR = DropError("density", "must be a number in (0, 1], but got 50")


def test_an_error_prints_as_its_argument_and_its_message():
    assert str(ERROR) == "density: must be a number in (0, 1], but got 50"
    assert (ERROR.argument, ERROR.message) == ("density", "must be a number in (0, 1], but got 50")


def test_an_error_is_a_value_error():
    with pytest.raises(ValueError, match=r"density: must be"):
        raise ERROR


@pytest.mark.parametrize(
    "clone", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))]
)
def test_an_error_survives_being_copied_and_sent_to_another_process(clone):
    again = clone(ERROR)
    assert type(again) is DropError
    assert (again.argument, again.message, str(again)) == (
        ERROR.argument,
        ERROR.message,
        str(ERROR),
    )


def test_a_warner_remembers_what_python_shows_once():
    warn = Warner()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DropWarning)
        warn("the first")
        warn("the first")
    with pytest.warns(DropWarning, match="^the second$"):
        warn("the second")
    assert warn.messages == ["the first", "the first", "the second"]


def test_a_listing_shows_the_first_few_and_counts_the_others():
    assert listing([]) == ""
    assert listing(["a", "b"]) == "'a', 'b'"
    assert listing(range(7)) == "0, 1, 2, 3, 4 and 2 more"
    assert listing(["a", "b", "c"], most=1, show=str.upper) == "A and 2 more"
