"""The Python call that makes a run once more: for who has clicked, and wants to write it down."""

from __future__ import annotations

import inspect
from typing import Any

import fiftyone as fo

from fiftyone_drop import checks
from fiftyone_drop.drafts import NO_SOURCE, has_target
from fiftyone_drop.errors import DropError
from fiftyone_drop.fields import must_keep_view
from fiftyone_drop.options import as_passed
from fiftyone_drop.precheck import free_key
from fiftyone_drop.pruning import apply_drop
from fiftyone_drop.run_lookup import get_config, load_drop
from fiftyone_drop.runs import DropConfig

# Said otherwise: how much is the density, and the rest is about writing
_LEFT_OUT = ("size", "max_bytes", "key", "overwrite", "progress", "cluster", "density")
# Where recalls come from and how: a record keeps in words alone what was a view or a model
_OF_RECALLS = (*NO_SOURCE, "smoothing", "missing_recall")


def python_call(dataset: fo.Dataset, key: str) -> str:
    """A script that makes a run again beside it, with the density that it has now.

    No record can hold a view or a model. Where its recalls came from one, the script takes the
    recalls themselves from the run, and where a view had to be kept, its samples.

    Args:
        dataset: the dataset
        key: the run key

    Raises:
        DropError: if there is no such run
    """
    key = checks.text("key", key)
    config = get_config(dataset, key)
    given = {"density": config.density} | _arguments(config)
    given["key"] = free_key(dataset, key)
    lines, from_the_run = [], []
    if config.recalls_from and not _can_be_said(config):
        lines.append(f"# Its recalls are from {_one_line(config.recalls_from)}")
        from_the_run.append(f"    recalls=fod.load_drop(dataset, {key!r}).recalls,")
        given = {n: v for n, v in given.items() if n not in _OF_RECALLS}
    words = given.get("must_keep")
    if words is not None and not _has_name(dataset, words):
        lines.append(f"# What had to be kept comes first in its order: {_one_line(words)}")
        del given["must_keep"]
        table = load_drop(dataset, key).table
        first = table.must_keep_density
        from_the_run.append(f"    must_keep=fod.drop_view(dataset, {key!r}, density={first!r}),")
    passed = [f"    {name}={value!r}," for name, value in given.items()] + from_the_run
    return "\n".join(
        [
            "import fiftyone as fo",
            "import fiftyone_drop as fod",
            "",
            f"dataset = fo.load_dataset({dataset.name!r})",
            *lines,
            "view = fod.apply_drop(",
            f"    {_target(dataset, key, config)},",
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
        value = as_passed(name, config.asked[name])
        if value != parameter.default and not _is_default(value, parameter.default):
            arguments[name] = value
    if config.label_field:
        arguments["label_field"] = config.label_field
    return arguments


def _is_default(value: object, default: object) -> bool:
    """Whether a record says nothing: an empty tuple is None there."""
    return value is None and not default


def _can_be_said(config: DropConfig) -> bool:
    """Whether the source of recalls is a name, or a number, and nothing that was passed."""
    return all(config.asked.get(name) is None for name in ("recalls", "validation", "model"))


def _has_name(dataset: fo.Dataset, must_keep: str) -> bool:
    """Whether samples that must be kept have a tag or a field, and are no view in words."""
    try:
        must_keep_view(dataset, must_keep)
    except DropError:
        return False
    return True


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _target(dataset: fo.Dataset, key: str, config: DropConfig) -> str:
    """The target view: the dataset, its samples of some tags, or what the run remembers."""
    if not has_target(config):
        return f'fod.drop_view(dataset, {key!r}, part="all")'
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
