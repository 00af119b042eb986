"""Drafts: runs that somebody is deciding on. Nothing is written before one is applied.

A draft has read its samples and found its recalls. Every change of it is decided again from these
arrays, so that the samples are read again only where a change needs other values of them. All
changes are here, since they share how a draft is decided again, so that the module is longer than
others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import ClassName, FloatArray, IntArray
from fiftyone_drop.amount import Amount
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.decision import class_table, order_of
from fiftyone_drop.density import check_no_class_emptied
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.extension import options_of, recalls_of
from fiftyone_drop.fields import (
    check_collection,
    highest_first,
    sorted_by_score,
)
from fiftyone_drop.options import (
    BY_CLASS,
    IN_WORDS,
    RANDOM,
    SUSPECTS,
    VECTORS,
    DropOptions,
)
from fiftyone_drop.order import positions_to_keep_at
from fiftyone_drop.plan import DropPlan, plan_of
from fiftyone_drop.population import Population, warn_about_splits
from fiftyone_drop.pruning import DEFAULTS
from fiftyone_drop.quotas import quotas_of_size
from fiftyone_drop.reader import read_order
from fiftyone_drop.recall_sources import Recalls, check_source, find_recalls
from fiftyone_drop.rules import DEFAULT_RULE
from fiftyone_drop.run_lookup import get_config, load_drop
from fiftyone_drop.runs import DropConfig
from fiftyone_drop.target import (
    check_fields,
    keeps_highest,
    mark_must_keep,
    read_target,
    rule_columns,
    with_label_field,
)
from fiftyone_drop.views import part_view

KINDS = ("all", "least", "most", "exactly")
Limits = Mapping[ClassName, tuple[str, int]]
"""Class -> a limit: ``"all"`` is kept, or the ``"least"``, the ``"most"`` or ``"exactly"`` a number
of samples."""

RecallsFor = Callable[[Population], Recalls | None]
MOST_SHOWN = 10_000  # a view of ids travels to the database as it is
NO_SOURCE = dict.fromkeys((*IN_WORDS, "query", *VECTORS, "folds", "holdout"))
READ_BY = {"label_field", "group_by", "order_by", "drop_below", "drop_above", "skip_unlabeled"}


@dataclass(frozen=True, eq=False)
class Draft:
    """The run that some arguments would make, at no density yet.

    Attributes:
        samples: the target view
        options: the arguments
        population: the N samples of the target view, as arrays
        recalls: the recalls of the K classes; None if the rule needs none
        highest_first: whether the high values of the score field are kept first
        table: the class table at the highest density that the caps leave
        warnings: what is doubtful about the samples or the recalls
        left_out: the samples that ``drop_below`` and ``drop_above`` left out
    """

    samples: foc.SampleCollection
    options: DropOptions
    population: Population
    recalls: Recalls | None
    highest_first: bool
    table: ClassTable
    warnings: tuple[str, ...] = ()
    left_out: int = 0

    # -- what it would keep --

    @functools.cached_property
    def order(self) -> IntArray:
        """(N,) int: for every ``n`` its first ``n`` samples are those that are kept of n."""
        table = self.table
        return order_of(
            self.options, self.population, self.highest_first, table.weights, table.bounds
        )

    @functools.cached_property
    def keep_at(self) -> FloatArray:
        """(N,) float, the smallest density at which each sample is kept; above 1 if at none."""
        return positions_to_keep_at(self.order, self.table.bounds.most)

    def counts_at(self, densities: Sequence[float]) -> IntArray:
        """How many samples of each class are kept at D densities, (D, K) int."""
        if self.table.weights is not None:
            return self.table.quotas_at(densities)
        at = np.sort(self.keep_at)
        codes = self.population.codes[np.argsort(self.keep_at, kind="stable")]
        ends = np.searchsorted(at, densities, side="right")
        return np.array([np.bincount(codes[:n], minlength=len(self.table.sizes)) for n in ends])

    def view(
        self, density: float, part: str, class_name: ClassName, score: str | None = None
    ) -> fo.DatasetView:
        """The samples of one class that are kept or pruned at a density, the first 10,000 of them.

        Args:
            density: the dataset density
            part: ``"kept"`` or ``"pruned"``
            class_name: the class
            score (None): the score field by which the hardest come first

        Raises:
            DropError: if there is no such class or score
        """
        mine = self.population.codes == self.table.classes.index(self.table.find(class_name))
        kept = self.keep_at <= density
        rows = np.flatnonzero(mine & (kept if part == "kept" else ~kept))
        root = self.samples._root_dataset
        if score is None:
            return root.select(self._words(rows[:MOST_SHOWN]))
        high = highest_first(root, score, "hardest")
        values = self.population.values.get(score)
        if values is not None:  # else all of them travel to the database, which knows the score
            by = -values[rows] if high else values[rows]
            rows = rows[np.argsort(by, kind="stable")][:MOST_SHOWN]
        shown = root.select(self._words(rows))
        return sorted_by_score(shown, score, high).limit(MOST_SHOWN)

    def _words(self, rows: IntArray) -> list[str]:
        return [i.decode() for i in self.population.ids[rows].tolist()]

    def check(self, density: float) -> None:
        """Check that the run could stand at a density; nothing is put in order for that.

        Raises:
            DropError: if the density is below the floors, above the caps or would empty a class
        """
        table = self.table
        size = Amount.parse(density, None, None).checked_size(table.size, table.bounds)
        if table.weights is not None and not self.options.allow_empty_classes:
            quotas = quotas_of_size(table.sizes, table.weights, size, table.bounds)
            check_no_class_emptied(table.classes, quotas)

    def plan(self, density: float) -> DropPlan:
        """The plan at a density.

        Raises:
            DropError: if the density is below the floors, above the caps or would empty a class
        """
        options = self.options.at(Amount.parse(density, None, None))
        columns = rule_columns(self.samples, options, self.population)
        return plan_of(
            self.samples,
            options,
            self.population,
            self.highest_first,
            self.recalls,
            columns,
            Warner(self.warnings),
            self.left_out,
        )

    # -- other choices --

    def changed(self, *, progress: Any = None, **arguments: Any) -> Draft:
        """The same with other arguments of ``apply_drop``, but ``density``.

        Args:
            progress (None): as everywhere in FiftyOne, while recalls are measured
            **arguments: the arguments

        Raises:
            DropError: if one is invalid
        """
        finds = self.recalls is None or set(NO_SOURCE) & set(arguments)
        options = _parse(self.options, arguments)
        return self._decided(options, None if finds else self.recalls_for, arguments, progress)

    def with_recalls_of(self, key: str, **arguments: Any) -> Draft:
        """The same with the recalls of a run, and other arguments of ``apply_drop``.

        Raises:
            DropError: if there is no such run, or it has no recalls, or none of a class
        """
        run = load_drop(self.samples._root_dataset, key)
        if run.recalls is None:
            raise DropError("recalls", f"are those of the run '{key}', which has none")
        options = _parse(self.options, NO_SOURCE | {"recalls": run.recalls} | arguments)
        return self._decided(options, lambda p: recalls_of(run, p, options), arguments)

    def with_recalls_from(self, other: Draft, **arguments: Any) -> Draft:
        """The same with the recalls that another draft has measured, and other arguments.

        Raises:
            DropError: if it has no recall of a class
        """
        source = {name: getattr(other.options, name) for name in NO_SOURCE}
        options = _parse(self.options, source | arguments)
        return self._decided(options, other.recalls_for, arguments)

    def _decided(
        self,
        options: DropOptions,
        recalls_for: RecallsFor | None,
        arguments: Mapping[str, Any],
        progress: Any = None,
    ) -> Draft:
        """The same with other options; ``arguments`` are those that were given."""
        names = {*options.the_rule.of_kind("mean"), options.select} - {RANDOM}
        reads = recalls_for is None and options.needs_recalls and options.query is not None
        if (
            READ_BY & set(arguments)
            or names - set(self.population.values)
            or (reads and self.population.filepaths is None)
        ):
            were = (*self.population.were, *self.table.classes)
            return _draft(self.samples, options, recalls_for, progress, were)
        population, warn = self.population, Warner()
        if "must_keep" in arguments:
            population = replace(population, must_keep=None)
            if options.must_keep is not None:
                population = mark_must_keep(population, self.samples, options.must_keep)
        high = keeps_highest(self.samples, options)
        if recalls_for is None:
            check_source(self.samples, options)
        known = recalls_for and recalls_for(population)
        drawn = _tabulated(self.samples, options, population, high, known, warn, progress)
        return replace(drawn, warnings=(*self.warnings, *warn.messages), left_out=self.left_out)

    def limited(self, limits: Limits) -> Draft:
        """The same with limits on some classes; the others divide the rest by the rule.

        Raises:
            DropError: if a limit is out of its range, or the rule sets no quotas
        """
        return self.changed(**limit_arguments(self.table, limits)) if limits else self

    def keeping(self, ids: Sequence[str]) -> Draft:
        """The same, where the samples of some ids are kept at every density.

        Raises:
            DropError: if no sample of the draft is among them
        """
        if not ids:
            return self
        marked = self.population.must_keep
        already = [] if marked is None else [i.decode() for i in self.population.ids[marked]]
        return self.changed(must_keep=self.samples._root_dataset.select([*already, *ids]))

    def without(self, ids: Sequence[str]) -> Draft:
        """The same without the samples of some ids.

        Raises:
            DropError: if nothing is left
        """
        gone = np.isin(self.population.ids, np.array(ids, "S24"))
        if not gone.any():
            return self
        if gone.all():
            raise DropError("samples", "must be some: no sample is left in the draft")
        population = self.population.only(~gone)
        drawn = _tabulated(
            self.samples.exclude(list(ids)),
            self.options,
            population,
            self.highest_first,
            self.recalls_for(population),
            Warner(),
        )
        return replace(drawn, warnings=self.warnings, left_out=self.left_out)

    def has_classes_of(self, other: Draft) -> bool:
        """Whether both have the same samples, and each of them the same class in both."""
        mine, others = self.population, other.population
        if mine.classes != others.classes or len(mine) != len(others):
            return False
        rows: Any = slice(None), slice(None)
        if not np.array_equal(mine.ids, others.ids):  # mostly they are read in the same order
            rows = np.argsort(mine.ids), np.argsort(others.ids)
        return np.array_equal(mine.ids[rows[0]], others.ids[rows[1]]) and np.array_equal(
            mine.codes[rows[0]], others.codes[rows[1]]
        )

    def recalls_for(self, population: Population) -> Recalls | None:
        """The recalls of this draft for the classes of another population."""
        return self.recalls and _for_classes(self.recalls, self.table.classes, population.classes)


def draft_of(samples: foc.SampleCollection, **arguments: Any) -> Draft:
    """Begin a draft. Reads the samples, and finds the recalls that the arguments ask for.

    Args:
        samples: a collection, the target view
        **arguments: those of ``apply_drop``, but amount, key and what is about writing

    Raises:
        DropError: if an argument is invalid
    """
    options = DropOptions.parse(DEFAULTS | {"density": 1.0} | arguments)
    options = with_label_field(samples, options)
    return _draft(check_collection(samples), options, None)


def draft_of_run(
    dataset: fo.Dataset, key: str, samples: foc.SampleCollection | None = None, **arguments: Any
) -> Draft:
    """Begin a draft with the samples, the arguments and the recalls of a run.

    Args:
        dataset: the dataset
        key: the run
        samples (None): other samples, with the arguments of the run, but for its recalls and what
            names single classes or samples, which these may lack. Weights stay, unless
            ``arguments`` have a rule
        **arguments: with other samples, what differs in the arguments of ``apply_drop``

    Raises:
        DropError: if there is no such run, or the samples are not as they were
    """
    run = load_drop(dataset, key)
    options = options_of(dataset, run.config, Amount(1.0), None)
    first = run.table.must_keep_density
    if first and options.must_keep is None:  # it was a view; its samples come first
        ids, keep_at = read_order(dataset, run.config.keep_at_field)
        must_keep = [i.decode() for i in ids[keep_at < first]]
        options = replace(options, must_keep=dataset.select(must_keep))
    if samples is not None:
        names = set(BY_CLASS) - set(SUSPECTS)  # thresholds are by score field
        by_class = [name for name in names if isinstance(getattr(options, name), Mapping)]
        named = {name: DEFAULTS[name] for name in (*by_class, "protect", "must_keep")}
        named["weights"] = options.weights if "rule" not in arguments else None
        options = _parse(options, NO_SOURCE | named | arguments)
        return _draft(check_collection(samples), options, None, were=options.named_classes)
    if run.table.recalls is not None:
        options = _parse(options, NO_SOURCE | {"recalls": run.recalls})
    of_run = samples_of_run(dataset, key)
    were = options.named_classes
    return _draft(of_run, options, lambda p: recalls_of(run, p, options), were=were)


def samples_of_run(dataset: fo.Dataset, key: str) -> foc.SampleCollection:
    """The target view that a run was made on; its own samples where there is no such view.

    Raises:
        DropError: if there is no such run
    """
    config = get_config(dataset, key)
    if has_target(config):
        return dataset.load_run_view(key)
    return part_view(dataset, config, config.density, "all")


def has_target(config: DropConfig) -> bool:
    """Whether the view that FiftyOne has of a run is the target view that it was decided on.

    Not of a run that was extended or loaded from a manifest: its samples are some of that view.
    """
    found = config.found
    whole = found.get("target_recorded", True)
    return whole and not (found.get("extended_by") or found.get("manifest"))


def limit_arguments(table: ClassTable, limits: Limits) -> dict[str, Any]:
    """The arguments of ``apply_drop`` that limit classes, beside the bounds of a class table.

    Every class has its floor and its cap: a number for all classes would say less.

    Raises:
        DropError: if a limit is out of its range, or the table has no quotas
    """
    if table.weights is None:
        raise DropError("limits", "need a rule that sets quotas, which the chosen one does not")
    floors, caps = table.bounds.floors.copy(), table.bounds.caps.copy()
    rows = {name: k for k, name in enumerate(table.classes)}
    for name, (kind, number) in limits.items():
        if name not in rows:
            continue  # of a class that is left out as a whole
        row = rows[name]
        size, first = int(table.sizes[row]), int(table.bounds.must_keep[row])
        kind = checks.choice("limits", kind, KINDS)
        number = size if kind == "all" else checks.whole("limits", number)
        if not first <= number <= size:
            has = f", {first:,} of which must be kept" if first else ""
            raise DropError(
                "limits",
                f"of {table.names[row]!r} {number:,} samples cannot be kept: it has {size:,}{has}",
            )
        floors[row] = min(floors[row], number) if kind == "most" else number
        caps[row] = max(caps[row], number) if kind == "least" else number
    capped = np.flatnonzero(caps < table.sizes)
    return {
        "min_per_class": {table.classes[k]: int(n) for k, n in enumerate(floors)},
        "max_per_class": {table.classes[k]: int(caps[k]) for k in capped} or None,
        "protect": None,
        "quotas": None,
    }


# -- steps ----------------------------------------------------------------------------------------


def _parse(options: DropOptions, arguments: Mapping[str, Any]) -> DropOptions:
    """Options with other arguments, parsed again: two may not go together."""
    as_given = {option.name: getattr(options, option.name) for option in fields(DropOptions)}
    if set(arguments) & set(NO_SOURCE):
        as_given |= NO_SOURCE
    # Weights stand in the place of a rule
    if arguments.get("weights") is not None:
        as_given["rule"] = DEFAULT_RULE
    elif "rule" in arguments:
        as_given["weights"] = None
    return DropOptions.parse(as_given | dict(arguments))


def _draft(
    samples: foc.SampleCollection,
    options: DropOptions,
    recalls_for: RecallsFor | None,
    progress: Any = None,
    were: Sequence[Hashable] = (),
) -> Draft:
    """Read the samples; ``recalls_for`` has the recalls of their classes, None to find them.

    Limits on classes that there ``were`` have no effect where nothing is left of them.
    """
    warn = Warner()
    check_fields(samples, options)
    high = keeps_highest(samples, options)
    check_source(samples, options)
    warn_about_splits(samples, warn)
    population, left_out = read_target(samples, options, warn, False, were=were)
    recalls = None if recalls_for is None else recalls_for(population)
    drawn = _tabulated(samples, options, population, high, recalls, warn, progress)
    return replace(drawn, warnings=tuple(warn.messages), left_out=left_out)


def _tabulated(
    samples: foc.SampleCollection,
    options: DropOptions,
    population: Population,
    high: bool,
    recalls: Recalls | None,
    warn: Warner,
    progress: Any = None,
) -> Draft:
    """The draft of samples that are read; without recalls, those that the options ask for."""
    if not options.needs_recalls:
        recalls = None
    elif recalls is None:
        recalls = find_recalls(options, samples, population, warn, progress)
    columns = rule_columns(samples, options, population)
    table = class_table(options, population, recalls, columns)
    return Draft(samples, options, population, recalls, high, table)


def _for_classes(
    recalls: Recalls, classes: Sequence[ClassName], wanted: Sequence[ClassName]
) -> Recalls:
    row = {name: k for k, name in enumerate(classes)}
    unknown = [name for name in wanted if name not in row]
    if unknown:
        raise DropError(
            "recalls", f"of the draft have none of {listing(unknown)}: measure recalls again"
        )
    rows = np.array([row[name] for name in wanted])
    counts = (recalls.correct, recalls.support)
    correct, support = (None if column is None else column[rows] for column in counts)
    return Recalls(recalls.values[rows], recalls.source, correct, support, recalls.predictions)
