"""FiftyOne -> arrays: what a collection holds, read once, as ids and integer codes.

Reads only. This is the one place where rows get ids, and where class names become codes.
"""

from __future__ import annotations

import gc
import itertools
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.core.fields as fof
import fiftyone.core.utils as fou
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import ClassName, Codes, FloatArray, Ids, IntArray
from fiftyone_drop.errors import DropError, Warner, listing

BATCH = 5_000
LONG_READ = 300_000  # samples that take about a second
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
        values: (N,) float, the values of a field, NaN where there is none, if asked for
    """

    ids: Ids
    labels: Codes
    label_names: tuple[str, ...]
    codes: Codes
    classes: tuple[ClassName, ...]
    filepaths: list[str] | None = None
    values: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def sizes(self) -> IntArray:
        """(K,) int, class sizes."""
        return np.bincount(self.codes, minlength=len(self.classes))

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
            values=None if self.values is None else self.values[rows],
        )


# -- what can be read -----------------------------------------------------------------------------


def check_collection(samples: object) -> None:
    """Check that ``samples`` is a collection of images that can be pruned.

    Raises:
        DropError: if it is no FiftyOne collection, or one of groups, videos, patches, frames or
            clips
    """
    if not isinstance(samples, foc.SampleCollection):
        raise DropError(
            f"samples: must be a FiftyOne Dataset or DatasetView, but got {type(samples).__name__}"
        )
    kind = None
    if samples._is_patches or samples._is_frames or samples._is_clips:
        kind = "a view of patches, frames or clips"
    elif "group" in (samples.media_type, samples._root_dataset.media_type):
        kind = "a grouped collection"
    elif samples.media_type == "video":
        kind = "a collection of videos"
    if kind:
        raise DropError(
            f"samples: {kind} cannot be pruned; collections of images can. Make one first, for "
            "example with dataset.select_group_slices('left').clone() or view.clone(), whose "
            "samples are images"
        )
    if not samples:
        raise DropError("samples: the target view is empty; pass a view that holds samples")


def label_path(samples: foc.SampleCollection, label_field: object, argument: str) -> str:
    """The path of the class names in ``label_field``, a Classification or string field.

    Raises:
        DropError: if there is no such field, or it holds no class labels
    """
    field = samples.get_field(label_field) if isinstance(label_field, str) else None
    if field is None:
        raise DropError(
            f"{argument}: no field {label_field!r}; fields with class labels are "
            f"{class_label_fields(samples)}"
        )
    if isinstance(field, fof.StringField):
        return str(label_field)
    if _is_classification(field):
        return f"{label_field}.label"
    raise DropError(
        f"{argument}: '{label_field}' is a {_describe(field)} and holds no class labels; it must "
        f"be a Classification or a string field, such as "
        f"{_classification_fields(samples) + _string_fields(samples)}"
    )


def group_path(samples: foc.SampleCollection, group_by: str) -> str:
    """The path of the values that classes are divided by.

    Raises:
        DropError: if there is no such field, or its values are not one label, string, integer or
            boolean per sample
    """
    field = samples.get_field(group_by)
    if isinstance(field, (fof.BooleanField, fof.IntField)):
        return group_by
    return label_path(samples, group_by, "group_by")


def default_label_field(samples: foc.SampleCollection, predictions: Sequence[str]) -> str:
    """The only Classification field that is not a known prediction.

    Args:
        samples: a collection
        predictions: fields that are known to hold predictions

    Raises:
        DropError: if there is none, or more than one; it lists the candidates
    """
    candidates = [name for name in _classification_fields(samples) if name not in predictions]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise DropError(f"label_field: several fields hold class labels, pass one of {candidates}")
    raise DropError(
        "label_field: there is no Classification field besides predictions; pass the name of a "
        f"string field that holds class labels, such as {_string_fields(samples)}"
    )


def warn_about_splits(samples: foc.SampleCollection, warn: Warner) -> None:
    """Warn if the collection seems to hold more than one of train, validation and test."""
    tags = samples.count_sample_tags()
    found = {
        split: [tag for tag in tags if tag.lower() in names] for split, names in SPLIT_TAGS.items()
    }
    if sum(bool(names) for names in found.values()) < 2:
        return
    train = (found["train"] or ["train"])[0]
    warn(
        f"sample tags {sorted(itertools.chain(*found.values()))} look like splits, and all of "
        "them are being pruned; to prune the training split only, call "
        f"dataset.match_tags({train!r}).apply_drop(...)"
    )


def class_label_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields that may hold class labels: Classifications first, then strings."""
    return _classification_fields(samples) + _string_fields(samples)


def _is_classification(field: object) -> bool:
    return isinstance(field, fof.EmbeddedDocumentField) and issubclass(
        field.document_type, fo.Classification
    )


