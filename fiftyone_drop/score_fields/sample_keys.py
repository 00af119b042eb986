"""Which samples of a collection ids and file paths are, and the scores that each of them gets."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.storage as fos
import numpy as np
from bson import ObjectId

from fiftyone_drop import array_checks, checks
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.matching import Prefix, check_begins, check_found, moved
from fiftyone_drop.reader import read_ids, stream

Keys = Sequence[Any]


class SampleKeys:
    """Where ids and file paths are in a collection; its paths are read when one is asked for.

    Attributes:
        ids: (N,) S24, the ids of the collection
        extra: whether scores of other samples are left out, ``"ignore"``, or an ``"error"``
        left_out: how many scores of the last column belong to no sample
    """

    def __init__(self, samples: foc.SampleCollection, prefix: Prefix | None, extra: str) -> None:
        self._samples = samples
        self._prefix = prefix
        self.extra = extra
        self.ids = read_ids(samples)
        self.left_out = 0
        self._row_of_id = {digits.decode(): row for row, digits in enumerate(self.ids.tolist())}
        self._rows_of_path: dict[str, list[int]] | None = None
        # The columns of a table share their keys, which stay alive with it
        self._found: dict[int, tuple[Keys, list[Sequence[int]]]] = {}

    def find(self, keys: Keys) -> list[Sequence[int]]:
        """The rows of each key: none if it is not there, several for a file of several samples."""
        if id(keys) not in self._found:
            self._found[id(keys)] = (keys, [self._rows(key) for key in keys])
        return self._found[id(keys)][1]

    def has(self, name: str) -> bool:
        """Whether the name of a column is an id or a file path of the collection."""
        # Most names are neither, and no reason to read all paths
        return (ObjectId.is_valid(name) or bool({*name} & {*"./\\"})) and bool(self._rows(name))

    def place(
        self, score: str, keys: Keys | None, values: Any, gaps: bool
    ) -> tuple[IntArray, FloatArray]:
        """Rows (M,) of the collection, ascending, and their scores (M,).

        Args:
            score: the name of the score
            keys: N ids and file paths, of which some may be alike where their scores are
            values: N numbers; without keys those of the samples of the collection
            gaps: whether samples without a number get an empty value, rather than none

        Raises:
            DropError: if keys are not found, or a sample has two scores
        """
        numbers = array_checks.real_numbers("scores", values, f"those of '{score}' must be numbers")
        expected = len(self.ids if keys is None else keys)
        if numbers.shape != (expected,):
            whose = "samples in the view" if keys is None else "ids in the file"
            raise DropError(
                "scores",
                f"'{score}' must hold one number for each of the {expected} {whose}, "
                f"but has the shape {numbers.shape}",
            )
        scored = np.flatnonzero(gaps | ~np.isnan(numbers))
        if keys is None:
            return scored, numbers[scored]
        self._check_found(score, keys, scored)
        places = self.find(keys)
        pairs = [(row, i) for i in scored.tolist() for row in places[i]]
        pairs.sort()
        rows, sources = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
        placed = numbers[sources]
        again = np.diff(rows) == 0
        alike = (placed[1:] == placed[:-1]) | (np.isnan(placed[1:]) & np.isnan(placed[:-1]))
        other = np.flatnonzero(again & ~alike)
        if len(other):
            both = [keys[i] for i in sources[other[0] : other[0] + 2]]
            worth = placed[other[0] : other[0] + 2].tolist()
            raise DropError(
                "scores",
                f"{listing(both, show=checks.shown)} of '{score}' are the same sample, with the "
                f"scores {worth[0]:g} and {worth[1]:g}; leave one out",
            )
        first = np.concatenate([[True], ~again])[: len(rows)]
        return rows[first], placed[first]

    def _check_found(self, score: str, keys: Keys, scored: IntArray) -> None:
        if not len(scored):
            self.left_out = 0
            return
        paths = [keys[i] for i in scored if _is_path(keys[i])]
        if self._prefix is not None and paths:
            check_begins([os.fspath(path) for path in paths], self._prefix, "the scores")
        places = self.find(keys)
        unknown = [keys[i] for i in scored if not places[i]]
        self.left_out = len(unknown)
        if None in unknown:
            row = next(i for i in scored if keys[i] is None)
            raise DropError(
                "scores", f"row {row + 1} has a value of '{score}', and no id or file path"
            )
        path = next((os.fspath(key) for key in unknown if _is_path(key)), None)
        check_found(
            "scores",
            f"{len(unknown)} of {len(scored)} ids or filepaths of '{score}' are not in the "
            f"collection, such as {checks.shown(unknown[0])}"
            if unknown
            else "",
            len(unknown),
            len(scored),
            self.extra,
            path,
            self._paths() if path is not None else (),
        )

    def _rows(self, key: object) -> Sequence[int]:
        if not isinstance(key, str | os.PathLike):
            return ()
        text = os.fspath(key)
        if ObjectId.is_valid(text):
            row = self._row_of_id.get(text.lower())
            return () if row is None else (row,)
        if self._prefix is not None:
            text = moved(text, self._prefix)
        paths = self._paths()
        return paths.get(text) or paths.get(fos.normalize_path(text)) or ()

    def _paths(self) -> dict[str, list[int]]:
        if self._rows_of_path is None:
            self._rows_of_path = defaultdict(list)
            batches = (paths for _, (paths,) in stream(self._samples, ["filepath"]))
            for row, path in enumerate(path for batch in batches for path in batch):
                self._rows_of_path[path].append(row)
        return self._rows_of_path


def _is_path(key: object) -> bool:
    return isinstance(key, str | os.PathLike) and not ObjectId.is_valid(os.fspath(key))
