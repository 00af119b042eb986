"""The outputs of a run: its fields, its evaluation and its saved views, each with the run's token.

Only what carries the token of a run is replaced or deleted with it. A field or a saved view that
has lost it belongs to somebody else.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from typing import Any

import fiftyone as fo
from fiftyone import ViewField as F
from fiftyone.core.expressions import ViewExpression

from fiftyone_drop import documents, saved_views, store
from fiftyone_drop.errors import DropError
from fiftyone_drop.field_marks import staged_name, staged_names

TOKEN = saved_views.TOKEN  # in the ``info`` of a field, and in the document of an evaluation run
KEY = "drop_run"  # in the ``info`` of a field
PARTS = ("kept", "pruned", "all")  # of the samples of a run


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


def in_part(keep_at_field: str, density: float, part: str) -> ViewExpression:
    """Whether a sample is in a part of a run, one of ``PARTS``."""
    keep_at = F(keep_at_field)
    if part == "pruned":
        return keep_at > density
    # The lower bound leaves out samples outside the run: a missing value is below every number
    in_run = keep_at > 0
    return in_run & (keep_at <= density) if part == "kept" else in_run


def run_views(dataset: fo.Dataset, outputs: Outputs, density: float) -> dict[str, fo.DatasetView]:
    """What the saved views of a run show at a density, by name: first the kept samples."""
    parts = {outputs.kept_view: "kept", outputs.pruned_view: "pruned"}
    return {
        name: dataset.match(in_part(outputs.keep_at_field, density, part))
        for name, part in parts.items()
    }


def key_of_successor(key: str) -> str:
    """The key under which a run is written that is about to replace the run of a key."""
    return staged_name(key)


def own_fields(dataset: fo.Dataset, outputs: Outputs) -> list[str]:
    """The fields that a run has written and still owns."""
    schema = dataset.get_field_schema()
    return [name for name in outputs.fields if name in schema and outputs.owns(name, schema[name])]


def left_behind(dataset: fo.Dataset, key: str, tokens: Collection[str]) -> list[str]:
    """The fields of a key that carry the token of a run which the dataset does not have.

    ``view.clone()`` copies the fields of a run, and not the run. A field that somebody has copied
    to such a name has the mark of another key.

    Args:
        dataset: a dataset
        key: a run key, or that of its successor
        tokens: the tokens of the runs of the dataset
    """
    schema = dataset.get_field_schema()
    found = []
    for name in Outputs.of(key, None).fields:
        info = schema[name].info or {} if name in schema else {}
        named = info.get(KEY, key)  # the field of an evaluation says nothing
        if info.get(TOKEN) not in (None, *tokens) and key in (named, *staged_names(named)):
            found.append(name)
    return found


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
