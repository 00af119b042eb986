"""Query models on FiftyOne samples: what they predict on samples they have not seen.

The shell around :mod:`fiftyone_drop.training`, which knows arrays and files only. PyTorch is
imported where models are run, so that a plan with given recalls never loads it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.utils as fou
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._log import logger
from fiftyone_drop._types import Codes, Ids, IntArray
from fiftyone_drop.cache import open_cache
from fiftyone_drop.order import random_order, rank_in_class
from fiftyone_drop.population import Population
from fiftyone_drop.store import FieldValues

if TYPE_CHECKING:
    from fiftyone_drop.models.resolve import Source
    from fiftyone_drop.scoring import DynamicsRecorder
    from fiftyone_drop.training import Checkpoints, QueryModel, TrainingOptions

Folder = str | os.PathLike[str]


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
        checkpoints: where their training could go on from
    """

    ids: Ids
    rows: IntArray
    labels: list[str]
    confidences: NDArray[np.float32]
    correct: NDArray[np.bool_]
    source: str
    scores: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    models: list[QueryModel] = field(default_factory=list)
    checkpoints: Checkpoints | None = None

    def written(self) -> None:
        """Say that what was trained for is in the database."""
        if self.checkpoints is not None:
            self.checkpoints.remove()

    def field_values(self) -> FieldValues:
        """As the values of a Classification field."""
        return FieldValues(
            fo.Classification,
            self.labels,
            f"Predictions of {self.source}",
            {"source": self.source},
            self.confidences,
        )


def stratified_folds(codes: Codes, ids: Ids, k: int, folds: int, seed: int) -> IntArray:
    """Divide samples into folds, each class as evenly as it can be.

    Returns:
        (N,) int in [0, folds); the same for a sample id whatever order samples come in
    """
    by_class, rank = rank_in_class(codes, random_order(ids, seed), k)
    fold_of = np.empty(len(codes), dtype=np.int64)
    fold_of[by_class] = rank % folds
    return fold_of


def stratified_holdout(codes: Codes, ids: Ids, k: int, holdout: float, seed: int) -> IntArray:
    """Hold out a fraction of each class, and at least one sample of it.

    Returns:
        (N,) int, 0 for held-out samples and -1 for the others
    """
    by_class, rank = rank_in_class(codes, random_order(ids, seed), k)
    sizes = np.bincount(codes, minlength=k)
    held_out = np.maximum(1, np.floor(holdout * sizes + 0.5)).astype(np.int64)
    fold_of = np.empty(len(codes), dtype=np.int64)
    fold_of[by_class] = np.where(rank < np.repeat(held_out, sizes), 0, -1)
    return fold_of


def cross_predict(
    population: Population,
    folds: int,
    holdout: float | None,
    seed: int,
    progress: Any,
    options: TrainingOptions | None = None,
    keep_models: bool = False,
    scores: Mapping[str, Mapping[str, Any]] | None = None,
    recorder: DynamicsRecorder | None = None,
    checkpoint_dir: Folder | None = None,
) -> Predictions:
    """Train query models, and predict every held-out sample with a model that has not seen it.

    Args:
        population: the samples, with filepaths
        folds: the number of query models, each predicting one fold
        holdout: a fraction in (0, 1): one query model that predicts so many; None for ``folds``
        seed: decides the folds and the models
        progress: as everywhere in FiftyOne
        options (None): how to train
        keep_models (False): whether to return the models
        scores (None): the scores to compute from logits, with their switches; None for EL2N
        recorder (None): records the dynamics of all samples that are not held out; with
            ``holdout`` only
        checkpoint_dir (None): where an interrupted training leaves what it has; by default in the
            user's cache

    Returns:
        the :class:`Predictions`; call ``written()`` when what follows from them is in the database
    """
    from fiftyone_drop import training

    assert population.filepaths is not None
    checkpoints = _checkpoints(checkpoint_dir)
    options = options or training.TrainingOptions(seed=seed % 2**32)
    k = len(population.classes)
    if holdout is None:
        fold_of = stratified_folds(population.codes, population.ids, k, folds, seed)
        words = f"{folds} cross-validated query models"
    else:
        fold_of = stratified_holdout(population.codes, population.ids, k, holdout, seed)
        words = f"a query model on a hold-out of {holdout:g}"
    cost = training.training_cost(
        population.filepaths, fold_of, options, num_classes=len(population.label_names)
    )
    logger.info("Training %s", cost)
    rows = np.flatnonzero(fold_of >= 0)
    collected = _Collector(population.labels, population.label_names, scores)
    with fou.ProgressBar(total=cost.total_images, iters_str="images", progress=progress) as bar:
        models = training.cross_validate(
            population.filepaths,
            population.labels.astype(np.int64),
            population.label_names,
            fold_of,
            options,
            on_logits=collected.add,
            progress=bar.update,
            recorder=recorder,
            checkpoint_dir=checkpoints,
            keep_models=keep_models,
        )
    found = collected.finish(population.ids, rows, words)
    return replace(found, models=models, checkpoints=checkpoints)


