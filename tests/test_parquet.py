"""PyArrow is optional; its columns hold numbers, words, or something else."""

import sys
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from fiftyone_drop import DropError, parquet
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


TEXTS = [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int8(), pa.string())]
NUMBERS = [pa.int8(), pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.decimal128(5, 2)]
BYTES = [pa.binary(), pa.large_binary(), pa.binary_view()]
OTHERS = [pa.timestamp("s"), pa.duration("s"), pa.date32(), pa.list_(pa.string()), pa.null()]
OTHERS += [pa.binary(12), pa.struct([("a", pa.string())]), pa.uuid()]


def test_a_type_is_one_of_numbers_of_words_or_of_neither():
    for kind in TEXTS + NUMBERS + BYTES + OTHERS + [pa.bool_()]:
        is_int = kind in (pa.int8(), pa.uint64())
        assert parquet.is_text(kind) == (kind in TEXTS)
        assert parquet.is_number(kind) == (kind in NUMBERS)
        assert parquet.is_word(kind) == (kind in TEXTS + BYTES + [pa.bool_()] or is_int), kind


@pytest.mark.parametrize("kind", NUMBERS, ids=str)
def test_numbers_become_floats_and_missing_ones_nan(kind):
    values = [1, 2, None]
    if kind == pa.float16():
        values = [np.float16(1), np.float16(2), None]
    elif pa.types.is_decimal(kind):
        values = [Decimal(1), Decimal(2), None]
    column = pa.array(values, kind)
    for whole in (column, pa.chunked_array([column[:1], column[1:]]), column.dictionary_encode()):
        found = parquet.numbers(whole)
        assert found.dtype == np.float64
        np.testing.assert_array_equal(found, [1, 2, np.nan])


@pytest.mark.parametrize("kind", TEXTS[:3] + BYTES, ids=str)
def test_texts_of_any_type_become_plain_ones(kind):
    values = ["ü", None] if kind in TEXTS else ["ü".encode(), None]
    assert parquet.words(pa.array(values, kind)).equals(pa.array(["ü", None]))


def test_bytes_that_are_no_text_are_refused():
    as_text = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff"]).buffers())
    for column in (pa.array([b"\xff"]), as_text):
        with pytest.raises(ValueError, match="UTF8"):
            parquet.words(column)


def test_views_become_plain_columns_and_others_stay():
    table = pa.table(
        {"t": pa.array(["a"], pa.string_view()), "b": pa.array([b"a"], pa.binary_view()), "n": [1]}
    )
    kinds = parquet.without_views(table).schema.types
    assert kinds == [pa.string(), pa.binary(), pa.int64()]
