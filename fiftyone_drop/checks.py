"""The door: values that users pass become plain Python values here, or a ``DropError``.

Every function takes the name of the argument and the value, and returns the canonical value: an
``int``, ``float``, ``bool`` or ``str`` that JSON, MongoDB and a file name can hold. NumPy's scalars
and arrays without dimensions count as the numbers and texts that they hold. Nothing else in the
package checks a number, a name or a fraction by hand. So the module is longer than others.

Columns of scores, labels and ids are checked in :mod:`fiftyone_drop.array_checks`. Python only: the
help of the command line does without NumPy.
"""

from __future__ import annotations

import math
import numbers
import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, KeysView, Mapping, Set
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

from fiftyone_drop.errors import DropError

V = TypeVar("V")

# MongoDB stores whole numbers in 64 bits
LARGEST = 2**63 - 1
_ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+._-]+:/")  # a drive of Windows has one letter


@overload
def whole(argument: str, value: object, *, least: int = ..., most: int = ...) -> int: ...
@overload
def whole(
    argument: str, value: object, *, least: int = ..., most: int = ..., optional: Literal[True]
) -> int | None: ...
def whole(
    argument: str,
    value: object,
    *,
    least: int = -LARGEST - 1,
    most: int = LARGEST,
    optional: bool = False,
) -> int | None:
    """A whole number as an ``int``. Neither ``True`` nor ``2.0`` is one.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        least: the smallest allowed number
        most: the largest allowed number
        optional (False): whether None is allowed

    Raises:
        DropError: if ``value`` is no whole number, or out of range
    """
    plain = plain_value(value)
    if plain is None and optional:
        return None
    integral = is_number(plain) and isinstance(plain, numbers.Integral)
    if integral and least <= int(plain) <= most:
        return int(plain)
    rule = "a whole number"
    if most < LARGEST:
        rule += f" in [{least}, {most}]"
    else:
        if least > -LARGEST - 1:
            rule += f" >= {least}"
        if integral and not -LARGEST - 1 <= int(plain) <= LARGEST:
            rule += " of at most 64 bits"
    raise DropError(argument, f"must be {rule}{_or_none(optional)}, but got {shown(value)}")


@overload
def number(argument: str, value: object, interval: str = ..., hint: str = ...) -> float: ...
@overload
def number(
    argument: str, value: object, interval: str = ..., hint: str = ..., *, optional: Literal[True]
) -> float | None: ...
def number(
    argument: str,
    value: object,
    interval: str = "(-inf, inf)",
    hint: str = "",
    *,
    optional: bool = False,
) -> float | None:
    """A finite number as a ``float``.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        interval: where it must lie, such as ``"(0, 1]"``
        hint: what the number means, for the error
        optional (False): whether None is allowed

    Raises:
        DropError: if ``value`` is no finite number, or outside the interval
    """
    plain = plain_value(value)
    if plain is None and optional:
        return None
    if is_number(plain) and isinstance(plain, numbers.Real):
        converted = _to_float(plain)
        if _within(converted, interval):
            return converted
    rule = "a finite number" if interval == "(-inf, inf)" else f"a number in {interval}"
    meaning = f", {hint}" if hint else ""
    raise DropError(
        argument, f"must be {rule}{_or_none(optional)}{meaning}, but got {shown(value)}"
    )


def density(argument: str, value: object) -> float:
    """A dataset density as a ``float`` in (0, 1]: the fraction that is kept.

    Raises:
        DropError: if ``value`` is not a number in (0, 1]
    """
    try:
        return number(argument, value, "(0, 1]", "the fraction that is kept")
    except DropError as error:
        plain = plain_value(value)
        if is_number(plain) and 1 < plain <= 100:
            percent = f". To keep {float(plain):g} % write {float(plain) / 100:g}"
            raise DropError(argument, error.message + percent) from None
        raise


def flag(argument: str, value: object) -> bool:
    """A ``bool``.

    Raises:
        DropError: if ``value`` is anything but True or False
    """
    plain = plain_value(value)
    if isinstance(plain, bool):
        return plain
    raise DropError(argument, f"must be True or False, but got {shown(value)}")


