"""Chunks of a pass over images, and the scores of their batches: the part that may run elsewhere.

Nothing here knows a database or a checkpoint. A scorer can be pickled, with its models.
"""

from __future__ import annotations

import copy
import socket
from collections.abc import Generator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from fiftyone_drop._types import IntArray
from fiftyone_drop.engine.batches import Halving
from fiftyone_drop.engine.devices import default_workers
from fiftyone_drop.engine.images import Read
from fiftyone_drop.engine.randomness import deterministic_algorithms
from fiftyone_drop.engine.reader import Batch, ImageReader, positions
from fiftyone_drop.errors import DropError
from fiftyone_drop.inference.failures import NOT_FINITE
from fiftyone_drop.inference.forward_pass import Scorer, batch_scores
from fiftyone_drop.inference.repaired import Unread, find_repaired
from fiftyone_drop.inference.source import Floats, Switches
from fiftyone_drop.scoring import SCORES, Score, get_score
from fiftyone_drop.training.options import SMALL_IMAGE

if TYPE_CHECKING:
    from fiftyone_drop.inference.image_model import ImageModel

BATCH_BYTES = 2**29  # of a batch as floats; three and more are in memory at once


@dataclass(frozen=True)
class Chunk:
    """Some of N images, one after the other.

    Attributes:
        start: the position of the first of them among the N
        paths: n image files
        labels: for each model (n,) int, positions in its classes
    """

    start: int
    paths: Sequence[str]
    labels: Sequence[IntArray]


@dataclass(frozen=True)
class Scores:
    """The scores of a batch.

    Attributes:
        start: the position of the first image among the N
        table: (M, S + 2, B) float32, in the order of :func:`batch_scores`, and the two outcomes;
            NaN for images that failed
        embeddings: for each model (B, D) float32, where a score needs them; else none
        failures: position among the N -> why the image has no scores
        missing: positions of images of which there is no file where the batch was read
        where: the name of the machine, if the batch was computed in another process
        batch_size: images that are computed at once from now on
    """

    start: int
    table: Floats
    embeddings: list[Floats]
    failures: dict[int, str]
    missing: list[int]
    where: str | None
    batch_size: int


@dataclass(frozen=True)
class Probe:
    """What the first image that can be read shows.

    Attributes:
        likes: that image, as each of the ways to read has it
        widths: for each model the values per embedding; 0 where none are asked for
        read_size: images that are read as a batch
    """

    likes: list[Tensor]
    widths: list[int]
    read_size: int


