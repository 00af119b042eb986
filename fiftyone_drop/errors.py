"""What this package raises and warns on purpose.

::

    ValueError
    └── DropError      bad input: names the argument, the rule, the value and the remedy
    UserWarning
    └── DropWarning    the call goes on, but its result may not mean what you think
"""


class DropError(ValueError):
    """Bad input. Nothing has been written when it is raised."""


class DropWarning(UserWarning):
    """The result may not mean what the caller thinks it means."""
