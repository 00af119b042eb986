"""The door: what is accepted becomes the exact plain type, and the rest is refused by name."""

import math
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from refused import Text, refusal

from fiftyone_drop import DropError, checks

# -- whole numbers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value", [3, np.int8(3), np.uint64(3), np.array(3), np.array(3, ">i2"), torch.tensor(3)]
)
@pytest.mark.parametrize("check", [checks.whole, checks.seed])
def test_whole_numbers_of_any_library_become_ints(check, value):
    number = check("size", value)
    assert (number, type(number)) == (3, int)


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(True), 3.0, np.float32(3), "3", b"3", None, [3], np.array([3]), 3j]
    + [Decimal(3), Fraction(3), math.nan, object(), 2**63, -(2**63) - 1],
)
@pytest.mark.parametrize("check", [checks.whole, checks.seed])
def test_what_is_no_whole_number_of_64_bits_is_refused(check, value):
    message = refusal(check, value)
    assert message.startswith("must be a whole number")
    assert message.endswith(f"but got {value!r}")


@given(value=st.integers(-(2**65), 2**65), bounds=st.tuples(st.integers(), st.integers()))
def test_a_whole_number_lies_between_its_bounds(value, bounds):
    least, most = sorted(bounds)
    if least <= value <= most:
        assert checks.whole("size", value, least=least, most=most) == value
    else:
        assert repr(value) in refusal(checks.whole, value, least=least, most=most)


def test_the_rule_for_a_whole_number_says_its_bounds():
    assert "a whole number in [1, 9], but" in refusal(checks.whole, 10, least=1, most=9)
    assert "a whole number >= 1 or None, but" in refusal(checks.whole, 0, least=1, optional=True)
    assert "a whole number of at most 64 bits" in refusal(checks.whole, 2**63)


# -- numbers --------------------------------------------------------------------------------------

INTERVALS = {
    "(0, 1]": lambda x: 0 < x <= 1,
    "(0, 1)": lambda x: 0 < x < 1,
    "[0, 1]": lambda x: 0 <= x <= 1,
    "[0, inf)": lambda x: x >= 0,
    "(0, inf)": lambda x: x > 0,
    "(-inf, inf)": lambda x: True,
    "[-2.5, 3)": lambda x: -2.5 <= x < 3,
}
near_the_ends = st.sampled_from([0, -0.0, 1, 5e-324, -5e-324, math.nextafter(1, 0), -2.5, 3])


@pytest.mark.parametrize("interval", INTERVALS)
@given(value=st.one_of(near_the_ends, st.integers(), st.floats(), st.fractions()))
def test_a_number_is_accepted_exactly_where_its_interval_says(interval, value):
    try:
        converted = float(value)
    except OverflowError:
        converted = math.inf
    if math.isfinite(converted) and INTERVALS[interval](converted):
        number = checks.number("size", value, interval)
        assert (number, type(number)) == (converted, float)
    else:
        rule = "a finite number" if interval == "(-inf, inf)" else f"a number in {interval}"
        assert rule in refusal(checks.number, value, interval=interval)


@pytest.mark.parametrize(
    "value",
    [0.5, np.float16(0.5), np.float64(0.5), np.array(0.5), torch.tensor(0.5), Fraction(1, 2)],
)
@pytest.mark.parametrize("check", [checks.number, checks.density])
def test_numbers_of_any_library_become_floats(check, value):
    number = check("size", value)
    assert (number, type(number)) == (0.5, float)


@pytest.mark.parametrize(
    "value",
    [True, np.bool_(False), "0.5", b"1", None, [0.5], np.array([0.5]), 1j, object(), 10**400]
    + [math.nan, math.inf, -math.inf, np.float32("nan"), np.datetime64("2026-01-01")],
)
@pytest.mark.parametrize("check", [checks.number, checks.density])
def test_what_is_no_finite_number_is_refused(check, value):
    assert "number" in refusal(check, value)


def test_the_rule_for_a_number_has_its_meaning():
    message = refusal(checks.number, 2, interval="[0, 1]", hint="a share", optional=True)
    assert message == "must be a number in [0, 1] or None, a share, but got 2"


@given(st.floats(0, 1, exclude_min=True))
def test_a_density_lies_above_0_and_at_most_at_1(value):
    assert checks.density("size", value) == value


@pytest.mark.parametrize(("value", "remedy"), [(50, "0.5"), (100, "1"), (12.5, "0.125")])
def test_a_density_that_looks_like_a_percentage_names_the_fraction(value, remedy):
    assert refusal(checks.density, value).endswith(f"To keep {value:g} % write {remedy}")


@pytest.mark.parametrize("value", [0, -0.5, 100.1, "50", True])
def test_another_density_is_refused_without_guessing(value):
    assert "write" not in refusal(checks.density, value)


# -- flags and texts ------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [True, np.bool_(True), np.array(True), torch.tensor(True)])
def test_flags_of_any_library_become_bools(value):
    assert checks.flag("size", value) is True


@pytest.mark.parametrize("value", [1, 0, "True", None, [], np.int64(1), np.array([True]), 1.0])
def test_what_is_no_flag_is_refused(value):
    assert refusal(checks.flag, value) == f"must be True or False, but got {value!r}"


