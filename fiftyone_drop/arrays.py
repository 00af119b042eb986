"""Plans from arrays and Parquet files: for more samples than a database should hold.

The order, the quotas and ``keep_at`` are those of ``apply_drop``: for the same ids, labels, recalls
and seed, the same samples are kept. Only these need to go into FiftyOne afterwards.

Arrays and files are two doors to one plan, so the module is longer than others.

NumPy, and PyArrow for files; no FiftyOne, no PyTorch.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fiftyone_drop import array_checks, checks, parquet
from fiftyone_drop._types import Codes, FloatArray, Ids, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.engine.files import check_can_be_written, whole_file
from fiftyone_drop.errors import DropError
from fiftyone_drop.limits import (
    Limits,
    check_per_class,
    check_protect,
    check_quotas,
    check_weights,
    class_bounds,
    floors_under,
    weights_of,
)
from fiftyone_drop.options import KEEP
from fiftyone_drop.order import (
    drop_order,
    keyed_hash,
    order_of_hashes,
    positions_to_keep_at,
    with_scores,
)
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.recall import recalls_of_mapping
from fiftyone_drop.rules import DEFAULT_RULE, Rule, rule_for

ROWS = 2**18  # of a file that are in memory at once
BUFFER = 2**20  # bytes of each of its columns
ONCE = "leave one of each out"  # of rows with one id


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
        ids: (N,) texts or whole numbers, each once; for the plan of a FiftyOne dataset the ids of
            its samples
        labels: (N,) texts, whole numbers, or True and False; the classes are their words, such as
            ``"7"`` and ``"True"``, as of a FiftyOne dataset
        density (None): the fraction of all samples that is kept, in (0, 1]
        scores (None): (N,) integers or floats, which order the samples of a class; None for at
            random
        **options: ``size``, ``recalls``, ``rule``, ``keep``, ``min_per_class``, ``max_per_class``,
            ``protect``, ``quotas``, ``weights``, ``allow_empty_classes`` and ``seed``, as
            ``apply_drop`` takes them

    Returns:
        an :class:`ArrayPlan`

    Raises:
        DropError: if an argument is out of its range, an id, label or score is missing or none, or
            an id occurs twice
        TypeError: if an option is unknown
    """
    parsed = _Options.parse(density, options)
    digits = _encoded(ids)
    classes, codes = _classes(labels)
    n = len(digits)
    if len(codes) != n:
        raise DropError("labels", f"must be one per id, but are {len(codes):,} for {n:,} ids")
    if not n:
        raise DropError("ids", "must be those of at least one sample, but are empty")
    values = None
    if scores is not None:
        values = array_checks.real_numbers("scores", scores, f"must be {n} numbers")
        _check_scores("scores", values, n)
    hashes = keyed_hash(digits, parsed.seed)

    def texts(rows: IntArray) -> tuple[Ids, Ids]:
        return digits[rows], digits[rows]

    order = order_of_hashes(hashes, texts, "ids", ONCE)
    del hashes
    return _plan(order, classes, codes, values, parsed)


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
        to (None): the file to write, whole or not at all: the columns of ``path``, ``keep_at`` and
            ``kept``; None writes nothing
        density (None): the fraction of all samples that is kept, in (0, 1]
        id_column ("id"): a column of texts or whole numbers, each once
        label_column ("label"): a column of texts, whole numbers or booleans: the classes, named as
            in :func:`plan_arrays`
        score_column (None): a column of numbers, which order the samples of a class; None for at
            random
        kept_only (False): whether to write the kept samples alone
        overwrite (False): whether to replace a file that is there
        **options: as in :func:`plan_arrays`

    Returns:
        an :class:`ArrayPlan`

    Raises:
        DropError: if an argument is out of its range, PyArrow is not installed, ``to`` cannot be
            written, or ``path`` cannot be read, has no such column, a column of another type, a
            missing value, or an id twice
        TypeError: if an option is unknown
    """
    parsed = _Options.parse(density, options)
    source = _File(checks.path("path", path), id_column, label_column, score_column)
    target = None if to is None else checks.path("to", to)
    kept_only, overwrite = (
        checks.flag("kept_only", kept_only),
        checks.flag("overwrite", overwrite),
    )
    if target is not None:
        if os.path.lexists(target) and not overwrite:
            raise DropError("to", f"{target} exists; pass another, or overwrite=True")
        check_can_be_written("to", target)
        source.check_types(kept_only)
    hashes, classes, codes, scores = source.read(parsed.seed)
    order = order_of_hashes(hashes, source.texts, "id_column", ONCE)
    del hashes
    plan = _plan(order, classes, codes, scores, parsed)
    if target is not None:
        source.write(target, plan, kept_only)
    return plan


@dataclass(frozen=True)
class _Options:
    """The options of :func:`plan_arrays`, as plain values."""

    amount: Amount
    limits: Limits
    recalls: Mapping[Any, float] | None
    rule: Rule
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
            rule: str = DEFAULT_RULE,
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
            by_hand = check_weights("weights", weights)
            the_rule = rule_for(rule, by_hand)
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
                the_rule,
                checks.choice("keep", keep, KEEP) == "hardest",
                by_hand,
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
    columns, recalls = {"sizes": sizes.astype(float)}, None
    if options.recalls is not None:
        recalls = columns["recalls"] = recalls_of_mapping(options.recalls, classes)
    weights = weights_of(options.rule, options.weights, classes, columns)
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
        self._pa, self._pq = parquet.pyarrow_parquet(
            "path", "plan_parquet reads and writes Parquet files, which"
        )
        self._path = path
        self._ids = checks.text("id_column", ids)
        self._labels = checks.text("label_column", labels)
        self._scores = checks.text("score_column", scores, optional=True)
        if not path.is_file():  # a pipe would be waited for
            raise DropError("path", f"there is no file {path}; pass the path of a Parquet file")
        try:
            # By default PyArrow keeps all bytes of the file that it has read
            self._file = self._pq.ParquetFile(path, pre_buffer=False, buffer_size=BUFFER)
        except Exception as error:  # on a foreign or damaged file PyArrow may raise anything
            raise self._unreadable(error) from error
        self._check_column("id_column", self._ids, parquet.is_word, array_checks.WORDS)
        self._check_column("label_column", self._labels, parquet.is_word, array_checks.WORDS)
        if self._scores is not None:
            self._check_column("score_column", self._scores, parquet.is_number, "numbers")
        facts = self._file.metadata
        self._n = sum(facts.row_group(i).num_rows for i in range(facts.num_row_groups))
        if self._n != facts.num_rows:
            raise self._unreadable("the numbers of rows that it says do not go together")
        if self._n < 1:
            raise DropError("path", f"{path} has no rows")

    def check_types(self, kept_only: bool) -> None:
        """Check that rows with columns of these types can be written.

        Raises:
            DropError: if they cannot
        """
        try:
            # One row, of nothing: of no row PyArrow filters types that it cannot filter
            nulls = [self._pa.nulls(1, kind) for kind in self._file.schema_arrow.types]
            row = self._pa.Table.from_arrays(nulls, schema=self._file.schema_arrow)
            self._written(row, np.ones(1), 1.0, kept_only)
        except self._pa.ArrowException as error:
            raise DropError(
                "kept_only", f"{self._path} has a column that PyArrow cannot filter ({error})"
            ) from error

    def read(self, seed: int) -> tuple[Any, tuple[str, ...], Codes, FloatArray | None]:
        """The hashes of the ids, the classes in sorted order, and of each row class and score."""
        n = self._n
        hashes, codes = np.empty(n, np.uint64), np.empty(n, np.int32)
        scores = None if self._scores is None else np.empty(n)
        code_of: dict[str, int] = {}
        columns = {self._ids, self._labels} | ({self._scores} if self._scores else set())
        for start, rows in self._batches(sorted(columns)):
            part = slice(start, start + len(rows))
            hashes[part] = keyed_hash(_bytes_of(self._words(rows, self._ids, "id_column")), seed)
            labels = self._words(rows, self._labels, "label_column").dictionary_encode()
            names = [array_checks.word("label_column", v) for v in labels.dictionary.to_pylist()]
            known = [code_of.setdefault(name, len(code_of)) for name in names]
            codes[part] = np.array(known, np.int32)[labels.indices.to_numpy()]
            if scores is not None:
                scores[part] = parquet.numbers(_column(rows, self._scores))
        if scores is not None:
            _check_scores("score_column", scores, n)
        return hashes, _in_sorted_order(list(code_of), codes), codes, scores

    def texts(self, wanted: IntArray) -> tuple[Ids, Ids]:
        """The ids of some rows, ascending, as names and as ids."""
        found = [np.empty(0, "S1")]
        for start, rows in self._batches([self._ids]):
            first, last = np.searchsorted(wanted, [start, start + len(rows)])
            some = self._pa.array(wanted[first:last].astype(np.int64) - start)
            found.append(_bytes_of(self._words(rows, self._ids, "id_column").take(some)))
        ids = np.concatenate(found)
        return ids, ids

    def write(self, to: Path, plan: ArrayPlan, kept_only: bool) -> None:
        """Write the rows with ``keep_at`` and ``kept``, whole or not at all.

        Raises:
            DropError: if the file cannot be written
        """
        try:
            with whole_file(to) as file, contextlib.ExitStack() as opened:
                writer = None
                for start, rows in self._batches(None):
                    table = self._written(
                        self._pa.Table.from_batches([rows]),
                        plan.keep_at[start : start + len(rows)],
                        plan.table.density,
                        kept_only,
                    )
                    writer = writer or opened.enter_context(
                        self._pq.ParquetWriter(file, table.schema, compression="zstd")
                    )
                    writer.write_table(table)
        except (OSError, self._pa.ArrowException) as error:
            raise DropError("to", f"{to} cannot be written ({error}); pass another") from error

    def _written(self, rows: Any, keep_at: FloatArray, density: float, kept_only: bool) -> Any:
        """The table that is written for some rows."""
        kept = self._pa.array(keep_at <= density)
        ours = ("keep_at", "kept")
        rows = rows.select([i for i, name in enumerate(rows.column_names) if name not in ours])
        rows = rows.append_column(ours[0], self._pa.array(keep_at)).append_column(ours[1], kept)
        return parquet.without_views(rows).filter(kept) if kept_only else rows

    def _batches(self, columns: Sequence[str] | None) -> Iterator[tuple[int, Any]]:
        """Parts of the rows, and where each begins.

        Raises:
            DropError: if the file is damaged
        """
        end = 0
        try:
            for rows in self._file.iter_batches(ROWS, columns=columns):
                start, end = end, end + len(rows)
                if end > self._n:
                    break
                yield start, rows
        except Exception as error:  # on a damaged file PyArrow may raise anything
            raise self._unreadable(error) from error
        if end != self._n:
            raise self._unreadable(f"it does not hold the {self._n:,} rows that it says")

    def _check_column(
        self, argument: str, name: str, fits: Callable[[Any], bool], what: str
    ) -> None:
        schema = self._file.schema_arrow
        there = schema.names
        if there.count(name) != 1:
            how_many = "several columns" if name in there else "no column"
            raise DropError(argument, f"{self._path} has {how_many} {name!r}; it has {there}")
        kind = schema.field(name).type
        if not fits(kind):
            raise DropError(
                argument,
                f"must name a column of {what}, but {name!r} holds values of the type "
                f"{str(kind)[:100]}; convert them",
            )

    def _words(self, rows: Any, name: str, argument: str) -> Any:
        column = _column(rows, name)
        try:
            found = parquet.words(column)
        except ValueError as error:
            raise DropError(
                argument, f"{name!r} holds bytes that are no UTF-8 ({error})"
            ) from error
        if found.null_count:
            raise DropError(argument, f"{found.null_count} rows have no {name!r}; leave them out")
        return found

    def _unreadable(self, error: object) -> DropError:
        return DropError("path", f"cannot read {self._path} as a Parquet file: {error}")


def _column(rows: Any, name: str | None) -> Any:
    return rows.column(rows.schema.names.index(name))


def _bytes_of(column: Any) -> Ids:
    """The ids of a column of words, which may be empty."""
    words = column.to_pylist()
    if words and not checks.is_text(words[0]):
        words = [array_checks.word("id_column", word) for word in words]
    return np.array([word.encode() for word in words], None if words else "S1")


def _encoded(ids: Sequence[str] | ArrayLike) -> Ids:
    """The ids of :func:`plan_arrays`, (N,) bytes."""
    found = array_checks.words("ids", ids)
    kind = found.dtype.kind
    if kind == "S" and (np.frombuffer(found.tobytes(), np.uint8) < 128).all():
        return found
    with contextlib.suppress(UnicodeEncodeError):  # below is said of which
        if kind == "U":
            return np.char.encode(found, "utf-8")
        if kind == "O":
            return np.array([text.encode() for text in found.tolist()])
    return np.array([array_checks.word("ids", value).encode() for value in found.tolist()])


def _classes(labels: Sequence[str] | ArrayLike) -> tuple[tuple[str, ...], Codes]:
    """The classes in sorted order, and the class of each label, (N,) int."""
    found = array_checks.words("labels", labels)
    if found.dtype.kind == "O":
        code_of: dict[str, int] = {}
        known = (code_of.setdefault(name, len(code_of)) for name in found.tolist())
        codes = np.fromiter(known, np.int32, len(found))
        distinct: list[Any] = list(code_of)
    else:
        values, inverse = np.unique(found, return_inverse=True)
        distinct, codes = values.tolist(), inverse.astype(np.int32)
    return _in_sorted_order(
        [array_checks.word("labels", value) for value in distinct], codes
    ), codes


def _in_sorted_order(names: Sequence[str], codes: Codes) -> tuple[str, ...]:
    """Distinct names, sorted; codes into them become codes into these, in place."""
    order = sorted(range(len(names)), key=names.__getitem__)
    rank = np.empty(len(names), np.int32)
    rank[order] = np.arange(len(names))
    for start in range(0, len(codes), ROWS):
        part = slice(start, start + ROWS)
        codes[part] = rank[codes[part]]
    return tuple(names[i] for i in order)


def _check_scores(argument: str, scores: FloatArray, n: int) -> None:
    if scores.shape != (n,):
        raise DropError(argument, f"must be {n} numbers, but has the shape {scores.shape}")
    missing = int(np.isnan(scores).sum())
    if missing:
        raise DropError(
            argument,
            f"must be {n} numbers, but {missing} are missing; leave samples without a score out",
        )
