"""``extend_drop``: the dataset has grown, and a run takes in the new samples."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks, lease
from fiftyone_drop._types import ClassName, Ids, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.dataset_state import SIZE
from fiftyone_drop.decision import decide
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.fields import check_collection, must_keep_view
from fiftyone_drop.options import IN_WORDS, VECTORS, DropOptions, as_passed
from fiftyone_drop.population import Population, check_labels_as_stored
from fiftyone_drop.predictions import read_predictions
from fiftyone_drop.pruning import apply_drop
from fiftyone_drop.reader import read_ids, read_order
from fiftyone_drop.recall_sources import Recalls
from fiftyone_drop.run_changes import write_run
from fiftyone_drop.run_lookup import check_dataset, load_order
from fiftyone_drop.run_outputs import own_fields
from fiftyone_drop.run_recovery import recover
from fiftyone_drop.runs import DropConfig, DropResults
from fiftyone_drop.target import check_fields, keeps_highest, read_target, rule_columns, snapshot_of
from fiftyone_drop.views import part_view
from fiftyone_drop.waiting import UNFINISHED, while_away

OWN = ("density", "size", "max_bytes", "missing_recall", "new_samples", "key", "dataset")


def extend_drop(
    dataset: foc.SampleCollection,
    key: str,
    new_samples: foc.SampleCollection,
    *,
    density: float | None = None,
    size: int | None = None,
    max_bytes: int | None = None,
    missing_recall: float | None = None,
    progress: Any = None,
) -> fo.DatasetView:
    """Take samples into a run that were added to its dataset later.

    Every sample that the run keeps stays kept, and the new ones get their places by the arguments
    and the recalls of the run: nothing is measured or trained again. Moved to a lower density
    afterwards, the run keeps of the samples of before first.

    Example::

        dataset.add_samples(more)
        fod.extend_drop(dataset, "drop", dataset.match_tags("more"))

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        new_samples: a view with the samples to take in; those that the run has already do not
            matter
        density (None): the dataset density after it, in (0, 1]; by default the run's own, so that
            as large a part of the new samples is kept
        size (None): instead, the number of samples to keep
        max_bytes (None): instead, the bytes that the kept image files may take
        missing_recall (None): a recall in [0, 1] for classes that the run does not have; by default
            the run's own argument. It warns if samples of the run were relabelled to one
        progress (None): as everywhere in FiftyOne

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the samples that are kept

    Raises:
        DropError: if there is no such run, the new samples are unfit or none, their view shows
            other labels than the dataset stores, a new class has no recall, or the amount is too
            small for what was kept; the run is as it was then
        ConnectionError: the database was away for ten minutes, or again and again
    """
    root = check_dataset(dataset)._root_dataset
    key = checks.text("key", key)
    asked_for = (density, size, max_bytes)
    amount = Amount.parse(*asked_for) if any(v is not None for v in asked_for) else None
    missing = checks.number("missing_recall", missing_recall, "[0, 1]", optional=True)
    new_samples = check_collection(new_samples, "new_samples")
    if new_samples._root_dataset is not root:
        raise DropError(
            "new_samples",
            f"must be a view into '{root.name}', but is one into "
            f"'{new_samples._root_dataset.name}'; add the samples to the dataset first",
        )

    def end_what_began() -> dict[str, str]:
        with lease.writing(root):
            return recover(root, key)

    ended = while_away(end_what_began, UNFINISHED)  # by a writer that has died, with this run
    run = load_order(root, key)
    check_labels_as_stored(new_samples, run.config.label_field, run.config.group_by, "new_samples")
    try:
        new = read_ids(new_samples)
        was_cut_off = ended.get(key) == "replacing" and "extended_by" in run.config.found
        return _extend(root, key, run, new, amount, missing, progress, was_cut_off)
    except DropError as error:
        if error.argument in OWN:
            raise
        # The user typed that argument when the run was made
        words = f"the run '{key}' cannot be extended as it was made. {error}"
        raise DropError("key", words) from error


def _extend(
    root: fo.Dataset,
    key: str,
    run: DropResults,
    new: Any,
    amount: Amount | None,
    missing: float | None,
    progress: Any,
    was_cut_off: bool,
) -> fo.DatasetView:
    config = run.config
    options = options_of(root, config, amount, missing)
    old, keep_at = read_order(root, config.keep_at_field)
    fresh = new[~np.isin(new, old)]
    standing = ((config.density, None), (None, int(run.table.quotas.sum())))
    as_asked = amount is None or (amount.density, amount.size) in standing

    def already(besides: int) -> fo.DatasetView:
        if was_cut_off and as_asked:
            return part_view(root, config, config.density, "kept")  # the same call took them in
        words = f", but for {besides:,} that it leaves out" if besides else ""
        raise DropError("new_samples", f"the run has all {len(new):,} of them already{words}")

    if not len(fresh):
        return already(0)
    warn = Warner()
    check_fields(root, options)
    high = keeps_highest(root, options)
    population, left_out = read_target(
        root,
        options,
        warn,
        progress,
        only=np.concatenate([old, fresh]),
        kept_before=old[keep_at <= config.density],
        were=options.named_classes,
    )
    joined = int(np.isin(population.ids, fresh).sum())
    if not joined:
        return already(len(fresh))
    # They are the first of the order, so that the record need not hold their ids
    must_keep = old[keep_at < run.table.must_keep_density]
    if len(must_keep):
        named = population.must_keep
        rows = np.isin(population.ids, must_keep)
        population = replace(population, must_keep=rows if named is None else rows | named)
    columns = rule_columns(root, options, population)
    recalls = recalls_of(run, population, options, old, warn)
    new_keep_at, table = decide(options, population, high, recalls, columns)
    pred_field = config.pred_field
    predicted = pred_field is not None and pred_field in own_fields(root, config.outputs)
    # Samples may be left out once more; those of the dataset that are not in the run are the most
    out_of_run = population.dataset_state[SIZE] - len(population)
    found = config.found | {
        "size": len(population),
        "warnings": [*config.warnings, *warn.messages],
        "left_out": min(config.found.get("left_out", 0) + left_out, out_of_run),
        "extended_by": config.found.get("extended_by", 0) + joined,
        **population.dataset_state,
    }
    as_before = (*IN_WORDS, "must_keep", "query", *VECTORS, "folds")  # no recalls are looked for
    asked = options.asked() | {name: config.asked.get(name) for name in as_before}
    written = write_run(
        root,
        key,
        True,
        uses=options.uses(),
        asked=asked,
        found=found,
        table=table,
        decided_on=snapshot_of(population, options),
        keep_at=new_keep_at,
        predictions=read_predictions(root, str(pred_field)) if predicted else None,
        progress=progress,
        saved=UNFINISHED,
        extends=config,
    )
    return part_view(root, written, table.density, "kept")


def options_of(
    root: fo.Dataset, config: DropConfig, amount: Amount | None, missing: float | None
) -> DropOptions:
    """The arguments that a run was made with, but for where its recalls came from."""
    arguments = {n: p.default for n, p in inspect.signature(apply_drop).parameters.items()}
    asked = {n: as_passed(n, value) for n, value in config.asked.items() if n in arguments}
    if amount is None:
        # Quotas that name every class say how much is kept; else the run stands at a density
        by_quotas = asked.get("quotas") and asked.get("density") is None and not asked.get("size")
        amount = Amount() if by_quotas and not asked.get("max_bytes") else Amount(config.density)
    arguments |= asked | dict.fromkeys(IN_WORDS)
    arguments |= {name: getattr(amount, name) for name in ("density", "size", "max_bytes")}
    arguments["label_field"] = config.label_field
    if missing is not None:
        arguments["missing_recall"] = missing
    try:
        must_keep_view(root, arguments["must_keep"])
    except DropError:
        arguments["must_keep"] = None  # a view, in words; the run knows what it held
    return DropOptions.parse(arguments)


def recalls_of(
    run: DropResults,
    population: Population,
    options: DropOptions,
    members: Ids | None = None,
    warn: Warner | None = None,
) -> Recalls | None:
    """The recalls of the run for the classes that there are now.

    Args:
        run: the run
        population: the samples
        options: the options, with the recall of classes that the run does not have
        members (None): the ids of the samples that were in the run, where that matters
        warn (None): is told if such samples have got a recall that they had not

    Raises:
        DropError: if the run has no recall of a class, and the options have none
    """
    table = run.table
    if table.recalls is None:
        return None
    known = table.by_class("recalls")
    unknown = [name for name in population.classes if name not in known]
    relabelled: list[ClassName] = []
    if unknown and members is not None:
        of_run = np.unique(population.codes[np.isin(population.ids, members)])
        relabelled = [name for name in (population.classes[k] for k in of_run) if name in unknown]
    if relabelled:
        words = (
            f"the run has no recall of {listing(relabelled)}, to which samples of it were "
            f"relabelled: fod.verify_drop(dataset, {run.key!r}) names them"
        )
        if options.missing_recall is None:
            raise DropError(
                "key", f"{words}; give them their labels of before, or make the run again"
            )
        if warn is not None:
            warn(f"{words}; they get missing_recall={options.missing_recall:g}")
    if unknown and options.missing_recall is None:
        raise DropError(
            "missing_recall",
            f"the run has no recall of {listing(unknown)}, which it was not decided on; "
            "pass missing_recall=<float>",
        )
    values = [known.get(name, options.missing_recall) for name in population.classes]
    counted = table.correct is not None and table.support is not None
    return Recalls(
        np.array(values, np.float64),
        str(run.config.recalls_from),
        _counts(table, "correct", population) if counted else None,
        _counts(table, "support", population) if counted else None,
    )


def _counts(table: ClassTable, column: str, population: Population) -> IntArray:
    known: Mapping[Any, int] = table.by_class(column)
    return np.array([known.get(name, 0) for name in population.classes], np.int64)
