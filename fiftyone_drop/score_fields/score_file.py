"""Files of scores, which anybody may have written: nothing in them is taken on trust."""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from fiftyone_drop import checks, parquet
from fiftyone_drop.engine.files import open_file
from fiftyone_drop.errors import DropError
from fiftyone_drop.score_fields.score_table import (
    Column,
    ScoreTable,
    column_of_numbers,
    column_of_texts,
)

# Bytes that a file may hold: much more than scores need, and little for the memory
_SOME, _PER_SAMPLE = 2**24, 2**10
_LETTERS = 200  # of the name of a column
_MUCH = 2**32  # where it may hold other samples too
_BOMS = {b"\xff\xfe": "utf-16", b"\xfe\xff": "utf-16"}
_DELIMITERS = ",;\t|"

Switches = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ScoreFile:
    """What a file holds.

    Attributes:
        table: its columns
        epochs: of the training run, if known
        switches: score -> its switches, if known
        presentations: how often its samples were presented, the fewest and the most times
    """

    table: ScoreTable
    epochs: int | None = None
    switches: Switches = field(default_factory=dict)
    presentations: list[int] | None = None


def read_score_file(path: Path, samples: int | None) -> ScoreFile:
    """Read a file: .csv, .tsv and .txt, .parquet and .pq; any other as ``DynamicsRecorder.save``.

    Args:
        path: the file
        samples: the number of samples whose scores it may hold; None for any

    Raises:
        DropError: the file is missing, damaged, or something else; or PyArrow is needed
    """
    words, read = _KINDS.get(path.suffix.lower(), ("an .npz file of numbers", _read_npz))
    most = _MUCH if samples is None else _SOME + _PER_SAMPLE * samples
    if read is _read_parquet:
        _pyarrow()
    try:
        with open_file(path) as file:
            return read(file, path.name, most)
    except FileNotFoundError as error:
        raise DropError("scores", f"there is no file {path}") from error
    except Exception as error:  # from the libraries that read files: it may be anything
        reason = " ".join(f"{type(error).__name__}: {str(error)[:500]}".split())
        raise DropError(
            "scores",
            f"{path} is not {words} ({reason}); the end of its name says what it is: .csv, .tsv, "
            ".parquet or .npz",
        ) from error


def _check_size(size: int, most: int) -> None:
    if size > most:
        raise ValueError(f"it holds {size:,} bytes, and scores would have {most:,} at most")


# -- .npz -----------------------------------------------------------------------------------------


def _read_npz(file: BinaryIO, name: str, most: int) -> ScoreFile:
    with zipfile.ZipFile(file) as archive:
        _check_size(sum(info.file_size for info in archive.infolist()), most)
    file.seek(0)
    with np.load(file, allow_pickle=False) as arrays:
        content = {key: arrays[key] for key in arrays.files}
    facts = json.loads(str(content.pop("conventions"))) if "conventions" in content else {}
    if not content or not all(isinstance(value, np.ndarray) for value in content.values()):
        raise ValueError("it holds no scores, or more than arrays")
    if not isinstance(facts, dict):
        raise ValueError("its conventions are no mapping")
    columns = {key: _column_of_array(key, value) for key, value in content.items()}
    return ScoreFile(
        ScoreTable(name, columns, only_scores=True, ordered=True),
        checks.whole("epochs", facts.get("epochs"), least=0, optional=True),
        _switches(facts.get("switches", {})),
        _presentations(facts.get("presentations")),
    )


def _column_of_array(name: str, array: Any) -> Column:
    if array.dtype.kind not in "SU":
        if name == "ids":
            raise ValueError("its ids are no texts")
        return column_of_numbers(array)
    if array.ndim != 1:
        raise ValueError(f"the texts '{name}' are no list")
    if array.dtype.kind == "S":
        return Column([text.decode() for text in array.tolist()])
    return Column(array.tolist())


def _presentations(pair: Any) -> list[int] | None:
    if pair is None:
        return None
    least, most = pair
    return [checks.whole("presentations", number, least=0) for number in (least, most)]


def _switches(switches: Any) -> Switches:
    return {
        score: {
            name: value if isinstance(value, str) else checks.whole(name, value)
            for name, value in values.items()
        }
        for score, values in switches.items()
    }


# -- .csv and .tsv --------------------------------------------------------------------------------


