"""Figures show the numbers of the tables, and names as they are."""

import json

import numpy as np
import plotly.graph_objects as go
import pytest
from class_tables import HOSTILE, large_table

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.tables import MOST_ROWS


@pytest.fixture
def run(dataset, recalls):
    """A dataset of digits with two runs and a score."""
    dataset.set_values("loss", np.linspace(0, 1, 300).tolist())
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    dataset.apply_drop(0.5, label_field="ground_truth", rule="balanced", key="other")
    return dataset


def trace(figure, name):
    return next(one for one in figure.data if one.name == name)


def rows_of(figure, axis="yaxis"):
    return list(figure.layout[axis].ticktext)


def drawn(figure):
    """What a browser would get."""
    assert isinstance(figure, go.Figure)
    return json.loads(figure.to_json())


def test_the_class_chart_has_a_bar_per_class_those_of_lowest_recall_first(run, recalls):
    results = fod.load_drop(run, "drop")
    figure = results.plot()
    assert rows_of(figure) == sorted(recalls, key=recalls.get)
    densities, found = results.table.by_class("densities"), results.recalls
    assert list(trace(figure, "kept").x) == [densities[name] for name in rows_of(figure)]
    assert list(trace(figure, "recall").x) == [found[name] for name in rows_of(figure)]
    assert figure.layout.title.text == "Drop run 'drop', density 0.5"
    top, bottom = figure.layout.yaxis.range[1], figure.layout.yaxis.range[0]
    assert top < 0 < 9 < bottom  # the first row is at the top
    drawn(figure)


def test_plans_and_class_tables_are_drawn_alike(run, recalls):
    plan = fod.plan_drop(run, 0.3, label_field="ground_truth", recalls=recalls)
    for one in (plan, plan.table):
        assert list(trace(one.plot(), "kept").x) == sorted(
            plan.table.densities.tolist(), reverse=True
        )
        assert len(one.plot("recalls").data[0].x) == 10
        assert one.plot(title="mine", width=300).layout.title.text == "mine"


def test_recall_against_density_has_a_point_per_class(run):
    table = fod.load_drop(run, "drop").table
    (points,) = fod.load_drop(run, "drop").plot("recalls").data
    assert list(points.x) == table.recalls.tolist()
    assert list(points.y) == table.densities.tolist()
    assert len(points.marker.size) == 10
    flat = fod.load_drop(run, "other")
    assert [one.name for one in flat.plot().data] == ["kept"]
    with pytest.raises(DropError, match=r"^kind: 'recalls' needs recalls"):
        flat.plot("recalls")


@pytest.mark.parametrize("kind", ["bars", None, 3, ["classes"]])
def test_an_unknown_kind_is_refused(run, kind):
    for one in (fod.load_drop(run, "drop"), fod.compare_drops(run, "drop", "other")):
        with pytest.raises(DropError, match=r"^kind: must be one of \['classes', "):
            one.plot(kind)


@pytest.mark.parametrize("layout", [{"tallness": 300}, {"height": "tall"}])
def test_what_plotly_does_not_take_is_refused(run, layout):
    for one in (fod.load_drop(run, "drop"), fod.report(run, "drop")):
        with pytest.raises(
            DropError, match=r"^layout: must be what Plotly's update_layout takes: In"
        ):
            one.plot(**layout)


def test_measured_recalls_are_drawn_with_the_intervals_of_what_was_observed(two_classes):
    dataset = two_classes(ev={"cat": 30, "dog": 45})
    plan = fod.plan_drop(dataset.match_tags("train"), 0.5, eval_key="ev")
    observed = trace(plan.plot(), "observed, 95 % interval")
    assert list(observed.x) == [0.6, 0.9]
    ends = np.stack([observed.x - observed.error_x.arrayminus, observed.x + observed.error_x.array])
    np.testing.assert_allclose(ends.T, plan.table.intervals)


def test_compared_runs_are_two_points_per_class_those_that_differ_most_first(run):
    comparison = fod.compare_drops(run, "drop", "other")
    figure = comparison.plot()
    frame = comparison.to_pandas()
    difference = (frame["density_first"] - frame["density_second"]).abs()
    assert difference[rows_of(figure)].is_monotonic_decreasing
    for key, column in (("drop", "density_first"), ("other", "density_second")):
        assert list(trace(figure, key).x) == frame[column][rows_of(figure)].tolist()
    _, points = comparison.plot("densities").data
    assert list(points.y) == frame["density_second"].tolist()
    drawn(figure)


def test_a_class_that_one_run_lacks_has_one_point(run):
    three = run.match({"ground_truth.label": {"$ne": "three"}})
    three.apply_drop(0.5, label_field="ground_truth", rule="proportional", key="fewer")
    figure = fod.compare_drops(run, "drop", "fewer").plot()
    assert rows_of(figure)[0] == "three"
    assert np.isnan(trace(figure, "fewer").x[0])
    assert drawn(figure)["data"]


def test_a_report_shows_average_and_worst_and_the_classes_that_changed(two_classes):
    dataset = two_classes(before={"cat": 30, "dog": 45}, after={"cat": 40, "dog": 44})
    train = dataset.match_tags("train")
    train.apply_drop(0.5, eval_key="before", label_field="ground_truth")
    report = fod.report(dataset, "drop", eval_key="after")
    figure = report.plot()
    before, after = (one for one in figure.data if isinstance(one, go.Bar))
    np.testing.assert_allclose(before.y, [0.75, 0.6])
    np.testing.assert_allclose(after.y, [0.84, 0.8])
    assert before.y[1] + before.error_y.array[1] == pytest.approx(
        report.accuracy["before"].worst_interval[1]
    )
    assert rows_of(figure, "yaxis2") == ["cat", "dog"]
    assert len(fod.report(dataset, "drop").plot().data) == 1
    train.apply_drop(0.5, rule="proportional", label_field="ground_truth", key="flat")
    with pytest.raises(DropError, match=r"^eval_key: must be passed for a picture"):
        fod.report(dataset, "flat").plot()


def test_a_histogram_has_a_bar_per_bin(run):
    histogram = fod.score_histogram(run, "drop", "loss", bins=5)
    kept, pruned = histogram.plot().data
    assert (list(kept.y), list(pruned.y)) == (histogram.kept.tolist(), histogram.pruned.tolist())
    np.testing.assert_allclose(kept.x - kept.width / 2, histogram.edges[:-1])
    assert histogram.plot().layout.barmode == "stack"


def test_names_are_neither_tags_nor_formulas_nor_numbers():
    names = (*HOSTILE, "7", "x" * 300)
    sizes = np.full(6, 10)
    table = ClassTable(
        names, sizes, 0.5, sizes // 2, sizes.astype(float), recalls=np.linspace(0, 1, 6)
    )
    for figure in (table.plot(), table.plot("recalls")):
        text = json.dumps(drawn(figure))
        assert "<" not in text
        assert "$x$" not in text
    ticks = rows_of(table.plot())
    assert ticks[4] == "7"
    assert len(ticks[5]) == 40
    assert table.plot().layout.yaxis.tickmode == "array"


def test_ten_thousand_classes_stay_readable():
    table = large_table()
    figure = table.plot()
    worst = [table.names[k] for k in np.argsort(table.recalls, kind="stable")[:MOST_ROWS]]
    assert rows_of(figure) == worst
    assert figure.layout.title.text.endswith(": 40 of 10,000 classes")
    assert figure.layout.height < 1000
    assert len(table.plot("recalls").data[0].x) == 10_000
