"""``report``: a run seen as a matter of fairness, in words, before training and after it.

The report, with how it prints, is here too, so that the module is longer than others.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import Ids
from fiftyone_drop.accuracies import (
    Accuracy,
    Change,
    ClassAccuracies,
    Measured,
    Outcomes,
    accuracy_rows,
    changes,
    class_accuracies,
    measured_before,
    p_value_of_worst,
    summary,
)
from fiftyone_drop.advice import advice
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.errors import DropError
from fiftyone_drop.evaluations import check_evaluation, evaluated_ids, read_evaluation
from fiftyone_drop.figures import accuracy_chart
from fiftyone_drop.findings import (
    Finding,
    about_baseline,
    about_changes,
    about_evaluation,
    about_labels,
    about_order,
    about_quotas,
    about_recalls,
    about_samples,
)
from fiftyone_drop.run_lookup import load_drop
from fiftyone_drop.runs import DropConfig
from fiftyone_drop.tables import Table, aligned, in_html

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go


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
        baselines: the accuracies of other models, by the keys of their evaluations
        classes: the accuracies of each class by all models, the smallest class density first;
            empty without a baseline
        suspects: the scores whose hardest kept samples may have wrong labels, for
            :func:`drop_view`
    """

    key: str
    eval_key: str | None
    title: str
    findings: tuple[Finding, ...]
    accuracy: Mapping[str, Accuracy] | None
    gained: tuple[Change, ...] = ()
    lost: tuple[Change, ...] = ()
    baselines: Mapping[str, Accuracy] = field(default_factory=dict)
    classes: tuple[ClassAccuracies, ...] = ()
    suspects: tuple[str, ...] = ()

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
            "baselines": {key: asdict(column) for key, column in self.baselines.items()},
            "classes": [asdict(row) for row in self.classes],
            "suspects": list(self.suspects),
        }

    def to_pandas(self) -> pd.DataFrame:
        """The accuracies as a :class:`pandas.DataFrame`.

        Returns:
            a row per model, ``"before"``, baselines and ``"after"``, with the columns of
            :class:`Accuracy`; of its interval ``worst_low`` and ``worst_high``
        """
        import pandas as pd

        rows = []
        for _, accuracy in self._columns():
            values = asdict(accuracy)
            values["worst_low"], values["worst_high"] = values.pop("worst_interval") or (None, None)
            rows.append(values)
        columns = [name for name in Accuracy.__annotations__ if name != "worst_interval"]
        names = pd.Index([name for name, _ in self._columns()], name="measured")
        return pd.DataFrame(rows, index=names, columns=[*columns, "worst_low", "worst_high"])

    def plot(self, **layout: Any) -> go.Figure:
        """The average and the worst accuracy of each model, and the classes that changed most.

        Args:
            **layout: what :meth:`plotly:plotly.graph_objects.Figure.update_layout` takes

        Returns:
            a :class:`plotly:plotly.graph_objects.Figure`

        Raises:
            DropError: if the report has no accuracies
        """
        if not self.accuracy:
            raise DropError(
                "eval_key",
                f"must be passed for a picture, since the run '{self.key}' has no recalls: "
                "report(..., eval_key=...)",
            )
        measured = [
            (name, a.average, a.worst, a.worst_class, a.worst_interval)
            for name, a in self._columns()
        ]
        changed = [(c.class_name, c.before, c.after) for c in (*self.gained, *self.lost[::-1])]
        title = f"Drop run '{self.key}'"
        return accuracy_chart(title, measured, changed, ("before", "after"), layout)

    def __str__(self) -> str:
        lines = [self.title, *self._lines()]
        if self.accuracy:
            lines += ["", *aligned(accuracy_rows(self._columns()))]
        if self.classes:
            lines += ["", str(self._class_table()), *self._legend()]
        return "\n".join(lines)

    __repr__ = __str__

    def _repr_html_(self) -> str:
        parts: list[str | Table] = [self.title, *self._lines()]
        if self.accuracy:
            header, *rows = accuracy_rows(self._columns())
            parts.append(Table(header, rows))
        if self.classes:
            parts += [self._class_table(), *self._legend()]
        return in_html(parts)

    def _lines(self) -> list[str]:
        marks = {"info": "-", "warning": "! Warning:"}
        lines = [f"{marks[level]} {text}" for level, text in self.findings]
        for score in self.suspects:
            call = f"fod.drop_view(dataset, {self.key!r}, score={score!r})"
            lines.append(f"- {call} shows first those whose labels may be wrong")
        return lines

    def _columns(self) -> list[tuple[str, Accuracy]]:
        """The accuracies of all models: baselines stand between before and after."""
        columns = list((self.accuracy or {}).items())
        columns[-1:-1] = self.baselines.items()
        return columns

    def _class_table(self) -> Table:
        """The accuracies of each class, and a star where a baseline's is clearly another."""
        columns = self._columns()
        header = ["class", "density", *(name for name, _ in columns)]
        rows = [
            [
                row.class_name,
                f"{row.density:.3f}",
                *([_shown(row.before)] if self.accuracy and "before" in self.accuracy else []),
                *(_shown(v, bool(row.clear[key])) for key, v in row.baselines.items()),
                _shown(row.after),
            ]
            for row in self.classes
        ]
        total = ["average", "", *(_shown(column.average) for _, column in columns)]
        return Table(header, rows, total, range(len(rows)))

    def _legend(self) -> list[str]:
        if any(any(row.clear.values()) for row in self.classes):
            return ["* differs from after by more than noise (p <= 0.05 for all classes together)"]
        return []


