"""The outputs of a run: its fields, its evaluation and its saved views, each with the run's token.

Only what carries the token of a run is replaced or deleted with it. A field or a saved view that
has lost it belongs to somebody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo

from fiftyone_drop import documents, saved_views, store
from fiftyone_drop.errors import DropError
from fiftyone_drop.field_marks import staged_name

TOKEN = saved_views.TOKEN  # in the ``info`` of a field, and in the document of an evaluation run
KEY = "drop_run"  # in the ``info`` of a field


@dataclass(frozen=True)
class Outputs:
    """The names of what a run writes, and its mark on them.

    Attributes:
        token: the mark; None for runs from before there were marks
        keep_at_field: the field with the smallest density at which each sample is kept
        kept_field: the field that says whether a sample is kept at the run's density
        kept_view: the saved view of the kept samples
        pruned_view: the saved view of the pruned samples
        pred_field: the predictions of query models, or None
        eval_key: the evaluation of these, or None
    """

    token: str | None
    keep_at_field: str
    kept_field: str
    kept_view: str
    pruned_view: str
    pred_field: str | None = None
    eval_key: str | None = None

    @classmethod
    def of(
        cls, key: str, token: str | None, *, predicts: bool = True, evaluates: bool = True
    ) -> Outputs:
        """The outputs of a run under a key."""
        return cls(
            token=token,
            keep_at_field=f"{key}_keep_at",
            kept_field=f"{key}_kept",
            kept_view=f"{key}-kept",
            pruned_view=f"{key}-pruned",
            pred_field=f"{key}_pred" if predicts else None,
            eval_key=f"{key}_eval" if evaluates else None,
        )

    def names(self) -> dict[str, Any]:
        """The names, for the record of the run."""
        return {name: value for name, value in asdict(self).items() if name != "token"}

    @property
    def fields(self) -> list[str]:
        """The sample fields."""
        names = [self.keep_at_field, self.kept_field, self.pred_field, self.eval_key]
        return [name for name in names if name]

    @property
    def views(self) -> list[str]:
        """The saved views."""
        return [self.kept_view, self.pruned_view]

    def marks(self, key: str) -> dict[str, Any]:
        """The marks of a field's ``info``."""
        return {KEY: key, TOKEN: self.token}

    def owns(self, name: str, field: fo.Field) -> bool:
        """Whether a field of one of the names belongs to the run."""
        info = field.info or {}
        if self.token is not None:
            return bool(info.get(TOKEN) == self.token)
        # Before there were tokens, fields were marked but for predictions and evaluations
        return TOKEN not in info and (KEY in info or name in (self.pred_field, self.eval_key))


def key_of_successor(key: str) -> str:
    """The key under which a run is written that is about to replace the run of a key."""
    return staged_name(key)


def own_fields(dataset: fo.Dataset, outputs: Outputs) -> list[str]:
    """The fields that a run has written and still owns."""
    schema = dataset.get_field_schema()
    return [name for name in outputs.fields if name in schema and outputs.owns(name, schema[name])]


def left_behind(dataset: fo.Dataset, names: Iterable[str], tokens: Collection[str]) -> list[str]:
    """Those of the fields that carry the token of a run which the dataset does not have.

    ``view.clone()`` copies the fields of a run, and not the run.

    Args:
        dataset: a dataset
        names: the fields
        tokens: the tokens of its runs
    """
    schema = dataset.get_field_schema()
    marks = {name: (schema[name].info or {}).get(TOKEN) for name in names if name in schema}
    return [name for name, mark in marks.items() if mark is not None and mark not in tokens]


def owns_evaluation(dataset: fo.Dataset, outputs: Outputs) -> bool:
    """Whether the evaluation run of that name exists and belongs to the run."""
    if outputs.eval_key not in dataset.list_evaluations():
        return False
    document = (
        documents.collection("runs").find_one({"_id": _evaluation_id(dataset, outputs.eval_key)})
        or {}
    )
    if TOKEN in document:
        return bool(document[TOKEN] == outputs.token)
    # It gets its mark when it is done: until then the predictions that it is about have one
    evaluated = document.get("config", {}).get("pred_field")
    return evaluated == outputs.pred_field and evaluated in own_fields(dataset, outputs)


def mark_evaluation(dataset: fo.Dataset, outputs: Outputs) -> None:
    """Give the evaluation run that a run has made the run's token."""
    chosen = {"_id": _evaluation_id(dataset, outputs.eval_key)}
    documents.collection("runs").update_one(chosen, {"$set": {TOKEN: outputs.token}})


def check_not_read_only(dataset: fo.Dataset, names: Iterable[str]) -> None:
    """Check that nobody protects fields of a run, which our own writes would not notice.

    Raises:
        DropError: if one is read-only
    """
    for name in names:
        if dataset.get_field(name).read_only:
            raise DropError(
                "key",
                f"the field '{name}' of the run is read-only; allow changes with "
                f"field = dataset.get_field('{name}'); field.read_only = False; field.save()",
            )


def delete_outputs(dataset: fo.Dataset, outputs: Outputs) -> None:
    """Remove the views, the evaluation run and the fields of a run, as far as it owns them."""
    saved_views.delete_views(dataset, outputs.views, outputs.token)
    store.unset_strays(dataset, outputs.fields)
    if owns_evaluation(dataset, outputs):
        store.delete_evaluation(dataset, str(outputs.eval_key))
    store.delete_fields(dataset, own_fields(dataset, outputs))


def _evaluation_id(dataset: fo.Dataset, eval_key: str | None) -> Any:
    found = documents.entry(dataset, "evaluations", {}).get(eval_key)
    return documents.ids_of([found])[0]
