"""Image files in, batches of model inputs out: threads read ahead while the model computes.

Two ways to read, since a model must see what it was trained on: :class:`Transformed` as
torchvision's ``ImageFolder`` and FiftyOne's models do, :class:`Square` as our query models do.
Threads and not processes for the reasons given in ``training/images.py``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from fiftyone_drop._types import IntArray
from fiftyone_drop.errors import DropError
from fiftyone_drop.training.images import read_image

CHUNK = 16  # images per task: enough to make its overhead small, few enough to share a batch out
AHEAD = 2  # batches that are being read while one is computed


class UnreadableImageError(Exception):
    """The file is missing or is no image."""


class Read(Protocol):
    """Reads one image file as the input of a model. Equal ones read the same."""

    def __call__(self, path: str) -> Tensor:
        """Read one file; raise :class:`UnreadableImageError` if that cannot be done."""
        ...


@dataclass(frozen=True)
class Transformed:
    """An RGB image of Pillow's, handed to ``transform``."""

    transform: Callable[[Any], Any]

    def __call__(self, path: str) -> Tensor:
        """(C, H, W), whatever the transform makes of it."""
        try:
            with Image.open(path) as file:
                image = file.convert("RGB")
        except Exception as error:  # Pillow's decoders raise all sorts
            raise UnreadableImageError(f"{type(error).__name__}: {error}") from error
        value = self.transform(image)
        if not isinstance(value, Tensor):
            raise DropError(
                f"transform: must return a tensor, but returned a {type(value).__name__}; add "
                "v2.ToImage() and v2.ToDtype(torch.float32, scale=True)"
            )
        return value


@dataclass(frozen=True)
class Square:
    """The whole image as a square of ``size`` pixels a side."""

    size: int

    def __call__(self, path: str) -> Tensor:
        """(3, size, size) uint8."""
        try:
            return torch.from_numpy(read_image(path, self.size).copy()).permute(2, 0, 1)
        except DropError as error:
            raise UnreadableImageError(str(error.__cause__ or error)) from error


@dataclass(frozen=True)
class Batch:
    """Some images.

    Attributes:
        rows: (B,) positions in the paths, ascending, of those that could be read
        inputs: for each way to read (B, ...), what it returns
        failed: position -> why it could not be read
        stop: the position after the last one, read or failed
    """

    rows: IntArray
    inputs: list[Tensor]
    failed: dict[int, str]
    stop: int


class ImageReader:
    """Reads image files in every way that is asked for, each file once per way.

    Args:
        paths: the files
        reads: ways to read
        workers: threads
        pin: whether batches go into page-locked memory, from where CUDA copies them by itself
    """

    def __init__(self, paths: Sequence[str], reads: Sequence[Read], workers: int, pin: bool):
        self._paths = paths
        self._reads = reads
        self._workers = workers
        self._pin = pin
        self._known: dict[int, list[Tensor] | UnreadableImageError] = {}
        self._like: list[Tensor] = []

    def probe(self, start: int) -> list[Tensor] | None:
        """The first image from ``start`` on that can be read, or None. It is not read again."""
        for row in range(start, len(self._paths)):
            try:
                self._like = [read(self._paths[row]) for read in self._reads]
            except UnreadableImageError as error:
                self._known[row] = error
            else:
                self._known[row] = self._like
                return self._like
        return None

    def batches(self, spans: Iterable[range]) -> Iterator[Batch]:
        """Read batches ahead of time, in the order given. Call :meth:`probe` before.

        Args:
            spans: positions in the paths
        """
        pending: deque[tuple[range, list[Tensor], list[Future[dict[int, str]]]]] = deque()
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="fiftyone-drop-images")
        try:
            for span in spans:
                inputs = [self._room(len(span), like) for like in self._like]
                parts = [span[i : i + CHUNK] for i in range(0, len(span), CHUNK)]
                tasks = [pool.submit(self._fill, part, span.start, inputs) for part in parts]
                pending.append((span, inputs, tasks))
                if len(pending) > AHEAD:
                    yield _collect(*pending.popleft())
            while pending:
                yield _collect(*pending.popleft())
        finally:
            pool.shutdown(cancel_futures=True)

    def _room(self, n: int, like: Tensor) -> Tensor:
        # Whatever mode the caller is in: threads could not write into a tensor of inference mode
        with torch.inference_mode(False):
            return torch.empty((n, *like.shape), dtype=like.dtype, pin_memory=self._pin)

    def _fill(self, part: range, start: int, inputs: list[Tensor]) -> dict[int, str]:
        failed = {}
        for row in part:
            known = self._known.pop(row, None)
            try:
                if isinstance(known, UnreadableImageError):
                    raise known
                values = known or [read(self._paths[row]) for read in self._reads]
            except UnreadableImageError as error:
                failed[row] = str(error)
                continue
            for room, value in zip(inputs, values, strict=True):
                if value.shape != room.shape[1:]:
                    raise DropError(
                        f"transform: must give tensors of one shape, but gave "
                        f"{tuple(room.shape[1:])} and, for {self._paths[row]}, "
                        f"{tuple(value.shape)}; let it resize to (height, width), or crop"
                    )
                room[row - start].copy_(value)
        return failed


def _collect(span: range, inputs: list[Tensor], tasks: list[Future[dict[int, str]]]) -> Batch:
    failed: dict[int, str] = {}
    for task in tasks:
        failed |= task.result()
    rows = np.array([row for row in span if row not in failed], dtype=np.int64)
    if failed:
        chosen = torch.from_numpy(rows - span.start)
        inputs = [values[chosen] for values in inputs]
    return Batch(rows, inputs, failed, span.stop)


def find_unreadable(paths: Sequence[str], read: Read, workers: int) -> dict[int, str]:
    """Position -> why the file cannot be read, of those that cannot."""

    def reason(path: str) -> str | None:
        try:
            read(path)
        except UnreadableImageError as error:
            return str(error)
        return None

    with ThreadPoolExecutor(workers) as pool:
        return {row: why for row, why in enumerate(pool.map(reason, paths)) if why is not None}
