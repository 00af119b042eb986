"""The Python call that makes a run once more: for who has clicked, and wants to write it down."""

from __future__ import annotations

import inspect
from typing import Any

import fiftyone as fo

from fiftyone_drop import checks
from fiftyone_drop.pruning import apply_drop
from fiftyone_drop.run_lookup import get_config
from fiftyone_drop.runs import DropConfig

# Said otherwise: how much is the density, and the rest is about writing
_LEFT_OUT = ("size", "max_bytes", "key", "overwrite", "progress", "cluster", "density")
# Where recalls come from, which a record keeps in words alone where they are views or models
_RECALLS = ("recalls", "eval_key", "validation", "pred_field", "model", "query", "folds", "holdout")
_OF_MEASURING = ("smoothing", "missing_recall")
# A record holds mappings as pairs
_MAPPINGS = ("quotas", "weights", "drop_below", "drop_above", "min_per_class", "max_per_class")


def python_call(dataset: fo.Dataset, key: str) -> str:
    """A script that makes a run again, with the density that it has now.

    Where its recalls came from a view or a model, which no record can hold, it takes the recalls
    themselves from the run.

    Args:
        dataset: the dataset
        key: the run key

    Raises:
        DropError: if there is no such run
    """
    key = checks.text("key", key)
    config = get_config(dataset, key)
    given = {"density": config.density} | _arguments(config) | {"key": key}
    lines, recalls = [], f"fod.load_drop(dataset, {key!r}).recalls"
    if config.recalls_from and not _can_be_said(config):
        lines = [f"# Its recalls are from {_one_line(config.recalls_from)}"]
        given = {n: v for n, v in given.items() if n not in (*_RECALLS, *_OF_MEASURING)}
    passed = [f"    {name}={value!r}," for name, value in given.items()]
    if lines:
        passed.append(f"    recalls={recalls},")
    return "\n".join(
        [
            "import fiftyone as fo",
            "import fiftyone_drop as fod",
            "",
            f"dataset = fo.load_dataset({dataset.name!r})",
            *lines,
            "view = fod.apply_drop(",
            f"    {_target(dataset, key)},",
            *passed,
            ")",
        ]
    )


def _arguments(config: DropConfig) -> dict[str, Any]:
    """The arguments that are not as by default, as they were passed."""
    parameters = inspect.signature(apply_drop).parameters
    arguments = {}
    for name, parameter in parameters.items():
        if name in _LEFT_OUT or name not in config.asked:
            continue
        value = config.asked[name]
        if name in _MAPPINGS and isinstance(value, list):
            value = {_hashable(of): number for of, number in value}
        if value != parameter.default and not _is_default(value, parameter.default):
            arguments[name] = value
    if config.label_field:
        arguments["label_field"] = config.label_field
    return arguments


def _is_default(value: object, default: object) -> bool:
    """Whether a record says nothing: an empty tuple is None there."""
    return value is None and not default


def _hashable(of: object) -> object:
    return tuple(of) if isinstance(of, list) else of


def _can_be_said(config: DropConfig) -> bool:
    """Whether the source of recalls is a name, or a number, and nothing that was passed."""
    return all(config.asked.get(name) is None for name in ("recalls", "validation", "model"))


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _target(dataset: fo.Dataset, key: str) -> str:
    """The target view: the dataset, its samples of some tags, or what the run remembers."""
    stages = getattr(dataset.load_run_view(key), "_stages", ())  # a dataset has none
    if not stages:
        return "dataset"
    first = stages[0]
    if len(stages) == 1 and isinstance(first, fo.MatchTags) and first.bool is not False:
        tags = first.tags if isinstance(first.tags, str) else list(first.tags)
        if isinstance(tags, list) and len(tags) == 1:
            tags = tags[0]
        if isinstance(tags, str):
            return f"dataset.match_tags({tags!r})"
    return f"dataset.load_run_view({key!r})"
