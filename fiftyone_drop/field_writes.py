"""Fields of values, written whole or not at all: what replaces a field is staged beside it.

Every such field has a mark in its ``info``: the token of its last write, the fingerprint of what
its values are from, and a state while it is not whole. Three ways lead to a whole field:

-   There is none of that name yet. It is made with the state "writing", is filled, and loses it.
-   It has the same fingerprint, and no value changes. New ones go between the old ones, since all
    are of one kind.
-   Anything else. The new values go into a staged field. When these are whole, the field gets the
    state "replacing" and the intent, each sample's value moves, and the staged field goes. Other
    samples keep values of the same fingerprint, and lose those of another.

A write that fails removes what it has made. After a crash the next call of anybody that writes does
that, or ends the move; until then readers refuse the field (:mod:`fiftyone_drop.field_marks`). They
go on refusing it where somebody has deleted the staged field meanwhile: its state is "mixed" then.
Callers hold the lease of the dataset.
"""

from __future__ import annotations

import uuid
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import fiftyone as fo

from fiftyone_drop import store
from fiftyone_drop._log import logger
from fiftyone_drop._types import Ids
from fiftyone_drop.errors import DropError
from fiftyone_drop.field_marks import (
    MARK,
    mark_of,
    part_error,
    same_kind,
    staged_name,
    staged_names,
)
from fiftyone_drop.lease import Lease
from fiftyone_drop.schema import forget_fields, is_classification, save_fields

EVALUATION = "evaluation"  # in the ``info`` of predictions: evaluation key; label field or None
EVALUATED = "evaluated"  # in the mark of an evaluation's field: the field of the predictions

Fields = Mapping[str, store.FieldValues]
Groups = Sequence[tuple[Ids, Fields]]
"""Sample ids, and the fields of these samples, in their order."""


def write(
    dataset: fo.Dataset,
    held: Lease,
    groups: Groups,
    *,
    fingerprints: Mapping[str, str | None],
    clears: bool,
    tokens: set[str],
    progress: Any = None,
) -> None:
    """Write fields. After a failure each holds what it held, or all of what is new.

    Call it after :func:`recover`, and after a failure again, with the same ``tokens``.

    Args:
        dataset: the dataset
        held: its lease
        groups: the samples and their fields; a field is in one group
        fingerprints: field -> what its values are from; None is like nothing else
        clears: whether values of another fingerprint in samples besides these may be cleared
        tokens: of the attempts that have written all values; this one adds its own then
        progress: as everywhere in FiftyOne

    Raises:
        DropError: if there are such values and ``clears`` is False, or a field of somebody else
            has the name of a staged field
    """
    token = uuid.uuid4().hex
    given = {name: values for _, some in groups for name, values in some.items()}
    marks = {name: {"token": token, "fingerprint": fingerprints.get(name)} for name in given}
    whole = {name: _marked(values, marks[name]) for name, values in given.items()}
    final = {
        name: {"info": dict(values.info or {}), "description": values.description}
        for name, values in whole.items()
    }
    same = {name for name in given if same_kind(dataset, name, fingerprints.get(name))}
    changed: set[str] = set()
    for ids, some in groups:
        known = {name: values for name, values in some.items() if name in same}
        changed |= store.changed_fields(dataset, ids, known)
    kept = same - changed
    old = {name: dataset.get_field(name) for name in given if name not in kept}
    replaced = {name: staged_name(name) for name, field in old.items() if field is not None}
    _check_kinds(given, old)
    _check_staged_free(dataset, replaced)
    made = {
        replaced.get(name, name): _marked(given[name], {**marks[name], "state": "writing"})
        for name in old
    }
    if kept:  # before the values, so that whoever reads them meanwhile can see it
        save_fields(dataset, {name: final[name] for name in kept})
    try:
        for ids, some in groups:
            to = {replaced.get(name, name): values for name, values in some.items()}
            store.write_fields(dataset, ids, to | {n: made[n] for n in to if n in made}, progress)
        _clear_rest(dataset, {n: s for n, s in replaced.items() if n not in same}, clears)
        for name in old:
            if name not in replaced:
                _evaluate(dataset, name, whole[name].info or {})
        held.check()
        tokens.add(token)  # of no attempt before: a field of the same kind has its mark at once
        _put_back(dataset, made)
        # From here on the new values are whole: whatever happens, they take the place of the old
        save_fields(
            dataset, final | {name: _replacing(old[name], final[name]) for name in replaced}
        )
    except BaseException:
        # From the server: the failure may have left memory and database apart
        dataset.reload()
        if held.renew():  # else whoever holds it now has undone this
            _undo(dataset, made)
        raise
    _finish(dataset, replaced)
    _put_back(dataset, whole)


def written(dataset: fo.Dataset, names: Iterable[str], tokens: Collection[str]) -> bool:
    """Whether fields are whole, and the last write of each was an attempt with one of the tokens.

    Call it after :func:`recover`.
    """
    marks = [mark_of(dataset.get_field(name)) for name in names]
    return all("state" not in mark and mark.get("token") in tokens for mark in marks)


def recover(dataset: fo.Dataset) -> None:
    """End the writes of fields that were cut off: remove what is not whole, move what is."""
    marks = {name: mark_of(field) for name, field in dataset.get_field_schema().items()}
    moving = [name for name, mark in marks.items() if mark.get("state") == "replacing"]
    if moving:
        logger.info("Ending the replacement of %s, which was cut off", ", ".join(moving))
        _finish(dataset, moving)
    partial = [name for name, mark in marks.items() if mark.get("state") == "writing"]
    if partial:
        _undo(dataset, partial)


