"""The class table: moves to any density without the samples, survives JSON, prints."""

import dataclasses
import json
from dataclasses import replace

import numpy as np
import pytest

from fiftyone_drop import ClassTable, DropError, allocate, kept_size
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.limits import Limits, class_bounds


@pytest.fixture
def table():
    sizes, recalls = np.array([100, 50, 30]), np.array([0.9, 0.6, 0.3])
    return ClassTable(
        classes=("cat", "dog", "emu 😀"),
        sizes=sizes,
        density=0.5,
        quotas=allocate(sizes, recalls, 0.5).quotas,
        weights=sizes * (1 - recalls),
        bounds=Bounds.none(sizes, 1),
        recalls=recalls,
        correct=np.array([45, 6, 3]),
        support=np.array([50, 10, 10]),
    )


@pytest.mark.parametrize("density", [0.05, 0.3, 0.77, 1.0])
def test_the_quotas_at_another_density_are_those_of_allocate(table, density):
    moved = table.at(density)
    expected = allocate(table.sizes, table.recalls, density, min_per_class=1)
    assert moved.density == density
    assert moved.quotas.tolist() == expected.quotas.tolist()


def test_a_density_below_the_floors_is_refused(table):
    with pytest.raises(DropError, match="smallest density that works"):
        table.at(0.01)


def test_without_quotas_the_table_needs_counts(table):
    unruled = dataclasses.replace(table, weights=None, bounds=None)
    with pytest.raises(DropError, match="sets no quotas"):
        unruled.at(0.2)
    assert unruled.at(0.2, np.array([30, 5, 1])).quotas.tolist() == [30, 5, 1]


def test_the_quotas_at_many_densities_are_those_at_each_and_never_an_error(table):
    densities = [0.77, 0, 0.003, 0.01, 1, 0.3]
    counts = table.quotas_at(densities)
    for row, density in zip(counts, densities, strict=True):
        assert row.sum() == kept_size(180, density)
        if density >= 0.05:
            assert row.tolist() == table.at(density).quotas.tolist()
    assert counts[densities.index(0.01)].tolist() == [0, 1, 1]  # of the floors, the first two
    assert table.quotas_at([]).shape == (0, 3)


def test_the_table_survives_json(table):
    again = ClassTable.from_dict(json.loads(json.dumps(table.to_dict())))
    assert str(again) == str(table)
    assert again.classes == table.classes


def test_cells_survive_json(table):
    cells = dataclasses.replace(table, classes=(("cat", "in"), ("cat", "out"), ("dog", "in")))
    again = ClassTable.from_dict(json.loads(json.dumps(cells.to_dict())))
    assert again.classes == cells.classes
    assert "cat / out" in str(cells)


def test_it_prints_each_class_with_recall_interval_density_and_quota(table):
    header, _, cat, *_, total = str(table).splitlines()
    words = ["class", "size", "recall", "95", "%", "interval", "measured", "on", "density", "quota"]
    assert header.split() == words
    assert cat.split() == ["cat", "100", "0.900", "0.786", "to", "0.957", "50", "0.200", "20"]
    assert total.split() == ["total", "180", "0.500", "90"]


def test_many_classes_print_the_worst_first():
    k = 1000
    recalls = np.linspace(1, 0.5, k)
    table = ClassTable(
        tuple(f"class {i:04d}" for i in range(k)),
        np.full(k, 10),
        0.5,
        np.full(k, 5),
        recalls=recalls,
    )
    lines = str(table).splitlines()
    assert lines[2].startswith("class 0999")
    assert "960 more" in str(table)
    assert len(lines) < 50


def test_a_class_is_found_by_its_name_and_a_cell_by_its_words_too(table):
    assert table.find("emu 😀") == "emu 😀"
    with pytest.raises(DropError, match=r"^class_name: 'emu' is no class .* 'dog', 'emu 😀'"):
        table.find("emu")
    cells = dataclasses.replace(table, classes=(("a / b", "c"), ("a", "b / c"), ("d", "1")))
    for name in (("d", "1"), ["d", 1], "d / 1"):
        assert cells.find(name) == ("d", "1")
    with pytest.raises(DropError, match=r"may be any of \('a / b', 'c'\), .*; pass the tuple"):
        cells.find("a / b / c")
    assert cells.find(("a", "b / c")) == ("a", "b / c")


def test_a_column_is_a_mapping_of_plain_values(table):
    assert table.by_class("sizes") == {"cat": 100, "dog": 50, "emu 😀": 30}
    assert {type(n) for n in table.by_class("quotas").values()} == {int}
    assert table.size == 180


