"""Folders that can be written to, files that are written whole or not at all, and plain files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

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


def open_file(path: str | Path) -> BinaryIO:
    """Open a plain file for reading, without waiting for anybody: a named pipe would wait for ever.

    Raises:
        OSError: there is no such file, or it is a pipe, a device, a socket or a folder
    """
    file = open(path, "rb", opener=_open_at_once)  # noqa: SIM115 (the caller closes it)
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError("it is a pipe or a device, not a file")
    return file


def write_atomically(path: Path, *parts: Buffer, replace: bool = True) -> None:
    """Write a file whole or not at all, even if the power fails.

    Args:
        path: the file
        parts: its content
        replace (True): whether a file that is there may be replaced

    Raises:
        FileExistsError: there is a file, and it may not be replaced
    """
    if not replace:
        path.open("xb").close()  # from here on nobody else gets the name
    try:
        with whole_file(path) as file:
            for part in parts:
                file.write(part)
    except BaseException:
        if not replace:
            path.unlink(missing_ok=True)
        raise


@contextmanager
def whole_file(path: Path) -> Iterator[BinaryIO]:
    """A file that replaces the one of its name as a whole, on disk, or not at all.

    Args:
        path: the file

    Yields:
        what to write it to
    """
    partial = _partial(path)
    try:
        with partial.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_can_be_written(argument: str, path: Path) -> None:
    """Check that :func:`whole_file` can write a file, by a try, before long work for it.

    Args:
        argument: the name of the argument, for the error
        path: the file

    Raises:
        DropError: if it cannot
    """
    if not path.parent.is_dir():
        raise DropError(
            argument, f"there is no folder {path.parent}; make it, or pass another path"
        )
    if os.path.lexists(path) and not path.is_file():
        raise DropError(argument, f"{path} is no file that can be replaced; pass another path")
    try:
        _partial(path).open("wb").close()
        _partial(path).unlink()
    except OSError as error:
        raise DropError(argument, f"{path} cannot be written ({error}); pass another") from error


def _partial(path: Path) -> Path:
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def _open_at_once(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
