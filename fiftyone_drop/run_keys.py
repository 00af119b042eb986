"""Whether a run can be written under a key: the key, its fields and its saved views."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

import fiftyone as fo
import fiftyone.core.collections as foc

from fiftyone_drop import checks
from fiftyone_drop.errors import DropError
from fiftyone_drop.field_marks import staged_names
from fiftyone_drop.fields import known_fields
from fiftyone_drop.run_lookup import find_configs
from fiftyone_drop.run_outputs import (
    Outputs,
    check_not_read_only,
    key_of_successor,
    left_behind,
    own_fields,
    owns_evaluation,
)
from fiftyone_drop.runs import DropConfig, copied_views
from fiftyone_drop.saved_views import check_views_free, own_views

Uses = Sequence[tuple[str, str]]
"""Arguments of a call, and the fields, evaluations and runs that they name."""


def check_key(samples: foc.SampleCollection, key: object, overwrite: bool, uses: Uses = ()) -> str:
    """Return a key under which a run of a target view can be written.

    Args:
        samples: the target view
        key: the run key
        overwrite: whether a run of that key may be replaced
        uses (()): argument and name of each field, evaluation and run that the call uses

    Raises:
        DropError: if ``key`` is no valid field name; it is taken by a run and ``overwrite`` is
            False; one of its fields, views or its evaluation run belongs to something else; or
            target view or arguments rest on what would be replaced, or a field of it is read-only
    """
    dataset = samples._root_dataset
    configs = find_configs(dataset)
    # An earlier version may have made a run of a name that would not do today
    key = key if isinstance(key, str) and key in configs else checks.stem("key", key)
    existing = configs.get(key)
    if existing is None and key in dataset.list_runs():
        raise DropError("key", f"'{key}' is a custom run that is no drop run; choose another key")
    abandoned = abandoned_fields(dataset, key)
    # First, for what rests on a run cannot replace it either
    check_independent(samples, key, [*(existing.fields if existing else ()), *abandoned], uses)
    # What a writer that died had begun is ended, or undone, before a run of this key is written
    begun = next((configs[name] for name in staged_names(key) if name in configs), None)
    runs = [existing] if existing else []
    if begun is not None and not begun.complete:
        runs.append(begun)
    if any(run.complete or run.overwrites for run in runs) and not overwrite:
        raise DropError(
            "key",
            f"there is a drop run '{key}' already; pass overwrite=True to replace it, or another "
            "key",
        )
    _check_names_free(dataset, key, runs, abandoned)
    mine = present_views(dataset, existing) if existing else []
    remedy = "choose another key, or rename that view"
    check_views_free(dataset, Outputs.of(key, None).views, mine, remedy)
    replaced = own_fields(dataset, existing.outputs) if existing else []
    check_not_read_only(dataset, [*replaced, *abandoned])
    return key


def _check_names_free(
    dataset: fo.Dataset, key: str, runs: Sequence[DropConfig], abandoned: Sequence[str]
) -> None:
    """Check that a run would replace no field and no evaluation but of these runs, or abandoned."""
    own = [run.outputs for run in runs]
    own += [Outputs.of(key, run.token) for run in runs if run.token is not None]
    evaluations = {outputs.eval_key for outputs in own if owns_evaluation(dataset, outputs)}
    free = {name for outputs in own for name in own_fields(dataset, outputs)} | evaluations
    free |= {*abandoned, *abandoned_fields(dataset, key_of_successor(key))}
    new = Outputs.of(key, None)
    staged = Outputs.of(key_of_successor(key), None).fields if runs or abandoned else []
    for field in known_fields(dataset, new.fields + staged):
        if field not in free:
            raise DropError(
                "key",
                f"the field '{field}' exists and belongs to no drop run '{key}'; choose another "
                "key, or rename or delete that field",
            )
    if dataset.has_evaluation(new.eval_key) and new.eval_key not in evaluations:
        raise DropError("key", f"the evaluation run '{new.eval_key}' exists; choose another key")


def abandoned_fields(dataset: fo.Dataset, key: str) -> list[str]:
    """The fields of a key that a run has left which is not in this dataset."""
    tokens = {str(config.token) for config in find_configs(dataset).values()}
    return left_behind(dataset, key, tokens)


def present_views(dataset: fo.Dataset, config: DropConfig) -> list[str]:
    """The saved views that exist and belong to a run, those that have lost its token too."""
    own = own_views(dataset, config.views, config.token)
    copied = copied_views(dataset, config)
    return [name for name in config.views if name in own or name in copied]


def check_independent(
    samples: foc.SampleCollection, key: str, fields: Sequence[str], uses: Uses = ()
) -> None:
    """Check that neither the target view nor an argument rests on what would be replaced.

    Args:
        samples: the target view
        key: the run key
        fields: the fields of the run of that key, and those that a run of another dataset has left
        uses (()): argument and name of each field, evaluation and run that the call uses

    Raises:
        DropError: if one does: the samples that are returned would not be those that were pruned
    """
    is_run = samples._root_dataset.has_run(key)
    whose = f"the run '{key}' that" if is_run else f"a run '{key}' of another dataset, and"
    for argument, name in uses:
        field = name.split(".")[0]
        # A tag may have the name of a run
        if field in fields or (is_run and field == key and argument != "must_keep"):
            remedy = "choose another key"
            if is_run and argument == "eval_key":
                remedy = f"pass recalls=load_drop(dataset, '{key}').recalls, or {remedy}"
            raise DropError(argument, f"'{name}' belongs to {whose} would be replaced; {remedy}")
    if samples is samples._root_dataset:
        return
    stages = serialized(samples)
    used = [name for name in fields if re.search(rf'"\$?{re.escape(name)}[".]', stages)]
    if used:
        raise DropError(
            "key",
            f"the target view depends on {used}, which belong to {whose} would be replaced; "
            "choose another key",
        )


def serialized(samples: foc.SampleCollection) -> str:
    """The stages of a view as text."""
    return json.dumps(samples._serialize(include_uuids=False), default=str)
