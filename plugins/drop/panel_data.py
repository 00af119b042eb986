"""What the panel shows, as JSON. Counts are made here, once per run: the browser looks them up.

Knows neither widgets nor views.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from typing import Any

import fiftyone as fo
import numpy as np

import fiftyone_drop as fod
from fiftyone_drop.allocation import class_densities
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.plan import first_end
from fiftyone_drop.population import class_label_fields
from fiftyone_drop.runs import check_order, get_config

STEPS = 100  # of the density slider
BINS = 30

NO_LABELS = (
    "This dataset has no class labels",
    "DRoP prunes class by class: add a Classification or string field with the class of each "
    "image, then choose Refresh.",
)
NO_RUNS = (
    "No drop run yet",
    "Choose New run: it asks for a density and for where class recalls come from. No sample is "
    "deleted.",
)


def page(dataset: fo.Dataset, key: str | None) -> str:
    """Everything that is drawn of a run; without a run, what to do next.

    Args:
        dataset: the dataset that is open
        key: the run that was chosen; where there is none of that key, the newest one is shown
    """
    keys = fod.list_drops(dataset)
    if key not in keys:
        key = max(keys, key=lambda k: dataset.get_run_info(k).timestamp, default=None)
    sent: dict[str, Any] = {"runs": keys, "key": key}
    if key is None:
        title, text = NO_RUNS if class_label_fields(dataset) else NO_LABELS
        return json.dumps(sent | {"title": title, "text": text})
    config = dataset.get_run_info(key).config
    try:
        check_order(dataset, key)
        tables = run(dataset, key)
    except fod.DropError as error:
        return json.dumps(sent | {"title": "This run cannot be shown", "text": str(error)})
    sent["scores"] = score_fields(dataset)
    sent["evaluations"] = [
        name
        for name in dataset.list_evaluations(type="classification")
        if dataset.get_evaluation_info(name).config.gt_field == config.label_field
    ]
    return f'{json.dumps(sent)[:-1]}, "run": {tables}}}'


def score_fields(dataset: fo.Dataset) -> list[str]:
    """Fields of numbers that say which end comes first."""
    schema = dataset.get_field_schema(ftype=(fo.FloatField, fo.IntField))
    return [name for name, field in schema.items() if first_end(field)]


def run(dataset: fo.Dataset, key: str) -> str:
    """The tables of a run, made anew when the run has changed only.

    Raises:
        fiftyone_drop.DropError: if there is no such run
    """
    return _run(dataset.name, key, version(dataset, key))


def version(dataset: fo.Dataset, key: str) -> str:
    """What is another one whenever the run is.

    Raises:
        fiftyone_drop.DropError: if there is no such run
    """
    get_config(dataset, key)
    info = dataset.get_run_info(key)
    return f"{dataset._doc.id} {info.timestamp} {info.config.density!r}"


@functools.lru_cache(maxsize=8)
def _run(name: str, key: str, as_of: str) -> str:
    dataset = fo.load_dataset(name)
    results = fod.load_drop(dataset, key)
    config, table = results.config, results.table
    # The run's own density may lie between the steps of the slider
    densities = np.union1d(np.arange(1, STEPS + 1) / STEPS, results.density)
    return json.dumps(
        {
            "version": as_of,
            "key": key,
            "density": results.density,
            "own": int(np.searchsorted(densities, results.density)),
            "rule": config.rule,
            "select": config.select,
            "label_field": config.label_field,
            "group_by": config.group_by,
            "recalls_from": config.recalls_from,
            "classes": table.classes,
            "names": shown(table.names),
            "kept_field": config.kept_field,
            "sizes": table.sizes.tolist(),
            "recalls": None if table.recalls is None else table.recalls.tolist(),
            "intervals": None if table.intervals is None else table.intervals.tolist(),
            "densities": densities.tolist(),
            "counts": fod.kept_counts(dataset, key, densities.tolist()).tolist(),
            "levels": water_levels(table, densities.tolist()) if config.rule == "drop" else None,
        }
    )


def shown(names: Sequence[str]) -> list[str]:
    """Class names that can be seen and clicked: a label may be the empty string."""
    return [name if name.strip() else f"(empty label {name!r})" for name in names]


def water_levels(table: ClassTable, densities: list[float]) -> list[float]:
    """The ``c`` of Algorithm 1's ``min(1, c (1 - recall))`` at each density."""
    assert table.weights is not None
    some = table.weights > 0
    if not some.any():
        return [0.0] * len(densities)
    per_sample = table.weights[some] / table.sizes[some]
    return [
        float((class_densities(table.sizes, table.weights, d)[some] / per_sample).max())
        for d in densities
    ]


def histogram(dataset: fo.Dataset, key: str, score: str, density: float) -> str:
    """The distribution of a score among the samples that a run keeps and prunes at a density.

    Raises:
        fiftyone_drop.DropError: if there is no such run or score
    """
    found = fod.score_histogram(dataset, key, score, bins=BINS, density=density)
    return json.dumps(
        {
            "version": version(dataset, key),
            "score": score,
            "density": density,
            "edges": found.edges.tolist(),
            "kept": found.kept.tolist(),
            "pruned": found.pruned.tolist(),
            "missing": int(found.missing),
        }
    )


def report(dataset: fo.Dataset, key: str, eval_key: str | None) -> str:
    """How fair a run is, in words, and with an evaluation before and after training.

    Raises:
        fiftyone_drop.DropError: if there is no such run, or the evaluation does not fit
    """
    found = fod.report(dataset, key, eval_key).to_dict()
    return json.dumps({"version": version(dataset, key), "report": found})


def comparison(dataset: fo.Dataset, key: str, other: str) -> str:
    """Two runs side by side, class by class.

    Raises:
        fiftyone_drop.DropError: if one of them is missing, or they have other labels
    """
    found = compared(dataset, key, other)
    # JSON knows no NaN, which stands for a class that a run lacks
    densities = np.where(np.isnan(found.densities.T), None, found.densities.T)
    return json.dumps(
        {
            "version": version(dataset, key),
            "other": other,
            "names": shown(found.names),
            "densities": densities.tolist(),
            "both": found.kept_by_both.tolist(),
            "first": found.only_first.tolist(),
            "second": found.only_second.tolist(),
            "warnings": list(found.warnings),
        }
    )


def compared(dataset: fo.Dataset, key: str, other: str) -> Any:
    """:func:`fiftyone_drop.compare_drops`, counted anew when a run has changed only."""
    for one in (key, other):
        check_order(dataset, one)
    return _compared(dataset.name, key, version(dataset, key), other, version(dataset, other))


@functools.lru_cache(maxsize=4)
def _compared(name: str, key: str, _: str, other: str, __: str) -> Any:
    return fod.compare_drops(fo.load_dataset(name), key, other)
