"""Run a module on batches of images: in evaluation mode, as many at once as the GPU can bear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import Tensor, nn

from fiftyone_drop._log import logger
from fiftyone_drop.errors import DropError

Result = TypeVar("Result")


class Halving:
    """Computes batches in parts, whose size is halved whenever CUDA runs out of memory.

    Args:
        batch_size: images per part to begin with

    Attributes:
        batch_size: images per part; it stays small once it had to be halved
    """

    def __init__(self, batch_size: int) -> None:
        self.batch_size = batch_size

    def __call__(self, compute: Callable[[slice], Result], n: int) -> Iterator[Result]:
        """Compute a batch of ``n`` images part by part.

        Args:
            compute: computes the images of a slice
            n: images, in all

        Yields:
            the results, in order

        Raises:
            DropError: a single image is too much
        """
        start = 0
        while start < n:
            part = slice(start, min(start + self.batch_size, n))
            size = part.stop - start
            try:
                result = compute(part)
            except torch.OutOfMemoryError as error:
                if size == 1:
                    raise too_large(error) from error
            else:
                yield result
                start = part.stop
                continue
            # Out of the except block, whose traceback keeps the tensors alive
            self.batch_size = (size + 1) // 2
            torch.cuda.empty_cache()
            logger.info("Out of memory: %d images at once from now on", self.batch_size)

    def each(self, compute: Callable[[Tensor], Result], images: Tensor) -> Iterator[Result]:
        """:meth:`__call__` with the images (B, ...) of a part."""
        return self(lambda part: compute(images[part]), len(images))


def too_large(error: torch.OutOfMemoryError) -> DropError:
    """The error for images that do not fit into a GPU's memory one by one."""
    return DropError(
        "device",
        f"not even one image at a time fits into its memory ({error}); free some, pass "
        "device='cpu', or make the images smaller, by image_size or in the transform",
    )


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, every layer's own mode again outside.

    Layer by layer, since a user who fine-tunes may have frozen some of the batch norms.
    """
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        module.train(modes[0][1])  # a layer may do more than set its mode, such as merge weights
        for layer, mode in modes:
            layer.training = mode
