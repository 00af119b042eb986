"""Values that a check of arguments refuses, and a text of another class."""

import pytest

from fiftyone_drop import DropError


def refusal(check, value, **rules):
    """The message with which a check refuses a value of the argument ``size``."""
    with pytest.raises(DropError) as caught:
        check("size", value, **rules)
    assert caught.value.argument == "size"
    return caught.value.message


class Text(str):
    """A text of another class, as ``np.str_`` is."""
