"""The one folder of the server into which users of the App may export: images and manifests.

The server's owner chooses it with the environment variable ``FIFTYONE_DROP_EXPORTS_DIR``; by
default it is the folder ``exports`` beside FiftyOne's datasets.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import exporting

from .server_folder import ServerFolder, check_writable

FOLDER = ServerFolder(
    variable="FIFTYONE_DROP_EXPORTS_DIR",
    default=lambda: os.path.join(fo.config.default_dataset_dir, "exports"),
    suffix="",
    words="the name of a folder in the folder of exports, such as digits or mine/digits",
)
MOST_BYTES = 180  # of a likely name: room for a number, and for the suffix of a manifest
OF_PATHS = ("export_dir", "path")  # the arguments of the package that errors about paths name


def likely(dataset: str, key: str) -> str:
    """A name for an export that is free, and that of its manifest too."""
    words = re.sub(r"[^\w-]+", "-", f"{dataset}-{key}").encode(errors="ignore")
    name = words[:MOST_BYTES].decode(errors="ignore").strip("-") or "export"
    names = [name, *(f"{name}-{number}" for number in range(2, 1000))]
    return next((one for one in names if not any(map(os.path.exists, _both(one)))), name)


def _both(name: str) -> tuple[Path, Path]:
    """Where the images of an export go, and its manifest."""
    return FOLDER.path() / name, FOLDER.path() / of_manifest(name)


def of_manifest(name: object) -> str:
    """The name of the manifest of an export."""
    return f"{name}.parquet"


def to_write(argument: str, name: object) -> Path:
    """The path of a folder that is new, or empty.

    Raises:
        fiftyone_drop.DropError: if the name leads elsewhere, is taken, or cannot be read
    """
    path = FOLDER.inside(argument, name)
    try:
        free = exporting.is_free(path)
    except OSError as error:
        raise fod.DropError(
            argument, f"{name} cannot be read ({error.strerror}); choose another name"
        ) from error
    if not free:
        raise fod.DropError(argument, f"{name} exists in the folder of exports; choose another")
    check_writable(path, argument)
    return path


def manifest(argument: str, name: object) -> Path:
    """The path of a manifest, beside the folder of that name.

    Raises:
        fiftyone_drop.DropError: as :func:`to_write`
    """
    return to_write(argument, of_manifest(name))


@contextlib.contextmanager
def saying_the_name(argument: str, name: object) -> Iterator[None]:
    """Where something cannot be written: say its name, since the path is the server's own.

    Raises:
        fiftyone_drop.DropError: in place of an error about a path; others are as they are
    """
    try:
        yield
    except (OSError, fod.DropError) as error:
        if isinstance(error, fod.DropError) and error.argument not in OF_PATHS:
            raise
        cause = error if isinstance(error, OSError) else error.__cause__
        reason = cause.strerror if isinstance(cause, OSError) else "it exists meanwhile"
        raise fod.DropError(argument, f"cannot write {name}: {reason}") from error