def _check_kinds(given: Fields, old: Mapping[str, fo.Field | None]) -> None:
    """Check that a field can hold the values that are about to replace its own."""
    for name, field in old.items():
        if field is not None and not given[name].fits(field):
            raise DropError(
                "overwrite",
                f"the field '{name}' is a {type(field).__name__} and holds values of another kind; "
                "delete it, or write into a field of another name",
            )


def _check_staged_free(dataset: fo.Dataset, staged: Mapping[str, str]) -> None:
    for name, taken in staged.items():
        if dataset.has_field(taken):
            raise DropError(
                "overwrite",
                f"new values of '{name}' are staged in '{taken}', which is a field of somebody "
                "else; rename or delete that field, or write into a field of another name",
            )


def _staged_now(dataset: fo.Dataset, name: str) -> str | None:
    """Where the values lie that are about to replace those of a field; None if they are gone."""
    for staged in staged_names(name):
        field = dataset.get_field(staged)
        # Another session's save may sweep a field away; a deletion takes the values too, and first
        if mark_of(field) or (field is None and store.has_values(dataset, staged)):
            return staged
    return None


def _finish(dataset: fo.Dataset, names: Iterable[str]) -> None:
    """Move the staged values of fields to where they belong, as often as it takes.

    Some may have moved before somebody deleted the others with the staged field: nobody can tell
    which, and the field says so.
    """
    final, moves = {}, {}
    for name in names:
        field, staged = dataset.get_field(name), _staged_now(dataset, name)
        if staged is None:
            final[name] = {"info": {**field.info, MARK: {"state": "mixed"}}}
        else:
            final[name], moves[name] = mark_of(field)["intent"], staged
    if moves:
        store.move_values(dataset, moves)
    for name in moves:
        _evaluate(dataset, name, final[name]["info"])
    if final:
        forget_fields(dataset, moves.values(), final)


def _clear_rest(dataset: fo.Dataset, staged: Mapping[str, str], clears: bool) -> None:
    """Stage no value where a field has one, but nothing has been staged for the sample."""
    for name, source in staged.items():
        n = 0 if clears else store.count_rest(dataset, name, source)
        if n:
            raise part_error(dataset, name, n)
        store.stage_nothing(dataset, name, source)


def may_evaluate(dataset: fo.Dataset, name: str, key: str) -> bool:
    """Whether an evaluation key is free for predictions, or has an evaluation of them already.

    Args:
        dataset: the dataset
        name: the field of the predictions
        key: the evaluation key, which names a field too
    """
    if dataset.has_evaluation(key):
        return getattr(dataset.get_evaluation_info(key).config, "pred_field", None) == name
    field = dataset.get_field(key)  # which is made before the run
    return field is None or mark_of(field).get(EVALUATED) == name


def _evaluate(dataset: fo.Dataset, name: str, info: Mapping[str, Any]) -> None:
    """Evaluate predictions that say so, in place of their evaluation of before."""
    if EVALUATION not in info:
        return
    key, label_field = info[EVALUATION]["key"], info[EVALUATION]["label_field"]
    if not may_evaluate(dataset, name, key):
        logger.warning(
            "'%s' is not evaluated: '%s' is a field or an evaluation of somebody else", name, key
        )
        return
    store.delete_evaluation(dataset, key)
    if label_field is None:
        return
    # Somebody may have changed it since
    if all(is_classification(dataset.get_field(path)) for path in (name, label_field)):
        store.evaluate(dataset, name, label_field, key, {MARK: {EVALUATED: name}})
    else:
        logger.warning("'%s' cannot be evaluated against '%s' any more", name, label_field)


def _undo(dataset: fo.Dataset, names: Iterable[str]) -> None:
    """Remove fields that are not whole, and the evaluation of predictions in them.

    What is staged for a field that is being replaced is whole.
    """
    schema = dataset.get_field_schema()
    states = {name: mark_of(field).get("state") for name, field in schema.items()}
    moving = {
        staged
        for name, state in states.items()
        if state == "replacing"
        for staged in staged_names(name)
    }
    partial = [name for name in names if states.get(name) == "writing" and name not in moving]
    for name in partial:
        evaluation = (schema[name].info or {}).get(EVALUATION)
        if evaluation and may_evaluate(dataset, name, evaluation["key"]):
            store.delete_evaluation(dataset, evaluation["key"])
    if partial:
        store.unset(dataset, partial)
        forget_fields(dataset, partial)


def _put_back(dataset: fo.Dataset, fields: Fields) -> None:
    """Put back fields that another session's save has swept out of the schema."""
    dataset.reload()
    for name, values in fields.items():
        if not dataset.has_field(name):
            logger.info("Putting back %s", name)
            store.add_field(dataset, name, values)


def _marked(values: store.FieldValues, mark: Mapping[str, Any]) -> store.FieldValues:
    return replace(values, info={**(values.info or {}), MARK: dict(mark)})


def _replacing(field: fo.Field, final: Mapping[str, Any]) -> dict[str, Any]:
    """The document of a field whose values are about to be replaced."""
    mark = mark_of(field) | {"state": "replacing", "intent": dict(final)}
    return {"info": {**(field.info or {}), MARK: mark}}
