"""The values of options that are more than a text or a number: classes, and numbers by name.

What a value must be is for the package to say; here texts become what Python would be passed.
"""

from __future__ import annotations

import json
from collections.abc import Hashable, Sequence
from typing import Any

import click

Named = tuple[Hashable, int | float]


def number_or_text(text: str) -> int | float | str:
    """A whole number, another number, or else the text."""
    for number in (int, float):
        try:
            return number(text)
        except ValueError:
            pass
    return text


def class_name(text: str) -> Hashable:
    """A class, or a cell as a tuple where the text is a JSON list."""
    if text.startswith("["):
        try:
            return tuple(map(str, json.loads(text)))
        except ValueError:
            pass
    return text


def named_number(text: str) -> Named:
    """``NAME=NUMBER``; the name may be a cell, and have equals signs itself."""
    name, equals, number = text.rpartition("=")
    value = number_or_text(number)
    if not equals or isinstance(value, str):
        raise click.BadParameter(f"{text!r} is not NAME=NUMBER.")
    return class_name(name), value


def number_or_named(text: str) -> Named:
    """``NAME=NUMBER``, or a number alone, whose name is None."""
    value = number_or_text(text)
    return named_number(text) if isinstance(value, str) else (None, value)


def as_mapping(ctx: Any, param: Any, pairs: Sequence[Named]) -> Any:
    """The pairs of an option as a mapping; a number that stands alone as that number."""
    if not pairs:
        return None
    values = dict(pairs)
    if len(values) < len(pairs):
        raise click.BadParameter("names something twice.")
    if None not in values:
        return values
    if len(pairs) > 1:
        raise click.BadParameter("is one number for all, or a number for each name.")
    return values[None]


def as_one_or_list(ctx: Any, param: Any, values: Sequence[Any]) -> Any:
    """One value as it is, several as a list."""
    return list(values) if len(values) > 1 else next(iter(values), None)


def as_switches(ctx: Any, param: Any, texts: Sequence[str]) -> dict[str, Any]:
    """``NAME=VALUE`` texts as a mapping, whose values are whole numbers or texts."""
    values: dict[str, int | str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise click.BadParameter(f"{text!r} is not NAME=VALUE.")
        values[name] = int(value) if value.isdecimal() else value
    return values
