"""``verify_drop``: what has happened to a dataset since a run was decided, sample by sample.

The comparison of each kind and how it prints belong together, so the module is longer than others.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import checks
from fiftyone_drop._types import Ids
from fiftyone_drop.dataset_state import SIZE
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import class_paths, number_field
from fiftyone_drop.limits import class_mask, without_gone
from fiftyone_drop.members import UNLABELED, Members, read_members
from fiftyone_drop.options import RANDOM, SUSPECTS
from fiftyone_drop.population import only_chooses
from fiftyone_drop.reader import read_ids, rows_of
from fiftyone_drop.run_lookup import load_present_order
from fiftyone_drop.runs import DropConfig, DropResults
from fiftyone_drop.snapshot import Snapshot, load_snapshot
from fiftyone_drop.tables import aligned

MEANING = {
    "added": "in the target view now, and not when the run was decided",
    "removed": "of the run, and deleted from the dataset",
    "left": "of the run, and no longer in its target view",
    "relabelled": "of the run, and of another class now",
    "rescored": "of the run, and with another value in the score field",
    "unplaced": "of the run, and without their place in its order",
}
SHOWN = 3  # ids of each kind, when printed


@dataclass(frozen=True, eq=False)
class DropVerification:
    """What :func:`verify_drop` returns. Prints as a table.

    Attributes:
        dataset: the dataset
        key: the drop run
        size: how many samples the run was decided on
        added: ids of samples that the target view has now and had not then, and of samples that
            carry a place in the run's order without having been in it, such as copies
        removed: ids of samples of the run that the dataset has no more
        left: ids of samples of the run that its target view has no more
        relabelled: ids of samples of the run whose label, or value of ``group_by``, is not the one
            that the run was decided by
        rescored: ids of samples of the run whose value in the score field ``select`` is not that
        unplaced: ids of samples of the run whose value in ``<key>_keep_at`` was erased
        counts: how many there are of each kind; None where that is not known
        unknown: what is not known, and why, in words
    """

    dataset: fo.Dataset = field(repr=False)
    key: str
    size: int
    added: tuple[str, ...]
    removed: tuple[str, ...]
    left: tuple[str, ...]
    relabelled: tuple[str, ...]
    rescored: tuple[str, ...]
    unplaced: tuple[str, ...]
    counts: Mapping[str, int | None]
    unknown: tuple[str, ...]

    @property
    def unchanged(self) -> bool:
        """Whether it is known that nothing has changed."""
        return all(n == 0 for n in self.counts.values())

    def view(self, kind: str) -> fo.DatasetView:
        """The samples of one kind.

        Args:
            kind: ``"added"``, ``"left"``, ``"relabelled"``, ``"rescored"`` or ``"unplaced"``

        Raises:
            DropError: if it is another word
        """
        kind = checks.choice("kind", kind, [name for name in MEANING if name != "removed"])
        return self.dataset.select(list(getattr(self, kind)))

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return {
            "key": self.key,
            "size": self.size,
            "unchanged": self.unchanged,
            "counts": dict(self.counts),
            **{name: list(getattr(self, name)) for name in MEANING},
            "unknown": list(self.unknown),
        }

    def __str__(self) -> str:
        state = "the dataset has changed" if any(self.counts.values()) else "no change is known"
        if self.unchanged:
            state = "nothing has changed"
        rows = [
            [
                name,
                "not known" if (n := self.counts[name]) is None else f"{n:,}",
                f"  {MEANING[name]}" + (f": {_some(ids)}" if (ids := getattr(self, name)) else ""),
            ]
            for name in MEANING
        ]
        numbers = aligned([row[:2] for row in rows])
        lines = [f"Drop run '{self.key}' of {self.size:,} samples: {state} since it was decided"]
        lines += [line + row[2] for line, row in zip(numbers, rows, strict=True)]
        return "\n".join(lines + [f"Not known: {words}" for words in self.unknown])

    __repr__ = __str__


def verify_drop(dataset: foc.SampleCollection, key: str) -> DropVerification:
    """Tell which samples of a dataset have changed since a run was decided. Writes nothing.

    Reads the class, the score and the place of every sample once. :func:`fiftyone_drop.load_drop`
    and :func:`fiftyone_drop.report` say in one line, and at once, whether samples came or went.

    Example::

        check = fod.verify_drop(dataset, "drop")
        if not check.unchanged:
            print(check)
            relabelled = check.view("relabelled")

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key

    Returns:
        a :class:`DropVerification`. Of a run that an earlier version wrote, it says what cannot be
        known

    Raises:
        DropError: if there is no such run, or its order was deleted
    """
    results = load_present_order(dataset, key)
    root, config = dataset._root_dataset, results.config
    snapshot = load_snapshot(config.token)
    unknown: list[str] = []
    if snapshot is None:
        unknown.append(
            "which samples are gone, relabelled or have other scores: the database does not have "
            "the ids, classes and scores that the run was decided on. Earlier versions did not "
            "store them, and an export of a dataset leaves them behind"
        )
    read = _read(root, results, unknown, snapshot)
    target, whole = _target(root, key, results, read, unknown)
    found = _compare(read, target, snapshot, config)
    counts: dict[str, int | None] = {
        name: None if rows is None else len(rows) for name, rows in found.items()
    }
    if snapshot is None:
        counts["removed"] = max(0, config.found["size"] - int(read.placed.sum()))
    if not whole:
        counts["added"] = counts["left"] = None
    ids = {
        name: () if rows is None or counts[name] is None else tuple(_words(rows))
        for name, rows in found.items()
    }
    return DropVerification(
        dataset=root,
        key=results.key,
        size=config.found["size"],
        counts=counts,
        unknown=tuple(unknown),
        **ids,
    )


@dataclass(frozen=True)
class _Read:
    """The samples of a dataset as they are now.

    Attributes:
        members: ids and classes
        placed: (N,) bool, whether a sample has a place in the order
        labelled: whether classes could be read
        scores: (N,) float, NaN for none; None if they could not be read
        suspect: (N,) bool, whether ``drop_below`` or ``drop_above`` leaves a sample out of the run
    """

    members: Members
    placed: NDArray[np.bool_]
    labelled: bool
    scores: NDArray[np.float64] | None
    suspect: NDArray[np.bool_]


def _read(
    root: fo.Dataset, results: DropResults, unknown: list[str], snapshot: Snapshot | None
) -> _Read:
    config = results.config
    label_field: str | None = config.label_field
    try:
        class_paths(root, config.label_field, config.group_by)
    except DropError as error:
        label_field = None
        unknown.append(f"which samples were relabelled: {error.message}")
    scored = snapshot is not None and config.select != RANDOM
    if scored and snapshot is not None and snapshot.scores is None:
        scored = False
        unknown.append("which samples have other scores: the run was loaded without its scores")
    if scored:
        try:
            number_field(root, config.select, "select", "the run was ordered by it")
        except DropError:
            scored = False
            unknown.append(
                f"which samples have other scores: the score field '{config.select}' is gone"
            )
    thresholds = []
    for argument, beyond in zip(SUSPECTS, (np.less, np.greater), strict=True):
        for name, threshold in config.asked.get(argument) or ():
            try:
                number_field(root, name, argument, "the run left samples out by it")
            except DropError as error:
                unknown.append(f"which samples are beyond a threshold: {error.message}")
            else:
                thresholds.append((name, beyond, threshold))
    others = [config.keep_at_field, *(name for name, _, _ in thresholds)]
    others += [config.select] if scored else []
    members = read_members(root, results.table.classes, label_field, config.group_by, others)
    columns = np.array(members.columns, dtype=np.float64)  # NaN for None
    suspect = np.zeros(len(members.ids), dtype=bool)
    for (_, beyond, threshold), values in zip(thresholds, columns[1:], strict=False):
        suspect |= beyond(values, threshold)  # NaN is beyond nothing
    names = [tuple(n) if isinstance(n, list) else n for n in config.asked.get("protect") or ()]
    classes = results.table.classes
    # The table lacks a class whose samples were all gone when the run was extended
    protected = class_mask("protect", without_gone(names, classes, names), classes)
    suspect &= ~np.append(protected, [False, False])[members.codes]  # no class at the end
    return _Read(
        members, columns[0] > 0, label_field is not None, columns[-1] if scored else None, suspect
    )


@dataclass(frozen=True)
class _Target:
    """Which samples of a dataset are in the target view of a run.

    Attributes:
        rows: (N,) bool, whether a sample is in it
        labelled: (N,) bool, whether it shows a label of the sample, if labels could be read
    """

    rows: NDArray[np.bool_]
    labelled: NDArray[np.bool_]


def _target(
    root: fo.Dataset, key: str, results: DropResults, read: _Read, unknown: list[str]
) -> tuple[_Target, bool]:
    """Which samples are in the target view, and whether that is known."""
    config, members = results.config, read.members
    labelled = members.codes != UNLABELED
    why, facts = "the target view was too large to be recorded", config.found
    all_in = facts.get(SIZE) == facts["size"] + facts.get("left_out", 0)
    if facts.get("extended_by") and not all_in:
        why = "the run was extended, and has no target view since then"
    elif facts.get("target_recorded", True):
        try:
            target = root.load_run_view(key)
            if target == root or not target._stages:
                return _Target(np.ones(len(members.ids), dtype=bool), labelled), True
            if only_chooses(target) or not read.labelled:
                return _Target(_among(members.ids, read_ids(target)), labelled), True
            # Its stages may hide labels that the dataset has
            shown = read_members(target, results.table.classes, config.label_field, config.group_by)
            with_label = shown.ids[shown.codes != UNLABELED]
            return _Target(_among(members.ids, shown.ids), _among(members.ids, with_label)), True
        except Exception as error:  # whatever a stage raises, whose fields or samples are gone
            why = f"the target view cannot be made any more ({error})"
    unknown.append(f"which samples were added to the target view, or left it: {why}")
    return _Target(np.zeros(len(members.ids), dtype=bool), labelled), False


def _among(ids: Ids, some: Ids) -> NDArray[np.bool_]:
    """Which ids are among some, (N,) bool."""
    return rows_of(ids, np.sort(some)) >= 0


def _compare(
    read: _Read, target: _Target, snapshot: Snapshot | None, config: DropConfig
) -> dict[str, Ids | None]:
    """The ids of each kind; None for those that cannot be known."""
    members, placed, in_target = read.members, read.placed, target.rows
    could_be_added = in_target & ~read.suspect
    if config.asked.get("skip_unlabeled") and read.labelled:
        could_be_added &= target.labelled
    if snapshot is None:
        return {
            "added": members.ids[could_be_added & ~placed],
            "removed": None,
            "left": members.ids[placed & ~in_target],
            "relabelled": None,
            "rescored": None if config.select != RANDOM else members.ids[:0],
            "unplaced": None,
        }
    rows = rows_of(members.ids, snapshot.ids)
    known = rows >= 0
    present = np.zeros(len(snapshot.ids), dtype=bool)
    present[rows[known]] = True
    relabelled = known & (members.codes != snapshot.codes[rows])
    rescored: Any = members.ids[:0]
    if config.select != RANDOM:
        rescored = None
    if read.scores is not None and snapshot.scores is not None:
        rescored = members.ids[known & (read.scores != snapshot.scores[rows])]
    return {
        "added": members.ids[~known & (could_be_added | placed)],
        "removed": snapshot.ids[~present],
        "left": members.ids[known & ~in_target],
        "relabelled": members.ids[relabelled] if read.labelled else None,
        "rescored": rescored,
        "unplaced": members.ids[known & ~placed],
    }


def _words(ids: Ids) -> list[str]:
    return [digits.decode() for digits in ids.tolist()]


def _some(ids: tuple[str, ...]) -> str:
    return listing(ids, SHOWN, str)
