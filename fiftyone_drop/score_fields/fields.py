"""Score fields: their names, values and ``info``.

Shared by all three ways to scores: ``compute_scores``, ``DynamicsRecorder``, ``import_scores``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks, field_writes, lease, store
from fiftyone_drop._types import FloatArray, Ids
from fiftyone_drop.engine.fingerprints import fingerprint
from fiftyone_drop.errors import DropError
from fiftyone_drop.field_marks import outside, part_error, recoverable, same_kind
from fiftyone_drop.field_writes import recover
from fiftyone_drop.fields import default_label_field
from fiftyone_drop.options import RANDOM
from fiftyone_drop.population import Population, read_population
from fiftyone_drop.run_outputs import KEY
from fiftyone_drop.scoring import get_score
from fiftyone_drop.waiting import UNFINISHED, while_away


def check_field_free(
    dataset: fo.Dataset, field: str, key: str, value: str, overwrite: bool
) -> None:
    """Check that a field may be written.

    Args:
        dataset: the dataset
        field: the name of the field
        key: a key in the ``info`` of such a field
        value: its value there
        overwrite: whether a field that holds something else may be replaced

    Raises:
        DropError: if it is no name for a score field, or the field holds something else
    """
    if not dataset.has_field(field):  # an earlier version may have made one that would not do today
        checks.stem("prefix", field, "must make valid field names")
    if field == RANDOM:
        raise DropError(
            "prefix",
            f"a score field may not be called '{RANDOM}', since apply_drop(select="
            f"'{RANDOM}') means at random; pass a prefix, such as prefix='score_'",
        )
    existing = dataset.get_field(field)
    if existing is None:
        return
    if KEY in (existing.info or {}):
        raise DropError(
            "prefix",
            f"the field '{field}' belongs to the drop run '{existing.info[KEY]}'; pass another "
            "prefix",
        )
    if not isinstance(existing, fo.FloatField) or existing.read_only:
        raise DropError(
            "prefix",
            f"the field '{field}' exists and is no float field that can be written to; "
            "pass another prefix",
        )
    if (existing.info or {}).get(key) != value and not overwrite:
        raise DropError(
            "prefix",
            f"the field '{field}' exists and does not hold the score '{value}'; pass "
            "another prefix, or overwrite=True",
        )


@dataclass(frozen=True)
class ScoreValues(store.FieldValues):
    """A score field and what to write into it.

    Attributes:
        origin: what decides the value of any sample besides its score and conventions; None for
            scores that compare with those of the same call only
    """

    origin: object = None


def field_values(
    name: str,
    values: FloatArray,
    switches: Mapping[str, Any],
    *,
    label_field: str | None = None,
    origin: object = None,
    **facts: Any,
) -> ScoreValues:
    """A registered score as a field.

    Args:
        name: the score
        values: (N,) float, NaN where there is none
        switches: the value of every switch
        label_field (None): the labels that it was computed with, where that is known. A score that
            depends on labels says so: it tells nothing of the labels in another field
        origin (None): see :class:`ScoreValues`
        **facts: more for its ``info``
    """
    score = get_score(name)
    direction = f"{score.hard} = hard" if score.hard else f"{score.kept_first} = kept first"
    info = {
        "score": name,
        "hard": score.hard,
        "kept_first": score.kept_first,
        "convention": dict(switches),
        "description": score.description,
        **facts,
    }
    if label_field is not None and score.uses_labels:
        info["label_field"] = label_field
    return float_field(values, f"{score.description} ({direction})", info, origin)


def float_field(
    values: FloatArray, description: str, info: Mapping[str, Any], origin: object = None
) -> ScoreValues:
    """A float field; NaN becomes None, which FiftyOne takes for empty."""
    listed: Any = np.asarray(values, dtype=np.float64)
    empty = np.isnan(listed)
    if empty.any():
        listed = listed.astype(object)
        listed[empty] = None
    return ScoreValues(fo.FloatField, listed, description, info, origin=origin)


def fingerprint_of(facts: Mapping[str, Any], origin: object) -> str | None:
    """What the values of a field are from: two calls with the same one may fill a field together.

    Args:
        facts: the ``info`` of the field, of which score and conventions count
        origin: see :class:`ScoreValues`

    Returns:
        a hash; None without an origin
    """
    if origin is None:
        return None
    return fingerprint([[facts.get(key) for key in _KIND], facts.get("convention", {}), origin])


def check_parts(
    dataset: fo.Dataset, ids: Ids, fingerprints: Mapping[str, str | None], overwrite: bool
) -> None:
    """Check that no field would hold values of two models or conventions.

    Args:
        dataset: the dataset
        ids: (N,) S24, the samples that are about to get values
        fingerprints: field -> what these values are from; None if they compare with no others
        overwrite: whether values of other samples may be cleared

    Raises:
        DropError: if other samples have values from something else, and they may not
    """
    for name, new in fingerprints.items():
        field = dataset.get_field(name)
        # What was cut off is removed or ended before anything is written
        if overwrite or field is None or recoverable(field) or same_kind(dataset, name, new):
            continue
        n = outside(dataset, name, ids)
        if n:
            raise part_error(dataset, name, n)


def write(
    dataset: fo.Dataset,
    groups: Sequence[tuple[Ids, Mapping[str, ScoreValues]]],
    overwrite: bool,
    progress: Any,
    saved: str = UNFINISHED,
) -> list[str]:
    """Write the fields, with their ``info``; a failure leaves the old values or the new.

    A database that is away is waited for. Writing the same values again changes nothing.

    Args:
        dataset: the dataset
        groups: sample ids, and the fields of these samples
        overwrite: whether what fields hold of something else, or of other models in other samples,
            goes
        progress: as everywhere in FiftyOne
        saved (UNFINISHED): what is not lost if the database does not come back, and where

    Returns:
        the names of the fields

    Raises:
        DropError: if a field holds something else, or values of another model or convention in
            samples besides these, and ``overwrite`` is False
        ConnectionError: the database was away for too long
    """
    tokens: set[str] = set()  # of the attempts
    return while_away(lambda: _write(dataset, groups, overwrite, tokens, progress), saved)


def _write(
    dataset: fo.Dataset,
    groups: Sequence[tuple[Ids, Mapping[str, ScoreValues]]],
    overwrite: bool,
    tokens: set[str],
    progress: Any,
) -> list[str]:
    names = [name for _, fields in groups for name in fields]
    with lease.writing(dataset, patience=lease.LONG_PATIENCE) as held:
        recover(dataset)
        if field_writes.written(dataset, names, tokens):
            return names  # the last attempt got there, and did not hear of it
        fingerprints: dict[str, str | None] = {}
        for ids, fields in groups:
            new = {name: _fingerprint(ids, values) for name, values in fields.items()}
            for name, values in fields.items():
                key = next(key for key in _KIND if key in (values.info or {}))
                check_field_free(dataset, name, key, (values.info or {})[key], overwrite)
            check_parts(dataset, ids, new, overwrite)
            fingerprints |= new
        field_writes.write(
            dataset,
            held,
            groups,
            fingerprints=fingerprints,
            clears=overwrite,
            tokens=tokens,
            progress=progress,
        )
    return names


_KIND = ("score", "spread_of")  # keys in the ``info`` of a field that say what it holds


def _fingerprint(ids: Ids, values: ScoreValues) -> str | None:
    """Scores that compare with those of the same call only are known by what they are."""
    origin = values.origin
    if origin is None:
        origin = ["values", ids, np.array(values.values, dtype=np.float64)]
    return fingerprint_of(values.info or {}, origin)


def read_labelled(
    samples: foc.SampleCollection, label_field: str | None, *, filepaths: bool = False
) -> tuple[str, Population]:
    """The label field, and samples that all have a label.

    Raises:
        DropError: if there is no such field, or labels are missing
    """
    if label_field is None:
        label_field = default_label_field(samples)
    population = read_population(samples, label_field, filepaths=filepaths, skip_unlabeled=None)
    return label_field, population
