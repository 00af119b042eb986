"""The tables of the panel, as JSON. Counts are made once per run; the browser looks them up.

This module knows neither widgets nor views.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import numpy as np

import fiftyone_drop as fod
from fiftyone_drop import precheck

from . import jobs
from .words import in_app_words

STEPS = 100  # of the density slider
BINS = 30

NO_LABELS = (
    "This dataset has no class labels",
    "DRoP prunes class by class: add a Classification or string field with the class of each "
    "image, then choose Refresh.",
)
NO_RUNS = (
    "No drop run yet",
    "Choose New run: a draft opens here. Nothing is written before you apply it, and no sample is "
    "deleted.",
)


def page(dataset: fo.Dataset, key: str | None) -> str:
    """Everything that the panel draws of a run; without a run, the next step.

    Args:
        dataset: the open dataset
        key: the chosen run; the newest one is shown where it does not exist
    """
    keys = fod.list_drops(dataset)
    if key not in keys:
        key = precheck.newest_run(dataset)
    unusual = [
        {"words": f"At work: {job.in_words}", "way": "follow", "of": job.key}
        for job in jobs.at_work(dataset.name)
    ] + [
        {"words": in_app_words(words), "way": way, "of": of}
        for words, way, of in precheck.states(dataset, key)
    ]
    content = {"runs": keys, "key": key, "states": unusual}
    return json.dumps(content | _content(dataset, key))


def _content(dataset: fo.Dataset, key: str | None) -> dict[str, Any]:
    if key is None:
        can_prune = bool(precheck.label_fields(dataset))
        title, text = NO_RUNS if can_prune else NO_LABELS
        return {"title": title, "text": text, "can_prune": can_prune}
    try:
        precheck.check_run(dataset, key)
        run = fod.load_drop(dataset, key)
        changes, measured_by = run.changes, run.config.recalls_eval_key
        tables = _run(dataset.name, key, precheck.run_version(dataset, key), changes)
    except fod.DropError as error:
        return {"title": "This run cannot be shown", "text": in_app_words(str(error))}
    return {
        "run": tables,
        "changes": changes and in_app_words(changes[:1].upper() + changes[1:]),
        "scores": precheck.score_fields(dataset),
        "evaluations": [
            name
            for name in precheck.evaluations(dataset, tables["label_field"])
            if name != measured_by
        ],
    }


def samples_as_of(dataset: fo.Dataset) -> str:
    """A text that changes whenever a sample comes, goes or changes."""
    return json.dumps([precheck.quick_state(dataset), precheck.last_change(dataset)], default=str)


@functools.lru_cache(maxsize=8)
def _run(name: str, key: str, as_of: str, changes: str | None) -> dict[str, Any]:
    """The tables of a run at one version of it, and of its dataset as far as ``changes`` says so.

    They are shared: nobody may change them.
    """
    dataset = fo.load_dataset(name)
    run = fod.load_drop(dataset, key)
    config, table = run.config, run.table
    densities = steps(run.density)
    return {
        "version": as_of,
        "key": key,
        "density": run.density,
        "own": densities.index(run.density),
        "rule": config.rule,
        "select": config.select,
        "label_field": config.label_field,
        "group_by": " and ".join(precheck.group_names(config.group_by)) or None,
        "recalls_from": config.recalls_from,
        "counts": fod.kept_counts(dataset, key, densities).tolist(),
        **columns(table, densities, config.rule),
    }


def steps(density: float) -> list[float]:
    """The steps of the slider, and a density of a run's own, which may lie between them."""
    return np.union1d(np.arange(1, STEPS + 1) / STEPS, density).tolist()


def columns(table: fod.ClassTable, densities: Sequence[float], rule: str) -> dict[str, Any]:
    """What the panel draws of a class table, whether it is that of a run or of a draft."""
    return {
        "classes": table.classes,
        "names": shown(table.names),
        "sizes": table.sizes.tolist(),
        "floors": table.bounds.floors.tolist(),
        "recalls": None if table.recalls is None else table.recalls.tolist(),
        "observed": None if table.observed is None else _numbers(table.observed),
        "intervals": None if table.intervals is None else table.intervals.tolist(),
        "densities": densities,
        "levels": precheck.water_levels(table, densities) if rule == "drop" else None,
        "can_limit": table.weights is not None,
    }


