"""Drafts of the panel: from what is chosen in a browser to drafts of the package.

Drafts live in the browser, which sends all choices each time. Here is remembered what was read.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from .forms.recent import splits

CLOSED_FORM = "closed-form"  # as the source of recalls: the only one that takes long
REMEMBERED = 12
SPLIT_TAGS = precheck.SPLIT_TAGS["train"]
SELECT_AT_RANDOM = "random"
BY_HAND = precheck.BY_HAND.name  # the weights of the run, in the place of a rule

# What was read, by all that it depends on; each request has a thread of its own
_drafts: OrderedDict[str, precheck.Draft] = OrderedDict()
_measured: OrderedDict[str, precheck.Draft] = OrderedDict()  # those of recalls that take long
_lock = threading.Lock()


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


def rules(run: fod.DropResults | None) -> dict[str, Any]:
    """The rules by name; in a draft of a run that was given weights, these come first."""
    by_hand = run is not None and run.config.rule == BY_HAND
    return ({BY_HAND: precheck.BY_HAND} if by_hand else {}) | precheck.rules()


# -- drafts ---------------------------------------------------------------------------------------


def find(
    dataset: fo.Dataset, choices: Choices, wait: bool = False, progress: Any = None
) -> precheck.Draft | None:
    """The draft of some choices; None if its recalls must be measured first, which takes long.

    Args:
        dataset: the dataset
        choices: what is chosen
        wait (False): whether to measure recalls, however long that takes
        progress (None): as everywhere in FiftyOne, while they are measured

    Raises:
        fiftyone_drop.DropError: if a choice is invalid, or two do not go together
    """
    known = _known(dataset, choices)
    found = _recalled(_drafts, known)
    if found is not None:
        return found
    bare = choices._replace(limits=(), keep_ids=(), left_out=())
    if bare == choices:
        drawn = _begin(dataset, choices, wait, progress)
    else:
        drawn = find(dataset, bare, wait, progress)
        if drawn is not None:
            drawn = drawn.without(choices.left_out).keeping(choices.keep_ids)
            drawn = drawn.limited({of: (kind, n) for of, kind, n in choices.limits})
    if drawn is not None:
        _remember(_drafts, known, drawn)
    return drawn


def read_again(dataset: fo.Dataset, choices: Choices, progress: Any = None) -> precheck.Draft:
    """The draft of some choices, of the samples as they are now: what is written must be true.

    Only recalls in closed form that were measured stay, for they take long, unless a sample has
    another class than it had.

    Raises:
        fiftyone_drop.DropError: if a choice is invalid, or two do not go together
    """
    forget(dataset)
    draft = find(dataset, choices, wait=True, progress=progress)
    assert draft is not None
    return draft


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
    """Read the samples of the dataset again the next time; recalls in closed form stay."""
    with _lock:
        for known in [one for one in _drafts if json.loads(one)[0] == dataset.name]:
            del _drafts[known]


def _begin(
    dataset: fo.Dataset, choices: Choices, wait: bool, progress: Any
) -> precheck.Draft | None:
    """A draft without limits and chosen samples."""
    kind, _, key = choices.recalls.partition(":")
    offered = precheck.rules()
    if choices.rule == BY_HAND:
        offered = rules(choices.base and fod.load_drop(dataset, choices.base))
    checks.choice("rule", choices.rule, offered)
    checks.choice("recalls", kind, ("eval", "run", CLOSED_FORM))
    needs = "recalls" in offered[choices.rule].needs
    slow = needs and choices.recalls == CLOSED_FORM
    measured = _recalled(_measured, _slow_part(dataset, choices)) if slow else None
    if slow and measured is None and not wait:
        return None
    decided = {"select": choices.select, "keep": choices.keep}
    if choices.rule != BY_HAND:
        decided["rule"] = choices.rule
    drawn = _of_samples(dataset, choices)
    if measured is not None and not drawn.has_classes_of(measured):
        measured = None
        if not wait:
            return None
    if not needs or (choices.recalls == f"run:{choices.base}" and drawn.recalls is not None):
        return drawn.changed(**decided)
    if kind == "run":
        return drawn.with_recalls_of(key, **decided)
    if kind == "eval":
        return drawn.changed(**decided, eval_key=key)
    if measured is not None:
        return drawn.with_recalls_from(measured, **decided)
    drawn = drawn.changed(**decided, query=CLOSED_FORM, progress=progress)
    _remember(_measured, _slow_part(dataset, choices), drawn)
    return drawn


def _of_samples(dataset: fo.Dataset, choices: Choices) -> precheck.Draft:
    """A draft of the chosen samples; its rule and its recalls are those of the run, or none."""
    base, select, rule, classes = choices.base, choices.select, "", {}
    if choices.samples == "run":
        select = ""  # what the run has read may do
    else:
        classes = _classes(dataset, choices)
        rule = BY_HAND if choices.rule == BY_HAND else "proportional"  # reads no more
    read = Choices(base, choices.samples, "", rule, select, "")
    known = _known(dataset, read, classes)
    found = _recalled(_drafts, known)
    if found is not None:
        return found
    offered = {f"tag:{tag}" for tag in splits(dataset)} | {"all"} | ({"run"} if base else set())
    checks.choice("samples", choices.samples, sorted(offered))
    if base is not None and choices.samples == "run":
        drawn = precheck.draft_of_run(dataset, base)
    else:
        tag = choices.samples.partition(":")[2]
        samples = dataset.match_tags(tag) if tag else dataset
        decided = {"select": select, "keep": choices.keep}
        if rule != BY_HAND:
            decided["rule"] = rule
        if base is None:
            drawn = precheck.draft_of(samples, **classes, **decided)
        else:
            drawn = precheck.draft_of_run(dataset, base, samples, **decided)
    _remember(_drafts, known, drawn)
    return drawn


def _classes(dataset: fo.Dataset, choices: Choices) -> dict[str, Any]:
    """The arguments that say what a class is, by the base or the recalls; empty if they do not."""
    kind, _, key = choices.recalls.partition(":")
    if choices.base is not None or kind == "run":
        config = fod.load_drop(dataset, choices.base or key).config
        return {"label_field": config.label_field, "group_by": config.group_by}
    if kind == "eval" and dataset.has_evaluation(key):
        return {"label_field": dataset.get_evaluation_info(key).config.gt_field}
    return {}


# -- what is remembered ---------------------------------------------------------------------------


def _known(dataset: fo.Dataset, choices: Choices, classes: Mapping[str, Any] | None = None) -> str:
    """A text that is the same as long as the draft is."""
    kind, _, key = choices.recalls.partition(":")
    source = None
    if kind == "run":
        source = precheck.run_version(dataset, key)
    elif kind == "eval" and dataset.has_evaluation(key):
        source = dataset.get_evaluation_info(key).timestamp
    changed = precheck.last_change(dataset)
    known = [*_members(dataset, choices), source, changed, choices, classes]
    return json.dumps(known, default=str)


def _slow_part(dataset: fo.Dataset, choices: Choices) -> str:
    """A text that is the same as long as recalls in closed form need not be measured again."""
    return json.dumps([*_members(dataset, choices), choices.base, choices.samples])


def _members(dataset: fo.Dataset, choices: Choices) -> list[Any]:
    run = choices.base and precheck.run_version(dataset, choices.base)
    return [dataset.name, precheck.quick_state(dataset), run]


def _recalled(drafts: OrderedDict[str, precheck.Draft], known: str) -> precheck.Draft | None:
    with _lock:
        if known in drafts:
            drafts.move_to_end(known)
        return drafts.get(known)


def _remember(drafts: OrderedDict[str, precheck.Draft], known: str, draft: precheck.Draft) -> None:
    with _lock:
        drafts[known] = draft
        while len(drafts) > REMEMBERED:
            drafts.popitem(last=False)
