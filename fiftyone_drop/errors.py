"""What this package raises and warns on purpose.

::

    ValueError
    └── DropError      bad input: names the argument, the rule, the value and the remedy
    UserWarning
    └── DropWarning    the call goes on, but its result may not mean what you think
"""

from collections.abc import Sequence


class DropError(ValueError):
    """Bad input. Nothing has been written when it is raised."""


class DropWarning(UserWarning):
    """The result may not mean what the caller thinks it means."""


def listing(names: Sequence[object], most: int = 5) -> str:
    """The first few of ``names`` for an error message, and how many more there are."""
    shown = ", ".join(repr(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
