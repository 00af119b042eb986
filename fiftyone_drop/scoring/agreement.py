"""Whether logits and labels belong together, from a model's predictions of many samples."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fiftyone_drop._torch import torch
from fiftyone_drop.errors import listing

if TYPE_CHECKING:
    from torch import Tensor

Integers = npt.NDArray[np.int64]

SURE = 3.0
"""Standard deviations beyond which a difference is not by chance."""
FEWEST = 30
"""Fewer presentations than these say nothing about a model."""
FEWEST_OF_CLASS = 3
"""Fewer samples than these that agree on another class are luck."""
TOO_SURE = 2 / 3
"""How far from chance to 1 the confidence of a model must be, for it to be wrong by more than luck.

Random logits of unit variance are not: their confidence in one of two classes is 0.72.
"""


UNEVEN = 2 / 3
"""Where two samples are more often of one class than this, chance and skill look alike."""
IN_ORDER = "pass classes= in the order of the outputs"
FOR_TRAININGS = (
    "Pass the ids of the samples, or their positions in the view rather than in a shuffled loader, "
    "and targets= to have the labels compared"
)


def predicted_classes(logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """(B,) float, the classes with the highest of the logits (B, K)."""
    return logits.argmax(1).float()


def confidences(logits: Tensor, labels: Tensor | None = None) -> Tensor:
    """(B,) float in [0, 1], the probabilities of these classes."""
    return torch.softmax(logits.float(), 1).amax(1)


def misfit(
    labels: Integers,
    predicted: Integers,
    confidence: npt.NDArray[Any],
    name: Callable[[int], str],
    remedy: str = FOR_TRAININGS,
    in_order: str = IN_ORDER,
) -> str | None:
    """A sentence if logits and labels cannot belong together, or None.

    Two things are looked for, and neither happens to a model that has merely learned little:

    * classes in a circle, by a model that is not unsure: most samples of a first class are
      predicted as a second, and so on until most of the last are predicted as the first. So are
      outputs in another order of classes;
    * predictions that are sure, and right no more often than by chance, on so many samples that
      a quarter of the skill that they claim would show. So are logits of other samples. Of samples
      that are nearly all of one class this says nothing, nor of a model that says one class.

    Args:
        labels: (M,) class indices, one per presentation
        predicted: (M,) class indices, the highest logit
        confidence: (M,) in [0, 1], its probability; presentations without a finite one are left
            out, since a model whose output is not finite has predicted nothing
        name: the name of a class, for the sentence
        remedy: the end of the sentence on predictions that are right by chance
        in_order: the end of that on classes in a circle
    """
    finite = np.isfinite(confidence)
    labels, predicted, confidence = labels[finite], predicted[finite], confidence[finite]
    if len(labels) < FEWEST:
        return None
    m, size = len(labels), int(max(labels.max(), predicted.max())) + 1
    shares = [np.bincount(values, minlength=size) / m for values in (labels, predicted)]
    chance = float(shares[0] @ shares[1])
    accuracy = float(np.mean(labels == predicted))
    surprise = (accuracy - chance) * math.sqrt(m / max(chance * (1 - chance), 1e-12))
    certainty = float(np.mean(confidence))
    circle = _circle(labels, predicted) if certainty > chance + (1 - chance) / 3 else []
    if circle:
        words = listing([(a, b) for a, b in circle], 3, lambda p: f"{name(p[0])} as {name(p[1])}")
        return (
            f"most samples are predicted as another class in a circle ({words}), as if the "
            f"outputs of the model were in another order of classes; {in_order}"
        )
    if max(float(share @ share) for share in shares) > UNEVEN:
        return None
    spread = math.sqrt(max(accuracy * (1 - accuracy), chance * (1 - chance)) / m)
    unskilled = accuracy + SURE * spread < chance + (certainty - chance) / 4
    if unskilled and surprise < SURE and certainty > chance + (1 - chance) * TOO_SURE:
        return (
            f"the accuracy is {accuracy:.2f}, no more than by chance ({chance:.2f}), though the "
            f"model is sure (mean confidence {certainty:.2f}): the logits may be of other samples "
            f"or other classes. {remedy}"
        )
    return None


def _circle(labels: Integers, predicted: Integers) -> list[tuple[int, int]]:
    """Pairs of a class and what most of its samples are predicted as, all in circles."""
    size = int(max(labels.max(), predicted.max())) + 1
    pairs, counts = np.unique(labels * size + predicted, return_counts=True)
    own, other = np.divmod(pairs, size)
    right = np.zeros(size, np.int64)
    right[own[own == other]] = counts[own == other]
    total = np.bincount(own, counts, size)
    much = (counts > total[own] / 2) & (counts >= FEWEST_OF_CLASS) & (own != other)
    follows = dict(zip(own[much].tolist(), other[much].tolist(), strict=True))
    found: list[tuple[int, int]] = []
    for start in follows:
        path = [start]
        while (after := follows.get(path[-1])) is not None and after not in path:
            path.append(after)
        if after == start:
            found.append((start, follows[start]))
    members = np.isin(own, [start for start, _ in found])
    elsewhere = int(counts[members & much].sum())
    correct = int(right[[start for start, _ in found]].sum())
    return found if elsewhere - correct > SURE * math.sqrt(elsewhere + correct) else []
