"""Read, decide: what a density would keep. :meth:`DropPlan.apply` writes it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from fiftyone import ViewField as F

from fiftyone_drop import runs
from fiftyone_drop._types import ClassName, FloatArray, IntArray
from fiftyone_drop.allocation import (
    check_density,
    check_min_per_class,
    check_no_class_emptied,
    checked_size,
    floor_size,
    kept_size,
    quotas_of_size,
)
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.errors import DropError, Warner
from fiftyone_drop.order import drop_order, inner_order, positions_to_keep_at
from fiftyone_drop.population import (
    Population,
    check_collection,
    default_label_field,
    describe_missing,
    group_path,
    label_path,
    read_population,
    warn_about_splits,
)
from fiftyone_drop.query import Predictions
from fiftyone_drop.recall import SHRINKAGE, Smoothing, check_smoothing
from fiftyone_drop.recall_sources import Recalls, RecallSource, find_recalls
from fiftyone_drop.rules import Rule, class_weights, get_rule

KEEP = ("hardest", "easiest")
RANDOM = "random"


@dataclass(frozen=True, eq=False)
class DropPlan:
    """What would be kept, decided and not written. Prints as a class table.

    Attributes:
        samples: the target view
        table: the class table at the plan's density
        population: the N samples of the target view, as arrays
        keep_at: (N,) float in (0, 1), the smallest dataset density at which each sample is kept
        parameters: the arguments that made the plan, as recorded in the run
        predictions: what query models predicted on the way; None if nothing was
    """

    samples: foc.SampleCollection
    table: ClassTable
    population: Population
    keep_at: FloatArray
    parameters: Mapping[str, Any] = field(repr=False)
    predictions: Predictions | None = field(default=None, repr=False)

    @property
    def density(self) -> float:
        """The dataset density, in (0, 1]."""
        return self.table.density

    @property
    def quotas(self) -> dict[ClassName, int]:
        """How many samples of each class are kept."""
        return self.table.by_class("quotas")

    @property
    def recalls(self) -> dict[ClassName, float] | None:
        """Recall in [0, 1] by class; None if the rule needs none."""
        return None if self.table.recalls is None else self.table.by_class("recalls")

    @property
    def warnings(self) -> list[str]:
        """What was warned about while the plan was made."""
        return list(self.parameters["warnings"])

    @property
    def kept_ids(self) -> list[str]:
        """The ids of the kept samples."""
        kept = self.keep_at <= self.density
        return [i.decode() for i in self.population.ids[kept].tolist()]

    def at(self, density: float) -> DropPlan:
        """The same plan at another density; nothing is read or computed again.

        Raises:
            DropError: if ``density`` is out of (0, 1] or keeps too little
        """
        density = check_density(density)
        counted = None
        if self.table.weights is None:
            counted = _count(self.population, self.keep_at, density)
        table = self.table.at(density, counted)
        if not self.parameters["allow_empty_classes"] and table.weights is not None:
            check_no_class_emptied(table.classes, table.quotas)
        return DropPlan(
            self.samples, table, self.population, self.keep_at, self.parameters, self.predictions
        )

    def apply(
        self, key: str = "drop", overwrite: bool = False, progress: Any = None
    ) -> fo.DatasetView:
        """Write the plan as a drop run. Nothing is computed again.

        Args:
            key ("drop"): the run key
            overwrite (False): whether to replace the run of that key
            progress (None): whether to render a progress bar (True/False), use the default value
                ``fiftyone.config.show_progress_bars`` (None), or a progress callback function

        Returns:
            the kept samples: the target view and a match

        Raises:
            DropError: if the key is invalid or taken
        """
        dataset = self.samples._root_dataset
        runs.check_key(dataset, key, overwrite)
        runs.check_independent(self.samples, key)
        config = runs.DropConfig.for_key(key, density=self.density, **self.parameters)
        predictions = None
        if self.predictions is not None:
            config.pred_field = f"{key}_pred"
            predictions = (self.predictions.ids, self.predictions.field_values())
            # FiftyOne evaluates Classification fields only, not strings
            path = label_path(self.samples, config.label_field, "label_field")
            config.eval_key = f"{key}_eval" if path != config.label_field else None
        runs.write_run(
            self.samples,
            key,
            config,
            self.table,
            self.population.ids,
            self.keep_at,
            predictions,
            progress,
        )
        if self.predictions is not None:
            self.predictions.written()
        return kept_samples(self.samples, config.kept_field)

    def __str__(self) -> str:
        rule = get_rule(self.parameters["rule"])
        lines = [f"DRoP plan: density {self.density:g}, rule '{rule.name}' ({rule.description})"]
        if self.parameters["recalls_from"]:
            lines.append(f"recalls: {self.parameters['recalls_from']}")
        return "\n".join([*lines, str(self.table)])

    __repr__ = __str__


def kept_samples(samples: foc.SampleCollection, kept_field: str) -> fo.DatasetView:
    """The target view with a match on the run's field.

    Where the view selects or excludes fields, the match goes before that: it could not see the
    field after it.
    """
    kept = F(kept_field) == True  # noqa: E712
    if samples is samples._root_dataset:
        return samples.match(kept)
    hiding = (fo.SelectFields, fo.ExcludeFields)
    view = samples._root_dataset.view()
    hidden = []
    for stage in samples._all_stages:
        if isinstance(stage, hiding):
            hidden.append(stage)
        else:
            view = view.add_stage(stage)
    view = view.match(kept)
    for stage in hidden:
        view = view.add_stage(stage)
    return view


def plan_drop(
    samples: foc.SampleCollection,
    density: float,
    *,
    label_field: str | None = None,
    eval_key: str | None = None,
    recalls: Mapping[Hashable, float] | None = None,
    validation: foc.SampleCollection | None = None,
    pred_field: str | None = None,
    model: Any = None,
    folds: int = 5,
    holdout: float | None = None,
    rule: str = "drop",
    select: str = RANDOM,
    keep: str = "hardest",
    group_by: str | None = None,
    smoothing: Smoothing = SHRINKAGE,
    min_per_class: int = 1,
    missing_recall: float | None = None,
    skip_unlabeled: bool = False,
    allow_empty_classes: bool = False,
    seed: int = 51,
    progress: Any = None,
) -> DropPlan:
    """Decide what a density would keep, and write nothing.

    Takes the arguments of :func:`fiftyone_drop.apply_drop` but ``key`` and ``overwrite``, which go
    to :meth:`DropPlan.apply`.

    Returns:
        a :class:`DropPlan`

    Raises:
        DropError: if an argument is invalid
    """
    density = check_density(density)
    check_collection(samples)
    chosen = get_rule(rule)
    check_min_per_class(min_per_class)
    source = RecallSource(
        eval_key,
        recalls,
        validation,
        pred_field,
        model,
        folds,
        holdout,
        check_smoothing(smoothing),
        missing_recall,
    )
    if label_field is None:
        given = [pred_field] if pred_field else []
        label_field = default_label_field(samples, known_predictions(samples) + given)
    label_path(samples, label_field, "label_field")
    if group_by is not None:
        group_path(samples, group_by)
    source.check(samples, label_field)
    highest_first = _check_select(samples, select, keep)
    _check_seed(seed)
    warn = Warner()
    warn_about_splits(samples, warn)

    # A rule that needs no recalls shows those it is offered, and trains nothing for them
    measures = "recalls" in chosen.needs or not source.trains
    population = read_population(
        samples,
        label_field,
        group_by=group_by,
        values_of=None if select == RANDOM else select,
        filepaths=measures and source.trains,
        skip_unlabeled=skip_unlabeled,
        progress=progress,
    )
    if population.values is not None:
        _check_complete(population, select)
    # Refuse a density that is too small before an hour of training, not after it
    floor = 0 if chosen.weights is None else min_per_class
    checked_size(len(population), density, floor_size(population.sizes, floor))
    found: Recalls | None = None
    if measures:
        found = find_recalls(
            source, samples, population, label_field, group_by, seed, warn, progress
        )
    order, table = _decide(
        population, chosen, found, density, floor, highest_first, allow_empty_classes, seed
    )
    parameters = {
        "label_field": label_field,
        "rule": rule,
        "select": select,
        "keep": keep,
        "group_by": group_by,
        "smoothing": smoothing,
        "min_per_class": min_per_class,
        "missing_recall": missing_recall,
        "skip_unlabeled": skip_unlabeled,
        "allow_empty_classes": allow_empty_classes,
        "seed": seed,
        "recalls_from": None if found is None else found.source,
        "size": len(population),
        "warnings": warn.messages,
    }
    return DropPlan(
        samples,
        table,
        population,
        positions_to_keep_at(order),
        parameters,
        None if found is None else found.predictions,
    )


def known_predictions(samples: foc.SampleCollection) -> list[str]:
    """Fields that hold predictions: of evaluations, and of drop runs."""
    dataset = samples._root_dataset
    evaluated = [
        getattr(dataset.get_evaluation_info(key).config, "pred_field", None)
        for key in dataset.list_evaluations()
    ]
    drops = [config.pred_field for config in runs.find_configs(dataset).values()]
    return [name for name in evaluated + drops if name]


def _decide(
    population: Population,
    rule: Rule,
    found: Recalls | None,
    density: float,
    min_per_class: int,
    highest_first: bool,
    allow_empty_classes: bool,
    seed: int,
) -> tuple[IntArray, ClassTable]:
    """The order of all samples, and the class table at ``density``."""
    sizes = population.sizes
    weights = class_weights(rule, sizes, None if found is None else found.values)
    n = kept_size(len(population), density)
    inner = inner_order(population.ids, seed, population.values, highest_first)
    order = drop_order(population.codes, inner, weights, min_per_class)
    if weights is None:
        quotas = np.bincount(population.codes[order[:n]], minlength=len(sizes))
    else:
        quotas = quotas_of_size(sizes, weights, n, min_per_class)
        if not allow_empty_classes:
            check_no_class_emptied(population.classes, quotas)
    table = ClassTable(
        classes=population.classes,
        sizes=sizes,
        density=density,
        quotas=quotas,
        weights=weights,
        min_per_class=min_per_class,
        recalls=None if found is None else found.values,
        correct=None if found is None else found.correct,
        support=None if found is None else found.support,
    )
    return order, table


def _count(population: Population, keep_at: FloatArray, density: float) -> IntArray:
    kept = population.codes[keep_at <= density]
    return np.bincount(kept, minlength=len(population.classes))


def _check_select(samples: foc.SampleCollection, select: object, keep: object) -> bool:
    """Whether high values of the score field come first.

    Raises:
        DropError: if ``select`` is no score field with a direction, or ``keep`` no end
    """
    if keep not in KEEP:
        raise DropError(f"keep: must be one of {list(KEEP)}, but got {keep!r}")
    if select == RANDOM:
        return True
    field = samples.get_field(select) if isinstance(select, str) else None
    if not isinstance(field, (fo.FloatField, fo.IntField)):
        raise DropError(
            f"select: must be 'random' or the name of a number field that holds scores, but got "
            f"{select!r}; compute one with fiftyone_drop.compute_scores(...)"
        )
    first = first_end(field)
    if first is None:
        raise DropError(
            f"select: the field '{select}' does not say which end is hard; set it with "
            f"field = dataset.get_field('{select}'); field.info = {{'hard': 'high'}} (or 'low'); "
            "field.save()"
        )
    return bool((first == "high") == (keep == "hardest"))


def first_end(field: fo.Field) -> str | None:
    """Which end of a score field comes first, ``"high"`` or ``"low"``; None if it does not say."""
    info = field.info or {}
    # Scores such as k_center have no hard end, but one that is kept first
    first = info.get("hard") or info.get("kept_first")
    return first if first in ("high", "low") else None


def _check_complete(population: Population, select: str) -> None:
    assert population.values is not None
    missing = describe_missing(population.ids, population.values, select)
    if missing:
        raise DropError(
            f"select: {missing}; compute the scores of these samples, or leave them out of the "
            f"target view with .exists('{select}')"
        )


def _check_seed(seed: object) -> None:
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise DropError(f"seed: must be an integer, but got {seed!r}")
