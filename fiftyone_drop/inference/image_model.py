"""A classifier that reads images."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.engine.batches import Halving
from fiftyone_drop.engine.cache import new_checkpoint
from fiftyone_drop.engine.devices import default_workers
from fiftyone_drop.engine.fingerprints import file_states, fingerprint
from fiftyone_drop.engine.functions import code_in
from fiftyone_drop.engine.images import Read, Transformed, UnreadableImageError
from fiftyone_drop.engine.reader import ImageReader, positions
from fiftyone_drop.engine.wrappers import unwrapped
from fiftyone_drop.errors import DropError
from fiftyone_drop.inference.chunks import start_batch_size
from fiftyone_drop.inference.failures import (
    check_all_read,
    describe_failures,
    none_readable,
)
from fiftyone_drop.inference.forward_pass import Scorer, batch_scores, device_of
from fiftyone_drop.inference.image_pass import ImagePass
from fiftyone_drop.inference.source import Floats, Request, Scored, Source, wanted
from fiftyone_drop.inference.transforms import BatchTransform, Chain, Transform, split
from fiftyone_drop.scoring import Score, get_score

READ_TWICE = 8  # images by which a checkpoint knows a transform
KNOWN_IMAGE = (320, 288, 3)  # by which a fingerprint knows one


@dataclass(eq=False)
class ImageModel(Source):
    """A classifier that reads images.

    Attributes:
        module: maps the output of ``read`` and ``prepare`` to logits (B, K), or to something that
            has them as ``logits``
        read: reads one file
        prepare: maps a batch as read to the inputs of ``module``, on the device; None for nothing
        device: where to run it; None for where it is
    """

    module: nn.Module
    read: Read
    prepare: BatchTransform | None = None
    device: torch.device | None = None

    gives = frozenset({"logits", "features", "model", "embeddings"})

    def __post_init__(self) -> None:
        self.module = unwrapped(self.module)
        if not all(hasattr(layer, "training") for layer in self.module.modules()):
            raise DropError(
                "model",
                "must not be frozen by torch.jit.freeze, after which it has no parameters and no "
                f"modes, but this {type(self.module).__name__} is; pass the model as it was before",
            )

    @classmethod
    def behind(
        cls,
        transform: Transform,
        classes: tuple[str, ...],
        words: str,
        module: nn.Module,
        device: torch.device | None = None,
        then: tuple[BatchTransform, ...] = (),
    ) -> ImageModel:
        """A model behind a transform of one image, and what then happens to batches."""
        single, batch = split(transform)
        then = then if batch is None else (batch, *then)
        prepare = Chain(then) if then else None
        return cls(classes, words, module, Transformed(single), prepare, device)

    @cached_property
    def fingerprint(self) -> str:
        """A hash of structure, weights, code, classes, and what one known image becomes."""
        with tempfile.TemporaryDirectory() as folder, torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)  # and no device's, which are the caller's
            path = Path(folder) / "known.png"
            pixels = np.random.default_rng(0).integers(0, 256, KNOWN_IMAGE, np.uint8)
            Image.fromarray(pixels).save(path)
            reading = b""
            with suppress(Exception):  # of a transform, which the pass will name
                reading = self.reading([str(path)])
        return fingerprint([self.module, self.classes, reading, *code_in(self.module)])

    def origin(self, score: Score) -> list[object]:
        """Which parameters are frozen decides gradients, and no logits."""
        return [self.fingerprint, self.trainable] if score.needs == "model" else [self.fingerprint]

    @property
    def trainable(self) -> list[str]:
        """The names of the parameters that are not frozen."""
        return [name for name, p in self.module.named_parameters() if p.requires_grad]

    @property
    def home(self) -> torch.device:
        """Where it runs."""
        return self.device or device_of(self.module)

    @property
    def mixed(self) -> bool:
        """Whether forward passes run in mixed precision there, where the module allows it."""
        return self.home.type == "cuda"

    def on(self, device: torch.device | None) -> ImageModel:
        """The same model, to be run on another device; None for the same one."""
        return self if device is None else replace(self, device=device)

    def logits(self, ids: Ids, paths: Sequence[str]) -> Iterator[tuple[IntArray, Floats]]:
        """The logits of images, batch by batch. An error names all that cannot be read."""
        scorer = Scorer(self, {})
        pin = scorer.device.type == "cuda"
        reader = ImageReader(paths, [self.read], workers=default_workers(), pin=pin)
        first = reader.probe(0)
        if first is None:
            raise none_readable(paths, reader.problem)
        size = start_batch_size(scorer.device, first[0].shape)
        halving = Halving(size)
        failures: dict[int, str] = {}
        with scorer.ready():
            scorer.probe(first[0])
            for batch in reader.batches(positions(0, len(paths), size)):
                failures |= {row: error.reason for row, error in batch.failures.items()}
                if failures:
                    continue  # to learn of all of them
                parts = list(halving.each(scorer.logits, batch.inputs[0]))
                yield batch.rows, torch.cat(parts).numpy()
        check_all_read(ids, paths, failures, "samples")

    @classmethod
    def score_together(cls, sources: Sequence[ImageModel], request: Request) -> Scored:
        """Scores by M models in one pass over the images."""
        folder = request.options.checkpoint_dir
        checkpoint = request.until_written.enter_context(new_checkpoint(folder))
        checkpoint.open(lambda: _facts(sources, request))
        images = ImagePass(sources, request, checkpoint)
        with request.bar(len(request.paths)) as bar:
            images.run(bar.update)
        failures = images.state.failures
        missing = describe_failures(request.ids, request.paths, failures)
        return Scored(images.tables(), missing, images.outcomes())

    def reading(self, paths: Sequence[str]) -> bytes:
        """Some of the files as inputs; a model that reads otherwise has other bytes.

        The transform's code would not tell, for that may call anything.
        """
        contents: list[bytes] = []
        for path in paths:
            # On the CPU as in threads, which no default device reaches
            with suppress(UnreadableImageError), torch.device("cpu"):
                image = self.read(path)[None]
                inputs = image if self.prepare is None else self.prepare(image)
                flat = inputs.detach().cpu().contiguous().view(torch.uint8)
                contents.append(flat.numpy().tobytes())
        return b"".join(contents)


def _facts(models: Sequence[ImageModel], request: Request) -> dict[str, object]:
    """Everything that the scores of a pass follow from.

    The precision too: an interrupted call ends with the scores of one that was not. It is no part
    of an origin: scores of a GPU and a CPU are those of one model, as near as two GPUs' may be, and
    who has scored a field on a GPU may add some samples without one.
    """
    return {
        "kind": "scores and outcomes",
        "ids": request.ids,
        "files": file_states(request.paths),
        "labels": list(request.labels),
        "batch_size": request.options.batch_size,
        "deterministic": request.options.deterministic,
        "switches": [[name, dict(values)] for name, values in request.switches.items()],
        # Scores of embeddings are computed after the pass, whatever their functions are then
        "code": [get_score(name).code for name in batch_scores(request.switches)],
        "trainable": [
            model.trainable if wanted(request.switches, "model") else [] for model in models
        ],
        "mixed": [model.on(request.runner.device).mixed for model in models],
        "models": [
            [
                model.module,
                code_in(model.module),
                model.classes,
                model.reading(request.paths[:READ_TWICE]),
            ]
            for model in models
        ],
    }
