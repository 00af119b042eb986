"""One pass over the images, with one model or several: the scores of every batch, as arrays.

Memory is one float per image, score and model; embeddings, where a score needs them, lie on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np
import torch

from fiftyone_drop._log import logger
from fiftyone_drop._types import FloatArray, Ids, IntArray
from fiftyone_drop.errors import DropError
from fiftyone_drop.models.checkpoint import Checkpoint, Progress
from fiftyone_drop.models.forward_pass import (
    Floats,
    ImageModel,
    Scorer,
    Switches,
    batch_scores,
    wanted,
)
from fiftyone_drop.models.image_reader import Batch, ImageReader, Read
from fiftyone_drop.scoring import get_score
from fiftyone_drop.training.options import SMALL_IMAGE, default_workers
from fiftyone_drop.training.randomness import deterministic_algorithms

NOT_FINITE = "the model's output is not finite"  # why an image that can be read has no scores
PROBED = 2  # images that a model is tried on: batch norm and broadcasting show with two


@dataclass(frozen=True)
class Images:
    """What is to be scored: N image files.

    Attributes:
        ids: (N,) S24, sample ids, for messages
        paths: N files
        labels: for each model (N,) int, positions in its classes
    """

    ids: Ids
    paths: Sequence[str]
    labels: Sequence[IntArray]


class ImagePass:
    """Scores images with M models. Make it, :meth:`run` it, and read the results.

    Args:
        models: the models
        images: the images
        switches: score -> its switches
        checkpoint: where to go on from, and what to leave if interrupted
        batch_size: images at once; None for a start that suits device and image size. Halved when
            CUDA runs out of memory
        workers: threads that read images; None for one per core, at most 16
        deterministic: whether CUDA shall give the same every time
        strict: whether an image that cannot be read, or whose output is not finite, is an error

    Attributes:
        names: the S scores of the table
        table: (M, S, N) float32, NaN for images that have failed
        embeddings: for each model (N, D) float32, if a score needs them
        state: how far it has come, and which images have failed
    """

    def __init__(
        self,
        models: Sequence[ImageModel],
        images: Images,
        switches: Switches,
        checkpoint: Checkpoint,
        *,
        batch_size: int | None = None,
        workers: int | None = None,
        deterministic: bool = False,
        strict: bool = False,
    ) -> None:
        self.names = batch_scores(switches)
        self.table: Floats = np.empty((0, 0, 0), np.float32)
        self.embeddings: list[Floats] = []
        self.state = Progress(0, 0)
        self._images = images
        self._strict = strict
        self._batch_size = batch_size
        self._deterministic = deterministic
        self._checkpoint = checkpoint
        self._scorers = [Scorer(model, switches) for model in models]
        # Models that read alike share what is read
        self._reads: list[Read] = []
        for model in models:
            if model.read not in self._reads:
                self._reads.append(model.read)
        self._input_of = [self._reads.index(model.read) for model in models]
        pin = any(scorer.device.type == "cuda" for scorer in self._scorers)
        self._reader = ImageReader(images.paths, self._reads, workers or default_workers(), pin)

    def run(self, progress: Callable[[int], object]) -> None:
        """Score everything that has not been scored yet.

        Raises:
            DropError: a model does not fit, or an image has failed and that is an error
        """
        with ExitStack() as stack:
            stack.enter_context(self._checkpoint.kept_only_if_useful())
            # Whatever the caller is in: what is made in inference mode can have no gradients
            stack.enter_context(torch.inference_mode(False))
            for scorer in self._scorers:
                stack.enter_context(scorer.ready())
                wanted_algorithms = deterministic_algorithms(scorer.device, self._deterministic)
                stack.enter_context(wanted_algorithms)
            shape = (len(self._scorers), len(self.names), len(self._images.paths))
            found = self._checkpoint.load(shape)
            widths = self._probe(found[1].done if found else 0)
            sizes = {i: (shape[2], width) for i, width in enumerate(widths) if width}
            if found and not all(self._checkpoint.complete(i, size) for i, size in sizes.items()):
                found = None
            if found is None:  # what is left must not vouch for arrays that are made now
                self._checkpoint.remove()
            self.table, self.state = found or (np.full(shape, np.nan, np.float32), self.state)
            if found:
                logger.info("Going on after %d of %d images", self.state.done, shape[2])
            self.embeddings = [
                self._checkpoint.mapped(i, size, again=found is not None)
                for i, size in sizes.items()
            ]
            self._check(self.state.failed)
            progress(self.state.done)
            self._score_rest(progress)
            self._check(self.state.failed)

    def _probe(self, start: int) -> list[int]:
        """Try every model on the first image; returns the widths of their embeddings."""
        inputs = self._reader.probe(start)
        if inputs is None and start == 0:
            raise none_readable(self._images.paths)
        if inputs is None:  # nothing but unreadable ones is left
            inputs = self._reader.probe(0)
            assert inputs is not None
        size = self._batch_size or start_batch_size(self._scorers[0].device, inputs[0].shape)
        self.state = Progress(size, size)
        try:
            return [
                scorer.probe(torch.stack([inputs[i]] * PROBED))
                for scorer, i in zip(self._scorers, self._input_of, strict=True)
            ]
        except torch.OutOfMemoryError as error:
            raise _too_large() from error

    def _score_rest(self, progress: Callable[[int], object]) -> None:
        n, state = len(self._images.paths), self.state
        step = state.read_size
        spans = (range(i, min(i + step, n)) for i in range(state.done, n, step))
        try:
            for batch in self._reader.batches(spans):
                self._check(batch.failed)
                failed = batch.failed | dict.fromkeys(self._score(batch), NOT_FINITE)
                self._check(failed)
                before, state.done = state.done, batch.stop
                state.failed |= failed
                self._checkpoint.save(self.table, state, self.embeddings, now=False)
                progress(state.done - before)
        finally:  # at the end too: a failure to write the scores does not cost the pass
            if state.done:
                self._checkpoint.save(self.table, state, self.embeddings, now=True)

    def _check(self, failed: Mapping[int, str]) -> None:
        check_failures(self._images.ids, self._images.paths, failed, self._strict)

    def _score(self, batch: Batch) -> list[int]:
        """Fill in a batch; returns the rows where a model's output is not finite."""
        start = 0
        unfit: list[int] = []
        while start < len(batch.rows):
            part = slice(start, start + self.state.batch_size)
            out_of_memory = False
            try:
                bad = self._score_part(batch, part)
            except torch.OutOfMemoryError as error:
                if self.state.batch_size == 1:
                    raise _too_large() from error
                out_of_memory = True
            # Here and not above: the exception holds on to the tensors that did not fit
            if out_of_memory:
                self.state.batch_size = max(1, min(self.state.batch_size, len(batch.rows)) // 2)
                torch.cuda.empty_cache()
                logger.info("Out of memory: %d images at once from now on", self.state.batch_size)
            else:
                start = part.stop
                unfit += bad
        return unfit

    def _score_part(self, batch: Batch, part: slice) -> list[int]:
        rows = batch.rows[part]
        fit = np.ones(len(rows), bool)
        for m, scorer in enumerate(self._scorers):
            images = batch.inputs[self._input_of[m]][part]
            values, embeddings, finite = scorer(images, self._images.labels[m][rows])
            fit &= finite
            self.table[m][:, rows] = values
            if embeddings is not None:
                self.embeddings[m][rows] = embeddings
        self.table[:, :, rows[~fit]] = np.nan
        bad: list[int] = rows[~fit].tolist()
        return bad

    def embedding_scores(self, switches: Switches) -> dict[str, FloatArray]:
        """The scores that need all embeddings at once: name -> (M, N), NaN where there is none."""
        result = {}
        fit = np.ones(len(self._images.paths), bool)
        fit[list(self.state.failed)] = False
        for name in wanted(switches, "embeddings"):
            values = np.full((len(self._scorers), len(fit)), np.nan)
            for m, (scorer, table) in enumerate(zip(self._scorers, self.embeddings, strict=True)):
                chosen = table if fit.all() else table[fit]
                labels = self._images.labels[m][fit]
                values[m, fit] = get_score(name).function(
                    _on_device(chosen, scorer.device), labels, **switches[name]
                )
            result[name] = values
        return result


def _on_device(embeddings: Floats, device: torch.device) -> Floats | torch.Tensor:
    """The embeddings on a CUDA device, if they fit there besides what is made of them."""
    if device.type != "cuda":
        return embeddings
    torch.cuda.empty_cache()  # what PyTorch holds on to counts as taken
    free, _ = torch.cuda.mem_get_info(device)
    fits = 2 * embeddings.nbytes <= free
    return torch.as_tensor(np.asarray(embeddings), device=device) if fits else embeddings


def start_batch_size(device: torch.device, shape: torch.Size) -> int:
    """How many images to start with, from the shape of one."""
    small = max(shape[-2:]) <= SMALL_IMAGE
    if device.type == "cuda":
        return 1024 if small else 256
    return 256 if small else 64


def check_failures(ids: Ids, paths: Sequence[str], failed: Mapping[int, str], strict: bool) -> None:
    """Check that images that have failed are to be left out, and not all of them.

    Raises:
        DropError: if not
    """
    if len(failed) == len(paths) and NOT_FINITE in failed.values():
        raise DropError(
            f"model: its output is finite for none of the {len(paths)} images, such as {paths[0]}; "
            "check its weights and the transform"
        )
    if len(failed) == len(paths):
        raise none_readable(paths)
    if strict and failed:
        row, why = next(iter(failed.items()))
        problem = why if why == NOT_FINITE else f"it cannot be read ({why})"
        raise DropError(
            f"on_error: the image {paths[row]} of sample {ids[row].decode()} has no scores, since "
            f"{problem}; repair it, leave its sample out, or pass on_error='skip'"
        )


def none_readable(paths: Sequence[str]) -> DropError:
    """What to raise where no image can be read."""
    return DropError(
        f"samples: none of the {len(paths)} images can be read, such as {paths[0]}; correct the "
        "filepaths"
    )


def _too_large() -> DropError:
    return DropError(
        "device: not even one image at a time fits into its memory; pass device='cpu', or scale "
        "the images down in the transform"
    )
