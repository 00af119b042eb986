"""Two drafts side by side, or a draft and a run: the samples that only one of them keeps."""

from __future__ import annotations

from dataclasses import dataclass

import fiftyone as fo
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import ClassName, Codes, Ids, IntArray
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.drafts import Draft
from fiftyone_drop.errors import DropError
from fiftyone_drop.reader import read_order
from fiftyone_drop.run_lookup import load_order


@dataclass(frozen=True, eq=False)
class Side:
    """The samples that something keeps: a draft, or a run.

    Attributes:
        ids: (N,) S24, its samples
        codes: (N,) int32, codes into the classes
        kept: (N,) bool
        table: the class table
        class_fields: the label field, and the fields by which it is grouped
    """

    ids: Ids
    codes: Codes
    kept: NDArray[np.bool_]
    table: ClassTable
    class_fields: tuple[str, ...]


def side_of_draft(draft: Draft, density: float) -> Side:
    """What a draft keeps at a density.

    Raises:
        DropError: if it cannot be at that density
    """
    plan = draft.plan(density)
    population = draft.population
    kept = plan.keep_at <= plan.density
    return Side(population.ids, population.codes, kept, plan.table, _class_fields(draft))


def side_of_run(dataset: fo.Dataset, key: str, draft: Draft) -> Side:
    """What a run keeps at its own density; ``draft`` is that of :func:`draft_of_run`.

    Raises:
        DropError: if there is no such run
    """
    run, population = load_order(dataset, key), draft.population
    ids, keep_at = read_order(dataset, run.config.keep_at_field)
    kept = np.isin(population.ids, ids[keep_at <= run.density])
    return Side(population.ids, population.codes, kept, run.table, _class_fields(draft))


def counts_of_two(first: Side, second: Side) -> tuple[list[ClassName], IntArray]:
    """The classes of either, and how many samples of each only one of the two or both keep.

    Returns:
        the K classes in sorted order; (3, K) int: only the first, only the second, both

    Raises:
        DropError: if their classes come from different fields
    """
    if first.class_fields != second.class_fields:
        one, other = (" and ".join(map(repr, side.class_fields)) for side in (first, second))
        raise DropError(
            "other",
            f"sides of the same classes can be compared, but the first prunes the labels of {one} "
            f"and the second those of {other}",
        )
    classes = sorted({*first.table.classes, *second.table.classes}, key=str)
    ids = np.unique(np.concatenate([first.ids, second.ids]))
    code_of, kept = np.zeros(len(ids), np.int64), np.zeros((2, len(ids)), bool)
    row = {name: k for k, name in enumerate(classes)}
    for i, side in enumerate((first, second)):
        at = np.searchsorted(ids, side.ids)
        code_of[at] = np.array([row[name] for name in side.table.classes])[side.codes]
        kept[i, at] = side.kept
    parts = (kept[0] & ~kept[1], kept[1] & ~kept[0], kept[0] & kept[1])
    counts = [np.bincount(code_of[part], minlength=len(classes)) for part in parts]
    return classes, np.array(counts)


def _class_fields(draft: Draft) -> tuple[str, ...]:
    return (str(draft.options.label_field), *draft.options.groups)
