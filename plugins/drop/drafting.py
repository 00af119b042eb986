"""Drafts of the panel: from what is chosen in a browser to drafts of the package.

Drafts live in the browser, which sends all choices each time. Here is remembered what was read.
"""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from . import panel_data
from .forms.recent import recently

CLOSED_FORM = "closed-form"  # as the source of recalls: the only one that takes long
REMEMBERED = 12
SPLIT_TAGS = precheck.SPLIT_TAGS["train"]
SELECT_AT_RANDOM = "random"

_drafts: OrderedDict[str, precheck.Draft] = OrderedDict()


class Choices(NamedTuple):
    """What is chosen in a draft.

    Attributes:
        base: the run that it begins with, or None
        samples: ``"run"``, ``"all"`` or ``"tag:<tag>"``
        recalls: ``"run:<key>"``, ``"eval:<key>"`` or ``"closed-form"``
        rule, select, keep: as in ``apply_drop``
        limits: (class, kind, number) each
        keep_ids: the samples that are kept always
        left_out: the samples that are left out
    """

    base: str | None
    samples: str
    recalls: str
    rule: str
    select: str
    keep: str
    limits: tuple[tuple[Any, str, int], ...] = ()
    keep_ids: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()

    @classmethod
    def of(cls, dataset: fo.Dataset, chosen: Mapping[str, Any]) -> Choices:
        """The choices, and the likeliest of what is not chosen yet.

        Raises:
            fiftyone_drop.DropError: if the run that it begins with does not exist
        """
        base = chosen.get("base")
        run = None if base is None else fod.load_drop(dataset, base)
        first = next(iter(sources(dataset, run)))
        if run is not None:
            asked, has_recalls = run.config.asked, run.table.recalls is not None
            likely = {
                "samples": "run",
                "recalls": f"run:{base}" if has_recalls else first,
                "rule": run.config.rule,
                "select": run.config.select,
                "keep": asked.get("keep") or "hardest",
            }
        else:
            train = [tag for tag in splits(dataset) if tag.lower() in SPLIT_TAGS]
            likely = {
                "samples": f"tag:{train[0]}" if train else "all",
                "recalls": first,
                "rule": "drop",
                "select": SELECT_AT_RANDOM,
                "keep": "hardest",
            }
        return cls(**{"base": base, **likely, **chosen})


def splits(dataset: fo.Dataset) -> dict[str, int]:
    """The tags that look like splits, and how many samples have each."""
    return recently(["splits", dataset.name], lambda: precheck.splits(dataset))


def sources(dataset: fo.Dataset, run: fod.DropResults | None) -> dict[str, str]:
    """The sources of recalls, in words; the cheapest that the dataset has comes first."""
    fields = precheck.label_fields(dataset) if run is None else [run.config.label_field]
    groups = None if run is None else run.config.group_by
    evaluations = [key for field in fields for key in precheck.evaluations(dataset, field)]
    runs = [key for field in fields for key in precheck.runs_with_recalls(dataset, field, groups)]
    return (
        {f"eval:{key}": f"the evaluation {key}" for key in evaluations}
        | {f"run:{key}": f"those of the run {key}" for key in runs}
        | {CLOSED_FORM: "a query model in closed form"}
    )


# -- drafts ---------------------------------------------------------------------------------------


def find(dataset: fo.Dataset, choices: Choices, wait: bool = False) -> precheck.Draft | None:
    """The draft of some choices; None if its recalls must be measured first, which takes long.

    Args:
        dataset: the dataset
        choices: what is chosen
        wait (False): whether to measure recalls, however long that takes

    Raises:
        fiftyone_drop.DropError: if a choice is invalid, or two do not go together
    """
    known = _known(dataset, choices)
    if known in _drafts:
        _drafts.move_to_end(known)
        return _drafts[known]
    bare = choices._replace(limits=(), keep_ids=(), left_out=())
    if bare == choices:
        drawn = _begin(dataset, choices, wait)
    else:
        drawn = find(dataset, bare, wait)
        if drawn is not None:
            drawn = drawn.without(choices.left_out).keeping(choices.keep_ids)
            drawn = drawn.limited({of: (kind, n) for of, kind, n in choices.limits})
    if drawn is not None:
        _drafts[known] = drawn
        while len(_drafts) > REMEMBERED:
            _drafts.popitem(last=False)
    return drawn


def measured(dataset: fo.Dataset, choices: Choices) -> precheck.Draft:
    """The draft of some choices.

    Raises:
        fiftyone_drop.DropError: if its recalls must be measured first
    """
    draft = find(dataset, choices)
    if draft is None:
        raise fod.DropError("recalls", "must be measured first: choose Measure recalls")
    return draft


def forget(dataset: fo.Dataset) -> None:
    """Read the samples of the dataset again the next time."""
    for known in [one for one in _drafts if json.loads(one)[0] == dataset.name]:
        _drafts.pop(known, None)


def _begin(dataset: fo.Dataset, choices: Choices, wait: bool) -> precheck.Draft | None:
    """A draft without limits and chosen samples."""
    kind, _, key = choices.recalls.partition(":")
    checks.choice("rule", choices.rule, precheck.rules())
    checks.choice("recalls", kind, ("eval", "run", CLOSED_FORM))
    needs = "recalls" in precheck.rules()[choices.rule].needs
    if needs and choices.recalls == CLOSED_FORM and not wait:
        return None
    decided = {"rule": choices.rule, "select": choices.select, "keep": choices.keep}
    if choices.base is not None and choices.samples == "run":
        first = choices._replace(recalls=f"run:{choices.base}", rule="", select="", keep="")
        known = _known(dataset, first)
        drawn = _drafts.get(known) or precheck.draft_of_run(dataset, choices.base)
        _drafts[known] = drawn
        own = choices.recalls == f"run:{choices.base}" and drawn.recalls is not None
        if own or not needs:
            return drawn.changed(**decided)
        if kind == "run":
            return drawn.with_recalls_of(key).changed(**decided)
        source = {"eval_key": key} if kind == "eval" else {"query": CLOSED_FORM}
        return drawn.changed(**decided, **source)
    samples = dataset
    if choices.samples != "all":
        offered = [f"tag:{tag}" for tag in splits(dataset)]
        checks.choice("samples", choices.samples, ["run", "all", *offered])
        samples = dataset.match_tags(choices.samples[4:])
    source = {}
    if needs and kind == "eval":
        source = {"eval_key": key}
    elif needs and kind == "run":
        run = fod.load_drop(dataset, key)
        source = {"recalls": run.recalls, "label_field": run.config.label_field}
    if choices.base is not None:
        source["label_field"] = fod.load_drop(dataset, choices.base).config.label_field
    drawn = precheck.draft_of(samples, **decided, **source)
    return drawn.with_recalls_of(key) if needs and kind == "run" else drawn


def _known(dataset: fo.Dataset, choices: Choices) -> str:
    """A text that is the same as long as the draft is."""
    run = choices.base and panel_data.version(dataset, choices.base)
    return json.dumps([dataset.name, precheck.quick_state(dataset), run, choices], default=str)