def test_recalls_that_were_given_have_no_intervals(table):
    given = dataclasses.replace(table, correct=None, support=None)
    assert given.intervals is None
    assert "interval" not in str(given)
    assert table.intervals.shape == (3, 2)


def test_a_table_of_before_columns_is_read(table):
    stored = table.to_dict()
    del stored["columns"]
    assert ClassTable.from_dict(stored).columns == {}


def test_a_table_of_before_bounds_has_one_floor_for_all_classes(table):
    stored = table.to_dict()
    del stored["bounds"]
    again = ClassTable.from_dict(stored | {"min_per_class": 40})
    assert again.bounds.floors.tolist() == [40, 40, 30]
    assert again.bounds.caps.tolist() == table.sizes.tolist()


def test_bounds_hold_at_every_density_and_print_where_they_differ_from_class_to_class(table):
    limits = Limits(2, 0, {"cat": 20}, ("emu 😀",))
    bounds = class_bounds(limits, table.classes, table.sizes, np.array([0, 4, 0]))
    bounded = dataclasses.replace(table, bounds=bounds)
    assert bounded.by_class("caps") == {"cat": 20, "dog": 50, "emu 😀": 30}
    quotas = bounded.quotas_at([0.03, 0.3, 0.5, 0.9, 1.0])
    assert quotas.sum(axis=1).tolist() == [5, 54, 90, 100, 100]  # the caps leave 100
    assert quotas[0].tolist() == [0, 4, 1]  # below the floors: what must be kept comes first
    assert quotas[1].tolist() == [8, 16, 30]
    with pytest.raises(DropError, match=r"more than the 100 that max_per_class allows"):
        bounded.at(0.6)
    with pytest.raises(DropError, match=r"fewer than the 36 that .*must_keep.* ask for"):
        bounded.at(0.1)
    header, _, cat, dog, *_ = str(bounded).splitlines()
    assert header.split()[-8:] == ["must", "keep", "at", "least", "at", "most", "density", "quota"]
    assert cat.split()[-5:-2] == ["0", "2", "20"]
    assert dog.split()[-5:-2] == ["4", "4", "50"]
    again = ClassTable.from_dict(json.loads(json.dumps(bounded.to_dict())))
    assert str(again) == str(bounded)


def test_a_column_that_is_not_there_is_refused_and_a_rules_own_is_there(table):
    more = dataclasses.replace(
        table, recalls=None, columns={"mean:loss": np.ones(len(table.classes))}
    )
    assert set(more.by_class("mean:loss").values()) == {1.0}
    for column in ("names", "nowhere", "recalls", 3):
        with pytest.raises(DropError, match="column: must be one of"):
            more.by_class(column)


@pytest.mark.parametrize("densities", [0.5, ["x"], [True], [2], {0.1, 0.5}])
def test_densities_that_are_none_are_refused(table, densities):
    with pytest.raises(DropError, match="densities: must be"):
        table.quotas_at(densities)


def test_a_recall_that_smoothing_moved_stands_beside_the_observed_one():
    support, correct = np.array([3, 50, 50]), np.array([0, 45, 40])
    recalls = np.array([0.566, 0.9, 0.8])
    table = ClassTable(
        ("a", "b", "c"), support, 0.5, support // 2, None, None, recalls, correct, support
    )
    header, *rows = [line.split() for line in str(table).splitlines() if line[:1] != "-"]
    low, high = table.intervals[0]
    assert not low <= recalls[0] <= high
    assert "observed" in header
    assert rows[0][2:4] == [f"{recalls[0]:.3f}", "0.000"]
    as_it_is = replace(table, recalls=correct / support)
    assert "observed" not in str(as_it_is)


def test_rows_are_the_printed_columns_as_values(table):
    first, *_, last = replace(
        table, support=np.array([50, 10, 0]), correct=np.array([45, 6, 0])
    ).rows()
    low, high = table.intervals[0].tolist()
    assert first == {
        "class": "cat",
        "size": 100,
        "recall": 0.9,
        "recall_observed": 0.9,
        "recall_low": low,
        "recall_high": high,
        "measured_on": 50,
        "density": table.densities[0],
        "quota": table.quotas[0],
    }
    assert (last["recall_observed"], last["measured_on"]) == (None, 0)
    given = replace(table, support=None, correct=None, recalls=None).rows()
    assert list(given[0]) == ["class", "size", "density", "quota"]
    assert json.loads(json.dumps(given)) == given
