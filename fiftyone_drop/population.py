"""FiftyOne -> arrays: the labels of a collection as ids and integer codes, read once.

This is the one place where rows get ids, and where class names become codes. Targets and validation
samples are read alike, and what a view shows is compared with what the dataset stores by the same
reading, so that the module is longer than others.
"""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import reader
from fiftyone_drop._types import ClassName, Codes, FloatArray, Ids, IntArray
from fiftyone_drop.dataset_state import state_of
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.fields import class_paths
from fiftyone_drop.members import as_word, read_members, stream_members

CHOOSING = (
    *(fo.Match, fo.MatchTags, fo.MatchLabels, fo.Exists, fo.Select, fo.Exclude, fo.SelectBy),
    *(fo.ExcludeBy, fo.Limit, fo.Skip, fo.Take, fo.Shuffle, fo.SortBy, fo.SelectFields),
    fo.ExcludeFields,
)
"""Stages that choose and sort samples, and leave their values as they are."""

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
        dataset_state: what a record says of the dataset: see :mod:`fiftyone_drop.dataset_state`
        were: classes, or their names, that may have nothing left: limits on them have no effect
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
    dataset_state: Mapping[str, Any] = field(default_factory=dict)
    were: tuple[Hashable, ...] = ()

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
        return replace(
            rest,
            labels=labels,
            label_names=label_names,
            codes=codes,
            classes=classes,
            were=tuple(dict.fromkeys((*self.were, *self.classes))),
        )

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
                f"{len(missing)} of {len(self)} samples have no value in '{name}', or NaN, such as "
                f"{self.ids[missing[0]].decode()!r}; compute the scores of these samples, or leave "
                f"them out of the target view with .match(F('{name}') >= float('-inf')), "
                "where F is fiftyone.ViewField",
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

    def check_as_stored(
        self,
        samples: foc.SampleCollection,
        label_field: str,
        group_by: str | Sequence[str] | None = None,
    ) -> None:
        """:func:`check_as_stored` for the samples that were read from a target view."""
        check_as_stored(
            samples, self.ids, self.codes, self.classes, label_field, group_by, self.values
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

    def check_some(self, label_names: Sequence[str]) -> None:
        """Check that there are validation samples of the classes of the target.

        Raises:
            DropError: if there are none
        """
        if not len(self.ids):
            raise DropError(
                "validation",
                f"has no sample of the classes {listing(label_names)}; pass held-out samples of "
                "these",
            )


def split_tags(counts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The tags that look like a split, by split and with their counts; only splits with some."""
    found = {
        split: {tag: n for tag, n in counts.items() if tag.lower() in names}
        for split, names in SPLIT_TAGS.items()
    }
    return {split: tags for split, tags in found.items() if tags}


def warn_about_splits(samples: foc.SampleCollection, warn: Warner) -> None:
    """Warn if the collection seems to hold more than one of train, validation and test."""
    tags_of = split_tags(reader.count_tags(samples))
    if len(tags_of) < 2:
        return
    train = next(iter(tags_of.get("train", ["train"])))
    warn(
        f"sample tags {sorted(itertools.chain(*tags_of.values()))} look like splits, and all of "
        "them are being pruned; to prune the training split only, call "
        f"dataset.match_tags({train!r}).apply_drop(...)"
    )


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
    skip_unlabeled: bool | None = False,
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
            ``group_by``) rather than to raise an error; None where the caller's user cannot say
        progress (None): as everywhere in FiftyOne; collections that are read in less than about a
            second show none

    Returns:
        a :class:`Population`

    Raises:
        DropError: if a field is unfit, or samples have no label
    """
    paths = class_paths(samples, label_field, group_by)
    dataset_state = state_of(samples._root_dataset)  # before any sample is read
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
        dataset_state=dataset_state,
    )
    if only is not None:
        population = population.only(np.isin(population.ids, only))
    return _without_unlabeled(population, paths, skip_unlabeled)


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
    population: Population, paths: Sequence[str], skip: bool | None
) -> Population:
    unlabeled = np.flatnonzero(population.codes < 0)
    if not len(unlabeled):
        return population
    if not skip:
        what = f"label in '{paths[0]}'" + "".join(f" or value in '{p}'" for p in paths[1:])
        remedy = f"pass samples{''.join(f'.exists({path!r})' for path in paths)}"
        if skip is not None:
            remedy = "leave them out of the run with skip_unlabeled=True"
        raise DropError(
            "label_field" if skip is None else "skip_unlabeled",
            f"{len(unlabeled)} of {len(population)} samples have no {what}, such as "
            f"{population.ids[unlabeled[0]].decode()}; label them, or {remedy}",
        )
    if len(unlabeled) == len(population):
        raise DropError("label_field", f"no sample of the target has a label in '{paths[0]}'")
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
    all_ids: list[Ids] = []
    codes = array("i")
    labels: list[Any] = []
    outcomes: list[list[Any]] = [[] for _ in outcome_paths]
    for ids, batch, names, columns in stream_members(
        samples, classes, label_field, group_by, outcome_paths
    ):
        rows = np.flatnonzero(batch >= 0)
        all_ids.append(ids[rows])
        codes.extend(batch[rows].tolist())
        labels.extend(names[i] for i in rows)
        for outcome, column in zip(outcomes, columns, strict=True):
            outcome.extend(column[i] for i in rows)
    return Outcomes(
        np.concatenate(all_ids) if all_ids else np.empty(0, "S24"),
        np.array(codes, dtype=np.int32),
        labels,
        outcomes,
    )


