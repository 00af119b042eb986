"""The file of a manifest: a run as Parquet, and back.

A row for each sample of the run, in its order; the record and the class table as JSON in the file's
metadata. A file comes from anybody: nothing in it is taken for true before it is checked, and no
class is looked up by a name in it.

Everything in it is checked, so the module is longer than others.

NumPy and PyArrow; no FiftyOne.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_drop import checks, parquet
from fiftyone_drop._types import Codes, FloatArray, Ids
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.errors import DropError
from fiftyone_drop.options import group_by_of, group_names
from fiftyone_drop.order import places

METADATA = b"fiftyone_drop"  # the key of the record in the metadata
FORMAT = 1


@dataclass(frozen=True, eq=False)
class Manifest:
    """A run: its record, its class table and its N samples, in its order.

    Attributes:
        key: the run key
        dataset: the name of the dataset it is from
        density: the dataset density at which it stands, in (0, 1]
        asked: every argument of ``apply_drop``, as plain values
        label_field: the field of the class labels
        recalls_from: where the recalls are from, in words; None without recalls
        warnings: the warnings of the call that made the run
        table: the class table, as it was decided
        ids: (N,) S24, sample ids
        filepaths: their N file paths
        codes: (N,) int32, their classes as positions in the class table
        keep_at: (N,) float, their smallest dataset densities, ascending, above 1 beyond a cap
        scores: (N,) float, the values of the score field that the run was ordered by; None without
    """

    key: str
    dataset: str
    density: float
    asked: Mapping[str, Any]
    label_field: str
    recalls_from: str | None
    warnings: tuple[str, ...]
    table: ClassTable
    ids: Ids
    filepaths: list[str]
    codes: Codes
    keep_at: FloatArray
    scores: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def group_by(self) -> str | tuple[str, ...] | None:
        """The field that divides classes into cells, several fields as a tuple, or None."""
        return group_by_of(self.asked)

    def check(self) -> None:
        """Check that the parts fit together, as those of a run do.

        Raises:
            ValueError: if they do not; it says in what
        """
        n, k = self.table.size, len(self.table.classes)
        if not len(self):
            raise ValueError("it has no sample")
        positions = places(self.keep_at, n)
        beyond_caps = positions >= self.table.bounds.most
        if not np.array_equal((positions + 0.5) / n + beyond_caps, self.keep_at):
            raise ValueError(f"its places in the order are not those of {n:,} samples")
        if positions[0] < 0 or positions[-1] >= n or np.any(np.diff(positions) <= 0):
            raise ValueError("its places in the order are not distinct and ascending")
        if len(np.unique(self.ids)) < len(self):
            raise ValueError("an id occurs twice")
        counts = np.bincount(self.codes, minlength=k)
        kept = np.bincount(self.codes[self.keep_at <= self.table.density], minlength=k)
        if np.any(counts > self.table.sizes) or np.any(kept > self.table.quotas):
            raise ValueError("a class has more samples than its class table says")


def to_parquet(manifest: Manifest) -> memoryview:
    """The bytes of a file.

    Raises:
        DropError: if PyArrow is not installed
    """
    pa, pq = _pyarrow()
    names: list[Sequence[str]] = [
        name if isinstance(name, tuple) else (name,) for name in manifest.table.classes
    ]
    codes = pa.array(manifest.codes)
    columns = {
        "id": pa.array([digits.decode() for digits in manifest.ids.tolist()]),
        "filepath": pa.array(manifest.filepaths, pa.string()),
        "label": pa.DictionaryArray.from_arrays(codes, [name[0] for name in names]),
    }
    for i, column in enumerate(_group_columns(manifest.group_by), 1):
        columns[column] = pa.DictionaryArray.from_arrays(codes, [name[i] for name in names])
    if manifest.scores is not None:
        columns["score"] = pa.array(manifest.scores)
    columns["keep_at"] = pa.array(manifest.keep_at)
    columns["kept"] = pa.array(manifest.keep_at <= manifest.density)
    record = {
        "format": FORMAT,
        "key": manifest.key,
        "dataset": manifest.dataset,
        "density": manifest.density,
        "asked": dict(manifest.asked),
        "label_field": manifest.label_field,
        "recalls_from": manifest.recalls_from,
        "warnings": list(manifest.warnings),
        "class_table": manifest.table.to_dict(),
    }
    table = pa.table(columns).replace_schema_metadata({METADATA: json.dumps(record)})
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd")
    return memoryview(sink.getvalue())


def is_manifest(path: Path) -> bool:
    """Whether a file says that it is a manifest."""
    _, pq = _pyarrow()
    try:
        return path.is_file() and METADATA in (pq.read_schema(path).metadata or {})
    except Exception:  # whatever PyArrow raises on files of other kinds
        return False


def read_manifest(path: Path) -> Manifest:
    """Read and check a file.

    Raises:
        DropError: if there is no such file, it is no manifest, or it is damaged
    """
    _, pq = _pyarrow()
    if not path.is_file():
        raise DropError("path", f"there is no file {path}; save_manifest writes one")
    try:
        file = pq.ParquetFile(path)
        record = (file.schema_arrow.metadata or {}).get(METADATA)
        if record is None:
            raise ValueError("it has no record of a drop run")
        record = json.loads(record)
        if record["format"] != FORMAT:
            raise ValueError(f"its format is {record['format']!r}, and this version reads {FORMAT}")
        manifest = _parse(record, file.read())
        manifest.check()
    except Exception as error:  # on a foreign or damaged file PyArrow may raise anything
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise DropError(
            "path",
            f"{path} is no manifest of a drop run, or it is damaged ({reason[:300]}); write it "
            "again with save_manifest",
        ) from error
    return manifest


def _parse(record: Mapping[str, Any], rows: Any) -> Manifest:
    """A manifest from what the file holds.

    Raises:
        Exception: if something is missing, or of the wrong kind
    """
    asked = {checks.text("asked", name): _plain(value) for name, value in record["asked"].items()}
    group_by = group_by_of(asked)
    for name in ("rule", "select"):
        checks.text(name, asked[name])
    checks.flag("allow_empty_classes", asked["allow_empty_classes"])
    table = _class_table(record["class_table"], group_by)
    ids, filepaths, labels = (_texts(rows, name) for name in ("id", "filepath", "label"))
    cells: list[Any] = labels
    if group_by is not None:
        groups = [_texts(rows, name) for name in _group_columns(group_by)]
        cells = list(zip(labels, *groups, strict=True))
    code_of = {name: code for code, name in enumerate(table.classes)}
    if any(len(digits) != 24 or int(digits, 16) < 0 for digits in ids):
        raise ValueError("an id is none")
    return Manifest(
        key=checks.text("key", record["key"]),
        dataset=checks.text("dataset", record["dataset"]),
        density=checks.density("density", record["density"]),
        asked=asked,
        label_field=checks.text("label_field", record["label_field"]),
        recalls_from=checks.text("recalls_from", record["recalls_from"], optional=True),
        warnings=checks.texts("warnings", record["warnings"]),
        table=table,
        ids=np.array(ids, dtype="S24"),
        filepaths=filepaths,
        codes=np.array([code_of[cell] for cell in cells], dtype=np.int32),
        keep_at=_numbers(rows, "keep_at"),
        scores=_numbers(rows, "score", finite=False) if "score" in rows.column_names else None,
    )


def _group_columns(group_by: str | tuple[str, ...] | None) -> list[str]:
    """The columns of the values of ``group_by``."""
    n = len(group_names(group_by))
    return ["group"] if n == 1 else [f"group_{i}" for i in range(1, n + 1)]


def _class_table(values: Mapping[str, Any], group_by: str | tuple[str, ...] | None) -> ClassTable:
    table = ClassTable.from_dict(values)
    k, n = len(table.classes), np.asarray(table.sizes)
    for name in table.classes:
        parts = name if isinstance(name, tuple) else (name,)
        if len(parts) != 1 + len(group_names(group_by)):
            raise ValueError(f"the class {name!r} does not go with group_by={group_by!r}")
        for part in parts:
            checks.text("classes", part, empty=True)
    if list(table.classes) != sorted(set(table.classes)):
        raise ValueError("its classes are not distinct and sorted")
    checks.density("density", table.density)
    _check_bounds(table)
    columns = [table.sizes, table.quotas, table.weights, table.recalls]
    columns += [table.correct, table.support, *table.columns.values()]
    for column in columns:
        if column is not None and (column.shape != (k,) or not np.isfinite(column).all()):
            raise ValueError("a column of its class table is not one number per class")
    if np.any(n < 1) or np.any(table.quotas < 0) or np.any(table.quotas > n):
        raise ValueError("its class sizes or quotas cannot be")
    if table.weights is not None and np.any(table.weights < 0):
        raise ValueError("a class weight is negative")
    if table.recalls is not None and (np.any(table.recalls < 0) or np.any(table.recalls > 1)):
        raise ValueError("a recall is not in [0, 1]")
    return table


def _check_bounds(table: ClassTable) -> None:
    """Check that floors and caps are some of these classes.

    Raises:
        ValueError: if they are not
    """
    bounds, zeros = table.bounds, np.zeros_like(table.sizes)
    columns = [bounds.must_keep, bounds.floors, bounds.caps, bounds.kept_before]
    if any(c.shape != zeros.shape or c.dtype.kind not in "iu" for c in columns):
        raise ValueError("its floors or caps are not one whole number per class")
    ascending = [zeros, bounds.must_keep, bounds.floors, bounds.caps, table.sizes]
    pairs = [*itertools.pairwise(ascending), (zeros, bounds.kept_before)]
    if any(np.any(low > high) for low, high in [*pairs, (bounds.kept_before, table.sizes)]):
        raise ValueError("its floors or caps cannot be")
    for name in ("floors_by", "caps_by"):
        checks.texts(name, getattr(bounds, name))


def _texts(rows: Any, name: str) -> list[str]:
    column = rows.column(name)
    if not parquet.is_text(column.type) or column.null_count:
        raise ValueError(f"the column {name} does not hold one text per row")
    return parquet.words(column).to_pylist()  # type: ignore[no-any-return]


def _numbers(rows: Any, name: str, *, finite: bool = True) -> FloatArray:
    column = rows.column(name)
    if not parquet.is_number(column.type) or column.null_count:
        raise ValueError(f"the column {name} does not hold one number per row")
    values = parquet.numbers(column)
    if np.isnan(values).any() or (finite and np.isinf(values).any()):
        raise ValueError(f"a value of {name} is not {'finite' if finite else 'a number'}")
    return values


def _plain(value: Any) -> Any:
    """A value of the record, which holds lists there, and no mappings."""
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, dict):
        raise ValueError(f"an argument of the run is {value!r}")
    return value


def _pyarrow() -> tuple[Any, Any]:
    return parquet.pyarrow_parquet("path", "manifests are Parquet files, which")
