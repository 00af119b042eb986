"""Many image files in, batches of tensors out: threads read ahead while the model computes.

Threads read, not ``DataLoader`` processes. Pillow releases the interpreter lock while it decodes.
A process that holds a MongoDB client must not be forked, and spawning would need a user's script to
be guarded by ``if __name__ == "__main__"``.
"""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from fiftyone_drop.engine.images import Indices, Pixels, Read, Square, UnreadableImageError, spread
from fiftyone_drop.engine.threads import in_threads
from fiftyone_drop.errors import DropError

CHUNK = 16  # images per task: enough to make its overhead small, few enough to share a batch out
AHEAD = 2  # batches that are read while one is computed, at least
CACHE_BYTES = 2 * 1024**3
STATISTICS_IMAGES = 512
STATISTICS_BATCH = 32

RGB = tuple[float, float, float]


@dataclass(frozen=True)
class Batch:
    """Some images.

    Attributes:
        rows: (B,) positions in the paths, in the order asked for, of the images that were read
        inputs: for each way to read a tensor (B, ...)
        failures: position -> why the image cannot be read
    """

    rows: Indices
    inputs: list[Tensor]
    failures: dict[int, UnreadableImageError]


class ImageReader:
    """Reads image files in several ways, each file once per way.

    Args:
        paths: the files
        reads: ways to read
        workers: threads
        likes: an image per way to read, of the shape and type that all have; None for those that
            :meth:`probe` reads, to be called first then
        layout: how batches of images lie in memory
        pin: whether batches lie in page-locked memory, from where CUDA copies them by itself
    """

    def __init__(
        self,
        paths: Sequence[str],
        reads: Sequence[Read],
        *,
        workers: int,
        likes: Sequence[Tensor] | None = None,
        layout: torch.memory_format = torch.contiguous_format,
        pin: bool = False,
    ) -> None:
        self._paths = paths
        self._reads = reads
        self._workers = workers
        self._likes = likes or []
        self._layout = layout
        self._pin = pin
        self._known: dict[int, Sequence[Tensor] | UnreadableImageError] = {}

    def probe(self, start: int) -> Sequence[Tensor] | None:
        """The first image from ``start`` on that can be read, or None. It is not read again."""
        for row in range(start, len(self._paths)):
            with torch.device("cpu"):  # as in threads, which no default device reaches
                self._known[row] = found = self._read(row)
            if not isinstance(found, UnreadableImageError):
                self._likes = found
                return found
        return None

    @property
    def problem(self) -> str:
        """Why the first image that :meth:`probe` tried cannot be read."""
        errors = [
            error for error in self._known.values() if isinstance(error, UnreadableImageError)
        ]
        return errors[0].reason

    def batches(self, batches: Iterable[Indices]) -> Iterator[Batch]:
        """Read batches ahead of time, in the order given.

        Args:
            batches: arrays (B,) of positions in the paths

        Raises:
            DropError: a transform gives tensors of several shapes
        """
        pending: deque[tuple[Indices, list[Tensor], list[Future[_Failures]]]] = deque()
        waiting = 0  # tasks in `pending`
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="fiftyone-drop-images")
        try:
            for rows in batches:
                rooms = [self._room(len(rows), like) for like in self._likes]
                tasks = [
                    pool.submit(self._fill, rows, slice(i, i + CHUNK), rooms)
                    for i in range(0, len(rows), CHUNK)
                ]
                pending.append((rows, rooms, tasks))
                waiting += len(tasks)
                # Batches may be so small that a few of them leave threads without work; or empty
                if len(pending) > AHEAD and not 0 < waiting <= self._workers:
                    waiting -= len(pending[0][2])
                    yield _collect(*pending.popleft())
            while pending:
                yield _collect(*pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _room(self, n: int, like: Tensor) -> Tensor:
        # The caller may be in inference mode: threads could not write into a tensor of that mode
        with torch.inference_mode(False):
            return torch.empty(
                (n, *like.shape),
                dtype=like.dtype,
                device="cpu",
                memory_format=self._layout,
                pin_memory=self._pin,
            )

    def _fill(self, rows: Indices, part: slice, rooms: list[Tensor]) -> _Failures:
        failures = {}
        for at, row in enumerate(rows[part].tolist(), start=part.start):
            values = self._known.pop(row, None) or self._read(row)
            if isinstance(values, UnreadableImageError):
                failures[at] = values
                continue
            for room, value in zip(rooms, values, strict=True):
                if value.shape != room.shape[1:]:
                    raise DropError(
                        "transform",
                        f"must give tensors of one shape, but gave {tuple(room.shape[1:])} and, "
                        f"for {self._paths[row]}, {tuple(value.shape)}; let it resize to "
                        "(height, width), or crop",
                    )
                room[at].copy_(value)
        return failures

    def _read(self, row: int) -> Sequence[Tensor] | UnreadableImageError:
        """The image in each of the ways, or why it cannot be read."""
        try:
            return [read(self._paths[row]) for read in self._reads]
        except UnreadableImageError as error:
            return error.with_traceback(None)  # whose frames hold a whole batch


_Failures = dict[int, UnreadableImageError]  # position in the batch -> why


def _collect(rows: Indices, rooms: list[Tensor], tasks: list[Future[_Failures]]) -> Batch:
    failures: _Failures = {}
    for task in tasks:
        failures |= task.result()
    if not failures:
        return Batch(rows, rooms, {})
    fit = np.ones(len(rows), bool)
    fit[list(failures)] = False
    readable = torch.from_numpy(np.flatnonzero(fit))
    return Batch(
        rows[fit],
        [room[readable] for room in rooms],
        {int(rows[at]): error for at, error in failures.items()},
    )


class Images:
    """Images of one size in any order; those that fit in memory are read only once.

    Every image must be readable: the first that is not is an error.

    Args:
        paths: image files, N of them
        size: every image is scaled to ``size`` x ``size``, of any shape: nothing at the
            border is lost
        workers: threads that read
        cached: keep the decoded images where all N fit in 2 GiB; False for a single pass
    """

    def __init__(
        self, paths: Sequence[str], size: int, *, workers: int, cached: bool = True
    ) -> None:
        self.paths = paths
        self.size = size
        self._made_with = {"workers": workers, "cached": cached}
        self._reader = ImageReader(
            paths,
            [Square(size)],
            workers=workers,
            likes=[torch.empty((3, size, size), dtype=torch.uint8, device="cpu")],
            layout=torch.channels_last,
        )
        self._cache: Pixels | None = None
        if cached and fits_in_memory(len(paths), size):
            self._cache = np.empty((len(paths), size, size, 3), np.uint8)
        self._is_cached = np.zeros(len(paths), bool)

    def batches(self, batches: Iterable[Indices]) -> Iterator[tuple[Indices, Tensor]]:
        """Read batches ahead of time, in the order given.

        Args:
            batches: arrays (B,) of positions in ``paths``

        Yields:
            each array with its images, (B, 3, S, S) uint8 on the CPU, channels last in memory

        Raises:
            UnreadableImageError: an image cannot be read
        """
        asked: deque[Indices] = deque()

        def unread() -> Iterator[Indices]:
            for rows in batches:
                asked.append(rows)
                yield rows[~self._is_cached[rows]]

        for batch in self._reader.batches(unread()):
            for error in batch.failures.values():
                raise error
            rows, (pixels,) = asked.popleft(), batch.inputs
            if self._cache is not None:
                self._cache[batch.rows] = pixels.permute(0, 2, 3, 1).numpy()
                self._is_cached[batch.rows] = True
                pixels = torch.from_numpy(self._cache[rows]).permute(0, 3, 1, 2)
            yield rows, pixels

    def __reduce__(self) -> tuple[Any, ...]:
        """Without the images, which are read anew where it is unpickled."""
        return functools.partial(Images, **self._made_with), (self.paths, self.size)  # type: ignore[arg-type]

    def statistics(self, indices: Indices) -> tuple[RGB, RGB]:
        """Mean and standard deviation of red, green and blue, in [0, 1].

        Taken from at most 512 of the images, evenly spaced. The deviations are at least 1/255.

        Args:
            indices: (M,) positions in ``paths``
        """
        rows = indices[spread(len(indices), STATISTICS_IMAGES)]
        parts = [rows[i : i + STATISTICS_BATCH] for i in range(0, len(rows), STATISTICS_BATCH)]
        mean, square = (torch.zeros(3, dtype=torch.float64, device="cpu") for _ in range(2))
        for _, pixels in self.batches(parts):
            values = pixels.double() / 255
            mean += values.sum((0, 2, 3)) / (len(rows) * self.size**2)
            square += values.square().sum((0, 2, 3)) / (len(rows) * self.size**2)
        std = (square - mean.square()).clamp(min=1 / 255**2).sqrt()
        return tuple(mean.tolist()), tuple(std.tolist())


def positions(start: int, stop: int, size: int) -> Iterator[Indices]:
    """Cut the positions from ``start`` to ``stop`` into batches; the last may be smaller."""
    for i in range(start, stop, size):
        yield np.arange(i, min(i + size, stop))


def fits_in_memory(n: int, size: int) -> bool:
    """Whether ``n`` decoded images of ``size`` x ``size`` take at most 2 GiB."""
    return n * size * size * 3 <= CACHE_BYTES


def find_unreadable(paths: Sequence[str], read: Read, workers: int) -> dict[int, str]:
    """Position -> why the file cannot be read, of those that cannot."""

    def problem(path: str) -> str | None:
        try:
            read(path)
        except UnreadableImageError as error:
            return error.reason
        return None

    with closing(in_threads(problem, paths, workers)) as problems:
        return {row: why for row, why in enumerate(problems) if why is not None}
