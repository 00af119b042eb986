"""The folder in the user's cache where checkpoints lie, and how abandoned ones leave it.

A call removes its checkpoint when its results are in the database. One that was interrupted and is
never made again leaves it behind; :func:`open_cache` deletes what nobody has touched for
``MAX_AGE_DAYS``.
"""

from __future__ import annotations

import os
import re
import time
from collections import defaultdict
from pathlib import Path

from fiftyone_drop._log import logger

MAX_AGE_DAYS = 30
# What ``models/checkpoint.py`` and ``training/checkpoint.py`` write; anything else is not ours
_SCORES = re.compile(r"(scores-[0-9a-f]{32})(-\d+\.npy|\.npz(\.\d+\.partial)?)")
_TRAINING = re.compile(r"training-[0-9a-f]{32}")
_FOLD = re.compile(r"fold-\d+\.pt(\.\d+\.partial)?")


def cache_folder() -> Path:
    """This package's folder in the user's cache."""
    base = os.environ.get("LOCALAPPDATA") if os.name == "nt" else os.environ.get("XDG_CACHE_HOME")
    return Path(base or Path.home() / ".cache") / "fiftyone-drop"


def open_cache() -> Path:
    """:func:`cache_folder`, without the checkpoints that were abandoned."""
    folder = cache_folder()
    oldest = time.time() - MAX_AGE_DAYS * 24 * 3600
    for name, files in _checkpoints(folder).items():
        try:
            if max(path.lstat().st_mtime for path in files) >= oldest:
                continue
            for path in files:
                path.unlink()
            if (folder / name).is_dir():
                (folder / name).rmdir()  # refuses where somebody else has put something
            logger.info("Deleted the checkpoint %s, untouched for %d days", name, MAX_AGE_DAYS)
        except OSError as error:  # another process is at it; no reason to refuse to work
            logger.debug("Cannot delete the checkpoint %s: %s", name, error)
    return folder


def _checkpoints(folder: Path) -> dict[str, list[Path]]:
    """The files of every checkpoint in a folder, by its name."""
    found: dict[str, list[Path]] = defaultdict(list)
    for path in folder.iterdir() if folder.is_dir() else ():
        scores = _SCORES.fullmatch(path.name)
        if scores and path.is_file() and not path.is_symlink():
            found[scores[1]].append(path)
        elif _TRAINING.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            found[path.name] += [f for f in path.iterdir() if _FOLD.fullmatch(f.name)]
    return {name: files for name, files in found.items() if files}
