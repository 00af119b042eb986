"""What a run means for fairness, in words: before training, and after it with an evaluation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from fiftyone import ViewField as F

from fiftyone_drop import runs
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.class_table import ClassTable, aligned
from fiftyone_drop.counts import count_groups
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.recall import class_counts, recall_intervals, samples_for_width
from fiftyone_drop.recall_sources import check_evaluation, read_evaluation
from fiftyone_drop.views import drop_view, in_part

FEW = 5  # samples: a class that keeps no more, and was pruned hard, is nearly emptied
TINY = 0.1  # of the dataset density: a class below that is, too
WIDE = 0.2  # an interval of recalls that says little
AUM_SUSPECT = 0.0  # below: on average over training the model preferred another class
MISTAKEN_SUSPECT = 0.9  # above: a prediction of confidence 0.8 or more contradicts the label
MOST_CHANGES = 5

Level = Literal["info", "warning"]
Finding = tuple[Level, str]
Interval = tuple[float, float]


@dataclass(frozen=True)
class Accuracy:
    """How well a model does over the classes.

    Attributes:
        average: the mean of the class accuracies, in [0, 1]; classes count alike
        worst: the lowest class accuracy
        worst_class: the class, in words
        worst_interval: the 95 % interval of ``worst``; None if the recalls were given
        gap: ``average - worst``
        spread: the standard deviation over classes
        samples: how many it was measured on; None if the recalls were given
    """

    average: float
    worst: float
    worst_class: str
    worst_interval: Interval | None
    gap: float
    spread: float
    samples: int | None


@dataclass(frozen=True)
class Change:
    """How the accuracy of a class changed.

    Attributes:
        class_name: the class, in words
        before, after: its accuracies, in [0, 1]
        clear: whether the 95 % intervals are disjoint; None if one is not known
    """

    class_name: str
    before: float
    after: float
    clear: bool | None


@dataclass(frozen=True)
class DropReport:
    """What :func:`report` returns. Prints in words.

    Attributes:
        key: the drop run
        eval_key: the evaluation of the trained model, or None
        title: one line
        findings: (level, text), level ``"info"`` or ``"warning"``
        accuracy: ``"before"``, from the recalls of the run, and ``"after"``, from ``eval_key``, as
            far as there are any; None if there are neither
        gained, lost: the classes that changed most, the largest change first
    """

    key: str
    eval_key: str | None
    title: str
    findings: tuple[Finding, ...]
    accuracy: Mapping[str, Accuracy] | None
    gained: tuple[Change, ...] = ()
    lost: tuple[Change, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        columns = self.accuracy or {}
        return {
            "key": self.key,
            "eval_key": self.eval_key,
            "title": self.title,
            "findings": [{"level": level, "text": text} for level, text in self.findings],
            "accuracy": {name: asdict(column) for name, column in columns.items()} or None,
            "gained": [asdict(change) for change in self.gained],
            "lost": [asdict(change) for change in self.lost],
        }

    def __str__(self) -> str:
        marks = {"info": "-", "warning": "! Warning:"}
        lines = [self.title, *(f"{marks[level]} {text}" for level, text in self.findings)]
        if self.accuracy:
            lines += ["", *aligned(_accuracy_rows(self.accuracy))]
        return "\n".join(lines)

    __repr__ = __str__


@dataclass(frozen=True)
class _Measured:
    """Class accuracies: (K,) values, NaN where there are none; what they come from, if known."""

    values: FloatArray
    support: IntArray | None = None
    intervals: FloatArray | None = None

    @classmethod
    def of(cls, correct: IntArray, support: IntArray) -> _Measured:
        """From counts, without smoothing: what was observed."""
        values = np.where(support > 0, correct / np.maximum(support, 1), np.nan)
        return cls(values, support, recall_intervals(correct, support))

    def interval(self, k: int) -> Interval | None:
        """The 95 % interval of class k, if it is known."""
        return None if self.intervals is None else tuple(self.intervals[k].tolist())


def report(dataset: foc.SampleCollection, key: str, eval_key: str | None = None) -> DropReport:
    """What a run means for fairness, in words.

    Before training: which classes lose most, how sure the recalls are that the quotas follow from,
    and labels that look wrong among what is kept, where the dataset has a score that shows it (a
    field with the score ``aum``, or FiftyOne's ``compute_mistakenness``). After training on the
    kept samples: the accuracies of an evaluation of that model beside the recalls of the run.

    Example::

        dataset.match_tags("test").evaluate_classifications("after", eval_key="after_eval")
        print(fod.report(dataset, "drop", eval_key="after_eval"))

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        eval_key (None): an evaluation run (``evaluate_classifications``) of the model that was
            trained on what is kept

    Returns:
        a :class:`DropReport`

    Raises:
        DropError: if there is no such run or evaluation, or the evaluation has no sample of the
            run's classes
    """
    results = runs.load_drop(dataset, key)
    root, config, table = dataset._root_dataset, results.config, results.table
    findings = [
        *_about_quotas(table),
        *_about_recalls(table),
        *_about_labels(root, key, config),
        *(("warning", message) for message in config.warnings),
    ]
    before = _measured_before(table)
    columns = {} if before is None else {"before": _summary(table, before)}
    gained: list[Change] = []
    lost: list[Change] = []
    if eval_key is not None:
        after = _measured_after(root, config, table, eval_key)
        columns["after"] = _summary(table, after)
        findings += _about_evaluation(root, key, eval_key, table, before, after)
        if before is not None:
            gained, lost = _changes(table, before, after)
            findings += _about_changes(columns["before"], columns["after"], gained, lost)
    kept = int(table.quotas.sum())
    return DropReport(
        key=key,
        eval_key=eval_key,
        title=f"Drop run '{key}': density {results.density:g} keeps {kept:,} of {table.size:,} "
        f"samples of {len(table.classes):,} classes",
        findings=tuple((level, text[:1].upper() + text[1:]) for level, text in findings),
        accuracy=columns or None,
        gained=tuple(gained),
        lost=tuple(lost),
    )


# -- before training ------------------------------------------------------------------------------


def _about_quotas(table: ClassTable) -> Iterator[Finding]:
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


def _about_recalls(table: ClassTable) -> Iterator[Finding]:
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
        f"{samples_for_width(WIDE)} validation samples of a class are enough, whatever its recall",
    )


def _about_labels(dataset: fo.Dataset, key: str, config: runs.DropConfig) -> Iterator[Finding]:
    """What scores say about the labels of kept samples."""
    suspects = {
        name: (F(name) < AUM_SUSPECT, f"an AUM below {AUM_SUSPECT:g}: in training the model")
        for name, field in dataset.get_field_schema(ftype=fo.FloatField).items()
        if (field.info or {}).get("score") == "aum"
    }
    for brain_key in dataset.list_brain_runs(type="mistakenness"):
        brain = dataset.get_brain_info(brain_key).config
        name = brain.mistakenness_field
        if brain.label_field == config.label_field and dataset.get_field(name) is not None:
            words = f"a mistakenness above {MISTAKEN_SUSPECT:g}: a confident model"
            suspects[name] = (F(name) > MISTAKEN_SUSPECT, words)
    kept = in_part(config.keep_at_field, config.density, "kept")
    for name, (suspect, words) in suspects.items():
        scored = kept & F(name).is_number()
        counts = dict(count_groups(dataset, scored, [suspect.to_mongo()]))
        wrong, total = counts.get(True, 0), sum(counts.values())
        text = f"{wrong:,} of {total:,} kept samples have in '{name}' {words} prefers another class"
        if wrong:
            yield (
                "warning",
                f"{text}, so their labels may be wrong; fod.drop_view(dataset, {key!r}, "
                f"score={name!r}) shows them first",
            )
        else:
            yield "info", text


# -- after training -------------------------------------------------------------------------------


def _measured_before(table: ClassTable) -> _Measured | None:
    if table.correct is not None and table.support is not None and table.support.any():
        return _Measured.of(table.correct, table.support)
    return None if table.recalls is None else _Measured(table.recalls)


def _measured_after(
    dataset: fo.Dataset, config: runs.DropConfig, table: ClassTable, eval_key: str
) -> _Measured:
    check_evaluation(dataset, eval_key, config.label_field)
    _, codes, correct = read_evaluation(
        dataset, eval_key, table.classes, config.label_field, config.group_by
    )
    if not len(codes):
        raise DropError(
            f"eval_key: the evaluation '{eval_key}' has no sample of the classes of the run, "
            f"{listing(table.names)}; pass an evaluation of these"
        )
    return _Measured.of(*class_counts(codes, correct, len(table.classes)))


def _summary(table: ClassTable, measured: _Measured) -> Accuracy:
    values, support = measured.values, measured.support
    worst = int(np.nanargmin(values))
    average = float(np.nanmean(values))
    return Accuracy(
        average=average,
        worst=float(values[worst]),
        worst_class=table.names[worst],
        worst_interval=measured.interval(worst),
        gap=average - float(values[worst]),
        spread=float(np.nanstd(values)),
        samples=None if support is None else int(support.sum()),
    )


def _about_evaluation(
    dataset: fo.Dataset,
    key: str,
    eval_key: str,
    table: ClassTable,
    before: _Measured | None,
    after: _Measured,
) -> Iterator[Finding]:
    """What stands in the way of taking the evaluation at its word."""
    assert after.support is not None
    kept = len(drop_view(dataset, key).exists(eval_key))
    if kept:
        yield (
            "warning",
            f"{kept:,} samples of the evaluation '{eval_key}' are kept by the run: if the model "
            "was trained on them, its accuracies are too high",
        )
    unseen = [table.names[k] for k in np.flatnonzero(after.support == 0)]
    if unseen:
        yield (
            "warning",
            f"the evaluation '{eval_key}' has no sample of {listing(unseen)}: the numbers after "
            "training are over the other classes",
        )
    if before is None:
        return
    total = int(after.support.sum())
    if before.support is None:
        yield (
            "warning",
            "the recalls of the run were given: whether they were measured on the samples of "
            f"'{eval_key}' is not known",
        )
    elif np.array_equal(before.support, after.support):
        yield (
            "info",
            f"before and after were measured on equally many samples of each class, {total:,} in "
            "all; whether on the same ones is not recorded",
        )
    else:
        yield (
            "warning",
            f"before and after were measured on different samples, {int(before.support.sum()):,} "
            f"and {total:,}: part of the differences may come from that",
        )


def _changes(
    table: ClassTable, before: _Measured, after: _Measured
) -> tuple[list[Change], list[Change]]:
    """The classes that gained and lost most."""
    change = after.values - before.values
    measured = np.flatnonzero(~np.isnan(change))
    ascending = measured[np.argsort(change[measured], kind="stable")]

    def describe(k: int) -> Change:
        clear = _clear(before.interval(k), after.interval(k))
        return Change(table.names[k], float(before.values[k]), float(after.values[k]), clear)

    gained = [describe(k) for k in ascending[::-1][:MOST_CHANGES] if change[k] > 0]
    lost = [describe(k) for k in ascending[:MOST_CHANGES] if change[k] < 0]
    return gained, lost


def _clear(first: Interval | None, second: Interval | None) -> bool | None:
    """Whether two intervals have no point in common; None if one is not known."""
    if first is None or second is None:
        return None
    return first[1] < second[0] or second[1] < first[0]


def _about_changes(
    before: Accuracy, after: Accuracy, gained: Sequence[Change], lost: Sequence[Change]
) -> Iterator[Finding]:
    text = (
        f"the worst class was {before.worst_class!r} with {before.worst:.3f} before and is "
        f"{after.worst_class!r} with {after.worst:.3f} after"
    )
    clear = _clear(before.worst_interval, after.worst_interval)
    if clear is None:
        yield "info", f"{text}; whether that is more than noise is not known"
    elif not clear:
        yield "info", f"{text}: the difference is within noise, the 95 % intervals overlap"
    elif after.worst > before.worst:
        yield "info", f"{text}: better by more than noise"
    else:
        yield "warning", f"{text}: worse by more than noise"
    for verb, changes in (("gained", gained), ("lost", lost)):
        if changes:
            shown = listing(changes, MOST_CHANGES, _change_words)
            yield "info", f"classes that {verb} most: {shown}"


def _change_words(change: Change) -> str:
    noise = ", within noise" if change.clear is False else ""
    return f"{change.class_name!r} ({change.before:.3f} to {change.after:.3f}{noise})"


def _accuracy_rows(columns: Mapping[str, Accuracy]) -> list[list[str]]:
    shown = columns.values()
    return [
        ["", *columns],
        ["average over classes", *(f"{c.average:.3f}" for c in shown)],
        ["worst class", *(f"{c.worst:.3f}" for c in shown)],
        ["gap", *(f"{c.gap:.3f}" for c in shown)],
        ["spread over classes", *(f"{c.spread:.3f}" for c in shown)],
        ["the worst class is", *(c.worst_class for c in shown)],
        ["measured on", *("given" if c.samples is None else f"{c.samples:,}" for c in shown)],
    ]
