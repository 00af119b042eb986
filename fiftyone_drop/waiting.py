"""Waiting for a database that is away: what took hours to compute is not lost with a connection.

Each public call that writes gives its write to :func:`while_away`, which begins it again from its
first step: it takes the lease, ends or undoes what the last attempt has left, as after a crash, and
looks whether that attempt was done after all.
"""

from __future__ import annotations

import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    ConnectionFailure,
    OperationFailure,
    PyMongoError,
)

from fiftyone_drop import documents
from fiftyone_drop._log import logger
from fiftyone_drop.errors import DropError

Result = TypeVar("Result")

PATIENCE = 600.0  # seconds that a database may be away
FIRST, LONGEST = 1.0, 30.0  # seconds between two tries
LONG = 60.0  # seconds: an attempt that lasted as long had reached the database
OUTAGES = 5  # in one write, at most: a server that each attempt ends is not waited for
# Where no more is to be said
UNFINISHED = "the next call that writes ends or undoes what was begun"
# What a server says that is ending, or has begun anew and knows nothing of a cursor
ENDING = frozenset({6, 7, 43, 89, 91, 189, 9001, 10107, 11600, 11602, 13435, 13436})


class TakenOverError(DropError):
    """Another writer has come between, since this one was not heard of for too long."""


class StartedAnewError(AutoReconnect):
    """The server is another process than when the write began, and may not know all of it."""

    def __init__(self) -> None:
        super().__init__(
            "the server was started anew during a write, the beginning of which it may not know"
        )


class GoneError(DropError):
    """The dataset was deleted, or its name is another's."""


class HeldError(DropError):
    """Another writer is at work, and does not end."""


def while_away(write: Callable[[], Result], saved: str) -> Result:
    """Write, and write again when the database was away and is back.

    Args:
        write: writes everything or nothing, and may be called again after it failed
        saved: what is not lost, and where, for the error

    Returns:
        what ``write`` returns

    Raises:
        ConnectionError: the database was away for ``PATIENCE`` seconds, or again and again
    """
    before = sys.exc_info()[1]  # that the caller is handling: it is none of this write
    pause, since, outages = FIRST, 0.0, 0
    while True:
        begun = time.monotonic()
        try:
            return write()
        except Exception as error:
            chain = list(itertools.takewhile(lambda one: one is not before, _chain(error)))
            wish = next((one for one in chain if not isinstance(one, Exception)), None)
            if wish is not None:  # such as Ctrl-C: cleaning up after it found the database away
                raise wish from None
            held = isinstance(error, HeldError)
            # Who came while the database was away is waited for too
            if not _is_away(chain) and not (outages and held):
                raise
            now = time.monotonic()
            if not outages or (now - begun > LONG and not held):
                pause, since, outages = FIRST, now, outages + 1
            if now + pause > since + PATIENCE or outages > OUTAGES:
                if isinstance(error, TakenOverError | HeldError):
                    raise
                raise ConnectionError(
                    f"the MongoDB server at {documents.address()} {_for_how_long(outages)} "
                    f"({str(error)[:200]}); {saved}: make the same call again when it is back"
                ) from error
            words = (
                "Another writer came first" if isinstance(error, DropError) else "MongoDB is away"
            )
            logger.warning("%s (%s); trying again in %g s", words, error, pause)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)


def _for_how_long(outages: int) -> str:
    if outages > OUTAGES:
        return f"went away {outages} times during one write"
    return f"has been away for {PATIENCE / 60:g} minutes"


def _is_away(chain: Sequence[BaseException]) -> bool:
    """Whether the database was away, and nothing else went wrong before that.

    Cleaning up after an error may find the database away too.

    Args:
        chain: an error, and those that it was raised from or after
    """
    if any(isinstance(one, StartedAnewError) for one in chain):
        return True  # what went wrong before that may be its effect
    away = [at for at, one in enumerate(chain) if _says_away(one)]
    if not away:
        return False
    return all(isinstance(one, OSError | PyMongoError) for one in chain[away[-1] + 1 :])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and those that it was raised from or after."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _says_away(error: BaseException) -> bool:
    if isinstance(error, BulkWriteError):
        said = error.details or {}
        parts = [*said.get("writeErrors", ()), *said.get("writeConcernErrors", ())]
        return any(part.get("code") in ENDING for part in parts)
    if isinstance(error, OperationFailure):
        return error.code in ENDING
    return isinstance(error, ConnectionFailure | TakenOverError)
