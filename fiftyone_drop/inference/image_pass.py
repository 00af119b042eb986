"""One pass over the images, with one model or several: the scores of every batch, as arrays.

Batches are scored here or elsewhere, in any order, and lie on disk as they come: memory is little
beside the ids and paths of the images. A pass begins where an interrupted one has ended, so that
the module is longer than others.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from fiftyone_drop._log import logger
from fiftyone_drop._types import FloatArray
from fiftyone_drop.engine.checkpoint import Checkpoint
from fiftyone_drop.engine.devices import memory
from fiftyone_drop.errors import DropError
from fiftyone_drop.inference.chunks import Chunk, ChunkScorer, Probe, Scores
from fiftyone_drop.inference.embedding_scores import Embedded, EmbeddingScorer
from fiftyone_drop.inference.failures import check_failures, none_readable
from fiftyone_drop.inference.forward_pass import batch_scores
from fiftyone_drop.inference.repaired import unread_images
from fiftyone_drop.inference.source import Floats, Request, Values, wanted

if TYPE_CHECKING:
    from fiftyone_drop.inference.image_model import ImageModel

PASS = "pass"  # the state of a pass in its checkpoint
PROBED = 1024  # images of which one is to be readable, at a time
OPEN = -1  # the sum of a batch that has not been scored


@dataclass
class PassState:
    """How far a pass over N images has come.

    Attributes:
        read_size: images that are read as a batch
        batch_size: images that are computed at once; less after running out of memory
        sums: for each batch a checksum of its scores, ``OPEN`` where there are none yet
        failures: position -> why the image has no scores
    """

    read_size: int
    batch_size: int
    sums: NDArray[np.int64]
    failures: dict[int, str] = field(default_factory=dict)


class ImagePass:
    """Scores images with M models. Make it, :meth:`run` it, and read the results.

    Args:
        models: the models
        request: the images and scores. A batch size of None starts with one that suits device and
            image size; it is halved when CUDA runs out of memory
        checkpoint: where to go on from, and where to leave the state of an interrupted pass

    Attributes:
        table: (M, S + 2, N) float32, the scores of batches and the outcomes; NaN for images that
            have failed
        embeddings: for each model (N, D) float32, if a score needs them
        state: how far it has come, and which images have failed
    """

    def __init__(
        self,
        models: Sequence[ImageModel],
        request: Request,
        checkpoint: Checkpoint,
    ) -> None:
        self.table: Floats = np.empty((0, 0, 0), np.float32)
        self.embeddings: list[Floats] = []
        self.state = PassState(0, 0, np.empty(0, np.int64))
        self._names = batch_scores(request.switches)
        self._request = request
        self._checkpoint = checkpoint
        self._runner = request.runner
        options = request.options
        self._scorer = ChunkScorer(
            [model.on(self._runner.device) for model in models],
            request.switches,
            options.batch_size,
            options.workers or self._runner.workers,
            options.deterministic,
        )

    def run(self, progress: Callable[[int], object]) -> None:
        """Score everything that has not been scored yet.

        Raises:
            DropError: a model does not fit, or an image has failed and that is an error
        """
        self._begin()
        self._check(self.state.failures)
        progress(self._done)
        self._score_rest(progress)
        self._check(self.state.failures)

    def tables(self) -> dict[str, Values]:
        """Score -> (M, N), NaN where there is none."""
        tables: dict[str, Values] = {name: self.table[:, s] for s, name in enumerate(self._names)}
        return tables | self._embedding_scores()

    def outcomes(self) -> Floats:
        """(M, 2, N), see :class:`~fiftyone_drop.inference.source.Scored`."""
        return self.table[:, -2:]

    def _begin(self) -> None:
        """Go on from the checkpoint, or start."""
        n = len(self._request.paths)
        saved = self._checkpoint.load(PASS)
        known = None if saved is None else _state(saved)
        probe = self._probe(0 if known is None else self._first_open(known))
        m, s = len(self._scorer.models), len(self._names)
        shapes: dict[str, tuple[int, ...]] = {"table": (m, s + 2, n)}
        shapes |= {f"embeddings-{i}": (n, width) for i, width in enumerate(probe.widths) if width}
        there: list[Floats] = []
        if known is not None:
            found = [self._checkpoint.array(*item) for item in shapes.items()]
            there = [array for array in found if array is not None]
        if known is not None and len(there) == len(shapes):
            self.state = known
        else:
            self._checkpoint.remove()  # an old state must not vouch for new arrays
            self._check_room(probe.widths)
            there = [self._checkpoint.new_array(*item) for item in shapes.items()]
            size = probe.read_size
            batches = -(-n // size)
            self.state = PassState(size, size, np.full(batches, OPEN))
        self.table, *self.embeddings = there
        self._scorer.likes, self._scorer.read_size = probe.likes, self.state.read_size
        self._scorer.batch_size = self.state.batch_size
        self._forget_damaged()
        self._forget_repaired()
        if self._done:
            logger.info("Going on after %d of %d images", self._done, n)

    def _probe(self, start: int) -> Probe:
        """Try every model on the first image that can be read."""
        paths = self._request.paths
        # After the last readable image only unreadable ones may be left
        why = ""
        for first in (*range(start, len(paths), PROBED), *range(0, start, PROBED)):
            chunk = Chunk(first, paths[first : first + PROBED], [])
            with closing(self._runner.run(self._scorer.probe, [chunk])) as probes:
                for _, probe in probes:
                    if isinstance(probe, Probe):
                        return probe
                    why = probe if first == 0 else why
        raise none_readable(paths, why)

    def _first_open(self, state: PassState) -> int:
        """The position of the first image that is to be scored."""
        return int(np.argmax(state.sums == OPEN)) * state.read_size

    def _forget_damaged(self) -> None:
        """Batches that are not on disk as they were scored are scored again."""
        for batch in np.flatnonzero(self.state.sums != OPEN).tolist():
            if self._sum(batch) != self.state.sums[batch]:
                logger.info("The scores of batch %d are damaged, and computed again", batch)
                self._open(batch)

    def _forget_repaired(self) -> None:
        """Batches with an image that can be read now are scored again, as in one call."""
        size, chunk = self.state.read_size, self._runner.chunk
        parts = unread_images(self._request.paths, self.state.failures, size, chunk)
        if not parts:
            return  # a cluster would get the models for nothing
        with closing(self._runner.run(self._scorer.repaired, parts)) as batches:
            for _, batch in batches:
                self._open(batch)

    def _open(self, batch: int) -> None:
        """Let a batch be scored again, as if it never was."""
        rows = self._rows(batch)
        self.state.sums[batch] = OPEN
        for row in range(rows.start, rows.stop):
            self.state.failures.pop(row, None)

    def _sum(self, batch: int) -> int:
        """The checksum of what there is of a batch."""
        rows = self._rows(batch)
        total = zlib.crc32(self.table[:, :, rows].tobytes())
        for table in self.embeddings:
            total = zlib.crc32(table[rows].tobytes(), total)
        return total

    def _rows(self, batch: int) -> slice:
        size = self.state.read_size
        return slice(batch * size, min((batch + 1) * size, len(self._request.paths)))

    @property
    def _done(self) -> int:
        """Images that have been dealt with."""
        done = np.flatnonzero(self.state.sums != OPEN)
        if not len(done):
            return 0
        last = self._rows(int(done[-1]))
        return int((len(done) - 1) * self.state.read_size + last.stop - last.start)

    def _chunks(self) -> Iterator[Chunk]:
        """The images that have not been scored, as the runner wants them."""
        request, size = self._request, self.state.read_size
        most = len(self.state.sums)
        if self._runner.chunk is not None:
            most = max(1, self._runner.chunk // size)
        todo = np.flatnonzero(self.state.sums == OPEN)
        for run in np.split(todo, np.flatnonzero(np.diff(todo) != 1) + 1):
            for i in range(0, len(run), most):
                part = run[i : i + most].tolist()
                rows = slice(self._rows(part[0]).start, self._rows(part[-1]).stop)
                labels = [codes[rows] for codes in request.labels]
                yield Chunk(rows.start, request.paths[rows], labels)

    def _score_rest(self, progress: Callable[[int], object]) -> None:
        try:
            with closing(self._runner.run(self._scorer, self._chunks())) as results:
                for _, scores in results:
                    self._check(scores.failures)
                    self._check_seen(scores)
                    self._take(scores)
                    # What took other processes long is not to be computed twice
                    self._checkpoint.save(PASS, self._content, often=self._runner.away)
                    progress(scores.table.shape[2])
        finally:  # at the end too: a failure to write the scores does not cost the pass
            if self._done:
                self._checkpoint.save(PASS, self._content, now=True)

    def _take(self, scores: Scores) -> None:
        batch, state = scores.start // self.state.read_size, self.state
        rows = self._rows(batch)
        self.table[:, :, rows] = scores.table
        for table, part in zip(self.embeddings, scores.embeddings, strict=True):
            table[rows] = part
        state.failures |= scores.failures
        state.batch_size = min(state.batch_size, scores.batch_size)
        state.sums[batch] = self._sum(batch)

    def _content(self) -> dict[str, object]:
        return {**asdict(self.state), "sums": torch.from_numpy(self.state.sums)}

    def _check(self, failures: Mapping[int, str]) -> None:
        request = self._request
        check_failures(request.ids, request.paths, failures, request.options.strict)

    def _check_room(self, widths: Sequence[int]) -> None:
        """Check that there is a place for the embeddings of all images.

        Raises:
            DropError: neither disk nor memory has the room
        """
        needed, free = 4 * len(self._request.paths) * sum(widths), self._checkpoint.room
        if needed > max(free, memory()):
            raise DropError(
                "scores",
                f"{wanted(self._request.switches, 'embeddings')} need {needed / 1e9:,.0f} GB for "
                f"the embeddings of {len(self._request.paths):,} images, and the disk of the "
                f"checkpoint has {free / 1e9:,.0f} GB; leave them out, pass another checkpoint_dir,"
                " or score parts of the samples",
            )

    def _check_seen(self, scores: Scores) -> None:
        """Check that files that are here are where they were read, too."""
        if scores.where is None:
            return
        for row in scores.missing:
            path = self._request.paths[row]
            if os.path.exists(path):
                raise DropError(
                    "samples",
                    f"{scores.where} cannot read the image {path}, which this machine can "
                    f"({scores.failures[row]}); mount its folder there under the same path, or use "
                    "paths with '://'",
                )

    def _embedding_scores(self) -> dict[str, FloatArray]:
        """The scores that need all embeddings at once: name -> (M, N), NaN where there is none."""
        names, n = wanted(self._request.switches, "embeddings"), len(self._request.paths)
        result = {name: np.full((len(self._scorer.models), n), np.nan) for name in names}
        if not names:
            return result
        fit = np.ones(n, bool)
        fit[list(self.state.failures)] = False
        # One after the other: each may take as much memory as there is
        for m, table in enumerate(self.embeddings):
            rows = table if fit.all() else table[fit]
            scorer = EmbeddingScorer(self._request.switches, self._scorer.models[m].home)
            part = Embedded(rows, self._request.labels[m][fit])
            for _, (name, values) in self._runner.run(scorer, [part]):
                result[name][m, fit] = values
        return result


def _state(saved: Mapping[str, Any]) -> PassState:
    return PassState(**{**saved, "sums": saved["sums"].numpy()})
