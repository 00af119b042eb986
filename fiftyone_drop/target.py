"""Read a target view: everything about its samples that decides which of them are kept."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop._types import FloatArray, Ids
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.evaluations import evaluated_labels
from fiftyone_drop.field_marks import tokens
from fiftyone_drop.fields import (
    check_order_by,
    class_paths,
    default_label_field,
    highest_first,
    must_keep_view,
    number_field,
)
from fiftyone_drop.file_sizes import read_file_sizes
from fiftyone_drop.limits import class_mask
from fiftyone_drop.options import BY_ID, RANDOM, SUSPECTS, DropOptions
from fiftyone_drop.population import Population, read_population
from fiftyone_drop.reader import read_ids
from fiftyone_drop.run_lookup import get_config, load_drop
from fiftyone_drop.snapshot import Snapshot


def with_label_field(samples: foc.SampleCollection, options: DropOptions) -> DropOptions:
    """The same options with a label field: that of ``eval_key``, or the default one.

    Raises:
        DropError: if there is none
    """
    label_field = options.label_field
    if label_field is None and options.eval_key is not None:
        label_field = evaluated_labels(samples, options.eval_key)
    if label_field is None:
        besides = [options.pred_field] if options.pred_field else []
        label_field = default_label_field(samples, besides)
    return replace(options, label_field=label_field)


def check_fields(samples: foc.SampleCollection, options: DropOptions) -> None:
    """Check the fields and runs that options name, but for ``select``.

    Raises:
        DropError: if one is unfit
    """
    class_paths(samples, str(options.label_field), options.group_by)
    check_order_by(samples, options.order_by)
    if options.must_keep is not None:
        must_keep_view(samples, options.must_keep)
    for argument in SUSPECTS:
        for name in getattr(options, argument) or ():
            number_field(samples, name, argument, "pass a mapping from score field to number")
    for name in options.the_rule.of_kind("mean"):
        number_field(samples, name, "rule", f"'{options.rule}' needs its mean over each class")
    for key in options.the_rule.of_kind("kept"):
        config = get_config(samples, key, "rule")
        if (config.label_field, config.group_by) != (options.label_field, options.group_by):
            raise DropError(
                "rule",
                f"'{options.rule}' needs what the run '{key}' keeps of each class, but that run "
                f"has the classes of '{config.label_field}' and group_by={config.group_by!r}",
            )


def keeps_highest(samples: foc.SampleCollection, options: DropOptions) -> bool:
    """Whether the high values of the score field are kept first; at random there are none.

    Raises:
        DropError: if ``select`` is no score field that says which end is hard
    """
    return options.select == RANDOM or highest_first(samples, options.select, options.keep)


def rule_columns(
    samples: foc.SampleCollection, options: DropOptions, population: Population
) -> dict[str, FloatArray]:
    """The columns besides sizes and recalls that the rule needs, (K,) float each."""
    columns = {f"mean:{name}": population.means(name) for name in options.the_rule.of_kind("mean")}
    for key in options.the_rule.of_kind("kept"):
        kept = load_drop(samples, key).table.by_class("quotas")
        columns[f"kept:{key}"] = np.array([kept.get(name, 0) for name in population.classes], float)
    return columns


def read_target(
    samples: foc.SampleCollection,
    options: DropOptions,
    warn: Warner,
    progress: Any,
    *,
    only: Ids | None = None,
    kept_before: Ids | None = None,
    were: Sequence[Hashable] = (),
    writes: bool = False,
) -> tuple[Population, int]:
    """Read the samples of a target view, and everything that decides about them.

    Args:
        samples: the target view
        options: the options, with their label field, checked with :func:`check_fields`
        warn: is told of doubts
        progress: as everywhere in FiftyOne
        only (None): the ids of the samples that matter; by default all
        kept_before (None): the ids of samples that an earlier run keeps
        were (()): names that were classes when a run was made with them: where a class has no
            sample any more, limits on it have no effect
        writes (False): whether a run is written at once: then a view is refused here, before an
            hour of training, that shows other values than the dataset stores

    Returns:
        a tuple of the :class:`Population`, and the number of samples that ``drop_below`` and
        ``drop_above`` have left out of it

    Raises:
        DropError: if samples lack a value, scores were written meanwhile, or nothing is left of a
            class
    """
    assert options.label_field is not None
    suspects = [name for argument in SUSPECTS for name in getattr(options, argument) or ()]
    means = options.the_rule.of_kind("mean")
    numbers = sorted({*means, *suspects, options.select} - {RANDOM})
    before = tokens(samples._root_dataset, numbers)
    population = read_population(
        samples,
        options.label_field,
        group_by=options.group_by,
        values_of=numbers,
        filepaths=options.reads_images,
        order_by=None if options.order_by == BY_ID else options.order_by,
        only=only,
        skip_unlabeled=options.skip_unlabeled,
        progress=progress,
    )
    population = replace(population, were=(*population.were, *were))
    _check_unwritten(samples._root_dataset, before, options)
    if writes:
        population.check_as_stored(samples, options.label_field, options.group_by)
    for name in {*means, options.select} - {RANDOM}:
        population.check_complete(name, "select" if name == options.select else "rule")
    if population.names is not None:
        population.check_named(options.order_by)
    if kept_before is not None:
        population = replace(population, kept_before=np.isin(population.ids, kept_before))
    if options.must_keep is not None:
        population = mark_must_keep(population, samples, options.must_keep)
    population, left_out = _without_suspects(population, options, warn)
    if options.max_bytes is not None:
        population = with_file_sizes(population, samples)
    return population, left_out


def _check_unwritten(dataset: fo.Dataset, before: Mapping[str, Any], options: DropOptions) -> None:
    """Check that nobody wrote the scores that have been read, while they were read.

    Args:
        dataset: the dataset
        before: the marks of their fields, from before they were read
        options: the arguments

    Raises:
        DropError: if somebody did, so that they may be old ones and new ones
    """
    argument_of = dict.fromkeys(options.the_rule.of_kind("mean"), "rule")
    argument_of |= {n: a for a in SUSPECTS for n in getattr(options, a) or ()}
    argument_of[options.select] = "select"
    now = tokens(dataset, before)
    for name, mark in before.items():
        if now.get(name) != mark or "state" in (mark or {}):
            raise DropError(
                argument_of[name],
                f"the scores in '{name}' are being written, or were written while they were read; "
                "make the call again, or first the one that writes them if that was cut off",
            )


def snapshot_of(population: Population, options: DropOptions) -> Snapshot:
    """What a run remembers of the samples that it was decided on."""
    scores = None if options.select == RANDOM else population.values[options.select]
    return Snapshot(population.ids, population.codes, scores)


def with_file_sizes(population: Population, samples: foc.SampleCollection) -> Population:
    """The same population with the sizes of its image files, read now if they are not there."""
    if population.file_sizes is not None:
        return population
    return replace(population, file_sizes=read_file_sizes(samples, population.ids))


def mark_must_keep(
    population: Population, samples: foc.SampleCollection, must_keep: Any
) -> Population:
    """The same population with the samples marked that ``must_keep=`` names.

    Raises:
        DropError: if it has none of them
    """
    wanted = read_ids(must_keep_view(samples, must_keep))
    rows = np.isin(population.ids, wanted)
    if rows.any():
        return replace(population, must_keep=rows)
    raise DropError(
        "must_keep",
        f"names {len(wanted):,} samples, but none with a label in the target view; pass a view, "
        "tag or boolean field of some that are pruned",
    )


def _without_suspects(
    population: Population, options: DropOptions, warn: Warner
) -> tuple[Population, int]:
    """Leave out samples whose scores are beyond a threshold, and say how many these were.

    Samples that must be kept or were kept before, and protected classes, stay.
    """
    found = {argument: np.zeros(len(population), bool) for argument in SUSPECTS}
    for argument, beyond in zip(SUSPECTS, (np.less, np.greater), strict=True):
        for name, threshold in (getattr(options, argument) or {}).items():
            values = population.values[name]
            found[argument] |= beyond(values, threshold)  # NaN is beyond nothing
            missing = int(np.isnan(values).sum())
            if missing:
                warn(f"{missing:,} samples have no value in '{name}', so {argument} leaves them in")
    suspect = found[SUSPECTS[0]] | found[SUSPECTS[1]]
    classes = population.classes
    protect = options.of_classes(classes, population.were).protect
    protected = class_mask("protect", protect, classes)
    suspect &= ~protected[population.codes]
    for stay in (population.must_keep, population.kept_before):
        if stay is not None:
            suspect &= ~stay
    if not suspect.any():
        return population, 0
    left = np.bincount(population.codes[~suspect], minlength=len(population.classes))
    gone = np.flatnonzero(left == 0)
    if len(gone) and (len(gone) == len(left) or not options.allow_empty_classes):
        of_gone = np.isin(population.codes, gone)
        raise DropError(
            max(SUSPECTS, key=lambda argument: int(found[argument][of_gone].sum())),
            f"leaves nothing of {listing([population.classes[k] for k in gone])} "
            f"({options.suspects}); choose another threshold, name the class in protect=, or pass "
            "allow_empty_classes=True",
        )
    return population.only(~suspect), int(suspect.sum())
