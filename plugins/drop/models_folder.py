"""The one folder of the server whose files users of the App may read and write: query models.

The server's owner chooses it with the environment variable ``FIFTYONE_DROP_MODELS_DIR``; by default
it is the folder of FiftyOne's model zoo. Users name files in it.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo

import fiftyone_drop as fod

from .server_folder import ServerFolder, check_writable

SUFFIX = ".pt"
MOST_OFFERED = 500
MOST_LOOKED_AT = 20_000  # entries: the folder may be one of many files

FOLDER = ServerFolder(
    variable="FIFTYONE_DROP_MODELS_DIR",
    default=lambda: str(fo.config.model_zoo_dir),
    suffix=SUFFIX,
    words=f"the name of a file in the folder of models that ends in {SUFFIX}, such as "
    f"digits{SUFFIX} or mine/digits{SUFFIX}",
)


def offered() -> list[str]:
    """The names of the first files in the folder, sorted."""
    files = itertools.islice(_walk(FOLDER.path()), MOST_LOOKED_AT)
    return sorted(itertools.islice(filter(FOLDER.is_name, files), MOST_OFFERED))


def to_read(argument: str, name: object) -> Path:
    """The path of a file in the folder.

    Raises:
        fiftyone_drop.DropError: if the name leads elsewhere, or the folder has no such file
    """
    path = FOLDER.inside(argument, name)
    if not os.path.isfile(path):
        raise fod.DropError(argument, f"there is no file {name} in the folder of models")
    return path


def to_write(argument: str, name: object, overwrite: bool) -> Path:
    """The path of a file in the folder, to be written.

    Raises:
        fiftyone_drop.DropError: if the name leads elsewhere, or is taken and not to be replaced
    """
    path = FOLDER.inside(argument, name)
    is_file = os.path.isfile(path)
    if os.path.exists(path) and not (is_file and overwrite):
        remedy = "choose another name" + (", or replace it" if is_file else "")
        raise fod.DropError(argument, f"{name} exists in the folder of models; {remedy}")
    check_writable(path, argument)
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


def _walk(root: Path) -> Iterator[str]:
    """The names of the plain files under a folder; links are not followed."""
    for parent, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(root).as_posix()
