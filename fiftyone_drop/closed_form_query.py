"""A query model in closed form on FiftyOne samples: it leaves out each sample once.

The shell around :mod:`fiftyone_drop.training.closed_form`, which knows arrays and files only.
"""

from __future__ import annotations

from typing import Any

import fiftyone.core.utils as fou
import numpy as np

from fiftyone_drop._log import logger
from fiftyone_drop._types import IntArray
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.cross_validation import check_classes, check_readable
from fiftyone_drop.embeddings import Embeddings
from fiftyone_drop.errors import DropError
from fiftyone_drop.order import drop_order, random_order
from fiftyone_drop.population import Population
from fiftyone_drop.predictions import Collector, Predictions

MOST = 100_000  # samples: recalls are then known to a few tenths of a percent, whatever N is


def predict_left_out(
    population: Population, seed: int, progress: Any, embeddings: Embeddings | None = None
) -> Predictions:
    """Predict every sample with a query model that was fitted on all the others.

    Of more than 100,000 samples, so many are looked at: the same fraction of each class, and at
    least one sample of it. They are the same in any order of the samples.

    Args:
        population: the samples, with filepaths if there are no embeddings
        seed: decides the filters, and which samples are looked at
        progress: as everywhere in FiftyOne
        embeddings (None): what the model is fitted on; None for patches of the images

    Returns:
        the :class:`Predictions`

    Raises:
        DropError: if images or embeddings cannot be read, all of them at once; or there is one
            class only
    """
    check_classes(population)
    rows = looked_at(population, seed)
    collector = Collector(population.labels, population.label_names, scores={})
    words = "a query model in closed form"
    if embeddings is not None:
        words += f" on {embeddings}"
        _predict_by_embeddings(population, rows, embeddings, collector)
    else:
        _predict_by_patches(population, rows, seed, collector, progress)
    if len(rows) < len(population):
        words += f" on {len(rows):,} of {len(population):,} samples"
    return collector.finish(population.ids, np.sort(rows), words)


def _predict_by_embeddings(
    population: Population, rows: IntArray, embeddings: Embeddings, collector: Collector
) -> None:
    from fiftyone_drop.training.closed_form import MOST_AXES, leave_out

    features = embeddings.read(population.ids[rows], MOST_AXES)
    logger.info("Fitting a query model in closed form, %s x %s embeddings", *features.shape)
    leave_out(
        features,
        population.labels[rows],
        len(population.label_names),
        on_logits=lambda indices, logits: collector.add(rows[indices], logits),
    )


def _predict_by_patches(
    population: Population, rows: IntArray, seed: int, collector: Collector, progress: Any
) -> None:
    from fiftyone_drop.training import Pace
    from fiftyone_drop.training.closed_form import LeftOut

    assert population.filepaths is not None
    paths = [population.filepaths[row] for row in rows]
    try:
        model = LeftOut.of(paths)
        logger.info("Fitting %s", model)
        pace = Pace(len(rows), lambda words: logger.info("Fitting: %s", words))
        with fou.ProgressBar(total=len(rows), iters_str="images", progress=progress) as bar:

            def count(images: int) -> None:
                bar.update(images)
                pace(images)

            model.predict(
                population.labels[rows],
                population.label_names,
                seed % 2**32,
                on_logits=lambda indices, logits: collector.add(rows[indices], logits),
                progress=count,
            )
    except DropError as error:
        if error.argument != "paths":
            raise
        # An image that cannot be read ends it: so that the user hears of all such images at once
        check_readable(population.ids[rows], paths, "samples")
        raise DropError("samples", error.message) from error


def looked_at(population: Population, seed: int) -> IntArray:
    """The rows that the query model looks at, in an order that only ids and classes decide."""
    inner = random_order(population.ids, seed)
    sizes = population.sizes
    order = drop_order(
        population.codes, inner, sizes.astype(np.float64), Bounds.none(sizes, min_per_class=1)
    )
    return order[: max(MOST, len(sizes))]
