"""The door: values that users pass become plain Python values here, or a ``DropError``.

Every function takes the name of the argument and the value, and returns the canonical value: an
``int``, ``float``, ``bool`` or ``str`` that JSON, MongoDB and a file name can hold. NumPy's scalars
and arrays without dimensions count as the numbers and texts that they hold. Nothing else in the
package checks a number, a name or a fraction by hand. So the module is longer than others.

Columns of scores, labels and ids become arrays by one rule, whichever library or file holds them:
:func:`real_numbers` and :func:`words`.

NumPy only.
"""

from __future__ import annotations

import contextlib
import math
import numbers
import os
import re
from collections.abc import Callable, Collection, Hashable, Iterable, KeysView, Mapping, Set
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import FloatArray
from fiftyone_drop.errors import DropError

V = TypeVar("V")

WORDS = "texts, whole numbers, or True and False"  # what labels and ids are

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
    plain = _plain(value)
    if plain is None and optional:
        return None
    integral = _is_number(plain) and isinstance(plain, numbers.Integral)
    if integral and least <= int(plain) <= most:
        return int(plain)
    rule = "a whole number"
    if most < LARGEST:
        rule += f" in [{least}, {most}]"
    elif least > -LARGEST - 1:
        rule += f" >= {least}"
    elif integral:
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
    plain = _plain(value)
    if plain is None and optional:
        return None
    if _is_number(plain) and isinstance(plain, numbers.Real):
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
        plain = _plain(value)
        if _is_number(plain) and 1 < plain <= 100:
            percent = f". To keep {float(plain):g} % write {float(plain) / 100:g}"
            raise DropError(argument, error.message + percent) from None
        raise


def flag(argument: str, value: object) -> bool:
    """A ``bool``.

    Raises:
        DropError: if ``value`` is anything but True or False
    """
    plain = _plain(value)
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
        empty (False): whether a text without a letter is allowed

    Raises:
        DropError: if ``value`` is no text, empty, or cannot be stored as UTF-8
    """
    plain = _plain(value)
    if plain is None and optional:
        return None
    if isinstance(plain, str) and (plain or empty) and "\0" not in plain and _encodes(plain):
        return str(plain)
    more = f"; {remedy}" if remedy else ""
    raise DropError(argument, f"must be a text{_or_none(optional)}, but got {shown(value)}{more}")


def choice(argument: str, value: object, choices: Collection[str]) -> str:
    """One of some words, as a ``str``.

    Raises:
        DropError: if ``value`` is another word
    """
    plain = _plain(value)
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
    plain = _plain(value)
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
    return isinstance(_plain(value), str)


def is_fraction(value: object) -> bool:
    """Whether a checked number is a fraction: ``1.0`` is one, ``1`` is a whole number."""
    return isinstance(value, float)


def texts(argument: str, value: object, *, empty: bool = False) -> tuple[str, ...]:
    """A sequence of texts as a tuple; a single text is refused, since it is a common slip.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        empty (False): whether a text without a letter is allowed

    Raises:
        DropError: if ``value`` is no sequence of texts
    """
    if isinstance(_plain(value), str):
        raise DropError(argument, f"must be a sequence of names, such as ({str(value)!r},)")
    return tuple(text(argument, item, empty=empty) for item in items(argument, value, "names"))


def class_list(argument: str, value: object, *, empty: bool = False) -> tuple[str, ...]:
    """The class names of a model in the order of its outputs, as a tuple; read once.

    Args:
        argument: the name of the argument, for the error
        value: the value that was passed
        empty (False): whether a name without a letter is allowed

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
    plain = _plain(value)
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
    origins = [[getattr(f, n, None) for n in ("__module__", "__qualname__")] for f in (known, new)]
    if origins[0] != origins[1]:
        raise DropError(argument, f"'{name}' is registered already; choose another name")


def shown(value: object, most: int = 200) -> str:
    """A value for a message, cut to ``most`` letters."""
    try:
        words = repr(value)
    except Exception:  # a number of many digits, or lists in lists without end
        words = f"a {type(value).__name__}"
    return words if len(words) <= most else f"{words[:most]}..."


# -- columns --------------------------------------------------------------------------------------


def real_numbers(argument: str, values: object, rule: str = "must be numbers") -> FloatArray:
    """Numbers as float64, NaN where one is missing: what scores are, from any library.

    Integers and floats of any width are numbers, and so are real numbers among objects, with None
    and NaN for missing ones. Booleans, texts, times and complex numbers are none, and what a mask
    hides is unknown.

    Args:
        argument: the name of the argument, for the error
        values: an array or a sequence, of any shape
        rule: what the error says first; "" for the reason alone

    Returns:
        floats of the same shape

    Raises:
        DropError: if a value is no number
    """
    try:
        return _as_floats(_as_array(values))
    except ValueError as error:
        raise DropError(argument, f"{rule}, but {error}" if rule else str(error)) from error


