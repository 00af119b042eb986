"""Columns of scores, labels and ids that users pass become arrays here, or a ``DropError``.

By one rule, whichever library or file holds them: :func:`real_numbers` and :func:`words`. What a
single value must be is in :mod:`fiftyone_drop.checks`.

NumPy only.
"""

from __future__ import annotations

import contextlib
import math
import numbers
from decimal import Decimal
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import checks
from fiftyone_drop._types import FloatArray
from fiftyone_drop.errors import DropError

WORDS = "texts, whole numbers, or True and False"  # what labels and ids are


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
        raise DropError(argument, f"must be a sequence of {WORDS}, but got {checks.shown(values)}")
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
        raise DropError(argument, f"{missing} are missing; leave them out")
    found = np.empty(len(items), object)
    found[:] = [word(argument, item) for item in items]
    return found


def word(argument: str, value: object) -> str:
    """A label or an id as a text; whole numbers, True and False as FiftyOne's fields have them.

    Raises:
        DropError: if ``value`` is something else, or no UTF-8
    """
    plain = checks.plain_value(value)
    if isinstance(plain, bytes):
        try:
            return plain.decode()
        except UnicodeDecodeError:
            raise DropError(
                argument, f"must be UTF-8, but one is {checks.shown(value, 60)}"
            ) from None
    if isinstance(plain, str):
        if not checks.is_utf8(plain):
            raise DropError(
                argument, f"must be texts of UTF-8, but one is {checks.shown(value, 60)}"
            )
        return str.__str__(plain)  # that of an Enum is its value
    if isinstance(plain, bool):
        return str(plain)
    if checks.is_number(plain) and isinstance(plain, numbers.Integral):
        with contextlib.suppress(ValueError):  # Python writes whole numbers of 4300 digits at most
            return str(int(plain))
    one = checks.shown(value, 60)
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
    kind: Any = getattr(values, "type", None)
    try:
        if hasattr(kind, "index_type"):
            # A dictionary of PyArrow, whose chunks give NumPy the last word where one is missing
            values = values.cast(kind.value_type)  # type: ignore[attr-defined]
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
    plain = checks.plain_value(value)
    if checks.is_number(plain) or isinstance(plain, Decimal):
        try:
            return float(plain)
        except OverflowError:
            raise ValueError(f"holds {checks.shown(value, 60)}, too large for a float") from None
    if plain is None or type(plain).__name__ == "NAType":
        return math.nan
    if isinstance(value, np.generic):  # of a type that another package adds
        return float(_as_floats(np.asarray(value)))
    raise ValueError(f"holds {checks.shown(value, 60)}")


def _is_missing(value: object) -> bool:
    """Whether it is None, a NaN, or pandas' NA, whose comparisons are neither true nor false."""
    if value is None or type(value).__name__ == "NAType":
        return True
    try:
        return bool(value != value)
    except Exception:  # of arrays, and of other libraries
        return False
