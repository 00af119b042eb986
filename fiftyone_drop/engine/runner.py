"""Where parts of a long computation run: here, or wherever another runner takes them.

A computation is a function from a part to pieces of the result. Here its pieces come one by one, in
the order of the parts. Elsewhere parts run at once and end in any order, and pieces of a part come
together.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Generator, Iterable
from contextlib import closing
from typing import TypeVar

from fiftyone_drop._torch import torch

Part = TypeVar("Part")
Piece = TypeVar("Piece")


class Runner(ABC):
    """Computes the parts of a computation.

    Attributes:
        chunk: images in a part, at most; None for all of them, since pieces come one by one
        device: where models run; None for where they are
        workers: threads that read images for a part; None for one per core
        away: whether parts run in other processes, maybe on other machines
    """

    chunk: int | None = None
    device: torch.device | None = None
    workers: int | None = None
    away = False

    @abstractmethod
    def run(
        self, work: Callable[[Part], Generator[Piece, None, None]], parts: Iterable[Part]
    ) -> Generator[tuple[Part, Piece], None, None]:
        """Compute every part once. Closing the iterator gives up what has not been computed.

        Args:
            work: computes the pieces of one part. Away, it is pickled once, and kept by a process
                for all parts that it computes
            parts: are asked for when there is room for them

        Yields:
            a part and one of its pieces, whenever there is one

        Raises:
            Exception: what ``work`` raises
        """


class Here(Runner):
    """Computes in this process, one part after the other."""

    def run(
        self, work: Callable[[Part], Generator[Piece, None, None]], parts: Iterable[Part]
    ) -> Generator[tuple[Part, Piece], None, None]:
        """See :meth:`Runner.run`."""
        for part in parts:
            with closing(work(part)) as pieces:
                for piece in pieces:
                    yield part, piece
