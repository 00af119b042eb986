"""Scores that the embeddings of all images decide together: one computation, wherever it runs."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.inference.source import Floats, Switches, wanted
from fiftyone_drop.scoring import Score, get_score


@dataclass(frozen=True)
class Embedded:
    """The embeddings of n images by one model, none of which has failed.

    Attributes:
        rows: (n, D) float32
        labels: (n,) int, positions in the model's classes
    """

    rows: Floats
    labels: IntArray


class EmbeddingScorer:
    """Computes the scores of embeddings, one after the other.

    Args:
        switches: score -> its switches
        device: where they are computed, if it has the room
    """

    def __init__(self, switches: Switches, device: torch.device) -> None:
        names = wanted(switches, "embeddings")
        self._scores: list[tuple[Score, Any]] = [(get_score(n), switches[n]) for n in names]
        self._device = device

    def __call__(self, part: Embedded) -> Generator[tuple[str, FloatArray], None, None]:
        """Yields the names of scores and their values (n,)."""
        for score, switches in self._scores:
            values = score.function(_on_device(part.rows, self._device), part.labels, **switches)
            yield score.name, np.asarray(score.checked(values, len(part.labels)))


def _on_device(embeddings: Floats, device: torch.device) -> Floats | torch.Tensor:
    """The embeddings on a CUDA device, if they fit there twice."""
    if device.type != "cuda" or not torch.cuda.is_available():
        return embeddings
    torch.cuda.empty_cache()  # what PyTorch holds on to counts as taken
    free, _ = torch.cuda.mem_get_info(device)
    fits = 2 * embeddings.nbytes <= free
    return torch.as_tensor(np.asarray(embeddings), device=device) if fits else embeddings
