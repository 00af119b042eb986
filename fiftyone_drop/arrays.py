"""Plans from arrays and Parquet files: for more samples than a database should hold.

The order, the quotas and ``keep_at`` are those of ``apply_drop``: for the same ids, labels, recalls
and seed, the same samples are kept. Only these need to go into FiftyOne afterwards.

Arrays and files are two doors to one plan, so the module is longer than others.

NumPy, and PyArrow for files; no FiftyOne, no PyTorch.
"""

from __future__ import annotations

import os
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiftyone_drop import checks
from fiftyone_drop._types import Codes, FloatArray, Ids, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.errors import DropError
from fiftyone_drop.limits import (
    Limits,
    all_weights,
    check_per_class,
    check_protect,
    check_quotas,
    check_weights,
    class_bounds,
    floors_under,
)
from fiftyone_drop.options import KEEP
from fiftyone_drop.order import (
    drop_order,
    keyed_hash,
    order_of_hashes,
    positions_to_keep_at,
    with_scores,
)
from fiftyone_drop.parquet import pyarrow_parquet
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.recall import recalls_of_mapping
from fiftyone_drop.rules import class_weights, get_rule

ROWS = 2**18  # of a file that are in memory at once
BUFFER = 2**20  # bytes of each of its columns
SEVERAL = (list, tuple, set, frozenset, dict, np.ndarray)  # what is no label


@dataclass(frozen=True, eq=False)
class ArrayPlan:
    """A pruning that is decided, as arrays. Prints as a class table.

    Attributes:
        table: the class table at the plan's density
        keep_at: (N,) float, the smallest dataset density at which each sample is kept, in the order
            of the input; above 1 beyond a cap
    """

    table: ClassTable
    keep_at: FloatArray

    @property
    def kept(self) -> NDArray[np.bool_]:
        """(N,) bool, whether each sample is kept."""
        return self.keep_at <= self.table.density

    def __str__(self) -> str:
        return str(self.table)


def plan_arrays(
    ids: Sequence[str] | ArrayLike,
    labels: Sequence[str] | ArrayLike,
    density: float | None = None,
    *,
    scores: ArrayLike | None = None,
    **options: Any,
) -> ArrayPlan:
    """Decide which samples a density keeps, from arrays.

    Args:
        ids: (N,) texts, each once; for the plan of a FiftyOne dataset the ids of its samples
        labels: (N,) texts
        density (None): the fraction of all samples that is kept, in (0, 1]
        scores (None): (N,) float, which order the samples of a class; None for at random
        **options: ``size``, ``recalls``, ``rule``, ``keep``, ``min_per_class``, ``max_per_class``,
            ``protect``, ``quotas``, ``weights``, ``allow_empty_classes`` and ``seed``, as
            ``apply_drop`` takes them

    Returns:
        an :class:`ArrayPlan`

    Raises:
        DropError: if an argument is out of its range, or an id occurs twice
    """
    parsed = _Options.parse(density, options)
    digits = np.asarray(ids)
    digits = np.char.encode(digits, "utf-8") if digits.dtype.kind == "U" else digits.astype("S")
    classes, codes = np.unique(_check_labels(labels).astype(str), return_inverse=True)
    if digits.ndim != 1 or codes.shape != digits.shape:
        raise DropError(
            "labels", f"must be one per id, but are {codes.shape} for ids of {digits.shape}"
        )
    values = None if scores is None else _check_scores(scores, len(digits))
    hashes = keyed_hash(digits, parsed.seed)

    def texts(rows: IntArray) -> tuple[Ids, Ids]:
        return digits[rows], digits[rows]

    order = order_of_hashes(hashes, texts)
    del hashes
    return _plan(order, tuple(classes.tolist()), codes.astype(np.int32), values, parsed)


