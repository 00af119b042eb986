"""Arrays -> FiftyOne: fields and evaluations. The only module that writes samples.

Every function here either works or raises; the caller cleans up (see
:mod:`fiftyone_drop.run_changes`). The module is longer than others, since it is the only one.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
from bson import ObjectId
from numpy.typing import NDArray
from pymongo import UpdateMany

from fiftyone_drop import documents, lease
from fiftyone_drop._log import logger
from fiftyone_drop._types import Ids
from fiftyone_drop.errors import DropError
from fiftyone_drop.schema import forget_fields, is_classification

STATEMENT = 100  # samples per update statement: longer ones search longer arrays
BATCH = 5_000  # samples per message
THREADS = 2


@dataclass(frozen=True)
class FieldValues:
    """A field and what to write into it.

    Attributes:
        ftype: :class:`fiftyone.FloatField`, :class:`fiftyone.BooleanField`,
            :class:`fiftyone.StringField` or :class:`fiftyone.Classification`
        values: (N,) float or bool; for strings and classifications (N,) labels
        description: one line, shown in the App
        info: JSON-serialisable facts about the field
        confidences: (N,) float in [0, 1], for classifications
    """

    ftype: type
    values: NDArray[Any] | Sequence[Any]
    description: str
    info: Mapping[str, Any] | None = None
    confidences: NDArray[np.floating[Any]] | None = None

    def fits(self, field: fo.Field) -> bool:
        """Whether a field holds values of this kind, so that its samples can be read with them."""
        if self.ftype is fo.Classification:
            return is_classification(field)
        return isinstance(field, self.ftype)

    def documents(self, start: int, stop: int) -> list[Any]:
        """Some of the values as MongoDB stores them."""
        values = list(self.values[start:stop])
        if isinstance(self.values, np.ndarray):
            values = self.values[start:stop].tolist()
        if self.ftype is not fo.Classification:
            return values
        # A document made once by FiftyOne itself and copied: a hundred times faster than N labels
        template = fo.Classification(label="label", confidence=0.5).to_dict()
        confidences = [None] * len(values)
        if self.confidences is not None:
            confidences = self.confidences[start:stop].tolist()
        return [
            {**template, "_id": ObjectId(), "label": label, "confidence": confidence}
            for label, confidence in zip(values, confidences, strict=True)
        ]


def write_fields(
    dataset: fo.Dataset, ids: Ids, fields: Mapping[str, FieldValues], progress: Any = None
) -> None:
    """Write fields of the samples with the given ids, all fields in one pass.

    Batches go out from a few threads: while the server writes one, the next is being encoded.

    Args:
        dataset: the dataset
        ids: (N,) S24, sample ids
        fields: field name -> values, in the order of ``ids``
        progress (None): as everywhere in FiftyOne: whether to render a progress bar, or a callback

    Raises:
        DropError: the dataset has none of these samples
    """
    unset_strays(dataset, fields)
    for name, field in fields.items():
        add_field(dataset, name, field)
    # Whose these fields are is on disk before a value: else a server that is killed may come back
    # with values of nobody
    lease.check(dataset)
    logger.info("Writing %s", ", ".join(fields))
    samples = dataset._sample_collection
    now = datetime.now(timezone.utc)

    leases = lease.held(dataset)  # threads of a pool do not see what this one holds
    failed = threading.Event()  # other threads know of an error before the caller does
    found: list[int] = []  # of each batch, how many of its samples the dataset has

    def write(start: int) -> int:
        stop = min(start + BATCH, len(ids))
        if failed.is_set():
            return 0
        try:
            for one in leases:
                one.keep()
            updates = [
                _update(fields, ids, i, min(i + STATEMENT, stop), now)
                for i in range(start, stop, STATEMENT)
            ]
            found.append(samples.bulk_write(updates, ordered=False).matched_count)
        except BaseException:
            failed.set()
            raise
        return stop - start

    with (
        ThreadPoolExecutor(THREADS) as pool,
        fou.ProgressBar(total=len(ids), progress=progress) as bar,
    ):
        try:
            for written in pool.map(write, range(0, len(ids), BATCH)):
                bar.update(written)
        except BaseException:
            pool.shutdown(cancel_futures=True)  # nothing may be written after the error
            raise
    if len(ids) and not any(found):
        raise DropError(
            "samples",
            f"'{dataset.name}' has none of the {len(ids):,} samples any more; if it was built "
            "again, read and compute them again",
        )
    dataset._reload_docs(hard=True)


def add_field(dataset: fo.Dataset, name: str, values: FieldValues) -> None:
    """Make the field of some values, without these; one that exists stays as it is."""
    kind = (
        {"ftype": fo.EmbeddedDocumentField, "embedded_doc_type": fo.Classification}
        if values.ftype is fo.Classification
        else {"ftype": values.ftype}
    )
    info = dict(values.info) if values.info else None
    dataset.add_sample_field(name, description=values.description, info=info, **kind)


def _update(
    fields: Mapping[str, FieldValues], ids: Ids, start: int, stop: int, now: datetime
) -> UpdateMany:
    """One statement that writes some samples, each its own values.

    The server looks each sample's values up in arrays that come with the statement. That takes it
    less than half of the time of as many single updates (benchmarks/data_layer.py).
    """
    oids = [ObjectId(digits.decode()) for digits in ids[start:stop].tolist()]
    position = {"$indexOfArray": [{"$literal": oids}, "$_id"]}
    values: dict[str, Any] = {
        name: {"$arrayElemAt": [{"$literal": field.documents(start, stop)}, position]}
        for name, field in fields.items()
    }
    # FiftyOne's own writers keep this too, and nothing in the database does it by itself
    values["last_modified_at"] = now
    return UpdateMany({"_id": {"$in": oids}}, [{"$set": values}])


def evaluate(
    dataset: fo.Dataset,
    pred_field: str,
    label_field: str,
    eval_key: str,
    info: Mapping[str, Any] | None = None,
) -> None:
    """Evaluate the predictions in a field under an evaluation key, whose field gets the info."""
    # FiftyOne would make the same field, which is on disk before a value: see write_fields
    dataset.add_sample_field(eval_key, fo.BooleanField, info=info)
    lease.check(dataset)
    dataset.exists(pred_field).evaluate_classifications(
        pred_field, gt_field=label_field, eval_key=eval_key, method="simple", progress=False
    )


def delete_evaluation(dataset: fo.Dataset, eval_key: str) -> None:
    """Delete an evaluation run and its field, as far as they exist: the field first."""
    unset_strays(dataset, [eval_key])
    delete_fields(dataset, [eval_key])
    if eval_key in documents.entry(dataset, "evaluations", {}):
        documents.delete_record(dataset, "evaluations", eval_key)


def move_kept(dataset: fo.Dataset, keep_at_field: str, kept_field: str, density: float) -> None:
    """Set ``kept_field`` to whether a sample is kept at ``density``, where it is not so already.

    Server-side, and only samples of the run: to compare with a number finds numbers only. A short
    move takes the time of the search, so that both searches go out at once.
    """
    samples = dataset._sample_collection
    now = datetime.now(timezone.utc)

    def set_where(bound: dict[str, float], kept: bool) -> None:
        wrong = {keep_at_field: bound, kept_field: {"$ne": kept}}
        samples.update_many(wrong, {"$set": {kept_field: kept, "last_modified_at": now}})

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(set_where, ({"$lte": density}, {"$gt": density}), (True, False)))
    dataset._reload_docs(hard=True)


def changed_fields(dataset: fo.Dataset, ids: Ids, fields: Mapping[str, FieldValues]) -> set[str]:
    """The fields that have another value of a sample than :func:`write_fields` would write.

    It reads these samples alone, and stops once each field has been found.

    Args:
        dataset: the dataset
        ids: (N,) S24, sample ids
        fields: field name -> values, in the order of ``ids``
    """
    found: set[str] = set()
    for start in range(0, len(ids), BATCH):
        left = [name for name in fields if name not in found]
        if not left:
            break
        oids = [ObjectId(digits.decode()) for digits in ids[start : start + BATCH].tolist()]
        new = {name: fields[name].documents(start, start + len(oids)) for name in left}
        row_of = {oid: row for row, oid in enumerate(oids)}
        some = [{name: {"$ne": None}} for name in left]
        chosen = {"_id": {"$in": oids}, "$or": some}
        for document in dataset._sample_collection.find(chosen, dict.fromkeys(left, 1)):
            row = row_of[document.pop("_id")]
            found |= {n for n, old in document.items() if old is not None and old != new[n][row]}
    return found


def copy_fields(dataset: fo.Dataset, copies: Mapping[str, str]) -> None:
    """Copy the values of fields into other fields that exist, server-side, in one pass.

    Args:
        dataset: the dataset
        copies: field -> the field that it is copied from
    """
    now = datetime.now(timezone.utc)
    values: dict[str, Any] = {to: f"${source}" for to, source in copies.items()}
    some = [{source: {"$ne": None}} for source in copies.values()]
    dataset._sample_collection.update_many(
        {"$or": some}, [{"$set": values | {"last_modified_at": now}}]
    )
    dataset._reload_docs(hard=True)


def move_values(dataset: fo.Dataset, moves: Mapping[str, str]) -> None:
    """Move the values of fields into other fields, server-side, in one pass that may be repeated.

    A pipeline, since that takes the server less time than ``$rename``.

    Args:
        dataset: the dataset
        moves: field -> the field whose values it gets, where these exist; None is a value too
    """
    moved: dict[str, Any] = {
        to: {"$cond": [{"$eq": [{"$type": f"${source}"}, "missing"]}, f"${to}", f"${source}"]}
        for to, source in moves.items()
    }
    moved["last_modified_at"] = datetime.now(timezone.utc)
    sources = list(moves.values())
    dataset._sample_collection.update_many(
        {"$or": [{source: {"$exists": True}} for source in sources]},
        [{"$set": moved}, {"$unset": sources}],
    )


def has_values(dataset: fo.Dataset, name: str) -> bool:
    """Whether a sample has a value under a name, be it that of a field or not."""
    chosen = {name: {"$exists": True}}
    return dataset._sample_collection.find_one(chosen, {"_id": 1}) is not None


def count_rest(dataset: fo.Dataset, name: str, staged: str) -> int:
    """How many samples have a value in a field, and nothing in the one that is staged for it."""
    return int(dataset._sample_collection.count_documents(_rest(name, staged)))


def stage_nothing(dataset: fo.Dataset, name: str, staged: str) -> None:
    """Stage None for the samples that :func:`count_rest` counts."""
    dataset._sample_collection.update_many(_rest(name, staged), {"$set": {staged: None}})


def _rest(name: str, staged: str) -> dict[str, Any]:
    return {name: {"$ne": None}, staged: {"$exists": False}}


def delete_fields(dataset: fo.Dataset, names: Iterable[str]) -> None:
    """Delete those of the fields that exist: their values first.

    FiftyOne's own deletion writes all samples, those without a value too.
    """
    schema = dataset.get_field_schema()
    present = [name for name in names if name in schema]
    if present:
        unset(dataset, present)
        forget_fields(dataset, present)


def unset_strays(dataset: fo.Dataset, names: Iterable[str]) -> None:
    """Unset values under names that are no fields, with which no sample can be read.

    They are of a cut connection, a server that was killed, or a deleted field.
    """
    schema = dataset.get_field_schema()
    absent = [name for name in names if name not in schema]
    if absent:
        unset(dataset, absent)


def unset(dataset: fo.Dataset, names: Sequence[str]) -> None:
    """Unset the values of fields, or values under names that are no fields."""
    lease.check(dataset)  # what makes them superfluous is on disk, and nobody else has begun
    some = [{name: {"$exists": True}} for name in names]
    dataset._sample_collection.update_many({"$or": some}, {"$unset": dict.fromkeys(names, "")})
