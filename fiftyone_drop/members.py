"""Samples by the classes of a run: which of them they are in now.

Reads a collection as :mod:`fiftyone_drop.population` does, but for classes that are known already.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import reader
from fiftyone_drop._types import ClassName, Codes, Ids
from fiftyone_drop.fields import class_paths

OTHER, UNLABELED = -1, -2  # codes of a class that the run does not have, and of no label


def as_word(value: Any) -> str | None:
    """A label or a value of a group as the class table has it: numbers, True and False as words."""
    return value if value is None or isinstance(value, str) else str(value)


@dataclass(frozen=True)
class Members:
    """The N samples of a collection, by the classes of a run.

    Attributes:
        ids: (N,) S24, sample ids
        codes: (N,) int32, positions in the classes; ``OTHER`` or ``UNLABELED``
        columns: one list of N values per path that was asked for
    """

    ids: Ids
    codes: Codes
    columns: list[list[Any]]


def stream_members(
    samples: foc.SampleCollection,
    classes: Sequence[ClassName],
    label_field: str | None,
    group_by: str | Sequence[str] | None,
    others: Sequence[str] = (),
) -> Iterator[tuple[Ids, Codes, list[Any], list[list[Any]]]]:
    """Read samples in batches: ids, codes, labels in words, and a list of values per other path.

    Args:
        samples: a collection
        classes: the K classes
        label_field: the field of the labels; None to leave all codes ``UNLABELED``
        group_by: the field or fields that divide classes into cells, or None
        others (()): what else to read
    """
    paths = [] if label_field is None else class_paths(samples, label_field, group_by)
    code_of: dict[Any, int] = {name: code for code, name in enumerate(classes)}
    code_of[None] = UNLABELED
    for ids, columns in reader.stream(samples, [*paths, *others]):
        words = [list(map(as_word, column)) for column in columns[: len(paths)]]
        labels: list[Any] = words[0] if paths else [None] * len(ids)
        keys: Iterator[Any] = iter(labels)
        if len(paths) > 1:
            keys = (None if None in cell else cell for cell in zip(*words, strict=True))
        codes = np.array([code_of.get(key, OTHER) for key in keys], dtype=np.int32)
        yield ids, codes, labels, columns[len(paths) :]


def read_members(
    samples: foc.SampleCollection,
    classes: Sequence[ClassName],
    label_field: str | None,
    group_by: str | Sequence[str] | None,
    others: Sequence[str] = (),
) -> Members:
    """Read all samples of a collection: see :func:`stream_members`."""
    all_ids, all_codes = [np.empty(0, "S24")], [np.empty(0, np.int32)]
    columns: list[list[Any]] = [[] for _ in others]
    for ids, codes, _, values in stream_members(samples, classes, label_field, group_by, others):
        all_ids.append(ids)
        all_codes.append(codes)
        for column, some in zip(columns, values, strict=True):
            column.extend(some)
    return Members(np.concatenate(all_ids), np.concatenate(all_codes), columns)
