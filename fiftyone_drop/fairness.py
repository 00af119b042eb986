"""``report``: a run seen as a matter of fairness, in words, before training and after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop._types import Ids
from fiftyone_drop.accuracies import (
    Accuracy,
    Change,
    Measured,
    accuracy_rows,
    changes,
    measured_before,
    summary,
)
from fiftyone_drop.class_table import ClassTable, aligned
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.evaluations import check_evaluation, evaluated_ids, read_evaluation
from fiftyone_drop.findings import (
    Finding,
    about_changes,
    about_evaluation,
    about_labels,
    about_order,
    about_quotas,
    about_recalls,
    about_samples,
)
from fiftyone_drop.recall import class_counts
from fiftyone_drop.run_lookup import load_drop
from fiftyone_drop.runs import DropConfig


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
            "suspects": list(self.suspects),
        }

    def __str__(self) -> str:
        marks = {"info": "-", "warning": "! Warning:"}
        lines = [self.title, *(f"{marks[level]} {text}" for level, text in self.findings)]
        for score in self.suspects:
            call = f"fod.drop_view(dataset, {self.key!r}, score={score!r})"
            lines.append(f"- {call} shows first those whose labels may be wrong")
        if self.accuracy:
            lines += ["", *aligned(accuracy_rows(self.accuracy))]
        return "\n".join(lines)

    __repr__ = __str__


def report(dataset: foc.SampleCollection, key: str, eval_key: str | None = None) -> DropReport:
    """Tell in words how fair a run is to the classes.

    Before training: which classes lose most, how sure the recalls are that the quotas follow from,
    and labels that look wrong among the kept samples, where the dataset has a score that shows it
    (a field with the score ``aum``, or FiftyOne's ``compute_mistakenness``). After training on the
    kept samples: the accuracies of an evaluation of that model beside the recalls of the run.

    Example::

        dataset.match_tags("test").evaluate_classifications("after", eval_key="after_eval")
        print(fod.report(dataset, "drop", eval_key="after_eval"))

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        eval_key (None): an evaluation run (``evaluate_classifications``) of the model that was
            trained on the kept samples

    Returns:
        a :class:`DropReport`

    Raises:
        DropError: if there is no such run or evaluation, the evaluation has no sample of the run's
            classes, or the run's own recalls come from it
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
    suspects: list[str] = []
    findings = [
        *about_quotas(table),
        *about_recalls(table),
        *about_order(root, config),
        *about_labels(root, config, table, suspects),
        *(("warning", message) for message in config.warnings),
        *(("warning", message) for message in [results.changes] if message),
    ]
    before = measured_before(table)
    columns = {} if before is None else {"before": summary(table, before)}
    gained: list[Change] = []
    lost: list[Change] = []
    if eval_key is not None:
        after, ids = _measured_after(root, config, table, eval_key, findings)
        columns["after"] = summary(table, after)
        findings += about_evaluation(root, config, eval_key, table, after)
        if before is not None:
            shared = _shared(root, config, table, ids)
            findings += about_samples(eval_key, before, after, shared)
        if before is not None:
            gained, lost = changes(table, before, after)
            findings += about_changes(columns["before"], columns["after"], gained, lost)
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
        suspects=tuple(suspects),
    )


def _measured_after(
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
    if not len(codes):
        raise DropError(
            "eval_key",
            f"the evaluation '{eval_key}' has no sample of the classes of the run, "
            f"{listing(table.names)}; pass an evaluation of these",
        )
    return Measured.of(*class_counts(codes, correct, len(table.classes))), ids


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
