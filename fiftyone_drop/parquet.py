"""PyArrow, which reads and writes Parquet files, and is optional."""

from __future__ import annotations

from typing import Any

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