def report(
    dataset: foc.SampleCollection,
    key: str,
    eval_key: str | None = None,
    *,
    baseline_eval: str | Sequence[str] | None = None,
) -> DropReport:
    """Tell in words how fair a run is to the classes.

    Before training: which classes lose most, how sure the recalls are that the quotas follow from,
    and labels that look wrong among the kept samples, where the dataset has a score that shows it
    (a field with the score ``aum``, or FiftyOne's ``compute_mistakenness``). After training on the
    kept samples: the accuracies of an evaluation of that model beside the recalls of the run and,
    with ``baseline_eval``, beside models that were trained on all samples or on a random part.

    Example::

        dataset.match_tags("test").evaluate_classifications("after", eval_key="after_eval")
        print(fod.report(dataset, "drop", eval_key="after_eval"))
        print(fod.report(dataset, "drop", "after_eval", baseline_eval=("full_eval", "random_eval")))

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        eval_key (None): an evaluation run (``evaluate_classifications``) of the model that was
            trained on the kept samples
        baseline_eval (None): an evaluation run of a model that was trained otherwise, or several:
            class by class, the average and the worst class stand beside those of ``eval_key``, and
            it is said whether they were measured on the same samples

    Returns:
        a :class:`DropReport`

    Raises:
        DropError: if there is no such run or evaluation, an evaluation has no sample of the run's
            classes, the run's own recalls come from ``eval_key``, or a baseline is that evaluation
    """
    results = load_drop(dataset, key)
    root, config, table = dataset._root_dataset, results.config, results.table
    key = results.key
    if eval_key is not None:
        eval_key = check_evaluation(root, eval_key, config.label_field)
        if eval_key == config.recalls_eval_key:
            raise DropError(
                "eval_key",
                f"the recalls of the run '{key}' come from the evaluation '{eval_key}', so it says "
                "nothing new; train a model on the kept samples and pass its evaluation",
            )
    baseline_keys = _baseline_keys(root, config, eval_key, baseline_eval)
    suspects: list[str] = []
    findings = [
        *about_quotas(table),
        *about_recalls(table),
        *(("info", text) for text in advice(table)),
        *about_order(root, config),
        *about_labels(root, config, table, suspects),
        *(("warning", message) for message in config.warnings),
        *(("warning", message) for message in [results.changes] if message),
    ]
    before = measured_before(table)
    columns = {} if before is None else {"before": summary(table, before)}
    gained: list[Change] = []
    lost: list[Change] = []
    baselines: dict[str, Accuracy] = {}
    classes: tuple[ClassAccuracies, ...] = ()
    if eval_key is not None:
        after, ids = _measured(root, config, table, eval_key, findings)
        columns["after"] = summary(table, after)
        findings += about_evaluation(root, config, eval_key, table, after)
        if before is not None:
            shared = _shared(root, config, table, ids)
            findings += about_samples(eval_key, before, after, shared)
        if before is not None:
            gained, lost = changes(table, before, after)
            p_value = p_value_of_worst(before, after)
            findings += about_changes(columns["before"], columns["after"], p_value, gained, lost)
        others = {}
        for other in baseline_keys:
            with _about_baseline_eval():
                others[other], other_ids = _measured(root, config, table, other, findings)
            baselines[other] = summary(table, others[other])
            both_are = f"'{other}' and '{eval_key}'"
            shared = int(np.isin(other_ids, ids).sum())
            findings += about_evaluation(root, config, other, table, others[other], part="all")
            findings += about_samples(eval_key, others[other], after, shared, both_are)
            findings += about_baseline(
                (other, eval_key),
                baselines[other],
                columns["after"],
                p_value_of_worst(others[other], after),
                *changes(table, others[other], after),
            )
        if others:
            classes = class_accuracies(table, before, others, after)
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
        baselines=baselines,
        classes=tuple(sorted(classes, key=lambda row: row.density)),
        suspects=tuple(suspects),
    )


