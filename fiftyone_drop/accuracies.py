"""How well a model does on the classes of a run: from counts to the numbers of a report.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.recall import recall_intervals

MOST_CHANGES = 5

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
class Measured:
    """Class accuracies: (K,) values, NaN where there are none, with counts where they are known."""

    values: FloatArray
    support: IntArray | None = None
    intervals: FloatArray | None = None

    @classmethod
    def of(cls, correct: IntArray, support: IntArray) -> Measured:
        """The observed accuracies, from counts without smoothing."""
        values = np.where(support > 0, correct / np.maximum(support, 1), np.nan)
        return cls(values, support, recall_intervals(correct, support))

    def interval(self, k: int) -> Interval | None:
        """The 95 % interval of class k, if it is known."""
        return None if self.intervals is None else tuple(self.intervals[k].tolist())


def measured_before(table: ClassTable) -> Measured | None:
    """The class accuracies that the recalls of a run show; None without recalls."""
    if table.correct is not None and table.support is not None and table.support.any():
        return Measured.of(table.correct, table.support)
    return None if table.recalls is None else Measured(table.recalls)


def summary(table: ClassTable, measured: Measured) -> Accuracy:
    """The numbers over all classes."""
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


def changes(
    table: ClassTable, before: Measured, after: Measured
) -> tuple[list[Change], list[Change]]:
    """The classes that gained and lost most."""
    change = after.values - before.values
    measured = np.flatnonzero(~np.isnan(change))
    ascending = measured[np.argsort(change[measured], kind="stable")]

    def describe(k: int) -> Change:
        clear = are_apart(before.interval(k), after.interval(k))
        return Change(table.names[k], float(before.values[k]), float(after.values[k]), clear)

    gained = [describe(k) for k in ascending[::-1][:MOST_CHANGES] if change[k] > 0]
    lost = [describe(k) for k in ascending[:MOST_CHANGES] if change[k] < 0]
    return gained, lost


def are_apart(first: Interval | None, second: Interval | None) -> bool | None:
    """Whether two intervals have no point in common; None if one is not known."""
    if first is None or second is None:
        return None
    return first[1] < second[0] or second[1] < first[0]


@dataclass(frozen=True)
class ClassAccuracies:
    """The accuracies of one class by several models.

    Attributes:
        class_name: the class, in words
        density: the class density of the run, in [0, 1]
        before: the recall of the run that it was decided by; None without one
        baselines: evaluation key -> accuracy in [0, 1], or None if it has no sample of the class
        after: the accuracy of the model that was trained on the kept samples; None likewise
        clear: evaluation key -> whether the 95 % intervals of that baseline and of ``after`` are
            disjoint; None if the class has no sample in one of them
    """

    class_name: str
    density: float
    before: float | None
    baselines: Mapping[str, float | None]
    after: float | None
    clear: Mapping[str, bool | None]


def class_accuracies(
    table: ClassTable, before: Measured | None, baselines: Mapping[str, Measured], after: Measured
) -> tuple[ClassAccuracies, ...]:
    """One entry per class of the table, in its order."""

    def compared(baseline: Measured, k: int) -> bool | None:
        if _value(baseline, k) is None or _value(after, k) is None:
            return None
        return are_apart(baseline.interval(k), after.interval(k))

    return tuple(
        ClassAccuracies(
            name,
            float(table.densities[k]),
            None if before is None else _value(before, k),
            {key: _value(baseline, k) for key, baseline in baselines.items()},
            _value(after, k),
            {key: compared(baseline, k) for key, baseline in baselines.items()},
        )
        for k, name in enumerate(table.names)
    )


def _value(measured: Measured, k: int) -> float | None:
    value = float(measured.values[k])
    return None if np.isnan(value) else value


def accuracy_rows(columns: Sequence[tuple[str, Accuracy]]) -> list[list[str]]:
    """The cells of a table with one column per model, from pairs of name and numbers."""
    shown = [column for _, column in columns]
    return [
        ["", *(name for name, _ in columns)],
        ["average over classes", *(f"{c.average:.3f}" for c in shown)],
        ["worst class", *(f"{c.worst:.3f}" for c in shown)],
        ["gap", *(f"{c.gap:.3f}" for c in shown)],
        ["spread over classes", *(f"{c.spread:.3f}" for c in shown)],
        ["the worst class is", *(c.worst_class for c in shown)],
        ["measured on", *("given" if c.samples is None else f"{c.samples:,}" for c in shown)],
    ]
