"""Reads samples: streams of documents, and counts that the server makes by our own pipelines."""

from __future__ import annotations

import gc
import io
import itertools
import zlib
from collections.abc import Iterator, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.utils as fou
import numpy as np
from fiftyone.core.expressions import ViewExpression

from fiftyone_drop._types import FloatArray, Ids, IntArray

BATCH = 5_000
LONG_READ = 300_000  # samples that take about a second


def stream(
    samples: foc.SampleCollection, paths: Sequence[str]
) -> Iterator[tuple[Ids, list[list[Any]]]]:
    """Read ids and some values of all samples, in batches.

    ``samples.values`` builds lists of everything, where a cursor holds one batch.

    Args:
        samples: a collection
        paths: what to read beside the ids

    Yields:
        a tuple of

        -   (B,) S24, sample ids
        -   a list with one list of B values per path, None where there is none
    """
    projection: dict[str, Any] = {
        f"v{i}": f"${samples._handle_db_field(path)}" for i, path in enumerate(paths)
    }
    pipeline = samples._pipeline(post_pipeline=[{"$project": projection or {"_id": True}}])
    # Left to itself the server sends 16 MB at a time, a quarter of a million documents to hold
    cursor = samples._dataset._sample_collection.aggregate(
        pipeline, allowDiskUse=True, batchSize=BATCH
    )
    keys = list(projection)
    while columns := _next_columns(cursor, keys):
        yield columns


def _next_columns(
    cursor: Iterator[dict[str, Any]], keys: list[str]
) -> tuple[Ids, list[list[Any]]] | None:
    """The next batch of documents, as columns; None if there is none."""
    # Half of the time would go into looking for reference cycles among documents that have none
    collecting = gc.isenabled()
    gc.disable()
    try:
        documents = list(itertools.islice(cursor, BATCH))
        if not documents:
            return None
        digits = b"".join(document["_id"].binary for document in documents).hex().encode()
        return np.frombuffer(digits, dtype="S24"), [[d.get(key) for d in documents] for key in keys]
    finally:
        if collecting:
            gc.enable()


def vector_of(value: Any, most: int) -> Any:
    """An array as MongoDB stores it, packed by FiftyOne in bytes, or as a list.

    Args:
        value: the value of a field
        most: bytes that packed ones may take, at most

    Raises:
        Exception: of any kind, from zlib, NumPy and Python's parser, which reads NumPy's header
    """
    if not isinstance(value, bytes):
        return value
    unpacker = zlib.decompressobj()
    content = unpacker.decompress(value, most)
    if not unpacker.eof or unpacker.unused_data:
        raise ValueError(f"it is damaged, or holds more than {most:,} bytes")
    return np.lib.format.read_array(io.BytesIO(content), allow_pickle=False)


def reading_bar(samples: foc.SampleCollection, progress: Any) -> fou.ProgressBar:
    """A progress bar for reading a collection, if that takes over a second."""
    total = len(samples)
    return fou.ProgressBar(total=total, progress=progress if total >= LONG_READ else False)


def read_ids(samples: foc.SampleCollection) -> Ids:
    """The ids of a collection, (N,) S24."""
    return np.concatenate([np.empty(0, "S24"), *(ids for ids, _ in stream(samples, []))])


def read_order(dataset: fo.Dataset, keep_at_field: str) -> tuple[Ids, FloatArray]:
    """The samples of a run, and the smallest density at which each is kept.

    Returns:
        a tuple of (N,) S24, sample ids, and (N,) float
    """
    in_run = dataset.match(fo.ViewField(keep_at_field) > 0)
    parts = [
        (ids, np.array(columns[0], dtype=np.float64))
        for ids, columns in stream(in_run, [keep_at_field])
    ]
    ids = np.concatenate([np.empty(0, "S24"), *(part[0] for part in parts)])
    return ids, np.concatenate([np.empty(0), *(part[1] for part in parts)])


def count(samples: foc.SampleCollection) -> int:
    """How many samples a collection has, counted.

    FiftyOne asks the server for an estimate of a whole dataset, which is wrong after the server was
    killed.
    """
    pipeline = samples._pipeline(post_pipeline=[{"$count": "n"}])
    found = samples._dataset._sample_collection.aggregate(pipeline, allowDiskUse=True)
    return int(next(found, {"n": 0})["n"])


def count_groups(
    dataset: fo.Dataset, where: ViewExpression, by: Sequence[Any]
) -> list[tuple[Any, ...]]:
    """Count samples by the values of some MongoDB expressions.

    Args:
        dataset: a dataset
        where: which of its samples count
        by: the expressions, such as ``"$ground_truth.label"``

    Returns:
        one tuple per combination that occurs: the values, None for missing ones, and the count
    """
    groups = aggregate(dataset, where, {"_id": list(by), "n": {"$sum": 1}})
    return [(*group["_id"], group["n"]) for group in groups]


def aggregate(
    dataset: fo.Dataset, where: ViewExpression, group: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """Reduce samples on the server with one ``$group`` stage.

    Args:
        dataset: a dataset
        where: which of its samples count
        group: the stage

    Returns:
        the groups
    """
    pipeline = [{"$match": {"$expr": where.to_mongo()}}, {"$group": group}]
    groups: Iterator[dict[str, Any]] = dataset._sample_collection.aggregate(
        pipeline, allowDiskUse=True
    )
    return groups


def count_tags(samples: foc.SampleCollection) -> dict[str, int]:
    """How many samples of a collection have each sample tag."""
    counts: dict[str, int] = samples.count_sample_tags()
    return counts


def rows_of(wanted: Ids, among: Ids, order: IntArray | None = None) -> IntArray:
    """Where ids are in others, (N,) int; -1 for those that are not.

    Args:
        wanted: (N,) S24, or wider
        among: (M,) S24, distinct
        order (None): (M,) int, what sorts them; None where they are sorted
    """
    if not len(among):
        return np.full(len(wanted), -1)
    places = np.minimum(np.searchsorted(among, wanted, sorter=order), len(among) - 1)
    rows = places if order is None else order[places]
    return np.where(among[rows] == wanted, rows, -1)