def _describe(field: fof.Field) -> str:
    if isinstance(field, fof.EmbeddedDocumentField):
        return str(field.document_type.__name__)
    return type(field).__name__


def _classification_fields(samples: foc.SampleCollection) -> list[str]:
    return [name for name, field in samples.get_field_schema().items() if _is_classification(field)]


def _string_fields(samples: foc.SampleCollection) -> list[str]:
    schema = samples.get_field_schema(ftype=fo.StringField)
    return [name for name in schema if name != "filepath"]


# -- reading --------------------------------------------------------------------------------------


class _Encoder:
    """Turns names into codes as they stream by, so that no list of names is ever held."""

    def __init__(self, names: Sequence[str] | None = None):
        self._known = names is not None
        self._code_of: dict[str | None, int] = {name: i for i, name in enumerate(names or ())}
        self._code_of[None] = -1
        self._codes = array("i")

    def add(self, values: list[Any]) -> None:
        code_of = self._code_of
        for value in values:
            name = value if value is None or isinstance(value, str) else str(value)
            code = code_of.get(name)
            if code is None:
                code = -1 if self._known else len(code_of) - 1
                code_of[name] = code
            self._codes.append(code)

    def finish(self) -> tuple[Codes, tuple[str, ...]]:
        """The codes into the sorted names, -1 for missing or unknown ones, and these names."""
        codes = np.frombuffer(self._codes, dtype=np.int32) if self._codes else np.empty(0, np.int32)
        seen = {
            name: code for name, code in self._code_of.items() if code >= 0 and name is not None
        }
        if self._known:
            return codes, tuple(seen)
        names = sorted(seen)
        recoded = np.empty(len(names) + 1, dtype=np.int32)
        for new, name in enumerate(names):
            recoded[seen[name]] = new
        recoded[-1] = -1  # where the code -1 of missing names points
        return recoded[codes], tuple(names)


def stream(
    samples: foc.SampleCollection, paths: Sequence[str]
) -> Iterator[tuple[Ids, list[list[Any]]]]:
    """Read ids and some values of all samples, in batches.

    ``samples.values`` builds lists of everything: at a million samples 0.6 GB, where a cursor
    takes as long and holds one batch.

    Args:
        samples: a collection
        paths: what to read beside the ids

    Yields:
        a tuple of

        -   (B,) S24, sample ids
        -   a list with one list of B values per path, None where there is none
    """
    projection: dict[str, Any] = {
        f"v{i}": f"${samples._handle_db_field(path)}" for i, path in enumerate(paths)
    }
    pipeline = samples._pipeline(post_pipeline=[{"$project": projection or {"_id": True}}])
    # Left to itself the server sends 16 MB at a time, a quarter of a million documents to hold
    cursor = samples._dataset._sample_collection.aggregate(
        pipeline, allowDiskUse=True, batchSize=BATCH
    )
    keys = list(projection)
    while columns := _next_columns(cursor, keys):
        yield columns


def _next_columns(
    cursor: Iterator[dict[str, Any]], keys: list[str]
) -> tuple[Ids, list[list[Any]]] | None:
    """The next batch of documents, as columns; None if there is none."""
    # Half of the time would go into looking for reference cycles among documents that have none
    collecting = gc.isenabled()
    gc.disable()
    try:
        documents = list(itertools.islice(cursor, BATCH))
        if not documents:
            return None
        digits = b"".join(document["_id"].binary for document in documents).hex().encode()
        return np.frombuffer(digits, dtype="S24"), [[d.get(key) for d in documents] for key in keys]
    finally:
        if collecting:
            gc.enable()


def reading_bar(samples: foc.SampleCollection, progress: Any) -> fou.ProgressBar:
    """A progress bar for reading a collection, if that takes over a second."""
    total = len(samples)
    return fou.ProgressBar(total=total, progress=progress if total >= LONG_READ else False)


