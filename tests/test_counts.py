"""What the server counts equals what is counted from the values of all samples."""

import itertools
from collections import Counter

import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.members import read_members
from fiftyone_drop.rules import RULES
from fiftyone_drop.snapshot import delete_snapshot

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
    # They count where the run was decided on them, and none of them as "None"
    assert fod.kept_counts(dataset, "drop", [1.0])[0].tolist() == table.sizes.tolist()


@pytest.fixture
def relabel(dataset):
    """A function that gives all samples of a class another label, or some of them."""

    def change(name, to, most=None):
        of_class = dataset.match(F("ground_truth.label") == name)
        ids = of_class.values("id")[:most]
        dataset.select(ids).set_field("ground_truth.label", to).save("ground_truth")

    return change


def forget_classes(dataset):
    """Make a run one of an earlier version, whose classes the database does not have."""
    delete_snapshot(fod.load_drop(dataset, "drop").config.token)


@pytest.mark.parametrize(("to", "most"), [("Two", None), ("one", None), ("one", 5)])
@pytest.mark.parametrize("group_by", [None, "parity"])
def test_relabelled_samples_count_in_the_class_that_the_run_was_decided_on(
    dataset, relabel, group_by, to, most
):
    dataset.apply_drop(0.5, rule="none", group_by=group_by)
    before = fod.kept_counts(dataset, "drop", DENSITIES)
    relabel("two", to, most)
    np.testing.assert_array_equal(fod.kept_counts(dataset, "drop", DENSITIES), before)
    view = fod.set_density(dataset, "drop", 0.9)
    run = fod.load_drop(dataset, "drop")
    assert run.to_dict()["kept"] == len(view) == 270
    assert run.table.densities.max() <= 1


def test_deleted_and_relabelled_samples_of_a_run_with_quotas_count_as_it_was_decided(
    dataset, recalls, relabel
):
    labels = dict(zip(*dataset.values(["id", "ground_truth.label"]), strict=True))
    dataset.apply_drop(0.5, recalls=recalls)
    relabel("two", "Two")
    dataset.delete_samples(dataset.match(F("drop_kept") == True).limit(7).values("id"))  # noqa: E712
    for density in (0.3, 0.6):
        view = fod.set_density(dataset, "drop", density)
        expected = Counter(labels[i] for i in view.values("id"))
        assert fod.load_drop(dataset, "drop").table.by_class("quotas") == expected


def test_a_copy_of_a_sample_counts_by_its_label(dataset, relabel):
    dataset.apply_drop(0.5, rule="none")
    dataset.add_samples([sample.copy() for sample in dataset[:5]], progress=False)
    relabel("two", "Two", 9)
    assert fod.kept_counts(dataset, "drop", [0.4, 1.0]).sum(axis=1).tolist() == [
        len(fod.drop_view(dataset, "drop", density)) for density in (0.4, 1.0)
    ]


@pytest.mark.parametrize(
    ("to", "words"),
    [("Two", "samples of the drop run 'drop' have no class of it"), ("one", "relabelled to 'one'")],
)
def test_a_run_that_does_not_know_its_classes_counts_labels_and_says_so(
    dataset, relabel, to, words
):
    dataset.apply_drop(0.5, rule="none")
    relabel("two", to)
    forget_classes(dataset)
    now = counted(dataset, 0.4, "ground_truth.label")
    with pytest.warns(DropWarning, match=words):
        fod.set_density(dataset, "drop", 0.4)
    quotas = fod.load_drop(dataset, "drop").table.by_class("quotas")
    assert {name: n for name, n in quotas.items() if n} == {
        name: n for name, n in now.items() if name in quotas
    }


def test_samples_are_read_only_where_labels_cannot_be_those_of_the_run(
    dataset, relabel, monkeypatch
):
    reads = []
    monkeypatch.setattr(
        "fiftyone_drop.counts.read_members", lambda *a: reads.append(1) or read_members(*a)
    )
    dataset.apply_drop(0.5, rule="none")
    dataset.delete_samples(dataset[:20].values("id"))
    fod.set_density(dataset, "drop", 0.4)
    assert not reads
    relabel("two", "Two", 1)
    fod.set_density(dataset, "drop", 0.5)
    assert reads


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


@pytest.mark.parametrize(
    "values", [[2**62] * 2, [2**62, 2**62 + 2048], [-1.7e308, 1.7e308], [1.797e308] * 2]
)
def test_any_numbers_have_a_histogram(dataset, recalls, values):
    dataset.apply_drop(density=0.5, recalls=recalls)
    dataset.set_values("large", values * 150)
    found = fod.score_histogram(dataset, "drop", "large")
    assert np.isfinite(found.edges).all()
    assert found.edges[0] <= values[0] <= values[1] <= found.edges[-1]
    assert (found.kept.sum(), found.pruned.sum(), found.missing) == (150, 150, 0)


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
