"""The steps that change a run, each of which may be cut off: whoever writes next ends what began.

A change of several steps first says in the record where it leads (``state`` and ``intent``). Every
function here brings such a change to its end and may be called again and again until it has; only a
run that was being written is undone. All of them are called under the lease of the dataset. They
share record, outputs and words, so that the module is longer than others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from typing import Any

import fiftyone as fo
from fiftyone.core.odm.runs import RunDocument

from fiftyone_drop import documents, field_writes, lease, saved_views, store
from fiftyone_drop._log import logger
from fiftyone_drop.errors import DropError
from fiftyone_drop.reader import aggregate
from fiftyone_drop.run_keys import abandoned_fields
from fiftyone_drop.run_lookup import find_configs
from fiftyone_drop.run_outputs import (
    TOKEN,
    Outputs,
    delete_outputs,
    in_part,
    key_of_successor,
    mark_evaluation,
    own_fields,
    owns_evaluation,
    run_views,
)
from fiftyone_drop.runs import RECORD, DropConfig, adopt_views
from fiftyone_drop.schema import is_classification, save_fields
from fiftyone_drop.snapshot import delete_snapshot
from fiftyone_drop.waiting import TakenOverError

ATTEMPTS = 3  # to put back what another session's save has swept away
COLOURS = {"kept": "#FF6D04", "pruned": "#9E9E9E"}


def recover(dataset: fo.Dataset, key: object) -> dict[str, str]:
    """End the changes of writers that have died, of runs and of fields.

    Args:
        dataset: the dataset
        key: the run that the caller is about to write

    Returns:
        key -> state of each run whose change was ended: a call that was to make such a change finds
        it made

    Raises:
        DropError: if the change of that run cannot be ended; another's is left for a later call
    """
    field_writes.recover(dataset)
    configs = find_configs(dataset)
    adopt_views(dataset, configs.values())
    ended = {}
    for name, config in configs.items():
        end = _ENDS.get(config.state)
        if end is None:
            continue
        about, state = config.intent.get("key", name), config.state
        logger.info("Ending a change of the drop run '%s' that was cut off", name)
        try:
            end(dataset, name, config)
        except TakenOverError:
            raise
        except ValueError as error:  # ours, and those of FiftyOne
            if about == key:
                raise
            logger.warning("A change of the drop run '%s' cannot be ended now: %s", about, error)
            dataset.reload()
        else:
            ended[about] = state
    return dict.fromkeys(_delete_unlisted_records(dataset), "deleting") | ended


def save_record(dataset: fo.Dataset, key: str, config: DropConfig) -> None:
    """Write the record of a run: what was written before is on disk by then, and then it is too."""
    lease.check(dataset)
    dataset.update_run_config(key, config)
    lease.check(dataset)


def undo(dataset: fo.Dataset, key: str, config: DropConfig) -> None:
    """Remove a run that was not written to its end."""
    lease.check(dataset)  # else the record may say by now that it was
    delete_outputs(dataset, config.outputs)
    delete_snapshot(config.token)
    if getattr(find_configs(dataset).get(key), "token", None) == config.token:
        documents.delete_record(dataset, "runs", key)


def finish_deleting(dataset: fo.Dataset, key: str, config: DropConfig) -> None:
    """Delete what a run owns, then its record."""
    undo(dataset, key, config)


def finish_moving(dataset: fo.Dataset, key: str, config: DropConfig) -> None:
    """Bring a run to the density of its intent: flags, saved views, then the record."""
    density = config.intent["density"]
    if config.kept_field in own_fields(dataset, config.outputs):
        store.move_kept(dataset, config.keep_at_field, config.kept_field, density)
        info = dataset.get_field(config.kept_field).info or {}
        # The field's own save() would fail here if somebody has made it read-only meanwhile
        save_fields(dataset, {config.kept_field: {"info": {**info, "density": density}}})
    save_views(dataset, key, config, density)
    config.density, config.quotas = density, config.intent["quotas"]
    config.state, config.intent = "complete", {}
    save_record(dataset, key, config)


def finish_writing(
    dataset: fo.Dataset,
    key: str,
    config: DropConfig,
    size: int | None = None,
    *,
    without: Collection[str] = (),
) -> None:
    """Save the views of a run whose fields are written, read all of it back, and say so.

    Args:
        dataset: the dataset
        key: the run key
        config: the record
        size (None): the number of samples that carry the run's fields, unless they were counted
        without (()): fields of the run that are gone for good

    Raises:
        DropError: if samples of the run are gone, or another session keeps sweeping its fields or
            views away
    """
    save_views(dataset, key, config, config.density)
    verify(dataset, key, config, size, without=without)
    config.state, config.intent = "complete", {}
    save_record(dataset, key, config)


def finish_replacing(dataset: fo.Dataset, staged_key: str, config: DropConfig) -> None:
    """Put a run that is whole under a staged key into the place of what stands under its key.

    If somebody has deleted a staged field since, the run is whole no more. It is undone while the
    old one stands, and put there without the field otherwise.

    Args:
        dataset: the dataset
        staged_key: the key of its record, which already is the final one if that was the last step
        config: the record; its state is "complete" afterwards, unless the run was undone

    Raises:
        DropError: if a field of somebody else has taken a name of the run since
    """
    key = config.intent["key"]
    kinds = {
        "predicts": config.pred_field is not None,
        "evaluates": config.written_eval_key is not None,
    }
    final = Outputs.of(key, config.token, **kinds)
    # An earlier version may have begun it, which called the successor otherwise
    staged_now = staged_key if staged_key != key else key_of_successor(key)
    staged = Outputs.of(staged_now, config.token, **kinds)
    sources = dict(zip(_decided_fields(final), _decided_fields(staged), strict=True))
    present, done = own_fields(dataset, staged), own_fields(dataset, final)
    gone = [to for to, source in sources.items() if source not in present and to not in done]
    old = find_configs(dataset).get(key)
    old = None if old is None or old.token == config.token else old
    abandoned = abandoned_fields(dataset, key)
    if gone and ((old is not None and old.complete) or abandoned):
        logger.warning(
            "The run that was about to replace '%s' has lost %s and is undone", key, gone
        )
        undo(dataset, staged_key, config)
        return
    if gone:
        logger.warning("The drop run '%s' has lost %s while it was written", key, gone)
        store.unset_strays(dataset, gone)
    replaced = abandoned if old is None else [*own_fields(dataset, old.outputs), *abandoned]
    _check_free(dataset, key, [to for to in sources if to not in (*done, *replaced)])
    if old is not None:
        old.state = "deleting"
        save_record(dataset, key, old)
        finish_deleting(dataset, key, old)
    store.delete_fields(dataset, abandoned)
    copies = {to: source for to, source in sources.items() if source in present}
    if copies:
        for to, source in copies.items():
            _like(dataset, to, dataset.get_field(source))
        lease.check(dataset)  # the fields are on disk before a value: see store.write_fields
        store.copy_fields(dataset, copies)
    if final.eval_key is not None and not _can_be_evaluated(dataset, config, final):
        logger.warning("The predictions of the drop run '%s' cannot be evaluated any more", key)
        if owns_evaluation(dataset, final):
            store.delete_evaluation(dataset, final.eval_key)
        final = replace(final, eval_key=None)
    if final.eval_key is not None:
        evaluate(dataset, config, final)
    delete_outputs(dataset, staged)
    config.written = final.names()
    if staged_key != key:
        dataset.update_run_config(staged_key, config)
        _rename_record(dataset, staged_key, key)
    # Before it was to replace another, it was counted
    finish_writing(dataset, key, config, without=gone)


def _decided_fields(outputs: Outputs) -> list[str]:
    """The fields of a run that cannot be made again from others."""
    names = (outputs.keep_at_field, outputs.kept_field, outputs.pred_field)
    return [name for name in names if name is not None]


def _check_free(dataset: fo.Dataset, key: str, names: Collection[str]) -> None:
    for name in names:
        if dataset.has_field(name):
            raise DropError(
                "key",
                f"the drop run '{key}' was being replaced, and its field '{name}' has become one "
                "of somebody else; rename or delete that field, and make the call again",
            )


def _can_be_evaluated(dataset: fo.Dataset, config: DropConfig, outputs: Outputs) -> bool:
    """Whether labels and predictions are there, and no evaluation or field of somebody else."""
    fields = (config.label_field, outputs.pred_field)
    there = all(is_classification(dataset.get_field(name)) for name in fields)
    key = str(outputs.eval_key)  # which names a field too
    field = dataset.get_field(key)
    is_theirs = field is not None and not outputs.owns(key, field)
    taken = (dataset.has_evaluation(key) or is_theirs) and not owns_evaluation(dataset, outputs)
    return there and not taken


def evaluate(dataset: fo.Dataset, config: DropConfig, outputs: Outputs) -> None:
    """Evaluate the predictions of a run, instead of an evaluation that is not whole."""
    pred_field, eval_key = str(outputs.pred_field), str(outputs.eval_key)
    store.delete_evaluation(dataset, eval_key)
    mark = {TOKEN: outputs.token}  # before it holds a value
    store.evaluate(dataset, pred_field, config.label_field, eval_key, mark)
    mark_evaluation(dataset, outputs)


def save_views(dataset: fo.Dataset, key: str, config: DropConfig, density: float) -> None:
    """Save the two views of a run at a density, or move them there.

    One whose name somebody has taken since is left out.
    """
    taken = _taken_names(dataset, config)
    views = run_views(dataset, config.outputs, density)
    for (name, view), (part, word) in zip(
        views.items(), {"kept": "keeps", "pruned": "prunes"}.items(), strict=True
    ):
        if name in taken:
            logger.warning(
                "The saved view '%s' of the drop run '%s' is left out: '%s' is somebody else's",
                name,
                key,
                taken[name],
            )
            continue
        words = f"The samples that the drop run '{key}' {word}"
        saved_views.save_view(dataset, name, config.token, view, words, COLOURS[part])


def _taken_names(dataset: fo.Dataset, config: DropConfig) -> dict[str, str]:
    """The saved views of a run whose names are taken: name -> the saved view of somebody else."""
    mine = saved_views.own_views(dataset, config.views, config.token)
    return saved_views.taken_names(dataset, config.views, mine)


def verify(
    dataset: fo.Dataset,
    key: str,
    config: DropConfig,
    size: int | None,
    *,
    views: bool = True,
    without: Collection[str] = (),
) -> None:
    """Read back from the server what a run has written, and put back what was swept away.

    FiftyOne saves its lists of fields and views whole, so that another session that saves an older
    list takes ours away.

    Raises:
        DropError: see :func:`finish_writing`
    """
    names = [name for name in config.fields if name not in without]
    for _ in range(ATTEMPTS):
        fields = {name: dataset.get_field(name) for name in names}
        dataset.reload()
        lost = [name for name in names if not dataset.has_field(name)]
        hidden = _missing_views(dataset, config) if views else []
        if not lost and not hidden:
            break
        logger.info("Putting back %s", ", ".join([*lost, *hidden]))
        for name in lost:
            if fields[name] is not None:
                _like(dataset, name, fields[name])
        if hidden:
            save_views(dataset, key, config, config.density)
    else:
        raise DropError(
            "dataset",
            f"another session keeps removing {[*lost, *hidden]} of the drop run '{key}', as it "
            "saves its own list of fields or views; call dataset.reload() there",
        )
    if size is None:
        return
    in_run = in_part(config.keep_at_field, config.density, "all")
    groups = aggregate(dataset, in_run, {"_id": None, "n": {"$sum": 1}})
    n = next((group["n"] for group in groups), 0)
    if n != size:
        raise DropError(
            "samples",
            f"{size - n:,} of the {size:,} samples of the run were deleted while it was being "
            "decided or written; make the call again",
        )


def _missing_views(dataset: fo.Dataset, config: DropConfig) -> list[str]:
    """The saved views of a run that are not there, and could be."""
    taken = _taken_names(dataset, config)
    missing = saved_views.missing_views(dataset, config.views, config.token)
    return [name for name in missing if name not in taken]


def _delete_unlisted_records(dataset: fo.Dataset) -> set[str]:
    """Delete records that a writer left before it listed them, or after; the keys of the runs.

    Those of evaluations too that runs have made.
    """
    lists = [documents.entry(dataset, kind, {}) for kind in ("runs", "evaluations")]
    ids = documents.ids_of([one for entries in lists for one in entries.values()])
    ours = [{"config.cls": RECORD}, {TOKEN: {"$exists": True}}]
    chosen = {"_dataset_id": dataset._doc.id, "$or": ours, "_id": {"$nin": ids}}
    keys = set()
    if documents.collection("runs").find_one(chosen, {"_id": 1}) is not None:
        for document in RunDocument.objects(__raw__=chosen):
            if document.config.get("cls") == RECORD:
                keys.add(document.key)
                # FiftyOne's own deletion may have taken it off the list while it was being written
                delete_outputs(dataset, DropConfig.from_dict(document.config).outputs)
            documents.delete_document(document)
    return keys


def _rename_record(dataset: fo.Dataset, key: str, new_key: str) -> None:
    """Give the record of a run another key: FiftyOne's own renaming may be cut off half-way."""
    document = dataset._doc.runs[key]
    documents.collection("runs").update_one({"_id": document.id}, {"$set": {"key": new_key}})
    lease.check(dataset)
    documents.change_records(dataset, "runs", {"$rename": {f"runs.{key}": f"runs.{new_key}"}})


def _like(dataset: fo.Dataset, name: str, field: Any) -> None:
    """Make a field of the same type and marks as another, where there is none."""
    if dataset.has_field(name):
        return
    kind: dict[str, Any] = {"ftype": type(field)}
    if isinstance(field, fo.EmbeddedDocumentField):
        kind["embedded_doc_type"] = field.document_type
    dataset.add_sample_field(name, description=field.description, info=field.info, **kind)


_ENDS: dict[str, Callable[[fo.Dataset, str, DropConfig], None]] = {
    "writing": undo,
    "moving": finish_moving,
    "replacing": finish_replacing,
    "deleting": finish_deleting,
}
