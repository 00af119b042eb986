"""The folder in the user's cache where checkpoints lie, and how abandoned ones leave it.

A call removes its checkpoint when its results are in the database. A call that was interrupted and
is never made again leaves it behind; the next call that opens the cache deletes the checkpoints
that have not been touched for ``MAX_AGE_DAYS``.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from fiftyone_drop._log import logger
from fiftyone_drop.engine.checkpoint import Checkpoint, checkpoints_in, delete, last_written
from fiftyone_drop.engine.files import Folder
from fiftyone_drop.errors import DropError

MAX_AGE_DAYS = 30


def new_checkpoint(folder: Folder | None) -> Checkpoint:
    """A checkpoint in a folder of the user's; for None in the user's cache, if that can be.

    Raises:
        DropError: the folder cannot be written to
    """
    if folder is not None:
        return Checkpoint(folder)
    try:
        return Checkpoint(open_cache())
    except DropError as error:  # no reason to refuse to work: the call cannot be resumed
        logger.warning("No checkpoints: %s", error)
        return Checkpoint(None)


def open_cache() -> Path:
    """:func:`cache_folder`, without the checkpoints that were abandoned."""
    folder = cache_folder()
    oldest = time.time() - MAX_AGE_DAYS * 24 * 3600
    try:
        there = list(checkpoints_in(folder))
    except OSError as error:  # what cannot be read is for others to delete
        logger.debug("Cannot read %s: %s", folder, error)
        there = []
    for checkpoint in there:
        try:
            if last_written(checkpoint) < oldest:
                delete(checkpoint)
                logger.info("Deleted %s, untouched for %d days", checkpoint, MAX_AGE_DAYS)
        except OSError as error:  # another process is at it; no reason to refuse to work
            logger.debug("Cannot delete %s: %s", checkpoint, error)
    return folder


def cache_folder() -> Path:
    """This package's folder in the user's cache."""
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return Path(base or Path.home() / ".cache") / "fiftyone-drop"
