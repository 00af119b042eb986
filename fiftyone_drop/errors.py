"""What this package raises and warns on purpose.

::

    ValueError
    └── DropError      bad input: names the argument, the rule, the value and the remedy
    UserWarning
    └── DropWarning    the call goes on, but its result may not mean what you think
"""

import warnings
from collections.abc import Callable, Sequence
from typing import Any


class DropError(ValueError):
    """Bad input. Nothing has been written when it is raised."""


class DropWarning(UserWarning):
    """The result may not mean what the caller thinks it means."""


class Warner:
    """Warns, and remembers what it said: a run records it, since Python shows a warning once.

    Attributes:
        messages: what has been said
    """

    def __init__(self) -> None:
        self.messages: list[str] = []

    def __call__(self, message: str) -> None:
        """Warn with a :class:`DropWarning`."""
        self.messages.append(message)
        warnings.warn(message, DropWarning, stacklevel=2)


def listing(names: Sequence[object], most: int = 5, show: Callable[[Any], str] = repr) -> str:
    """The first few of ``names`` for a message, and how many more there are."""
    shown = ", ".join(show(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
