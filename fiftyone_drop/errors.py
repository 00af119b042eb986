"""The errors and warnings that this package raises on purpose.

::

    ValueError
    └── DropError      bad input: names the argument, the rule, the value and the remedy
    UserWarning
    └── DropWarning    the call goes on, but its result may not mean what the caller expects
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any


class DropError(ValueError):
    """Bad input. When it is raised, nothing has been written.

    Prints as ``argument: message``.

    Args:
        argument: the name of the argument that the error is about
        message: the rule, the value that breaks it, and the remedy

    Attributes:
        argument: the name of the argument that the error is about
        message: the rule, the value that breaks it, and the remedy
    """

    def __init__(self, argument: str, message: str) -> None:
        super().__init__(argument, message)
        self.argument = argument
        self.message = message

    def __str__(self) -> str:
        return f"{self.argument}: {self.message}"


class DropWarning(UserWarning):
    """The result may not mean what the caller expects."""


class Warner:
    """Warns and remembers each message. A run records them, since Python shows a warning once.

    Args:
        before (()): messages that were warned of before

    Attributes:
        messages: the messages so far
    """

    def __init__(self, before: Iterable[str] = ()) -> None:
        self.messages = list(before)

    def __call__(self, message: str) -> None:
        """Warn with a :class:`DropWarning`."""
        self.messages.append(message)
        warnings.warn(message, DropWarning, stacklevel=2)


def listing(names: Sequence[object], most: int = 5, show: Callable[[Any], str] = repr) -> str:
    """The first few of ``names`` for a message, and how many more there are."""
    shown = ", ".join(show(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")
