"""Score fields: their names, values and ``info``.

Shared by all three ways to scores: ``compute_scores``, ``DynamicsRecorder``, ``import_scores``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks, lease, store
from fiftyone_drop._types import FloatArray, Ids
from fiftyone_drop.errors import DropError
from fiftyone_drop.fields import default_label_field
from fiftyone_drop.options import RANDOM
from fiftyone_drop.population import Population, read_population
from fiftyone_drop.scoring import get_score


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
    checks.name("prefix", field, "must make valid field names")
    if field == RANDOM:
        raise DropError(
            "prefix",
            f"a score field may not be called '{RANDOM}', since apply_drop(select="
            f"'{RANDOM}') means at random; pass a prefix, such as prefix='score_'",
        )
    existing = dataset.get_field(field)
    if existing is None:
        return
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


def field_values(
    name: str, values: FloatArray, switches: Mapping[str, Any], **facts: Any
) -> store.FieldValues:
    """A registered score as a field.

    Args:
        name: the score
        values: (N,) float, NaN where there is none
        switches: the value of every switch
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
    return float_field(values, f"{score.description} ({direction})", info)


def float_field(values: FloatArray, description: str, info: Mapping[str, Any]) -> store.FieldValues:
    """A float field; NaN becomes None, which FiftyOne takes for empty."""
    listed: Any = np.asarray(values, dtype=np.float64)
    empty = np.isnan(listed)
    if empty.any():
        listed = listed.astype(object)
        listed[empty] = None
    return store.FieldValues(fo.FloatField, listed, description, info)


def write(
    dataset: fo.Dataset, ids: Ids, fields: Mapping[str, store.FieldValues], progress: Any
) -> list[str]:
    """Write the fields, with their ``info``; returns their names.

    Where a field held something else, nothing of that stays, not even in other samples.
    """
    with lease.writing(dataset):
        other = [name for name in fields if _holds_else(dataset, name, fields)]
        store.delete_fields(dataset, other)
        store.write_fields(dataset, ids, fields, progress)
        for name, values in fields.items():
            field = dataset.get_field(name)
            # Those of a field that existed stay as they were otherwise
            field.info, field.description = dict(values.info or {}), values.description
            field.save()
    return list(fields)


def _holds_else(dataset: fo.Dataset, name: str, fields: Mapping[str, store.FieldValues]) -> bool:
    old, new = (getattr(x, "info", None) or {} for x in (dataset.get_field(name), fields[name]))
    return any(old.get(key) != new.get(key) for key in ("score", "spread_of"))


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
