"""Columns of any library become arrays of numbers or words, and the rest is refused by name."""

import math
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from refused import Text, refusal

from fiftyone_drop import array_checks


@pytest.mark.parametrize(
    "values",
    [
        [1, 2.5, None],
        np.array([1, 2.5, math.nan], np.float32),
        np.array([1, 2.5, math.nan], ">f8"),
        np.array([1, 2.5, None], object),
        [np.float32(1), np.array(2.5), torch.tensor(math.nan)],
        [Fraction(1), Decimal("2.5"), pd.NA],
        pd.Series([1, 2.5, None], dtype="Float32"),
        pd.Series([1, 2.5, None], dtype="double[pyarrow]"),
        torch.tensor([1, 2.5, math.nan]),
        np.ma.masked_array([1, 2.5, math.nan]),
    ],
    ids=range(10),
)
def test_columns_of_numbers_of_any_library_become_floats(values):
    found = array_checks.real_numbers("scores", values)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, [1, 2.5, math.nan])


def test_numbers_keep_their_shape_and_floats_are_not_copied():
    table = np.zeros((2, 3))
    assert array_checks.real_numbers("scores", table) is table
    assert array_checks.real_numbers("scores", table.tolist()).shape == (2, 3)


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(True), "0.1", b"1", 1j, np.timedelta64(1, "s"), np.datetime64("2020"), pd.NaT]
    + [pd.Timestamp(0), np.ma.masked, object(), 10**400, Decimal("sNaN"), {1: 2}, (1, 2)],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_number_is_refused_among_others(value):
    among = np.empty(3, object)
    among[:] = [0.5, value, None]
    for values in (among, among.tolist()):
        message = refusal(array_checks.real_numbers, values)
        assert message.startswith("must be numbers, but ")
        assert len(message) < 300


@pytest.mark.parametrize("kind", ["?", "c16", "M8[s]", "m8[s]", "U3", "S3", "V4", [("a", "f8")]])
def test_an_array_of_another_type_is_refused(kind):
    assert "holds values of" in refusal(array_checks.real_numbers, np.zeros(3, kind))
    assert refusal(array_checks.real_numbers, np.zeros(3, kind), rule="").startswith(
        "holds values of"
    )


@pytest.mark.parametrize("chunked", [False, True])
def test_what_a_dictionary_of_pyarrow_lacks_is_missing(chunked):
    def column(values):
        first, second = (pa.array(part).dictionary_encode() for part in (values, values[::-1]))
        return pa.chunked_array([first, second]) if chunked else first

    found = array_checks.words("labels", column(["a", "b"]))
    assert found.tolist() == ["a", "b", "b", "a"][: len(found)]
    message = refusal(array_checks.words, column(["a", "b", None, "a", "c"]))
    assert f"{2 if chunked else 1} are missing; leave them out" in message
    found = array_checks.real_numbers("scores", column([1.5, None, 2.5]))
    expected = [1.5, math.nan, 2.5]
    np.testing.assert_array_equal(found, expected + expected[::-1] if chunked else expected)


def test_what_a_mask_hides_is_unknown():
    hidden = np.ma.masked_array([1, 2, 3], [True, False, True])
    for check in (array_checks.real_numbers, array_checks.words):
        assert "2 are masked; leave them out" in refusal(check, hidden)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("ü", "ü"), (Text("a"), "a"), (np.str_("a"), "a"), ("ü".encode(), "ü"), (7, "7"), ("", "")]
    + [(np.int8(7), "7"), (True, "True"), (np.bool_(False), "False"), (10**30, "1" + "0" * 30)]
    + [(np.array("a"), "a"), (torch.tensor(7), "7")],
    ids=repr,
)
def test_words_are_texts_whole_numbers_true_and_false(value, expected):
    found = array_checks.word("size", value)
    assert (found, type(found)) == (expected, str)


@pytest.mark.parametrize(
    "value", [1.0, None, b"\xff", "\udcff", 10**5000, Decimal(1), 1j, ["a"]], ids=range(8)
)
def test_what_is_no_word_is_refused(value):
    assert refusal(array_checks.word, value).startswith("must be ")


def test_spans_of_time_are_no_words():
    assert "timedelta64" in refusal(array_checks.word, np.timedelta64(1, "s"))
