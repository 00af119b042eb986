"""One writer at a time per dataset, and a dead one blocks nobody for long."""

import logging
import threading
import time

import fiftyone as fo
import fiftyone.core.odm as foo
import numpy as np
import pytest
from bson import ObjectId
from pymongo.collection import Collection
from pymongo.errors import AutoReconnect

import fiftyone_drop as fod
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
            lease.Lease(dataset).acquire(lease.PATIENCE)


def test_the_lease_of_a_dead_writer_expires(dataset, hasty, monkeypatch):
    monkeypatch.setattr(lease, "PATIENCE", 5)
    dead = lease.Lease(dataset)
    dead.acquire(lease.PATIENCE)
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
            lease.Lease(dataset).acquire(lease.PATIENCE)


def test_a_server_that_was_started_anew_is_noticed(dataset, monkeypatch):
    noticed = pytest.raises(AutoReconnect, match="started anew during a write")
    with noticed, lease.writing(dataset):  # at the end of the write, at the latest
        lease.check(dataset)
        monkeypatch.setattr(lease.documents, "server_process", lambda: "another one")
        with pytest.raises(AutoReconnect, match="started anew during a write"):
            lease.check(dataset)
    lease.check(dataset)  # of nobody


@pytest.fixture
def elsewhere():
    """What another session does to a dataset, which this one does not see."""
    datasets = foo.get_db_conn().datasets

    def build_again(dataset):
        document = datasets.find_one_and_delete({"_id": dataset._doc.id})
        datasets.insert_one(document | {"_id": ObjectId()})

    return {
        "delete": lambda dataset: datasets.delete_one({"_id": dataset._doc.id}),
        "build again": build_again,
        "rename": lambda dataset: datasets.update_one(
            {"_id": dataset._doc.id}, {"$set": {"name": f"{dataset.name}-old"}}
        ),
    }


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("delete", "was deleted since it was loaded"),
        ("build again", "was deleted since it was loaded, and maybe made again"),
        ("rename", "was renamed to '.*-old' since it was loaded; load that"),
    ],
)
@pytest.mark.parametrize("when", ["before", "within", "at the end"])
def test_a_dataset_that_its_name_no_longer_means_is_refused(
    dataset, elsewhere, change, words, when
):
    entered = []
    refused = pytest.raises(DropError, match=rf"^dataset: '{dataset.name}' {words}")
    if when == "before":
        elsewhere[change](dataset)
    own = dataset._doc.id
    with refused, lease.writing(dataset):
        entered.append(1)
        elsewhere[change](dataset)
        if when == "within":
            dataset.reload()  # finds none of that name, or another one
            lease.check(dataset)
            entered.append(2)
    assert entered == ([] if when == "before" else [1])
    assert foo.get_db_conn()[lease.COLLECTION].find_one({"_id": own}) is None
    if when == "before":  # nor does the next call write to another one
        assert dataset._doc.id == own


def test_scores_go_into_the_dataset_that_was_scored_or_nowhere(dataset, elsewhere):
    values = {"mine": dict.fromkeys(dataset.values("id"), 1.0)}
    elsewhere["build again"](dataset)
    with pytest.raises(DropError, match="was deleted since it was loaded"):
        fod.import_scores(dataset, values, hard="high")
    dataset.reload()
    assert not dataset.has_field("mine")


@pytest.mark.parametrize("at", ["find_one_and_update", "server_process", "start"])
def test_ctrl_c_while_a_lease_is_taken_gives_it_back(dataset, monkeypatch, at):
    """After the server has given it, and after its thread has begun."""

    def interrupted(original):
        def interrupt(*arguments, **options):
            original(*arguments, **options)
            raise KeyboardInterrupt

        return interrupt

    before = threading.active_count()
    with monkeypatch.context() as patch:
        owner = {
            "find_one_and_update": Collection,
            "server_process": lease.documents,
            "start": threading.Thread,
        }[at]
        patch.setattr(owner, at, interrupted(getattr(owner, at)))
        with pytest.raises(KeyboardInterrupt), lease.writing(dataset):
            raise AssertionError
    assert documents(dataset) == []
    assert lease.held(dataset) == []
    time.sleep(0.2)
    assert threading.active_count() == before


def test_who_is_waited_for_is_said_once_each(dataset, hasty, monkeypatch, caplog):
    monkeypatch.setattr(logging.getLogger("fiftyone.drop"), "propagate", True)
    caplog.set_level(logging.INFO, "fiftyone.drop")
    with lease.writing(dataset), pytest.raises(DropError), lease.writing(dataset, patience=0.5):
        pass
    assert [record.message[:11] for record in caplog.records] == ["Waiting for"]


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


@pytest.mark.parametrize(
    "call",
    [
        lambda dataset: dataset.apply_drop(0.3, rule="proportional", overwrite=True),
        lambda dataset: fod.verify_drop(dataset, "drop"),
    ],
)
def test_runs_of_another_dataset_that_has_taken_the_name_are_not_touched(dataset, elsewhere, call):
    dataset.apply_drop(0.5, rule="proportional")
    own = dataset._doc.id
    elsewhere["build again"](dataset)
    with pytest.raises(DropError, match="was deleted since it was loaded, and maybe made again"):
        call(dataset)
    assert dataset._doc.id == own