def plan_parquet(
    path: str | os.PathLike[str],
    to: str | os.PathLike[str] | None = None,
    density: float | None = None,
    *,
    id_column: str = "id",
    label_column: str = "label",
    score_column: str | None = None,
    kept_only: bool = False,
    overwrite: bool = False,
    **options: Any,
) -> ArrayPlan:
    """Decide which samples a density keeps, from a Parquet file, and write them to another.

    Needs neither FiftyOne nor PyTorch. The file is never in memory as a whole: the order takes 40
    bytes a sample, and the process 46 at its peak, so that 20 million samples take 1 GB.

    Example::

        plan = fod.plan_parquet("all.parquet", "kept.parquet", 0.1, recalls=recalls, kept_only=True)

    Args:
        path: a Parquet file with a row for each sample
        to (None): the file to write: the columns of ``path``, ``keep_at`` and ``kept``; None writes
            nothing
        density (None): the fraction of all samples that is kept, in (0, 1]
        id_column ("id"): a column of texts, each once
        label_column ("label"): a column of texts: the classes
        score_column (None): a column of numbers, which order the samples of a class; None for at
            random
        kept_only (False): whether to write the kept samples alone
        overwrite (False): whether to replace a file that is there
        **options: as in :func:`plan_arrays`

    Returns:
        an :class:`ArrayPlan`

    Raises:
        DropError: if an argument is out of its range, or the file lacks a column or a value
    """
    parsed = _Options.parse(density, options)
    source = _File(checks.path("path", path), id_column, label_column, score_column)
    target = None if to is None else checks.path("to", to)
    kept_only, overwrite = (
        checks.flag("kept_only", kept_only),
        checks.flag("overwrite", overwrite),
    )
    if target is not None and not os.path.isdir(target.parent):
        raise DropError("to", f"there is no folder {target.parent}; make it, or pass another path")
    if target is not None and os.path.lexists(target) and not overwrite:
        raise DropError("to", f"{target} exists; pass another, or overwrite=True")
    hashes, classes, codes, scores = source.read(parsed.seed)
    order = order_of_hashes(hashes, source.texts)
    del hashes
    plan = _plan(order, classes, codes, scores, parsed)
    if target is not None:
        try:
            source.write(target, plan, kept_only)
        except OSError as error:
            raise DropError("to", f"{target} cannot be written ({error}); pass another") from error
    return plan


@dataclass(frozen=True)
class _Options:
    """The options of :func:`plan_arrays`, as plain values."""

    amount: Amount
    limits: Limits
    recalls: Mapping[Any, float] | None
    rule: str
    hardest_first: bool
    weights: Mapping[Hashable, float] | None
    allow_empty_classes: bool
    seed: int

    @classmethod
    def parse(cls, density: float | None, given: Mapping[str, Any]) -> _Options:
        """Check the options; one that nobody knows is a TypeError, as of every function."""

        def options(
            *,
            size: int | None = None,
            recalls: Mapping[Any, float] | None = None,
            rule: str = "drop",
            keep: str = "hardest",
            min_per_class: Any = 1,
            max_per_class: Any = None,
            protect: Any = None,
            quotas: Any = None,
            weights: Any = None,
            allow_empty_classes: bool = False,
            seed: int = 51,
        ) -> _Options:
            shares = check_quotas("quotas", quotas)
            the_rule = get_rule(rule)
            floors = check_per_class("min_per_class", min_per_class)
            assert floors is not None  # only a cap may be
            floors, otherwise = floors_under(floors, the_rule.sets_quotas)
            return cls(
                Amount.parse(density, size, optional=bool(shares)),
                Limits(
                    floors,
                    otherwise,
                    check_per_class("max_per_class", max_per_class, optional=True),
                    check_protect("protect", protect),
                    shares,
                ),
                recalls,
                the_rule.name,
                checks.choice("keep", keep, KEEP) == "hardest",
                check_weights("weights", weights),
                checks.flag("allow_empty_classes", allow_empty_classes),
                checks.seed("seed", seed),
            )

        return options(**given)


