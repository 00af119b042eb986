"""Where recalls come from: given, a FiftyOne evaluation, a validation view, or a query model.

Reads and computes; writes nothing.

It is longer than others, since it has every source, so that they differ in nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import Codes, FloatArray, Ids, IntArray
from fiftyone_drop.closed_form_query import predict_left_out
from fiftyone_drop.cluster import Cluster, opened
from fiftyone_drop.cross_validation import cross_predict
from fiftyone_drop.embeddings import Embeddings
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.evaluations import check_evaluation, read_evaluation
from fiftyone_drop.fields import check_validation, label_path
from fiftyone_drop.members import as_word
from fiftyone_drop.noise import (
    NOISE_LEVEL,
    chance_p_value,
    homogeneity_p_value,
    samples_to_tell_apart,
)
from fiftyone_drop.options import CLOSED_FORM, TRAINED, DropOptions
from fiftyone_drop.population import Population, check_as_stored, read_outcomes
from fiftyone_drop.predictions import Predictions, predict_samples
from fiftyone_drop.recall import class_counts, class_recalls, recalls_of_mapping


@dataclass(frozen=True)
class Recalls:
    """The recalls of the target's K classes, and where they are from.

    Attributes:
        values: (K,) float in [0, 1]
        source: words for the record
        correct: (K,) int, correct predictions; None if the recalls were given
        support: (K,) int, validation samples; None if the recalls were given
        predictions: the predictions of query models or ``model``, if there are any
    """

    values: FloatArray
    source: str
    correct: IntArray | None = None
    support: IntArray | None = None
    predictions: Predictions | None = None


@dataclass(frozen=True)
class _Measurement:
    """Predictions of n validation samples in the classes of the target.

    Attributes:
        codes: (n,) int32, the true classes
        correct: (n,) bool, whether the prediction is right
        source: words for the record
        predictions: the predictions of a model, if it was run for this
        ids: (n,) S24, sample ids; None if no overlap with the target can matter
    """

    codes: Codes
    correct: NDArray[np.bool_]
    source: str
    predictions: Predictions | None = None
    ids: Ids | None = None


def check_source(samples: foc.SampleCollection, options: DropOptions) -> None:
    """Check the source of recalls before samples are read.

    Args:
        samples: the target view
        options: the options, with their label field

    Raises:
        DropError: if the source is unfit
    """
    label_field, validation = options.label_field or "", options.validation
    if options.eval_key is not None:
        check_evaluation(samples, options.eval_key, label_field)
    Embeddings.of(samples, options.embeddings, options.brain_key)
    if validation is None:
        return
    check_validation(samples, validation)
    label_path(validation, label_field, "label_field")
    if options.pred_field is not None:
        label_path(validation, options.pred_field, "pred_field")


def find_recalls(
    options: DropOptions,
    samples: foc.SampleCollection,
    population: Population,
    warn: Warner,
    progress: Any,
    cluster: Cluster | None = None,
) -> Recalls:
    """Find the recalls of the target's classes.

    Args:
        options: the options, with their label field, checked with :func:`check_source`
        samples: the target view
        population: the samples of the target view
        warn: is told of doubts about the recalls
        progress: as everywhere in FiftyOne
        cluster (None): where query models are trained; None for here

    Returns:
        the :class:`Recalls`

    Raises:
        DropError: if classes have no validation sample and ``missing_recall`` is None
    """
    if options.recalls is not None:
        remedy = "add it, or pass missing_recall=<float>"
        values = recalls_of_mapping(
            options.recalls, population.classes, options.missing_recall, remedy
        )
        return Recalls(values, "given")
    if options.query == TRAINED:
        measured = _by_query_models(options, population, progress, cluster)
    elif options.query == CLOSED_FORM:
        measured = _in_closed_form(options, samples, population, warn, progress)
    elif options.eval_key is not None:
        measured = _by_evaluation(options, samples, population, warn)
    elif options.pred_field is not None:
        measured = _by_predictions(options, population)
    else:
        measured = _by_model(options, population, warn, progress)
    if measured.ids is not None:
        _warn_about_overlap(measured.ids, population, measured.source, warn)
    right, support = class_counts(measured.codes, measured.correct, len(population.classes))
    values = class_recalls(right, support, options.smoothing)
    _fill_missing(values, population, measured.source, options.missing_recall)
    _warn_about_noise(right, support, warn)
    return Recalls(values, measured.source, right, support, measured.predictions)


def _by_query_models(
    options: DropOptions, population: Population, progress: Any, cluster: Cluster | None
) -> _Measurement:
    assert options.folds is not None
    with opened(cluster) as runner:
        predictions = cross_predict(
            population, options.folds, options.holdout, options.seed, progress, runner=runner
        )
    codes = population.codes[predictions.rows]
    return _Measurement(codes, predictions.correct, predictions.source, predictions)


def _in_closed_form(
    options: DropOptions,
    samples: foc.SampleCollection,
    population: Population,
    warn: Warner,
    progress: Any,
) -> _Measurement:
    embeddings = Embeddings.of(samples, options.embeddings, options.brain_key)
    predictions = predict_left_out(population, options.seed, progress, embeddings)
    codes = population.codes[predictions.rows]
    truth = population.select(predictions.rows).label_of
    if chance_p_value(truth, predictions.labels) > NOISE_LEVEL:
        warn(
            f"the query model in closed form is right about {predictions.correct.mean():.1%} of "
            "the samples, no more than chance makes it, so that its recalls do not tell which "
            "classes are hard. Pass query='trained', which trains small networks, or measure "
            "recalls with a model of yours (eval_key=, validation=)"
        )
    return _Measurement(codes, predictions.correct, predictions.source, predictions)


def _by_evaluation(
    options: DropOptions, samples: foc.SampleCollection, population: Population, warn: Warner
) -> _Measurement:
    assert options.eval_key is not None
    assert options.label_field is not None
    # An evaluation compared with the labels that the dataset stores
    population.check_as_stored(samples, options.label_field, options.group_by)
    ids, codes, correct = read_evaluation(
        samples._root_dataset,
        options.eval_key,
        population.classes,
        options.label_field,
        options.group_by,
        warn,
    )
    return _Measurement(codes, correct, f"evaluation '{options.eval_key}'", ids=ids)


def _by_predictions(options: DropOptions, population: Population) -> _Measurement:
    assert options.label_field is not None
    path = label_path(options.validation, options.pred_field, "pred_field")
    outcomes = read_outcomes(
        options.validation, population.classes, options.label_field, options.group_by, [path]
    )
    outcomes.check_some(population.label_names)
    pairs = zip(outcomes.columns[0], outcomes.labels, strict=True)
    correct = np.array([as_word(predicted) == label for predicted, label in pairs], dtype=bool)
    words = f"validation view with {options.pred_field}"
    return _Measurement(outcomes.codes, correct, words, ids=outcomes.ids)


def _by_model(
    options: DropOptions, population: Population, warn: Warner, progress: Any
) -> _Measurement:
    from fiftyone_drop.inference.resolve import resolve  # imports PyTorch

    assert options.label_field is not None
    outcomes = read_outcomes(
        options.validation,
        population.classes,
        options.label_field,
        options.group_by,
        ["filepath"],
    )
    outcomes.check_some(population.label_names)
    # The predictions are written and evaluated in the dataset
    check_as_stored(
        options.validation,
        outcomes.ids,
        outcomes.codes,
        population.classes,
        options.label_field,
        options.group_by,
        argument="validation",
    )
    try:
        models = resolve(options.model, options.validation)
        _check_classes(models[0].classes, models[0].words, population, options.label_field, warn)
        predictions = predict_samples(
            models, outcomes.ids, outcomes.columns[0], outcomes.labels, progress
        )
        _warn_about_misfit(predictions, outcomes.labels, warn)
    except DropError as error:
        # Of a model and its classes, transform and checkpoint, the user typed the model
        if error.argument == "samples":
            raise DropError("validation", error.message) from error
        if error.argument == "model":
            raise
        raise DropError("model", str(error)) from error
    words = f"validation view with {predictions.source}"
    return _Measurement(outcomes.codes, predictions.correct, words, predictions, outcomes.ids)


def _check_classes(
    classes: Sequence[str], words: str, population: Population, label_field: str, warn: Warner
) -> None:
    """Check that a model names its classes like the labels.

    Raises:
        DropError: if it knows none of them
    """
    unknown = [name for name in population.label_names if name not in classes]
    if not unknown:
        return
    message = (
        f"the model ({words}) has no class {listing(unknown)}, which are labels in '{label_field}'"
    )
    if len(unknown) == len(population.label_names):
        raise DropError(
            "model",
            f"{message}; it has {listing(classes)}. Name its classes like the labels "
            "(model.classes = [...], in the order of its outputs), or write predictions with their "
            "names into a field and pass pred_field= instead",
        )
    warn(f"{message}, so that their recall is 0 and they get the largest share")


def _warn_about_misfit(predictions: Predictions, labels: Sequence[str], warn: Warner) -> None:
    from fiftyone_drop.scoring.agreement import misfit

    code_of = {name: k for k, name in enumerate(dict.fromkeys([*labels, *predictions.labels]))}
    names = list(code_of)
    words = misfit(
        np.array([code_of[name] for name in labels]),
        np.array([code_of[name] for name in predictions.labels]),
        predictions.confidences,
        lambda code: repr(names[code]),
        "Name the classes of the model in the order of its outputs, and pass one of these classes",
        "name its classes in the order of its outputs",
    )
    if words is not None:
        warn(f"Logits and labels do not belong together: of {predictions.source}, {words}")


def _fill_missing(
    values: FloatArray, population: Population, words: str, missing_recall: float | None
) -> None:
    """Give classes without a validation sample ``missing_recall``.

    Raises:
        DropError: if there are such classes, and it is None
    """
    missing = np.isnan(values)
    if missing.any() and missing_recall is None:
        names = [population.classes[k] for k in np.flatnonzero(missing)]
        raise DropError(
            "missing_recall",
            f"no validation sample of {listing(names)} in {words}; add validation samples of these "
            "classes, or pass missing_recall=<float>",
        )
    values[missing] = missing_recall


def _warn_about_overlap(ids: Ids, population: Population, words: str, warn: Warner) -> None:
    shared = int(np.isin(ids, population.ids).sum())
    if shared:
        warn(
            f"{shared:,} of {len(ids):,} samples of the {words} are also in the target view. If "
            "the model was trained on them, the recalls are too high and the quotas mean little: "
            "measure recall on samples the model has not seen"
        )


def _warn_about_noise(correct: IntArray, support: IntArray, warn: Warner) -> None:
    p_value = homogeneity_p_value(correct, support)
    if p_value <= NOISE_LEVEL or int((support > 0).sum()) < 2:
        return
    used = float(support[support > 0].mean())
    enough = samples_to_tell_apart(correct, support, NOISE_LEVEL)
    remedy = (
        "they differ by no more than chance alone makes them"
        if enough is None
        else f"if the differences are real, about {enough:,} per class would show them"
    )
    warn(
        f"the class recalls cannot be told apart (p = {p_value:.2f}), so what differs between "
        "the class densities is mostly noise, which smoothing='shrinkage' evens out in part: with "
        f"{used:,.0f} validation samples per class, {remedy}. "
        "rule='proportional' needs no recalls"
    )
