"""``minimax_weights``: the weights of a run, corrected by a model that was trained on it."""

from __future__ import annotations

import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName
from fiftyone_drop.errors import DropError, Warner
from fiftyone_drop.evaluations import check_evaluation, read_evaluation
from fiftyone_drop.reader import read_ids
from fiftyone_drop.recall import class_counts, class_recalls
from fiftyone_drop.rules import STEP, corrected
from fiftyone_drop.run_lookup import load_drop
from fiftyone_drop.views import part_view


def minimax_weights(
    dataset: foc.SampleCollection, key: str, *, eval_key: str, step: float = STEP
) -> dict[ClassName, float]:
    """Correct the class weights of a run by a model that was trained on what it keeps.

    DRoP measures recalls before anything is pruned. Here a short training on the kept samples shows
    which classes still lag behind: those below the mean get more. ``apply_drop(weights=...)`` makes
    a run of the weights, and a few rounds go towards the quotas under which the worst recall is
    highest. Nothing is written.

    Example::

        view = train.apply_drop(0.3, key="drop")
        for _ in range(5):
            fod.train_query_model(view, validation=held_out, key="round", overwrite=True)
            weights = fod.minimax_weights(dataset, "drop", eval_key="round_eval")
            view = train.apply_drop(0.3, weights=weights, key="drop", overwrite=True)

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key of a run with quotas
        eval_key: an evaluation of a model that was trained on its kept samples, on others
        step (1.5): how much the log of a weight grows for a recall that is 1 below the mean, > 0

    Returns:
        a mapping from class, or cell, to weight; they add up to one

    Raises:
        DropError: if there is no such run or evaluation, or the run has no quotas
    """
    step = checks.number("step", step, "(0, inf)")
    run = load_drop(dataset, key)
    config, table = run.config, run.table
    if table.weights is None:
        raise DropError(
            "key",
            f"the run '{run.key}' has no class weights, but rule='none'; make it with a rule that "
            "sets quotas",
        )
    root = dataset._root_dataset
    eval_key = check_evaluation(root, eval_key, config.label_field)
    warn = Warner()
    ids, codes, correct = read_evaluation(
        root, eval_key, table.classes, config.label_field, config.group_by, warn
    )
    kept = read_ids(part_view(root, config, table.density, "kept"))
    if shared := int(np.isin(ids, kept).sum()):
        warn(
            f"{shared:,} of {len(ids):,} samples of the evaluation '{eval_key}' are kept by the "
            f"run '{run.key}'. If the model was trained on them, its recalls are too high: "
            "evaluate it on samples that it has not seen"
        )
    recalls = class_recalls(*class_counts(codes, correct, len(table.classes)))
    found = corrected(table.weights, recalls, step)
    return dict(zip(table.classes, found.tolist(), strict=True))
