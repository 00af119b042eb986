"""Which sample of a dataset is which of a manifest or of a table of scores: by id, or by file path.

``path_prefix`` and ``extra`` mean here what they mean everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.manifest_file import Manifest
from fiftyone_drop.members import Members
from fiftyone_drop.reader import rows_of

MATCH = ("id", "filepath")
EXTRA = ("error", "ignore")

Prefix = tuple[str, str]


def check_prefix(value: object, match: str | None = None) -> Prefix | None:
    """The argument ``path_prefix``: (old, new), or None.

    Raises:
        DropError: if it is something else, or paths are not looked at
    """
    if value is None:
        return None
    if match == "id":
        raise DropError("path_prefix", "changes file paths, which match='id' does not look at")
    ends = [checks.text("path_prefix", end, empty=True) for end in _pair(value)]
    return ends[0], ends[1]


def _pair(value: object) -> Sequence[object]:
    value = checks.ordered("path_prefix", value, "the order (old, new)")
    pair = list(checks.items("path_prefix", value, "two texts, (old, new)"))
    if len(pair) != 2:
        raise DropError("path_prefix", f"must be two texts, (old, new), but got {value!r}")
    return pair


def find_rows(
    manifest: Manifest, members: Members, match: str | None, prefix: Prefix | None
) -> IntArray:
    """The rows of a collection where the samples of a manifest are.

    Args:
        manifest: the N samples
        members: the collection, with its file paths as the only column
        match: one of ``MATCH``; None for ids if all are found or no fewer than paths, else paths
        prefix: (old, new) of the manifest's file paths; None to take them as they are

    Returns:
        (N,) int; -1 for samples that are not there

    Raises:
        DropError: if ids or the file paths that are looked at are not distinct
    """
    order = np.argsort(members.ids, kind="stable")
    in_order = members.ids[order]
    twice = np.flatnonzero(in_order[1:] == in_order[:-1])
    if len(twice):
        raise DropError(
            "dataset",
            f"{len(twice):,} samples occur more than once in the view, such as "
            f"{in_order[twice[0]].decode()}; pass a view that holds each sample once",
        )
    by_id = rows_of(manifest.ids, members.ids, order)
    if match == "id" or (match is None and prefix is None and (by_id >= 0).all()):
        return by_id
    paths = manifest.filepaths
    if prefix is not None:
        check_begins(paths, prefix, "the manifest")
        paths = [moved(path, prefix) for path in paths]
    row_of, doubled = _by_path(members.columns[0], set(paths))
    if match is None and prefix is None and (by_id >= 0).sum() >= len(row_of):
        return by_id
    if len(set(paths)) < len(paths):
        raise DropError(
            "match",
            f"{len(paths) - len(set(paths)):,} samples of the manifest share a file path with "
            "another, so that paths cannot tell them; pass match='id'",
        )
    if doubled:
        raise DropError(
            "match",
            f"{len(doubled):,} file paths of the manifest occur more than once in the dataset: "
            f"{listing(doubled)}; pass a view that holds each once, or match='id'",
        )
    return np.array([row_of.get(path, -1) for path in paths], dtype=np.int64)


def check_begins(paths: Sequence[str], prefix: Prefix, whose: str) -> None:
    """Check that ``path_prefix`` says something about some file paths.

    Raises:
        DropError: if it does not
    """
    old = prefix[0]
    if not any(path.startswith(old) for path in paths):
        raise DropError(
            "path_prefix",
            f"no file path of {whose} begins with {old!r}; they are such as "
            f"{checks.shown(paths[0])}",
        )


def moved(path: str, prefix: Prefix) -> str:
    """A file path as it is here: ``old`` at its beginning is ``new``.

    Where ``new`` has slashes and the path has none, it is one of Windows: so is the rest of it.
    """
    old, new = prefix
    if not path.startswith(old):
        return path
    rest = path[len(old) :]
    return new + (rest.replace("\\", "/") if "/" in new and "/" not in path else rest)


def check_found(
    argument: str,
    words: str,
    missing: int,
    total: int,
    extra: str,
    path: str | None = None,
    there: Iterable[str] = (),
) -> None:
    """Check that all samples are found, or some are and ``extra`` is ``"ignore"``.

    Args:
        argument: the name of the argument that the error is about
        words: how many are missing, for the error
        missing: their number
        total: the number of all
        extra: one of ``EXTRA``
        path (None): the file path of one that is missing, if there is one
        there (()): the file paths of the dataset, to find out where it may be now

    Raises:
        DropError: if not
    """
    if not missing or (extra == "ignore" and missing < total):
        return
    remedy = "where files lie in another folder, pass path_prefix=(old, new)"
    likely = None if path is None else likely_prefix(path, there)
    if likely is not None:
        remedy = f"{path!r} may be {likely[0]!r}: pass path_prefix={likely[1]}"
    if missing < total:
        remedy += "; or leave them out with extra='ignore'"
    raise DropError(argument, f"{words}; {remedy}")


def likely_prefix(path: str, there: Iterable[str]) -> tuple[str, Prefix] | None:
    """The file path that ends most like another one, and the ``path_prefix`` that leads to it.

    Returns:
        None if no file has the same name, or several are as likely
    """
    backwards = path.replace("\\", "/").split("/")[::-1]
    found: list[str] = []
    longest = 1
    for other in there:
        n = 0
        for mine, theirs in zip(backwards, other.split("/")[::-1], strict=False):
            if mine != theirs:
                break
            n += 1
        if n > longest or (n == longest and not found):
            found, longest = [other], n
        elif n == longest:
            found.append(other)
    if len(set(found)) != 1:
        return None
    letters = len("/".join(backwards[:longest]))
    return found[0], (path[:-letters], found[0][:-letters])


def _by_path(paths: list[str], wanted: set[str]) -> tuple[dict[str, int], list[str]]:
    """The rows of the wanted paths, and those of them that occur more than once."""
    row_of: dict[str, int] = {}
    doubled = []
    for row, path in enumerate(paths):
        if path in wanted and row_of.setdefault(path, row) != row:
            doubled.append(path)
    return row_of, sorted(set(doubled))
