"""From counts to the numbers of a report."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest, chi2_contingency

from fiftyone_drop import ClassTable
from fiftyone_drop.accuracies import (
    Measured,
    Outcomes,
    accuracy_rows,
    are_clear,
    changes,
    class_accuracies,
    measured_before,
    p_value,
    p_value_of_worst,
    summary,
)


def table_of(k, **columns):
    """A table of k classes, with what matters here."""
    names = tuple(f"class {i}" for i in range(k))
    return ClassTable(names, np.full(k, 10), 0.5, np.full(k, 5), **columns)


def counts(*rows):
    return Measured.of(*(np.array(column) for column in zip(*rows, strict=True)))


counted = st.lists(
    st.integers(0, 300).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=8,
).filter(lambda rows: any(n for _, n in rows))


@given(counted)
def test_accuracies_are_fractions_and_their_intervals_those_of_scipy(rows):
    measured = counts(*rows)
    for k, (correct, n) in enumerate(rows):
        if n == 0:
            assert math.isnan(measured.values[k])
            continue
        assert measured.values[k] == correct / n
        interval = binomtest(correct, n).proportion_ci(method="wilson")
        assert measured.interval(k) == pytest.approx(tuple(interval), abs=1e-9)


@given(counted)
def test_the_summary_is_over_the_classes_that_were_measured(rows):
    found = summary(table_of(len(rows)), counts(*rows))
    accuracies = {f"class {k}": correct / n for k, (correct, n) in enumerate(rows) if n}
    assert found.average == pytest.approx(np.mean(list(accuracies.values())))
    assert found.worst == min(accuracies.values())
    assert accuracies[found.worst_class] == found.worst
    assert found.gap == pytest.approx(found.average - found.worst)
    assert found.spread == pytest.approx(np.std(list(accuracies.values())))
    assert found.samples == sum(n for _, n in rows)


def test_accuracies_before_are_those_observed_or_the_recalls_that_were_given():
    recalls, correct, support = np.array([0.4, 0.8]), np.array([1, 9]), np.array([4, 10])
    observed = measured_before(table_of(2, recalls=recalls, correct=correct, support=support))
    assert observed.values.tolist() == [0.25, 0.9]
    given_ones = measured_before(table_of(2, recalls=recalls))
    assert given_ones.values.tolist() == [0.4, 0.8]
    assert given_ones.interval(0) is None
    assert summary(table_of(2), given_ones).samples is None
    assert measured_before(table_of(2)) is None


def test_where_nothing_was_measured_the_recalls_that_filled_the_gap_count():
    none = np.zeros(2, int)
    table = table_of(2, recalls=np.array([0.5, 0.5]), correct=none, support=none)
    assert measured_before(table).values.tolist() == [0.5, 0.5]


def test_the_classes_that_changed_most_come_first_and_others_are_left_out():
    before = counts((50, 100), (50, 100), (50, 100), (50, 100), (0, 0))
    after = counts((90, 100), (10, 100), (55, 100), (50, 100), (5, 10))
    gained, lost = changes(table_of(5), before, after)
    assert [(c.class_name, c.before, c.after, c.clear) for c in gained] == [
        ("class 0", 0.5, 0.9, True),
        ("class 2", 0.5, 0.55, False),
    ]
    assert [(c.class_name, c.before, c.after, c.clear) for c in lost] == [
        ("class 1", 0.5, 0.1, True)
    ]


def test_of_many_changes_the_five_largest_are_listed():
    before, after = counts(*[(50, 100)] * 9), counts(*[(51 + k, 100) for k in range(9)])
    gained, lost = changes(table_of(9), before, after)
    assert [change.class_name for change in gained] == [f"class {k}" for k in (8, 7, 6, 5, 4)]
    assert lost == []


def test_accuracies_may_differ_by_more_than_noise_where_their_intervals_overlap():
    first, second = counts((500, 1000)), counts((550, 1000))
    assert first.interval(0)[1] > second.interval(0)[0]
    expected = chi2_contingency([[500, 500], [550, 450]], correction=False).pvalue
    assert p_value(first, 0, second, 0) == pytest.approx(expected, rel=1e-2)
    assert expected == pytest.approx(0.025, abs=1e-3)
    assert are_clear(first, second) == [True]


def outcomes(right, classes=None, start=0):
    """Of samples in a row, the first of which has the number ``start``."""
    ids = np.array([f"{start + i:024x}" for i in range(len(right))], "S24")
    codes = np.zeros(len(right), np.int32) if classes is None else np.array(classes, np.int32)
    return Outcomes(ids, codes, np.array(right, bool))


def test_models_are_compared_sample_by_sample_where_their_samples_are_the_same():
    """Of 100 samples, 60 are right with the first model; ten more, and no fewer, with the other."""
    first = outcomes([i < 60 for i in range(100)])
    second = outcomes([i < 70 for i in range(100)])
    backwards = Outcomes(second.ids[::-1], second.codes[::-1], second.correct[::-1])
    for other in (second, backwards):
        found = p_value(Measured.of_samples(first, 1), 0, Measured.of_samples(other, 1), 0)
        assert found == pytest.approx(binomtest(0, 10).pvalue)
    elsewhere = outcomes(second.correct, start=100)
    alone = p_value(Measured.of_samples(first, 1), 0, Measured.of_samples(elsewhere, 1), 0)
    assert alone == p_value(counts((60, 100)), 0, counts((70, 100)), 0)
    assert alone > 0.1


def test_each_class_is_compared_on_its_own_samples():
    classes = [0] * 20 + [1] * 20
    first = outcomes([i % 20 < 10 for i in range(40)], classes)
    second = outcomes([i % 20 < 10 + 8 * (i >= 20) for i in range(40)], classes)
    before, after = Measured.of_samples(first, 2), Measured.of_samples(second, 2)
    assert p_value(before, 0, after, 0) == 1
    assert p_value(before, 1, after, 1) == pytest.approx(binomtest(0, 8).pvalue)


def test_of_many_classes_noise_has_hardly_any_called_clear():
    rng = np.random.default_rng(0)
    support = np.full(100, 50)
    found = [
        are_clear(*(Measured.of(rng.binomial(support, 0.8), support) for _ in range(2)))
        for _ in range(60)
    ]
    assert np.mean([any(clear) for clear in found]) <= 0.1
    same = [(40, 50)] * 99
    assert are_clear(counts((40, 50)), counts((48, 50))) == [True]
    assert are_clear(counts((40, 50), *same), counts((48, 50), *same)) == [False] * 100


def test_what_was_not_measured_is_not_compared():
    given_ones, measured = Measured(np.array([0.2, 0.5])), counts((1, 10), (0, 0))
    assert are_clear(given_ones, measured) == are_clear(measured, given_ones) == [None, None]
    assert are_clear(measured, counts((9, 10), (9, 10))) == [True, None]


def test_the_worst_classes_of_two_models_may_be_different_ones():
    before, after = counts((10, 100), (90, 100)), counts((80, 100), (40, 100), (0, 0))
    assert p_value_of_worst(before, after) == p_value(before, 0, after, 1) < 0.001


def test_the_rows_of_a_report_have_one_cell_per_model():
    measured = counts((1, 4), (9, 10))
    before = summary(table_of(2), measured)
    after = summary(table_of(2), Measured(np.array([0.5, 0.25])))
    header, *rows = accuracy_rows([("before", before), ("after", after)])
    assert header == ["", "before", "after"]
    cells = {row[0]: row[1:] for row in rows}
    assert cells["worst class"] == ["0.250", "0.250"]
    assert cells["the worst class is"] == ["class 0", "class 1"]
    assert cells["measured on"] == ["14", "given"]


def test_each_class_has_its_accuracies_by_all_models():
    table = table_of(2)
    before = Measured(np.array([0.5, 0.75]))
    full, after = counts((10, 100), (0, 0)), counts((90, 100), (3, 4))
    first, second = class_accuracies(table, before, {"full": full}, after)
    assert first.class_name == "class 0"
    assert first.density == table.densities[0]
    assert (first.before, dict(first.baselines), first.after) == (0.5, {"full": 0.1}, 0.9)
    assert first.clear == {"full": True}
    assert (second.baselines["full"], second.after, second.clear["full"]) == (None, 0.75, None)
    assert class_accuracies(table, None, {"full": after}, after)[0].before is None