def words(argument: str, values: object) -> NDArray[Any]:
    """Labels or ids as an array, all of them there: see :func:`word`.

    Args:
        argument: the name of the argument, for the error
        values: N values, as an array or a sequence

    Returns:
        (N,) texts, bytes, whole numbers or booleans, or objects that are texts

    Raises:
        DropError: if ``values`` is no sequence, a value is missing, or no word
    """
    try:
        array = _as_array(values)
    except ValueError as error:
        raise DropError(argument, f"must be {WORDS}, but {error}") from error
    if array.ndim == 0:
        raise DropError(argument, f"must be a sequence of {WORDS}, but got {shown(values)}")
    if array.ndim > 1:
        raise DropError(argument, f"must be one for each sample, but has the shape {array.shape}")
    kind = array.dtype.kind
    if kind in "USiub":
        return array
    items = array.tolist() if kind == "O" else array.astype(object).tolist()
    if kind == "O" and set(map(type, items)) <= {str}:
        return array
    missing = sum(map(_is_missing, items))
    if missing:
        raise DropError(argument, f"{missing} are missing (None or NaN); leave them out")
    found = np.empty(len(items), object)
    found[:] = [word(argument, item) for item in items]
    return found


def word(argument: str, value: object) -> str:
    """A label or an id as a text; whole numbers, True and False as FiftyOne's fields have them.

    Raises:
        DropError: if ``value`` is something else, or no UTF-8
    """
    plain = _plain(value)
    if isinstance(plain, bytes):
        try:
            return plain.decode()
        except UnicodeDecodeError:
            raise DropError(argument, f"must be UTF-8, but one is {shown(value, 60)}") from None
    if isinstance(plain, str):
        if not _encodes(plain):
            raise DropError(argument, f"must be texts of UTF-8, but one is {shown(value, 60)}")
        return str.__str__(plain)  # that of an Enum is its value
    if isinstance(plain, bool):
        return str(plain)
    if isinstance(plain, numbers.Integral) and not isinstance(plain, np.timedelta64):
        with contextlib.suppress(ValueError):  # Python writes whole numbers of 4300 digits at most
            return str(int(plain))
    one = shown(value, 60)
    raise DropError(
        argument, f"must be {WORDS}, one for each sample, but one is {one}; convert them"
    )


def _as_array(values: object) -> NDArray[Any]:
    """An array; one of objects where the values have no type of their own.

    Raises:
        ValueError: if that cannot be, or entries are masked; it says why
    """
    if np.ma.isMaskedArray(values):
        masked = int(np.ma.getmaskarray(values).sum())
        if masked:
            raise ValueError(f"{masked} are masked; leave them out")
    try:
        # NumPy alone would make a number of True in [True, 0.5], and texts of ["a", None]
        return np.asarray(values, None if hasattr(values, "__array__") else object)
    except Exception as error:  # the code of other libraries
        raise ValueError(f"cannot be read as an array ({str(error)[:200]})") from error


def _as_floats(array: NDArray[Any]) -> FloatArray:
    """The floats of :func:`real_numbers`.

    Raises:
        ValueError: if a value is no number; it says which
    """
    if array.dtype.kind == "O":
        items = array.ravel().tolist()
        kinds = set(map(type, items))
        if not all(kind is int or issubclass(kind, float | np.floating) for kind in kinds):
            items = [_float_of(item) for item in items]
        try:
            return np.array(items, np.float64).reshape(array.shape)
        except OverflowError:
            raise ValueError("holds a number that is too large for a float") from None
    # Types that other packages add to NumPy, such as bfloat16, are of the kind V
    added = array.dtype.kind == "V" and not issubclass(array.dtype.type, np.void)
    if array.dtype.kind not in "iuf" and not (added and np.can_cast(array.dtype, np.float64)):
        raise ValueError(f"holds values of {array.dtype}")
    with np.errstate(over="ignore"):  # of floats of 128 bits
        return array.astype(np.float64, copy=False)


def _float_of(value: object) -> float:
    """One of the floats, of an object.

    Raises:
        ValueError: if it is no number
    """
    plain = _plain(value)
    if _is_number(plain) or isinstance(plain, Decimal):
        try:
            return float(plain)
        except OverflowError:
            raise ValueError(f"holds {shown(value, 60)}, too large for a float") from None
    if plain is None or type(plain).__name__ == "NAType":
        return math.nan
    if isinstance(value, np.generic):  # of a type that another package adds
        return float(_as_floats(np.asarray(value)))
    raise ValueError(f"holds {shown(value, 60)}")


def _is_missing(value: object) -> bool:
    """Whether it is None, a NaN, or pandas' NA, whose comparisons are neither true nor false."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except Exception:  # of arrays, and of other libraries
        return False


# -- how values are looked at ---------------------------------------------------------------------


def _plain(value: object) -> Any:
    """The Python value of a NumPy or PyTorch scalar, or an array without dimensions.

    Of a time that would be a number, and of what is masked it would be zero.
    """
    if getattr(value, "ndim", None) != 0 or not hasattr(value, "item"):
        return value
    if getattr(getattr(value, "dtype", None), "kind", "") in ("m", "M") or np.ma.is_masked(value):
        return value
    return value.item()


def items(argument: str, value: object, what: str) -> Iterable[Any]:
    """The items of a sequence; a text, a mapping and an array without dimensions are none."""
    plain = _plain(value)
    if isinstance(plain, Iterable) and not isinstance(plain, str | bytes | Mapping):
        return plain
    raise DropError(argument, f"must be a sequence of {what}, but got {shown(value)}")


def _is_number(value: object) -> bool:
    # NumPy counts a span of time as an integer
    return isinstance(value, numbers.Real) and not isinstance(value, bool | np.timedelta64)


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


def _encodes(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:  # a lone surrogate, from a file name that is no UTF-8
        return False
    return True


def _or_none(optional: bool) -> str:
    return " or None" if optional else ""
