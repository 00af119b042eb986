"""Which sample of a dataset is which of a manifest: by id, or by file path."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.manifest_file import Manifest
from fiftyone_drop.members import Members, rows_of

MATCH = ("id", "filepath")


def check_prefix(value: object, match: str | None) -> tuple[str, str] | None:
    """The argument ``path_prefix`` of ``load_manifest``: (old, new), or None.

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
    pair = list(checks.items("path_prefix", value, "two texts, (old, new)"))
    if len(pair) != 2:
        raise DropError("path_prefix", f"must be two texts, (old, new), but got {value!r}")
    return pair


def find_rows(
    manifest: Manifest, members: Members, match: str | None, prefix: tuple[str, str] | None
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
    by_id = _by_id(manifest.ids, in_order, order)
    if match == "id" or (match is None and prefix is None and (by_id >= 0).all()):
        return by_id
    paths = _moved(manifest.filepaths, prefix)
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


def _by_id(ids: Ids, sorted_ids: Ids, order: IntArray) -> IntArray:
    rows = rows_of(ids, sorted_ids)
    return np.where(rows >= 0, order[rows], -1) if len(order) else rows


def _moved(paths: list[str], prefix: tuple[str, str] | None) -> list[str]:
    if prefix is None:
        return paths
    old, new = prefix
    if not any(path.startswith(old) for path in paths):
        raise DropError(
            "path_prefix",
            f"no file path of the manifest begins with {old!r}; they are such as {paths[0]!r}",
        )
    return [new + path[len(old) :] if path.startswith(old) else path for path in paths]


def _by_path(paths: list[str], wanted: set[str]) -> tuple[dict[str, int], list[str]]:
    """The rows of the wanted paths, and those of them that occur more than once."""
    row_of: dict[str, int] = {}
    doubled = []
    for row, path in enumerate(paths):
        if path in wanted and row_of.setdefault(path, row) != row:
            doubled.append(path)
    return row_of, sorted(set(doubled))
