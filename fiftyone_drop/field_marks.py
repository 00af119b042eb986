"""The marks of fields: what their values are from, and whether all of them are there.

A mark stands in the ``info`` of a field. It has the token of the last write, the fingerprint of
what the values are from and, until the field is whole, a state: "writing", "replacing", or "mixed"
where nobody can end the replacement any more. :mod:`fiftyone_drop.field_writes` writes marks;
everything that reads values looks at them first.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import fiftyone as fo
import numpy as np

from fiftyone_drop import documents
from fiftyone_drop._types import Ids
from fiftyone_drop.errors import DropError
from fiftyone_drop.reader import read_ids

MARK = "drop_write"  # in the ``info`` of a field


def staged_name(name: str) -> str:
    """The field that takes the values that are about to replace those of a field.

    No name may have two underscores in a row: FiftyOne cannot reload a sample that somebody holds
    then, since MongoEngine takes them for a dot.
    """
    return f"{name}_being_written"


def staged_names(name: str) -> tuple[str, str]:
    """:func:`staged_name`, and what earlier versions called that field."""
    return staged_name(name), f"{name}__next"


def mark_of(field: fo.Field | None) -> dict[str, Any]:
    """The mark of a field; empty where there is none."""
    mark = (getattr(field, "info", None) or {}).get(MARK)
    return dict(mark) if isinstance(mark, Mapping) else {}


def unfinished(field: fo.Field | None) -> bool:
    """Whether the values of a field are being written, or a write was cut off."""
    return "state" in mark_of(field)


def recoverable(field: fo.Field | None) -> bool:
    """Whether the next call that writes ends or removes what was cut off."""
    return mark_of(field).get("state") in ("writing", "replacing")


def check_whole(field: fo.Field | None, name: str, argument: str) -> None:
    """Check that the values of a field are whole, as far as its mark tells.

    Args:
        field: the field
        name: its name
        argument: the argument that named it, for errors

    Raises:
        DropError: if it is being written or replaced, or that was cut off
    """
    state = mark_of(field).get("state")
    if state == "mixed":
        raise DropError(
            argument,
            f"the values of '{name}' are old ones and new ones: replacing them was cut off, and "
            "then the field with the new ones was deleted; make the call that wrote them again, "
            f"with overwrite=True, or dataset.delete_sample_field('{name}')",
        )
    if state == "replacing":
        raise DropError(
            argument,
            f"the values of '{name}' are being replaced; if that was cut off, make the call that "
            "wrote them again, which ends it, as any other call that writes does",
        )
    if state is not None:
        raise DropError(
            argument,
            f"the values of '{name}' are not whole: they are being written, or that was cut off; "
            f"make the call that wrote them again, or dataset.delete_sample_field('{name}')",
        )


def tokens(dataset: fo.Dataset, names: Iterable[str]) -> dict[str, Any]:
    """The marks of some fields as the server has them now; those that are not there are left out.

    Two equal answers say that nobody wrote these fields between them.
    """
    wanted = set(names)
    return {
        field["name"]: (field.get("info") or {}).get(MARK)
        for field in documents.entry(dataset, "sample_fields", [])
        if field["name"] in wanted
    }


def same_kind(dataset: fo.Dataset, name: str, fingerprint: str | None) -> bool:
    """Whether a field is whole and its values have this fingerprint."""
    mark = mark_of(dataset.get_field(name))
    return (
        "state" not in mark and fingerprint is not None and mark.get("fingerprint") == fingerprint
    )


def outside(dataset: fo.Dataset, name: str, ids: Ids) -> int:
    """How many samples besides those with some ids (N,) have a value in a field."""
    samples = dataset._sample_collection
    filled = samples.count_documents({name: {"$ne": None}})
    if not filled or samples.count_documents({}) == len(ids):
        return 0
    return int((~np.isin(read_ids(dataset.exists(name)), ids)).sum())


def part_error(dataset: fo.Dataset, name: str, n: int) -> DropError:
    """The error of a call that covers a part of a field that something else has filled."""
    info = dataset.get_field(name).info or {}
    whose = info.get("model", "nobody knows which")
    if info.get("convention"):
        whose += f", {info['convention']}"
    return DropError(
        "overwrite",
        f"{n:,} samples that this call does not cover have values in '{name}' of another model or "
        f"convention ({whose}), or of an earlier version of this package, and a score field is of "
        "one; pass overwrite=True, which clears these, or another prefix, or the samples of all of "
        "them",
    )