def train_on(
    population: Population,
    validation: tuple[Ids, Sequence[str], Sequence[str]],
    options: TrainingOptions,
    progress: Any,
    recorder: DynamicsRecorder | None = None,
    checkpoint_dir: Folder | None = None,
) -> Predictions:
    """Train one query model on all samples, and predict validation samples.

    Args:
        population: the samples, with filepaths
        validation: ids, filepaths and true labels of the n validation samples
        options: how to train
        progress: as everywhere in FiftyOne
        recorder (None): records the dynamics of the samples
        checkpoint_dir (None): as in :func:`cross_predict`

    Returns:
        the :class:`Predictions` on the validation samples, with the model; call ``written()`` when
        what follows from them is in the database
    """
    from fiftyone_drop import training

    assert population.filepaths is not None
    checkpoints = _checkpoints(checkpoint_dir)
    k = len(population.label_names)
    cost = training.training_cost(population.filepaths, None, options, num_classes=k)
    logger.info("Training %s", cost)
    with fou.ProgressBar(total=cost.total_images, iters_str="images", progress=progress) as bar:
        model = training.train(
            population.filepaths,
            population.labels.astype(np.int64),
            population.label_names,
            options,
            progress=bar.update,
            recorder=recorder,
            checkpoint_dir=checkpoints,
        )
    ids, filepaths, labels = validation
    found = predict_samples(_as_source(model), ids, filepaths, labels, progress)
    return replace(found, models=[model], checkpoints=checkpoints)


def predict_samples(
    sources: Sequence[Source],
    ids: Ids,
    filepaths: Sequence[str],
    labels: Sequence[str],
    progress: Any,
) -> Predictions:
    """Predict samples with a model that exists, or several whose probabilities are averaged.

    Args:
        sources: what :func:`fiftyone_drop.models.resolve.resolve` made of ``model=``
        ids: (n,) S24, sample ids
        filepaths: n paths of images
        labels: the n true labels; one that the model does not know counts as predicted wrong
        progress: as everywhere in FiftyOne

    Raises:
        DropError: if a sample cannot be predicted
    """
    from fiftyone_drop.models.predict import predict
    from fiftyone_drop.models.resolve import words_of

    code_of = {name: code for code, name in enumerate(sources[0].classes)}
    codes = np.array([code_of.get(label, -1) for label in labels], dtype=np.int32)
    collected = _Collector(codes, sources[0].classes)
    total = len(sources) * len(ids)
    with fou.ProgressBar(total=total, iters_str="images", progress=progress) as bar:
        for rows, logits in predict(sources, ids, filepaths, bar.update):
            collected.add(rows, logits)
    return collected.finish(ids, np.arange(len(ids)), words_of(sources))


def predict_population(model: QueryModel, population: Population, progress: Any) -> Predictions:
    """:func:`predict_samples` for a population with filepaths."""
    labels = [population.label_names[code] for code in population.labels]
    source = _as_source(model)
    return predict_samples(source, population.ids, population.filepaths or [], labels, progress)


def _as_source(model: QueryModel) -> list[Source]:
    from fiftyone_drop.models.resolve import query_model

    return [query_model(model)]


def _checkpoints(folder: Folder | None) -> Checkpoints:
    from fiftyone_drop.training import Checkpoints

    return Checkpoints(open_cache() if folder is None else folder)


class _Collector:
    """Keeps of each batch of logits what is needed: (N,) arrays, never N x K."""

    def __init__(
        self,
        labels: Codes,
        names: Sequence[str],
        scores: Mapping[str, Mapping[str, Any]] | None = None,
    ):
        self._labels = labels
        self._names = names
        self._switches = {"el2n": {}} if scores is None else scores
        self._predicted = np.full(len(labels), -1, dtype=np.int32)
        self._confidences = np.zeros(len(labels), dtype=np.float32)
        self._scores = {
            name: np.full(len(labels), np.nan, dtype=np.float32) for name in self._switches
        }

    def add(self, indices: IntArray, logits: NDArray[np.float32]) -> None:
        import torch

        from fiftyone_drop.scoring import forward_scores

        batch = torch.from_numpy(np.asarray(logits))
        confidences, predicted = torch.softmax(batch, dim=1).max(dim=1)
        self._predicted[indices] = predicted.numpy()
        self._confidences[indices] = confidences.numpy()
        known = self._labels[indices] >= 0
        labels = torch.from_numpy(self._labels[indices][known].astype(np.int64))
        scores = forward_scores(
            self._switches, batch[torch.from_numpy(known)], labels, switches=self._switches
        )
        for name, values in scores.items():
            self._scores[name][indices[known]] = values

    def finish(self, ids: Ids, rows: IntArray, source: str) -> Predictions:
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
