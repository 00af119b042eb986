"""Folders of the server in which users of the App may name files. Its owner chooses them.

The answer to a name that leads elsewhere is the same wherever it leads, so that nobody learns which
files the server has.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fiftyone_drop as fod
from fiftyone_drop import checks

MOST_BYTES = 200  # of a name: room for what is added while a file is written

# Folders and a file, neither hidden nor `..`: no root, no drive, no home, no separator of Windows
_NAME = re.compile(r"(?:[\w-][\w .-]*/)*[\w-][\w .-]*")


@dataclass(frozen=True)
class ServerFolder:
    """A folder of the server, in which users of the App name files.

    Attributes:
        variable: the environment variable that names the folder
        default: finds the folder where the variable is not set
        suffix: what every name ends in
        words: what a name must be, for an error
    """

    variable: str
    default: Callable[[], str]
    suffix: str
    words: str

    def path(self) -> Path:
        """The folder, with symbolic links followed. It may not exist yet."""
        return Path(os.environ.get(self.variable) or self.default()).expanduser().resolve()

    def is_name(self, name: str) -> bool:
        """Whether a text can be the name of a file in the folder."""
        matches = name.endswith(self.suffix) and _NAME.fullmatch(name)
        return bool(matches) and len(name.encode(errors="replace")) <= MOST_BYTES

    def inside(self, argument: str, name: object) -> Path:
        """The path of a file, which may not exist.

        Raises:
            fiftyone_drop.DropError: if the name leads out of the folder, or is no such name
        """
        root = self.path()
        if isinstance(name, str) and self.is_name(name):
            try:
                path = (root / name).resolve()  # a link in the folder may lead out
            except (OSError, RuntimeError):  # links in a circle
                path = root
            if path != root and path.is_relative_to(root) and path.name.endswith(self.suffix):
                return path
        raise fod.DropError(argument, f"must be {self.words}, but got {checks.shown(name)}")


def check_writable(path: Path, argument: str) -> None:
    """Check that a file can be made.

    Raises:
        fiftyone_drop.DropError: if the nearest folder that exists cannot be written
    """
    # pathlib raises where a folder cannot be read, and os.path says no
    nearest = next(parent for parent in path.parents if os.path.exists(parent))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise fod.DropError(argument, f"{path.name} cannot be written; choose another name")
