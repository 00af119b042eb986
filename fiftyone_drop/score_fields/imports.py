"""``import_scores``: scores that were computed elsewhere, such as on a cluster."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.storage as fos
import numpy as np
from bson import ObjectId

from fiftyone_drop import checks
from fiftyone_drop._types import FloatArray, Ids, IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import check_collection
from fiftyone_drop.reader import read_ids, stream
from fiftyone_drop.score_fields.fields import (
    ScoreValues,
    check_field_free,
    field_values,
    float_field,
    write,
)
from fiftyone_drop.score_fields.score_file import read_score_file
from fiftyone_drop.scoring import SCORES
from fiftyone_drop.training import QueryModel


def import_scores(
    samples: foc.SampleCollection,
    scores: str | os.PathLike[str] | QueryModel | Mapping[str, Any],
    *,
    name: str | None = None,
    hard: str | Mapping[str, str] | None = None,
    model: str | None = None,
    prefix: str = "",
    overwrite: bool = False,
    progress: Any = None,
) -> list[str]:
    """Write scores that were computed elsewhere into fields.

    Example::

        fod.import_scores(view, "scores.npz")                       # DynamicsRecorder.save wrote it
        fod.import_scores(dataset, {"/data/1.jpg": 0.3, ...}, name="el2n")
        fod.import_scores(dataset, {"mine": {"64f...": 0.3, ...}}, hard="high")

    A field holds the scores of one model. Samples without a score are left as they are where both
    calls say that their scores are from the same ``model``; where a call does not say it, it must
    cover all samples that have a score in the field. The score of a file goes to all samples of it.

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or view
        scores: one of

            -   the path of an .npz file as ``DynamicsRecorder.save`` writes it: an array per score
                and, if it has ``ids``, in their order; otherwise in the order of ``samples``
            -   a :class:`fiftyone_drop.QueryModel` that ``train_query_model`` returned
            -   a mapping from score to a mapping from sample id or filepath to number
            -   with ``name``, a mapping from sample id or filepath to number
        name (None): the name of the score, with a mapping from id or filepath
        hard (None): which end is hard, ``"high"`` or ``"low"``, for scores that are not
            registered; or a mapping from score to that
        model (None): a name for the model that the scores are from. Calls with the same one add to
            each other's fields, such as for the parts of a cluster's work
        prefix (""): the fields are named ``prefix`` + score
        overwrite (False): whether to replace fields that exist and are no scores of that name, and
            to clear scores of another model in other samples
        progress (None): as everywhere in FiftyOne

    Returns:
        the names of the fields

    Raises:
        DropError: if an argument is invalid, an id or filepath is not in ``samples``, or other
            samples have scores in the field of which nobody says that they are from the same model;
            nothing has been written then
    """
    check_collection(samples)
    dataset = samples._root_dataset
    prefix = checks.text("prefix", prefix, empty=True)
    overwrite = checks.flag("overwrite", overwrite)
    model = checks.text("model", model, optional=True)
    content = _read(scores, checks.text("name", name, optional=True), samples)
    ends = {score: _direction(score, hard) for score in content.columns}
    for score in content.columns:
        check_field_free(dataset, prefix + score, "score", score, overwrite)
    keys = _Keys(samples)
    # Fields of the same samples are written together
    groups: dict[bytes, tuple[Ids, dict[str, ScoreValues]]] = {}
    for score, column in content.columns.items():
        rows, values = keys.place(score, column, content.ids)
        _, fields = groups.setdefault(rows.tobytes(), (keys.ids[rows], {}))
        fields[prefix + score] = _field(score, values, ends[score], content, model)
    write(dataset, list(groups.values()), overwrite, progress)
    return [prefix + score for score in content.columns]


@dataclass(frozen=True)
class _Content:
    """The scores as the user passed them.

    Attributes:
        columns: score -> mapping from key to number, or (N,) numbers
        ids: (N,) S24, whose numbers these are; None for those of the collection
        source: words for the record
        epochs: of the training run, if known
        presentations: how often its samples were presented, the fewest and the most times
        switches: score -> its switches, if known
    """

    columns: dict[str, Any]
    source: str
    ids: Ids | None = None
    epochs: int | None = None
    presentations: list[int] | None = None
    switches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def _read(scores: Any, name: str | None, samples: foc.SampleCollection) -> _Content:
    if isinstance(scores, (str, os.PathLike)):
        if name is not None:
            raise DropError("name", "a file names its scores itself; leave it out")
        path = checks.path("scores", scores)
        file = read_score_file(path, len(samples))
        return _Content(
            dict(file.columns),
            path.name,
            file.ids,
            file.epochs,
            file.presentations,
            file.switches,
        )
    if isinstance(scores, QueryModel) and name is None:
        if not scores.scores:
            raise DropError(
                "scores",
                "the QueryModel has none; train it with train_query_model(scores=...), or "
                "compute them with compute_scores(model=...)",
            )
        words = f"the training of a query model ({scores.architecture})"
        ids = np.array(scores.sample_ids, dtype="S24")
        return _Content(dict(scores.scores), words, ids, switches=scores.switches)
    if not isinstance(scores, Mapping) or not scores:
        raise DropError(
            "scores",
            "must be the path of an .npz file, a QueryModel, a mapping from score to a "
            "mapping from id or filepath to number, or such a mapping with name=, but got "
            f"{scores!r}",
        )
    nested = [isinstance(value, Mapping) for value in scores.values()]
    if name is not None and not any(nested):
        return _Content({name: scores}, "a mapping")
    if name is not None or not all(nested):
        raise DropError(
            "name", "must be given with a mapping from id or filepath to number, and with no other"
        )
    return _Content({checks.text("scores", key): v for key, v in scores.items()}, "a mapping")


def _direction(score: str, hard: str | Mapping[str, str] | None) -> str | None:
    """Which end is hard: the registry's word for registered scores."""
    end = hard.get(score) if isinstance(hard, Mapping) else hard
    known = SCORES.get(score)
    if known is not None:
        if end is not None and end != known.hard:
            raise DropError(
                "hard",
                f"the score '{score}' is registered with {known.hard!r}, but got {end!r}; "
                "leave it out, call the score something else, or pass a mapping from score to end",
            )
        return known.hard
    if end is None:
        raise DropError(
            "hard", f"must be 'high' or 'low' for '{score}', which is no registered score"
        )
    return checks.choice("hard", end, ("high", "low"))