def _numbers(values: np.ndarray) -> list[float | None]:
    """Numbers as JSON, which has no NaN."""
    return np.where(np.isnan(values), None, values).tolist()


def shown(names: Sequence[str]) -> list[str]:
    """Class names that a person can see and click: a label may be the empty string."""
    return [name if name.strip() else f"(empty label {name!r})" for name in names]


def histogram(dataset: fo.Dataset, key: str, score: str, density: float) -> str:
    """The distribution of a score among the samples that a run keeps and prunes at a density.

    Raises:
        fiftyone_drop.DropError: if there is no such run or score
    """
    counts = fod.score_histogram(dataset, key, score, bins=BINS, density=density)
    return json.dumps(
        {
            "version": precheck.run_version(dataset, key),
            "score": score,
            "density": density,
            "edges": counts.edges.tolist(),
            "kept": counts.kept.tolist(),
            "pruned": counts.pruned.tolist(),
            "missing": int(counts.missing),
        }
    )


def report(dataset: fo.Dataset, key: str, eval_key: str | None) -> str:
    """The fairness of a run, in words and, with an evaluation, before and after training.

    Raises:
        fiftyone_drop.DropError: if there is no such run, or the evaluation does not fit
    """
    words = fod.report(dataset, key, eval_key).to_dict()
    for finding in words["findings"]:
        finding["text"] = in_app_words(finding["text"])
    words["offsets"] = offsets(dataset, key, eval_key)
    return json.dumps({"version": precheck.run_version(dataset, key), "report": words})


def offsets(dataset: fo.Dataset, key: str, eval_key: str | None) -> str:
    """What offsets on the logits of a trained model would do to its worst class, in a sentence.

    Raises:
        fiftyone_drop.DropError: if there is no such run
    """
    why = "An evaluation of predictions with logits says what they do"
    found = None
    if eval_key is not None:
        try:
            found = fod.class_offsets(dataset, key, eval_key=eval_key)
        except fod.DropError as error:
            why = f"This evaluation does not say what they do ({in_app_words(str(error))})"
        if found is not None and found.warnings:  # logits of other classes, whose numbers are wrong
            found, why = None, in_app_words(". ".join(found.warnings))
    if found is None:
        prior = fod.class_offsets(dataset, key)
        low, high = int(np.argmin(prior.offsets)), int(np.argmax(prior.offsets))
        return (
            f"Offsets that take class sizes off a trained model's logits reach from "
            f"{prior.offsets[low]:+.2f} ({prior.classes[low]}) to {prior.offsets[high]:+.2f} "
            f"({prior.classes[high]}). {why}."
        )
    worst = int(np.nanargmin(found.before))
    return (
        f"With offsets on its logits, and no training, the worst class of this model "
        f"({found.classes[worst]}) would go from {found.before[worst]:.3f} to "
        f"{found.after[worst]:.3f}; the worst of all would be at {np.nanmin(found.after):.3f} and "
        f"the mean at {np.nanmean(found.after):.3f} instead of {np.nanmean(found.before):.3f}."
    )


def comparison(dataset: fo.Dataset, key: str, other: str) -> str:
    """Two runs side by side, class by class.

    Raises:
        fiftyone_drop.DropError: if one of them is missing, or they have other labels
    """
    both = compared(dataset, key, other)
    # JSON has no NaN, which stands for a class that a run lacks
    densities = np.where(np.isnan(both.densities.T), None, both.densities.T)
    return json.dumps(
        {
            "version": precheck.run_version(dataset, key),
            "other": other,
            "names": shown(both.names),
            "densities": densities.tolist(),
            "both": both.kept_by_both.tolist(),
            "first": both.only_first.tolist(),
            "second": both.only_second.tolist(),
            "warnings": [in_app_words(message) for message in both.warnings],
        }
    )


def compared(dataset: fo.Dataset, key: str, other: str) -> fod.DropComparison:
    """:func:`fiftyone_drop.compare_drops`, counted again only when one has changed, or a sample."""
    for one in (key, other):
        precheck.check_run(dataset, one)
    versions = precheck.run_version(dataset, key), precheck.run_version(dataset, other)
    return _compared(dataset.name, key, other, *versions, samples_as_of(dataset))


@functools.lru_cache(maxsize=4)
def _compared(name: str, key: str, other: str, *as_of: str) -> fod.DropComparison:
    return fod.compare_drops(fo.load_dataset(name), key, other)
