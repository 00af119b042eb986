"""Predictions of FiftyOne samples by models that have not been trained on them.

PyTorch is imported where models are run, so that a plan with given recalls never loads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._log import logger
from fiftyone_drop._types import Codes, Ids, IntArray
from fiftyone_drop.errors import DropError
from fiftyone_drop.reader import stream
from fiftyone_drop.store import FieldValues
from fiftyone_drop.waiting import UNFINISHED

if TYPE_CHECKING:
    from fiftyone_drop.inference.source import Source
    from fiftyone_drop.training import QueryModel


@dataclass(frozen=True)
class Predictions:
    """Predictions on n samples that the model has not been trained on.

    Attributes:
        ids: (n,) S24, sample ids
        rows: (n,) int, their rows in the population; empty if they are from elsewhere
        labels: the n predicted labels
        confidences: (n,) float32 in [0, 1]
        correct: (n,) bool, whether the label is right
        source: words for the record
        scores: score name -> (n,) float32
        models: the query models
        checkpoint: a context in which the predictions are written: the checkpoint of the training
            that made them goes when it ends without an error
    """

    ids: Ids
    rows: IntArray
    labels: list[str]
    confidences: NDArray[np.float32]
    correct: NDArray[np.bool_]
    source: str
    scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    models: list[QueryModel] = field(default_factory=list)
    checkpoint: AbstractContextManager[object] = field(default_factory=nullcontext)

    @property
    def saved(self) -> str:
        """What is not lost if they cannot be written, and where, in words."""
        folder = getattr(self.checkpoint, "folder", None)
        if folder is None:
            return UNFINISHED
        return f"the query models lie in the checkpoint {folder}"

    def field_values(self, as_text: bool, marks: Mapping[str, Any] | None = None) -> FieldValues:
        """As the values of a field.

        Args:
            as_text: as strings, without confidences, where the labels are strings. FiftyOne's
                exports take the only Classification field of a dataset for its labels
            marks (None): more for the ``info`` of the field
        """
        return FieldValues(
            fo.StringField if as_text else fo.Classification,
            self.labels,
            f"Predictions of {self.source}",
            {"source": self.source, **(marks or {})},
            None if as_text else self.confidences,
        )


def read_predictions(dataset: fo.Dataset, field: str) -> Predictions:
    """The predictions that a run has written, as they stand in its field."""
    stored = dataset.exists(field)
    as_text = isinstance(dataset.get_field(field), fo.StringField)
    paths = [field] if as_text else [f"{field}.label", f"{field}.confidence"]
    all_ids: list[Ids] = []
    labels: list[str] = []
    confidences: list[float] = []
    for ids, columns in stream(stored, paths):
        all_ids.append(ids)
        labels += columns[0]
        shares = [None] * len(ids) if as_text else columns[1]
        confidences += [float("nan") if c is None else c for c in shares]
    return Predictions(
        ids=np.concatenate([np.empty(0, "S24"), *all_ids]),
        rows=np.empty(0, np.int64),
        labels=labels,
        confidences=np.array(confidences, np.float32),
        correct=np.zeros(len(labels), bool),
        source=str((dataset.get_field(field).info or {}).get("source", "query models")),
    )


def predict_samples(
    sources: Sequence[Source],
    ids: Ids,
    filepaths: Sequence[str],
    labels: Sequence[str],
    progress: Any,
) -> Predictions:
    """Predict samples with a model that exists, or several whose probabilities are averaged.

    Args:
        sources: what :func:`fiftyone_drop.inference.resolve.resolve` made of ``model=``
        ids: (n,) S24, sample ids
        filepaths: n paths of images
        labels: the n true labels; a label that the model does not know counts as predicted wrong
        progress: as everywhere in FiftyOne

    Raises:
        DropError: if a sample cannot be predicted, or the model's output for it is not finite
    """
    from fiftyone_drop.inference.class_names import ClassNames
    from fiftyone_drop.inference.predict import predict
    from fiftyone_drop.inference.source import words_of

    codes = ClassNames(sources[0].classes).positions(labels).astype(np.int32)
    collected = Collector(codes, sources[0].classes)
    total = len(sources) * len(ids)
    logger.info("Predicting %s images", f"{len(ids):,}")
    with fou.ProgressBar(total=total, iters_str="images", progress=progress) as bar:
        for rows, logits in predict(sources, ids, filepaths, bar.update):
            collected.add(rows, logits)
    return collected.finish(ids, np.arange(len(ids)), words_of(sources))


def query_model_source(model: QueryModel) -> list[Source]:
    """A query model as the ``sources`` of :func:`predict_samples`."""
    from fiftyone_drop.inference.resolve import query_model

    return [query_model(model)]


class Collector:
    """Reduces batches of logits to (N,) arrays, and never holds N x K numbers.

    Args:
        labels: (N,) int, the true class of each sample; -1 where the model does not know it
        names: the K class names, in the order of the logits
        scores (None): the scores to compute from logits, with their switches; None for EL2N
    """

    def __init__(
        self,
        labels: Codes,
        names: Sequence[str],
        scores: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        from fiftyone_drop.inference.class_names import ClassNames  # imports PyTorch

        self._labels = labels
        self._names = names
        self._outputs = ClassNames(names)
        self._switches = {"el2n": {}} if scores is None else scores
        self._predicted = np.full(len(labels), -1, dtype=np.int32)
        self._confidences = np.zeros(len(labels), dtype=np.float32)
        self._finite = np.zeros(len(labels), dtype=bool)
        self._scores = {
            name: np.full(len(labels), np.nan, dtype=np.float32) for name in self._switches
        }

    def add(self, indices: IntArray, logits: NDArray[np.float32]) -> None:
        """Take in the logits (B, K) of some rows (B,)."""
        import torch

        from fiftyone_drop.scoring import forward_scores
        from fiftyone_drop.scoring.forward import finite_rows

        # Those of a cluster cannot be written, which PyTorch warns of
        batch = torch.from_numpy(np.require(logits, requirements="W"))
        self._finite[indices] = finite_rows(batch).numpy()
        confidences, predicted = torch.softmax(batch, dim=1).max(dim=1)
        self._predicted[indices] = predicted.numpy()
        self._confidences[indices] = confidences.numpy()
        if not self._scores:
            return
        known = self._labels[indices] >= 0
        batch = batch[torch.from_numpy(known)]
        labels = torch.from_numpy(self._labels[indices][known].astype(np.int64))
        labels = self._outputs.preferred(batch, labels)
        scores = forward_scores(self._switches, batch, labels, switches=self._switches)
        for name, values in scores.items():
            self._scores[name][indices[known]] = values

    def finish(self, ids: Ids, rows: IntArray, source: str) -> Predictions:
        """The predictions of some rows.

        Args:
            ids: (N,) S24, sample ids
            rows: (n,) int, the rows that were added
            source: words for the record

        Raises:
            DropError: the model's output is not finite for some of them, which is no prediction
        """
        failed = rows[~self._finite[rows]]
        if len(failed):
            raise DropError(
                "model",
                f"the output of {source} is not finite for {len(failed):,} of {len(rows):,} "
                f"samples, such as {ids[failed[0]].decode()}; check its weights and the transform, "
                "or leave these samples out",
            )
        predicted, labels = self._predicted[rows], self._labels[rows]
        # By name, since models of ImageNet have two outputs of the same one
        names = np.array(self._names, dtype=object)
        return Predictions(
            ids=ids[rows],
            rows=rows,
            labels=[self._names[code] for code in predicted],
            confidences=self._confidences[rows],
            correct=(labels >= 0) & (names[predicted] == names[labels]),
            source=source,
            scores={name: values[rows] for name, values in self._scores.items()},
        )