@dataclass(eq=False)
class ChunkScorer:
    """Scores chunks with M models.

    Attributes:
        models: the models. Where they were unpickled they move to their device, once
        switches: score -> its switches
        batch_size: images that are computed at once; None for what suits device and image size.
            Halved when CUDA runs out of memory
        read_size: images that are read as a batch; None for ``batch_size``
        workers: threads that read; None for one per core
        deterministic: whether CUDA's algorithms are
        likes: see :class:`Probe`; None before there is one
    """

    models: Sequence[ImageModel]
    switches: Switches
    batch_size: int | None
    workers: int | None
    deterministic: bool
    read_size: int | None = None
    likes: list[Tensor] | None = None
    _scorers: list[Scorer] = field(default_factory=list, init=False)
    _probed: list[int] | None = field(default=None, init=False)
    _where: str | None = field(default=None, init=False)

    def probe(self, chunk: Chunk) -> Generator[Probe | str, None, None]:
        """Try the models on the first image that can be read.

        Yields:
            what it shows; where none can be read, why the first cannot

        Raises:
            DropError: a model does not fit
        """
        with self._running():
            reader = self._reader(chunk.paths, None)
            likes = reader.probe(0)
            if likes is None:
                yield self._in_words(reader.problem)
                return
            self._fit(likes)
            size = self.batch_size or start_batch_size(self._scorers[0].device, likes[0].shape)
        assert self._probed is not None
        yield Probe(list(likes), self._probed, size)

    def __call__(self, chunk: Chunk) -> Generator[Scores, None, None]:
        """Score the images of a chunk, batch by batch.

        Raises:
            DropError: a model does not fit, or not even one image fits into the GPU's memory
        """
        assert self.likes is not None
        assert self.read_size is not None
        with self._running():
            self._fit(self.likes)
            halving = Halving(self.batch_size or self.read_size)
            reader = self._reader(chunk.paths, self.likes)
            for batch in reader.batches(positions(0, len(chunk.paths), self.read_size)):
                scores = self._score(chunk, batch, halving)
                self.batch_size = halving.batch_size
                yield scores

    def repaired(self, unread: Unread) -> Generator[int, None, None]:
        """See :func:`find_repaired`."""
        yield from find_repaired(unread, self._reads, self.workers or default_workers())

    def _running(self) -> ExitStack:
        """A context in which models are ready."""
        if not self._scorers:
            self._scorers = [Scorer(model, self.switches) for model in self.models]
        with ExitStack() as stack:
            # The caller may be in inference mode, whose tensors can have no gradients
            stack.enter_context(torch.inference_mode(False))
            for scorer in self._scorers:
                stack.enter_context(scorer.ready())
                stack.enter_context(deterministic_algorithms(scorer.device, self.deterministic))
            return stack.pop_all()

    def _fit(self, likes: Sequence[Tensor]) -> None:
        """Try every model on an image, once."""
        if self._probed is None:
            pairs = zip(self._scorers, self._input_of, strict=True)
            self._probed = [scorer.probe(likes[i]) for scorer, i in pairs]

    @property
    def _reads(self) -> list[Read]:
        """Models that read alike share the images."""
        reads: list[Read] = []
        for model in self.models:
            if model.read not in reads:
                reads.append(model.read)
        return reads

    @property
    def _input_of(self) -> list[int]:
        """For each model the position of its way to read."""
        reads = self._reads
        return [reads.index(model.read) for model in self.models]

    def _reader(self, paths: Sequence[str], likes: list[Tensor] | None) -> ImageReader:
        return ImageReader(
            paths,
            self._reads,
            workers=self.workers or default_workers(),
            likes=likes,
            pin=any(scorer.device.type == "cuda" for scorer in self._scorers),
        )

    def _score(self, chunk: Chunk, batch: Batch, halving: Halving) -> Scores:
        rows = np.sort(np.concatenate([batch.rows, np.array(list(batch.failures), np.int64)]))
        first, n, names = int(rows[0]), len(rows), batch_scores(self.switches)
        table = np.full((len(self.models), len(names) + 2, n), np.nan, np.float32)
        widths = [width for width in self._probed or [] if width]
        embeddings = [np.zeros((n, width), np.float32) for width in widths]
        failures = {
            chunk.start + row: self._in_words(e.reason) for row, e in batch.failures.items()
        }

        def part_of(part: slice) -> None:
            there = batch.rows[part]
            at, fit = there - first, np.ones(len(there), bool)
            for m, scorer in enumerate(self._scorers):
                images = batch.inputs[self._input_of[m]][part]
                values, features, finite = scorer(images, chunk.labels[m][there])
                fit &= finite
                table[m][:, at] = values
                if features is not None:
                    embeddings[m][at] = features
            table[:, :, at[~fit]] = np.nan
            failures.update(dict.fromkeys((chunk.start + there[~fit]).tolist(), NOT_FINITE))

        for _ in halving(part_of, len(batch.rows)):
            pass
        missing = [row for row, error in batch.failures.items() if error.is_missing]
        return Scores(
            chunk.start + first,
            table,
            embeddings,
            failures,
            [chunk.start + row for row in missing],
            self._where,
            halving.batch_size,
        )

    def _in_words(self, reason: str) -> str:
        return reason if self._where is None else f"{reason}, on {self._where}"

    def __getstate__(self) -> dict[str, Any]:
        """Models travel on the CPU, and scores with what their names stand for."""
        models = list(self.models)
        if any(_is_elsewhere(model) for model in models):
            models = copy.deepcopy(models)
            for model in models:
                model.module.cpu()
        scores: list[Score] = [get_score(name) for name in self.switches]
        return {
            **self.__dict__,
            "models": models,
            "scores": scores,
            "_scorers": [],
            "_probed": None,
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        for score in state.pop("scores"):
            SCORES[score.name] = score  # a user's own, as it is registered where the user is
        self.__dict__ |= state
        self._where = socket.gethostname()
        for model in self.models:
            _move(model, self._where)


def _is_elsewhere(model: ImageModel) -> bool:
    return any(value.device.type != "cpu" for value in model.module.state_dict().values())


def _move(model: ImageModel, where: str) -> None:
    """Move a model to its device, for as long as the process lives."""
    if model.device is None:
        return
    if model.device.type == "cuda" and not torch.cuda.is_available():
        raise DropError(
            "cluster",
            f"asks for GPUs, but PyTorch finds no CUDA on {where}; install a PyTorch with CUDA "
            "there, or pass Cluster(gpus=0)",
        )
    model.module.to(model.device)


def start_batch_size(device: torch.device, shape: torch.Size) -> int:
    """How many images to start with, from the shape of one."""
    size = 256 if max(shape[-2:]) <= SMALL_IMAGE else 64
    if device.type == "cuda":
        size *= 4
    while size > 1 and 4 * size * shape.numel() > BATCH_BYTES:
        size //= 2
    return size