def read_population(
    samples: foc.SampleCollection,
    label_field: str,
    *,
    group_by: str | None = None,
    values_of: str | None = None,
    filepaths: bool = False,
    skip_unlabeled: bool = False,
    progress: Any = None,
) -> Population:
    """Read the samples of a collection.

    Args:
        samples: a collection
        label_field: a Classification or string field
        group_by (None): a field that divides each class into cells
        values_of (None): a float field to read along
        filepaths (False): whether to read the paths of the images
        skip_unlabeled (False): whether to leave out samples without a label (or value of
            ``group_by``) rather than to raise an error
        progress (None): as everywhere in FiftyOne; collections that are read in less than about a
            second show none

    Returns:
        a :class:`Population`

    Raises:
        DropError: if a field is unfit, or samples have no label
    """
    paths = [label_path(samples, label_field, "label_field")]
    encoders = [_Encoder()]
    if group_by is not None:
        paths.append(group_path(samples, group_by))
        encoders.append(_Encoder())
    encoded = len(paths)
    extra = ([values_of] if values_of else []) + (["filepath"] if filepaths else [])
    all_ids: list[Ids] = []
    values = array("d")
    files: list[str] = []
    with reading_bar(samples, progress) as bar:
        for ids, columns in stream(samples, paths + extra):
            all_ids.append(ids)
            for encoder, column in zip(encoders, columns, strict=False):
                encoder.add(column)
            if values_of:
                values.extend(float("nan") if v is None else float(v) for v in columns[encoded])
            if filepaths:
                files.extend(columns[-1])
            bar.update(len(ids))
    population = _assemble(
        np.concatenate(all_ids) if all_ids else np.empty(0, "S24"),
        [encoder.finish() for encoder in encoders],
        files if filepaths else None,
        np.array(values) if values_of else None,
    )
    return _without_unlabeled(population, label_field, group_by, skip_unlabeled)


def _assemble(
    ids: Ids,
    encoded: list[tuple[Codes, tuple[str, ...]]],
    filepaths: list[str] | None,
    values: FloatArray | None,
) -> Population:
    labels, names = encoded[0]
    if len(encoded) == 1:
        return Population(ids, labels, names, labels, names, filepaths, values)
    groups, group_names = encoded[1]
    wide = labels.astype(np.int64) * len(group_names) + groups
    wide[(labels < 0) | (groups < 0)] = -1
    present = np.unique(wide[wide >= 0])
    codes = np.where(wide < 0, -1, np.searchsorted(present, wide)).astype(np.int32)
    cells = tuple(
        (names[c // len(group_names)], group_names[c % len(group_names)]) for c in present
    )
    return Population(ids, labels, names, codes, cells, filepaths, values)


def _without_unlabeled(
    population: Population, label_field: str, group_by: str | None, skip: bool
) -> Population:
    unlabeled = np.flatnonzero(population.codes < 0)
    if not len(unlabeled):
        return population
    if not skip:
        what = f"label in '{label_field}'" + (f" or value in '{group_by}'" if group_by else "")
        raise DropError(
            f"skip_unlabeled: {len(unlabeled)} of {len(population)} samples have no {what}, such "
            f"as {population.ids[unlabeled[0]].decode()}; label them, or leave them out of the run "
            "with skip_unlabeled=True"
        )
    if len(unlabeled) == len(population):
        raise DropError(f"label_field: no sample of the target has a label in '{label_field}'")
    return population.select(population.codes >= 0)


def read_outcomes(
    samples: foc.SampleCollection,
    classes: Sequence[ClassName],
    label_field: str,
    group_by: str | None,
    outcome_paths: Sequence[str],
) -> tuple[Ids, Codes, list[list[Any]], list[Any]]:
    """Read validation samples in the classes of the target.

    Args:
        samples: the validation samples
        classes: the K classes of the target
        label_field: the field of the true labels
        group_by: the field that divides classes into cells, or None
        outcome_paths: what tells whether a prediction is right

    Returns:
        a tuple over the n validation samples whose class is one of the target

        -   (n,) S24, sample ids
        -   (n,) int32, codes into ``classes``
        -   one list of n values per outcome path
        -   the n true labels
    """
    paths = [label_path(samples, label_field, "label_field")]
    if group_by is not None:
        paths.append(group_path(samples, group_by))
    code_of = {name: code for code, name in enumerate(classes)}
    all_ids: list[Ids] = []
    codes = array("i")
    labels: list[Any] = []
    outcomes: list[list[Any]] = [[] for _ in outcome_paths]
    for ids, columns in stream(samples, paths + list(outcome_paths)):
        keys: Iterator[Any] = iter(columns[0])
        if group_by is not None:
            keys = ((a, None if b is None else str(b)) for a, b in zip(*columns[:2], strict=True))
        batch = np.array([code_of.get(key, -1) for key in keys], dtype=np.int32)
        rows = np.flatnonzero(batch >= 0)
        all_ids.append(ids[rows])
        codes.extend(batch[rows].tolist())
        labels.extend(columns[0][i] for i in rows)
        for outcome, column in zip(outcomes, columns[len(paths) :], strict=True):
            outcome.extend(column[i] for i in rows)
    ids_read = np.concatenate(all_ids) if all_ids else np.empty(0, "S24")
    return ids_read, np.array(codes, dtype=np.int32), outcomes, labels


def describe_missing(ids: Ids, values: FloatArray, field: str) -> str | None:
    """Words for the samples without a value, or None if there are none."""
    missing = np.flatnonzero(np.isnan(values))
    if not len(missing):
        return None
    return (
        f"{len(missing)} of {len(values)} samples have no value in '{field}', such as "
        + listing([ids[missing[0]].decode()])
    )
