"""The documents that FiftyOne keeps of a dataset, its runs and its saved views, entry by entry.

FiftyOne saves a dataset's lists of fields, runs and views whole, and with them what another session
has changed since. Our writers change one entry at a time. A change of the dataset's document waits
for the journal of the database, and so for everything that was written before it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.odm as foo
from bson import json_util
from fiftyone.core.odm.runs import RunDocument
from gridfs import GridFS
from pymongo import WriteConcern

ON_DISK = WriteConcern(w=1, j=True)
_RESULTS = {"runs": "_run_cache", "evaluations": "_evaluation_cache"}  # of a dataset, by key


def collection(name: str) -> Any:
    """A collection of FiftyOne's database; ``runs`` has runs and evaluations, ``views`` views."""
    return foo.get_db_conn()[name]


def on_disk(name: str) -> Any:
    """A collection whose writes wait for the journal."""
    return collection(name).with_options(write_concern=ON_DISK)


def address() -> str:
    """Where the server is, as host and port."""
    known = foo.get_db_client().topology_description.server_descriptions()
    return ", ".join(f"{host}:{port}" for host, port in sorted(known))


def server_process() -> Any:
    """Tells the process of the server from the next one, which knows only what was on disk.

    None where a server does not say it.
    """
    said = foo.get_db_client().admin.command("hello")
    return said.get("topologyVersion", {}).get("processId")


def entry(dataset: fo.Dataset, name: str, default: Any) -> Any:
    """An entry of a dataset's document, such as its ``saved_views``, as the server has it now."""
    document = collection("datasets").find_one({"_id": dataset._doc.id}, {name: 1}) or {}
    return document.get(name, default)


def ids_of(references: Iterable[Any]) -> list[Any]:
    """The ids that entries of a dataset's document refer to."""
    return [getattr(reference, "id", reference) for reference in references]


def change_entries(
    dataset: fo.Dataset, update: Mapping[str, Any] | Sequence[Mapping[str, Any]]
) -> None:
    """Apply an update of MongoDB to a dataset's document; it is then on disk."""
    on_disk("datasets").update_one({"_id": dataset._doc.id}, update)


def change_records(dataset: fo.Dataset, kind: str, update: Mapping[str, Any]) -> None:
    """Change a dataset's list of ``runs`` or ``evaluations``, and look at it again."""
    change_entries(dataset, update)
    getattr(dataset, _RESULTS[kind]).clear()
    dataset.reload()


def records(dataset: fo.Dataset, kind: str) -> dict[str, Mapping[str, Any]]:
    """The records of a dataset's ``runs`` or ``evaluations`` by key, sorted, as plain values.

    FiftyOne builds objects of them, which fails for those of other versions and other plugins.
    """
    listed = sorted(getattr(dataset._doc, kind).items())
    return {key: one.config for key, one in listed if isinstance(one, RunDocument)}


def results(dataset: fo.Dataset, key: str) -> Any:
    """The results of a run, as plain values.

    FiftyOne's own reading takes a connection that is lost for a file that is not there, and goes
    through a position in the file that all threads of a server share.

    Raises:
        GridFSError: they are not there: another session has replaced or deleted the run
    """
    stored = GridFS(foo.get_db_conn()).get(dataset._doc.runs[key].results.grid_id)
    return json_util.loads(stored.read().decode())


def delete_record(dataset: fo.Dataset, kind: str, key: str) -> None:
    """Delete a run or an evaluation with its results, and nothing else.

    From the dataset's list first, in one step. FiftyOne's own leaves a reference to nothing
    where it is cut off, and a run without its field where deleting that has failed.

    Args:
        dataset: the dataset
        kind: ``"runs"`` or ``"evaluations"``
        key: its key
    """
    document = getattr(dataset._doc, kind).get(key)
    change_records(dataset, kind, {"$unset": {f"{kind}.{key}": ""}})
    if isinstance(document, RunDocument):
        delete_document(document)


def delete_document(document: RunDocument) -> None:
    """Delete the document of a run or an evaluation, and its results."""
    if document.results:
        document.results.delete()
    document.delete()