def check_as_stored(
    samples: foc.SampleCollection,
    ids: Ids,
    codes: Codes,
    classes: Sequence[ClassName],
    label_field: str,
    group_by: str | Sequence[str] | None,
    values: Mapping[str, FloatArray] = MappingProxyType({}),
    argument: str = "samples",
) -> None:
    """Check that a view has the labels, groups and scores that are stored in the dataset.

    A run is looked at, moved and evaluated without the view, so what decided it must be stored.

    Args:
        samples: a collection
        ids: (N,) S24, its samples
        codes: (N,) int, their codes into ``classes``
        classes: the K classes
        label_field: the field of the labels
        group_by: the field or fields that divide classes into cells, or None
        values (()): number field -> (N,) float, NaN where a sample has no value
        argument ("samples"): the argument that named the collection, for errors

    Raises:
        DropError: if a stage of the view changes a value, or repeats samples
    """
    if only_chooses(samples):
        return
    repeated = len(ids) - len(np.unique(ids))
    if repeated:
        raise DropError(
            argument,
            f"the view has {repeated} samples more than once; pass one that has each sample once, "
            "such as dataset.select(view.values('id'))",
        )
    root = samples._root_dataset
    stored = read_outcomes(root, classes, label_field, group_by, list(values))
    _, here, there = np.intersect1d(ids, stored.ids, assume_unique=True, return_indices=True)
    same = np.zeros(len(ids), bool)
    same[here] = codes[here] == stored.codes[there]
    _refuse_changed(ids, same, class_paths(root, label_field, group_by), argument)
    for (name, mine), theirs in zip(values.items(), stored.columns, strict=True):
        numbers = np.array([theirs[i] for i in there], dtype=np.float64)
        same[here] = np.isclose(mine[here], numbers, 0, 0, equal_nan=True)
        _refuse_changed(ids, same, [name], argument)


def check_labels_as_stored(
    samples: foc.SampleCollection,
    label_field: str,
    group_by: str | Sequence[str] | None,
    argument: str,
) -> None:
    """Check that a view shows the labels and groups of the dataset, as far as it shows any.

    Args:
        samples: a collection of which the ids alone are used
        label_field: the field of the labels
        group_by: the field or fields that divide classes into cells, or None
        argument: the argument that named the collection, for errors

    Raises:
        DropError: if a stage of the view changes one
    """
    if only_chooses(samples):
        return
    root = samples._root_dataset
    paths = [p for p in class_paths(root, label_field, group_by) if samples.has_field(p)]
    shown, stored = (read_members(some, (), None, None, paths) for some in (samples, root))
    rows = reader.rows_of(shown.ids, stored.ids, np.argsort(stored.ids))
    same = np.ones(len(rows), bool)
    for mine, theirs in zip(shown.columns, stored.columns, strict=True):
        same &= [value == theirs[row] for value, row in zip(mine, rows, strict=True)]
    remedy = f"Store what the view shows with view.save('{label_field}'), or pass the samples alone"
    _refuse_changed(shown.ids, same, paths, argument, remedy)


def only_chooses(samples: foc.SampleCollection) -> bool:
    """Whether a view leaves the values of samples as they are."""
    return all(isinstance(stage, CHOOSING) for stage in samples.view()._all_stages)


def _refuse_changed(
    ids: Ids,
    same: NDArray[np.bool_],
    paths: Sequence[str],
    argument: str,
    remedy: str | None = None,
) -> None:
    changed = np.flatnonzero(~same)
    if not len(changed):
        return
    mine = (
        "Store what the view shows in a field of its own and pass that field: "
        f"dataset.set_values('mine', dict(zip(*view.values(['id', '{paths[0]}']))), "
        "key_field='id')"
    )
    raise DropError(
        argument,
        f"the view changes {' or '.join(map(repr, paths))} of {len(changed)} of {len(ids)} "
        f"samples, such as {ids[changed[0]].decode()}, but a run is read from what the dataset "
        f"stores. {remedy or mine}",
    )
