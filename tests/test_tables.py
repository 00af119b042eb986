"""What the package makes, as text, as HTML and as data frames."""

import itertools
import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from class_tables import HOSTILE, large_table

import fiftyone_drop as fod
from fiftyone_drop.tables import MOST_ROWS, Table, class_frame, in_html


class Reader(HTMLParser):
    """The tags, the rows of cells and the paragraphs of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.rows, self.paragraphs = [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if tag == "p":
            self.paragraphs.append("")

    def handle_data(self, data):
        if self.tags[-1] in ("td", "th"):
            self.rows[-1][-1] += data
        elif self.tags[-1] == "p":
            self.paragraphs[-1] += data


OURS = {"div", "style", "p", "table", "thead", "tbody", "tfoot", "tr", "td", "th"}


def read(page):
    reader = Reader(page)
    assert set(reader.tags) <= OURS
    return reader


@pytest.fixture
def run(dataset, recalls):
    """A dataset of digits with a run, another one, and a score."""
    dataset.set_values("loss", np.linspace(0, 1, 300).tolist())
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls)
    dataset.apply_drop(0.3, label_field="ground_truth", rule="balanced", key="other")
    return dataset


def test_a_table_of_few_rows_shows_all_and_one_of_many_those_that_matter():
    rows = [[str(i), "x"] for i in range(MOST_ROWS)]
    assert len(str(Table(["a", "b"], rows, ["total", "y"]))) > 0
    assert [row[0] for row in read(Table(["a", "b"], rows).to_html()).rows[1:]] == [
        str(i) for i in range(MOST_ROWS)
    ]
    rows = [[str(i), "x"] for i in range(5000)]
    last = np.arange(5000)[::-1]
    for shown in (
        read(Table(["a", "b"], rows, ["total", "y"], last).to_html()).rows,
        [
            line.split("  ")
            for line in str(Table(["a", "b"], rows, ["total", "y"], last)).splitlines()
            if not line.startswith("---")
        ],
    ):
        assert [row[0].strip() for row in shown[:3]] == ["a", "4999", "4998"]
        assert shown[-2][0].strip() == f"... and {5000 - MOST_ROWS:,} more"
        assert shown[-1][0].strip() == "total"
        assert len(shown) == MOST_ROWS + 3


def test_html_shows_names_as_they_are():
    page = in_html([*HOSTILE, Table(HOSTILE, [HOSTILE] * 2, HOSTILE), *HOSTILE])
    reader = read(page)
    assert reader.rows == [HOSTILE] * 4
    assert reader.paragraphs == HOSTILE * 2


def test_a_data_frame_has_a_row_per_class_or_cell():
    frame = class_frame(["a", "b"], {"x": np.array([1, 2]), "none": None})
    assert frame.index.name == "class"
    assert frame.to_dict() == {"x": {"a": 1, "b": 2}}
    cells = class_frame([("a", "rain", "night"), ("a", "sun", "day")], {"x": [1, 2]})
    assert cells.index.names == ["class", "group_1", "group_2"]
    assert cells.loc[("a", "sun"), "x"].item() == 2
    assert class_frame([("a", "sun")], {}).index.names == ["class", "group"]


def test_the_data_frame_of_a_run_is_its_class_table(run):
    results = fod.load_drop(run, "drop")
    frame = results.to_pandas()
    for column in ("sizes", "quotas", "densities", "weights", "recalls", "floors", "caps"):
        assert frame[column].to_dict() == results.table.by_class(column)
    assert "observed" not in frame  # recalls were given
    assert frame.attrs["density"] == 0.5
    assert frame["quotas"].sum() == len(fod.drop_view(run, "drop"))
    plan = fod.plan_drop(run, 0.3, label_field="ground_truth", recalls=results.recalls)
    pd.testing.assert_frame_equal(plan.to_pandas(), plan.table.to_pandas())
    assert plan.to_pandas()["quotas"].to_dict() == plan.quotas


def test_measured_recalls_come_with_their_intervals(two_classes):
    dataset = two_classes(ev={"cat": 30, "dog": 45})
    train = dataset.match_tags("train")
    frame = fod.plan_drop(train, 0.5, eval_key="ev").to_pandas()
    assert frame["observed"].to_dict() == {"cat": 0.6, "dog": 0.9}
    assert frame["correct"].to_dict() == {"cat": 30, "dog": 45}
    assert ((frame["low"] < frame["observed"]) & (frame["observed"] < frame["high"])).all()


def test_the_data_frame_of_a_comparison_is_what_its_views_hold(run):
    comparison = fod.compare_drops(run, "drop", "other")
    frame = comparison.to_pandas()
    for which, column in (
        ("first", "only_first"),
        ("second", "only_second"),
        ("both", "kept_by_both"),
    ):
        counts = comparison.view(which).count_values("ground_truth.label")
        assert frame[frame[column] > 0][column].to_dict() == counts
    assert frame.attrs == {"first": "drop", "second": "other"}
    mine = fod.load_drop(run, "drop").to_pandas()["densities"]
    pd.testing.assert_series_equal(frame["density_first"], mine, check_names=False)


def test_the_data_frame_of_a_histogram_counts_all_samples(run):
    histogram = fod.score_histogram(run, "drop", "loss", bins=7)
    frame = histogram.to_pandas()
    assert len(frame) == 7
    assert frame["kept"].sum() == len(fod.drop_view(run, "drop"))
    assert frame[["kept", "pruned"]].sum().sum() == 300
    assert (frame["high"][:-1].to_numpy() == frame["low"][1:].to_numpy()).all()
    assert "'loss' of 150 kept and 150 pruned samples" in str(histogram) == repr(histogram)
    run.limit(5).set_values("loss", [None] * 5)
    again = fod.score_histogram(run, "drop", "loss")
    assert again.to_pandas().attrs == {"score": "loss", "missing": 5}
    assert "5 without a value" in again._repr_html_()


def test_the_data_frame_of_a_report_has_a_row_per_model(two_classes):
    dataset = two_classes(before={"cat": 30, "dog": 45}, after={"cat": 40, "dog": 44})
    train = dataset.match_tags("train")
    train.apply_drop(0.5, eval_key="before", label_field="ground_truth")
    frame = fod.report(dataset, "drop", eval_key="after").to_pandas()
    assert frame["worst"].to_dict() == {"before": 0.6, "after": 0.8}
    assert frame["worst_class"].to_dict() == {"before": "cat", "after": "cat"}
    assert (frame["worst_low"] < frame["worst"]).all()
    train.apply_drop(0.5, rule="proportional", label_field="ground_truth", key="flat")
    nothing = fod.report(dataset, "flat").to_pandas()
    assert len(nothing) == 0
    assert list(nothing.columns) == list(frame.columns)


def test_html_says_what_the_text_says(run, two_classes):
    plan = fod.plan_drop(run, 0.5, label_field="ground_truth", rule="proportional")
    shown = [
        *(plan, plan.table, fod.load_drop(run, "drop"), fod.compare_drops(run, "drop", "other")),
        *(fod.score_histogram(run, "drop", "loss"), fod.report(run, "drop")),
    ]
    for one in shown:
        reader = read(one._repr_html_())
        words = re.findall(r"\S+", " ".join([*reader.paragraphs, *itertools.chain(*reader.rows)]))
        text = re.findall(r"\S+", re.sub(r"^-+$", "", str(one), flags=re.MULTILINE))
        assert sorted(words) == sorted(text), type(one)


def test_odd_class_names_are_shown_as_they_are(odd_dataset):
    odd_dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional")
    odd_dataset.apply_drop(0.4, label_field="ground_truth", rule="balanced", key="other")
    names = set(odd_dataset.distinct("ground_truth.label"))
    for one in (
        fod.load_drop(odd_dataset, "drop"),
        fod.compare_drops(odd_dataset, "drop", "other"),
    ):
        rows = read(one._repr_html_()).rows
        assert {row[0] for row in rows[1:-1]} == names
        assert set(one.to_pandas().index) == names


def test_ten_thousand_classes_stay_readable():
    table = large_table()
    page = table._repr_html_()
    assert len(page) < 20_000
    rows = read(page).rows
    worst = [table.names[k] for k in np.argsort(table.recalls)[:MOST_ROWS]]
    assert [row[0] for row in rows[1 : MOST_ROWS + 1]] == worst
    assert rows[-2][0] == "... and 9,960 more"
    assert len(table.to_pandas()) == 10_000
