"""Errors and warnings: they name the argument, and survive being sent and recorded."""

import ast
import copy
import pickle
import re
import warnings
from pathlib import Path

import pytest

import fiftyone_drop as fod
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


def words_of(path):
    """The texts of a module that somebody reads: all but its own docstring, which is about code."""
    tree = ast.parse(path.read_text())
    about_code = tree.body[0].value if ast.get_docstring(tree) else None
    for node in ast.walk(tree):
        if node is not about_code and isinstance(getattr(node, "value", None), str):
            yield node.value


def test_no_message_sends_anybody_to_a_file_that_only_the_repository_has():
    package = Path(fod.__file__).parent
    plugin = package.parent / "plugins" / "drop"
    paths = [*package.rglob("*.py"), *(p for p in plugin.rglob("*.py") if "js" not in p.parts)]
    assert len(paths) > 100
    found = [words for path in paths for words in words_of(path) if re.search(r"\bdocs/\w", words)]
    assert found == []
