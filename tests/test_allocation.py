"""``allocate``: quotas from arrays or mappings of sizes and recalls."""

import numpy as np
import pandas as pd
import pytest
from class_tables import class_tables, densities, rules
from hypothesis import given
from hypothesis import strategies as st

import fiftyone_drop as fod
from fiftyone_drop import DropError, allocate, kept_size
from fiftyone_drop.rules import RULES


@given(table=class_tables, density=densities, rule=rules, data=st.data())
def test_permuting_classes_with_their_names_permutes_quotas(table, density, rule, data):
    sizes, recalls = table
    if kept_size(int(sizes.sum()), density) == 0:
        return
    names = [f"class {k:02d}" for k in range(len(sizes))]
    shuffled = data.draw(st.permutations(range(len(sizes))))

    def quotas(order):
        allocation = allocate(
            {names[k]: int(sizes[k]) for k in order},
            {names[k]: float(recalls[k]) for k in order},
            density,
            rule=rule,
        )
        return dict(zip(allocation.classes, allocation.quotas.tolist(), strict=True))

    assert quotas(range(len(sizes))) == quotas(shuffled)


def test_equal_recalls_give_equal_densities_whatever_the_class_sizes():
    """Catches a rule that forgets the class size."""
    allocation = allocate([1000, 100, 10], [0.8, 0.8, 0.8], 0.3)
    assert allocation.quotas.tolist() == [300, 30, 3]
    np.testing.assert_allclose(allocation.densities, 0.3)


def test_the_authors_code_and_the_paper_differ_on_imbalanced_classes():
    """Group sizes of Waterbirds: N_k (1 - r_k) against 1 - r_k, worked out by hand."""
    sizes, recalls = [3498, 184, 56, 1057], [0.99, 0.75, 0.60, 0.95]
    paper = allocate(sizes, recalls, 0.1)
    code = allocate(sizes, recalls, 0.1, rule="drop-unweighted")
    assert paper.quotas.tolist() == [111, 146, 56, 167]
    assert code.quotas.tolist() == [40, 184, 56, 200]


def test_balanced_quotas_are_equal_as_far_as_the_classes_last():
    assert allocate([100, 100, 10], None, 0.5, rule="balanced").quotas.tolist() == [48, 47, 10]


def test_perfect_recall_everywhere_falls_back_to_equal_densities():
    allocation = allocate([40, 20], [1.0, 1.0], 0.5)
    assert allocation.quotas.tolist() == [20, 10]
    np.testing.assert_allclose(allocation.densities, 0.5)


def test_the_floor_comes_first():
    assert allocate([100, 100], [1.0, 0.5], 0.1, min_per_class=3).quotas.tolist() == [3, 17]


def test_a_density_too_small_for_the_floors_names_one_that_works():
    with pytest.raises(DropError, match=r"smallest density that works is 0\.0275") as caught:
        allocate([100, 100], [0.9, 0.5], 0.01, min_per_class=3)
    assert "min_per_class" in str(caught.value)
    assert allocate([100, 100], [0.9, 0.5], 0.0275, min_per_class=3).quotas.tolist() == [3, 3]


def test_an_emptied_class_is_named():
    with pytest.raises(DropError, match=r"nothing would be kept of 'cat'; .*allow_empty_classes"):
        allocate({"cat": 9, "dog": 9}, {"cat": 1.0, "dog": 0.5}, 0.3, allow_empty_classes=False)


@pytest.mark.parametrize(
    ("density", "words"),
    [
        (0, "in (0, 1]"),
        (-0.1, "in (0, 1]"),
        (1.0001, "in (0, 1]"),
        (50, "To keep 50 % write 0.5"),
        (float("nan"), "in (0, 1]"),
        (float("inf"), "in (0, 1]"),
        ("0.5", "got '0.5'"),
        (None, "got None"),
        (True, "got True"),
        (0.004, "smallest density that works is 0.005"),
    ],
)
def test_a_bad_density_is_refused_with_the_rule_and_the_value(density, words):
    with pytest.raises(DropError) as caught:
        allocate([60, 40], [0.5, 0.5], density)
    assert "density" in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("sizes", "recalls", "words"),
    [
        ([], [], "class_sizes: must be"),
        ([0, 3], [0.5, 0.5], "class_sizes: must be"),
        ([1.5, 3], [0.5, 0.5], "class_sizes: must be"),
        ([[1, 2]], [[0.5, 0.5]], "class_sizes: must be"),
        ([True, 3], [0.5, 0.5], "class_sizes: must be one number per class, but holds True"),
        (
            np.ma.masked_array([5, 5], [0, 1]),
            [0.5, 0.5],
            "class, but 1 are masked; leave them out",
        ),
        ([5, 5], [True, 0.5], "recalls: must be one number per class, but holds True"),
        (
            [5, 5],
            np.ma.masked_array([0.5, 0.5], [0, 1]),
            "class, but 1 are masked; leave them out",
        ),
        ([5, 5], [0.5], "shape (1,) for 2 classes"),
        ([5, 5], [0.5, 1.5], "in [0, 1], for 1, but got 1.5"),
        ([5, 5], [0.5, float("nan")], "in [0, 1], for 1, but got nan"),
        ([5, 5], None, "rule 'drop' needs 'recalls'"),
        ({"a": 5, "b": 5}, {"a": 0.5}, "no recall for 'b'"),
        ({"a": 5}, {"a": 0.5, "x": 0.5}, "'x' is no class"),
        ({"a": 5}, [0.5], "must be a mapping if class_sizes is one"),
        ({"a": 5}, {"a": "0.5"}, "got '0.5'"),
    ],
)
def test_bad_columns_are_refused_with_what_is_wrong(sizes, recalls, words):
    with pytest.raises(DropError) as caught:
        allocate(sizes, recalls, 0.5)
    assert words in str(caught.value)


