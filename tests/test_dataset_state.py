"""How many samples came and went since a run was decided, without a look at any of them."""

import datetime

import fiftyone_drop as fod
from fiftyone_drop.dataset_state import (
    NEWEST,
    SIZE,
    Changes,
    changes_since,
    last_change,
    quick_state,
    state_of,
)


def test_nothing_has_changed_at_first_nor_by_labels(dataset):
    state = state_of(dataset)
    assert changes_since(dataset, state) == (0, 0)
    dataset.set_values("name", ["other"] * 300)
    assert changes_since(dataset, state) == (0, 0)
    assert changes_since(dataset, {}) is None


def test_what_came_and_went_is_counted(dataset, new_samples):
    state = state_of(dataset)
    dataset.delete_samples(dataset.values("id")[:12])
    assert changes_since(dataset, state) == Changes(gone=12, added=0)
    dataset.add_samples(new_samples(range(30)), progress=False)
    assert changes_since(dataset, state) == Changes(gone=12, added=30)
    dataset.delete_samples(dataset.values("id")[-5:])
    assert changes_since(dataset, state) == Changes(gone=12, added=25)


def test_samples_of_a_late_clock_are_counted_as_far_as_they_are_more(dataset, new_samples):
    state = state_of(dataset)
    ids = dataset.add_samples(new_samples(range(4)), progress=False)
    long_ago = datetime.datetime(2020, 1, 1)
    dataset.select(ids)._dataset._sample_collection.update_many(
        {}, {"$set": {"created_at": long_ago}}
    )
    assert changes_since(dataset, state) == Changes(gone=0, added=4)


def test_samples_without_a_date_are_counted_too(dataset, new_samples):
    dataset._sample_collection.update_many({}, {"$unset": {"created_at": ""}})
    state = state_of(dataset)
    dataset.delete_samples(dataset.values("id")[:3])
    assert changes_since(dataset, state) == Changes(gone=3, added=0)


def test_an_estimate_that_is_wrong_makes_no_false_alarm(dataset, monkeypatch):
    state = state_of(dataset)
    monkeypatch.setattr("pymongo.collection.Collection.estimated_document_count", lambda _: 7)
    assert changes_since(dataset, state) == (0, 0)


def test_it_is_said_in_one_line():
    assert Changes(0, 0).in_words("drop") is None
    assert Changes(1, 0).in_words("drop") == (
        "of the samples of the dataset, 1 is gone since this run was decided: "
        "fod.verify_drop(dataset, 'drop') names those that matter to it"
    )
    assert "1,200 are gone and 3 are new since" in Changes(1200, 3).in_words("drop")


def test_no_sample_is_read_for_it(dataset, scans):
    dataset.apply_drop(0.5, rule="proportional")
    dataset.delete_samples(dataset.values("id")[:3])
    before = scans(dataset)
    run = fod.load_drop(dataset, "drop")
    assert run.changes.startswith("of the samples of the dataset, 3 are gone")
    assert f"Warning: {run.changes}" in str(run)
    assert scans(dataset) == before


def test_a_report_says_it_too(dataset):
    dataset.apply_drop(0.5, rule="proportional")
    assert "since this run was decided" not in str(fod.report(dataset, "drop"))
    dataset.delete_samples(dataset.values("id")[:3])
    assert "! Warning: Of the samples of the dataset, 3 are gone" in str(
        fod.report(dataset, "drop")
    )


def test_a_quick_look_sees_what_came_and_went(dataset, new_samples):
    seen = [quick_state(dataset)]
    assert quick_state(dataset) == seen[0]
    dataset.delete_samples(dataset.values("id")[:3])
    seen.append(quick_state(dataset))
    dataset.add_samples(new_samples(range(3)), progress=False)
    seen.append(quick_state(dataset))
    assert seen[0] != seen[1] != seen[2] != seen[0]


def test_a_change_of_a_value_is_seen_as_the_last_change_and_in_no_state(dataset):
    state, changed = quick_state(dataset), last_change(dataset)
    assert last_change(dataset) == changed
    dataset.limit(1).tag_samples("seen")
    assert last_change(dataset) > changed
    assert quick_state(dataset) == state


def test_what_a_copy_of_a_dataset_has_gained_and_lost_is_not_known(dataset):
    """All samples of a clone are as new as the clone."""
    dataset.apply_drop(0.5, rule="proportional")
    clone = dataset.clone()
    try:
        run = fod.load_drop(clone, "drop")
        assert run.changes is None
        earlier = {name: run.config.found[name] for name in (SIZE, NEWEST)}  # which did not say it
        assert changes_since(clone, earlier) == Changes(gone=300, added=300)
        clone.delete_samples(clone.values("id")[:30])
        fod.set_density(clone, "drop", 0.9)  # its quotas are counted all the same
        kept = fod.drop_view(clone, "drop").count_values("ground_truth.label")
        assert fod.load_drop(clone, "drop").table.by_class("quotas") == kept
    finally:
        clone.delete()
