"""The list of fields in a dataset's document, changed in one step and field by field.

FiftyOne saves its list whole, and with it what another session has changed since. Its deletion of
fields writes every sample, once for each call.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import fiftyone as fo
import fiftyone.core.sample as fos

from fiftyone_drop import documents, lease


def save_fields(
    dataset: fo.Dataset, changes: Mapping[str, Mapping[str, Any]], gone: Collection[str] = ()
) -> None:
    """Change the documents of fields in one step, and no others; it is then on disk.

    Args:
        dataset: the dataset
        changes: field -> keys and values of its document
        gone (()): fields that the dataset forgets
    """
    cases = [
        {"case": {"$eq": ["$$field.name", name]}, "then": {"$literal": dict(change)}}
        for name, change in changes.items()
    ]
    changed = {"$switch": {"branches": cases, "default": {}}} if cases else {}
    listed: dict[str, Any] = {
        "$map": {
            "input": {
                "$filter": {
                    "input": "$sample_fields",
                    "as": "field",
                    "cond": {"$not": {"$in": ["$$field.name", {"$literal": list(gone)}]}},
                }
            },
            "as": "field",
            "in": {"$mergeObjects": ["$$field", changed]},
        }
    }
    documents.change_entries(
        dataset, [{"$set": {"sample_fields": listed, "last_modified_at": "$$NOW"}}]
    )
    dataset.reload()


def forget_fields(
    dataset: fo.Dataset, names: Iterable[str], changes: Mapping[str, Mapping[str, Any]] = {}
) -> None:
    """Take fields without values from the dataset, and change others, in one step.

    What the dataset knows of them besides goes first: indexes, and their places in the App.
    """
    lease.check(dataset)  # that their values are gone, or where they belong
    gone = set(names)
    for index, facts in dataset.get_index_information().items():
        if any(path.split(".")[0] in gone for path, _ in facts["key"]):
            dataset.drop_index(index)
    schemas = [path for path in dataset.label_schemas if path.split(".")[0] in gone]
    if schemas:
        dataset.delete_label_schemas(schemas)
    if dataset.app_config.sidebar_groups is not None:
        dataset.app_config._delete_paths(list(gone))
        dataset.save()
    fos.Sample._purge_fields(dataset._sample_collection_name, gone)
    save_fields(dataset, changes, gone)


def is_classification(field: object) -> bool:
    """Whether a field holds one Classification per sample."""
    return isinstance(field, fo.EmbeddedDocumentField) and issubclass(
        field.document_type, fo.Classification
    )
