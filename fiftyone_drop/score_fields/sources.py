"""Where the scores of a collection come from: models, stored logits, query models, or nothing.

Reads and computes; writes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

import fiftyone.core.utils as fou
import numpy as np

from fiftyone_drop._log import logger
from fiftyone_drop._types import IntArray
from fiftyone_drop.cross_validation import cross_predict
from fiftyone_drop.engine.devices import default_workers
from fiftyone_drop.engine.images import MIN_SIZE, Square
from fiftyone_drop.engine.reader import find_unreadable
from fiftyone_drop.engine.runner import Runner
from fiftyone_drop.inference.failures import check_failures, describe_failures
from fiftyone_drop.inference.source import Request, Source, Switches, Values, wanted, words_of
from fiftyone_drop.population import Population
from fiftyone_drop.score_fields.options import ScoreOptions
from fiftyone_drop.scoring import get_score
from fiftyone_drop.scoring.agreement import misfit


@dataclass(frozen=True)
class Computed:
    """Scores of N samples by M models.

    Attributes:
        values: score -> (M, N) float, NaN where there is none
        source: words for the record
        out_of_sample: whether every sample was scored by a model that has not seen it
        missing: sentences on samples that have no scores
        misfits: sentences on models whose outputs and the labels do not belong together
    """

    values: Mapping[str, Values]
    source: str
    out_of_sample: bool
    missing: list[str] = field(default_factory=list)
    misfits: list[str] = field(default_factory=list)


def by_query_models(
    population: Population, options: ScoreOptions, until_written: ExitStack, runner: Runner
) -> Computed:
    """Scores of query models that have not seen the sample; without such scores none are trained.

    Args:
        population: N samples, with filepaths
        options: the arguments of ``compute_scores``
        until_written: takes the checkpoints, which must last until the scores are written
        runner: trains them
    """
    switches = options.switches
    names = wanted(switches, "logits")
    keyed = _by_keys(population, switches)
    if not names:
        return Computed(keyed, "none", True)
    paths = _paths(population)
    # Training needs all of its images; reading them once is little beside its many epochs
    failures = find_unreadable(paths, Square(MIN_SIZE), default_workers())
    check_failures(population.ids, paths, failures, options.strict)
    readable = np.ones(len(population), bool)
    readable[list(failures)] = False
    predictions = [
        cross_predict(
            population if readable.all() else population.select(readable),
            options.folds,
            None,
            options.seed,
            options.progress,
            options.training(number),
            scores={name: switches[name] for name in names},
            checkpoint_dir=options.checkpoint_dir,
            readable=True,
            runner=runner,
        )
        for number in range(options.models)
    ]
    for one in predictions:
        until_written.enter_context(one.checkpoint)
    values: dict[str, Values] = {}
    for name in names:
        values[name] = np.full((options.models, len(readable)), np.nan)
        values[name][:, readable] = [one.scores[name] for one in predictions]
    source = predictions[0].source
    words = source if options.models == 1 else f"{options.models} times {source}"
    missing = describe_failures(population.ids, paths, failures)
    return Computed(values | keyed, words, True, missing)


def by_models(
    population: Population,
    sources: Sequence[Source],
    labels: Sequence[IntArray],
    options: ScoreOptions,
    until_written: ExitStack,
    runner: Runner,
) -> Computed:
    """Scores of models that exist.

    Args:
        population: N samples, with filepaths
        sources: M models
        labels: for each (N,) int, positions in its classes
        options: the arguments of ``compute_scores``
        until_written: takes the checkpoints, which must last until the scores are written
        runner: computes them
    """
    paths = _paths(population)

    def bar(total: int) -> fou.ProgressBar:
        logger.info("Scoring %s images", f"{len(paths):,}")
        return fou.ProgressBar(total=total, iters_str="images", progress=options.progress)

    kinds: dict[type[Source], list[int]] = {}
    for m, source in enumerate(sources):
        kinds.setdefault(type(source), []).append(m)
    missing: list[str] = []
    misfits: list[str] = []
    parts: dict[int, dict[str, Values]] = {}
    for kind, members in kinds.items():
        request = Request(
            population.ids,
            paths,
            [labels[m] for m in members],
            options.switches,
            options,
            until_written,
            bar,
            runner,
        )
        scored = kind.score_together([sources[m] for m in members], request)
        missing += scored.missing
        for row, m in enumerate(members):
            parts[m] = {name: table[row] for name, table in scored.tables.items()}
            if any(get_score(name).uses_labels for name in scored.tables):
                misfits += _misfit(sources[m], labels[m], scored.outcomes[row])
    values: dict[str, Values] = {
        name: np.stack([parts[m][name] for m in range(len(sources))]) for name in parts[0]
    }
    values |= _by_keys(population, options.switches)
    return Computed(values, words_of(sources), False, missing, list(dict.fromkeys(misfits)))


def _misfit(source: Source, labels: IntArray, outcomes: Values) -> list[str]:
    """A sentence if labels (N,) and outcomes (2, N) cannot belong together, or none."""
    seen = np.isfinite(outcomes).all(axis=0)
    predicted, confidence = outcomes[:, seen]
    words = misfit(
        labels[seen],
        predicted.astype(np.int64),
        confidence,
        lambda code: repr(source.classes[code]),
        "Pass classes= in the order of the outputs, and a model of these classes",
    )
    return [] if words is None else [f"of the model ({source.words}), {words}"]


def _by_keys(population: Population, switches: Switches) -> dict[str, Values]:
    """The scores that need nothing but the ids, as (1, N)."""
    names = wanted(switches, "nothing")
    ids = [digits.decode() for digits in population.ids.tolist()] if names else []
    table = {}
    for name in names:
        score = get_score(name)
        table[name] = np.asarray(score.checked(score.function(ids, **switches[name]), len(ids)))
    return {name: values[None] for name, values in table.items()}


def _paths(population: Population) -> list[str]:
    assert population.filepaths is not None
    return population.filepaths
