"""Logits that a model has left in a Classification field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.collections as foc
import numpy as np
import torch
from numpy.typing import NDArray

from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.engine.fingerprints import fingerprint
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import logit_classes
from fiftyone_drop.inference.class_names import ClassNames
from fiftyone_drop.inference.source import Floats, Request, Scored, Source, outcomes_of, wanted
from fiftyone_drop.reader import rows_of, stream, vector_of
from fiftyone_drop.scoring import forward_scores

_SOME = 2**20  # bytes of packed logits, at least: a model may have more outputs than classes
_NUMBER = 16  # bytes of NumPy's largest numbers


@dataclass(eq=False)
class StoredLogits(Source):
    """Logits that a model has left in a Classification field.

    Attributes:
        samples: the collection
        field: the field
    """

    samples: foc.SampleCollection
    field: str

    gives = frozenset({"logits"})

    @property
    def fingerprint(self) -> str:
        """A hash of field and classes: nobody can tell which model has filled the field."""
        return fingerprint(["stored logits", self.field, self.classes])

    def logits(self, ids: Ids, paths: Sequence[str]) -> Iterator[tuple[IntArray, Floats]]:
        """The logits of samples, batch by batch. All must have some."""
        there = np.zeros(len(ids), bool)
        for rows, logits in self._batches(ids):
            there[rows] = True
            yield rows, logits
        missing = self._describe(ids, ~there, "no logits")
        if missing:
            raise self._incomplete(missing)

    @classmethod
    def score_together(cls, sources: Sequence[StoredLogits], request: Request) -> Scored:
        """Scores of M fields one after the other, a batch of samples in memory at a time."""
        names, shape = wanted(request.switches, "logits"), (len(sources), len(request.ids))
        tables = {name: np.full(shape, np.nan, np.float32) for name in names}
        missing: list[str] = []
        outcomes = np.full((len(sources), 2, len(request.ids)), np.nan, np.float32)
        for m, source in enumerate(sources):
            rows = {name: table[m] for name, table in tables.items()}
            missing += source._score(rows, outcomes[m], request.labels[m], request)
        return Scored(tables, missing, outcomes)

    def _score(
        self, table: dict[str, Floats], outcomes: Floats, labels: IntArray, request: Request
    ) -> list[str]:
        """Fill in scores (N,) each and outcomes (2, N); returns sentences on samples without.

        Raises:
            DropError: some have none and that is an error, or all
        """
        ids, options, switches = request.ids, request.options, request.switches
        there, finite = np.zeros((2, len(ids)), bool)
        names = ClassNames(self.classes)
        with request.bar(len(ids)) as bar:
            for rows, logits in self._batches(ids):
                bar.update(len(rows))
                batch = torch.from_numpy(logits)
                targets = names.preferred(batch, torch.from_numpy(labels[rows]))
                scores = forward_scores(list(table), batch, targets, switches=switches)
                for name, values in scores.items():
                    table[name][rows] = values
                outcomes[:, rows] = outcomes_of(batch, names)
                there[rows] = True
                finite[rows] = np.isfinite(logits).all(1)
        missing = self._describe(ids, ~there, "no logits")
        missing += self._describe(ids, there & ~finite, "logits that are not finite")
        if missing and (options.strict or not finite.any()):
            raise self._incomplete(missing)
        return missing

    def _batches(self, ids: Ids) -> Iterator[tuple[IntArray, Floats]]:
        """Yields rows (B,) of ``ids`` (N,) that have logits, and these (B, K) float32."""
        order = np.argsort(ids)
        for batch_ids, with_logits, logits in self._read():
            # By id, since the dataset may have changed since the ids were read
            rows = rows_of(batch_ids[with_logits], ids, order)
            known = rows >= 0
            if known.any():
                yield rows[known], logits[known]

    def _read(self) -> Iterator[tuple[Ids, IntArray, Floats]]:
        """Yields ids (B,) of the collection, which of these (C,) have logits, and these (C, K)."""
        for ids, (column,) in stream(self.samples, [f"{self.field}.logits"]):
            arrays = [
                None if value is None else self._array(digits, value)
                for digits, value in zip(ids.tolist(), column, strict=True)
            ]
            rows = np.array([i for i, a in enumerate(arrays) if a is not None], dtype=np.int64)
            for i in rows:
                if np.shape(arrays[i]) != (len(self.classes),):
                    raise DropError(
                        "classes",
                        f"must name every logit in '{self.field}', in their order; there are "
                        f"{len(self.classes)} names, but logits of the shape "
                        f"{np.shape(arrays[i])} in sample {ids[i].decode()}",
                    )
            logits = np.array([arrays[i] for i in rows], dtype=np.float32)
            yield ids, rows, logits.reshape(len(rows), len(self.classes))

    def _array(self, digits: bytes, value: Any) -> Floats:
        """Logits as MongoDB stores them: an array in bytes, or a list.

        Raises:
            DropError: they are something else
        """
        try:
            value = vector_of(value, _SOME + _NUMBER * len(self.classes))
            return np.asarray(value, dtype=np.float32)
        except Exception as error:
            raise DropError(
                "model",
                f"the logits of the sample {digits.decode()} in '{self.field}' are no numbers "
                f"({type(error).__name__}: {str(error)[:200]}); store them again with "
                f"apply_model(..., label_field='{self.field}', store_logits=True)",
            ) from error

    def _describe(self, ids: Ids, lacking: NDArray[np.bool_], problem: str) -> list[str]:
        """A sentence on the samples that have a problem, if there are any."""
        rows = np.flatnonzero(lacking)
        if not len(rows):
            return []
        names = [ids[row].decode() for row in rows[:5]]
        return [
            f"{len(rows)} of {len(ids)} samples have {problem} in '{self.field}', such as "
            f"{listing(names)}"
        ]

    def _incomplete(self, missing: Sequence[str]) -> DropError:
        return DropError(
            "model",
            f"{'; '.join(missing)}; store them with apply_model(..., "
            f"label_field='{self.field}', store_logits=True)",
        )


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
    words = f"the logits stored in '{name}'"
    return StoredLogits(logit_classes(samples, name, classes), words, samples, name)
