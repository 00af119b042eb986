"""The sentences of a fairness report: each a level, ``"info"`` or ``"warning"``, and a text.

They are many and short, so the module is longer than others.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import fiftyone as fo
import numpy as np
from fiftyone import ViewField as F
from fiftyone.core.expressions import ViewExpression

from fiftyone_drop.accuracies import (
    MOST_CHANGES,
    Accuracy,
    Change,
    Measured,
    measured_before,
    summary,
)
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.errors import listing
from fiftyone_drop.noise import NOISE_LEVEL
from fiftyone_drop.reader import count_groups
from fiftyone_drop.recall import samples_for_width
from fiftyone_drop.run_outputs import in_part
from fiftyone_drop.runs import DropConfig
from fiftyone_drop.views import part_view

FEW = 5  # samples: a class that keeps no more, and was pruned hard, is nearly emptied
TINY = 0.1  # of the dataset density: a class below that is, too
WIDE = 0.2  # an interval of recalls that says little
AUM_SUSPECT = 0.0  # below: on average over training the model preferred another class
MISTAKEN_SUSPECT = 0.9  # above: a prediction of confidence 0.8 or more contradicts the label
WEAK = 0.7  # below: a model of this average recall cannot tell a wrong label from a hard one
Finding = tuple[Literal["info", "warning"], str]


# -- before training ------------------------------------------------------------------------------


def about_quotas(table: ClassTable) -> Iterator[Finding]:
    """Which classes keep least."""
    names, kept, sizes, densities = table.names, table.quotas, table.sizes, table.densities
    emptied = kept == 0
    smallest = int(np.argmin(np.where(emptied, table.size, kept)))
    yield (
        "info",
        f"the smallest class kept is {names[smallest]!r}: {kept[smallest]:,} of "
        f"{sizes[smallest]:,} samples (class density {densities[smallest]:.3f})",
    )
    if emptied.any():
        gone = [names[k] for k in np.flatnonzero(emptied)]
        yield (
            "warning",
            f"nothing is kept of {len(gone):,} of {len(kept):,} classes: {listing(gone)}. A model "
            "trained on the rest cannot know them; min_per_class=1 or more keeps some",
        )
    few = (kept <= FEW) & (densities < table.density / 2)
    nearly = np.flatnonzero(~emptied & (few | (densities < TINY * table.density)))
    if len(nearly):
        by_size = nearly[np.argsort(kept[nearly], kind="stable")]
        shown = listing(
            by_size.tolist(), show=lambda k: f"{names[k]!r} ({kept[k]:,} of {sizes[k]:,})"
        )
        yield (
            "warning",
            f"nearly emptied, {len(nearly):,} of {len(kept):,} classes: {shown}. That is, at most "
            f"{FEW} samples and a class density below half of the dataset's, or a class density "
            f"below {TINY:g} of it",
        )


def about_recalls(table: ClassTable) -> Iterator[Finding]:
    """How sure the recalls are."""
    if table.recalls is None:
        return
    names, intervals, support = table.names, table.intervals, table.support
    if intervals is None or support is None:
        yield "info", "the recalls were given, so how sure they are is not known"
        return
    widths = intervals[:, 1] - intervals[:, 0]
    wide = np.flatnonzero(widths > WIDE)
    if not len(wide):
        yield "info", f"every recall has a 95 % interval no wider than {WIDE:g}"
        return

    def words(k: int) -> str:
        low, high = intervals[k]
        return f"{names[k]!r} ({low:.2f} to {high:.2f}, measured on {support[k]:,})"

    widest = wide[np.argsort(-widths[wide], kind="stable")]
    yield (
        "warning",
        f"the recalls of {len(wide):,} of {len(widths):,} classes have a 95 % interval wider than "
        f"{WIDE:g}, so their quotas are unsure: {listing(widest.tolist(), 3, words)}. "
        f"{samples_for_width(WIDE)} validation samples of a class are enough, at any recall",
    )


def about_order(dataset: fo.Dataset, config: DropConfig) -> Iterator[Finding]:
    """Whether it is still known which samples are kept."""
    if not dataset.has_field(config.keep_at_field):
        yield (
            "warning",
            f"the field '{config.keep_at_field}' of the run was deleted, so which samples it keeps "
            "is not known any more, and nothing is said about them",
        )


def about_labels(
    dataset: fo.Dataset, config: DropConfig, table: ClassTable, suspects: list[str]
) -> Iterator[Finding]:
    """Kept samples whose scores suggest a wrong label.

    Args:
        dataset: the dataset
        config: the run
        table: its class table, which says how good the model was
        suspects: to this list are added the scores by which such samples come first
    """
    if not dataset.has_field(config.keep_at_field):
        return
    average = None if (before := measured_before(table)) is None else summary(table, before).average
    aum = [
        name
        for name, field in dataset.get_field_schema(ftype=fo.FloatField).items()
        if (info := field.info or {}).get("score") == "aum"
        and _are_same(info.get("label_field", config.label_field), config.label_field)
    ]
    mistaken = []
    for brain_key in dataset.list_brain_runs(type="mistakenness"):
        brain = dataset.get_brain_info(brain_key).config
        name = getattr(brain, "mistakenness_field", None)  # hardness is of this type too
        if name and _are_same(brain.label_field, config.label_field) and dataset.has_field(name):
            mistaken.append(name)
    low, high = f"below {AUM_SUSPECT:g}", f"above {MISTAKEN_SUSPECT:g}"
    signs: tuple[tuple[list[str], Callable[[str], ViewExpression], str], ...] = (
        (aum, lambda name: F(name) < AUM_SUSPECT, f"an AUM {low}: in training the model"),
        (
            mistaken,
            lambda name: F(name) > MISTAKEN_SUSPECT,
            f"a mistakenness {high}: a confident model",
        ),
    )
    kept = in_part(config.keep_at_field, config.density, "kept")
    for names, is_suspect, words in signs:
        if not names:
            continue
        scored = kept & functools.reduce(operator.or_, [F(name).is_number() for name in names])
        # A missing value is below every number
        signed = [(F(name).is_number() & is_suspect(name)).to_mongo() for name in names]
        groups = [(flags, n) for *flags, n in count_groups(dataset, scored, signed)]
        wrong, total = sum(n for flags, n in groups if any(flags)), sum(n for _, n in groups)
        where = " or ".join(f"'{name}'" for name in names)
        text = f"{wrong:,} of {total:,} kept samples have in {where} {words} prefers another class"
        if average is not None and average < WEAK:
            yield (
                "info",
                f"whether labels are wrong is not said: the average recall is {average:.3f} only, "
                f"so that {where} tell more of the model than of the labels",
            )
        elif wrong:
            found = [any(flags) for flags in zip(*(flags for flags, _ in groups), strict=True)]
            suspects += itertools.compress(names, found)
            yield "warning", f"{text}, so their labels may be wrong"
        else:
            yield "info", text


def _are_same(one: object, label_field: str) -> bool:
    """Whether two names are of the same labels: a Classification may go by its ``.label``."""
    return str(one).removesuffix(".label") == label_field.removesuffix(".label")


# -- after training -------------------------------------------------------------------------------


def about_evaluation(
    dataset: fo.Dataset,
    config: DropConfig,
    eval_key: str,
    table: ClassTable,
    after: Measured,
    part: str = "kept",
) -> Iterator[Finding]:
    """Reasons to doubt the evaluation of a trained model.

    Args:
        dataset: the dataset
        config: the record of the run
        eval_key: the evaluation
        table: the class table of the run
        after: its accuracies
        part ("kept"): the part of the run that the model may have been trained on: ``"kept"``, or
            ``"all"`` for a baseline
    """
    assert after.support is not None
    shared = 0
    if dataset.has_field(config.keep_at_field):
        shared = len(part_view(dataset, config, config.density, part).exists(eval_key))
    if shared:
        are = {"kept": "kept by the run", "all": "in the run"}[part]
        yield (
            "warning",
            f"{shared:,} samples of the evaluation '{eval_key}' are {are}: if the model "
            "was trained on them, its accuracies are too high",
        )
    unseen = [table.names[k] for k in np.flatnonzero(after.support == 0)]
    if unseen:
        yield (
            "warning",
            f"the evaluation '{eval_key}' has no sample of {listing(unseen)}: the numbers after "
            "training are over the other classes",
        )


def about_samples(
    eval_key: str,
    before: Measured,
    after: Measured,
    shared: int | None,
    both_are: str = "before and after",
) -> Iterator[Finding]:
    """Whether two accuracies were measured on the same samples.

    Args:
        eval_key: the evaluation of the trained model
        before: the accuracies before training, or of a baseline
        after: those after it
        shared: the number of samples that both were measured on; None if it is not known
        both_are: the two, in words
    """
    assert after.support is not None
    total = int(after.support.sum())
    if before.support is None:
        yield (
            "warning",
            "the recalls of the run were given: whether they were measured on the samples of "
            f"'{eval_key}' is not known",
        )
        return
    measured = int(before.support.sum())
    if shared == total == measured:
        yield "info", f"{both_are} were measured on the same {total:,} samples"
    elif shared is None and np.array_equal(before.support, after.support):
        yield (
            "info",
            f"{both_are} were measured on equally many samples of each class, {total:,} in "
            "all; whether on the same ones is not recorded",
        )
    else:
        what, both = "samples", ""
        if shared is not None:
            both = f" ({shared:,} of them in both)"
        elif measured == total:
            what = "samples, or on other labels of the same"
        yield (
            "warning",
            f"{both_are} were measured on different {what}, {measured:,} and {total:,}{both}: "
            "part of the differences may come from that",
        )


def about_changes(
    before: Accuracy,
    after: Accuracy,
    p_value: float | None,
    gained: Sequence[Change],
    lost: Sequence[Change],
) -> Iterator[Finding]:
    """How the worst class and others changed from before the training to after it.

    Args:
        before: the numbers before the training
        after: those after it
        p_value: of a test that the two worst classes do as well; None if it is not known
        gained: the classes that gained most
        lost: those that lost most
    """
    text = (
        f"the worst class was {before.worst_class!r} with {before.worst:.3f} before and is "
        f"{after.worst_class!r} with {after.worst:.3f} after"
    )
    yield _judged(text, before, after, p_value)
    yield from _most_changed("classes that", gained, lost)


def about_baseline(
    names: tuple[str, str],
    before: Accuracy,
    after: Accuracy,
    p_value: float | None,
    gained: Sequence[Change],
    lost: Sequence[Change],
) -> Iterator[Finding]:
    """How the trained model compares with a baseline, such as a model of all samples.

    Args:
        names: the evaluations of the baseline and of the trained model
        before: the numbers of the baseline
        after: those of the trained model
        p_value: of a test that the two worst classes do as well; None if it is not known
        gained: the classes that gained most beside the baseline
        lost: those that lost most
    """
    baseline, eval_key = names
    yield _judged(
        f"the average over classes is {before.average:.3f} in '{baseline}' and {after.average:.3f} "
        f"in '{eval_key}', the worst class {before.worst_class!r} with {before.worst:.3f} and "
        f"{after.worst_class!r} with {after.worst:.3f}",
        before,
        after,
        p_value,
    )
    yield from _most_changed(f"beside '{baseline}', classes that", gained, lost)


def _judged(text: str, before: Accuracy, after: Accuracy, p_value: float | None) -> Finding:
    """The text, and whether the worst class differs by more than noise."""
    if p_value is None:
        return "info", f"{text}; whether that is more than noise is not known"
    if p_value > NOISE_LEVEL:
        return "info", f"{text}: the difference may be noise (p = {p_value:.2g})"
    if after.worst > before.worst:
        return "info", f"{text}: better by more than noise (p = {p_value:.2g})"
    return "warning", f"{text}: worse by more than noise (p = {p_value:.2g})"


def _most_changed(
    words: str, gained: Sequence[Change], lost: Sequence[Change]
) -> Iterator[Finding]:
    for verb, most_changed in (("gained", gained), ("lost", lost)):
        if most_changed:
            shown = listing(most_changed, MOST_CHANGES, _change_words)
            yield "info", f"{words} {verb} most: {shown}"


def _change_words(change: Change) -> str:
    noise = ", may be noise" if change.clear is False else ""
    return f"{change.class_name!r} ({change.before:.3f} to {change.after:.3f}{noise})"
