"""``save_manifest`` and ``load_manifest``: carry a run to another database, as a Parquet file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import IntArray
from fiftyone_drop.dataset_state import state_of
from fiftyone_drop.engine.files import write_atomically
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import class_paths, current_collection
from fiftyone_drop.manifest_file import Manifest, is_manifest, read_manifest, to_parquet
from fiftyone_drop.matching import EXTRA, MATCH, check_found, check_prefix, find_rows
from fiftyone_drop.members import Members, read_members
from fiftyone_drop.options import group_names
from fiftyone_drop.plan import kept_samples
from fiftyone_drop.reader import rows_of
from fiftyone_drop.run_changes import write_run
from fiftyone_drop.run_lookup import load_present_order
from fiftyone_drop.snapshot import Snapshot, load_snapshot
from fiftyone_drop.views import part_view
from fiftyone_drop.waiting import UNFINISHED


def save_manifest(
    dataset: foc.SampleCollection,
    key: str,
    path: str | os.PathLike[str],
    *,
    overwrite: bool = False,
) -> Path:
    """Write a run to a Parquet file, from which :func:`load_manifest` makes it elsewhere.

    A row for each sample of the run, in its order, with the columns ``id``, ``filepath``,
    ``label``, ``group`` (with ``group_by``; of several fields ``group_1`` and so on), ``score``
    (with ``select``), ``keep_at`` and ``kept``; classes and scores are those that the run was
    decided by. The record of the run and its class table are in the file's metadata, as JSON.
    Predictions that the run made stay behind.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        path: where to write, such as ``"drop.parquet"``; the file is written whole or not at all
        overwrite (False): whether to replace a manifest of that path

    Returns:
        the path

    Raises:
        DropError: if there is no such run, its order was deleted, nothing of it is left, ``path``
            cannot be written or exists, or PyArrow is not installed
            (``pip install 'fiftyone-drop[parquet]'``)
    """
    overwrite = checks.flag("overwrite", overwrite)
    target = checks.path("path", path)
    results = load_present_order(dataset, key)
    _check_free(target, overwrite)
    root, config = dataset._root_dataset, results.config
    table = results.decided_table
    snapshot = load_snapshot(config.token)
    in_run = part_view(root, config, 1.0, "all")
    label_field = config.label_field if snapshot is None else None
    members = read_members(
        in_run, table.classes, label_field, config.group_by, ["filepath", config.keep_at_field]
    )
    codes, scores, known = members.codes, None, np.ones(len(members.ids), dtype=bool)
    if snapshot is not None:
        rows = rows_of(members.ids, snapshot.ids)
        codes, known = snapshot.codes[rows], rows >= 0  # a copy of a sample is not in the run
        scores = None if snapshot.scores is None else snapshot.scores[rows]
    keep_at = np.array(members.columns[1], dtype=np.float64)
    order = np.argsort(keep_at, kind="stable")
    order = order[known[order]]
    lost = np.flatnonzero(codes[order] < 0)
    if len(lost):
        raise DropError(
            "key",
            f"{len(lost):,} samples of the run '{key}' have no class of it any more, such as "
            f"{members.ids[order[lost[0]]].decode()}, and it does not know which they had; correct "
            "their labels, or make the run again",
        )
    manifest = Manifest(
        key=results.key,
        dataset=root.name,
        density=results.density,
        asked=config.asked,
        label_field=config.label_field,
        recalls_from=config.recalls_from,
        warnings=tuple(config.warnings),
        table=table,
        ids=members.ids[order],
        filepaths=[members.columns[0][row] for row in order],
        codes=codes[order],
        keep_at=keep_at[order],
        scores=None if scores is None else scores[order],
    )
    try:
        manifest.check()
    except ValueError as error:
        raise DropError(
            "key",
            f"the run '{key}' is not as it was written: {error}; verify_drop says what has "
            "changed; make the run again",
        ) from error
    try:
        write_atomically(target, to_parquet(manifest))
    except OSError as error:
        raise DropError("path", f"{target} cannot be written ({error}); pass another") from error
    return target


def _check_free(path: Path, overwrite: bool) -> None:
    """Check that a file can be written, and that what it replaces is a manifest.

    Raises:
        DropError: if not
    """
    if not path.parent.is_dir():
        raise DropError("path", f"there is no folder {path.parent}; make it, or pass another path")
    if not os.path.lexists(path):
        return
    if not is_manifest(path):
        raise DropError("path", f"{path} exists and is no manifest; pass another path")
    if not overwrite:
        raise DropError(
            "path", f"{path} exists; pass overwrite=True to replace it, or another path"
        )


def load_manifest(
    dataset: foc.SampleCollection,
    path: str | os.PathLike[str],
    *,
    key: str | None = None,
    match: str | None = None,
    path_prefix: tuple[str, str] | None = None,
    extra: str = "error",
    overwrite: bool = False,
    progress: Any = None,
) -> fo.DatasetView:
    """Make the run of a manifest in a dataset of the same images, as :func:`apply_drop` would.

    Nothing is computed again: at every density the run keeps the samples that it kept where it is
    from. Samples of the dataset that the manifest does not have are not in the run.

    Example::

        fod.save_manifest(dataset, "drop", "drop.parquet")
        # elsewhere
        view = fod.load_manifest(dataset, "drop.parquet", path_prefix=("/data/", "/mnt/data/"))

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view of images, the target view
        path: the file, which :func:`save_manifest` wrote
        key (None): the run key; by default that of the manifest
        match (None): how samples are found: by ``"id"`` or by ``"filepath"``; by default by id if
            all are found, and otherwise in the way that finds more
        path_prefix (None): (old, new): file paths of the manifest that begin with ``old`` begin
            here with ``new``; paths of Windows get slashes where ``new`` has some
        extra ("error"): what to do about samples of the manifest that the dataset does not have:
            ``"error"``, or ``"ignore"`` to make the run without them; its quotas are then counted
        overwrite (False): whether to replace the run of that key
        progress (None): as everywhere in FiftyOne

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the kept samples of the target view

    Raises:
        DropError: if the file is no manifest or damaged, an argument is invalid, samples have
            another label than in the manifest, or cannot be found; nothing has been written then
        ConnectionError: the database was away for ten minutes, or again and again
    """
    samples = current_collection(dataset, "dataset")
    overwrite = checks.flag("overwrite", overwrite)
    match = None if match is None else checks.choice("match", match, MATCH)
    extra = checks.choice("extra", extra, EXTRA)
    prefix = check_prefix(path_prefix, match)
    key = checks.text("key", key, optional=True)
    source = checks.path("path", path)
    manifest = read_manifest(source)
    root = samples._root_dataset
    try:
        class_paths(samples, manifest.label_field, manifest.group_by)
    except DropError as error:
        raise DropError("dataset", f"the run is about another one: {error.message}") from None
    state = state_of(root)
    members = read_members(
        samples, manifest.table.classes, manifest.label_field, manifest.group_by, ["filepath"]
    )
    rows = find_rows(manifest, members, match, prefix)
    there = np.flatnonzero(rows >= 0)
    missing = _missing_in_words(manifest, root.name, rows, extra, members.columns[0])
    _check_labels(manifest, members, rows, there)
    density, keep_at = manifest.density, manifest.keep_at[there]
    codes, table = manifest.codes[there], manifest.table
    counted = np.bincount(codes[keep_at <= density], minlength=len(table.classes))
    whole = len(there) == table.size and table.weights is not None
    table = table.at(density, None if whole else counted)
    if whole and not np.array_equal(table.quotas, counted):
        raise DropError("path", f"the order in {source} is not that of its class table")
    fields = (manifest.label_field, *group_names(manifest.group_by))
    config = write_run(
        samples,
        key or manifest.key,
        overwrite,
        uses=[("dataset", name) for name in fields],
        asked=manifest.asked,
        found={
            "size": len(there),
            "label_field": manifest.label_field,
            "recalls_from": manifest.recalls_from,
            "warnings": [*manifest.warnings, *missing],
            "manifest": f"{source.name}: '{manifest.key}' of '{manifest.dataset}'",
            **state,
        },
        table=table,
        decided_on=Snapshot(
            members.ids[rows[there]],
            codes,
            None if manifest.scores is None else manifest.scores[there],
        ),
        keep_at=keep_at,
        predictions=None,
        progress=progress,
        saved=UNFINISHED,
    )
    return kept_samples(samples, config.keep_at_field, density)


def _missing_in_words(
    manifest: Manifest, name: str, rows: IntArray, extra: str, there: list[str]
) -> list[str]:
    """Words for the record about samples that the dataset does not have.

    Raises:
        DropError: if there are some, and they are not to be ignored
    """
    absent = np.flatnonzero(rows < 0)
    gone = manifest.table.size - len(manifest)
    if len(absent):
        path = manifest.filepaths[absent[0]]
        words = f"'{name}' does not have {len(absent):,} of the {len(manifest):,} samples of the "
        words += f"manifest, such as {manifest.ids[absent[0]].decode()}, {path!r}"
        check_found("dataset", words, len(absent), len(manifest), extra, path, there)
    if not len(absent) + gone:
        return []
    return [
        f"{len(absent) + gone:,} of the {manifest.table.size:,} samples that the run was decided "
        "on were not there when it was loaded from its manifest"
    ]


def _check_labels(manifest: Manifest, members: Members, rows: IntArray, there: IntArray) -> None:
    now = members.codes[rows[there]]
    other = np.flatnonzero(now != manifest.codes[there])
    if not len(other):
        return
    names = manifest.table.names

    def words(i: int) -> str:
        row = there[i]
        code = now[i]
        here = repr(names[code]) if code >= 0 else "no class of the run"
        return f"{manifest.filepaths[row]!r} ({names[manifest.codes[row]]!r} there, {here} here)"

    raise DropError(
        "dataset",
        f"{len(other):,} of {len(there):,} samples have another label than the run was decided by: "
        f"{listing(other.tolist(), 3, words)}; correct the labels, or make the run with apply_drop",
    )
