"""Views of what a run keeps and prunes, at any density and of any class. Reads no sample."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
from fiftyone import ViewField as F
from fiftyone.core.expressions import ViewExpression

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName
from fiftyone_drop.amount import Amount
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.errors import DropError
from fiftyone_drop.fields import class_paths, first_end_of, number_field, sorted_by_score
from fiftyone_drop.run_lookup import load_order
from fiftyone_drop.run_outputs import PARTS, in_part
from fiftyone_drop.runs import DropConfig


def drop_view(
    dataset: foc.SampleCollection,
    key: str,
    density: float | None = None,
    *,
    part: str = "kept",
    class_name: ClassName | Sequence[str] | None = None,
    score: str | None = None,
    score_range: tuple[float, float] | None = None,
) -> fo.DatasetView:
    """The samples that a run keeps, or prunes, at any density. Writes nothing, reads no sample.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        density (None): the dataset density, in (0, 1]; by default the run's own
        part ("kept"): ``"kept"``, ``"pruned"``, or ``"all"`` samples of the run; these have in the
            view a ``<key>_kept`` that is right at the density of the view
        class_name (None): a class of the run, to show that one only; with ``group_by`` a cell,
            as (class, value) or in words, as the class table prints it
        score (None): a number field: the hardest samples come first (the highest values, where the
            field does not say which end is hard), and those without a value last
        score_range (None): (low, high): show only samples with ``low <= score < high``

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the whole dataset; of two densities the
        smaller one's kept samples are a subset. Below the run's floors it holds the first samples
        of them, above its caps no sample beyond them

    Raises:
        DropError: if there is no such run, class or score field, the run's order was deleted, or
            ``density`` is out of range or keeps nothing
    """
    results = load_order(dataset, key)
    config, table = results.config, results.table
    density = results.density if density is None else checks.density("density", density)
    part = checks.choice("part", part, PARTS)
    if part == "kept":
        Amount(density).checked_size(table.size, Bounds.none(table.sizes))
    root = dataset._root_dataset
    shown = in_part(config.keep_at_field, density, part)
    if class_name is not None:
        shown &= _in_class(root, config, table.find(class_name))
    if score is not None:
        score = number_field(root, score, "score", "pass one of these")
    if score_range is not None:
        low, high = _range(score, score_range)
        shown &= (F(score) >= low) & (F(score) < high)
    view = root.match(shown)
    if part == "all" and density != results.density and root.has_field(config.kept_field):
        view = view.set_field(config.kept_field, F(config.keep_at_field) <= density)
    if score is None:
        return view
    return sorted_by_score(view, score, highest_first=first_end_of(root, score) != "low")


def part_view(dataset: fo.Dataset, config: DropConfig, density: float, part: str) -> fo.DatasetView:
    """The samples of the dataset that are in a part of a run, one of ``PARTS``."""
    return dataset.match(in_part(config.keep_at_field, density, part))


def _in_class(dataset: fo.Dataset, config: DropConfig, name: ClassName) -> ViewExpression:
    paths = class_paths(dataset, config.label_field, config.group_by)
    words = [name] if isinstance(name, str) else name
    shown, *others = (
        _equals(path, _value(dataset.get_field(path), word))
        for path, word in zip(paths, words, strict=True)
    )
    for other in others:
        shown &= other
    return shown


def _value(field: fo.Field, word: str) -> Any:
    """The value in the samples that is a word in the class table."""
    if isinstance(field, fo.BooleanField):
        return word == str(True)
    return int(word) if isinstance(field, fo.IntField) else word


def _equals(path: str, value: Any) -> ViewExpression:
    # A literal: MongoDB would take a label such as "$label" for the name of a field
    return F(path) == F.literal(value)


def _range(score: str | None, score_range: Any) -> tuple[float, float]:
    if score is None:
        raise DropError("score_range", "needs score=<a number field>")
    ends = checks.numbers_in("score_range", score_range, "(-inf, inf)")
    if len(ends) == 2 and ends[0] < ends[1]:
        return ends[0], ends[1]
    raise DropError(
        "score_range", f"must be two finite numbers, low < high, but got {score_range!r}"
    )
