"""What the server counts equals what is counted from the values of all samples."""

import itertools
from collections import Counter

import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.rules import RULES

DENSITIES = [0.5, 0, 0.01, 1, 0.333, 0.5, 0.04]


def counted(dataset, density, *paths):
    """The kept samples of each class, from all values of the dataset."""
    keep_at, *columns = dataset.values(["drop_keep_at", *paths])
    names = zip(*columns, strict=True) if len(columns) > 1 else columns[0]
    return Counter(
        name for d, name in zip(keep_at, names, strict=True) if d is not None and d <= density
    )


@pytest.mark.parametrize("rule", sorted(RULES))
def test_the_kept_counts_are_those_of_the_samples_at_every_density(odd_dataset, rule):
    names = sorted(odd_dataset.distinct("ground_truth.label"))
    recalls = dict(zip(names, np.linspace(0.2, 0.9, len(names)).tolist(), strict=True))
    odd_dataset[:250].apply_drop(density=0.5, recalls=recalls, rule=rule, min_per_class=3)
    counts = fod.kept_counts(odd_dataset, "drop", DENSITIES)
    assert counts.shape == (len(DENSITIES), 8)
    assert counts[1].sum() == 0
    classes = fod.load_drop(odd_dataset, "drop").table.classes
    for density, row in zip(DENSITIES, counts.tolist(), strict=True):
        expected = counted(odd_dataset, density, "ground_truth.label")
        assert {name: n for name, n in zip(classes, row, strict=True) if n} == expected


def test_the_kept_counts_of_cells_are_counted_without_quotas(dataset):
    dataset[30:].apply_drop(density=0.5, rule="none", group_by="parity")
    classes = fod.load_drop(dataset, "drop").table.classes
    for density, row in zip(
        DENSITIES, fod.kept_counts(dataset, "drop", DENSITIES).tolist(), strict=True
    ):
        expected = counted(dataset, density, "ground_truth.label", "parity")
        assert {name: n for name, n in zip(classes, row, strict=True) if n} == expected


@pytest.mark.parametrize("group_by", [None, "parity"])
def test_a_sample_without_a_label_is_none_of_the_class_called_none(dataset, group_by):
    is_two = F("ground_truth.label") == "two"
    dataset.match(is_two).set_field("ground_truth.label", "None").save("ground_truth")
    dataset.apply_drop(0.5, rule="none", group_by=group_by)
    ones = dataset.match(F("ground_truth.label") == "one").limit(4)
    dataset.set_values("ground_truth", dict.fromkeys(ones.values("id")), key_field="id")
    table = fod.load_drop(dataset, "drop").table
    counts = dict(zip(table.names, fod.kept_counts(dataset, "drop", [1.0])[0], strict=True))
    sizes = dict(zip(table.names, table.sizes, strict=True))
    assert {n: counts[n] for n in sizes if "None" in n} == {
        n: sizes[n] for n in sizes if "None" in n
    }
    assert sum(counts.values()) == 296


@pytest.mark.parametrize(("rule", "times"), [("none", 1), ("drop", 0)])
def test_counting_goes_through_the_samples_once_at_most(dataset, recalls, scans, rule, times):
    dataset.apply_drop(density=0.5, recalls=recalls, rule=rule)
    before = scans(dataset)
    fod.kept_counts(dataset, "drop", np.linspace(0, 1, 101))
    assert scans(dataset) == before + times


def test_a_density_that_is_none_is_refused(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    with pytest.raises(DropError, match=r"densities: must be a number in \[0, 1\]"):
        fod.kept_counts(dataset, "drop", [0.5, 1.5])
    assert fod.kept_counts(dataset, "drop", []).shape == (0, 10)


@pytest.fixture
def scored(dataset, recalls):
    """A run on a part of a dataset, with a score that some samples lack."""
    values = np.random.default_rng(0).normal(size=300).tolist()
    for i in range(0, 300, 9):
        values[i] = [None, float("nan"), float("inf")][i % 3]
    dataset.set_values("score", values)
    dataset[50:].apply_drop(density=0.4, recalls=recalls)
    return dataset


@pytest.mark.parametrize("density", [None, 0.8])
def test_a_histogram_is_numpys_over_the_kept_and_the_pruned(scored, density):
    histogram = fod.score_histogram(scored, "drop", "score", bins=7, density=density)
    values = np.array(scored[50:].values("score"), dtype=float)
    kept = np.array(scored[50:].values("drop_keep_at")) <= (density or 0.4)
    finite = np.isfinite(values)
    _, edges = np.histogram(values[finite], bins=7)
    np.testing.assert_array_equal(histogram.edges, edges)
    np.testing.assert_array_equal(histogram.kept, np.histogram(values[finite & kept], edges)[0])
    np.testing.assert_array_equal(histogram.pruned, np.histogram(values[finite & ~kept], edges)[0])
    assert histogram.missing == (~finite).sum() > 0


def test_a_bin_holds_what_a_view_of_its_edges_shows(scored):
    histogram = fod.score_histogram(scored, "drop", "score", bins=11)
    edges = histogram.edges.tolist()
    edges[-1] = np.nextafter(edges[-1], np.inf)
    for part in ("kept", "pruned"):
        shown = [
            len(fod.drop_view(scored, "drop", part=part, score="score", score_range=bounds))
            for bounds in itertools.pairwise(edges)
        ]
        assert shown == getattr(histogram, part).tolist()


def test_scores_that_are_all_alike_or_absent_have_a_histogram_too(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.set_values("same", [3] * 300)
    same = fod.score_histogram(dataset, "drop", "same", bins=5)
    assert same.edges[0] < 3 < same.edges[-1]
    assert (same.kept.sum(), same.pruned.sum(), same.missing) == (150, 150, 0)
    dataset.match(F("same") > 0).set_values("same", [None] * 300)
    none = fod.score_histogram(dataset, "drop", "same", bins=5)
    assert (none.kept.sum(), none.pruned.sum(), none.missing) == (0, 0, 300)


def test_a_histogram_goes_through_the_samples_twice(scored, scans):
    before = scans(scored)
    fod.score_histogram(scored, "drop", "score")
    assert scans(scored) == before + 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"score": "ground_truth"}, "score: must be"),
        ({"bins": 0}, "bins: must be"),
        ({"bins": True}, "bins: must be"),
        ({"density": 2}, "density: must"),
        ({"key": "other"}, "key: the drop run 'other'"),
    ],
)
def test_what_has_no_histogram_is_refused_by_name(scored, arguments, message):
    with pytest.raises(DropError, match=message):
        fod.score_histogram(scored, **{"key": "drop", "score": "score", **arguments})
