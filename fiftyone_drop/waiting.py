"""Waiting for a database that is away: what took hours to compute is not lost with a connection."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from pymongo.errors import ConnectionFailure

from fiftyone_drop._log import logger

Result = TypeVar("Result")

PATIENCE = 600.0  # seconds since the database was last heard of
FIRST, LONGEST = 1.0, 30.0  # seconds between two tries


def while_away(write: Callable[[], Result], saved: str) -> Result:
    """Write, and write again when the database was away and is back.

    Args:
        write: writes everything or nothing, and may be called again after it failed
        saved: what is not lost, and where, for the error

    Returns:
        what ``write`` returns

    Raises:
        ConnectionError: the database was away for ``PATIENCE`` seconds
    """
    pause, until = FIRST, time.monotonic() + PATIENCE
    while True:
        try:
            return write()
        except ConnectionFailure as error:
            if time.monotonic() + pause > until:
                raise ConnectionError(
                    f"the MongoDB server has been away for {PATIENCE / 60:g} minutes "
                    f"({str(error)[:200]}); {saved}: make the same call again when it is back"
                ) from error
            logger.warning("The MongoDB server is away (%s); trying again in %g s", error, pause)
        time.sleep(pause)
        pause = min(2 * pause, LONGEST)
