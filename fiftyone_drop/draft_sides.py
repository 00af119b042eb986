"""Two drafts side by side, or a draft and a run: the samples that only one of them keeps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import fiftyone as fo
import numpy as np

from fiftyone_drop._types import ClassName, Codes, Ids, IntArray
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.drafts import Draft
from fiftyone_drop.errors import DropError
from fiftyone_drop.options import group_names
from fiftyone_drop.population import Population, read_population
from fiftyone_drop.run_lookup import load_order
from fiftyone_drop.views import part_view


@dataclass(frozen=True, eq=False)
class Side:
    """The samples that something keeps: a draft, or a run.

    Attributes:
        ids: (N,) S24, the samples that it keeps
        codes: (N,) int32, codes into ``classes``
        classes: their classes, as the dataset has them now
        table: the class table, which in a run is older
        class_fields: the label field, and the fields by which it is grouped
    """

    ids: Ids
    codes: Codes
    classes: Sequence[ClassName]
    table: ClassTable
    class_fields: tuple[str, ...]

    @classmethod
    def of(cls, kept: Population, table: ClassTable, *class_fields: str) -> Side:
        """A side of the samples that are kept."""
        return cls(kept.ids, kept.codes, kept.classes, table, class_fields)


def side_of_draft(draft: Draft, density: float) -> Side:
    """What a draft keeps at a density.

    Raises:
        DropError: if it cannot be at that density
    """
    plan, options = draft.plan(density), draft.options
    kept = draft.population.only(plan.keep_at <= plan.density)
    return Side.of(kept, plan.table, str(options.label_field), *options.groups)


def side_of_run(dataset: fo.Dataset, key: str) -> Side:
    """What a run keeps at its own density. Reads these samples.

    Raises:
        DropError: if there is no such run, or nothing that it keeps has a class any more
    """
    run = load_order(dataset, key)
    config = run.config
    kept = read_population(
        part_view(dataset, config, run.density, "kept"),
        config.label_field,
        group_by=config.group_by,
        skip_unlabeled=True,
        progress=False,
    )
    return Side.of(kept, run.table, config.label_field, *group_names(config.group_by))


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
    sides = (first, second)
    classes = sorted({name for s in sides for name in (*s.table.classes, *s.classes)}, key=str)
    ids = np.unique(np.concatenate([first.ids, second.ids]))
    code_of, kept = np.zeros(len(ids), np.int64), np.zeros((2, len(ids)), bool)
    row = {name: k for k, name in enumerate(classes)}
    for i, side in enumerate(sides):
        at = np.searchsorted(ids, side.ids)
        code_of[at] = np.array([row[name] for name in side.classes], np.int64)[side.codes]
        kept[i, at] = True
    parts = (kept[0] & ~kept[1], kept[1] & ~kept[0], kept[0] & kept[1])
    counts = [np.bincount(code_of[part], minlength=len(classes)) for part in parts]
    return classes, np.array(counts)
