"""Evaluation runs of FiftyOne: whether one fits, and its outcome for each sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName, Codes, Ids
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.field_marks import check_whole
from fiftyone_drop.fields import label_path
from fiftyone_drop.population import read_outcomes

AGAIN = "evaluate again with evaluate_classifications"
CORRECT = (True, "TP", "TN")  # what FiftyOne's evaluation methods write for a right prediction


def check_evaluation(
    samples: foc.SampleCollection, eval_key: object, label_field: str | None
) -> str:
    """The key of an evaluation of classifications that compares with the right labels.

    Args:
        samples: a collection
        eval_key: the evaluation key
        label_field: the field of the labels; None for any

    Raises:
        DropError: if there is no such evaluation, a field of it is gone, or its predictions are
            not whole
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
    config = dataset.get_evaluation_info(eval_key).config
    check_whole(dataset.get_field(config.pred_field), config.pred_field, "eval_key")
    gt_field = config.gt_field
    for field, what in ((gt_field, "labels"), (eval_key, "outcomes")):
        if not dataset.has_field(field):
            raise DropError(
                "eval_key",
                f"the {what} of the evaluation '{eval_key}' were in the field '{field}', which was "
                f"renamed or deleted; {AGAIN}",
            )
    if label_field not in (None, gt_field):
        raise DropError(
            "eval_key",
            f"the evaluation '{eval_key}' compares with the labels of '{gt_field}', but "
            f"label_field is '{label_field}'; pass label_field='{gt_field}' or another evaluation",
        )
    return eval_key


def evaluated_labels(samples: foc.SampleCollection, eval_key: object) -> str:
    """The label field that an evaluation compares with.

    Raises:
        DropError: if there is no such evaluation, or a field of it is gone
    """
    eval_key = check_evaluation(samples, eval_key, None)
    return str(samples._root_dataset.get_evaluation_info(eval_key).config.gt_field)


def read_evaluation(
    dataset: fo.Dataset,
    eval_key: str,
    classes: Sequence[ClassName],
    label_field: str,
    group_by: str | Sequence[str] | None,
    warn: Callable[[str], object] = lambda message: None,
) -> tuple[Ids, Codes, NDArray[np.bool_]]:
    """Read the outcomes of an evaluation run from the samples that record them.

    Labels may have been corrected since then. Where an outcome follows from label and prediction
    alone, it is that of the present ones.

    Args:
        dataset: the dataset
        eval_key: an evaluation, checked with :func:`check_evaluation`
        classes: the K classes that count
        label_field: the field of the true labels
        group_by: the field or fields that divide classes into cells, or None
        warn: is told if labels or predictions have changed

    Returns:
        a tuple over the n evaluated samples of these classes

        -   (n,) S24, sample ids
        -   (n,) int32, codes into ``classes``
        -   (n,) bool, whether the prediction is right

    Raises:
        DropError: if no sample of these classes has an outcome, or labels have changed and what
            that changes is not known
    """
    config = dataset.get_evaluation_info(eval_key).config
    evaluated = dataset.exists(eval_key)
    simple = config.method == "simple" and dataset.has_field(config.pred_field)
    path = f"{config.pred_field}.label" if simple else f"{label_field}.id"
    outcomes = read_outcomes(evaluated, classes, label_field, group_by, [eval_key, path])
    if not len(outcomes.ids):
        raise DropError("eval_key", _why_nothing(evaluated, eval_key, classes, label_field))
    correct = np.array([value in CORRECT for value in outcomes.columns[0]], dtype=bool)
    if simple:
        pairs = zip(outcomes.columns[1], outcomes.labels, strict=True)
        present = np.array([predicted == label for predicted, label in pairs], dtype=bool)
        changed = int((present != correct).sum())
        if changed:
            warn(
                f"labels or predictions of {changed:,} of {len(correct):,} samples are others than "
                f"those that the evaluation '{eval_key}' compared: what counts are the present "
                f"ones. To see them in its report too, {AGAIN}"
            )
        return outcomes.ids, outcomes.codes, present
    changed = _relabelled(dataset, eval_key, outcomes.columns[1], outcomes.labels)
    if changed:
        raise DropError(
            "eval_key",
            f"{changed:,} of {len(correct):,} samples have other labels than those that the "
            f"evaluation '{eval_key}' compared with, so its outcomes are not theirs; {AGAIN}",
        )
    return outcomes.ids, outcomes.codes, correct


def _why_nothing(
    evaluated: foc.SampleCollection,
    eval_key: str,
    classes: Sequence[ClassName],
    label_field: str,
) -> str:
    """Words for an evaluation that tells nothing of some classes."""
    if not len(evaluated.limit(1)):
        return (
            f"no sample has an outcome of the evaluation '{eval_key}': its field was cleared, or "
            f"its samples were deleted; {AGAIN}"
        )
    if not len(evaluated.exists(label_path(evaluated, label_field, "label_field")).limit(1)):
        return (
            f"no sample of the evaluation '{eval_key}' has a label in '{label_field}' any more; "
            f"label them, and {AGAIN}"
        )
    return (
        f"the evaluation '{eval_key}' has no sample of the classes {listing(classes)}; pass one of "
        "held-out samples of these"
    )


def evaluated_ids(
    dataset: fo.Dataset,
    eval_key: str,
    classes: Sequence[ClassName],
    label_field: str,
    group_by: str | Sequence[str] | None,
) -> tuple[Ids, Codes]:
    """The ids (n,) S24 and codes (n,) of the samples of some classes that an evaluation is of."""
    outcomes = read_outcomes(dataset.exists(eval_key), classes, label_field, group_by, [])
    return outcomes.ids, outcomes.codes


def _relabelled(
    dataset: fo.Dataset, eval_key: str, label_ids: Sequence[Any], labels: Sequence[str]
) -> int:
    """How many labels are others than in the results of an evaluation; 0 without results."""
    results = dataset.load_evaluation_results(eval_key, cache=False)
    if results is None or results.ytrue_ids is None:
        return 0
    compared = dict(zip(results.ytrue_ids.tolist(), results.ytrue.tolist(), strict=True))
    pairs = zip(label_ids, labels, strict=True)
    return sum(compared.get(str(label_id)) != label for label_id, label in pairs)
