"""Where the scores of a collection come from: models, stored logits, query models, or nothing.

Reads and computes; writes nothing.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.utils as fou
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._log import logger
from fiftyone_drop._types import IntArray
from fiftyone_drop.models.checkpoint import Checkpoint, fingerprint
from fiftyone_drop.models.forward_pass import ImageModel, Switches, wanted
from fiftyone_drop.models.image_pass import NOT_FINITE, ImagePass, Images, check_failures
from fiftyone_drop.models.image_reader import Square, find_unreadable
from fiftyone_drop.models.resolve import Source, words_of
from fiftyone_drop.models.stored_logits import StoredLogits
from fiftyone_drop.population import Population
from fiftyone_drop.query import cross_predict
from fiftyone_drop.scoring import get_score
from fiftyone_drop.training import Checkpoints, TrainingOptions
from fiftyone_drop.training.checkpoint import file_states
from fiftyone_drop.training.images import MIN_SIZE
from fiftyone_drop.training.options import default_workers

Values = NDArray[np.floating[Any]]

READ_TWICE = 8  # images by which a checkpoint knows a transform


@dataclass(frozen=True)
class Target:
    """What is scored, and how to go about it.

    Attributes:
        samples: the collection
        population: its N samples, with filepaths
        strict: whether a sample that cannot be scored is an error
        progress: as everywhere in FiftyOne
    """

    samples: foc.SampleCollection
    population: Population
    strict: bool
    progress: Any

    @property
    def filepaths(self) -> list[str]:
        """N paths."""
        assert self.population.filepaths is not None
        return self.population.filepaths


@dataclass(frozen=True)
class Settings:
    """How images are read; the arguments of ``compute_scores`` of the same names."""

    batch_size: int | None = None
    workers: int | None = None
    checkpoint_dir: str | os.PathLike[str] | None = None
    deterministic: bool = False


@dataclass(frozen=True)
class Computed:
    """Scores of N samples by M models.

    Attributes:
        values: score -> (M, N) float, NaN where there is none
        source: words for the record
        out_of_sample: whether every sample was scored by a model that has not seen it
        missing: sentences on samples that have no scores
        checkpoints: what to remove when the scores are in the database
    """

    values: Mapping[str, Values]
    source: str
    out_of_sample: bool
    missing: list[str] = field(default_factory=list)
    checkpoints: Sequence[Checkpoint | Checkpoints] = ()

    def written(self) -> None:
        """Say that the scores are in the database."""
        for checkpoint in self.checkpoints:
            checkpoint.remove()


def by_query_models(
    target: Target,
    switches: Switches,
    folds: int,
    options: Sequence[TrainingOptions],
    seed: int,
    checkpoint_dir: str | os.PathLike[str] | None,
) -> Computed:
    """Scores of query models that have not seen the sample; none are trained for nothing.

    Args:
        target: the samples
        switches: score -> its switches
        folds: how many parts a cross-validation has
        options: of each of M cross-validations
        seed: decides the folds
        checkpoint_dir: the argument of ``compute_scores``
    """
    names = wanted(switches, "logits")
    keyed = _by_keys(target.population, switches)
    if not names:
        return Computed(keyed, "none", True)
    # Training needs all of its images; to look at them once is little beside its many epochs
    failed = find_unreadable(target.filepaths, Square(MIN_SIZE), default_workers())
    check_failures(target.population.ids, target.filepaths, failed, target.strict)
    readable = np.ones(len(target.population), bool)
    readable[list(failed)] = False
    population = target.population if readable.all() else target.population.select(readable)
    found = [
        cross_predict(
            population,
            folds,
            None,
            seed,
            target.progress,
            chosen,
            scores={name: switches[name] for name in names},
            checkpoint_dir=checkpoint_dir,
        )
        for chosen in options
    ]
    values: dict[str, Values] = {}
    for name in names:
        values[name] = np.full((len(found), len(readable)), np.nan)
        values[name][:, readable] = [predictions.scores[name] for predictions in found]
    source = found[0].source if len(found) == 1 else f"{len(found)} times {found[0].source}"
    checkpoints = [one.checkpoints for one in found if one.checkpoints is not None]
    return Computed(values | keyed, source, True, _unreadable(target, failed), checkpoints)


def by_models(
    target: Target,
    sources: Sequence[Source],
    labels: Sequence[IntArray],
    switches: Switches,
    settings: Settings,
) -> Computed:
    """Scores of models that exist.

    Args:
        target: the samples
        sources: M models
        labels: for each (N,) int, positions in its classes
        switches: score -> its switches
        settings: how to read images
    """
    missing: list[str] = []
    parts: list[dict[str, Values]] = [{} for _ in sources]
    for m, source in enumerate(sources):
        if isinstance(source, StoredLogits):
            found, finite, table = source.score(
                target.population.ids, labels[m], switches, target.progress
            )
            parts[m] = dict(table)
            missing += _without_logits(target, source, found, finite)
    images = [m for m, source in enumerate(sources) if isinstance(source, ImageModel)]
    checkpoints = []
    if images:
        models = [source for source in sources if isinstance(source, ImageModel)]
        chosen = Images(target.population.ids, target.filepaths, [labels[m] for m in images])
        passed, checkpoint = _by_images(target, models, chosen, switches, settings)
        checkpoints.append(checkpoint)
        missing += _unreadable(target, passed.state.failed)
        tables = _tables(passed, switches)
        for i, m in enumerate(images):
            parts[m] = {name: table[i] for name, table in tables.items()}
    values: dict[str, Values] = {
        name: np.stack([part[name] for part in parts]) for name in parts[0]
    }
    values |= _by_keys(target.population, switches)
    return Computed(values, words_of(sources), False, missing, checkpoints)


def _by_keys(population: Population, switches: Switches) -> dict[str, Values]:
    """The scores that need nothing but the ids, as (1, N)."""
    names = wanted(switches, "nothing")
    ids = [digits.decode() for digits in population.ids.tolist()] if names else []
    return {n: np.asarray(get_score(n).function(ids, **switches[n]))[None] for n in names}


def _without_logits(
    target: Target, source: StoredLogits, found: NDArray[np.bool_], finite: NDArray[np.bool_]
) -> list[str]:
    ids = target.population.ids
    missing = [
        source.describe_missing(ids, found),
        source.describe_missing(ids, finite | ~found, "logits that are not finite"),
    ]
    words = [sentence for sentence in missing if sentence is not None]
    if words and (target.strict or not finite.any()):
        raise source.incomplete("; ".join(words))
    return words


def _by_images(
    target: Target,
    models: Sequence[ImageModel],
    images: Images,
    switches: Switches,
    settings: Settings,
) -> tuple[ImagePass, Checkpoint]:
    checkpoint = Checkpoint(
        settings.checkpoint_dir,
        "2",  # of this format; a change of it must not meet old files
        images.ids.tobytes(),
        "\n".join(file_states(images.paths)).encode(),
        settings.batch_size,
        settings.deterministic,
        switches,
        *(
            fact
            for model, labels in zip(models, images.labels, strict=True)
            for fact in (
                fingerprint(model.module),
                model.classes,
                model.reading(images.paths[:READ_TWICE]),
                labels.tobytes(),
            )
        ),
    )
    passed = ImagePass(
        models,
        images,
        switches,
        checkpoint,
        batch_size=settings.batch_size,
        workers=settings.workers,
        deterministic=settings.deterministic,
        strict=target.strict,
    )
    with fou.ProgressBar(
        total=len(images.paths), iters_str="images", progress=target.progress
    ) as bar:
        passed.run(bar.update)
    return passed, checkpoint


def _tables(passed: ImagePass, switches: Switches) -> dict[str, Values]:
    """Score -> (M, N)."""
    tables: dict[str, Values] = {name: passed.table[:, s] for s, name in enumerate(passed.names)}
    return tables | passed.embedding_scores(switches)


def _unreadable(target: Target, failed: Mapping[int, str]) -> list[str]:
    """A sentence for each kind of failure that there is."""
    sentences = []
    for is_read, problem in (
        (False, "cannot be read"),
        (True, f"have no scores, since {NOT_FINITE}"),
    ):
        names = [
            f"{target.population.ids[row].decode()} ({target.filepaths[row]}: {why})"
            for row, why in sorted(failed.items())
            if (why == NOT_FINITE) == is_read
        ]
        if not names:
            continue
        words = f"{len(names)} of {len(target.population)} images {problem}"
        logger.info("%s: %s", words, ", ".join(names))
        more = f" and {len(names) - 10} more (see the log)" if len(names) > 10 else ""
        sentences.append(f"{words}: {', '.join(names[:10])}{more}")
    return sentences
