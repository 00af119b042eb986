"""One of our writers at a time per dataset: a lease in the database, which expires by itself.

The lease of a dataset is a document that its holder renews from a thread. A holder that dies stops
to renew it, so that the next writer waits ``SECONDS`` at most. The database's own clock counts, for
the clocks of notebooks and servers differ.
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
from datetime import datetime
from typing import Any

import fiftyone as fo
from pymongo import ReturnDocument
from pymongo.errors import PyMongoError

from fiftyone_drop import documents
from fiftyone_drop._log import logger
from fiftyone_drop.errors import DropError

COLLECTION = "fiftyone_drop.leases"
SECONDS = 20.0  # a lease that is not renewed expires after this time
PATIENCE = 30.0  # seconds that a writer waits for another
POLL = 0.1


class Lease:
    """The right to write the runs and scores of a dataset.

    Attributes:
        lost: whether the lease has expired while it was held: the process was suspended, or the
            database was away for too long
    """

    def __init__(self, dataset: fo.Dataset) -> None:
        self._leases = documents.collection(COLLECTION)
        self._id = dataset._doc.id
        self._name = dataset.name
        self._token = uuid.uuid4().hex
        self._done = threading.Event()
        self.lost = False

    def acquire(self) -> None:
        """Wait for the lease and take it.

        Raises:
            DropError: if another writer holds it for longer than ``PATIENCE``
        """
        until = time.monotonic() + PATIENCE
        told = False
        while not self._try():
            holder = self._leases.find_one({"_id": self._id}) or {}
            words = _words(holder)
            if time.monotonic() >= until:
                raise DropError(
                    "dataset",
                    f"runs or scores of '{self._name}' are being written by {words}; try again "
                    "when that is done",
                )
            if not told:
                logger.info("Waiting for %s, who writes runs or scores of '%s'", words, self._name)
                told = True
            time.sleep(POLL)
        thread = threading.Thread(target=self._renew, name="fiftyone-drop-lease", daemon=True)
        thread.start()

    def release(self) -> None:
        """Give the lease back."""
        self._done.set()
        with contextlib.suppress(Exception):  # then it expires by itself
            self._leases.delete_one({"_id": self._id, "token": self._token})

    def check(self) -> None:
        """Check that nobody else can have begun to write.

        Raises:
            DropError: if the lease has been lost
        """
        if self.lost:
            raise DropError(
                "dataset",
                f"another process may have begun to write runs or scores of '{self._name}', since "
                f"this one was not heard of for {SECONDS:g} s; make the call again",
            )

    def _try(self) -> bool:
        mine = {"_id": self._id, "token": self._token, "holder": _holder()}
        mine |= {"since": "$$NOW", "expires": _expires()}
        free = {"$lt": [{"$ifNull": ["$expires", datetime(1970, 1, 1)]}, "$$NOW"]}
        held = self._leases.find_one_and_update(
            {"_id": self._id},
            [{"$replaceWith": {"$cond": [free, mine, "$$ROOT"]}}],
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
        return bool(held["token"] == self._token)

    def _renew(self) -> None:
        mine = {"_id": self._id, "token": self._token}
        heard = time.monotonic()
        while not self._done.wait(SECONDS / 4):
            try:
                renewed = self._leases.update_one(mine, [{"$set": {"expires": _expires()}}])
                if renewed.matched_count:
                    heard = time.monotonic()
                else:
                    self.lost = not self._done.is_set()
                    return
            except PyMongoError:  # the database is away; the writer itself will see it
                self.lost = self.lost or time.monotonic() - heard > SECONDS


@contextlib.contextmanager
def writing(dataset: fo.Dataset) -> Iterator[Lease]:
    """Hold the lease of a dataset, and see the dataset as the server has it.

    Raises:
        DropError: if another writer holds the lease for longer than ``PATIENCE``
    """
    lease = Lease(dataset)
    lease.acquire()
    try:
        dataset.reload()
        yield lease
    finally:
        lease.release()


def writer(dataset: fo.Dataset) -> str | None:
    """Who holds the lease of a dataset, in words; None if nobody does."""
    held = {"_id": dataset._doc.id, "$expr": {"$gt": ["$expires", "$$NOW"]}}
    found = documents.collection(COLLECTION).find_one(held)
    return None if found is None else _words(found)


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
