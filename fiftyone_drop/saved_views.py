"""The saved views of runs: flat matches on the whole dataset, each with the token of its run.

A saved view belongs to a run if its document carries the run's token, and not by its name. FiftyOne
ignores what it does not know in these documents, and keeps it when the view is renamed.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timezone
from typing import Any

import fiftyone as fo
import fiftyone.core.utils as fou
from bson import json_util
from pymongo import ReturnDocument

from fiftyone_drop import documents
from fiftyone_drop.errors import DropError

TOKEN = "drop_token"  # in the document of a saved view


def save_view(
    dataset: fo.Dataset, name: str, token: str | None, view: fo.DatasetView, words: str, colour: str
) -> None:
    """Save a view of a run, or make the one that the run has show something else.

    Args:
        dataset: the dataset
        name: the name of the saved view
        token: the token of the run
        view: what it shows
        words: a line for the App
        colour: its colour in the App
    """
    now = datetime.now(timezone.utc)
    shown = {"view_stages": _stages(view), "last_modified_at": now}
    about = {"description": words, "color": colour, "slug": fou.to_slug(name), "created_at": now}
    owner = {"_dataset_id": dataset._doc.id, "name": name, TOKEN: token or {"$exists": False}}
    # With its mark from the first moment, and in the list of the dataset when it is on disk: a list
    # that names a view which a killed server has forgotten would name nothing for ever
    document = documents.on_disk("views").find_one_and_update(
        owner,
        {"$set": shown, "$setOnInsert": about},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    _update_list(dataset, {"$addToSet": {"saved_views": document["_id"]}})


def delete_views(dataset: fo.Dataset, names: Sequence[str], token: str | None) -> None:
    """Delete those of the saved views that exist and belong to a run."""
    for document in _documents(dataset, names, token):
        _update_list(dataset, {"$pull": {"saved_views": document["_id"]}})
        documents.collection("views").delete_one({"_id": document["_id"]})


def own_views(dataset: fo.Dataset, names: Sequence[str], token: str | None) -> list[str]:
    """Those of the saved views that exist and belong to a run."""
    there = {document["name"] for document in _documents(dataset, names, token)}
    return [name for name in names if name in there]


def missing_views(dataset: fo.Dataset, names: Sequence[str], token: str | None) -> list[str]:
    """Those of the saved views of a run that the server does not have, or does not list."""
    ids = documents.ids_of(documents.entry(dataset, "saved_views", []))
    there = {view["name"] for view in _documents(dataset, names, token) if view["_id"] in ids}
    return [name for name in names if name not in there]


def unmarked_names(dataset: fo.Dataset) -> set[str]:
    """The names of the saved views that carry no token."""
    unmarked = {"_dataset_id": dataset._doc.id, TOKEN: {"$exists": False}}
    return set(documents.collection("views").distinct("name", unmarked))


def copies(dataset: fo.Dataset, views: Mapping[str, fo.DatasetView]) -> dict[str, Any]:
    """Saved views that carry no token, and have name and stages of a run's: name -> id.

    FiftyOne leaves the token behind when it copies a saved view, in ``dataset.clone()`` and in the
    export of a dataset.

    Args:
        dataset: the dataset
        views: name -> what the saved view of a run shows
    """
    same = [{"name": name, "view_stages": _stages(view)} for name, view in views.items()]
    unmarked = {"_dataset_id": dataset._doc.id, TOKEN: {"$exists": False}, "$or": same}
    return {found["name"]: found["_id"] for found in documents.collection("views").find(unmarked)}


def adopt(ids: Collection[Any], token: str) -> None:
    """Give saved views that carry no token that of a run."""
    if ids:
        chosen = {"_id": {"$in": list(ids)}, TOKEN: {"$exists": False}}
        documents.on_disk("views").update_many(chosen, {"$set": {TOKEN: token}})


def taken_names(dataset: fo.Dataset, names: Sequence[str], mine: Collection[str]) -> dict[str, str]:
    """Those of the names under which a saved view would hide another: name -> the other.

    That is one of the same name or slug: ``-``, ``_`` and case are one in a slug.

    Args:
        dataset: the dataset
        names: names to be saved
        mine: names of saved views that may be replaced
    """
    slugs = {fou.to_slug(other): other for other in dataset.list_saved_views() if other not in mine}
    others = {name: slugs.get(fou.to_slug(name)) for name in names}
    return {name: other for name, other in others.items() if other is not None}


def check_views_free(
    dataset: fo.Dataset, names: Sequence[str], mine: Collection[str], remedy: str
) -> None:
    """Check that no name is one of :func:`taken_names`.

    Raises:
        DropError: if one is
    """
    for name, taken in taken_names(dataset, names, mine).items():
        raise DropError(
            "key",
            f"the saved view '{name}' cannot be made, since the name of the saved view '{taken}' "
            f"is the same or differs in case, '-' or '_' only; {remedy}",
        )


def _stages(view: fo.DatasetView) -> list[str]:
    """The stages of a view as FiftyOne saves them."""
    return [json_util.dumps(stage) for stage in view._serialize(include_uuids=False)]


def _documents(
    dataset: fo.Dataset, names: Sequence[str], token: str | None
) -> list[dict[str, Any]]:
    """The saved views of these names that belong to a run."""
    # Runs from before there were tokens own the views of their names that have none
    mark = token or {"$exists": False}
    wanted = {"_dataset_id": dataset._doc.id, "name": {"$in": list(names)}, TOKEN: mark}
    return list(documents.collection("views").find(wanted))


def _update_list(dataset: fo.Dataset, update: dict[str, Any]) -> None:
    """Change the dataset's list of views by one view, where FiftyOne would save it whole."""
    documents.change_entries(dataset, update)
    dataset._doc.reload("saved_views")
