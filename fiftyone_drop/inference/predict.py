"""The logits of samples, from any model or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.inference.source import Floats, Source


def predict(
    sources: Sequence[Source],
    ids: Ids,
    paths: Sequence[str],
    progress: Callable[[int], object],
) -> Iterator[tuple[IntArray, Floats]]:
    """Logits of samples. Those of several models are the logarithm of their mean probability.

    A single model's come batch by batch; several models' take N x K floats.

    Args:
        sources: M models of the same K classes
        ids: (N,) S24, sample ids
        paths: their N image files
        progress: called with the number of samples predicted since its last call, M x N in all

    Yields:
        rows (B,) of ``ids`` and logits (B, K) float32, in the order of the first model's classes;
        every row comes once

    Raises:
        DropError: a sample cannot be predicted, or classes differ
    """
    if len(sources) == 1:
        for rows, logits in sources[0].logits(ids, paths):
            yield rows, logits
            progress(len(rows))
        return
    mean = np.zeros((len(ids), len(sources[0].classes)), np.float32)
    columns = [_columns(source, sources[0].classes) for source in sources]
    for source, order in zip(sources, columns, strict=True):
        for rows, logits in source.logits(ids, paths):
            probabilities = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
            mean[rows] += probabilities[:, order] / len(sources)
            progress(len(rows))
    # The logarithm of 0 would be no finite logit
    yield np.arange(len(ids)), np.log(np.maximum(mean, np.finfo(np.float32).tiny))


def _columns(source: Source, classes: Sequence[str]) -> IntArray:
    """Where a model has these classes."""
    if tuple(source.classes) == tuple(classes):
        return np.arange(len(classes))
    if sorted(source.classes) != sorted(classes):
        raise DropError(
            "model",
            "models that predict together must have the same classes, but those of "
            f"{source.words} are {len(source.classes)} others; pass models of the same classes",
        )
    twice = sorted({name for name in classes if list(classes).count(name) > 1})
    if twice:
        raise DropError(
            "model",
            f"models that predict together have {listing(twice)} more than once and in another "
            "order, so which outputs belong together is not known; pass models whose classes have "
            "the same order",
        )
    columns = np.empty(len(classes), dtype=np.int64)
    columns[np.argsort(classes, kind="stable")] = np.argsort(source.classes, kind="stable")
    return columns