def as_choice(argument, value):
    return checks.choice(argument, value, ["drop", "größe"])


@pytest.mark.parametrize("value", ["drop", np.str_("drop"), np.array("drop"), Text("drop")])
@pytest.mark.parametrize("check", [checks.text, as_choice, checks.name])
def test_texts_of_any_library_become_strs(check, value):
    text = check("size", value)
    assert (text, type(text)) == ("drop", str)


@pytest.mark.parametrize(
    "value", ["", "a\0b", "\ud800", b"drop", 3, None, ["drop"], np.array(["drop"]), object()]
)
@pytest.mark.parametrize("check", [checks.text, as_choice, checks.name])
def test_what_is_no_text_that_can_be_stored_is_refused(check, value):
    assert repr(value) in refusal(check, value)


def test_the_rule_for_a_text_has_its_remedy():
    message = refusal(checks.text, 3, remedy="pass a name", optional=True)
    assert message == "must be a text or None, but got 3; pass a name"


def test_a_choice_lists_the_choices():
    message = refusal(as_choice, "dorp")
    assert message == "must be one of ['drop', 'größe'], but got 'dorp'"


@pytest.mark.parametrize("value", ["drop", "a1", "größe_2", "A_"])
def test_a_name_may_have_letters_digits_and_underscores(value):
    assert checks.name("size", value) == value


@pytest.mark.parametrize("value", ["1st", "_drop", "a__b", "a b", "a-b", "a.b", "drop\n", "ﬁ-"])
def test_what_no_field_can_be_called_is_refused(value):
    assert "must be a valid field name (letters" in refusal(checks.name, value)
    assert "must name a run (letters" in refusal(checks.name, value, what="must name a run")


def test_a_run_key_makes_names_of_fields():
    assert checks.stem("key", "größe_2") == "größe_2"
    for value, words in (("a__b", "no two _ in a row"), ("drop_", "does not end with _")):
        with pytest.raises(DropError, match=f"^key: .*{words}"):
            checks.stem("key", value)


def test_none_is_accepted_where_it_is_allowed_alone():
    for check in (checks.whole, checks.number, checks.text):
        assert check("size", None, optional=True) is None
        assert "None" in refusal(check, None)


# -- sequences ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [["a", "b"], ("a", np.str_("b")), iter("ab"), {"a": 1, "b": 2}.keys(), np.array(["a", "b"])],
)
def test_texts_of_any_sequence_become_a_tuple(value):
    texts = checks.texts("size", value)
    assert texts == ("a", "b")
    assert {type(text) for text in texts} == {str}


@pytest.mark.parametrize("value", ["ab", {"a": 1}, b"ab", None, 3, ["a", 3], [""], np.array("a")])
def test_what_is_no_sequence_of_texts_is_refused(value):
    refusal(checks.texts, value)


def test_a_single_text_is_refused_with_the_sequence_that_may_be_meant():
    assert refusal(checks.texts, "aum").endswith("such as ('aum',)")


def test_a_long_value_is_shown_in_part():
    assert len(refusal(checks.flag, "x" * 10_000)) < 300


@pytest.mark.parametrize(
    "values", [[0, 0.5], (np.float32(0), 0.5), iter([0, 0.5]), torch.tensor([0, 0.5])]
)
def test_numbers_of_any_sequence_become_a_list(values):
    numbers = checks.numbers_in("size", values, "[0, 1]")
    assert numbers == [0.0, 0.5]
    assert {type(number) for number in numbers} == {float}


@pytest.mark.parametrize("values", [0.5, np.array(0.5), "0", b"0", {0.5: 1}, None, [2], [[0.5]]])
def test_what_is_no_sequence_of_numbers_is_refused(values):
    refusal(checks.numbers_in, values, interval="[0, 1]")


# -- others ---------------------------------------------------------------------------------------


def test_a_home_that_nobody_has_is_refused():
    assert "~nobody-has-this-name" in refusal(checks.path, "~nobody-has-this-name/scores.npz")


@pytest.mark.parametrize("value", ["s3://bucket/x.npz", Path("s3://bucket/x.npz"), "file:///x.npz"])
def test_an_address_is_no_path_of_this_machine(value):
    assert "on this machine" in refusal(checks.path, value)


@pytest.mark.parametrize("value", ["C:/scores.npz", "a:b/scores.npz", "./s3:/scores.npz"])
def test_paths_with_colons_are_paths(value):
    assert checks.path("argument", value) == Path(value)


def test_a_function_is_what_can_be_called():
    assert checks.function("size", len) is len
    refusal(checks.function, 3)


def test_spans_of_time_are_no_numbers():
    for check in (checks.number, checks.whole, checks.density):
        assert "timedelta64" in refusal(check, np.timedelta64(1, "s"))


def test_what_is_masked_is_no_number():
    assert "got masked" in refusal(checks.number, np.ma.masked)


@pytest.mark.parametrize("number", [-(10**30), 10**30])
@pytest.mark.parametrize("bounds", [{}, {"least": 1}])
def test_a_whole_number_beyond_64_bits_is_told_its_limit(number, bounds):
    with pytest.raises(DropError, match="of at most 64 bits, but got"):
        checks.whole("size", number, **bounds)
