"""Logits that some model has left in a Classification field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.utils as fou
import numpy as np
import torch
from numpy.typing import NDArray

from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.models.forward_pass import Switches, wanted
from fiftyone_drop.population import stream
from fiftyone_drop.scoring import forward_scores

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class StoredLogits:
    """Logits that some model has left in a Classification field.

    Attributes:
        samples: the collection
        field: the field
        classes: the K class names, in the order of the logits
    """

    samples: foc.SampleCollection
    field: str
    classes: tuple[str, ...]

    @property
    def words(self) -> str:
        """What it is, for the record."""
        return f"the logits stored in '{self.field}'"

    def score(
        self, ids: Ids, labels: IntArray, switches: Switches, progress: Any
    ) -> tuple[NDArray[np.bool_], NDArray[np.bool_], dict[str, Floats]]:
        """Scores of the logits, a batch of samples in memory at a time.

        Args:
            ids: (N,) S24, sample ids
            labels: (N,) int, positions in the classes
            switches: score -> its switches; those that need logits are computed
            progress: as everywhere in FiftyOne

        Returns:
            which samples have logits (N,), which of them finite ones (N,), and score -> (N,)
            float32, NaN where there are none
        """
        names = wanted(switches, "logits")
        table = {name: np.full(len(ids), np.nan, np.float32) for name in names}
        found, finite = np.zeros((2, len(ids)), bool)
        with fou.ProgressBar(total=len(ids), progress=progress) as bar:
            for rows, logits in self.batches(ids):
                bar.update(len(rows))
                targets = torch.from_numpy(labels[rows])
                scores = forward_scores(names, torch.from_numpy(logits), targets, switches=switches)
                for name, values in scores.items():
                    table[name][rows] = values
                found[rows] = True
                finite[rows] = np.isfinite(logits).all(1)
        return found, finite, table

    def batches(self, ids: Ids) -> Iterator[tuple[IntArray, Floats]]:
        """Read the logits of some samples of the collection.

        Args:
            ids: (N,) S24, sample ids

        Yields:
            rows (B,) of ``ids`` that have logits, and these (B, K) float32

        Raises:
            DropError: if there are not as many as classes
        """
        order = np.argsort(ids)
        for batch_ids, with_logits, logits in self._read():
            # By id, since the dataset may have changed since the ids were read
            at = np.searchsorted(ids, batch_ids[with_logits], sorter=order)
            rows = order[np.minimum(at, len(order) - 1)]
            known = ids[rows] == batch_ids[with_logits]
            if known.any():
                yield rows[known], logits[known]

    def describe_missing(
        self, ids: Ids, found: NDArray[np.bool_], what: str = "no logits"
    ) -> str | None:
        """Words for the samples that have ``what`` instead, or None if there are none."""
        lacking = np.flatnonzero(~found)
        if not len(lacking):
            return None
        names = [ids[row].decode() for row in lacking[:5]]
        return (
            f"{len(lacking)} of {len(found)} samples have {what} in '{self.field}', such as "
            f"{listing(names)}"
        )

    def incomplete(self, missing: str) -> DropError:
        """What to raise where every sample must have logits."""
        return DropError(
            f"model: {missing}; store them with apply_model(..., label_field='{self.field}', "
            "store_logits=True)"
        )

    def _read(self) -> Iterator[tuple[Ids, IntArray, Floats]]:
        """Yields ids (B,) of the collection, which of these (C,) have logits, and these (C, K)."""
        for ids, (column,) in stream(self.samples, [f"{self.field}.logits"]):
            arrays = [None if value is None else _array(value) for value in column]
            rows = np.array([i for i, a in enumerate(arrays) if a is not None], dtype=np.int64)
            for i in rows:
                if np.shape(arrays[i]) != (len(self.classes),):
                    raise DropError(
                        f"classes: must name every logit in '{self.field}', in their order; there "
                        f"are {len(self.classes)} names, but logits of the shape "
                        f"{np.shape(arrays[i])} in sample {ids[i].decode()}"
                    )
            logits = np.array([arrays[i] for i in rows], dtype=np.float32)
            yield ids, rows, logits.reshape(len(rows), len(self.classes))


def stored_logits(
    name: str, samples: foc.SampleCollection, classes: Sequence[str] | None
) -> StoredLogits:
    """The logits in a field.

    Args:
        name: a Classification field
        samples: the collection
        classes: the names of the logits; None for those that the dataset has for the field

    Raises:
        DropError: if the field holds something else, or there are no classes
    """
    field = samples.get_field(name)
    if not isinstance(field, fo.EmbeddedDocumentField) or not issubclass(
        field.document_type, fo.Classification
    ):
        raise DropError(
            f"model: the field '{name}' must hold Classifications with logits, but holds none; "
            f"make it with samples.apply_model(..., label_field='{name}', store_logits=True)"
        )
    dataset = samples._root_dataset
    classes = classes or dataset.classes.get(name) or dataset.default_classes
    if not classes:
        raise DropError(
            f"classes: must be given with stored logits, in their order, unless the dataset knows "
            f"them: dataset.classes['{name}'] = [...]; dataset.save()"
        )
    return StoredLogits(samples, name, class_names(classes))


def class_names(classes: Sequence[str]) -> tuple[str, ...]:
    """A tuple of the names.

    Raises:
        DropError: if it is something else
    """
    if isinstance(classes, str) or not all(isinstance(name, str) for name in classes):
        raise DropError(f"classes: must be a list of class names, but got {classes!r}")
    return tuple(classes)


def _array(value: Any) -> Floats:
    """Logits as MongoDB stores them: an array in bytes, or a list."""
    if isinstance(value, bytes):
        return np.asarray(fou.deserialize_numpy_array(value), dtype=np.float32)
    return np.asarray(value, dtype=np.float32)
