"""One writer at a time per dataset, and a dead one blocks nobody for long."""

import logging
import threading
import time

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
import pytest
from pymongo.errors import AutoReconnect

from fiftyone_drop import DropError, field_writes, lease, store
from fiftyone_drop.field_marks import MARK
from fiftyone_drop.reader import read_ids


@pytest.fixture
def hasty(monkeypatch):
    """Leases that expire soon, and writers without patience."""
    monkeypatch.setattr(lease, "SECONDS", 0.4)
    monkeypatch.setattr(lease, "PATIENCE", 0.3)


def documents(dataset):
    return list(foo.get_db_conn()[lease.COLLECTION].find({"_id": dataset._doc.id}))


def test_a_lease_is_there_while_it_is_held_and_gone_afterwards(dataset):
    with lease.writing(dataset):
        (held,) = documents(dataset)
        assert "process" in held["holder"]
        assert held["expires"] > held["since"]
    assert documents(dataset) == []


def test_a_second_writer_is_told_who_writes_since_when(dataset, hasty):
    with (
        lease.writing(dataset),
        pytest.raises(DropError, match=r"^dataset: .* written by .*process.* since .*UTC"),
        lease.writing(dataset),
    ):
        pass


def test_a_second_writer_waits_for_the_first(dataset, caplog, monkeypatch):
    monkeypatch.setattr(logging.getLogger("fiftyone.drop"), "propagate", True)
    caplog.set_level(logging.INFO, "fiftyone.drop")
    begun, order = threading.Event(), []

    def first():
        with lease.writing(dataset):
            begun.set()
            time.sleep(0.3)
            order.append("first")

    thread = threading.Thread(target=first)
    thread.start()
    begun.wait()
    with lease.writing(dataset):
        order.append("second")
    thread.join()
    assert order == ["first", "second"]


def test_a_lease_is_renewed_for_as_long_as_it_is_held(dataset, hasty):
    with lease.writing(dataset) as held:
        time.sleep(1.2)
        held.check()
        with pytest.raises(DropError):
            lease.Lease(dataset).acquire()


def test_the_lease_of_a_dead_writer_expires(dataset, hasty, monkeypatch):
    monkeypatch.setattr(lease, "PATIENCE", 5)
    dead = lease.Lease(dataset)
    dead.acquire()
    dead._done.set()  # it is not renewed any more
    with lease.writing(dataset):
        pass


def test_a_writer_that_was_suspended_for_too_long_stops(dataset, hasty):
    taken = pytest.raises(DropError, match=r"^dataset: another process may have begun")
    with taken, lease.writing(dataset) as held:
        foo.get_db_conn()[lease.COLLECTION].delete_many({"_id": dataset._doc.id})
        time.sleep(0.4)
        with pytest.raises(DropError, match=r"^dataset: another process may have begun"):
            held.check()


def test_an_expired_lease_that_nobody_took_is_renewed(dataset, hasty, monkeypatch):
    with lease.writing(dataset) as held:
        held._done.set()  # as if the database had been away
        time.sleep(0.6)
        monkeypatch.setattr(lease, "SECONDS", 20)
        held.check()
        with pytest.raises(DropError, match="are being written by"):
            lease.Lease(dataset).acquire()


def test_a_server_that_was_started_anew_is_noticed(dataset, monkeypatch):
    noticed = pytest.raises(AutoReconnect, match="started anew during a write")
    with noticed, lease.writing(dataset):  # at the end of the write, at the latest
        lease.check(dataset)
        monkeypatch.setattr(lease.documents, "server_process", lambda: "another one")
        with pytest.raises(AutoReconnect, match="started anew during a write"):
            lease.check(dataset)
    lease.check(dataset)  # of nobody


def test_a_writer_that_has_lost_its_lease_does_not_undo_what_others_write(dataset, monkeypatch):
    ids = read_ids(dataset)
    values = store.FieldValues(fo.FloatField, np.zeros(len(ids)), "Mine", {"hard": "high"})

    def taken(*arguments):
        foo.get_db_conn()[lease.COLLECTION].delete_many({"_id": dataset._doc.id})
        dataset.add_sample_field("theirs", fo.FloatField, info={MARK: {"state": "writing"}})
        raise AutoReconnect("the server was away, and somebody else has come")

    monkeypatch.setattr(store, "write_fields", taken)
    with pytest.raises(AutoReconnect), lease.writing(dataset) as held:
        field_writes.write(
            dataset,
            held,
            [(ids, {"theirs": values})],
            fingerprints={},
            clears=True,
            tokens=set(),
        )
    assert dataset.has_field("theirs")


def test_datasets_do_not_wait_for_each_other(dataset, make_dataset):
    with lease.writing(dataset), lease.writing(make_dataset(5)):
        pass


def test_a_writer_that_was_suspended_writes_no_further_batch(dataset, monkeypatch):
    """Somebody else has taken the lease, and writes a field of the same name."""
    ids, now = read_ids(dataset), time.monotonic
    ours = store.FieldValues(fo.FloatField, np.zeros(len(ids)), "ours")
    theirs = store.FieldValues(fo.FloatField, np.ones(len(ids)), "theirs")
    taken = pytest.raises(lease.TakenOverError)
    with taken, lease.writing(dataset):
        foo.get_db_conn()[lease.COLLECTION].update_one(
            {"_id": dataset._doc.id}, {"$set": {"token": "another's", "holder": "another"}}
        )
        with monkeypatch.context() as patch:  # the other writes under a lease of its own
            patch.setattr(lease, "held", lambda dataset: [])
            store.write_fields(dataset, ids, {"both": theirs}, progress=False)
        monkeypatch.setattr(lease, "_clocks", lambda: (now() + 3600, time.time() + 3600))
        store.write_fields(dataset, ids, {"both": ours}, progress=False)
    assert set(dataset.values("both")) == {1.0}
