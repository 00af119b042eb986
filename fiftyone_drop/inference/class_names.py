"""The names of a model's outputs, of which two may be the same.

ImageNet has two classes ``crane`` and two ``maillot`` in FiftyOne's list of names. A label tells a
name, and not which of its outputs is meant: that is the one which the model prefers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from fiftyone_drop._types import IntArray


class ClassNames:
    """Finds outputs by name.

    Args:
        names: K names, in the order of the logits
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._first = {name: i for i, name in reversed(list(enumerate(names)))}
        # The first output of the same name
        first = [self._first[name] for name in names]
        self._same = torch.tensor(first, dtype=torch.int64, device="cpu")
        self.repeated = len(self._first) < len(names)

    def positions(self, labels: Iterable[str | None]) -> IntArray:
        """The first output of each of N labels, (N,) int; -1 where there is none."""
        found = [-1 if label is None else self._first.get(label, -1) for label in labels]
        return np.array(found, dtype=np.int64)

    def first(self, positions: Tensor) -> Tensor:
        """The first outputs of the same names, for (B,) int64 positions, on the same device."""
        return self._same.to(positions.device)[positions]

    def preferred(self, logits: Tensor, positions: Tensor) -> Tensor:
        """Of the outputs that have the same name, the one with the largest logit.

        Args:
            logits: (B, K) float
            positions: (B,) int64 in [0, K)

        Returns:
            (B,) int64, on the same device
        """
        if not self.repeated:
            return positions
        same = self._same.to(positions.device)
        others = same[None, :] != same[positions][:, None]
        return logits.masked_fill(others, -torch.inf).argmax(1)
