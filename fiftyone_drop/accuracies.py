"""How well a model does on the classes of a run: from counts to the numbers of a report.

NumPy, and SciPy's distributions.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import Codes, FloatArray, Ids, IntArray
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.noise import NOISE_LEVEL, homogeneity_p_value, paired_p_value
from fiftyone_drop.recall import class_counts, recall_intervals

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
        clear: whether it is more than noise, as :func:`are_clear` has it; None if that is not known
    """

    class_name: str
    before: float
    after: float
    clear: bool | None


@dataclass(frozen=True, eq=False)
class Outcomes:
    """On which samples a model is right.

    Attributes:
        ids: (n,) S24, sample ids
        codes: (n,) int32, their classes
        correct: (n,) bool, whether the prediction is right
    """

    ids: Ids
    codes: Codes
    correct: NDArray[np.bool_]

    def of_class(self, k: int) -> tuple[Ids, NDArray[np.bool_]]:
        """The samples of class k, in the order of their ids, and which of them are right."""
        rows = np.flatnonzero(self.codes == k)
        rows = rows[np.argsort(self.ids[rows])]
        return self.ids[rows], self.correct[rows]


@dataclass(frozen=True, eq=False)
class Measured:
    """Class accuracies: (K,) values, NaN where there are none, with what is known beside them.

    Attributes:
        values: (K,) float64 in [0, 1], or NaN
        correct, support: (K,) int, correct predictions and samples; None if they were given
        outcomes: the samples; None if they are not known
    """

    values: FloatArray
    correct: IntArray | None = None
    support: IntArray | None = None
    outcomes: Outcomes | None = None

    @classmethod
    def of(cls, correct: IntArray, support: IntArray, outcomes: Outcomes | None = None) -> Measured:
        """The observed accuracies, from counts without smoothing."""
        values = np.where(support > 0, correct / np.maximum(support, 1), np.nan)
        return cls(values, correct, support, outcomes)

    @classmethod
    def of_samples(cls, outcomes: Outcomes, k: int) -> Measured:
        """The observed accuracies of k classes, from samples."""
        return cls.of(*class_counts(outcomes.codes, outcomes.correct, k), outcomes)

    def interval(self, k: int) -> Interval | None:
        """The 95 % interval of class k, if it is known."""
        if self.correct is None or self.support is None:
            return None
        (ends,) = recall_intervals(self.correct[[k]], self.support[[k]]).tolist()
        return tuple(ends)


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
    clear = are_clear(before, after)

    def describe(k: int) -> Change:
        return Change(table.names[k], float(before.values[k]), float(after.values[k]), clear[k])

    gained = [describe(k) for k in ascending[::-1][:MOST_CHANGES] if change[k] > 0]
    lost = [describe(k) for k in ascending[:MOST_CHANGES] if change[k] < 0]
    return gained, lost


def are_clear(before: Measured, after: Measured) -> list[bool | None]:
    """Whether noise alone does not explain how the accuracy of each class differs.

    It is said so that noise alone would rarely have it said of any class, however many there are:
    by a p-value of 0.05, divided by the number of classes (Bonferroni).

    Args:
        before: K class accuracies
        after: K others

    Returns:
        K entries; None if one of the two accuracies is not known, or not from how many samples
    """
    p_values = [p_value(before, k, after, k) for k in range(len(before.values))]
    compared = sum(p is not None for p in p_values)
    return [None if p is None else p * compared <= NOISE_LEVEL for p in p_values]


def p_value_of_worst(before: Measured, after: Measured) -> float | None:
    """The p-value of :func:`p_value` for the two worst classes, which may be different ones."""
    return p_value(before, int(np.nanargmin(before.values)), after, int(np.nanargmin(after.values)))


def p_value(first: Measured, j: int, second: Measured, k: int) -> float | None:
    """The p-value of a test that two class accuracies are equal.

    Where both are of the same samples, these are compared one by one: McNemar's test. Otherwise the
    two numbers of correct predictions are compared. On samples of which some are the same, that
    test finds too few differences rather than too many.

    Args:
        first: class accuracies
        j: a class
        second: class accuracies
        k: a class

    Returns:
        a float in [0, 1]; None if it is not known from how many samples they are
    """
    if first.correct is None or second.correct is None:
        return None
    assert first.support is not None
    assert second.support is not None
    if not first.support[j] or not second.support[k]:
        return None
    if first.outcomes is not None and second.outcomes is not None:
        ids, right = first.outcomes.of_class(j)
        others, right_too = second.outcomes.of_class(k)
        if np.array_equal(ids, others):
            return paired_p_value(int((right & ~right_too).sum()), int((~right & right_too).sum()))
    return homogeneity_p_value(
        np.array([first.correct[j], second.correct[k]]),
        np.array([first.support[j], second.support[k]]),
    )


@dataclass(frozen=True)
class ClassAccuracies:
    """The accuracies of one class by several models.

    Attributes:
        class_name: the class, in words
        density: the class density of the run, in [0, 1]
        before: the recall of the run that it was decided by; None without one
        baselines: evaluation key -> accuracy in [0, 1], or None if it has no sample of the class
        after: the accuracy of the model that was trained on the kept samples; None likewise
        clear: evaluation key -> whether that baseline and ``after`` differ by more than noise, as
            :func:`are_clear` has it; None if the class has no sample in one of them
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
    clear = {key: are_clear(baseline, after) for key, baseline in baselines.items()}
    return tuple(
        ClassAccuracies(
            name,
            float(table.densities[k]),
            None if before is None else _value(before, k),
            {key: _value(baseline, k) for key, baseline in baselines.items()},
            _value(after, k),
            {key: of_classes[k] for key, of_classes in clear.items()},
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
