"""How many samples a dataset has gained and lost since a run was decided.

Two look-ups in indexes that FiftyOne keeps: no sample is read, however large the dataset is. A
change of a label or a score is not seen here; :func:`fiftyone_drop.verify_drop` sees it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, NamedTuple

import fiftyone as fo
from bson import MinKey

SIZE = "dataset_size"  # in the record of a run, what its dataset was when it was decided:
NEWEST = "newest_sample"  # how many samples it had, when the newest of them was added,
DATASET = "dataset_id"  # and which it was, for a clone and an import have the record too


class Changes(NamedTuple):
    """What happened to a dataset since a run was decided.

    Attributes:
        gone: how many of the samples that it had then it has no more
        added: how many it has that it did not have then
    """

    gone: int
    added: int

    def in_words(self, key: str) -> str | None:
        """One line about them; None if there are none."""
        parts = []
        if self.gone:
            parts.append(f"{self.gone:,} {_is_or_are(self.gone)} gone")
        if self.added:
            parts.append(f"{self.added:,} {_is_or_are(self.added)} new")
        if not parts:
            return None
        return (
            f"of the samples of the dataset, {' and '.join(parts)} since this run was decided: "
            f"fod.verify_drop(dataset, {key!r}) names those that matter to it"
        )


def state_of(dataset: fo.Dataset) -> dict[str, Any]:
    """What the record of a run says of its dataset, as plain values."""
    return {SIZE: _count(dataset), NEWEST: _newest(dataset), DATASET: str(dataset._doc.id)}


def quick_state(dataset: fo.Dataset) -> list[Any]:
    """What tells a dataset from what it was a moment ago, without counting: for caches."""
    size = dataset._sample_collection.estimated_document_count()
    return [str(dataset._doc.id), size, _newest(dataset)]


def last_change(dataset: fo.Dataset) -> str | None:
    """When a sample was last changed, from an index: for caches of values."""
    return _latest(dataset, "last_modified_at")


def changes_since(dataset: fo.Dataset, state: Mapping[str, Any]) -> Changes | None:
    """What happened to a dataset since :func:`state_of`.

    Samples that were both added and deleted meanwhile do not count.

    Args:
        dataset: the dataset
        state: the record of a run, in which runs of earlier versions say nothing of their dataset

    Returns:
        the :class:`Changes`, or None if that is not known: a copy of the dataset has other times
    """
    before, own_id = state.get(SIZE), str(dataset._doc.id)
    if before is None or state.get(DATASET, own_id) != own_id:
        return None
    samples, newest = dataset._sample_collection, state.get(NEWEST)
    added = 0
    if newest is not None:
        added = samples.count_documents({"created_at": {"$gt": datetime.fromisoformat(newest)}})
    now = samples.estimated_document_count()
    if now != before + added:
        now = _count(dataset)  # the estimate may be wrong after the server was killed
    gone = max(0, before + added - now)
    # Where the clock of another machine is late, its samples look older than they are
    return Changes(gone, now - before + gone)


def _newest(dataset: fo.Dataset) -> str | None:
    """When the newest sample was added, from an index."""
    return _latest(dataset, "created_at")


def _latest(dataset: fo.Dataset, field: str) -> str | None:
    latest = dataset._sample_collection.find_one(
        {field: {"$ne": None}}, {field: 1}, sort=[(field, -1)]
    )
    return None if latest is None else str(latest[field].isoformat())


def _count(dataset: fo.Dataset) -> int:
    """The exact number of samples, from an index."""
    samples = dataset._sample_collection
    query = {"_id": {"$gt": MinKey()}}
    return int(samples.database.command("count", samples.name, query=query)["n"])


def _is_or_are(n: int) -> str:
    return "is" if n == 1 else "are"
