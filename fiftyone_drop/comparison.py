"""Two runs of one dataset side by side: class densities, and the samples only one of them keeps.

How samples are counted, what is warned of and how it prints belong together, so the module is
longer than others.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from fiftyone.core.expressions import ViewExpression

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName, FloatArray, IntArray
from fiftyone_drop.class_table import ClassTable, class_words
from fiftyone_drop.counts import class_of, decided_codes
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import class_paths
from fiftyone_drop.figures import pair_chart, pair_scatter
from fiftyone_drop.members import OTHER, read_members
from fiftyone_drop.reader import count_groups
from fiftyone_drop.run_lookup import get_config, load_order
from fiftyone_drop.run_outputs import in_part
from fiftyone_drop.runs import DropResults
from fiftyone_drop.tables import Table, class_frame, in_html

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

WHICH = ("first", "second", "both")
KINDS = ("classes", "densities")


@dataclass(frozen=True, eq=False)
class DropComparison:
    """Two runs side by side. Prints as a table.

    Attributes:
        key: the run that is called the first
        other: the second
        classes: the K classes of either run in sorted order; cells (class, value) where both are
            grouped by the same field, and labels otherwise
        densities: (K, 2) float in [0, 1], the class densities; NaN for a class that a run lacks
        kept_by_both: (K,) int
        only_first: (K,) int, samples that the first keeps and the second does not
        only_second: (K,) int
        warnings: why the two may not be comparable
    """

    dataset: fo.Dataset = field(repr=False)
    key: str
    other: str
    classes: tuple[ClassName, ...]
    densities: FloatArray
    kept_by_both: IntArray
    only_first: IntArray
    only_second: IntArray
    warnings: tuple[str, ...]
    _kept: tuple[ViewExpression, ViewExpression] = field(repr=False)

    @property
    def names(self) -> list[str]:
        """The classes in words; cells as ``class / value``."""
        return [class_words(name) for name in self.classes]

    def view(self, which: str) -> fo.DatasetView:
        """The samples that only one run keeps, or both.

        Args:
            which: ``"first"``, ``"second"`` or ``"both"``

        Raises:
            DropError: if it is another word
        """
        which = checks.choice("which", which, WHICH)
        first, second = self._kept
        if which == "first":
            return self.dataset.match(first & ~second)
        if which == "second":
            return self.dataset.match(second & ~first)
        return self.dataset.match(first & second)

    def to_pandas(self) -> pd.DataFrame:
        """All classes as a :class:`pandas.DataFrame`.

        Returns:
            a row per class with the columns ``density_first``, ``density_second``,
            ``kept_by_both``, ``only_first`` and ``only_second``; ``.attrs`` has the keys of the
            runs, ``"first"`` and ``"second"``
        """
        counts = ("kept_by_both", "only_first", "only_second")
        frame = class_frame(
            self.classes,
            {
                "density_first": self.densities[:, 0],
                "density_second": self.densities[:, 1],
                **{name: getattr(self, name) for name in counts},
            },
        )
        frame.attrs |= {"first": self.key, "second": self.other}
        return frame

    def plot(self, kind: str = "classes", **layout: Any) -> go.Figure:
        """A picture of the two runs.

        Args:
            kind ("classes"): ``"classes"``, the two densities of each class, of many classes those
                that differ most; or ``"densities"``, a point per class, one density against the
                other
            **layout: what else :meth:`plotly:plotly.graph_objects.Figure.update_layout` takes

        Returns:
            a :class:`plotly:plotly.graph_objects.Figure`

        Raises:
            DropError: if ``kind`` is another word
        """
        labels = (self.key, self.other)
        title = f"'{self.key}' and '{self.other}'"
        if checks.choice("kind", kind, KINDS) == "densities":
            return pair_scatter(title, self.names, self.densities, labels, layout)
        what = "fraction of the class that is kept"
        first = self._by_difference
        return pair_chart(title, self.names, self.densities, labels, first, what, layout)

    @property
    def _by_difference(self) -> IntArray:
        difference = np.nan_to_num(np.diff(self.densities, axis=1)[:, 0], nan=np.inf)
        return np.argsort(-np.abs(difference), kind="stable")

    def __str__(self) -> str:
        return "\n".join([str(self._table()), *self._notes()])

    def _repr_html_(self) -> str:
        return in_html([self._table(), *self._notes()])

    def _notes(self) -> list[str]:
        return [f"Warning: {message}" for message in self.warnings]

    def _table(self) -> Table:
        header = ["class", f"density {self.key}", f"density {self.other}", "kept by both"]
        header += [f"only {self.key}", f"only {self.other}"]
        counts = np.stack([self.kept_by_both, self.only_first, self.only_second], axis=1)
        rows = [
            [name, *(_fraction(d) for d in pair), *(f"{n:,}" for n in row)]
            for name, pair, row in zip(self.names, self.densities, counts, strict=True)
        ]
        total = ["total", "", "", *(f"{n:,}" for n in counts.sum(axis=0))]
        return Table(header, rows, total, self._by_difference)

    __repr__ = __str__


def compare_drops(dataset: foc.SampleCollection, key: str, other: str) -> DropComparison:
    """Compare what two runs of a dataset keep, each at its own density.

    A sample counts in the class that it has now, if one of the runs was decided on that. Where the
    labels of now cannot be those of both, as after a class was renamed, the samples are read one by
    one, and count in the class that the first was decided on, or else the second.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the key of the first run
        other: the key of the second

    Returns:
        a :class:`DropComparison`

    Raises:
        DropError: if there is no such run, or the runs' classes come from different label fields
    """
    first = load_order(dataset, key)
    second = load_order(dataset, other, "other")
    a, b = first.config, second.config
    check_comparable(dataset, key, other)
    root = dataset._root_dataset
    runs, tables, group_by = (first, second), [first.table, second.table], a.group_by
    if a.group_by != b.group_by:
        tables, group_by = [_ungrouped(table) for table in tables], None
    classes = tuple(sorted(set(tables[0].classes) | set(tables[1].classes)))
    kept = [in_part(run.config.keep_at_field, run.density, "kept") for run in runs]
    counted = _by_label(root, runs, classes, group_by)
    sizes = [table.by_class("sizes") for table in tables]
    known = np.array([[size.get(name, 0) for size in sizes] for name in classes])
    # Reading a million samples takes seconds: only where the labels cannot be those of the runs
    if counted.strays or (counted.of_class > known).any():
        counted = _by_sample(root, runs, classes, group_by)
    counts = counted.kept
    return DropComparison(
        dataset=root,
        key=first.key,
        other=second.key,
        classes=classes,
        densities=np.stack([_densities(table, classes) for table in tables], axis=1),
        kept_by_both=counts[:, 1, 1],
        only_first=counts[:, 1, 0],
        only_second=counts[:, 0, 1],
        warnings=tuple(_warnings([first.key, second.key], tables, counted)),
        _kept=(kept[0], kept[1]),
    )


@dataclass(frozen=True)
class _Counted:
    """The samples of two runs, counted.

    Attributes:
        cells: (K + 1, 2, 2, 2, 2) int. The first axis is the class, and its last row holds samples
            without one. The others say whether the first run keeps them, the second keeps them,
            the first has them, and the second has them
    """

    cells: IntArray

    @property
    def kept(self) -> IntArray:
        """(K, 2, 2) int, by class and by whether the first keeps them, and the second."""
        return np.asarray(self.cells[:-1].sum(axis=(3, 4)))

    @property
    def of_class(self) -> IntArray:
        """(K, 2) int, by class: those of the first, and those of the second."""
        by_run = self.cells[:-1].sum(axis=(1, 2))
        return np.stack([by_run[:, 1].sum(axis=1), by_run[:, :, 1].sum(axis=1)], axis=1)

    @property
    def there(self) -> list[int]:
        """How many the first has, and how many the second."""
        by_run = self.cells.sum(axis=(0, 1, 2))
        return [int(by_run[1].sum()), int(by_run[:, 1].sum())]

    @property
    def common(self) -> int:
        """How many both have."""
        return int(self.cells[..., 1, 1].sum())

    @property
    def strays(self) -> int:
        """How many have no class of either."""
        return int(self.cells[-1].sum())


def _by_label(
    dataset: fo.Dataset,
    runs: Sequence[DropResults],
    classes: Sequence[ClassName],
    group_by: Any,
) -> _Counted:
    """Count the samples of two runs by their present labels."""
    row: Mapping[Any, int] = {name: k for k, name in enumerate(classes)}
    paths = [f"${p}" for p in class_paths(dataset, runs[0].config.label_field, group_by)]
    flags = [_flag(run, part) for part in ("kept", "all") for run in runs]
    cells = np.zeros((len(classes) + 1, 2, 2, 2, 2), np.int64)
    by = [*paths, *(flag.to_mongo() for flag in flags)]
    for *values, by_first, by_second, in_first, in_second, n in count_groups(
        dataset, flags[2] | flags[3], by
    ):
        code = row.get(class_of(values), OTHER)
        cells[code, int(by_first), int(by_second), int(in_first), int(in_second)] += n
    return _Counted(cells)


def _by_sample(
    dataset: fo.Dataset,
    runs: Sequence[DropResults],
    classes: Sequence[ClassName],
    group_by: Any,
) -> _Counted:
    """Count the samples of two runs by the classes that these were decided on, where known."""
    row = {name: k for k, name in enumerate(classes)}
    members = read_members(
        dataset.match(_flag(runs[0], "all") | _flag(runs[1], "all")),
        classes,
        runs[0].config.label_field,
        group_by,
        [run.config.keep_at_field for run in runs],
    )
    decided = []
    for run in runs:
        codes = decided_codes(run, members.ids)
        if codes is None:
            codes = np.full(len(members.ids), OTHER)
        names = [name if name in row else name[0] for name in run.table.classes]
        decided.append(np.array([*(row[name] for name in names), OTHER])[codes])
    of_one = (members.codes == decided[0]) | (members.codes == decided[1])
    was = np.where(decided[0] != OTHER, decided[0], decided[1])
    stays = (of_one & (members.codes >= 0)) | (was == OTHER)
    codes = np.where(stays, members.codes, was)
    keep_at = np.array(members.columns, np.float64)  # NaN for None
    in_run = keep_at > 0  # NaN is not
    kept = in_run & (keep_at <= np.array([[run.density] for run in runs]))
    shape = (len(classes) + 1, 2, 2, 2, 2)
    rows = np.where(codes < 0, len(classes), codes)
    flat = np.ravel_multi_index((rows, *kept.astype(int), *in_run.astype(int)), shape)
    return _Counted(np.bincount(flat, minlength=math.prod(shape)).reshape(shape))


def _flag(run: DropResults, part: str) -> ViewExpression:
    return in_part(run.config.keep_at_field, run.density, part)


def check_comparable(dataset: foc.SampleCollection, key: str, other: str) -> None:
    """Check that two runs prune the same classes; reads the dataset's record only.

    Raises:
        DropError: if they do not, or there is no such run
    """
    runs = get_config(dataset, key), get_config(dataset, other, "other")
    fields = [config.label_field for config in runs]
    if fields[0] != fields[1]:
        raise DropError(
            "other",
            f"runs of the same classes can be compared, but '{key}' prunes the labels of "
            f"'{fields[0]}' and '{other}' those of '{fields[1]}'",
        )


def _ungrouped(table: ClassTable) -> ClassTable:
    """The table of the labels, where classes are cells of label and value."""
    labels = [name if isinstance(name, str) else name[0] for name in table.classes]
    classes, of_class = np.unique(labels, return_inverse=True)
    sizes, quotas = (
        np.bincount(of_class, weights=column).astype(np.int64)
        for column in (table.sizes, table.quotas)
    )
    return ClassTable(tuple(classes.tolist()), sizes, table.density, quotas)


def _densities(table: ClassTable, classes: Sequence[ClassName]) -> FloatArray:
    known = table.by_class("densities")
    return np.array([known.get(name, np.nan) for name in classes])


def _warnings(keys: Sequence[str], tables: Sequence[ClassTable], counted: _Counted) -> list[str]:
    first, second = tables
    warnings = []
    if first.density != second.density:
        warnings.append(
            f"'{keys[0]}' keeps {first.density:g} and '{keys[1]}' {second.density:g} of its "
            "samples: at one density (set_density) their classes could be compared"
        )
    # Those that are there: two runs of the same samples, of which some were deleted, have the same
    there, common = counted.there, counted.common
    if not common == there[0] == there[1]:
        warnings.append(
            f"the runs prune different samples: {there[0]:,} and {there[1]:,}, of which {common:,} "
            "are in both; a sample that a run does not have counts as not kept by it"
        )
    sizes = dict(zip(keys, (first.size, second.size), strict=True))
    for (key, size), n in zip(sizes.items(), there, strict=False):  # one, compared with itself
        if n < size:
            warnings.append(
                f"{size - n:,} of the {size:,} samples of '{key}' are gone since it was decided, "
                f"and count as kept by neither: fod.verify_drop(dataset, {key!r}) names them"
            )
    if counted.strays:
        warnings.append(
            f"{counted.strays:,} samples have no class of either run any more, and it is not known "
            "which they had: they count in no class"
        )
    for key, mine, others in ((keys[0], first, second), (keys[1], second, first)):
        alone = sorted(set(mine.classes) - set(others.classes))
        if alone:
            warnings.append(f"only '{key}' has the classes {listing(alone)}")
    return warnings


def _fraction(value: float) -> str:
    return "-" if np.isnan(value) else f"{value:.3f}"
