"""Drafts side by side, against comparisons of the runs that they become."""

import numpy as np
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop.draft_sides import counts_of_two, side_of_draft, side_of_run
from fiftyone_drop.drafts import draft_of, draft_of_run

DENSITY = 0.4


def test_two_drafts_are_compared_as_two_runs_are(dataset, recalls):
    dataset.apply_drop(DENSITY, recalls=recalls)
    draft = draft_of_run(dataset, "drop")
    even = draft.changed(rule="balanced")
    even.plan(0.5).apply("even", progress=False)
    compared = fod.compare_drops(dataset, "drop", "even")
    for first, second in (
        (side_of_draft(draft, DENSITY), side_of_draft(even, 0.5)),
        (side_of_run(dataset, "drop"), side_of_draft(even, 0.5)),
        (side_of_draft(draft, DENSITY), side_of_run(dataset, "even")),
    ):
        classes, counts = counts_of_two(first, second)
        assert tuple(classes) == compared.classes
        expected = [compared.only_first, compared.only_second, compared.kept_by_both]
        np.testing.assert_array_equal(counts, expected)


def test_a_run_is_compared_as_it_is_now(dataset, recalls):
    """Its classes may have gone, its samples have other labels or have left the target view."""
    target = dataset.match_tags("train")
    target.apply_drop(DENSITY, recalls=recalls)
    target.apply_drop(0.5, rule="balanced", key="even")
    kept = fod.drop_view(dataset, "drop")
    dataset.delete_samples(dataset.match(F("ground_truth.label") == "eight"))
    kept[:20].untag_samples("train")
    kept[20:30].set_values("ground_truth.label", ["zero"] * 10)
    compared = fod.compare_drops(dataset, "drop", "even")
    classes, counts = counts_of_two(side_of_run(dataset, "drop"), side_of_run(dataset, "even"))
    assert tuple(classes) == compared.classes
    # By their labels of now, which a draft is decided on; two runs are compared by those of then
    for row, part in zip(counts.tolist(), ("first", "second", "both"), strict=True):
        now = compared.view(part).count_values("ground_truth.label")
        assert {name: n for name, n in zip(classes, row, strict=True) if n} == now


def test_classes_that_came_later_are_compared_too(dataset, recalls):
    dataset.apply_drop(DENSITY, recalls=recalls)
    kept = fod.drop_view(dataset, "drop")
    kept[:10].set_values("ground_truth.label", ["cat"] * 10)
    draft = draft_of(dataset, rule="balanced")
    classes, counts = counts_of_two(side_of_run(dataset, "drop"), side_of_draft(draft, 1.0))
    assert counts[:, classes.index("cat")].tolist() == [0, 0, 10]


def test_what_one_of_two_lacks_is_not_kept_by_it(dataset, recalls):
    draft = draft_of(dataset, recalls=recalls)
    ones = dataset.match(F("ground_truth.label") == "one").values("id")
    others = draft.without(ones)
    classes, counts = counts_of_two(side_of_draft(draft, 1.0), side_of_draft(others, 1.0))
    row = classes.index("one")
    assert counts[:, row].tolist() == [len(ones), 0, 0]
    assert counts.sum() == 300
