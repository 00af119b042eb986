"""The tables of drafts, as JSON: what the panel draws of one, and of two side by side."""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import precheck

from . import draft_words, drafting, panel_data
from .forms.base import START_DENSITY
from .forms.recent import splits

OTHER_DENSITIES = (
    "The first keeps {:g} and the second {:g} of its samples: at one density their classes could "
    "be compared"
)


def offered(dataset: fo.Dataset, run: fod.DropResults | None) -> dict[str, dict[str, str]]:
    """What can be chosen: name -> value -> words."""
    samples = {"run": f"those of the run {run.key}"} if run is not None else {}
    samples |= {"all": "the whole dataset"}
    tags = splits(dataset).items()
    samples |= {f"tag:{tag}": f"the split {tag} ({n:,})" for tag, n in tags}
    scores = precheck.score_fields(dataset)
    return {
        "samples": samples,
        "recalls": drafting.sources(dataset, run),
        "rule": {n: f"{n}: {one.description}" for n, one in drafting.rules(run).items()},
        "select": {drafting.SELECT_AT_RANDOM: "at random"}
        | {name: f"by {name}" for name in scores},
        "keep": {"hardest": "the hardest", "easiest": "the easiest"},
    }


def drawn(dataset: fo.Dataset, asked: str, chosen: Mapping[str, Any], density: float | None) -> str:
    """What the panel draws of a draft.

    Args:
        dataset: the dataset
        asked: a text that tells the browser what this is the answer to
        chosen: what is chosen
        density: where the slider stands; None where it starts

    Raises:
        fiftyone_drop.DropError: if the run that it begins with does not exist
    """
    choices = drafting.Choices.of(dataset, chosen)
    sent: dict[str, Any] = {"asked": asked, "choices": choices._asdict()}
    run = None if choices.base is None else fod.load_drop(dataset, choices.base)
    start = start_of(run)
    sent["offered"] = offered(dataset, run)
    try:
        draft = drafting.find(dataset, choices)
        if draft is None:
            sent["unmeasured"] = True
            return json.dumps(sent)
        sent["run"] = tables(draft, start)
        sent["warnings"] = [draft_words.of_panel(words) for words in draft.warnings]
        draft.check(density or start)
    except fod.DropError as error:
        sent["problem"] = draft_words.of_problem(error)
    return json.dumps(sent)


def start_of(run: fod.DropResults | None) -> float:
    """The density where the slider of a draft starts that begins with a run, or with none."""
    return START_DENSITY if run is None else run.density


def tables(draft: precheck.Draft, start: float) -> dict[str, Any]:
    """The tables of a draft, as :func:`panel_data.page` has them of a run."""
    options, densities = draft.options, panel_data.steps(start)
    return {
        "density": start,
        "own": densities.index(start),
        "rule": options.the_rule.name,
        "select": options.select,
        "label_field": options.label_field,
        "group_by": " and ".join(options.groups) or None,
        "recalls_from": None if draft.recalls is None else draft.recalls.source,
        "counts": draft.counts_at(densities).tolist(),
        "left_out": draft.left_out,
        **panel_data.columns(draft.table, densities, options.the_rule.name),
    }


class Side(NamedTuple):
    """A run, or a draft at a density.

    Attributes:
        key: the run; None for a draft
        chosen: what is chosen in the draft; None for a run
        density: the density of the draft; None where it starts
    """

    key: str | None
    chosen: Mapping[str, Any] | None = None
    density: float | None = None


def comparison(dataset: fo.Dataset, asked: str, first: Side, second: Side) -> str:
    """Two sides, class by class, as :func:`panel_data.comparison` has two runs.

    Raises:
        fiftyone_drop.DropError: if there is no such run, or a draft cannot stand at its density
    """
    sides = [_side(dataset, side) for side in (first, second)]
    classes, (only_first, only_second, both) = precheck.counts_of_two(*sides)
    densities = [[side.table.by_class("densities").get(name) for name in classes] for side in sides]
    at = [side.table.density for side in sides]
    names = [precheck.class_words(name) for name in classes]
    return json.dumps(
        {
            "asked": asked,
            "names": panel_data.shown(names),
            "densities": densities,
            "both": both.tolist(),
            "first": only_first.tolist(),
            "second": only_second.tolist(),
            "warnings": [] if at[0] == at[1] else [OTHER_DENSITIES.format(*at)],
        }
    )


def _side(dataset: fo.Dataset, side: Side) -> Any:
    if side.key is not None:
        precheck.check_run(dataset, side.key)
        as_of = precheck.run_version(dataset, side.key), panel_data.samples_as_of(dataset)
        return _side_of_run(dataset.name, side.key, *as_of)
    if side.chosen is None:
        raise fod.DropError("choices", "must be given")
    choices = drafting.Choices.of(dataset, side.chosen)
    density = side.density
    if density is None:
        density = start_of(choices.base and fod.load_drop(dataset, choices.base))
    return precheck.side_of_draft(drafting.measured(dataset, choices), density)


@functools.lru_cache(maxsize=2)
def _side_of_run(name: str, key: str, *as_of: str) -> Any:
    return precheck.side_of_run(fo.load_dataset(name), key)
