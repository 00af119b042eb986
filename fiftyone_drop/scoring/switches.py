"""The switches of a score: conventions on which published implementations disagree."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from fiftyone_drop import checks
from fiftyone_drop.errors import DropError, listing


@dataclass(frozen=True)
class Whole:
    """The allowed values of a score's switch that is a whole number.

    Example::

        conventions={"window": fod.Whole(default=10, minimum=2)}

    Args:
        default: the value unless told otherwise
        minimum: the smallest allowed value

    Raises:
        DropError: if either is no whole number of 64 bits, or the default is below the minimum
    """

    default: int
    minimum: int

    def __post_init__(self) -> None:
        object.__setattr__(self, "minimum", checks.whole("minimum", self.minimum))
        object.__setattr__(
            self, "default", checks.whole("default", self.default, least=self.minimum)
        )

    def __str__(self) -> str:
        return f"a whole number >= {self.minimum} (default {self.default})"


Allowed = tuple[str, ...] | Whole
"""The allowed values of a switch: some words, the first being the default, or a whole number."""


def parse_conventions(conventions: Mapping[str, Collection[str] | Whole]) -> Mapping[str, Allowed]:
    """Switch name -> its allowed values, as plain values that do not change.

    Raises:
        DropError: if a switch has no name of a Python argument, or no allowed value
    """
    if not isinstance(conventions, Mapping):
        raise DropError(
            "conventions", f"must be a mapping from switch to its values, but got {conventions!r}"
        )
    table: dict[str, Allowed] = {}
    for name, allowed in conventions.items():
        switch = checks.name("conventions", name, "must have names of Python arguments")
        words = allowed if isinstance(allowed, Whole) else checks.texts("conventions", allowed)
        if not words:
            raise DropError("conventions", f"must allow a value of '{switch}', but got {allowed!r}")
        table[switch] = words
    return MappingProxyType(table)


def parse_switch(switch: str, value: object, allowed: Allowed) -> str | int:
    """The value of a switch as an ``int`` or ``str``.

    Raises:
        DropError: if it is not allowed
    """
    if isinstance(allowed, Whole):
        return checks.whole(switch, value, least=allowed.minimum)
    return checks.choice(switch, value, allowed)


def check_known(switches: Collection[str], known: Collection[str], scores: Sequence[str]) -> None:
    """Check that every switch is one of those that some scores know.

    Raises:
        DropError: if one is not; its ``argument`` is the switch, since that is what the user typed
    """
    for switch in switches:
        if switch not in known:
            raise DropError(
                switch,
                f"is no argument and no switch of {listing(scores)}; the switches are "
                f"{sorted(known) or 'none'}",
            )
