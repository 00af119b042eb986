"""PyArrow, which reads and writes Parquet files, and is optional; and what its columns hold."""

from __future__ import annotations

from typing import Any

import numpy as np

from fiftyone_drop._types import FloatArray
from fiftyone_drop.errors import DropError


def pyarrow_parquet(argument: str, what: str) -> tuple[Any, Any]:
    """PyArrow and its module for Parquet.

    Args:
        argument: the name of the argument, for the error
        what: what needs it, for the error

    Raises:
        DropError: if it is not installed
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise DropError(
            argument,
            f"{what} need PyArrow; install it with pip install 'fiftyone-drop[parquet]'",
        ) from error
    return pyarrow, pyarrow.parquet


def is_number(kind: Any) -> bool:
    """Whether a column of a type of Arrow holds numbers: whole ones, floats or decimals."""
    from pyarrow import types

    kind = _plain_type(kind)
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def is_text(kind: Any) -> bool:
    """Whether a column of a type of Arrow holds texts."""
    from pyarrow import types

    kind = _plain_type(kind)
    known = (types.is_string, types.is_large_string, types.is_string_view)
    return any(is_of(kind) for is_of in known)


def is_word(kind: Any) -> bool:
    """Whether a column of a type of Arrow may hold labels or ids: see ``array_checks.word``."""
    from pyarrow import types

    kind = _plain_type(kind)
    bytes_or_numbers = (types.is_binary, types.is_large_binary, types.is_binary_view)
    known = (is_text, *bytes_or_numbers, types.is_integer, types.is_boolean)
    return any(is_of(kind) for is_of in known)


def numbers(column: Any) -> FloatArray:
    """The (N,) floats of a column of numbers, NaN where one is missing."""
    import pyarrow as pa

    kind = _plain_type(column.type)
    column = column if kind is column.type else column.cast(kind)
    if not pa.types.is_float16(kind):  # which older PyArrow does not cast
        column = column.cast(pa.float64(), safe=False)  # whole numbers beyond 2**53 are rounded
    return column.to_numpy(zero_copy_only=False).astype(np.float64, copy=False)  # type: ignore[no-any-return]


def words(column: Any) -> Any:
    """A column of labels or ids, its texts as ``pyarrow.string()`` and nothing as a dictionary.

    Raises:
        ValueError: if bytes are no UTF-8
    """
    import pyarrow as pa

    kind = _plain_type(column.type)
    if not pa.types.is_integer(kind) and not pa.types.is_boolean(kind):
        kind = pa.string()
    found = column.cast(kind)
    found.validate(full=True)  # a column of texts may hold bytes that are none
    return found


def without_views(table: Any) -> Any:
    """A table whose views of texts and bytes are plain ones, since PyArrow filters no views."""
    import pyarrow as pa

    for i, part in enumerate(table.schema):
        views = {pa.string_view(): pa.string(), pa.binary_view(): pa.binary()}
        if part.type in views:
            table = table.set_column(i, part.name, table.column(i).cast(views[part.type]))
    return table


def _plain_type(kind: Any) -> Any:
    """The type of the values, which a dictionary may hold."""
    from pyarrow import types

    return kind.value_type if types.is_dictionary(kind) else kind
