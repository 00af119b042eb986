"""``import_scores``: scores that were computed elsewhere, such as on a cluster.

Every form that scores come in is told from the others here, so that the module is longer than
others.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc

from fiftyone_drop import checks
from fiftyone_drop._types import FloatArray, Ids
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import check_collection
from fiftyone_drop.matching import EXTRA, check_prefix
from fiftyone_drop.score_fields.fields import (
    ScoreValues,
    check_field_free,
    field_values,
    float_field,
    write,
)
from fiftyone_drop.score_fields.sample_keys import Keys, SampleKeys
from fiftyone_drop.score_fields.score_file import read_score_file
from fiftyone_drop.score_fields.score_table import (
    ScoreTable,
    check_score_columns,
    table_of_frame,
)
from fiftyone_drop.scoring import SCORES
from fiftyone_drop.training import QueryModel

if TYPE_CHECKING:
    import pandas as pd


def import_scores(
    samples: foc.SampleCollection,
    scores: str | os.PathLike[str] | pd.DataFrame | pd.Series[Any] | QueryModel | Mapping[str, Any],
    *,
    name: str | None = None,
    hard: str | Mapping[str, str] | None = None,
    model: str | None = None,
    sample_column: str | None = None,
    score_columns: str | Sequence[str] | Mapping[str, str] | None = None,
    path_prefix: tuple[str, str] | None = None,
    extra: str = "error",
    prefix: str = "",
    overwrite: bool = False,
    progress: Any = None,
) -> list[str]:
    """Write scores that were computed elsewhere into fields.

    Example::

        fod.import_scores(view, "scores.npz")                       # DynamicsRecorder.save wrote it
        fod.import_scores(dataset, "scores.csv", score_columns="loss", hard="high")
        fod.import_scores(dataset, frame, path_prefix=("", "/data/images/"))
        fod.import_scores(dataset, {"/data/1.jpg": 0.3, ...}, name="el2n")
        fod.import_scores(dataset, {"mine": {"64f...": 0.3, ...}}, hard="high")

    A field holds the scores of one model. Samples without a score are left as they are where both
    calls say that their scores are from the same ``model``; where a call does not say it, it must
    cover all samples that have a score in the field. The score of a file goes to all samples of it.
    Rows of one sample count once where their scores are equal, and are an error where they differ.

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or view
        scores: one of

            -   the path of a table with a line of column names (.csv, .tsv or .txt; by commas,
                semicolons, tabs or bars), or of a Parquet file (.parquet or .pq,
                ``pip install 'fiftyone-drop[parquet]'``)
            -   the path of an .npz file: an array per score and one of ids or file paths, as
                ``DynamicsRecorder.save`` writes it; without these in the order of ``samples``
            -   a :class:`pandas.DataFrame`, or a :class:`pandas.Series` of one score; ids or file
                paths may be the index
            -   a :class:`fiftyone_drop.QueryModel` that ``train_query_model`` returned
            -   a mapping from score to a mapping from sample id or filepath to number
            -   with ``name``, a mapping from sample id or filepath to number
        name (None): the name of the score, with a mapping from id or filepath, or where a table has
            one score
        hard (None): which end is hard, ``"high"`` or ``"low"``, for scores that are not
            registered; or a mapping from score to that
        model (None): a name for the model that the scores are from. Calls with the same one add to
            each other's fields, such as for the parts of a cluster's work
        sample_column (None): the column of a table with ids or file paths; by default the one of
            which most are in ``samples``
        score_columns (None): the columns of a table with scores: a name, several, or a mapping from
            column to score; by default the columns of numbers, where it is clear that all of them
            are scores: there is one, or all are registered or named in ``hard``
        path_prefix (None): (old, new): file paths that begin with ``old`` begin here with ``new``;
            paths of Windows get slashes where ``new`` has some
        extra ("error"): what to do about scores of samples that ``samples`` does not have:
            ``"error"``, or ``"ignore"`` to leave them out
        prefix (""): the fields are named ``prefix`` + score
        overwrite (False): whether to replace fields that exist and are no scores of that name, and
            to clear scores of another model in other samples
        progress (None): as everywhere in FiftyOne

    Returns:
        the names of the fields

    Raises:
        DropError: if an argument is invalid, a file is damaged or ambiguous, an id or filepath is
            not in ``samples``, or other samples have scores in the field of which nobody says that
            they are from the same model; nothing has been written then
        ConnectionError: the database was away for ten minutes, or again and again
    """
    check_collection(samples)
    dataset = samples._root_dataset
    prefix = checks.text("prefix", prefix, empty=True)
    overwrite = checks.flag("overwrite", overwrite)
    model = checks.text("model", model, optional=True)
    extra = checks.choice("extra", extra, EXTRA)
    keys = SampleKeys(samples, check_prefix(path_prefix), extra)
    content = _read(
        scores,
        checks.text("name", name, optional=True),
        checks.text("sample_column", sample_column, optional=True),
        check_score_columns(score_columns),
        [*SCORES, *(hard if isinstance(hard, Mapping) else ())],
        keys,
    )
    ends = {score: _direction(score, hard) for score in content.columns}
    if not prefix:
        _check_names(content, name, isinstance(scores, Mapping))
    for score in content.columns:
        check_field_free(dataset, prefix + score, "score", score, overwrite)
    # Fields of the same samples are written together
    groups: dict[bytes, tuple[Ids, dict[str, ScoreValues]]] = {}
    for score, (of_samples, column) in content.columns.items():
        rows, values = keys.place(score, of_samples, column, content.gaps)
        _, fields = groups.setdefault(rows.tobytes(), (keys.ids[rows], {}))
        fields[prefix + score] = _field(score, values, ends[score], content, model, keys.left_out)
    write(dataset, list(groups.values()), overwrite, progress)
    return [prefix + score for score in content.columns]


def _check_names(content: _Content, name: str | None, by_mapping: bool) -> None:
    """Check that scores have names that fields can have; of a prefix the user has said nothing.

    Raises:
        DropError: about the argument that the name is from
    """
    argument, rule = "score_columns", "must give scores valid field names, as {column: name} does"
    if name is not None or by_mapping:
        argument, rule = "scores" if name is None else "name", "must make valid field names"
    for score in content.columns:
        checks.name(argument, score, rule)


@dataclass(frozen=True)
class _Content:
    """The scores as the user passed them.

    Attributes:
        columns: score -> the ids or file paths, None for the order of the collection; and numbers
        source: words for the record
        gaps: whether samples without a number are said to have none
        epochs: of the training run, if known
        presentations: how often its samples were presented, the fewest and the most times
        switches: score -> its switches, if known
        label_field: the labels that the scores were computed with, if known
    """

    columns: dict[str, tuple[Keys | None, Any]]
    source: str
    gaps: bool = False
    epochs: int | None = None
    presentations: list[int] | None = None
    switches: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    label_field: str | None = None


def _read(
    scores: Any,
    name: str | None,
    sample_column: str | None,
    score_columns: Mapping[str, str] | None,
    known: Collection[str],
    keys: SampleKeys,
) -> _Content:
    def content(table: ScoreTable) -> _Content:
        nameless = next((name for name in table.columns if keys.has(name)), None)
        if nameless is not None:
            raise DropError(
                "scores",
                f"{table.source} must begin with the names of its columns, but begins with the "
                f"sample {checks.shown(nameless, 100)}; add them",
            )
        of_samples = table.samples(sample_column, keys.find)
        columns = table.scores(score_columns, of_samples, known)
        return _Content({n: (of_samples, v) for n, v in columns.items()}, table.source)

    if isinstance(scores, str | os.PathLike):
        path = checks.path("scores", scores)
        file = read_score_file(path, len(keys.ids) if keys.extra == "error" else None)
        found = replace(
            content(file.table),
            epochs=file.epochs,
            presentations=file.presentations,
            switches=file.switches,
        )
        return _renamed(found, name)
    frame = _as_frame(scores, name)
    if frame is not None:
        return _renamed(content(table_of_frame(frame, "the data frame")), name)
    for argument, value in (("sample_column", sample_column), ("score_columns", score_columns)):
        if value is not None:
            raise DropError(argument, "goes with a file or a data frame; leave it out")
    if isinstance(scores, QueryModel) and name is None:
        if not scores.scores:
            raise DropError(
                "scores",
                "the QueryModel has none; train it with train_query_model(scores=...), or "
                "compute them with compute_scores(model=...)",
            )
        words = f"the training of a query model ({scores.architecture})"
        ids = list(scores.sample_ids)
        return _Content(
            {score: (ids, values) for score, values in scores.scores.items()},
            words,
            switches=scores.switches,
            label_field=scores.label_field,
        )
    if not isinstance(scores, Mapping) or not scores:
        raise DropError(
            "scores",
            "must be the path of a file, a data frame, a QueryModel, a mapping from score to a "
            "mapping from id or filepath to number, or such a mapping with name=, but got "
            f"{checks.shown(scores)}",
        )
    nested = [isinstance(value, Mapping) for value in scores.values()]
    if name is not None and not any(nested):
        scores = {name: scores}
    elif name is not None or not all(nested):
        raise DropError(
            "name", "must be given with a mapping from id or filepath to number, and with no other"
        )
    return _Content(
        {
            checks.text("scores", score): (list(values), list(values.values()))
            for score, values in scores.items()
        },
        "a mapping",
        gaps=True,
    )


def _as_frame(scores: Any, name: str | None) -> pd.DataFrame | None:
    """A data frame; None for anything else. Who passes one has imported pandas."""
    pandas = sys.modules.get("pandas")
    if pandas is None:
        return None
    if isinstance(scores, pandas.Series):
        column = name if scores.name is None else str(scores.name)
        if column is None:
            raise DropError("name", "must be given, since the Series has none")
        scores = scores.to_frame(column)
    if not isinstance(scores, pandas.DataFrame):
        return None
    if not len(scores):
        raise DropError("scores", "the data frame has no row")
    return scores


def _renamed(content: _Content, name: str | None) -> _Content:
    """The one score of a table under the name that the user gives it."""
    if name is None:
        return content
    if len(content.columns) > 1:
        raise DropError(
            "name",
            f"must be left out where there are several scores, {listing(list(content.columns))}; "
            "score_columns={column: score} names each",
        )
    ((old, column),) = content.columns.items()
    switches = {name: content.switches[old]} if old in content.switches else {}
    return replace(content, columns={name: column}, switches=switches)


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
            "hard",
            f"must be 'high' or 'low' for '{score}', which is no registered score; where it is no "
            "score at all, name the others in score_columns",
        )
    return checks.choice("hard", end, ("high", "low"))


def _field(
    score: str,
    values: FloatArray,
    hard: str | None,
    content: _Content,
    model: str | None,
    left_out: int,
) -> ScoreValues:
    facts: dict[str, Any] = {"model": model or f"imported from {content.source}"}
    training = {"epochs": content.epochs, "presentations": content.presentations}
    facts |= {name: value for name, value in training.items() if value is not None}
    if left_out:
        facts["left_out"] = left_out  # scores of samples that the collection does not have
    switches = content.switches.get(score, {})
    origin = None if model is None else ["named", model, content.epochs]
    if score in SCORES:
        return field_values(
            score, values, switches, label_field=content.label_field, origin=origin, **facts
        )
    info = {"score": score, "hard": hard, "kept_first": hard, "convention": dict(switches)}
    # The hard end too, which a registered score has of its own
    own = None if origin is None else [*origin, hard]
    return float_field(values, f"Imported scores ({hard} = hard)", info | facts, own)
