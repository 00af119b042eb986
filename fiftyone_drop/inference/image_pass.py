"""One pass over the images, with one model or several: the scores of every batch, as arrays.

Memory is one float per image, score and model; embeddings, where a score needs them, lie on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from fiftyone_drop._log import logger
from fiftyone_drop._types import FloatArray
from fiftyone_drop.engine.batches import Halving
from fiftyone_drop.engine.checkpoint import Checkpoint
from fiftyone_drop.engine.devices import default_workers
from fiftyone_drop.engine.images import Read
from fiftyone_drop.engine.randomness import deterministic_algorithms
from fiftyone_drop.engine.reader import Batch, ImageReader, positions
from fiftyone_drop.inference.failures import NOT_FINITE, check_failures, none_readable
from fiftyone_drop.inference.forward_pass import Scorer, batch_scores
from fiftyone_drop.inference.source import Floats, Request, Values, wanted
from fiftyone_drop.scoring import get_score
from fiftyone_drop.training.options import SMALL_IMAGE

if TYPE_CHECKING:
    from fiftyone_drop.inference.image_model import ImageModel

PASS = "pass"  # the state of a pass in its checkpoint


@dataclass
class PassState:
    """How far a pass over N images has come.

    Attributes:
        read_size: images that are read as a batch
        batch_size: images that are computed at once; less after running out of memory
        done: images from the first one on that have been dealt with
        failures: position -> why the image has no scores
    """

    read_size: int
    batch_size: int
    done: int = 0
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
        self.state = PassState(0, 0)
        self._names = batch_scores(request.switches)
        self._request = request
        self._checkpoint = checkpoint
        self._scorers = [Scorer(model, request.switches) for model in models]
        # Models that read alike share the images
        reads: list[Read] = []
        for model in models:
            if model.read not in reads:
                reads.append(model.read)
        self._input_of = [reads.index(model.read) for model in models]
        self._reader = ImageReader(
            request.paths,
            reads,
            workers=request.options.workers or default_workers(),
            pin=any(scorer.device.type == "cuda" for scorer in self._scorers),
        )

    def run(self, progress: Callable[[int], object]) -> None:
        """Score everything that has not been scored yet.

        Raises:
            DropError: a model does not fit, or an image has failed and that is an error
        """
        deterministic = self._request.options.deterministic
        with ExitStack() as stack:
            # The caller may be in inference mode, whose tensors can have no gradients
            stack.enter_context(torch.inference_mode(False))
            for scorer in self._scorers:
                stack.enter_context(scorer.ready())
                stack.enter_context(deterministic_algorithms(scorer.device, deterministic))
            self._begin()
            self._check(self.state.failures)
            progress(self.state.done)
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
        widths = self._probe(saved["state"]["done"] if saved else 0)
        shapes = {f"embeddings-{m}": (n, width) for m, width in enumerate(widths) if width}
        arrays = [self._checkpoint.array(*item) for item in shapes.items()] if saved else []
        there = [array for array in arrays if array is not None]
        if saved and len(there) == len(shapes):
            self.table, self.state = saved["table"].numpy(), PassState(**saved["state"])
            self.embeddings = there
            logger.info("Going on after %d of %d images", self.state.done, n)
            return
        self._checkpoint.remove()  # an old state must not vouch for new arrays
        self.table = np.full((len(self._scorers), len(self._names) + 2, n), np.nan, np.float32)
        self.embeddings = [self._checkpoint.new_array(*item) for item in shapes.items()]

    def _probe(self, start: int) -> list[int]:
        """Try every model on the first image; returns the widths of their embeddings."""
        # After the last readable image only unreadable ones may be left
        inputs = self._reader.probe(start) or self._reader.probe(0)
        if inputs is None:
            raise none_readable(self._request.paths)
        device = self._scorers[0].device
        size = self._request.options.batch_size or start_batch_size(device, inputs[0].shape)
        self.state = PassState(size, size)
        pairs = zip(self._scorers, self._input_of, strict=True)
        return [scorer.probe(inputs[i]) for scorer, i in pairs]

    def _score_rest(self, progress: Callable[[int], object]) -> None:
        state, n = self.state, len(self._request.paths)
        halving = Halving(state.batch_size)
        try:
            for batch in self._reader.batches(positions(state.done, n, state.read_size)):
                failures = {row: error.reason for row, error in batch.failures.items()}
                self._check(failures)
                failures |= dict.fromkeys(self._score(batch, halving), NOT_FINITE)
                self._check(failures)
                images = len(batch.rows) + len(batch.failures)
                state.done += images
                state.batch_size = halving.batch_size
                state.failures |= failures
                self._checkpoint.save(PASS, self._content)
                progress(images)
        finally:  # at the end too: a failure to write the scores does not cost the pass
            if state.done:
                self._checkpoint.save(PASS, self._content, now=True)

    def _content(self) -> dict[str, object]:
        return {"table": torch.from_numpy(self.table), "state": asdict(self.state)}

    def _check(self, failures: Mapping[int, str]) -> None:
        request = self._request
        check_failures(request.ids, request.paths, failures, request.options.strict)

    def _score(self, batch: Batch, halving: Halving) -> list[int]:
        """Fill in a batch; returns the rows where a model's output is not finite."""
        parts = halving(lambda part: self._score_part(batch, part), len(batch.rows))
        return [row for unfit in parts for row in unfit]

    def _score_part(self, batch: Batch, part: slice) -> list[int]:
        rows = batch.rows[part]
        fit = np.ones(len(rows), bool)
        for m, scorer in enumerate(self._scorers):
            images = batch.inputs[self._input_of[m]][part]
            values, embeddings, finite = scorer(images, self._request.labels[m][rows])
            fit &= finite
            self.table[m][:, rows] = values
            if embeddings is not None:
                self.embeddings[m][rows] = embeddings
        self.table[:, :, rows[~fit]] = np.nan
        unfit: list[int] = rows[~fit].tolist()
        return unfit

    def _embedding_scores(self) -> dict[str, FloatArray]:
        """The scores that need all embeddings at once: name -> (M, N), NaN where there is none."""
        result = {}
        fit = np.ones(len(self._request.paths), bool)
        fit[list(self.state.failures)] = False
        for name in wanted(self._request.switches, "embeddings"):
            score = get_score(name)
            values = np.full((len(self._scorers), len(fit)), np.nan)
            for m, (scorer, table) in enumerate(zip(self._scorers, self.embeddings, strict=True)):
                rows = table if fit.all() else table[fit]
                labels = self._request.labels[m][fit]
                scores = score.function(
                    _on_device(rows, scorer.device), labels, **self._request.switches[name]
                )
                values[m, fit] = score.checked(scores, len(labels))
            result[name] = values
        return result


def _on_device(embeddings: Floats, device: torch.device) -> Floats | torch.Tensor:
    """The embeddings on a CUDA device, if they fit there twice."""
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
