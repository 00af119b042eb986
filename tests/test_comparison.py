"""``compare_drops``: numbers and views equal those of the sets of ids."""

from collections import Counter

import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.snapshot import delete_snapshot


def kept(dataset, key):
    """The label of each kept sample, by id."""
    ids, labels, flags = dataset.values(["id", "ground_truth.label", f"{key}_kept"])
    return {i: label for i, label, flag in zip(ids, labels, flags, strict=True) if flag}


def check_against_sets(dataset, comparison):
    one, two = kept(dataset, comparison.key), kept(dataset, comparison.other)
    sets = {
        "first": (one.keys() - two.keys(), comparison.only_first),
        "second": (two.keys() - one.keys(), comparison.only_second),
        "both": (one.keys() & two.keys(), comparison.kept_by_both),
    }
    for which, (members, counts) in sets.items():
        assert set(comparison.view(which).values("id")) == members
        expected = Counter((one | two)[i] for i in members)
        by_class = dict(zip(comparison.classes, counts.tolist(), strict=True))
        assert {name: n for name, n in by_class.items() if n} == expected


def test_two_runs_are_compared_class_by_class(odd_dataset):
    odd_dataset.apply_drop(density=0.5, rule="proportional", key="one")
    odd_dataset.apply_drop(density=0.5, rule="balanced", key="two", seed=3)
    comparison = fod.compare_drops(odd_dataset, "one", "two")
    check_against_sets(odd_dataset, comparison)
    for column, key in enumerate(("one", "two")):
        table = fod.load_drop(odd_dataset, key).table
        assert comparison.classes == table.classes
        np.testing.assert_array_equal(comparison.densities[:, column], table.densities)
    assert comparison.warnings == ()


