"""What the reader streams and counts is what FiftyOne's own methods return."""

import gc
from collections import Counter

import numpy as np
import pytest
from fiftyone import ViewField as F
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_drop import reader

PATHS = ["ground_truth.label", "filepath", "score", "tags"]


@pytest.fixture
def scored(dataset):
    """300 digits, of which some have no score and some no label."""
    dataset.set_values("score", [None if i % 4 == 0 else i / 7 for i in range(300)])
    dataset[10:20].set_values("ground_truth", [None] * 10)
    return dataset


VIEWS = {
    "dataset": lambda dataset: dataset,
    "slice": lambda dataset: dataset[50:60],
    "sorted": lambda dataset: dataset.sort_by("filepath", reverse=True).skip(7),
    "shuffled": lambda dataset: dataset.shuffle(seed=3),
    "mapped": lambda dataset: dataset.map_labels("ground_truth", {"zero": "round"}),
    "filtered": lambda dataset: dataset.filter_labels("ground_truth", F("label") != "one"),
    "selected": lambda dataset: dataset.select(dataset.values("id")[::-3], ordered=True),
    "twice": lambda dataset: dataset.limit(5).concat(dataset.limit(3)),
    "empty": lambda dataset: dataset.limit(0),
}


@pytest.mark.parametrize("view", VIEWS)
def test_a_stream_in_batches_is_the_values_of_a_view(scored, monkeypatch, view):
    samples = VIEWS[view](scored)
    expected = list(samples.values(["id", *PATHS]))
    for batch in (1, 7, 300, 5000):
        monkeypatch.setattr(reader, "BATCH", batch)
        batches = list(reader.stream(samples, PATHS))
        ids = [i.decode() for ids, _ in batches for i in ids.tolist()]
        columns = [[value for _, columns in batches for value in columns[p]] for p in range(4)]
        assert [ids, *columns] == expected
        assert all(len(ids) == batch for ids, _ in batches[:-1])
        assert {ids.dtype for ids, _ in batches} <= {np.dtype("S24")}


def test_ids_alone_are_read_too(scored):
    assert [i.decode() for i in reader.read_ids(scored[:50]).tolist()] == scored[:50].values("id")
    assert reader.read_ids(scored.limit(0)).shape == (0,)


def test_reading_leaves_the_garbage_collector_as_it_was(scored):
    for enabled in (True, False):
        (gc.enable if enabled else gc.disable)()
        try:
            for _ in reader.stream(scored.limit(3), PATHS):
                assert gc.isenabled() == enabled
        finally:
            gc.enable()


def test_a_short_read_shows_no_progress_bar(dataset, monkeypatch, capfd):
    with reader.reading_bar(dataset, True) as bar:
        bar.update(300)
    assert capfd.readouterr().out == ""
    monkeypatch.setattr(reader, "LONG_READ", 300)
    with reader.reading_bar(dataset, True) as bar:
        bar.update(300)
    assert "300/300" in capfd.readouterr().out


def test_groups_are_counted_as_python_counts_them(scored):
    where = F("score") > 1
    labels, parities, scores = scored.values(["ground_truth.label", "parity", "score"])
    expected = Counter(
        (label, parity)
        for label, parity, score in zip(labels, parities, scores, strict=True)
        if score is not None and score > 1
    )
    groups = reader.count_groups(scored, where, ["$ground_truth.label", "$parity"])
    assert {tuple(names): n for *names, n in groups} == expected
    assert any(label is None for label, _ in expected)
    assert reader.count_groups(scored, F("score") > 1e9, ["$parity"]) == []


def test_a_missing_value_is_a_group_of_its_own(scored):
    groups = dict(reader.count_groups(scored, F("filepath") != "", ["$ground_truth.label"]))
    assert groups == Counter(scored.values("ground_truth.label"))
    assert groups[None] == 10


def test_samples_are_reduced_on_the_server(scored):
    group = {"_id": None, "low": {"$min": "$score"}, "n": {"$sum": 1}}
    (found,) = reader.aggregate(scored, F("score") > 5, group)
    scores = [score for score in scored.values("score") if score is not None and score > 5]
    assert (found["low"], found["n"]) == (min(scores), len(scores))


def test_tags_are_counted_in_the_view_alone(scored):
    scored[:10].tag_samples("val")
    assert reader.count_tags(scored) == {"train": 300, "val": 10}
    assert reader.count_tags(scored[8:]) == {"train": 292, "val": 2}


def test_samples_are_counted_where_the_server_estimates_wrongly(dataset, monkeypatch):
    """As it does after it was killed."""
    import fiftyone_drop as fod

    monkeypatch.setattr(type(dataset), "_estimated_count", lambda *args, **more: 0)
    assert len(dataset) == 0
    assert reader.count(dataset) == reader.count(dataset.view()) == 300
    assert reader.count(dataset.limit(7)) == 7
    assert reader.count(dataset.match_tags("nobody")) == 0
    view = fod.apply_drop(dataset, 0.5, label_field="ground_truth", rule="proportional")
    assert view.count("id") == 150
    scores = fod.compute_scores(dataset, "ground_truth", ["random"], prefix="any_")
    assert dataset.count(scores[0]) == 300


def to_ids(numbers):
    return np.array([f"{number:024x}" for number in numbers], dtype="S24")


@given(st.lists(st.integers(0, 50), unique=True), st.lists(st.integers(0, 50)))
def test_an_id_is_found_where_it_is(among, wanted):
    expected = [among.index(number) if number in among else -1 for number in wanted]
    ids = to_ids(among)
    assert reader.rows_of(to_ids(wanted), ids, np.argsort(ids)).tolist() == expected
    assert reader.rows_of(to_ids(wanted).astype("S25"), ids, np.argsort(ids)).tolist() == expected
    in_order = [sorted(among).index(number) if number in among else -1 for number in wanted]
    assert reader.rows_of(to_ids(wanted), np.sort(ids)).tolist() == in_order
