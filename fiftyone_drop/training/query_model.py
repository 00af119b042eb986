"""A trained query model: predict with it, save it, load it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from fiftyone_drop import checks
from fiftyone_drop.engine.batches import Halving, evaluating
from fiftyone_drop.engine.devices import check_workers, choose_device, default_workers
from fiftyone_drop.engine.files import write_atomically
from fiftyone_drop.engine.images import MAX_SIZE, MIN_SIZE, Indices
from fiftyone_drop.engine.reader import RGB, Images
from fiftyone_drop.engine.weights import BadWeightsError, load_file, load_into
from fiftyone_drop.errors import DropError
from fiftyone_drop.training.architecture_names import architecture_names
from fiftyone_drop.training.architectures import build
from fiftyone_drop.training.options import SMALL_IMAGE

Progress = Callable[[int], object]
Floats = npt.NDArray[np.float32]
Scores = npt.NDArray[np.floating[Any]]

_FORMAT = "fiftyone-drop query model 1"


@dataclass(eq=False)
class QueryModel:
    """A preliminary model, ready for image files.

    Attributes:
        module: maps (B, 3, S, S) float32 normalised images to (B, K) float32 logits; its last
            linear layer is ``head``
        classes: the K class names, in the order of the logits
        architecture: a name that ``TrainingOptions`` accepts, never ``"auto"``
        image_size: S; images are scaled to S x S
        mean: of the red, green and blue values of the training images, in [0, 1]
        std: their standard deviations, above 0
        recalls: class -> recall in [0, 1] on samples the model was not trained on, smoothed as
            ``apply_drop`` does by default. Classes without such a sample are not in it; None where
            nothing has been measured. Not saved
        eval_key: the FiftyOne evaluation run of these samples; None where there is none. Not saved
        sample_ids: ids of the M samples the model was trained on, where they are known. Not saved
        scores: score name -> (M,) float, in-sample, in the order of ``sample_ids``. Not saved
        switches: score name -> the values of its conventions. Not saved
        label_field: the field of the labels it was trained with, where that is known. Not saved
    """

    module: nn.Module
    classes: tuple[str, ...]
    architecture: str
    image_size: int
    mean: RGB
    std: RGB
    recalls: dict[str, float] | None = None
    eval_key: str | None = None
    sample_ids: list[str] = field(default_factory=list)
    scores: dict[str, Scores] = field(default_factory=dict)
    switches: dict[str, dict[str, Any]] = field(default_factory=dict)
    label_field: str | None = None

    @property
    def device(self) -> torch.device:
        """Where the module is."""
        return next(self.module.parameters()).device

    def predict(
        self,
        paths: Sequence[str],
        *,
        batch_size: int | None = None,
        workers: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[Indices, Floats]]:
        """Predict image files, batch by batch.

        Args:
            paths: N image files
            batch_size: images per batch. None means 256 for small images, 64 for others. Where
                that is too much for the GPU, they are computed in smaller parts
            workers: threads that read images. None means one per CPU core, at most 16
            progress: called with the number of images predicted since its last call

        Yields:
            positions in ``paths`` (B,) int64, ascending, and logits (B, K) float32

        Raises:
            DropError: an image cannot be read
        """
        workers = check_workers(workers) or default_workers()
        images = Images(paths, self.image_size, workers=workers, cached=False)
        everything = np.arange(len(paths), dtype=np.int64)
        yield from self.predict_images(images, everything, batch_size, progress)

    def predict_images(
        self,
        images: Images,
        indices: Indices,
        batch_size: int | None = None,
        progress: Progress | None = None,
    ) -> Iterator[tuple[Indices, Floats]]:
        """Like :meth:`predict`, for some images of an ``Images``: (M,) positions in it."""
        batches = self._split(indices, batch_size)
        halving = Halving(len(batches[0]) if batches else 1)
        for batch, pixels in images.batches(batches):
            yield batch, torch.cat(list(halving.each(self._forward, pixels))).numpy()
            if progress is not None:
                progress(len(batch))

    @property
    def batch_size(self) -> int:
        """Images that are predicted at once by default."""
        return 256 if self.image_size <= SMALL_IMAGE else 64

    def normalise(self, pixels: torch.Tensor) -> torch.Tensor:
        """Move images to the model's device, as the inputs of ``module``.

        Args:
            pixels: (B, 3, S, S) uint8

        Returns:
            (B, 3, S, S) float32
        """
        return normalised(pixels.to(self.device, non_blocking=True), self.mean, self.std)

    def _split(self, indices: Indices, batch_size: int | None) -> list[Indices]:
        """Cut (M,) indices into batches; the last may be smaller."""
        size = checks.whole("batch_size", batch_size, least=1, optional=True) or self.batch_size
        return [indices[i : i + size] for i in range(0, len(indices), size)]

    def _forward(self, pixels: torch.Tensor) -> torch.Tensor:
        with evaluating(self.module), torch.inference_mode():
            logits: torch.Tensor = self.module(self.normalise(pixels))
            return logits.cpu()

    def save(self, path: str | Path, *, overwrite: bool = True) -> None:
        """Write weights, class names, architecture, image size and normalisation to a file.

        The file is written whole or not at all.

        Args:
            path: the file
            overwrite (True): whether a file that is there may be replaced

        Raises:
            DropError: there is a file, and it may not be replaced
            OSError: the file cannot be written
        """
        path, overwrite = checks.path("path", path), checks.flag("overwrite", overwrite)
        content = {
            "format": _FORMAT,
            "classes": list(self.classes),
            "architecture": self.architecture,
            "image_size": self.image_size,
            "mean": list(self.mean),
            "std": list(self.std),
            "weights": {name: value.cpu() for name, value in self.module.state_dict().items()},
        }
        buffer = io.BytesIO()
        torch.save(content, buffer)
        try:
            write_atomically(path, buffer.getbuffer(), replace=overwrite)
        except FileExistsError as error:
            raise DropError("path", f"{path} exists; pass another, or overwrite=True") from error

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> QueryModel:
        """Read a file that ``save`` wrote. No code in it is ever run.

        Args:
            path: the file
            device: a PyTorch device. None means CUDA where there is one, else CPU

        Raises:
            DropError: ``save`` has not written the file, or the device is unknown
            FileNotFoundError: there is no such file
        """
        path, chosen = checks.path("path", path), choose_device(device)
        try:
            model = cls._of(load_file(path))
        except FileNotFoundError:
            raise
        except (OSError, BadWeightsError, DropError) as error:
            raise _not_ours(path) from error
        model.module.to(chosen, memory_format=torch.channels_last)  # type: ignore[call-overload]
        return model

    @classmethod
    def _of(cls, content: Any) -> QueryModel:
        """The model that ``save`` has written, on the CPU.

        Raises:
            BadWeightsError: the content is something else
            DropError: a value is out of range
        """
        if not isinstance(content, dict) or content.get("format") != _FORMAT:
            raise BadWeightsError("it has another format")
        classes = checks.texts("classes", content.get("classes"), empty=True)
        size = content.get("image_size")
        size = checks.whole("image_size", size, least=MIN_SIZE, most=MAX_SIZE)
        names = architecture_names()
        architecture = checks.choice("architecture", content.get("architecture"), names)
        weights = content.get("weights")
        if not isinstance(weights, Mapping) or not _has_head(weights, len(classes)):
            raise BadWeightsError("its weights are of another number of classes")
        with torch.random.fork_rng(devices=[]):
            module = build(architecture, len(classes), size, tried=True)
        load_into(module, weights)
        mean = _rgb("mean", content.get("mean"), "[0, 1]")
        std = _rgb("std", content.get("std"), "(0, inf)")
        return cls(module.eval(), classes, architecture, size, mean, std)


def normalised(pixels: torch.Tensor, mean: RGB, std: RGB) -> torch.Tensor:
    """Images (B, 3, S, S) uint8 as inputs of a network, float32, on the device where they are."""
    values = pixels.float() / 255
    shift, scale = (values.new_tensor(one)[:, None, None] for one in (mean, std))
    return (values - shift) / scale


def _has_head(weights: Mapping[Any, Any], classes: int) -> bool:
    """Whether a matrix has a row for each class; else a network of any size could be asked for."""
    shapes = [value.shape for value in weights.values() if isinstance(value, torch.Tensor)]
    return any(len(shape) == 2 and shape[0] == classes for shape in shapes)


def _rgb(name: str, values: Any, interval: str) -> RGB:
    if not isinstance(values, (list, tuple)) or len(values) != 3:
        raise BadWeightsError(f"{name} must be three numbers")
    red, green, blue = (checks.number(name, value, interval) for value in values)
    return red, green, blue


def _not_ours(path: Path) -> DropError:
    return DropError(
        "path",
        f"must be a file written by QueryModel.save, but got {path}, which is damaged, was made "
        "by something else, or holds more than weights; train the model again",
    )