@overload
def text(argument: str, value: object, remedy: str = ..., *, empty: bool = ...) -> str: ...
@overload
def text(
    argument: str, value: object, remedy: str = ..., *, optional: Literal[True]
) -> str | None: ...
def text(
    argument: str, value: object, remedy: str = "", *, optional: bool = False, empty: bool = False
) -> str | None:
    """A text as a ``str``.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        remedy: what else the error says
        optional (False): whether None is allowed
        empty (False): whether the empty text is allowed

    Raises:
        DropError: if ``value`` is no text, empty, or cannot be stored as UTF-8
    """
    plain = plain_value(value)
    if plain is None and optional:
        return None
    if isinstance(plain, str) and (plain or empty) and "\0" not in plain and is_utf8(plain):
        return str(plain)
    more = f"; {remedy}" if remedy else ""
    raise DropError(argument, f"must be a text{_or_none(optional)}, but got {shown(value)}{more}")


def choice(argument: str, value: object, choices: Collection[str]) -> str:
    """One of some words, as a ``str``.

    Raises:
        DropError: if ``value`` is another word
    """
    plain = plain_value(value)
    if isinstance(plain, str) and plain in choices:
        return str(plain)
    raise DropError(argument, f"must be one of {list(choices)}, but got {shown(value)}")


def name(argument: str, value: object, what: str = "must be a valid field name") -> str:
    """A name that a field and a run can have: letters, digits and ``_``, not starting with these.

    Two underscores in a row are a dot to MongoEngine: FiftyOne cannot reload a sample that somebody
    holds once such a field is gone.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed, or one that follows from it
        what: the rule, for the error

    Raises:
        DropError: if ``value`` is no such name
    """
    plain = plain_value(value)
    fits = isinstance(plain, str) and plain.isidentifier() and not plain.startswith("_")
    if not fits or "__" in str(plain):
        raise DropError(
            argument,
            f"{what} (letters, digits and _, not starting with a digit or _, and no two _ in a "
            f"row), but got {shown(value)}",
        )
    return str(plain)


def stem(argument: str, value: object, what: str = "must be a valid field name") -> str:
    """A :func:`name` that the names of fields begin with, as in ``<key>_kept``.

    Raises:
        DropError: if ``value`` is no name, or ends with ``_``
    """
    plain = name(argument, value, what)
    if plain.endswith("_"):
        raise DropError(argument, f"{what} that does not end with _, but got {shown(value)}")
    return plain


def path(argument: str, value: object) -> Path:
    """The path of a file or folder, with ``~`` for the user's home.

    Raises:
        DropError: if ``value`` is neither a text nor a ``pathlib.Path``, or there is no such home,
            or it is the address of something elsewhere, such as ``s3://bucket/file``
    """
    plain = text(argument, os.fspath(value) if isinstance(value, os.PathLike) else value)
    if _ADDRESS.match(plain):
        raise DropError(
            argument,
            f"must be a path on this machine, but got {shown(plain)}; copy files from and to other "
            "places yourself",
        )
    try:
        return Path(plain).expanduser()
    except RuntimeError as error:
        raise DropError(argument, f"{plain!r} is in no known home ({error})") from None


def is_text(value: object) -> bool:
    """Whether a value is a text, of Python or NumPy."""
    return isinstance(plain_value(value), str)


def is_fraction(value: object) -> bool:
    """Whether a checked number is a fraction: ``1.0`` is one, ``1`` is a whole number."""
    return isinstance(value, float)


def texts(argument: str, value: object, *, empty: bool = False) -> tuple[str, ...]:
    """A sequence of texts as a tuple; a single text is refused, since it is a common slip.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        empty (False): whether the empty text is allowed

    Raises:
        DropError: if ``value`` is no sequence of texts
    """
    if isinstance(plain_value(value), str):
        raise DropError(argument, f"must be a sequence of names, such as ({str(value)!r},)")
    return tuple(text(argument, item, empty=empty) for item in items(argument, value, "names"))


def class_list(argument: str, value: object, *, empty: bool = False) -> tuple[str, ...]:
    """The class names of a model in the order of its outputs, as a tuple; read once.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        empty (False): whether the empty name is allowed

    Raises:
        DropError: if ``value`` is no sequence of texts, is empty, or has no order
    """
    names = texts(
        argument, ordered(argument, value, "the order of the model's outputs"), empty=empty
    )
    if not names:
        raise DropError(argument, "must name the model's outputs in their order, but is empty")
    return names


def numbers_in(argument: str, values: object, interval: str) -> list[float]:
    """A sequence of finite numbers as a list.

    Raises:
        DropError: if ``values`` is no sequence of numbers, has no order, or one is outside the
            interval
    """
    values = ordered(argument, values, "the order that is meant")
    return [number(argument, value, interval) for value in items(argument, values, "numbers")]


