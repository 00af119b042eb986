"""The samples of a run as they were decided on, stored in a few bytes each."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import fiftyone_drop as fod
from fiftyone_drop import snapshot
from fiftyone_drop.snapshot import Snapshot, delete_snapshot, load_snapshot, save_snapshot


def stored(dataset):
    """How many documents there are of snapshots of a dataset."""
    wanted = {"dataset_id": dataset._doc.id, "store_name": snapshot.STORE}
    return snapshot._store().count_documents(wanted)


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


def test_it_is_stored_in_parts_that_fit_a_document(dataset, monkeypatch):
    monkeypatch.setattr(snapshot, "PART", 100)
    ids = np.array(dataset.values("id"), dtype="S24")
    save_snapshot(dataset, "a token", Snapshot(ids, np.arange(300, dtype=np.int32)))
    assert stored(dataset) > 3
    again = load_snapshot(dataset, "a token")
    np.testing.assert_array_equal(again.ids, np.sort(ids))
    snapshot._store().delete_one({"dataset_id": dataset._doc.id, "value.part": 1})
    assert load_snapshot(dataset, "a token") is None
    delete_snapshot(dataset, "a token")
    assert stored(dataset) == 0


def test_a_run_of_no_token_has_none(dataset):
    assert load_snapshot(dataset, None) is None
    assert load_snapshot(dataset, "another") is None
    delete_snapshot(dataset, None)


@pytest.mark.parametrize("delete", [fod.delete_drop, lambda dataset, key: dataset.delete_run(key)])
def test_it_goes_with_the_run(dataset, delete):
    for _ in range(2):
        dataset.apply_drop(0.5, rule="proportional", overwrite=True)
        assert stored(dataset) == 1
    token = fod.load_drop(dataset, "drop").config.token
    np.testing.assert_array_equal(
        load_snapshot(dataset, token).ids, np.sort(np.array(dataset.values("id"), "S24"))
    )
    delete(dataset, "drop")
    assert stored(dataset) == 0


def test_fiftyone_copies_it_with_a_clone_and_deletes_it_with_the_dataset(dataset, made_datasets):
    dataset.apply_drop(0.5, rule="proportional")
    clone = dataset.clone()
    made_datasets.append(clone)
    assert stored(clone) == 1
    assert fod.verify_drop(clone, "drop").unchanged
    fod.delete_drop(clone, "drop")
    assert fod.verify_drop(dataset, "drop").unchanged
    again = dataset.clone()
    again.delete()
    assert snapshot._store().count_documents({"dataset_id": again._doc.id}) == 0


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
