"""The bytes of image files: from the samples' metadata, or else from the disk."""

from __future__ import annotations

import os

import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.engine.threads import in_threads
from fiftyone_drop.errors import DropError
from fiftyone_drop.reader import rows_of, stream

THREADS = 16  # a network disk answers slowly, and many questions at once


def read_file_sizes(samples: foc.SampleCollection, ids: Ids) -> IntArray:
    """The bytes of the image file of each sample. A file that two samples share counts twice.

    Args:
        samples: a collection that holds the samples
        ids: (N,) S24, sample ids

    Returns:
        (N,) int

    Raises:
        DropError: if samples are gone, or a file without metadata cannot be found
    """
    order = np.argsort(ids)
    sizes = np.full(len(ids), -1, dtype=np.int64)
    paths: dict[int, str] = {}
    for batch, (known, files) in stream(samples, ["metadata.size_bytes", "filepath"]):
        rows = rows_of(batch, ids, order).tolist()
        for row, size, path in zip(rows, known, files, strict=True):
            if row < 0:
                continue
            sizes[row] = -1 if size is None else size
            if size is None:
                paths[row] = path
    found = in_threads(_size_on_disk, paths.values(), THREADS)
    sizes[list(paths)] = np.fromiter(found, np.int64, len(paths))
    unknown = np.flatnonzero(sizes < 0)
    if len(unknown):
        row = int(unknown[0])
        raise DropError(
            "max_bytes",
            f"the size of {len(unknown):,} of {len(ids):,} image files is not known, such as "
            f"{paths.get(row, ids[row].decode())!r}: they are not on this disk, and the samples "
            "have no metadata; call compute_metadata() where the files are, or pass size=",
        )
    return sizes


def _size_on_disk(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return -1
