"""The logits of samples, from any model or several."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch

from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.errors import DropError
from fiftyone_drop.models.forward_pass import Floats, ImageModel, Scorer
from fiftyone_drop.models.image_pass import PROBED, none_readable, start_batch_size
from fiftyone_drop.models.image_reader import ImageReader
from fiftyone_drop.models.resolve import Source
from fiftyone_drop.models.stored_logits import StoredLogits
from fiftyone_drop.training.options import default_workers
from fiftyone_drop.training.prediction import Halving


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
        yield from _logits(sources[0], ids, paths, progress)
        return
    mean = np.zeros((len(ids), len(sources[0].classes)), np.float32)
    columns = [_columns(source, sources[0].classes) for source in sources]
    for source, order in zip(sources, columns, strict=True):
        for rows, logits in _logits(source, ids, paths, progress):
            probabilities = torch.softmax(torch.from_numpy(logits), dim=1).numpy()
            mean[rows] += probabilities[:, order] / len(sources)
    # The logarithm of 0 would be no finite logit
    yield np.arange(len(ids)), np.log(np.maximum(mean, np.finfo(np.float32).tiny))


def _columns(source: Source, classes: Sequence[str]) -> IntArray:
    """Where a model has these classes; a name may occur twice, as some of ImageNet's do."""
    if sorted(source.classes) != sorted(classes):
        raise DropError(
            f"model: models that predict together must have the same classes, but those of "
            f"{source.words} are {len(source.classes)} others; pass models of the same classes"
        )
    columns = np.empty(len(classes), dtype=np.int64)
    columns[np.argsort(classes, kind="stable")] = np.argsort(source.classes, kind="stable")
    return columns


def _logits(
    source: Source, ids: Ids, paths: Sequence[str], progress: Callable[[int], object]
) -> Iterator[tuple[IntArray, Floats]]:
    found = np.zeros(len(ids), bool)
    batches = (
        source.batches(ids) if isinstance(source, StoredLogits) else _of_images(source, ids, paths)
    )
    for rows, logits in batches:
        found[rows] = True
        yield rows, logits
        progress(len(rows))
    if isinstance(source, StoredLogits):
        missing = source.describe_missing(ids, found)
        if missing is not None:
            raise source.incomplete(missing)


def _of_images(
    model: ImageModel, ids: Ids, paths: Sequence[str]
) -> Iterator[tuple[IntArray, Floats]]:
    scorer = Scorer(model, {})
    reader = ImageReader(paths, [model.read], default_workers(), scorer.device.type == "cuda")
    first = reader.probe(0)
    if first is None:
        raise none_readable(paths)
    size = start_batch_size(scorer.device, first[0].shape)
    forward = Halving(lambda images: (scorer.logits(images),), size)
    with scorer.ready():
        scorer.probe(torch.stack(first * PROBED))
        spans = (range(i, min(i + size, len(paths))) for i in range(0, len(paths), size))
        for batch in reader.batches(spans):
            for row, why in batch.failed.items():
                raise DropError(
                    f"samples: the image {paths[row]} of sample {ids[row].decode()} cannot be read "
                    f"({why}); repair it, or leave its sample out"
                )
            yield batch.rows, forward(batch.inputs[0])[0].numpy()