def _field(
    score: str, values: FloatArray, hard: str | None, content: _Content, model: str | None
) -> ScoreValues:
    facts: dict[str, Any] = {"model": model or f"imported from {content.source}"}
    training = {"epochs": content.epochs, "presentations": content.presentations}
    facts |= {name: value for name, value in training.items() if value is not None}
    switches = content.switches.get(score, {})
    origin = None if model is None else ["named", model, content.epochs]
    if score in SCORES:
        return field_values(score, values, switches, origin=origin, **facts)
    info = {"score": score, "hard": hard, "kept_first": hard, "convention": dict(switches)}
    return float_field(values, f"Imported scores ({hard} = hard)", info | facts, origin)


class _Keys:
    """Where ids and filepaths are in a collection; filepaths are read when one is asked for."""

    def __init__(self, samples: foc.SampleCollection) -> None:
        self._samples = samples
        self.ids = read_ids(samples)
        self._row_of_id = {digits.decode(): row for row, digits in enumerate(self.ids.tolist())}
        self._rows_of_path: dict[str, list[int]] | None = None

    def place(self, score: str, column: Any, ids: Ids | None) -> tuple[IntArray, FloatArray]:
        """Rows (M,) of the collection, ascending, and their scores (M,)."""
        if isinstance(column, Mapping):
            keys: list[Any] = list(column)
            values = _numbers(score, list(column.values()))
        else:
            values = _numbers(score, column)
            expected = len(self.ids) if ids is None else len(ids)
            if values.shape != (expected,):
                whose = "samples in the view" if ids is None else "ids in the file"
                raise DropError(
                    "scores",
                    f"'{score}' must hold one number for each of the {expected} {whose}, "
                    f"but has the shape {values.shape}",
                )
            scored = np.flatnonzero(~np.isnan(values))
            if ids is None:
                return scored, values[scored]
            keys = [digits.decode() for digits in ids[scored].tolist()]
            values = values[scored]
        places = [self._rows(key) for key in keys]
        unknown = [key for key, rows in zip(keys, places, strict=True) if not rows]
        if unknown:
            raise DropError(
                "scores",
                f"{len(unknown)} of {len(keys)} ids or filepaths of '{score}' are not in "
                f"the collection, such as {unknown[0]!r}; pass the scores of its samples only",
            )
        # A file may be that of several samples, which all have its score
        keys = [key for key, rows in zip(keys, places, strict=True) for _ in rows]
        values = np.repeat(values, [len(rows) for rows in places])
        rows = np.array([row for rows in places for row in rows], dtype=np.int64)
        order = np.argsort(rows, kind="stable")
        twice = np.flatnonzero(np.diff(rows[order]) == 0)
        if len(twice):
            both = [keys[i] for i in order[twice[0] : twice[0] + 2]]
            raise DropError("scores", f"{listing(both)} of '{score}' are the same sample")
        return rows[order], values[order]

    def _rows(self, key: Hashable) -> list[int]:
        """The rows of a sample id, or of a file; none if there are none."""
        if not isinstance(key, (str, os.PathLike)):
            return []
        text = os.fspath(key)
        if ObjectId.is_valid(text):
            row = self._row_of_id.get(text)
            return [] if row is None else [row]
        if self._rows_of_path is None:
            self._rows_of_path = defaultdict(list)
            batches = (paths for _, (paths,) in stream(self._samples, ["filepath"]))
            for row, path in enumerate(path for batch in batches for path in batch):
                self._rows_of_path[path].append(row)
        rows = self._rows_of_path.get(text)
        return rows or self._rows_of_path.get(fos.normalize_path(text), [])


def _numbers(score: str, values: Any) -> FloatArray:
    try:
        array = np.asarray(values)
        if array.dtype.kind in "cmMV":
            raise TypeError("complex numbers, times and records have no order")
        return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError, RecursionError, MemoryError) as error:
        raise DropError("scores", f"those of '{score}' must be numbers, but {error}") from error