def _plan(
    order: IntArray,
    classes: tuple[str, ...],
    codes: Codes,
    scores: FloatArray | None,
    options: _Options,
) -> ArrayPlan:
    """The plan, from the order at random (N,) int and the classes (N,) int of the samples."""
    sizes = np.bincount(codes, minlength=len(classes)).astype(np.int64)
    bounds = class_bounds(options.limits, classes, sizes)
    rule, columns, recalls = get_rule(options.rule), {"sizes": sizes.astype(float)}, None
    if options.recalls is not None:
        recalls = columns["recalls"] = recalls_of_mapping(options.recalls, classes)
    if options.weights is None:
        weights = class_weights(rule, columns)
    else:
        weights = all_weights(options.weights, classes)
    n = options.amount.checked_size(len(codes), bounds)
    order = with_scores(order, scores, options.hardest_first)
    order = drop_order(codes, order, weights, bounds, out=order)
    if weights is None:
        quotas = np.bincount(codes[order[:n]], minlength=len(classes))
    else:
        quotas = quotas_of_size(sizes, weights, n, bounds)
        if not options.allow_empty_classes:
            check_no_class_emptied(classes, quotas)
    table = ClassTable(
        classes=classes,
        sizes=sizes,
        density=options.amount.density_of(n, len(codes)),
        quotas=quotas,
        weights=weights,
        bounds=bounds,
        recalls=recalls,
    )
    return ArrayPlan(table, positions_to_keep_at(order, bounds.most))


