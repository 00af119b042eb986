"""The presentations of an epoch: first on the device, then on the CPU, then from all processes.

A training in several processes gives each its own part of the samples, in another way in every
epoch. So the presentations of an epoch are gathered when it ends, and put into the order in which
one process would have had them; then every process has the scores of the whole training.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from fiftyone_drop._torch import torch
from fiftyone_drop.errors import DropError

if TYPE_CHECKING:
    from torch import Tensor

WAITING = 2**22
"""Most floats that wait on the device (16 MiB)."""


@dataclass(frozen=True)
class Presentations:
    """Samples that were presented, and what is known of each presentation.

    Attributes:
        samples: (M,) int64, sample numbers, in the order of presentations
        columns: arrays float32 (M,) or (M, K)
    """

    samples: npt.NDArray[np.int64]
    columns: list[npt.NDArray[Any]]

    def __len__(self) -> int:
        return len(self.samples)

    def select(self, rows: npt.NDArray[Any]) -> Presentations:
        """Some of the presentations."""
        return Presentations(self.samples[rows], [column[rows] for column in self.columns])


class OpenEpoch:
    """The presentations since the last epoch ended.

    They move to the CPU together, when there are many or the epoch ends, so that the training never
    waits for a batch.
    """

    def __init__(self) -> None:
        self._waiting: list[tuple[npt.NDArray[np.int64], list[Tensor]]] = []
        self._floats = 0
        self._parts: list[Presentations] = []

    def add(self, samples: npt.NDArray[np.int64], columns: list[Tensor]) -> None:
        """Take in a batch, whose columns stay where they are for now."""
        self._waiting.append((samples, columns))
        self._floats += sum(column.numel() for column in columns)
        if self._floats >= WAITING:
            self._fetch()

    def parts(self) -> list[Presentations]:
        """What there is, in order."""
        self._fetch()
        return [part for part in self._parts if len(part)]

    def put(self, parts: Sequence[Presentations]) -> None:
        """Replace what there is."""
        self._waiting, self._floats, self._parts = [], 0, list(parts)

    def _fetch(self) -> None:
        if not self._waiting:
            return
        samples = np.concatenate([rows for rows, _ in self._waiting])
        columns = zip(*(columns for _, columns in self._waiting), strict=True)
        self._parts.append(
            Presentations(samples, [torch.cat(parts).cpu().numpy() for parts in columns])
        )
        self._waiting, self._floats = [], 0


def process() -> tuple[int, int]:
    """The number of this process in ``torch.distributed``, and how many there are."""
    dist = torch.distributed
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


def gather(parts: Sequence[Presentations], recording: str, epoch: int) -> list[Presentations]:
    """The presentations of an epoch in all processes. All of them must call it.

    Args:
        parts: those of this process
        recording: stands for samples, labels and scores, which must be the same everywhere
        epoch: the number of epochs that ended before

    Raises:
        DropError: in every process, if they record different things
    """
    _, count = process()
    everywhere: list[Any] = [None] * count
    torch.distributed.all_gather_object(everywhere, (recording, epoch, joined(parts)))
    for other, (theirs, their_epoch, _) in enumerate(everywhere):
        if theirs != everywhere[0][0]:
            raise DropError(
                "samples",
                "must be the same in all processes of a training, in the same order, with the same "
                f"labels, scores and switches, but process {other} has others than process 0; "
                "construct the recorder of the whole view in each, or pass gather=False if each "
                "trains a model of its own",
            )
        if their_epoch != everywhere[0][1]:
            raise DropError(
                "state",
                f"must be the same in all processes of a training, but process 0 has recorded "
                f"{everywhere[0][1]} epochs and process {other} {their_epoch}; load it in each",
            )
    found = [theirs for _, _, theirs in everywhere]
    return [in_order(found)] if any(map(len, found)) else []


def joined(parts: Sequence[Presentations]) -> Presentations:
    """Several parts as one."""
    if not parts:
        return Presentations(np.empty(0, np.int64), [])
    columns = zip(*(part.columns for part in parts), strict=True)
    return Presentations(
        np.concatenate([part.samples for part in parts]), [np.concatenate(c) for c in columns]
    )


def in_order(processes: Sequence[Presentations]) -> Presentations:
    """The presentations of several processes as one process would have had them.

    The first of each process come first, then the second, and so on. Samplers fill up the last
    batches with samples that were presented before, so that all processes have as many: these are
    left out. They are what comes again at the end of a process, as long as nothing else comes
    again in the epoch. Where other samples do, as with a sampler that draws with replacement,
    everything counts.
    """
    ranks = np.repeat(np.arange(len(processes)), [len(own) for own in processes])
    slots = np.concatenate([np.arange(len(own)) for own in processes])
    order = np.argsort(slots, kind="stable")
    both, ranks = joined([own for own in processes if len(own)]).select(order), ranks[order]
    again = np.ones(len(both), bool)
    again[np.unique(both.samples, return_index=True)[1]] = False
    padding = np.zeros(len(both), bool)
    for rank in range(len(processes)):
        own = np.flatnonzero(ranks == rank)
        new = np.flatnonzero(~again[own])
        padding[own[new[-1] + 1 if len(new) else 0 :]] = True
    return both if (again & ~padding).any() else both.select(~padding)
