"""From counts to the numbers of a report."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from fiftyone_drop import ClassTable
from fiftyone_drop.accuracies import (
    Measured,
    accuracy_rows,
    are_apart,
    changes,
    class_accuracies,
    measured_before,
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


@given(st.tuples(*[st.integers(0, 9)] * 4))
def test_intervals_are_apart_where_they_have_no_point_in_common(ends):
    first, second = sorted(ends[:2]), sorted(ends[2:])
    common = set(range(first[0], first[1] + 1)) & set(range(second[0], second[1] + 1))
    assert are_apart(tuple(first), tuple(second)) == (not common)
    assert are_apart(None, tuple(second)) is None
    assert are_apart(tuple(first), None) is None


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
