"""PyArrow is optional: without it an error says what to install."""

import sys

import pytest

from fiftyone_drop import DropError
from fiftyone_drop.parquet import pyarrow_parquet


def test_with_pyarrow_its_modules_are_given():
    pa, pq = pyarrow_parquet("path", "x")
    assert pq.ParquetFile
    assert pa.table({"a": [1]}).num_rows == 1


def test_without_pyarrow_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(
        DropError, match=r"^scores: X files need PyArrow; .*'fiftyone-drop\[parquet"
    ):
        pyarrow_parquet("scores", "X files")
