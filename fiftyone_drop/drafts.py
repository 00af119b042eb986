"""Drafts: what a run would keep if some classes had limits of their own. Writes nothing.

The quotas of a draft follow from the class table of a run, so that they are there at once and at
every density; :func:`draft_arguments` are those of ``apply_drop`` that make the run.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.errors import DropError
from fiftyone_drop.extension import BY_CLASS, IN_WORDS, hashable
from fiftyone_drop.options import VECTORS
from fiftyone_drop.pruning import apply_drop
from fiftyone_drop.runs import DropResults

KINDS = ("all", "least", "most", "exactly")
Limits = Mapping[int, tuple[str, int]]
"""Row of the class table -> a limit: ``"all"`` is kept, or the ``"least"``, the ``"most"`` or
``"exactly"`` a number of samples."""


def draft_table(table: ClassTable, limits: Limits) -> ClassTable:
    """The class table of a run with other limits, at the density of the run.

    Args:
        table: the class table of the run
        limits: the limits of some of its K classes

    Returns:
        a :class:`ClassTable`; the classes that are not limited divide the rest by the rule

    Raises:
        DropError: if a limit is out of its range, or the rule sets no quotas
    """
    if table.weights is None:
        raise DropError("limits", "need a rule that sets quotas, which the run's does not")
    floors, caps = table.bounds.floors.copy(), table.bounds.caps.copy()
    for row, (kind, number) in limits.items():
        row = checks.whole("limits", row, least=0, most=len(table.sizes) - 1)
        size, first = int(table.sizes[row]), int(table.bounds.must_keep[row])
        kind = checks.choice("limits", kind, KINDS)
        number = size if kind == "all" else checks.whole("limits", number)
        if not first <= number <= size:
            has = f", {first:,} of which must be kept" if first else ""
            raise DropError(
                "limits",
                f"of {table.names[row]!r} {number:,} samples cannot be kept: it has {size:,}{has}",
            )
        floors[row] = min(floors[row], number) if kind == "most" else number
        caps[row] = max(caps[row], number) if kind == "least" else number
    return replace(table, bounds=replace(table.bounds, floors=floors, caps=caps))


def draft_arguments(run: DropResults, limits: Limits) -> dict[str, Any]:
    """The arguments of ``apply_drop``, but for key and density, that make the run of a draft.

    They are those that the run was made with, its recalls and the limits: every class has its
    floor and its cap, since a number for all classes would say less.
    """
    table = draft_table(run.table, limits)
    parameters = inspect.signature(apply_drop).parameters
    arguments = {name: v for name, v in run.config.asked.items() if name in parameters}
    for name in BY_CLASS:
        if isinstance(arguments.get(name), list):
            arguments[name] = {hashable(one): number for one, number in arguments[name]}
    unused = (*IN_WORDS, "size", "max_bytes", "density", "protect", "quotas", "key", "overwrite")
    for name in (*unused, "query", *VECTORS, "folds", "holdout", "missing_recall"):
        arguments.pop(name, None)
    if table.recalls is not None:
        arguments["recalls"] = run.recalls
    bounds = table.bounds
    capped = np.flatnonzero(bounds.caps < table.sizes)
    return arguments | {
        "label_field": run.config.label_field,
        "min_per_class": {table.classes[k]: int(n) for k, n in enumerate(bounds.floors)},
        "max_per_class": {table.classes[k]: int(bounds.caps[k]) for k in capped} or None,
    }
