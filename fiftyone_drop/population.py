"""FiftyOne -> arrays: the labels of a collection as ids and integer codes, read once.

This is the one place where rows get ids, and where class names become codes. Targets and validation
samples are read alike, so that the module is longer than others.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import reader
from fiftyone_drop._types import ClassName, Codes, FloatArray, Ids, IntArray
from fiftyone_drop.errors import DropError, Warner
from fiftyone_drop.fields import class_paths
from fiftyone_drop.options import group_names

SPLIT_TAGS = {
    "train": {"train", "training"},
    "validation": {"val", "valid", "validation", "dev"},
    "test": {"test", "testing"},
}


@dataclass(frozen=True)
class Population:
    """The samples of a collection, as arrays over its N rows.

    Attributes:
        ids: (N,) S24, sample ids
        labels: (N,) int32, codes into ``label_names``
        label_names: the class labels, sorted
        codes: (N,) int32, codes into ``classes``
        classes: the K classes in sorted order: the labels or, with ``group_by``, the cells
        filepaths: N paths, if they were asked for
        values: number field -> (N,) float, NaN where a sample has no value
        names: (N,) bytes, by which samples are ordered at random; None for their ids
        must_keep: (N,) bool, samples that come before all others of their class; None for none
        kept_before: (N,) bool, samples that come next; None for none
        file_sizes: (N,) int, the bytes of the image files; None where nobody asked
    """

    ids: Ids
    labels: Codes
    label_names: tuple[str, ...]
    codes: Codes
    classes: tuple[ClassName, ...]
    filepaths: list[str] | None = None
    values: dict[str, FloatArray] = field(default_factory=dict)
    names: Ids | None = None
    must_keep: NDArray[np.bool_] | None = None
    kept_before: NDArray[np.bool_] | None = None
    file_sizes: IntArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sizes(self) -> IntArray:
        """(K,) int, class sizes."""
        return np.bincount(self.codes, minlength=len(self.classes))

    @property
    def label_of(self) -> list[str]:
        """The N class labels."""
        return [self.label_names[code] for code in self.labels]

    def select(self, rows: NDArray[Any]) -> Population:
        """The same population with some of its rows; classes stay as they are."""
        return replace(
            self,
            ids=self.ids[rows],
            labels=self.labels[rows],
            codes=self.codes[rows],
            filepaths=None
            if self.filepaths is None
            else [self.filepaths[i] for i in np.arange(len(self))[rows]],
            values={name: values[rows] for name, values in self.values.items()},
            names=None if self.names is None else self.names[rows],
            must_keep=None if self.must_keep is None else self.must_keep[rows],
            kept_before=None if self.kept_before is None else self.kept_before[rows],
            file_sizes=None if self.file_sizes is None else self.file_sizes[rows],
        )

    def only(self, rows: NDArray[Any]) -> Population:
        """Some of the rows, and the classes and labels that these have."""
        rest = self.select(rows)
        labels, label_names = _compact(rest.labels, self.label_names)
        codes, classes = _compact(rest.codes, self.classes)
        return replace(rest, labels=labels, label_names=label_names, codes=codes, classes=classes)

    def count(self, rows: NDArray[np.bool_] | None) -> IntArray | None:
        """How many samples of each class some rows are, (K,) int; None for None."""
        if rows is None:
            return None
        return np.bincount(self.codes[rows], minlength=len(self.classes))

    def check_complete(self, name: str, argument: str) -> None:
        """Check that every sample has a value of a number field.

        Args:
            name: a field in ``values``
            argument: the argument that named the field, for the error

        Raises:
            DropError: if some have none
        """
        missing = np.flatnonzero(np.isnan(self.values[name]))
        if len(missing):
            raise DropError(
                argument,
                f"{len(missing)} of {len(self)} samples have no value in '{name}', such as "
                f"{self.ids[missing[0]].decode()!r}; compute the scores of these samples, or leave "
                f"them out of the target view with .exists('{name}')",
            )

    def check_named(self, order_by: str) -> None:
        """Check that every sample has a value in the field that samples are ordered by.

        Raises:
            DropError: if some have none
        """
        assert self.names is not None
        nameless = np.flatnonzero(self.names == b"")
        if len(nameless):
            raise DropError(
                "order_by",
                f"{len(nameless)} of {len(self)} samples have no value in '{order_by}', such as "
                f"{self.ids[nameless[0]].decode()!r}; give them one, or leave order_by= out",
            )

    def means(self, name: str) -> FloatArray:
        """The mean of a number field in each class, (K,) float."""
        return np.bincount(self.codes, self.values[name], len(self.classes)) / self.sizes


def _compact(codes: Codes, names: tuple[Any, ...]) -> tuple[Codes, tuple[Any, ...]]:
    """Codes into those of the names that occur; -1 stays."""
    counts = np.bincount(codes[codes >= 0], minlength=len(names))
    present = np.flatnonzero(counts)
    if len(present) == len(names):
        return codes, names
    recoded = np.full(len(names) + 1, -1, dtype=np.int32)  # the last is where -1 points
    recoded[present] = np.arange(len(present))
    return recoded[codes], tuple(names[code] for code in present)


@dataclass(frozen=True)
class Outcomes:
    """The labels of n validation samples, and other values.

    Attributes:
        ids: (n,) S24, sample ids
        codes: (n,) int32, codes into the classes of the target
        labels: the n true labels
        columns: one list of n values per path that was asked for
    """

    ids: Ids
    codes: Codes
    labels: list[Any]
    columns: list[list[Any]]


def warn_about_splits(samples: foc.SampleCollection, warn: Warner) -> None:
    """Warn if the collection seems to hold more than one of train, validation and test."""
    tags = reader.count_tags(samples)
    tags_of = {
        split: [tag for tag in tags if tag.lower() in names] for split, names in SPLIT_TAGS.items()
    }
    if sum(map(bool, tags_of.values())) < 2:
        return
    train = (tags_of["train"] or ["train"])[0]
    warn(
        f"sample tags {sorted(itertools.chain(*tags_of.values()))} look like splits, and all of "
        "them are being pruned; to prune the training split only, call "
        f"dataset.match_tags({train!r}).apply_drop(...)"
    )


def as_word(value: Any) -> str | None:
    """A label or a value of a group as the class table has it: numbers, True and False as words."""
    return value if value is None or isinstance(value, str) else str(value)


class _Encoder:
    """Turns names into codes as they stream by, so that no list of names is ever held."""

    def __init__(self) -> None:
        self._code_of: dict[str | None, int] = {None: -1}
        self._codes = array("i")

    def add(self, values: list[Any]) -> None:
        code_of = self._code_of
        for value in values:
            name = as_word(value)
            code = code_of.get(name)
            if code is None:
                code = len(code_of) - 1
                code_of[name] = code
            self._codes.append(code)

    def finish(self) -> tuple[Codes, tuple[str, ...]]:
        """The codes into the sorted names, -1 for missing names, and these names."""
        codes = np.frombuffer(self._codes, dtype=np.int32) if self._codes else np.empty(0, np.int32)
        seen = {name: code for name, code in self._code_of.items() if name is not None}
        names = sorted(seen)
        recoded = np.empty(len(names) + 1, dtype=np.int32)
        for new, name in enumerate(names):
            recoded[seen[name]] = new
        recoded[-1] = -1  # where the code -1 of missing names points
        return recoded[codes], tuple(names)


def read_population(
    samples: foc.SampleCollection,
    label_field: str,
    *,
    group_by: str | Sequence[str] | None = None,
    values_of: Sequence[str] = (),
    filepaths: bool = False,
    order_by: str | None = None,
    only: Ids | None = None,
    skip_unlabeled: bool = False,
    progress: Any = None,
) -> Population:
    """Read the samples of a collection.

    Args:
        samples: a collection
        label_field: a field of class labels
        group_by (None): a field that divides each class into cells, or several
        values_of (()): number fields to read along
        filepaths (False): whether to read the paths of the images
        order_by (None): a string field to read as the names of the samples
        only (None): the ids of the samples that matter; by default all
        skip_unlabeled (False): whether to leave out samples without a label (or value of
            ``group_by``) rather than to raise an error
        progress (None): as everywhere in FiftyOne; collections that are read in less than about a
            second show none

    Returns:
        a :class:`Population`

    Raises:
        DropError: if a field is unfit, or samples have no label
    """
    paths = class_paths(samples, label_field, group_by)
    encoders = [_Encoder() for _ in paths]
    values = {name: array("d") for name in values_of}
    all_ids: list[Ids] = []
    files: list[str] = []
    names: list[bytes] = []
    extra = [*values_of, *([order_by] if order_by else []), *(["filepath"] if filepaths else [])]
    with reader.reading_bar(samples, progress) as bar:
        for ids, columns in reader.stream(samples, paths + extra):
            all_ids.append(ids)
            for encoder, column in zip(encoders, columns, strict=False):
                encoder.add(column)
            for numbers, column in zip(values.values(), columns[len(paths) :], strict=False):
                numbers.extend(float("nan") if v is None else float(v) for v in column)
            if order_by:
                column = columns[len(paths) + len(values)]
                names.extend(b"" if v is None else str(v).encode() for v in column)
            if filepaths:
                files.extend(columns[-1])
            bar.update(len(ids))
    population = _assemble(
        np.concatenate(all_ids) if all_ids else np.empty(0, "S24"),
        [encoder.finish() for encoder in encoders],
    )
    population = replace(
        population,
        filepaths=files if filepaths else None,
        values={name: np.array(numbers) for name, numbers in values.items()},
        names=np.array(names) if order_by else None,
    )
    if only is not None:
        population = population.only(np.isin(population.ids, only))
    return _without_unlabeled(population, label_field, group_by, skip_unlabeled)


def _assemble(ids: Ids, encoded: list[tuple[Codes, tuple[str, ...]]]) -> Population:
    labels, names = encoded[0]
    if len(encoded) == 1:
        return Population(ids, labels, names, labels, names)
    codes = labels
    cells: list[tuple[str, ...]] = [(name,) for name in names]
    for groups, values in encoded[1:]:
        wide = codes.astype(np.int64) * len(values) + groups
        wide[(codes < 0) | (groups < 0)] = -1
        present = np.unique(wide[wide >= 0])
        codes = np.where(wide < 0, -1, np.searchsorted(present, wide)).astype(np.int32)
        cells = [(*cells[c // len(values)], values[c % len(values)]) for c in present]
    return Population(ids, labels, names, codes, tuple(cells))


def _without_unlabeled(
    population: Population, label_field: str, group_by: str | Sequence[str] | None, skip: bool
) -> Population:
    unlabeled = np.flatnonzero(population.codes < 0)
    if not len(unlabeled):
        return population
    if not skip:
        groups = " or ".join(f"'{name}'" for name in group_names(group_by))
        what = f"label in '{label_field}'" + (f" or value in {groups}" if groups else "")
        raise DropError(
            "skip_unlabeled",
            f"{len(unlabeled)} of {len(population)} samples have no {what}, such "
            f"as {population.ids[unlabeled[0]].decode()}; label them, or leave them out of the run "
            "with skip_unlabeled=True",
        )
    if len(unlabeled) == len(population):
        raise DropError("label_field", f"no sample of the target has a label in '{label_field}'")
    return population.select(population.codes >= 0)


def read_outcomes(
    samples: foc.SampleCollection,
    classes: Sequence[ClassName],
    label_field: str,
    group_by: str | Sequence[str] | None,
    outcome_paths: Sequence[str],
) -> Outcomes:
    """Read validation samples in the classes of the target.

    Args:
        samples: the validation samples
        classes: the K classes of the target
        label_field: the field of the true labels
        group_by: the field or fields that divide classes into cells, or None
        outcome_paths: what tells whether a prediction is right

    Returns:
        the :class:`Outcomes` of the validation samples whose class is one of the target
    """
    paths = class_paths(samples, label_field, group_by)
    code_of = {name: code for code, name in enumerate(classes)}
    all_ids: list[Ids] = []
    codes = array("i")
    labels: list[Any] = []
    outcomes: list[list[Any]] = [[] for _ in outcome_paths]
    for ids, columns in reader.stream(samples, paths + list(outcome_paths)):
        words = [map(as_word, column) for column in columns[: len(paths)]]
        keys: Iterable[Any] = words[0] if group_by is None else zip(*words, strict=True)
        batch = np.array([code_of.get(key, -1) for key in keys], dtype=np.int32)
        rows = np.flatnonzero(batch >= 0)
        all_ids.append(ids[rows])
        codes.extend(batch[rows].tolist())
        labels.extend(as_word(columns[0][i]) for i in rows)
        for outcome, column in zip(outcomes, columns[len(paths) :], strict=True):
            outcome.extend(column[i] for i in rows)
    return Outcomes(
        np.concatenate(all_ids) if all_ids else np.empty(0, "S24"),
        np.array(codes, dtype=np.int32),
        labels,
        outcomes,
    )
