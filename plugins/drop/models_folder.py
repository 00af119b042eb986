"""The one folder of the server whose files users of the App may read and write: query models.

The server's owner chooses it with the environment variable ``FIFTYONE_DROP_MODELS_DIR``; by default
it is the folder of FiftyOne's model zoo. Users name files in it. The answer to any other name is
the same wherever it leads, so that nobody learns which files the server has.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import checks

VARIABLE = "FIFTYONE_DROP_MODELS_DIR"
SUFFIX = ".pt"
MOST_BYTES = 200  # of a name: room for what is added while a file is written
MOST_OFFERED = 500
MOST_LOOKED_AT = 20_000  # entries: the folder may be one of many files

# Folders and a file, neither hidden nor `..`: no root, no drive, no home, no separator of Windows
_NAME = re.compile(r"(?:[\w-][\w .-]*/)*[\w-][\w .-]*")


def folder() -> Path:
    """The folder, with symbolic links followed. It may not exist yet."""
    return Path(os.environ.get(VARIABLE) or fo.config.model_zoo_dir).expanduser().resolve()


def offered() -> list[str]:
    """The names of the first files in the folder, sorted."""
    files = itertools.islice(_walk(folder()), MOST_LOOKED_AT)
    return sorted(itertools.islice(filter(_is_name, files), MOST_OFFERED))


def to_read(argument: str, name: object) -> Path:
    """The path of a file in the folder.

    Raises:
        fiftyone_drop.DropError: if the name leads elsewhere, or the folder has no such file
    """
    path = _inside(argument, name)
    if not path.is_file():
        raise fod.DropError(argument, f"there is no file {name} in the folder of models")
    return path


def to_write(argument: str, name: object, overwrite: bool) -> Path:
    """The path of a file in the folder, to be written.

    Raises:
        fiftyone_drop.DropError: if the name leads elsewhere, or is taken and not to be replaced
    """
    path = _inside(argument, name)
    if path.exists() and not (path.is_file() and overwrite):
        remedy = "choose another name" + (", or replace it" if path.is_file() else "")
        raise fod.DropError(argument, f"{name} exists in the folder of models; {remedy}")
    nearest = next(parent for parent in path.parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK | os.X_OK):
        raise fod.DropError(argument, f"{name} cannot be written; choose another name")
    return path


def save(model: fod.QueryModel, argument: str, name: object, overwrite: bool) -> None:
    """Write a model to a file in the folder.

    Raises:
        fiftyone_drop.DropError: as :func:`to_write`
    """
    path = to_write(argument, name, overwrite)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        model.save(path, overwrite=overwrite)
    except (OSError, fod.DropError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it exists meanwhile"
        raise fod.DropError(argument, f"cannot write {name}: {reason}") from error


def _inside(argument: str, name: object) -> Path:
    """The path of a file, which may not exist.

    Raises:
        fiftyone_drop.DropError: if the name leads out of the folder, or is not one for a model
    """
    root = folder()
    if isinstance(name, str) and _is_name(name):
        try:
            path = (root / name).resolve()  # a link in the folder may lead out
        except (OSError, RuntimeError):  # links in a circle
            path = root
        if path.is_relative_to(root) and path.suffix == SUFFIX:
            return path
    raise fod.DropError(
        argument,
        f"must be the name of a file in the folder of models that ends in {SUFFIX}, such as "
        f"digits{SUFFIX} or mine/digits{SUFFIX}, but got {checks.shown(name)}",
    )


def _is_name(name: str) -> bool:
    matches = name.endswith(SUFFIX) and _NAME.fullmatch(name)
    return bool(matches) and len(name.encode(errors="replace")) <= MOST_BYTES


def _walk(root: Path) -> Iterator[str]:
    """The names of the plain files under a folder; links are not followed."""
    for parent, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root).as_posix()