@contextlib.contextmanager
def _about_baseline_eval() -> Iterator[None]:
    """What is wrong with an evaluation is then about ``baseline_eval``."""
    try:
        yield
    except DropError as error:
        if error.argument != "eval_key":
            raise
        raise DropError("baseline_eval", error.message) from error


def _baseline_keys(
    dataset: fo.Dataset, config: DropConfig, eval_key: object, baseline_eval: object
) -> tuple[str, ...]:
    """The evaluations of a ``baseline_eval=``: none, one or several.

    Raises:
        DropError: if one does not fit, is named twice, or there is nothing to compare with
    """
    if baseline_eval is None:
        return ()
    one = [baseline_eval] if checks.is_text(baseline_eval) else baseline_eval
    with _about_baseline_eval():
        keys = [
            check_evaluation(dataset, key, config.label_field)
            for key in checks.texts("baseline_eval", one)
        ]
    if eval_key is None:
        raise DropError("baseline_eval", "is compared with eval_key=<an evaluation>; pass that too")
    if len({*keys, eval_key}) <= len(keys):
        raise DropError(
            "baseline_eval",
            f"must name evaluations of other models than '{eval_key}', each once, but got "
            f"{baseline_eval!r}",
        )
    return tuple(keys)


def _shown(accuracy: float | None, starred: bool = False) -> str:
    return "-" if accuracy is None else f"{accuracy:.3f}" + ("*" if starred else "")


def _measured(
    dataset: fo.Dataset,
    config: DropConfig,
    table: ClassTable,
    eval_key: str,
    findings: list[Finding],
) -> tuple[Measured, Ids]:
    """The class accuracies of an evaluation, and the ids (n,) S24 of its samples."""
    ids, codes, correct = read_evaluation(
        dataset,
        eval_key,
        table.classes,
        config.label_field,
        config.group_by,
        warn=lambda message: findings.append(("warning", message)),
    )
    return Measured.of_samples(Outcomes(ids, codes, correct), len(table.classes)), ids


def _shared(dataset: fo.Dataset, config: DropConfig, table: ClassTable, after: Ids) -> int | None:
    """How many of the samples that recalls were measured on are among some; None if unknown."""
    eval_key = config.recalls_eval_key
    if eval_key is None or not dataset.has_field(eval_key) or table.support is None:
        return None
    classes, label_field = table.classes, config.label_field
    ids, codes = evaluated_ids(dataset, eval_key, classes, label_field, config.group_by)
    if not np.array_equal(np.bincount(codes, minlength=len(classes)), table.support):
        return None  # it has been made again since then, on other samples
    return int(np.isin(ids, after).sum())
