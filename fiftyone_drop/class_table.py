"""The class table: everything about a run that has one entry per class, and how it prints.

Its columns are printed, stored, pictured and given as rows here, so the module is longer than
others. NumPy only; pandas and Plotly where they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName, FloatArray, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.density import kept_size
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.figures import class_chart, recall_chart
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.recall import recall_intervals
from fiftyone_drop.tables import Table, class_frame, in_html

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

KINDS = ("classes", "recalls")
_COLUMNS = (
    *("sizes", "quotas", "densities", "weights"),
    *("recalls", "correct", "support", "intervals"),
)
_BOUNDS = ("must_keep", "floors", "caps")


def class_words(name: ClassName) -> str:
    """A class in words; a cell as ``class / value``."""
    return name if isinstance(name, str) else " / ".join(name)


@dataclass(frozen=True)
class ClassTable:
    """How much of each class is kept at one density, and why.

    Attributes:
        classes: the K classes in sorted order; with ``group_by`` the cells (class, value)
        sizes: (K,) int > 0, samples of each class in the target view
        density: the dataset density, in (0, 1]
        quotas: (K,) int, samples of each class that are kept, summing to
            ``kept_size(sizes.sum(), density)``
        bounds: floors and caps; by default none
        weights: (K,) float >= 0, class weights; None if the rule sets no quotas
        recalls: (K,) float in [0, 1]; None if the rule needs none
        correct: (K,) int, correct predictions that the recalls come from; None if they were given
        support: (K,) int, validation samples that they come from; None if they were given
        columns: what else the rule asked for: column -> (K,) float
    """

    classes: tuple[ClassName, ...]
    sizes: IntArray
    density: float
    quotas: IntArray
    weights: FloatArray | None = None
    bounds: Bounds = None  # type: ignore[assignment]  # never None: see __post_init__
    recalls: FloatArray | None = None
    correct: IntArray | None = None
    support: IntArray | None = None
    columns: Mapping[str, FloatArray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.bounds is None:
            object.__setattr__(self, "bounds", Bounds.none(self.sizes))

    @property
    def names(self) -> list[str]:
        """The classes in words; cells as ``class / value``."""
        return [class_words(name) for name in self.classes]

    @property
    def densities(self) -> FloatArray:
        """(K,) float in [0, 1], the fraction of each class that is kept."""
        return self.quotas / self.sizes

    @property
    def must_keep_density(self) -> float:
        """The density of the samples that must be kept, which are the first of the order."""
        return float(self.bounds.must_keep.sum() / self.size)

    @property
    def intervals(self) -> FloatArray | None:
        """(K, 2) float, 95 % Wilson score intervals of ``observed``; None if recalls were given."""
        if self.correct is None or self.support is None:
            return None
        return recall_intervals(self.correct, self.support)

    @property
    def observed(self) -> FloatArray | None:
        """(K,) float, the recalls without smoothing; NaN without a sample, None if given."""
        if self.correct is None or self.support is None:
            return None
        return np.where(self.support > 0, self.correct / np.maximum(self.support, 1), np.nan)

    def by_class(self, column: str) -> dict[ClassName, Any]:
        """A column, such as ``"quotas"`` or ``"recalls"``, as a mapping from class to value.

        Raises:
            DropError: if the table has no such column
        """
        columns = {name: getattr(self, name) for name in _COLUMNS} | dict(self.columns)
        columns |= {name: getattr(self.bounds, name) for name in _BOUNDS}
        there = [name for name, values in columns.items() if values is not None]
        values = columns[checks.choice("column", column, there)]
        return dict(zip(self.classes, values.tolist(), strict=True))

    @property
    def size(self) -> int:
        """The number of samples in the target view, N."""
        return int(self.sizes.sum())

    def density_of(self, amount: Amount, bytes_in_order: IntArray | None = None) -> float:
        """The dataset density that keeps an amount.

        Args:
            amount: how much is kept
            bytes_in_order: with ``max_bytes``: (N,) int, see :meth:`Amount.checked_size`

        Raises:
            DropError: if it is below the floors or above the caps, or keeps nothing
        """
        size = amount.checked_size(self.size, self.bounds, bytes_in_order)
        return amount.density_of(size, self.size)

    def at(self, density: float, quotas: IntArray | None = None) -> ClassTable:
        """The same classes at another density. No sample is read.

        Args:
            density: the dataset density, in (0, 1]
            quotas (None): (K,) int, counted in the data: needed where the rule sets no quotas

        Returns:
            a :class:`ClassTable`

        Raises:
            DropError: if ``density`` is below the floors or above the caps, or the rule sets no
                quotas
        """
        self.density_of(Amount(density))
        if quotas is None:
            quotas = self.quotas_at([density])[0]
        return replace(self, density=density, quotas=quotas)

    def quotas_at(self, densities: Sequence[float] | FloatArray) -> IntArray:
        """The quotas at many densities. No sample is read.

        Args:
            densities: D dataset densities, in [0, 1]

        Returns:
            (D, K) int: below the floors the first samples of them, above the caps no more than
            these, and zeros where nothing is kept

        Raises:
            DropError: if the rule sets no quotas
        """
        if self.weights is None:
            raise DropError(
                "rule", "'none' sets no quotas; use kept_counts(dataset, key, densities)"
            )
        quotas = [
            quotas_of_size(
                self.sizes,
                self.weights,
                min(kept_size(self.size, density), self.bounds.most),
                self.bounds,
            )
            for density in checks.numbers_in("densities", densities, "[0, 1]")
        ]
        return np.array(quotas, dtype=np.int64).reshape(-1, len(self.classes))

    def find(self, name: object) -> ClassName:
        """The class of that name: a class, a cell as (class, value), or a cell in words.

        Raises:
            DropError: if there is no such class, or the words fit several cells
        """
        wanted = tuple(map(str, name)) if isinstance(name, list | tuple) else str(name)
        fits = [c for c in self.classes if c == wanted]
        fits = fits or [c for c, w in zip(self.classes, self.names, strict=True) if w == wanted]
        if len(fits) == 1:
            return fits[0]
        if fits:
            raise DropError("class_name", f"{name!r} may be any of {listing(fits)}; pass the tuple")
        raise DropError(
            "class_name",
            f"{name!r} is no class of the run, whose classes are {listing(list(self.classes))}",
        )

    def rows(self) -> list[dict[str, Any]]:
        """The columns of the printed table as JSON-serialisable values, one mapping per class.

        None where a class has no validation sample.
        """
        columns: dict[str, Sequence[Any]] = {"class": self.names, "size": self.sizes.tolist()}
        if self.recalls is not None:
            columns["recall"] = self.recalls.tolist()
        if self.observed is not None:
            observed = self.observed.tolist()
            columns["recall_observed"] = [None if np.isnan(r) else r for r in observed]
        if self.intervals is not None and self.support is not None:
            columns["recall_low"], columns["recall_high"] = self.intervals.T.tolist()
            columns["measured_on"] = self.support.tolist()
        columns |= {"density": self.densities.tolist(), "quota": self.quotas.tolist()}
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        arrays = {
            name: None if value is None else np.asarray(value).tolist()
            for name in ("sizes", "quotas", "weights", "recalls", "correct", "support")
            for value in (getattr(self, name),)
        }
        names = [list(name) if isinstance(name, tuple) else name for name in self.classes]
        return arrays | {
            "classes": names,
            "density": self.density,
            "bounds": self.bounds.to_dict(),
            "columns": {name: np.asarray(c).tolist() for name, c in self.columns.items()},
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ClassTable:
        """The inverse of :meth:`to_dict`."""

        def column(name: str, dtype: type) -> Any:
            return None if values[name] is None else np.array(values[name], dtype=dtype)

        sizes = column("sizes", np.int64)
        # Tables of before there were bounds have one floor for all classes
        bounds = (
            Bounds.from_dict(values["bounds"])
            if "bounds" in values
            else Bounds.none(sizes, values["min_per_class"])
        )
        return cls(
            classes=tuple(tuple(n) if isinstance(n, list) else n for n in values["classes"]),
            sizes=sizes,
            density=values["density"],
            quotas=column("quotas", np.int64),
            weights=column("weights", np.float64),
            bounds=bounds,
            recalls=column("recalls", np.float64),
            correct=column("correct", np.int64),
            support=column("support", np.int64),
            columns={
                name: np.array(column, dtype=np.float64)
                for name, column in values.get("columns", {}).items()
            },
        )

    def to_pandas(self) -> pd.DataFrame:
        """All classes as a :class:`pandas.DataFrame`, with the columns of :meth:`by_class`.

        Returns:
            a row per class, by name; a cell is a row of a ``MultiIndex``. Recalls come with
            ``observed`` ones and the ends of their 95 % intervals, ``low`` and ``high``, where they
            were measured. ``.attrs["density"]`` is the dataset density
        """
        low, high = (None, None) if self.intervals is None else self.intervals.T
        frame = class_frame(
            self.classes,
            {
                **{name: getattr(self, name) for name in ("sizes", "quotas", "densities")},
                **{name: getattr(self, name) for name in ("weights", "recalls", "observed")},
                "low": low,
                "high": high,
                "correct": self.correct,
                "support": self.support,
                **{name: getattr(self.bounds, name) for name in _BOUNDS},
                **self.columns,
            },
        )
        frame.attrs["density"] = self.density
        return frame

    def plot(self, kind: str = "classes", **layout: Any) -> go.Figure:
        """A picture of the classes.

        Args:
            kind ("classes"): ``"classes"``, a bar per class: how much of it is kept, and its
                recall, of many classes those of lowest recall; or ``"recalls"``, a circle per
                class, recall against density
            **layout: what else :meth:`plotly:plotly.graph_objects.Figure.update_layout` takes

        Returns:
            a :class:`plotly:plotly.graph_objects.Figure`

        Raises:
            DropError: if ``kind`` is another word, or there are no recalls for it
        """
        return self.figure(f"Class table, density {self.density:.4g}", kind, layout)

    def figure(self, title: str, kind: str, layout: Mapping[str, Any]) -> go.Figure:
        """The picture of :meth:`plot` under a title."""
        about = [
            f"{name}: {quota:,} of {size:,} kept ({quota / size:.3f})"
            for name, quota, size in zip(self.names, self.quotas, self.sizes, strict=True)
        ]
        if self.recalls is not None:
            about = [f"{t}, recall {r:.3f}" for t, r in zip(about, self.recalls, strict=True)]
        if checks.choice("kind", kind, KINDS) == "classes":
            return class_chart(
                title,
                self.names,
                self.densities,
                about,
                self.by_need,
                self.recalls,
                self.observed,
                self.intervals,
                layout,
            )
        if self.recalls is None:
            raise DropError(
                "kind", "'recalls' needs recalls, which there are none of; use 'classes'"
            )
        return recall_chart(title, self.recalls, self.densities, self.sizes, about, layout)

    @property
    def by_need(self) -> IntArray:
        """(K,) int, positions: the classes that the model fails on first."""
        need = self.recalls if self.recalls is not None else self.densities
        return np.argsort(need, kind="stable")

    def __str__(self) -> str:
        return str(self._table())

    def _repr_html_(self) -> str:
        return self.in_html()

    def in_html(self, above: Sequence[str] = (), below: Sequence[str] = ()) -> str:
        """The table as HTML, between lines of text."""
        return in_html([*above, self._table(), *below])

    def _table(self) -> Table:
        header, *rows = self._cells()
        kept = int(self.quotas.sum())
        total = ["total", f"{self.size:,}", *[""] * (len(header) - 4)]
        total += [f"{kept / self.size:.3f}", f"{kept:,}"]
        return Table(header, rows, total, self.by_need)

    def _cells(self) -> list[list[str]]:
        columns: dict[str, Sequence[str]] = {
            "class": self.names,
            "size": [f"{n:,}" for n in self.sizes],
        }
        if self.recalls is not None:
            columns["recall"] = [f"{r:.3f}" for r in self.recalls]
        observed = self.observed
        # A recall that smoothing has moved need not lie in the interval of the observed one
        if observed is not None and not np.allclose(self.recalls, observed, 0, 5e-4):  # type: ignore[arg-type]
            columns["observed"] = ["-" if np.isnan(r) else f"{r:.3f}" for r in observed]
        if self.intervals is not None and self.support is not None:
            columns["95 % interval"] = [f"{low:.3f} to {high:.3f}" for low, high in self.intervals]
            columns["measured on"] = [f"{n:,}" for n in self.support]
        columns |= {name: [f"{v:.4g}" for v in column] for name, column in self.columns.items()}
        bounds = self.bounds
        if bounds.must_keep.any():
            columns["must keep"] = [f"{n:,}" for n in bounds.must_keep]
        if not np.array_equal(bounds.floors, np.minimum(self.sizes, bounds.floors.max())):
            columns["at least"] = [f"{n:,}" for n in bounds.floors]
        if bounds.most < self.size:
            columns["at most"] = [f"{n:,}" for n in bounds.caps]
        columns["density"] = [f"{d:.3f}" for d in self.densities]
        columns["quota"] = [f"{n:,}" for n in self.quotas]
        return [list(columns), *(list(row) for row in zip(*columns.values(), strict=True))]
