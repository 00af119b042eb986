"""Where recalls come from: given, a FiftyOne evaluation, a validation view, or query models.

Reads and computes; writes nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import ClassName, Codes, FloatArray, Ids, IntArray
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.population import (
    Population,
    check_collection,
    label_path,
    read_outcomes,
)
from fiftyone_drop.query import Predictions, cross_predict, predict_samples
from fiftyone_drop.recall import (
    SHRINKAGE,
    Smoothing,
    class_counts,
    class_recalls,
    homogeneity_p_value,
    recalls_of_mapping,
    samples_to_tell_apart,
)

CORRECT = (True, "TP", "TN")  # what FiftyOne's evaluation methods write for a right prediction
NOISE_LEVEL = 0.05


@dataclass(frozen=True)
class Recalls:
    """The recalls of the target's K classes, and where they are from.

    Attributes:
        values: (K,) float in [0, 1]
        source: words for the record
        correct: (K,) int, correct predictions; None if the recalls were given
        support: (K,) int, validation samples; None if the recalls were given
        predictions: what query models or ``model`` predicted on the way; None if nothing was
    """

    values: FloatArray
    source: str
    correct: IntArray | None = None
    support: IntArray | None = None
    predictions: Predictions | None = None


@dataclass(frozen=True)
class RecallSource:
    """Which source of recalls was asked for; the arguments of ``apply_drop`` of the same names."""

    eval_key: str | None = None
    recalls: Mapping[Hashable, float] | None = None
    validation: Any = None
    pred_field: str | None = None
    model: Any = None
    folds: int = 5
    holdout: float | None = None
    smoothing: Smoothing = SHRINKAGE
    missing_recall: float | None = None

    @property
    def trains(self) -> bool:
        """Whether query models have to be trained."""
        return self.eval_key is None and self.recalls is None and self.validation is None

    def check(self, samples: foc.SampleCollection, label_field: str) -> None:
        """Check everything that can be checked before samples are read.

        Raises:
            DropError: if sources are mixed, or one is unfit
        """
        given = [n for n in ("eval_key", "recalls", "validation") if getattr(self, n) is not None]
        if len(given) > 1:
            raise DropError(f"{given[0]}: pass one source of recalls, but {given} were given")
        self._check_numbers()
        if self.recalls is not None and not isinstance(self.recalls, Mapping):
            raise DropError(
                f"recalls: must be a mapping from class to recall, but got {self.recalls!r}"
            )
        if self.eval_key is not None:
            check_evaluation(samples, self.eval_key, label_field)
        if self.validation is None:
            for name in ("pred_field", "model"):
                if getattr(self, name) is not None:
                    raise DropError(f"{name}: has a meaning with validation=view only; pass that")
        else:
            self._check_validation(samples, label_field)

    def _check_numbers(self) -> None:
        folds, holdout, missing = self.folds, self.holdout, self.missing_recall
        if isinstance(folds, bool) or not isinstance(folds, (int, np.integer)) or folds < 2:
            raise DropError(f"folds: must be an integer >= 2, but got {folds!r}")
        for name, value, low in (("holdout", holdout, False), ("missing_recall", missing, True)):
            if value is None:
                continue
            number = isinstance(value, (int, float, np.number)) and not isinstance(value, bool)
            if not number or not 0 <= value <= 1 or (not low and value in (0, 1)):
                interval = "[0, 1]" if low else "(0, 1)"
                raise DropError(f"{name}: must be a number in {interval}, but got {value!r}")

    def _check_validation(self, samples: foc.SampleCollection, label_field: str) -> None:
        check_collection(self.validation)
        if self.validation._root_dataset is not samples._root_dataset:
            raise DropError(
                f"validation: must be a view into '{samples._root_dataset.name}', but is one into "
                f"'{self.validation._root_dataset.name}'; pass recalls= instead"
            )
        label_path(self.validation, label_field, "label_field")
        if (self.pred_field is None) == (self.model is None):
            raise DropError(
                "validation: needs either pred_field=<field of predictions> or model=<a model>"
            )
        if self.pred_field is not None:
            label_path(self.validation, self.pred_field, "pred_field")


def find_recalls(
    source: RecallSource,
    samples: foc.SampleCollection,
    population: Population,
    label_field: str,
    group_by: str | None,
    seed: int,
    warn: Warner,
    progress: Any,
) -> Recalls:
    """Find the recalls of the target's classes.

    Args:
        source: where to take them from, checked
        samples: the target view
        population: what it holds
        label_field: the field of the true labels
        group_by: the field that divides classes into cells, or None
        seed: decides folds and query models
        warn: is told what is doubtful about the recalls
        progress: as everywhere in FiftyOne

    Returns:
        the :class:`Recalls`

    Raises:
        DropError: if classes have no validation sample and ``missing_recall`` is None
    """
    if source.recalls is not None:
        values = recalls_of_mapping(source.recalls, population.classes, source.missing_recall)
        return Recalls(values, "given")
    if source.trains:
        predictions = cross_predict(population, source.folds, source.holdout, seed, progress)
        codes = population.codes[predictions.rows]
        return _measure(
            source, population, codes, predictions.correct, predictions.source, predictions, warn
        )
    if source.eval_key is not None:
        ids, codes, correct = read_evaluation(
            samples._root_dataset, source.eval_key, population.classes, label_field, group_by
        )
        words = f"evaluation '{source.eval_key}'"
        made = None
    else:
        ids, codes, correct, made = _validate(
            source, population, label_field, group_by, warn, progress
        )
        words = f"validation view with {source.pred_field if made is None else made.source}"
    _warn_about_overlap(ids, population, words, warn)
    return _measure(source, population, codes, correct, words, made, warn)


def read_evaluation(
    dataset: fo.Dataset,
    eval_key: str,
    classes: Sequence[ClassName],
    label_field: str,
    group_by: str | None,
) -> tuple[Ids, Codes, NDArray[np.bool_]]:
    """What an evaluation run found, as the samples themselves record it.

    Args:
        dataset: the dataset
        eval_key: an evaluation, checked with :func:`check_evaluation`
        classes: the K classes that count
        label_field: the field of the true labels
        group_by: the field that divides classes into cells, or None

    Returns:
        a tuple over the n evaluated samples of these classes

        -   (n,) S24, sample ids
        -   (n,) int32, codes into ``classes``
        -   (n,) bool, whether the prediction is right
    """
    ids, codes, (outcomes,), _ = read_outcomes(
        dataset.exists(eval_key), classes, label_field, group_by, [eval_key]
    )
    return ids, codes, np.array([outcome in CORRECT for outcome in outcomes], dtype=bool)


def _validate(
    source: RecallSource,
    population: Population,
    label_field: str,
    group_by: str | None,
    warn: Warner,
    progress: Any,
) -> tuple[Ids, Codes, np.ndarray[Any, np.dtype[np.bool_]], Predictions | None]:
    if source.pred_field is not None:
        path = label_path(source.validation, source.pred_field, "pred_field")
        ids, codes, (predicted,), labels = read_outcomes(
            source.validation, population.classes, label_field, group_by, [path]
        )
        correct = np.array([a == b for a, b in zip(predicted, labels, strict=True)], dtype=bool)
        return ids, codes, correct, None
    ids, codes, (filepaths,), labels = read_outcomes(
        source.validation, population.classes, label_field, group_by, ["filepath"]
    )
    from fiftyone_drop.models.resolve import resolve  # imports PyTorch

    models = resolve(source.model, source.validation)
    _check_classes(models[0].classes, models[0].words, population, label_field, warn)
    made = predict_samples(models, ids, filepaths, labels, progress)
    return ids, codes, made.correct, made


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
            f"model: {message}; it has {listing(classes)}. Name its classes like the labels "
            "(model.classes = [...], in the order of its outputs), or write predictions with their "
            "names into a field and pass pred_field= instead"
        )
    warn(f"{message}, so that their recall is 0 and they get the largest share")


def _measure(
    source: RecallSource,
    population: Population,
    codes: Codes,
    correct: np.ndarray[Any, np.dtype[np.bool_]],
    words: str,
    predictions: Predictions | None,
    warn: Warner,
) -> Recalls:
    right, support = class_counts(codes, correct, len(population.classes))
    values = class_recalls(right, support, source.smoothing)
    missing = np.isnan(values)
    if missing.any():
        if source.missing_recall is None:
            names = [population.classes[k] for k in np.flatnonzero(missing)]
            raise DropError(
                f"missing_recall: no validation sample of {listing(names)} in {words}; add "
                "validation samples of these classes, or pass missing_recall=<float>"
            )
        values[missing] = source.missing_recall
    _warn_about_noise(right, support, warn)
    return Recalls(values, words, right, support, predictions)


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


def check_evaluation(samples: foc.SampleCollection, eval_key: object, label_field: str) -> None:
    """Check that an evaluation of classifications exists and compares with the right labels.

    Raises:
        DropError: if not
    """
    dataset = samples._root_dataset
    runs: Sequence[str] = dataset.list_evaluations(type="classification")
    if eval_key not in runs:
        exists = isinstance(eval_key, str) and dataset.has_evaluation(eval_key)
        what = "is not an evaluation of classifications" if exists else "does not exist"
        raise DropError(
            f"eval_key: the evaluation {eval_key!r} {what}; evaluations of classifications are "
            f"{runs}"
        )
    gt_field = dataset.get_evaluation_info(eval_key).config.gt_field
    if gt_field != label_field:
        raise DropError(
            f"eval_key: the evaluation '{eval_key}' compares with the labels of '{gt_field}', but "
            f"label_field is '{label_field}'; pass label_field='{gt_field}' or another evaluation"
        )
