"""Query models on FiftyOne samples: trained on a part of them, predicting the rest.

The shell around :mod:`fiftyone_drop.training`, which knows arrays and files only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import fiftyone.core.utils as fou
import numpy as np

from fiftyone_drop._log import logger
from fiftyone_drop._types import Codes, Ids, IntArray
from fiftyone_drop.engine.files import Folder
from fiftyone_drop.errors import DropError
from fiftyone_drop.order import random_order, rank_in_class
from fiftyone_drop.population import Outcomes, Population
from fiftyone_drop.predictions import (
    Collector,
    Predictions,
    predict_samples,
    query_model_source,
)

if TYPE_CHECKING:
    from fiftyone_drop.engine.checkpoint import Checkpoint
    from fiftyone_drop.engine.runner import Runner
    from fiftyone_drop.scoring import DynamicsRecorder
    from fiftyone_drop.training import TrainingOptions


def stratified_folds(codes: Codes, ids: Ids, k: int, folds: int, seed: int) -> IntArray:
    """Divide samples into folds of nearly equal size, and each class as evenly as it can be.

    The samples are dealt class by class, and a class goes on where the last one stopped: so the
    sizes of two folds differ by one at most, and so do their shares of a class.

    Returns:
        (N,) int in [0, folds); the same for a sample id in any order of the samples
    """
    by_class, _ = rank_in_class(codes, random_order(ids, seed), k)
    fold_of = np.empty(len(codes), dtype=np.int64)
    fold_of[by_class] = np.arange(len(codes)) % folds
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
    *,
    keep_models: bool = False,
    scores: Mapping[str, Mapping[str, Any]] | None = None,
    recorder: DynamicsRecorder | None = None,
    checkpoint_dir: Folder | None = None,
    readable: bool = False,
    runner: Runner | None = None,
) -> Predictions:
    """Train query models, and predict every held-out sample with a model that has not seen it.

    Args:
        population: the samples, with filepaths
        folds: the number of query models, each predicting one fold
        holdout: a fraction in (0, 1): one query model that predicts this fraction; None for
            ``folds``
        seed: decides the folds and the models
        progress: as everywhere in FiftyOne
        options (None): how to train
        keep_models (False): whether to return the models
        scores (None): the scores to compute from logits, with their switches; None for EL2N
        recorder (None): records the dynamics of all samples that are not held out; with
            ``holdout`` only
        checkpoint_dir (None): the folder of an interrupted training's checkpoint; by default in
            the user's cache
        readable (False): whether all images are known to be readable
        runner (None): where the trainings run; None for here

    Returns:
        the :class:`Predictions`, to be written in the context of their ``checkpoint``

    Raises:
        DropError: if images cannot be read, all of them at once; or there is one class only
    """
    from fiftyone_drop import training

    assert population.filepaths is not None
    check_classes(population)
    if not readable:
        check_readable(population.ids, population.filepaths, "samples")
    checkpoint = _checkpoint(checkpoint_dir)
    options = options or training.TrainingOptions(seed=seed % 2**32)
    codes, ids, k = population.codes, population.ids, len(population.classes)
    if holdout is None:
        fold_of = stratified_folds(codes, ids, k, folds, seed)
        words = f"{len(np.unique(fold_of))} cross-validated query models"
    else:
        fold_of = stratified_holdout(codes, ids, k, holdout, seed)
        words = f"a query model on a hold-out of {holdout:g}"
    collector = Collector(population.labels, population.label_names, scores)
    divided_by = "folds" if holdout is None else "holdout"
    with _training(population, fold_of, divided_by, options, progress) as count:
        models = training.cross_validate(
            population.filepaths,
            population.labels.astype(np.int64),
            population.label_names,
            fold_of,
            options,
            on_logits=collector.add,
            progress=count,
            recorder=recorder,
            checkpoint_dir=checkpoint,
            keep_models=keep_models,
            runner=runner,
        )
    predictions = collector.finish(ids, np.flatnonzero(fold_of >= 0), words)
    return replace(predictions, models=models, checkpoint=checkpoint)


def train_and_predict(
    population: Population,
    validation: Outcomes,
    options: TrainingOptions,
    progress: Any,
    *,
    recorder: DynamicsRecorder | None = None,
    checkpoint_dir: Folder | None = None,
    runner: Runner | None = None,
) -> Predictions:
    """Train one query model on all samples, and predict validation samples.

    Args:
        population: the samples, with filepaths
        validation: the validation samples, with their filepaths as the only column
        options: how to train
        progress: as everywhere in FiftyOne
        recorder (None): records the dynamics of the samples
        checkpoint_dir (None): as in :func:`cross_predict`
        runner (None): as in :func:`cross_predict`

    Returns:
        the :class:`Predictions` on the validation samples, with the model, to be written in the
        context of their ``checkpoint``

    Raises:
        DropError: as in :func:`cross_predict`; or if there is no validation sample
    """
    from fiftyone_drop import training

    assert population.filepaths is not None
    check_classes(population)
    validation.check_some(population.label_names)
    check_readable(population.ids, population.filepaths, "samples")
    check_readable(validation.ids, validation.columns[0], "validation")
    checkpoint = _checkpoint(checkpoint_dir)
    with _training(population, None, "holdout", options, progress) as count:
        model = training.train(
            population.filepaths,
            population.labels.astype(np.int64),
            population.label_names,
            options,
            progress=count,
            recorder=recorder,
            checkpoint_dir=checkpoint,
            runner=runner,
        )
    predictions = predict_samples(
        query_model_source(model),
        validation.ids,
        validation.columns[0],
        validation.labels,
        progress,
    )
    return replace(predictions, models=[model], checkpoint=checkpoint)


def check_classes(population: Population) -> None:
    """Check that there is something to tell apart.

    Raises:
        DropError: if all samples have one label
    """
    if len(population.label_names) < 2:
        raise DropError(
            "label_field",
            f"all samples have the label {population.label_names[0]!r}, so a query model has "
            "nothing to tell apart; pass samples of two classes or more, or to apply_drop a rule "
            "that needs no recalls, such as rule='none'",
        )


def check_readable(ids: Ids, paths: Sequence[str], argument: str) -> None:
    """Check that images can be read, before hours of work that would end at the first that cannot.

    Args:
        ids: (N,) S24, sample ids
        paths: their N image files
        argument: the argument that named the samples, for errors

    Raises:
        DropError: if not; it counts and names them
    """
    from fiftyone_drop.engine.devices import default_workers
    from fiftyone_drop.engine.images import MIN_SIZE, Square
    from fiftyone_drop.engine.reader import find_unreadable
    from fiftyone_drop.inference.failures import check_all_read

    failures = find_unreadable(paths, Square(MIN_SIZE), default_workers())
    check_all_read(ids, paths, failures, argument)


@contextmanager
def _training(
    population: Population,
    fold_of: IntArray | None,
    divided_by: str,
    options: TrainingOptions,
    progress: Any,
) -> Iterator[Callable[[int], None]]:
    """Log the size of a training and, after its first steps, how long it takes; open its bar.

    Args:
        population: the samples, with filepaths
        fold_of: (N,) int, the folds; None to train on all samples
        divided_by: the argument that the folds follow from
        options: how to train
        progress: as everywhere in FiftyOne

    Yields:
        a function to be called with the number of images that are done since its last call

    Raises:
        DropError: if the training fails. Users typed ``samples`` and ``divided_by``, so its errors
            about paths and folds are about these
    """
    from fiftyone_drop import training

    assert population.filepaths is not None
    typed = {"paths": "samples", "fold_of": divided_by}
    k = len(population.label_names)
    try:
        paths = population.filepaths
        cost = training.training_cost(paths, fold_of, options, num_classes=k, measure=False)
        logger.info("Training %s", cost)
        pace = training.Pace(cost.total_images, lambda words: logger.info("Training: %s", words))
        with fou.ProgressBar(total=cost.total_images, iters_str="images", progress=progress) as bar:

            def count(images: int) -> None:
                bar.update(images)
                pace(images)

            yield count
    except DropError as error:
        if error.argument not in typed:
            raise
        raise DropError(typed[error.argument], error.message) from error


def _checkpoint(folder: Folder | None) -> Checkpoint:
    from fiftyone_drop.engine.cache import new_checkpoint

    return new_checkpoint(folder)