def ordered(argument: str, value: V, order: str) -> V:
    """A value that is no set: the items of a set come in the order of their hashes.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        order: the order that its items must be in, for the error

    Raises:
        DropError: if ``value`` is a set
    """
    if isinstance(value, Set) and not isinstance(value, KeysView):
        raise DropError(
            argument,
            f"must be in {order}, but got a set, which has no order ({shown(value)}); pass a list",
        )
    return value


def class_name(argument: str, value: object) -> Hashable:
    """The name of a class, as a text, a number or True or False; of a cell, as a tuple of texts.

    Raises:
        DropError: if ``value`` is something else
    """
    plain = plain_value(value)
    if isinstance(plain, list | tuple) and plain:
        return tuple(str(class_name(argument, part)) for part in plain)
    if isinstance(plain, str | bool | int):
        return plain
    raise DropError(
        argument,
        "must name classes: a text, a whole number, True or False, or a tuple of these, but got "
        f"{shown(value)}",
    )


def by_class(argument: str, value: object, check: Callable[[str, Any], V]) -> dict[Hashable, V]:
    """A mapping from class to what ``check`` makes of its value.

    Raises:
        DropError: if ``value`` is no mapping, or one of its entries is unfit
    """
    if not isinstance(value, Mapping):
        raise DropError(argument, f"must be a mapping from class to number, but got {shown(value)}")
    checked = {}
    for name, one in value.items():
        try:
            checked[class_name(argument, name)] = check(argument, one)
        except DropError as error:
            raise DropError(argument, f"{error.message}, for {shown(name)}") from None
    return checked


def function(argument: str, value: object) -> Callable[..., Any]:
    """A function, or something else that can be called.

    Raises:
        DropError: if ``value`` cannot be called
    """
    if callable(value):
        return value
    raise DropError(argument, f"must be a function, but got {shown(value)}")


def seed(argument: str, value: object) -> int:
    """A seed: any whole number of 64 bits, as an ``int``.

    Raises:
        DropError: if ``value`` is no such number
    """
    return whole(argument, value)


def same_definition(argument: str, name: str, known: object, new: object) -> None:
    """Check that a name is taken by the same definition only, as when a notebook's cell runs again.

    Args:
        argument: the name of the argument, for the error
        name: the name that is taken
        known: the function or class that has it
        new: the function or class that wants it

    Raises:
        DropError: if the two differ in module or name
    """
    if place_of(known) != place_of(new):
        raise DropError(argument, f"'{name}' is registered already; choose another name")


def place_of(definition: object) -> list[str | None]:
    """The module and the qualified name of a function or a class; None for what it does not say."""
    return [getattr(definition, name, None) for name in ("__module__", "__qualname__")]


def shown(value: object, most: int = 200) -> str:
    """A value for a message, cut to ``most`` letters."""
    try:
        words = repr(value)
    except Exception:  # a number of many digits, or lists in lists without end
        words = f"a {type(value).__name__}"
    return words if len(words) <= most else f"{words[:most]}..."


# -- how values are looked at ---------------------------------------------------------------------


def plain_value(value: object) -> Any:
    """The Python value of a NumPy or PyTorch scalar, or an array without dimensions.

    Of a time that would be a number, and of what is masked it would be zero.
    """
    if getattr(value, "ndim", None) != 0 or not hasattr(value, "item"):
        return value
    is_time = getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M")
    return value if is_time or bool(getattr(value, "mask", False)) else value.item()


def items(argument: str, value: object, what: str) -> Iterable[Any]:
    """The items of a sequence; a text, a mapping and an array without dimensions are none."""
    plain = plain_value(value)
    if isinstance(plain, Iterable) and not isinstance(plain, str | bytes | Mapping):
        return plain
    raise DropError(argument, f"must be a sequence of {what}, but got {shown(value)}")


def is_number(value: object) -> bool:
    """Whether it is a real number. NumPy counts a span of time as an integer."""
    is_time = type(value).__name__ == "timedelta64"
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and not is_time


def _to_float(value: numbers.Real) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _within(value: float, interval: str) -> bool:
    low, high = (float(end) for end in interval[1:-1].split(","))
    above = low <= value if interval[0] == "[" else low < value
    below = value <= high if interval[-1] == "]" else value < high
    return math.isfinite(value) and above and below


def is_utf8(value: str) -> bool:
    """Whether a text can be written: one with a lone surrogate cannot."""
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, from a file name that is no UTF-8
        return False
    return True


def _or_none(optional: bool) -> str:
    return " or None" if optional else ""
