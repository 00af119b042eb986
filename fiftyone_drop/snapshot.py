"""The samples of a run as they were when it was decided: ids, classes and scores.

Snapshots lie in a collection of their own under the token of their run, which a clone of the
dataset shares. (FiftyOne's execution store would go with the dataset, but its server sends every
document of it to the App.) Those whose run is nowhere any more, as after ``dataset.delete()``, go
when the next one is saved, unless they are young: the writer of another dataset may be at work.
Loading a run does not read its snapshot.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import numpy as np
from bson import Binary
from numpy.typing import NDArray

from fiftyone_drop import documents
from fiftyone_drop._types import Codes, FloatArray, Ids

COLLECTION = "fiftyone_drop.snapshots"
PART = 8_000_000  # bytes: a document holds 16 MB
YOUNG = timedelta(hours=1)  # by clocks that may differ


@dataclass(frozen=True, eq=False)
class Snapshot:
    """The N samples of a run.

    Attributes:
        ids: (N,) S24, sample ids
        codes: (N,) int32, the classes as positions in the class table
        scores: (N,) float, the values of the score field that samples were ordered by; None for a
            run that orders at random, and where they are not known
    """

    ids: Ids
    codes: Codes
    scores: FloatArray | None = None

    def pack(self) -> bytes:
        """The samples in the order of their ids, as few bytes: see :meth:`unpack`."""
        order = np.argsort(self.ids)
        digits = self.ids[order].tobytes().decode()
        columns = [
            np.frombuffer(bytes.fromhex(digits), np.uint8).reshape(-1, 12),
            _bytes_of(self.codes[order].astype("<i4")),
        ]
        if self.scores is not None:
            columns.append(_bytes_of(self.scores[order].astype("<f8")))
        # Bytes of the same place lie together: the first ones of an id are nearly all the same
        planes = b"".join(column.T.tobytes() for column in columns)
        head = json.dumps({"size": len(self.ids), "scored": self.scores is not None})
        return head.encode() + b"\n" + zlib.compress(planes, 1)

    @classmethod
    def unpack(cls, packed: bytes) -> Snapshot:
        """The inverse of :meth:`pack`; ``ids`` are sorted."""
        head, _, compressed = packed.partition(b"\n")
        facts = json.loads(head)
        n, planes = facts["size"], zlib.decompress(compressed)
        rows = np.frombuffer(planes, np.uint8).reshape(-1, n).T
        ids = np.frombuffer(rows[:, :12].tobytes().hex().encode(), "S24")
        codes = np.frombuffer(rows[:, 12:16].tobytes(), "<i4").astype(np.int32)
        scores = None
        if facts["scored"]:
            scores = np.frombuffer(rows[:, 16:24].tobytes(), "<f8").astype(np.float64)
        return cls(ids, codes, scores)


def save_snapshot(token: str, snapshot: Snapshot) -> None:
    """Store the snapshot of a run whose record is there already."""
    stored = _snapshots()
    stored.create_index("token")  # else each look for a token reads all snapshots
    for abandoned in _abandoned():
        stored.delete_many({"token": abandoned})
    packed = snapshot.pack()
    parts = [packed[start : start + PART] for start in range(0, len(packed), PART)]
    for i, part in enumerate(parts):
        stored.insert_one({"token": token, "part": i, "parts": len(parts), "bytes": Binary(part)})


def load_snapshot(token: str | None) -> Snapshot | None:
    """The snapshot of a run; None if the database does not have it.

    Runs of earlier versions have none, and an export of a dataset leaves it behind.
    """
    parts = list(_snapshots().find({"token": token})) if token else []
    if not parts or len(parts) != parts[0]["parts"]:
        return None
    parts.sort(key=lambda part: part["part"])
    return Snapshot.unpack(b"".join(part["bytes"] for part in parts))


def delete_snapshot(token: str | None) -> None:
    """Delete the snapshot of a run that is about to go, unless a clone has the run too."""
    runs = documents.collection("runs")
    if token and runs.count_documents({"config.token": token}, limit=2) < 2:
        _snapshots().delete_many({"token": token})


def _abandoned() -> Iterator[str]:
    """The tokens of snapshots that are no longer young, and whose run no dataset has."""
    stored, runs = _snapshots(), documents.collection("runs")
    for token in set(stored.distinct("token")) - set(runs.distinct("config.token")):
        part = stored.find_one({"token": token}, {"_id": 1})
        old = part and part["_id"].generation_time < datetime.now(timezone.utc) - YOUNG
        # Again: a clone may have come since
        if old and runs.find_one({"config.token": token}, {"_id": 1}) is None:
            yield token


def _bytes_of(column: NDArray[Any]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(column).view(np.uint8).reshape(len(column), -1)


def _snapshots() -> Any:
    return documents.collection(COLLECTION)
