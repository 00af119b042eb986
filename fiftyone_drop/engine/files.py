"""Folders that can be written to, and files that are written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from fiftyone_drop import checks
from fiftyone_drop.errors import DropError

Folder = str | os.PathLike[str]
Buffer = bytes | memoryview


def writable_folder(folder: Folder) -> Path:
    """A folder that can be written to, or made; nothing is made yet.

    Raises:
        DropError: if it cannot
    """
    path = checks.path("checkpoint_dir", folder)
    nearest = next(p for p in (path.absolute(), *path.absolute().parents) if os.path.exists(p))
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise DropError(
            "checkpoint_dir",
            f"must be a folder that can be written to, but {nearest} cannot; pass another",
        )
    return path


def write_atomically(path: Path, *parts: Buffer) -> None:
    """Write a file whole or not at all, even if the power fails."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
