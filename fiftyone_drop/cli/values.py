"""The values of options that are more than a text or a number: classes, and numbers by name.

What a value must be is for the package to say; here texts become what Python would be passed.
"""

from __future__ import annotations

import json
import math
from collections.abc import Hashable, Sequence
from typing import Any

import click

Named = tuple[Hashable, int | float]


def number_or_text(text: str) -> int | float | str:
    """A whole number, another finite number, or else the text, such as ``inf``."""
    for parse in (int, float):
        try:
            number: int | float = parse(text)
        except ValueError:
            continue
        if parse is int or math.isfinite(number):
            return number
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


def named_value(text: str) -> tuple[Hashable, int | float | str]:
    """``NAME=VALUE``: a number, or else a text."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise click.BadParameter(f"{text!r} is not NAME=VALUE.")
    return name, number_or_text(value)


def as_mapping(ctx: Any, param: Any, pairs: Sequence[tuple[Hashable, Any]]) -> Any:
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