class _File:
    """A Parquet file of samples, which is never in memory as a whole."""

    def __init__(self, path: Path, ids: object, labels: object, scores: object) -> None:
        self._pa, self._pq = pyarrow_parquet(
            "path", "plan_parquet reads and writes Parquet files, which"
        )
        self._ids = checks.text("id_column", ids)
        self._labels = checks.text("label_column", labels)
        self._scores = checks.text("score_column", scores, optional=True)
        if not path.is_file():  # a pipe would be waited for
            raise DropError("path", f"there is no file {path}; pass the path of a Parquet file")
        try:
            # By default PyArrow keeps all bytes of the file that it has read
            self._file = self._pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        except Exception as error:  # on a foreign or damaged file PyArrow may raise anything
            raise DropError("path", f"cannot read {path} as a Parquet file: {error}") from error
        there = self._file.schema_arrow.names
        asked = {"id": self._ids, "label": self._labels, "score": self._scores}
        for kind, name in asked.items():
            if name is not None and name not in there:
                raise DropError(f"{kind}_column", f"{path} has no column {name!r}; it has {there}")
        if not len(self):
            raise DropError("path", f"{path} has no rows")

    def __len__(self) -> int:
        return int(self._file.metadata.num_rows)

    def read(self, seed: int) -> tuple[Any, tuple[str, ...], Codes, FloatArray | None]:
        """The hashes of the ids, the classes in sorted order, and of each row class and score."""
        n = len(self)
        hashes, codes = np.empty(n, np.uint64), np.empty(n, np.int32)
        scores = None if self._scores is None else np.empty(n)
        code_of: dict[str, int] = {}
        columns = [self._ids, self._labels, *([] if self._scores is None else [self._scores])]
        for start, rows in self._batches(columns):
            part = slice(start, start + len(rows))
            hashes[part] = keyed_hash(self._texts(rows, self._ids, "id_column"), seed)
            words = self._column(rows, self._labels, "label_column").dictionary_encode()
            known = [code_of.setdefault(w, len(code_of)) for w in words.dictionary.to_pylist()]
            codes[part] = np.array(known, np.int32)[words.indices.to_numpy()]
            if scores is not None:
                assert self._scores is not None
                scores[part] = rows.column(self._scores).cast(self._pa.float64()).to_numpy(False)
        classes = sorted(code_of)
        rank = np.empty(len(classes), np.int32)
        rank[[code_of[name] for name in classes]] = np.arange(len(classes))
        for part in (slice(i, i + ROWS) for i in range(0, n, ROWS)):
            codes[part] = rank[codes[part]]
        return hashes, tuple(classes), codes, None if scores is None else _check_scores(scores, n)

    def texts(self, wanted: IntArray) -> tuple[Ids, Ids]:
        """The ids of some rows, ascending, as names and as ids."""
        found = [np.empty(0, "S1")]
        for start, rows in self._batches([self._ids]):
            first, last = np.searchsorted(wanted, [start, start + len(rows)])
            some = rows.take(self._pa.array(wanted[first:last].astype(np.int64) - start))
            found.append(self._texts(some, self._ids, "id_column"))
        ids = np.concatenate(found)
        return ids, ids

    def write(self, to: Path, plan: ArrayPlan, kept_only: bool) -> None:
        """Write the rows with ``keep_at`` and ``kept``, whole or not at all."""
        partial = to.with_name(f"{to.name}.{os.getpid()}.partial")
        writer = None
        try:
            for start, rows in self._batches(None):
                table = self._pa.Table.from_batches([rows])
                table = table.drop([n for n in ("keep_at", "kept") if n in table.column_names])
                keep_at = plan.keep_at[start : start + len(rows)]
                kept = keep_at <= plan.table.density
                table = table.append_column("keep_at", self._pa.array(keep_at))
                table = table.append_column("kept", self._pa.array(kept))
                if kept_only:
                    table = table.filter(self._pa.array(kept))
                if writer is None:
                    writer = self._pq.ParquetWriter(partial, table.schema, compression="zstd")
                writer.write_table(table)
            assert writer is not None
            writer.close()
            os.replace(partial, to)
        finally:
            partial.unlink(missing_ok=True)

    def _batches(self, columns: Sequence[str] | None) -> Iterator[tuple[int, Any]]:
        start = 0
        for rows in self._file.iter_batches(ROWS, columns=columns):
            yield start, rows
            start += len(rows)

    def _column(self, rows: Any, name: str, argument: str) -> Any:
        column = rows.column(rows.schema.names.index(name))
        if column.null_count:
            raise DropError(argument, f"{column.null_count} rows have no {name!r}; leave them out")
        return column.cast(self._pa.string())

    def _texts(self, rows: Any, name: str, argument: str) -> Ids:
        column = self._column(rows, name, argument)
        if len(column) == 0:
            return np.empty(0, "S1")
        return np.array([text.encode() for text in column.to_pylist()])


def _check_labels(labels: Sequence[str] | ArrayLike) -> NDArray[Any]:
    """Check that all labels are there: None and NaN would become classes of these names."""
    names = np.asarray(labels, None if hasattr(labels, "dtype") else object)
    if names.dtype.kind in "Of":
        values = names.ravel().tolist()
        odd = [name for name in values if isinstance(name, SEVERAL)]
        if odd:
            raise DropError(
                "labels", f"must be one per id, but one of them is {checks.shown(odd[0])}"
            )
        missing = sum(map(_is_missing, values))
        if missing:
            raise DropError("labels", f"{missing} are missing (None or NaN); leave them out")
    return names


def _is_missing(name: object) -> bool:
    """Whether it is None, a NaN, or pandas' NA, whose comparisons are neither true nor false."""
    return name is None or type(name).__name__ == "NAType" or bool(name != name)


def _check_scores(values: ArrayLike, n: int) -> FloatArray:
    try:
        scores = np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise DropError("scores", f"must be {n} numbers, but {error}") from error
    if scores.shape != (n,) or np.isnan(scores).any():
        raise DropError(
            "scores",
            f"must be {n} numbers, but are {scores.shape} with {int(np.isnan(scores).sum())} "
            "missing ones; leave samples without a score out",
        )
    return scores
