"""Evaluation runs of FiftyOne: whether one fits, and its outcome for each sample."""

from __future__ import annotations

from collections.abc import Sequence

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName, Codes, Ids
from fiftyone_drop.errors import DropError
from fiftyone_drop.population import read_outcomes

CORRECT = (True, "TP", "TN")  # what FiftyOne's evaluation methods write for a right prediction


def check_evaluation(samples: foc.SampleCollection, eval_key: object, label_field: str) -> str:
    """The key of an evaluation of classifications that compares with the right labels.

    Raises:
        DropError: if there is no such evaluation
    """
    dataset = samples._root_dataset
    eval_key = checks.text("eval_key", eval_key)
    known: Sequence[str] = dataset.list_evaluations(type="classification")
    if eval_key not in known:
        exists = dataset.has_evaluation(eval_key)
        what = "is not an evaluation of classifications" if exists else "does not exist"
        raise DropError(
            "eval_key",
            f"the evaluation {eval_key!r} {what}; evaluations of classifications are {known}",
        )
    gt_field = dataset.get_evaluation_info(eval_key).config.gt_field
    if gt_field != label_field:
        raise DropError(
            "eval_key",
            f"the evaluation '{eval_key}' compares with the labels of '{gt_field}', but "
            f"label_field is '{label_field}'; pass label_field='{gt_field}' or another evaluation",
        )
    return eval_key


def read_evaluation(
    dataset: fo.Dataset,
    eval_key: str,
    classes: Sequence[ClassName],
    label_field: str,
    group_by: str | Sequence[str] | None,
) -> tuple[Ids, Codes, NDArray[np.bool_]]:
    """Read the outcomes of an evaluation run from the samples that record them.

    Args:
        dataset: the dataset
        eval_key: an evaluation, checked with :func:`check_evaluation`
        classes: the K classes that count
        label_field: the field of the true labels
        group_by: the field or fields that divide classes into cells, or None

    Returns:
        a tuple over the n evaluated samples of these classes

        -   (n,) S24, sample ids
        -   (n,) int32, codes into ``classes``
        -   (n,) bool, whether the prediction is right
    """
    outcomes = read_outcomes(dataset.exists(eval_key), classes, label_field, group_by, [eval_key])
    correct = np.array([value in CORRECT for value in outcomes.columns[0]], dtype=bool)
    return outcomes.ids, outcomes.codes, correct
