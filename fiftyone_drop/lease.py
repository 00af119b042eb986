"""One of our writers at a time per dataset: a lease in the database, which expires by itself.

The lease of a dataset is a document that its holder renews from a thread. A holder that dies stops
to renew it, so that the next writer waits ``SECONDS`` at most. The database's own clock counts, for
the clocks of notebooks and servers differ.

A server that is killed forgets what it has acknowledged and not brought to disk, and a client may
not even notice: its next statement goes to the next process of the server. So a holder remembers
the process, and checks before each step that rests on earlier ones.

FiftyOne finds a dataset by its name, which may come to be another's. A lease is of the dataset that
the caller has read, and with that one gone there is nothing to write to.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from datetime import datetime
from typing import Any

import fiftyone as fo
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from fiftyone_drop import documents
from fiftyone_drop._log import logger
from fiftyone_drop.waiting import GoneError, HeldError, StartedAnewError, TakenOverError

COLLECTION = "fiftyone_drop.leases"
SECONDS = 20.0  # a lease that is not renewed expires after this time
PATIENCE = 30.0  # seconds that a writer waits for another
LONG_PATIENCE = 3600.0  # of one whose failure costs more than another call
POLL = 0.1


class Lease:
    """The right to write the runs and scores of a dataset."""

    def __init__(self, dataset: fo.Dataset) -> None:
        self._leases = documents.collection(COLLECTION)
        self._dataset = dataset
        self._id = dataset._doc.id
        self._name = dataset.name
        self._token = uuid.uuid4().hex
        self._done = threading.Event()
        self._process: Any = None  # of the server
        self._heard = _clocks()  # when the server last said that the lease is the holder's

    def acquire(self, patience: float) -> None:
        """Wait for the lease and take it.

        Args:
            patience: the seconds to wait for others

        Raises:
            HeldError: if others hold it for longer
        """
        until = time.monotonic() + patience
        told = ""
        while not self._try():
            words = _words(self._leases.find_one({"_id": self._id}) or {})
            if time.monotonic() >= until:
                raise HeldError(
                    "dataset",
                    f"runs or scores of '{self._name}' are being written by {words}; try again "
                    "when that is done",
                )
            if words != told:
                logger.info("Waiting for %s, who writes runs or scores of '%s'", words, self._name)
                told = words
            time.sleep(POLL)
        self._process, self._heard = documents.server_process(), _clocks()
        thread = threading.Thread(target=self._keep, name="fiftyone-drop-lease", daemon=True)
        thread.start()

    def release(self) -> None:
        """Give the lease back."""
        self._done.set()
        with contextlib.suppress(Exception):  # then it expires by itself
            self._leases.delete_one(self._mine)

    def check(self) -> None:
        """Check that all that was written under the lease is on disk, and by nobody else.

        Raises:
            StartedAnewError: the server is not the process that it was, and may have lost a part
            GoneError: the dataset was deleted, or has another name
            TakenOverError: another writer has taken the lease
        """
        mine = self.renew()
        self.check_there()
        if not mine:
            raise TakenOverError(
                "dataset",
                f"another process may have begun to write runs or scores of '{self._name}', since "
                f"this one was not heard of for {SECONDS:g} s; make the call again",
            )

    def check_there(self) -> None:
        """Check that server and dataset are those of which the lease was taken.

        Raises:
            StartedAnewError, GoneError: as :meth:`check` does
        """
        if documents.server_process() != self._process:
            raise StartedAnewError
        _check_same(self._id, self._name)

    def keep(self) -> None:
        """:meth:`check`, if the server has not said for long that the lease is the holder's.

        A writer of many batches calls it before each. It costs nothing unless the process was
        suspended, or the database was away.

        Raises:
            StartedAnewError, GoneError, TakenOverError: as ``check`` does
        """
        if any(
            now - heard > SECONDS / 2 for now, heard in zip(_clocks(), self._heard, strict=True)
        ):
            self.check()

    def renew(self) -> bool:
        """Hold the lease for ``SECONDS`` more, whether or not it has expired, unless it was taken.

        Waits until that is on disk, and with it all that was written before.

        Returns:
            whether it still is the holder's
        """
        before = _clocks()
        renewed = documents.on_disk(COLLECTION).update_one(
            self._mine, [{"$set": {"expires": _expires()}}]
        )
        if renewed.matched_count:
            self._heard = before
        return bool(renewed.matched_count)

    def is_of(self, dataset: fo.Dataset) -> bool:
        """Whether it is the lease of a dataset, whose name may be that of another by now."""
        return dataset is self._dataset or bool(self._id == dataset._doc.id)

    @property
    def _mine(self) -> dict[str, Any]:
        return {"_id": self._id, "token": self._token}

    def _try(self) -> bool:
        mine = {**self._mine, "holder": _holder()}
        mine |= {"since": "$$NOW", "expires": _expires()}
        free = {"$lt": [{"$ifNull": ["$expires", datetime(1970, 1, 1)]}, "$$NOW"]}
        held = self._leases.find_one_and_update(
            {"_id": self._id},
            [{"$replaceWith": {"$cond": [free, mine, "$$ROOT"]}}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return bool(held["token"] == self._token)

    def _keep(self) -> None:
        while not self._done.wait(SECONDS / 4):
            # The database may be away; the writer itself will see it
            with contextlib.suppress(PyMongoError):
                if not self.renew():
                    return


_held: ContextVar[tuple[Lease, ...]] = ContextVar("_held", default=())


@contextlib.contextmanager
def writing(dataset: fo.Dataset, *, patience: float | None = None) -> Iterator[Lease]:
    """Hold the lease of a dataset, and see the dataset as the server has it.

    Args:
        dataset: the dataset
        patience (None): the seconds to wait for other writers; by default ``PATIENCE``

    Raises:
        HeldError: if other writers hold the lease for longer
        TakenOverError: see :meth:`Lease.check`
        StartedAnewError, GoneError: see there; also instead of any error that may be the effect of
            that
    """
    lease = Lease(dataset)
    before = _held.get()
    try:
        lease.acquire(PATIENCE if patience is None else patience)
        _held.set((*before, lease))
        with _said_first(lease):
            lease.check_there()  # before its name is looked up, which may be another's
            dataset.reload()
            yield lease
            lease.check()  # all of it is on disk before the caller hears that it is done
    finally:
        _held.set(before)
        lease.release()


@contextlib.contextmanager
def _said_first(lease: Lease) -> Iterator[None]:
    """Say that server or dataset are gone, instead of an error that may be the effect of that."""
    try:
        yield
    except (StartedAnewError, GoneError):
        raise
    except Exception as error:
        try:
            lease.check_there()
        except (StartedAnewError, GoneError) as upset:
            raise upset from error
        except PyMongoError:
            pass  # the database is away: then the error says so, or is another one
        raise


def check(dataset: fo.Dataset) -> None:
    """:meth:`Lease.check` the lease that this writer holds of a dataset, if it holds one.

    Every step calls it that deletes, or says that something is whole, because of earlier steps.
    """
    for lease in held(dataset):
        lease.check()


def held(dataset: fo.Dataset) -> list[Lease]:
    """The lease that this writer holds of a dataset, if it holds one."""
    return [lease for lease in _held.get() if lease.is_of(dataset)]


def reload(dataset: fo.Dataset) -> None:
    """Load a dataset again. FiftyOne itself goes by the name, which another dataset may have now.

    Raises:
        GoneError: the dataset was deleted, or has another name
    """
    _check_same(dataset._doc.id, dataset.name)
    dataset.reload()


def _check_same(_id: Any, name: str) -> None:
    found = documents.collection("datasets").find_one({"_id": _id}, {"name": 1})
    if found is None:
        raise GoneError(
            "dataset",
            f"'{name}' was deleted since it was loaded, and maybe made again under its name; load "
            "it again, and make the call with that",
        )
    if found["name"] != name:
        raise GoneError(
            "dataset",
            f"'{name}' was renamed to '{found['name']}' since it was loaded; load that, and make "
            "the call with it",
        )


def writer(dataset: fo.Dataset) -> str | None:
    """Who holds the lease of a dataset, in words; None if nobody does."""
    held = {"_id": dataset._doc.id, "$expr": {"$gt": ["$expires", "$$NOW"]}}
    found = documents.collection(COLLECTION).find_one(held)
    return None if found is None else _words(found)


def _clocks() -> tuple[float, float]:
    """Two clocks: one stands still while a machine sleeps, and the other may be set."""
    return time.monotonic(), time.time()


def _expires() -> dict[str, Any]:
    return {"$add": ["$$NOW", int(1000 * SECONDS)]}


def _holder() -> str:
    user = "somebody"
    with contextlib.suppress(Exception):  # no user of that number, as in containers
        user = getpass.getuser()
    return f"{user} on {socket.gethostname()} (process {os.getpid()})"


def _words(lease: dict[str, Any]) -> str:
    since = lease.get("since")
    when = f" since {since:%H:%M:%S} UTC" if isinstance(since, datetime) else ""
    return f"{lease.get('holder', 'another writer')}{when}"
