"""The door for what a browser sends: plain texts, numbers and switches, and nothing else.

Whether a value fits its argument is checked by the package. Here it is made sure that a value is
small, and of a kind that the package's checks, MongoDB and a message can take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from typing import Any

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import checks

MOST_LETTERS = 2_000
MOST_WORDS = 1_000
MOST_GROUPS = 10
MOST_IDS = 10_000
ID = re.compile("[0-9a-f]{24}")

Kind = Callable[[str, object], Any]


def word(name: str, value: object) -> str:
    """A text of at most 2,000 letters.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    return _short(name, checks.text(name, value))


def words(name: str, value: object) -> list[str]:
    """A list of at most 1,000 such texts.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if isinstance(value, list | tuple) and len(value) <= MOST_WORDS:
        return [word(name, one) for one in value]
    raise fod.DropError(name, f"must be a list of texts, but got {checks.shown(value)}")


def scalar(name: str, value: object) -> str | int | float:
    """A finite number, or a text, since some fields take both.

    Raises:
        fiftyone_drop.DropError: if it is something else, or too long
    """
    if isinstance(value, str):
        return word(name, value)
    try:
        return checks.whole(name, value)
    except fod.DropError:
        return checks.number(name, value)


def seed(name: str, value: object) -> int:
    """A whole number that is not negative, as forms say of seeds.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    return checks.whole(name, value, least=0)


def one_of(choices: Collection[str]) -> Kind:
    """The kind of a text that is one of these."""
    return partial(_choice, tuple(choices))


def _choice(choices: tuple[str, ...], name: str, value: object) -> str:
    return checks.choice(name, word(name, value), choices)


def list_of_words(name: str, value: object) -> list[str]:
    """A list of texts, or one text with commas between them.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if not isinstance(value, str):
        return words(name, value)
    text = checks.text(name, value)
    return words(name, [one.strip() for one in text.split(",") if one.strip()])


def class_name(name: str, value: object) -> str | tuple[str, ...]:
    """A class, or a class and the values of groups.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if isinstance(value, list | tuple) and 2 <= len(value) <= MOST_GROUPS:
        return tuple(_short(name, checks.text(name, one, empty=True)) for one in value)
    return _short(name, checks.text(name, value, empty=True))


def class_names(name: str, value: object) -> list[str | tuple[str, ...]]:
    """A list of at most 1,000 such classes.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if isinstance(value, list | tuple) and len(value) <= MOST_WORDS:
        return [class_name(name, one) for one in value]
    raise fod.DropError(name, f"must be a list of classes, but got {checks.shown(value)}")


def per_class(name: str, value: object) -> int | float | str | dict[str, int | float | str]:
    """A number, or an object from at most 1,000 classes to numbers.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if isinstance(value, dict) and len(value) <= MOST_WORDS:
        return {word(name, of): scalar(name, number) for of, number in value.items()}
    return scalar(name, value)


def word_or_words(name: str, value: object) -> str | list[str]:
    """A text, or a list of texts.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    return words(name, value) if isinstance(value, list | tuple) else word(name, value)


def interval(name: str, value: object) -> tuple[float, float]:
    """Two finite numbers.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if isinstance(value, list | tuple) and len(value) == 2:
        low, high = (checks.number(name, end) for end in value)
        return low, high
    raise fod.DropError(name, f"must be two numbers, but got {checks.shown(value)}")


def limits(name: str, value: object) -> tuple[tuple[Any, str, int], ...]:
    """The limits of a draft: a list of (class, kind, number of samples).

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if not isinstance(value, list) or len(value) > MOST_WORDS:
        raise fod.DropError(name, f"must be a list of limits, but got {checks.shown(value)}")
    found = []
    for one in value:
        if not isinstance(one, list) or len(one) != 3:
            raise fod.DropError(name, f"must name a class each, but got {checks.shown(one)}")
        of, kind, number = one
        found.append((class_name(name, of), word(name, kind), checks.whole(name, number)))
    return tuple(found)


def ids(name: str, value: object) -> tuple[str, ...]:
    """A list of at most 10,000 ids of samples.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if isinstance(value, list) and len(value) <= MOST_IDS:
        found = tuple(checks.text(name, one) for one in value)
        if all(ID.fullmatch(one) for one in found):
            return found
    raise fod.DropError(
        name, f"must be at most {MOST_IDS:,} ids of samples, but got {checks.shown(value)}"
    )


def page(name: str, value: object) -> int:
    """The number of a page, from 0.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    return checks.whole(name, value, least=0, most=10**9)


CHOICES: dict[str, Kind] = {
    **dict.fromkeys(("base", "samples", "recalls", "rule", "select", "keep"), word),
    "limits": limits,
    **dict.fromkeys(("keep_ids", "left_out"), ids),
}


def choices(name: str, value: object) -> dict[str, Any]:
    """What is chosen in a draft: name -> value, without what is not chosen yet.

    Raises:
        fiftyone_drop.DropError: if it is something else
    """
    if not isinstance(value, dict) or not set(value) <= set(CHOICES):
        raise fod.DropError(name, f"must be those of a draft, but got {checks.shown(value)}")
    given = {one: number for one, number in value.items() if number is not None}
    return {one: CHOICES[one](one, what) for one, what in given.items()}


def param(ctx: Any, name: str, kind: Kind = word) -> Any:
    """A parameter of an event.

    Raises:
        fiftyone_drop.DropError: if it is missing, or of another kind
    """
    value = optional(ctx, name, kind)
    if value is None:
        raise fod.DropError(name, "must be given")
    return value


def optional(ctx: Any, name: str, kind: Kind = word) -> Any:
    """A parameter of an event, None where it is missing.

    Raises:
        fiftyone_drop.DropError: if it is of another kind
    """
    value = ctx.params.get(name)
    return None if value is None else kind(name, value)


def open_dataset(ctx: Any) -> fo.Dataset:
    """The dataset that is open in the App.

    Raises:
        fiftyone_drop.DropError: if there is none
    """
    try:
        dataset = ctx.dataset
    except Exception as error:  # FiftyOne takes the name from the request as it is
        raise fod.DropError("dataset", f"It cannot be opened: {str(error)[:200]}") from error
    if dataset is None:
        raise fod.DropError("dataset", "Open a dataset first")
    return dataset


def _short(name: str, text: str) -> str:
    if len(text) > MOST_LETTERS:
        raise fod.DropError(name, f"must have at most {MOST_LETTERS:,} letters")
    return text
