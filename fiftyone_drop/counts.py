"""How many samples of each class a run keeps, and how scores are distributed: the server counts.

A bin holds exactly the samples that a view with the bounds of the bin shows: both compare the same
numbers. Both kinds of counts are aggregations over a run, so the module is longer than others.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from fiftyone import ViewField as F

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName, Codes, FloatArray, Ids, IntArray
from fiftyone_drop.dataset_state import changes_since
from fiftyone_drop.errors import Warner, listing
from fiftyone_drop.fields import class_paths, number_field
from fiftyone_drop.figures import histogram_chart
from fiftyone_drop.members import OTHER, read_members
from fiftyone_drop.reader import aggregate, count_groups, rows_of
from fiftyone_drop.run_lookup import check_order, load_order
from fiftyone_drop.run_outputs import in_part
from fiftyone_drop.runs import DropResults
from fiftyone_drop.snapshot import load_snapshot
from fiftyone_drop.tables import Table, in_html

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

MOST_BINS = 10_000


def kept_counts(dataset: foc.SampleCollection, key: str, densities: Sequence[float]) -> IntArray:
    """How many samples of each class a run keeps at many densities.

    Follows from the class table. It is counted in the data for rule ``"none"``, which sets no
    quotas, and where samples are gone since the run was decided. A sample counts in the class that
    the run was decided on. Where the labels of now cannot be those, as after a class was renamed,
    the samples of the run are read one by one; else one aggregation counts them by label. That
    does not see a relabelling that leaves no class larger than it was: an even exchange, or one
    into a class that has lost as many samples.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        densities: D dataset densities, in [0, 1]

    Returns:
        (D, K) int, over the classes of ``load_drop(dataset, key).table``. Below the floors the
        first samples of them count, above the caps nothing beyond them, and a density that keeps
        nothing has zeros

    Raises:
        DropError: if there is no such run, or a density is out of range
    """
    results = load_order(dataset, key)
    root, table = dataset._root_dataset, results.table
    wanted = np.array(checks.numbers_in("densities", densities, "[0, 1]"), dtype=np.float64)
    if not counts_samples(root, results):
        return table.quotas_at(wanted)
    bounds, row = np.unique(wanted, return_inverse=True)
    counts, strays = _by_label(root, results, bounds)
    kept = np.cumsum(counts, axis=0)[:-1]
    # To read a million samples takes seconds where the server groups them in one: so they are read
    # only if the labels cannot be those of the run. Deletions make classes smaller, never larger
    beyond = counts.sum(axis=0) > table.sizes
    if table.weights is not None:
        beyond |= (kept > table.quotas_at(bounds)).any(axis=0)
    if strays or beyond.any():
        decided = _by_sample(root, results, bounds)
        if decided is None:
            _warn_of_labels(results, strays, [table.classes[k] for k in np.flatnonzero(beyond)])
        else:
            counts, strays = decided
            _warn_of_labels(results, strays, ())
            kept = np.cumsum(counts, axis=0)[:-1]
    return np.asarray(kept[row])


def counts_samples(dataset: fo.Dataset, results: DropResults) -> bool:
    """Whether only the data tells what a run keeps of each class."""
    found, table = results.config.found, results.table
    if table.weights is None or table.size != found.get(
        "size", table.size
    ):  # a manifest's, with samples missing
        return True
    changes = changes_since(dataset, found)
    if changes is not None:
        return changes.gone > 0
    in_run = in_part(results.config.keep_at_field, results.density, "all")
    counted: int = sum(n for (n,) in count_groups(dataset, in_run, []))
    return counted != table.size


def _by_label(
    dataset: fo.Dataset, results: DropResults, bounds: FloatArray
) -> tuple[IntArray, int]:
    """Count the samples of a run by their present labels.

    Args:
        dataset: the dataset
        results: the run
        bounds: (D,) float, ascending densities

    Returns:
        a tuple of

        -   (D + 1, K) int: the samples whose smallest density is at most a bound and above the one
            before; the last row has those above all
        -   the number of samples that have no class of the run
    """
    config, classes = results.config, results.table.classes
    counts, strays = np.zeros((len(bounds) + 1, len(classes)), dtype=np.int64), 0
    column = {name: k for k, name in enumerate(classes)}
    position = _bin(f"${config.keep_at_field}", "$lte", bounds.tolist())
    by = [f"${path}" for path in class_paths(dataset, config.label_field, config.group_by)]
    in_run = in_part(config.keep_at_field, results.density, "all")
    for *values, i, n in count_groups(dataset, in_run, [*by, position]):
        name = class_of(values)
        if name in column:
            counts[i, column[name]] += n
        else:
            strays += n
    return counts, strays


def _by_sample(
    dataset: fo.Dataset, results: DropResults, bounds: FloatArray
) -> tuple[IntArray, int] | None:
    """:func:`_by_label`, by the classes that the run was decided on; None if they are not known.

    A sample that only carries a place in the order, such as a copy, counts by its label.
    """
    config, classes = results.config, results.table.classes
    in_run = dataset.match(in_part(config.keep_at_field, results.density, "all"))
    members = read_members(
        in_run, classes, config.label_field, config.group_by, [config.keep_at_field]
    )
    codes = decided_codes(results, members.ids)
    if codes is None:
        return None
    codes = np.where(codes == OTHER, members.codes, codes)
    known = codes >= 0
    rows = np.searchsorted(bounds, np.array(members.columns[0], dtype=np.float64))
    counts = np.zeros((len(bounds) + 1, len(classes)), dtype=np.int64)
    np.add.at(counts, (rows[known], codes[known]), 1)
    return counts, int((~known).sum())


def decided_codes(results: DropResults, ids: Ids) -> Codes | None:
    """The classes that samples had when a run was decided.

    Args:
        results: the run
        ids: (N,) S24, sample ids

    Returns:
        (N,) int32, positions in its class table, ``OTHER`` for samples that were not in the run;
        None if the database does not have them
    """
    snapshot = load_snapshot(results.config.token)
    if snapshot is None:
        return None
    rows = rows_of(ids, snapshot.ids)
    return np.where(rows >= 0, snapshot.codes[rows], OTHER).astype(np.int32)


def _warn_of_labels(results: DropResults, strays: int, beyond: Sequence[ClassName]) -> None:
    """Warn if the samples that are counted of each class are not those of the run."""
    unknown = "the database does not have the classes that they had when it was decided"
    if strays:
        Warner()(
            f"{strays:,} samples of the drop run '{results.key}' have no class of it any more, and "
            f"{unknown}: they count in no class, kept or not; correct their labels, or make the "
            "run again"
        )
    if beyond:
        Warner()(
            f"samples of the drop run '{results.key}' were relabelled to {listing(beyond)}, and "
            f"{unknown}: they count in the class of their present labels; correct these, or make "
            "the run again"
        )


@dataclass(frozen=True, eq=False)
class ScoreHistogram:
    """How a score is distributed among the kept and the pruned samples of a run.

    Attributes:
        score: the field
        edges: (B + 1,) float, ascending; a bin holds ``edges[i] <= score < edges[i + 1]``, the last
            one its upper edge too
        kept: (B,) int, kept samples
        pruned: (B,) int, pruned samples
        missing: samples of the run without a finite value
    """

    score: str
    edges: FloatArray
    kept: IntArray
    pruned: IntArray
    missing: int

    def to_pandas(self) -> pd.DataFrame:
        """All bins as a :class:`pandas.DataFrame` with ``low``, ``high``, ``kept``, ``pruned``."""
        import pandas as pd

        frame = pd.DataFrame({"low": self.edges[:-1], "high": self.edges[1:]})
        frame = frame.assign(kept=self.kept, pruned=self.pruned)
        frame.attrs |= {"score": self.score, "missing": self.missing}
        return frame

    def plot(self, **layout: Any) -> go.Figure:
        """A bar per bin, kept samples below pruned ones.

        Args:
            **layout: what :meth:`plotly:plotly.graph_objects.Figure.update_layout` takes

        Returns:
            a :class:`plotly:plotly.graph_objects.Figure`
        """
        return histogram_chart(
            self._title(), self.score, self.edges, self.kept, self.pruned, layout
        )

    def __str__(self) -> str:
        return f"{self._title()}\n{self._table()}"

    __repr__ = __str__

    def _repr_html_(self) -> str:
        return in_html([self._title(), self._table()])

    def _title(self) -> str:
        kept, pruned = int(self.kept.sum()), int(self.pruned.sum())
        words = f"'{self.score}' of {kept:,} kept and {pruned:,} pruned samples"
        return words + (f", {self.missing:,} without a value" if self.missing else "")

    def _table(self) -> Table:
        bounds = pairwise(self.edges)
        rows = [
            [f"{low:.4g} to {high:.4g}", f"{kept:,}", f"{pruned:,}"]
            for (low, high), kept, pruned in zip(bounds, self.kept, self.pruned, strict=True)
        ]
        total = ["total", f"{self.kept.sum():,}", f"{self.pruned.sum():,}"]
        fullest = np.argsort(-(self.kept + self.pruned), kind="stable")
        return Table([self.score, "kept", "pruned"], rows, total, fullest)


def score_histogram(
    dataset: foc.SampleCollection,
    key: str,
    score: str,
    bins: int = 30,
    *,
    density: float | None = None,
) -> ScoreHistogram:
    """The distribution of a score among the kept and the pruned samples of a run.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        score: a number field
        bins (30): the number of bins, of equal width, at most 10,000
        density (None): the dataset density, in (0, 1]; by default the run's own

    Returns:
        a :class:`ScoreHistogram`

    Raises:
        DropError: if there is no such run or field, or ``bins`` or ``density`` is out of range
    """
    bins = checks.whole("bins", bins, least=1, most=MOST_BINS)
    config = check_order(dataset, key)
    root = dataset._root_dataset
    density = config.density if density is None else checks.density("density", density)
    score = number_field(root, score, "score", "pass one of these")
    in_run = in_part(config.keep_at_field, density, "all")
    value = F(score)
    # NaN is below every number to MongoDB, as a missing value is
    finite = (value > -math.inf) & (value < math.inf)
    only_finite = finite.if_else(value, None)
    bounds = aggregate(
        root,
        in_run,
        {"_id": None, "low": {"$min": only_finite.to_mongo()}}
        | {"high": {"$max": only_finite.to_mongo()}, "n": {"$sum": 1}},
    )
    low, high, n = next(((b["low"], b["high"], b["n"]) for b in bounds), (None, None, 0))
    edges = _edges(0.0 if low is None else float(low), 1.0 if high is None else float(high), bins)
    counts = np.zeros((2, bins), dtype=np.int64)
    position = _bin(f"${score}", "$lt", edges[1:-1].tolist())
    pruned = (F(config.keep_at_field) > density).to_mongo()
    for i, is_pruned, count in count_groups(root, in_run & finite, [position, pruned]):
        counts[int(is_pruned), i] = count
    return ScoreHistogram(score, edges, counts[0], counts[1], n - int(counts.sum()))


# -- aggregations ---------------------------------------------------------------------------------


def class_of(values: Sequence[Any]) -> ClassName | None:
    """The class that the values at its :func:`~fiftyone_drop.fields.class_paths` make.

    None where one is missing: a class may have the name "None".
    """
    if any(value is None for value in values):
        return None
    words = [str(value) for value in values]
    return words[0] if len(words) == 1 else tuple(words)


def _edges(low: float, high: float, bins: int) -> FloatArray:
    """Bounds of equal width, around values that are all the same too, and all of them finite.

    NumPy's own refuses bins narrower than the distance of two numbers, and the largest numbers.
    """
    if low == high:
        width = max(0.5, float(np.spacing(abs(low))) * bins)
        low, high = np.nan_to_num([low - width, high + width])  # of the largest numbers infinite
    return 2 * np.linspace(low / 2, high / 2, bins + 1)  # high - low may be infinite


def _bin(value: str, less: str, bounds: Sequence[float], first: int = 0) -> Any:
    """The position of the first of the ascending ``bounds`` that ``value`` is below.

    A tree of comparisons, as MongoDB evaluates it: ten of them for a thousand bounds.

    Args:
        value: a MongoDB expression
        less: what "below" is, ``"$lt"`` or ``"$lte"``
        bounds: B ascending numbers; the position is B if the value is below none
        first: what to count from
    """
    if not bounds:
        return first
    middle = len(bounds) // 2
    return {
        "$cond": [
            {less: [value, bounds[middle]]},
            _bin(value, less, bounds[:middle], first),
            _bin(value, less, bounds[middle + 1 :], first + middle + 1),
        ]
    }
