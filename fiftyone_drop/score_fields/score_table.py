"""A table of scores: which of its columns tells the samples, and which hold scores."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fiftyone_drop import array_checks, checks
from fiftyone_drop._types import FloatArray
from fiftyone_drop.errors import DropError, listing

MISSING = frozenset({"", "nan", "na", "n/a", "<na>", "null", "none"})  # as cells, in any case
_TRIED = 100  # cells, before a column counts as one of texts

Texts = Sequence[str | None]


@dataclass(frozen=True, eq=False)
class Column:
    """A column of a table. A column of texts that are all numbers may be either.

    Attributes:
        texts: N texts, None where a cell is empty; None if the column holds something else
        numbers: N numbers, NaN where a cell is empty; None if the column holds something else
        doubt: why cells are no numbers, where some of them are; or what the column holds instead
    """

    texts: Texts | None = None
    numbers: Any = None
    doubt: str | None = None


@dataclass(frozen=True, eq=False)
class ScoreTable:
    """The columns of a file or a data frame.

    Attributes:
        source: its name, in words
        columns: name -> column
        only_scores: whether each column of numbers is a score
        ordered: whether rows may stand in the order of the samples
        counters: names of columns that may only count the rows
    """

    source: str
    columns: Mapping[str, Column]
    only_scores: bool = False
    ordered: bool = False
    counters: Collection[str] = ()

    def samples(self, name: str | None, found: Callable[[Texts], Any]) -> Texts | None:
        """The column of ids or file paths.

        Args:
            name: the column that the user named; None to take the one of which most are found
            found: gives the rows of the collection where texts are found, for each text

        Returns:
            None if the rows are in the order of the samples

        Raises:
            DropError: if there is no such column, or it is not clear which it is
        """
        if name is not None:
            texts = self._named("sample_column", name).texts
            if texts is None:
                raise DropError("sample_column", f"'{name}' of {self.source} holds no texts")
            return texts
        texts_of = {n: c.texts for n, c in self.columns.items() if c.texts is not None}
        surely = [n for n in texts_of if self.columns[n].numbers is None]
        if not texts_of and self.ordered:
            return None
        if not texts_of:
            raise DropError(
                "scores",
                f"{self.source} has no column of sample ids or file paths, only "
                f"{listing(list(self.columns))}; add one",
            )
        if len(texts_of) == 1 or len(surely) == 1:
            return texts_of[surely[0]] if surely else next(iter(texts_of.values()))
        rows = {n: found(texts) for n, texts in texts_of.items()}
        hits = {n: sum(map(bool, places)) for n, places in rows.items()}
        most = max(hits.values())
        best = [n for n in texts_of if hits[n] == most]
        if not most:
            words = listing(
                surely or best,
                5,
                lambda n: f"'{n}', such as {checks.shown(_first(texts_of[n]), 60)}",
            )
            raise DropError(
                "scores",
                f"no column of {self.source} holds ids or file paths of the collection: {words}; "
                "name it with sample_column=, and pass path_prefix=(old, new) where files lie in "
                "another folder",
            )
        if any(rows[n] != rows[best[0]] for n in best[1:]):
            raise DropError(
                "sample_column",
                f"must say which of the columns {listing(best)} of {self.source} tells the samples",
            )
        return texts_of[best[0]]

    def scores(
        self, asked: Mapping[str, str] | None, samples: Texts | None, known: Collection[str]
    ) -> dict[str, Any]:
        """The scores, by name, each N numbers.

        Args:
            asked: column -> score, as the user said; None to take the columns of numbers
            samples: the column that tells the samples
            known: scores whose direction is known

        Raises:
            DropError: if a column does not hold numbers, or it is not clear which are scores
        """
        if asked is not None:
            return {score: self._numbers(name) for name, score in asked.items()}
        others = {
            name: column
            for name, column in self.columns.items()
            if (column.texts is None or column.texts is not samples) and name not in self.counters
        }
        names = [name for name, column in others.items() if column.numbers is not None]
        doubtful = [
            f"'{name}' {column.doubt}"
            for name, column in others.items()
            if column.numbers is None and column.doubt and (name in known or not names)
        ]
        if not names or doubtful:
            raise DropError(
                "scores",
                f"{self.source} has {'cells' if names else 'no column'} of scores that are no "
                f"numbers: {'; '.join(doubtful[:5])}"
                if doubtful
                else f"{self.source} has no scores: none of its columns holds numbers",
            )
        if len(names) > 1 and not self.only_scores and not set(names) <= set(known):
            raise DropError(
                "score_columns",
                f"must say which of the columns {listing(names)} of {self.source} are scores",
            )
        return {name: self.columns[name].numbers for name in names}

    def _numbers(self, name: str) -> Any:
        column = self._named("score_columns", name)
        if column.numbers is None:
            words = column.doubt or "holds none"
            raise DropError("score_columns", f"must name columns of numbers, but '{name}' {words}")
        return column.numbers

    def _named(self, argument: str, name: str) -> Column:
        if name not in self.columns:
            raise DropError(
                argument,
                f"{self.source} has no column '{name}', but {listing(list(self.columns), 20)}",
            )
        return self.columns[name]


def check_score_columns(value: object) -> dict[str, str] | None:
    """The argument ``score_columns``: column -> score, or None.

    Raises:
        DropError: if it is something else, or two columns would be one score
    """
    if value is None:
        return None
    argument = "score_columns"
    if checks.is_text(value):
        name = checks.text(argument, value)
        return {name: name}
    if isinstance(value, Mapping):
        pairs = [(checks.text(argument, c), checks.text(argument, s)) for c, s in value.items()]
    else:
        pairs = [(name, name) for name in checks.texts(argument, value)]
    if not pairs:
        raise DropError(argument, "must name a column, but is empty")
    if len({score for _, score in pairs}) < len(pairs):
        raise DropError(argument, f"must name each score once, but got {checks.shown(value)}")
    return dict(pairs)


def column_of_texts(
    texts: Texts, where: Callable[[int], str], decimal_comma: bool = False
) -> Column:
    """A column of texts, which may all be numbers.

    Args:
        texts: N texts, None for empty cells
        where: the words for the place of a row, such as ``"line 7"``
        decimal_comma (False): whether ``0,5`` is a number
    """
    cells = [
        (row, text)
        for row, text in enumerate(texts)
        if text is not None and text.strip().lower() not in MISSING
    ]
    numbers: FloatArray = np.full(len(texts), np.nan)
    odd = None
    for i, (row, text) in enumerate(cells):
        try:
            numbers[row] = _number(text, decimal_comma)
        except ValueError:
            odd = odd or f"holds {checks.shown(text, 40)} in {where(row)}"
            if i > _TRIED:
                break
    if not cells:
        return Column(doubt="is empty")
    some = not np.isnan(numbers).all()
    return Column(texts, None, odd if some else None) if odd else Column(texts, numbers)


def _number(text: str, decimal_comma: bool) -> float:
    if decimal_comma and text.count(",") == 1 and "." not in text:
        text = text.replace(",", ".")
    if "_" in text:  # a number to Python, and to nobody else
        raise ValueError(text)
    return float(text)


def column_of_numbers(values: Any) -> Column:
    """A column of values that are no texts: numbers, or something else."""
    try:
        return Column(numbers=array_checks.real_numbers("scores", values, rule=""))
    except DropError as error:
        return Column(doubt=error.message)


def table_of_frame(frame: Any, source: str) -> ScoreTable:
    """The columns of a :class:`pandas.DataFrame`, and what its index holds besides numbers.

    Raises:
        DropError: if two columns have one name
    """
    columns: dict[str, Column] = {}
    for level in range(frame.index.nlevels):
        values = frame.index.get_level_values(level)
        column = _column_of_series(values.to_series(index=range(len(values))))
        if column.texts is not None:
            columns[f"index {level}" if level else "index"] = column
    for i, name in enumerate(frame.columns):
        words = name if isinstance(name, str) else str(name)
        if words in columns:
            raise DropError("scores", f"two columns of {source} are called '{words}'")
        columns[words] = _column_of_series(frame.iloc[:, i])
    return ScoreTable(source, columns)


def _column_of_series(series: Any) -> Column:
    from pandas.api import types

    if types.is_bool_dtype(series.dtype) or types.is_complex_dtype(series.dtype):
        return Column(doubt=f"holds values of {series.dtype}")
    try:
        values, empty = series.tolist(), series.isna().to_numpy()
    except Exception as error:  # of objects that pandas cannot compare
        return Column(doubt=f"holds values that pandas cannot read ({str(error)[:100]})")
    if empty.all():
        return Column(doubt="is empty")
    if types.is_numeric_dtype(series.dtype):
        return Column(numbers=series.to_numpy(dtype=np.float64, na_value=np.nan))
    first = values[int(np.argmin(empty))]
    if isinstance(first, str | os.PathLike):
        texts = [None if none else _text(v) for v, none in zip(values, empty, strict=True)]
        return column_of_texts(texts, lambda row: f"row {row + 1}")
    return column_of_numbers([None if none else v for v, none in zip(values, empty, strict=True)])


def _text(value: object) -> str:
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def _first(texts: Texts) -> str | None:
    return next((text for text in texts if text is not None), None)