def test_a_run_compared_with_itself_has_nothing_of_its_own(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    comparison = fod.compare_drops(dataset, "drop", "drop")
    assert comparison.only_first.sum() == comparison.only_second.sum() == 0
    assert comparison.kept_by_both.sum() == 150


def test_runs_of_different_samples_classes_and_densities_are_compared_with_warnings(dataset):
    of = {"one": ["zero", "two", "three"], "two": ["two", "three", "four"]}
    for key, density in (("one", 0.5), ("two", 0.4)):
        labels = dataset.values("ground_truth.label")
        ids = [i for i, n in zip(dataset.values("id"), labels, strict=True) if n in of[key]]
        dataset.select(ids).apply_drop(density=density, rule="none", key=key)
    comparison = fod.compare_drops(dataset, "one", "two")
    check_against_sets(dataset, comparison)
    assert comparison.classes == ("four", "three", "two", "zero")
    missing = np.isnan(comparison.densities)
    assert missing.tolist() == [[True, False], [False, False], [False, False], [False, True]]
    densities, samples, *classes = comparison.warnings
    assert "keeps 0.5" in densities
    shared = sum(n in ("two", "three") for n in dataset.values("ground_truth.label"))
    assert f"of which {shared} are in both" in samples
    assert classes == ["only 'one' has the classes 'zero'", "only 'two' has the classes 'four'"]
    assert "Warning: only 'two' has the classes 'four'" in str(comparison)


def test_runs_of_the_same_cells_are_compared_by_cell(dataset):
    for key, rule in (("one", "proportional"), ("two", "balanced")):
        dataset.apply_drop(density=0.5, rule=rule, group_by="parity", key=key)
    comparison = fod.compare_drops(dataset, "one", "two")
    assert len(comparison.classes) == 20
    assert "zero / even" in comparison.names
    assert comparison.kept_by_both.sum() + comparison.only_first.sum() == 150


def test_a_run_of_cells_is_compared_with_one_of_classes_by_class(dataset):
    dataset.apply_drop(density=0.5, rule="balanced", group_by="parity", key="one")
    dataset.apply_drop(density=0.5, rule="balanced", key="two")
    comparison = fod.compare_drops(dataset, "one", "two")
    check_against_sets(dataset, comparison)
    sizes = dataset.count_values("ground_truth.label")
    of_one = Counter(kept(dataset, "one").values())
    expected = [of_one[name] / sizes[name] for name in comparison.classes]
    np.testing.assert_allclose(comparison.densities[:, 0], expected)


def test_a_comparison_prints_the_classes_that_differ_most_first(dataset):
    dataset.set_values("name", [f"class {i % 60:02d}" for i in range(300)])
    for key, rule in (("one", "proportional"), ("two", "none")):
        dataset.apply_drop(density=0.5, rule=rule, label_field="name", key=key, min_per_class=0)
    comparison = fod.compare_drops(dataset, "one", "two")
    difference = np.abs(np.diff(comparison.densities, axis=1)[:, 0])
    lines = str(comparison).splitlines()
    assert lines[2].startswith(comparison.names[int(np.argmax(difference))])
    assert "20 more" in str(comparison)
    assert lines[-1].split()[0] == "total"


def test_comparing_goes_through_the_samples_once(dataset, recalls, scans):
    for key in ("one", "two"):
        dataset.apply_drop(density=0.5, recalls=recalls, key=key)
    before = scans(dataset)
    comparison = fod.compare_drops(dataset, "one", "two")
    comparison.view("first")
    assert scans(dataset) == before + 1


def test_what_cannot_be_compared_is_refused_by_name(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, key="one")
    dataset.apply_drop(density=0.5, recalls=recalls, key="two", label_field="name")
    with pytest.raises(DropError, match="'ground_truth' and 'two' those of 'name'"):
        fod.compare_drops(dataset, "one", "two")
    with pytest.raises(DropError, match=r"'three' of .* does not exist"):
        fod.compare_drops(dataset, "one", "three")
    with pytest.raises(DropError, match="which: must be one of"):
        fod.compare_drops(dataset, "one", "one").view("third")


def test_a_sample_without_a_label_is_none_of_the_class_called_none(dataset):
    is_two = F("ground_truth.label") == "two"
    dataset.match(is_two).set_field("ground_truth.label", "None").save("ground_truth")
    for key in ("drop", "second"):
        dataset.apply_drop(1.0, rule="none", key=key)
    sizes = dataset.count_values("ground_truth.label")
    ones = dataset.match(F("ground_truth.label") == "one").limit(4)
    dataset.set_values("ground_truth", dict.fromkeys(ones.values("id")), key_field="id")
    found = fod.compare_drops(dataset, "drop", "second")
    both = dict(zip(found.classes, found.kept_by_both.tolist(), strict=True))
    assert both == sizes  # the four count where both runs were decided on them


# -- what has changed since -----------------------------------------------------------------------


@pytest.fixture
def two_runs(dataset):
    """Two runs of one dataset that differ in their seeds."""
    for key, seed in (("one", 1), ("two", 2)):
        dataset.apply_drop(0.5, rule="proportional", key=key, seed=seed)
    return dataset


def rename(dataset, name, to):
    of_class = dataset.match(F("ground_truth.label") == name)
    of_class.set_field("ground_truth.label", to).save("ground_truth")


def numbers(comparison):
    """What is kept of each class by both, by the first and by the second only."""
    columns = (comparison.kept_by_both, comparison.only_first, comparison.only_second)
    return {
        name: row
        for name, *row in zip(comparison.classes, *(c.tolist() for c in columns), strict=True)
    }


@pytest.mark.parametrize("to", ["One", "two"])
def test_samples_of_a_renamed_class_count_in_the_class_of_both_runs(two_runs, to):
    before = numbers(fod.compare_drops(two_runs, "one", "two"))
    rename(two_runs, "one", to)
    after = fod.compare_drops(two_runs, "one", "two")
    assert numbers(after) == before
    assert after.warnings == ()


def test_samples_count_in_their_present_class_if_the_later_run_was_decided_on_it(dataset):
    dataset.apply_drop(0.5, rule="proportional", key="one")
    rename(dataset, "one", "One")
    dataset.apply_drop(0.5, rule="proportional", key="two", seed=3)
    check_against_sets(dataset, fod.compare_drops(dataset, "one", "two"))


def test_classes_of_runs_that_are_divided_differently_survive_a_rename(dataset):
    dataset.apply_drop(0.5, rule="balanced", group_by="parity", key="one")
    dataset[50:].apply_drop(0.5, rule="balanced", key="two")
    before = numbers(fod.compare_drops(dataset, "one", "two"))
    rename(dataset, "one", "One")
    assert numbers(fod.compare_drops(dataset, "one", "two")) == before


def test_samples_whose_class_nobody_knows_any_more_are_warned_of(two_runs):
    of_class = two_runs.count_values("ground_truth.label")["one"]
    rename(two_runs, "one", "One")
    for key in ("one", "two"):
        delete_snapshot(fod.load_drop(two_runs, key).config.token)
    comparison = fod.compare_drops(two_runs, "one", "two")
    assert comparison.warnings[0].startswith(f"{of_class} samples have no class of either run")


def test_deleted_samples_do_not_make_two_runs_ones_of_different_samples(two_runs):
    two_runs.delete_samples(two_runs[:12].values("id"))
    comparison = fod.compare_drops(two_runs, "one", "two")
    check_against_sets(two_runs, comparison)
    assert [words.partition(" since")[0] for words in comparison.warnings] == [
        "12 of the 300 samples of 'one' are gone",
        "12 of the 300 samples of 'two' are gone",
    ]
    assert len(fod.compare_drops(two_runs, "one", "one").warnings) == 1