def _read_csv(file: BinaryIO, name: str, most: int) -> ScoreFile:
    content = file.read(most + 1)
    _check_size(len(content), most)
    text = content.decode(_BOMS.get(content[:2], "utf-8-sig"))
    if "\0" in text:
        raise ValueError("it holds bytes of zero, as no text does")
    first = re.sub(r'"[^"]*"', "", text.partition("\n")[0])  # names may hold delimiters
    tabs = name.lower().endswith(".tsv") and "\t" in first
    delimiter = "\t" if tabs else max(_DELIMITERS, key=first.count)
    reader = csv.reader(
        io.StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    header = next(reader, [])
    lines: list[int] = []
    cells: list[list[str]] = []
    for row in reader:
        if not any(row):
            continue
        if len(row) != len(header):
            raise ValueError(
                f"line {reader.line_num} has {len(row)} cells, and the first line has {len(header)}"
            )
        lines.append(reader.line_num)
        cells.append(row)
    if not cells:
        raise ValueError("it has no line below that of its column names")
    names = [words.strip() or f"column {i}" for i, words in enumerate(header, 1)]
    _check_names(names)

    def place(row: int) -> str:
        return f"line {lines[row]}"

    columns = {
        column: column_of_texts([text or None for text in texts], place, delimiter == ";")
        for column, texts in zip(names, zip(*cells, strict=True), strict=True)
    }
    counters = [n for n, words in zip(names, header, strict=True) if words in ("", "Unnamed: 0")]
    return ScoreFile(ScoreTable(name, columns, counters=counters))


def _check_names(names: list[str]) -> None:
    twice = next((name for i, name in enumerate(names) if name in names[:i]), None)
    if twice is not None:
        raise ValueError(f"two columns are called '{twice}'")
    longest = max(map(len, names), default=0)
    if longest > _LETTERS:
        raise ValueError(f"the name of a column has {longest:,} letters")


# -- .parquet -------------------------------------------------------------------------------------


def _read_parquet(file: BinaryIO, name: str, most: int) -> ScoreFile:
    pa, pq = _pyarrow()
    schema = pq.ParquetFile(file).schema_arrow
    _check_names(schema.names)
    texts = [f.name for f in schema if parquet.is_text(f.type)]
    numbers = [f.name for f in schema if parquet.is_number(f.type)]
    content = pq.ParquetFile(file, read_dictionary=texts)
    metadata = content.metadata
    groups = (metadata.row_group(i) for i in range(metadata.num_row_groups))
    cells = 8 * metadata.num_rows * len(texts + numbers)
    _check_size(max(cells, sum(group.total_byte_size for group in groups)), most)
    rows = content.read(columns=texts + numbers)
    rows.validate(full=True)
    if not len(rows):
        raise ValueError("it has no row")
    columns: dict[str, Column] = {}
    for part in schema:
        column = rows.column(part.name) if part.name in rows.column_names else None
        if column is None:
            columns[part.name] = Column(doubt=f"holds values of the type {str(part.type)[:100]}")
        elif column.null_count == len(column):
            columns[part.name] = Column(doubt="is empty")
        elif part.name in numbers:
            columns[part.name] = Column(numbers=parquet.numbers(column))
        else:
            words = _texts_of(pa, column)
            columns[part.name] = column_of_texts(words, lambda row: f"row {row + 1}")
    counters = [n for n in numbers if n.startswith("__index_level_")]  # of a pandas frame
    return ScoreFile(ScoreTable(name, columns, counters=counters))


def _pyarrow() -> tuple[Any, Any]:
    return parquet.pyarrow_parquet("scores", "Parquet files")


def _texts_of(pa: Any, column: Any) -> list[str | None]:
    """The texts of a column; what a file says a thousand times is in the memory once."""
    texts: list[str | None] = []
    for chunk in column.chunks:
        if not pa.types.is_dictionary(chunk.type):
            chunk = chunk.dictionary_encode()
        words = [*chunk.dictionary.to_pylist(), None]
        texts += [words[-1 if i is None else i] for i in chunk.indices.to_pylist()]
    return texts


_Reader = Callable[[BinaryIO, str, int], ScoreFile]
_CSV: tuple[str, _Reader] = ("a table of texts, with a line of column names", _read_csv)
_PARQUET: tuple[str, _Reader] = ("a Parquet file of numbers and texts", _read_parquet)
_KINDS = {".csv": _CSV, ".tsv": _CSV, ".txt": _CSV, ".parquet": _PARQUET, ".pq": _PARQUET}
