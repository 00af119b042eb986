"""Image files in, batches of uint8 tensors out.

Pillow reads everything. It handles every mode that datasets come in, and is as quick as torchvision
for what we need: slower on small files, where the cache below makes reading a one-off, and faster
on photos of some megapixels, because libjpeg scales down while it decodes.

Threads read, not ``DataLoader`` processes. Pillow releases the interpreter lock while it decodes,
and a process that holds a MongoDB client must not be forked, nor need a user's script be guarded
by ``if __name__ == "__main__"``, as spawning would have it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps

from fiftyone_drop.errors import DropError

MIN_SIZE = 8
CACHE_BYTES = 2 * 1024**3
PROBED_FILES = 64
STATISTICS_IMAGES = 512

Indices = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]
RGB = tuple[float, float, float]


class Images:
    """Images of one size, read on demand; those that fit in memory are read only once.

    Args:
        paths: image files, N of them
        size: every image is scaled to ``size`` x ``size``, whatever its shape: nothing at the
            border is lost
        workers: threads that read
        cached: keep the decoded images where all N fit in 2 GiB; False for a single pass
    """

    def __init__(
        self, paths: Sequence[str], size: int, *, workers: int, cached: bool = True
    ) -> None:
        self.paths = paths
        self.size = size
        self.workers = workers
        self._cache: Pixels | None = None
        if cached and fits_in_memory(len(paths), size):
            self._cache = np.empty((len(paths), size, size, 3), np.uint8)
        self._cached = np.zeros(len(paths), bool)

    def batches(self, batches: Iterable[Indices]) -> Iterator[tuple[Indices, torch.Tensor]]:
        """Read batches ahead of time, in the order given.

        Args:
            batches: arrays (B,) of positions in ``paths``

        Yields:
            each array with its images, (B, 3, S, S) uint8 on the CPU, channels last in memory

        Raises:
            DropError: an image cannot be read
        """
        if self._cached.all():
            for indices in batches:
                yield indices, self._load(indices)
            return
        pending: deque[tuple[Indices, Future[torch.Tensor]]] = deque()
        pool = ThreadPoolExecutor(self.workers, thread_name_prefix="fiftyone-drop-images")
        try:
            for indices in batches:
                pending.append((indices, pool.submit(self._load, indices)))
                if len(pending) > self.workers:
                    done, future = pending.popleft()
                    yield done, future.result()
            while pending:
                done, future = pending.popleft()
                yield done, future.result()
        finally:
            pool.shutdown(cancel_futures=True)

    def statistics(self, indices: Indices) -> tuple[RGB, RGB]:
        """Mean and standard deviation of red, green and blue, in [0, 1].

        Taken from at most 512 of the images, evenly spaced. The deviations are at least 1/255.

        Args:
            indices: (M,) positions in ``paths``
        """
        chosen = indices[spread(len(indices), STATISTICS_IMAGES)]
        mean, square = torch.zeros(3, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)
        for _, pixels in self.batches([chosen[i : i + 32] for i in range(0, len(chosen), 32)]):
            values = pixels.double() / 255
            mean += values.sum((0, 2, 3)) / (len(chosen) * self.size**2)
            square += values.square().sum((0, 2, 3)) / (len(chosen) * self.size**2)
        std = (square - mean.square()).clamp(min=1 / 255**2).sqrt()
        return tuple(mean.tolist()), tuple(std.tolist())

    def _load(self, indices: Indices) -> torch.Tensor:
        if self._cache is None:
            pixels = np.stack([read_image(self.paths[i], self.size) for i in indices])
        else:
            for i in indices[~self._cached[indices]]:
                self._cache[i] = read_image(self.paths[i], self.size)
                self._cached[i] = True
            pixels = self._cache[indices]
        return torch.from_numpy(pixels).permute(0, 3, 1, 2)


def fits_in_memory(n: int, size: int) -> bool:
    """Whether ``n`` decoded images of ``size`` x ``size`` take at most 2 GiB."""
    return n * size * size * 3 <= CACHE_BYTES


def read_image(path: str, size: int) -> Pixels:
    """Read an image file as RGB, upright by its EXIF orientation, scaled to a square.

    Grey, palette, CMYK, 16-bit and floating point images are converted; transparency is dropped.

    Returns:
        (size, size, 3) uint8

    Raises:
        DropError: the file is missing or is no image
    """
    try:
        with Image.open(path) as file:
            file.draft("RGB", (size, size))
            image = _to_rgb(ImageOps.exif_transpose(file))
            if image.size != (size, size):
                image = image.resize((size, size), Image.Resampling.BILINEAR)
            return np.asarray(image)
    # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error and more.
    except Exception as error:
        raise _unreadable(path, error) from error


def probe_size(paths: Sequence[str]) -> int:
    """The typical side of the images: the median of sqrt(width x height), at least 8.

    Reads the headers of at most 64 files, evenly spaced.

    Raises:
        DropError: one of those files is missing or is no image
    """
    sides = []
    for i in spread(len(paths), PROBED_FILES):
        try:
            with Image.open(paths[i]) as file:
                sides.append((file.width * file.height) ** 0.5)
        except Exception as error:  # as in read_image
            raise _unreadable(paths[i], error) from error
    return max(MIN_SIZE, round(float(np.median(sides))))


def spread(n: int, limit: int) -> Indices:
    """At most ``limit`` of the positions 0 to n - 1, evenly spaced, ascending."""
    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(np.int64))


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode == "F" or image.mode.startswith("I"):
        # convert("RGB") would clip these at 255: 16-bit scans turn white, floats in [0, 1] black.
        values = np.asarray(image).astype(np.float64)
        top = values.max(initial=0)
        limit = 1 if image.mode == "F" and top <= 1 else 255 if top <= 255 else 65535
        image = Image.fromarray((values * (255 / limit)).clip(0, 255).astype(np.uint8))
    return image.convert("RGB")


def _unreadable(path: str, error: Exception) -> DropError:
    return DropError(
        f"Cannot read the image {path}: {type(error).__name__}: {error}. "
        "Repair the file, or leave its sample out."
    )
