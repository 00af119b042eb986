"""The samples of a run as they were decided on, stored in a few bytes each."""

from datetime import timedelta

import numpy as np
import pytest
from bson import ObjectId
from hypothesis import given
from hypothesis import strategies as st
from pymongo.collection import Collection

import fiftyone_drop as fod
from fiftyone_drop import snapshot
from fiftyone_drop.snapshot import Snapshot, delete_snapshot, load_snapshot, save_snapshot


def stored(token):
    """How many documents there are of a snapshot."""
    return snapshot._snapshots().count_documents({"token": token})


def token_of(dataset):
    return fod.load_drop(dataset, "drop").config.token


@given(
    st.dictionaries(
        st.binary(min_size=12, max_size=12),
        st.tuples(st.integers(0, 2**31 - 1), st.floats(allow_nan=False)),
        min_size=1,
    ),
    st.booleans(),
)
def test_what_is_packed_is_unpacked_bit_for_bit_in_the_order_of_ids(rows, scored):
    ids = np.array([key.hex() for key in rows], dtype="S24")
    codes = np.array([code for code, _ in rows.values()], dtype=np.int32)
    scores = np.array([score for _, score in rows.values()], dtype=np.float64)
    again = Snapshot.unpack(Snapshot(ids, codes, scores if scored else None).pack())
    order = np.argsort(ids)
    np.testing.assert_array_equal(again.ids, ids[order])
    np.testing.assert_array_equal(again.codes, codes[order])
    if scored:
        assert again.scores.tobytes() == scores[order].tobytes()
    else:
        assert again.scores is None


def test_a_sample_takes_less_than_two_bytes_and_eight_more_with_a_score_that_looks_random():
    n, rng = 20_000, np.random.default_rng(0)
    ids = np.array([str(ObjectId()) for _ in range(n)], dtype="S24")
    codes = rng.integers(0, 1000, n).astype(np.int32)
    sizes = [len(Snapshot(ids, codes, scores).pack()) for scores in (None, rng.random(n))]
    assert sizes[0] < 2 * n
    assert sizes[1] - sizes[0] < 8 * n


def test_it_is_stored_in_parts_that_fit_a_document(dataset, monkeypatch):
    monkeypatch.setattr(snapshot, "PART", 100)
    ids = np.array(dataset.values("id"), dtype="S24")
    save_snapshot("a token", Snapshot(ids, np.arange(300, dtype=np.int32)))
    assert stored("a token") > 3
    again = load_snapshot("a token")
    np.testing.assert_array_equal(again.ids, np.sort(ids))
    snapshot._snapshots().delete_one({"token": "a token", "part": 1})
    assert load_snapshot("a token") is None
    delete_snapshot("a token")
    assert stored("a token") == 0


def test_a_run_of_no_token_has_none():
    assert load_snapshot(None) is None
    assert load_snapshot("another") is None
    delete_snapshot(None)


@pytest.mark.parametrize("delete", [fod.delete_drop, lambda dataset, key: dataset.delete_run(key)])
def test_it_goes_with_the_run(dataset, delete):
    dataset.apply_drop(0.5, rule="proportional")
    before = token_of(dataset)
    dataset.apply_drop(0.5, rule="proportional", overwrite=True)
    token = token_of(dataset)
    assert (stored(before), stored(token)) == (0, 1)
    np.testing.assert_array_equal(
        load_snapshot(token).ids, np.sort(np.array(dataset.values("id"), "S24"))
    )
    delete(dataset, "drop")
    assert stored(token) == 0


def test_a_clone_shares_it_until_neither_has_the_run(dataset, made_datasets):
    dataset.apply_drop(0.5, rule="proportional")
    token = token_of(dataset)
    clone = dataset.clone()
    made_datasets.append(clone)
    assert fod.verify_drop(clone, "drop").unchanged
    fod.delete_drop(clone, "drop")
    assert fod.verify_drop(dataset, "drop").unchanged
    fod.delete_drop(dataset, "drop")
    assert stored(token) == 0


def test_those_of_deleted_datasets_go_when_the_next_one_is_saved(make_dataset, monkeypatch):
    monkeypatch.setattr(snapshot, "YOUNG", timedelta(hours=-1))
    gone, dataset = make_dataset(60), make_dataset(60)
    gone.apply_drop(0.5, rule="proportional")
    token = token_of(gone)
    gone.delete()
    dataset.apply_drop(0.5, rule="proportional")
    assert (stored(token), stored(token_of(dataset))) == (0, 1)


def test_one_that_another_writer_has_just_stored_stays_though_its_run_is_not_seen(dataset):
    """As of a writer who began after the runs were listed."""
    save_snapshot("another's", Snapshot(np.array(dataset.values("id"), "S24"), np.arange(300)))
    dataset.apply_drop(0.5, rule="proportional")
    assert stored("another's") == 1
    delete_snapshot("another's")


def test_one_whose_run_comes_while_runs_are_listed_stays(dataset, monkeypatch):
    monkeypatch.setattr(snapshot, "YOUNG", timedelta(hours=-1))
    dataset.apply_drop(0.5, rule="proportional")
    original = Collection.distinct

    def distinct(self, *arguments):
        return [] if self.name == "runs" else original(self, *arguments)

    monkeypatch.setattr(Collection, "distinct", distinct)
    dataset.apply_drop(0.5, rule="proportional", key="second")
    assert fod.verify_drop(dataset, "drop").unchanged


def test_loading_a_run_does_not_read_it(dataset, monkeypatch):
    dataset.apply_drop(0.5, rule="proportional")

    def read(packed):
        raise AssertionError

    monkeypatch.setattr(Snapshot, "unpack", read)
    str(fod.load_drop(dataset, "drop"))
    fod.report(dataset, "drop")
    fod.set_density(dataset, "drop", 0.3)
    with pytest.raises(AssertionError):
        fod.verify_drop(dataset, "drop")
