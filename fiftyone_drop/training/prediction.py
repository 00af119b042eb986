"""Run a module on batches of images: in evaluation mode, as many at once as the GPU can bear."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import nn

from fiftyone_drop.errors import DropError

Outputs = tuple[torch.Tensor, ...]


class Halving:
    """Computes batches in parts, whose size is halved whenever CUDA runs out of memory.

    Args:
        compute: maps images (B, ...) to tensors (B, ...) on the CPU
        batch_size: images to begin with; it stays small once it had to be halved
    """

    def __init__(self, compute: Callable[[torch.Tensor], Outputs], batch_size: int) -> None:
        self._compute = compute
        self.batch_size = batch_size

    def __call__(self, images: torch.Tensor) -> Outputs:
        """Compute a batch (B, ...), B >= 1.

        Raises:
            DropError: a single image is too much
        """
        while True:
            try:
                parts = [self._compute(part) for part in torch.split(images, self.batch_size)]
                break
            except torch.cuda.OutOfMemoryError as error:
                if min(self.batch_size, len(images)) == 1:
                    raise DropError(
                        f"The GPU has not enough memory to predict even one image ({error}); free "
                        "some, set a smaller `image_size`, or another `device`."
                    ) from error
            # Out of the except block, whose traceback keeps the tensors alive.
            self.batch_size = (min(self.batch_size, len(images)) + 1) // 2
            torch.cuda.empty_cache()
        return parts[0] if len(parts) == 1 else tuple(map(torch.cat, zip(*parts, strict=True)))


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluation mode inside, every layer's own mode again outside.

    Layer by layer, since whoever fine-tunes may have frozen some of the batch norms.
    """
    modes = [(layer, layer.training) for layer in module.modules()]
    module.eval()
    try:
        yield
    finally:
        for layer, mode in modes:
            layer.training = mode