@pytest.mark.parametrize("min_per_class", [-1, 0.5, True, None, "1"])
def test_a_bad_floor_is_refused(min_per_class):
    with pytest.raises(DropError, match="min_per_class: must be a whole number >= 0"):
        allocate([5, 5], [0.5, 0.5], 0.5, min_per_class=min_per_class)


def test_an_unknown_rule_is_refused_with_those_there_are():
    with pytest.raises(DropError, match=r"rule: must be one of .*'drop', .* but got 'drp'"):
        allocate([5], [0.5], 0.5, rule="drp")


def test_a_rule_without_quotas_cannot_allocate():
    with pytest.raises(DropError, match="rule: 'none' sets no quotas"):
        allocate([5], [0.5], 0.5, rule="none")


SIZES, RECALLS = {"cat": 10, "dog": 20}, {"cat": 0.5, "dog": 0.9}


@pytest.mark.parametrize(
    ("argument", "arguments"),
    [
        ("class_sizes", {"class_sizes": [[1, 2], [3]]}),
        ("recalls", {"class_sizes": [1, 2], "recalls": [[0.5], [0.5, 0.9]]}),
        ("columns", {"columns": [1]}),
        ("columns", {"columns": {"mean:loss": {"cat": "x", "dog": 1}}}),
        ("columns", {"columns": {"mean:loss": {"cat": 1}}}),
        ("columns", {"columns": {"mean:loss": [[1], [1, 2]]}}),
        ("columns", {"columns": {"sizes": {"cat": 1, "dog": 1}}}),
        ("columns", {"columns": {"recalls": {"cat": 1, "dog": 1}}}),
    ],
)
def test_what_is_no_column_is_refused_by_the_name_of_its_argument(argument, arguments):
    with pytest.raises(DropError) as caught:
        allocate(**({"class_sizes": SIZES, "recalls": RECALLS, "density": 0.5} | arguments))
    assert caught.value.argument == argument


@pytest.mark.parametrize("grouped", [False, True])
def test_ties_break_as_apply_drop_breaks_them(make_dataset, grouped):
    dataset = make_dataset(260)
    names = ["2", "10", "1", "0", "a b", "a", "B", "a/b", "é", "_", "~", "11", "aa"]
    groups = ["x", "x y", "X", "1"]
    dataset.set_values("name", [names[i % 13] for i in range(260)])
    dataset.set_values("parity", [groups[i // 13 % 4] for i in range(260)])
    options = {"label_field": "name", "group_by": "parity" if grouped else None}
    for density in (0.11, 0.33, 0.57, 0.83):
        plan = fod.plan_drop(
            dataset,
            density,
            rule="proportional",
            min_per_class=0,
            **options,
            allow_empty_classes=True,
        )
        sizes = plan.table.by_class("sizes")
        shuffled = dict(sorted(sizes.items(), key=lambda item: str(item[0])[::-1]))
        found = fod.allocate(shuffled, None, density, rule="proportional")
        assert dict(zip(found.classes, found.quotas.tolist(), strict=True)) == plan.quotas


def test_a_series_is_matched_by_its_index():
    sizes = pd.Series(["cat"] * 90 + ["dog"] * 10).value_counts()
    recalls = pd.Series({"dog": 0.2, "cat": 0.95})
    expected = allocate({"cat": 90, "dog": 10}, {"cat": 0.95, "dog": 0.2}, 0.5)
    for some in (recalls, dict(recalls)):
        found = allocate(sizes, some, 0.5)
        assert found.classes == ("cat", "dog")
        assert found.quotas.tolist() == expected.quotas.tolist()
    assert allocate(dict(sizes), recalls, 0.5).quotas.tolist() == expected.quotas.tolist()
    about = {"needs": ("mean:loss",), "description": "by a column", "source": "a test"}
    fod.register_rule("by-columns", **about)(lambda columns: columns["mean:loss"])
    try:
        loss = pd.Series({"dog": 1.0, "cat": 0.0})
        options = {"columns": {"mean:loss": loss}, "allow_empty_classes": True}
        found = allocate(sizes, None, 0.1, "by-columns", **options)
    finally:
        del RULES["by-columns"]
    assert found.quotas.tolist() == [0, 10]


def test_a_series_beside_an_array_or_with_a_class_twice_is_refused():
    series = pd.Series({"a": 5, "b": 5})
    for sizes, recalls in [(series, [0.5, 0.5]), ([5, 5], series / 10)]:
        with pytest.raises(DropError, match=r"^recalls: must be a mapping if .*\.to_numpy\(\)"):
            allocate(sizes, recalls, 0.5)
    twice = pd.Series([5, 5, 5], index=["a", "b", "a"])
    with pytest.raises(DropError, match=r"^class_sizes: has two values of 'a'; leave one out"):
        allocate(twice, None, 0.5, "proportional")
    with pytest.raises(DropError, match=r"^class_sizes: must be"):
        allocate(pd.DataFrame({"a": [5], "b": [5]}), None, 0.5, "proportional")


def test_only_a_call_that_takes_a_missing_recall_advises_one(dataset):
    calls = {
        allocate: ({"a": 5, "b": 5}, {"a": 0.5}, 0.5),
        fod.plan_arrays: (["1", "2"], ["a", "b"], 0.5),
    }
    for call, arguments in calls.items():
        options = {} if call is allocate else {"recalls": {"a": 0.5}}
        with pytest.raises(DropError, match=r"no recall for 'b'; add it$"):
            call(*arguments, **options)
    with pytest.raises(DropError, match=r"add it, or pass missing_recall=<float>$"):
        fod.plan_drop(dataset, 0.5, recalls={"zero": 0.5})
