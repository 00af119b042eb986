"""One image file in, one array or tensor out.

Pillow reads everything. It handles every mode that datasets come in, and is as quick as torchvision
for what we need: slower on small files, which the cache in ``reader.py`` reads once, and faster on
photos of some megapixels, because libjpeg scales down while it decodes.
"""

from __future__ import annotations

import copyreg
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import ExifTags, Image

from fiftyone_drop._torch import torch
from fiftyone_drop.engine.files import open_file
from fiftyone_drop.engine.objects import address_before, is_remote, open_object
from fiftyone_drop.errors import DropError, DropWarning

if TYPE_CHECKING:
    from torch import Tensor

# The formats of images that are read, likely ones first; MPO comes with JPEG, HEIF and JXL with
# packages that add them to Pillow. No other: for PostScript Pillow would start Ghostscript
FORMATS = (
    *("JPEG", "PNG", "GIF", "BMP", "PPM", "TIFF", "WEBP", "AVIF", "HEIF", "JXL", "JPEG2000"),
    *("DIB", "ICO", "PCX", "QOI", "SGI", "TGA"),
)
SIXTEEN_BITS = ("PNG", "PPM")  # formats without 32 bits, of which Pillow makes such images even so
MIN_SIZE, MAX_SIZE = 8, 4096  # pixels a side of the inputs of query models
PROBED_FILES = 64
UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""How the EXIF orientations are undone."""

Indices = npt.NDArray[np.int64]
Pixels = npt.NDArray[np.uint8]
Value = TypeVar("Value")


class UnreadableImageError(DropError):
    """The file is missing or is no image.

    Attributes:
        reason: what Pillow or the file's place says
        is_missing: whether there is no file of that path where it was read
    """

    def __init__(self, path: str, error: Exception) -> None:
        self.reason = f"{type(error).__name__}: {error}"
        self.is_missing = isinstance(error, FileNotFoundError | PermissionError)
        if self.is_missing and (address := address_before(path)):
            self.reason += (
                f"; FiftyOne has made this path of {address}: set the field filepath to that, "
                "once the sample is in its dataset"
            )
        super().__init__(
            "paths",
            f"cannot read the image {path}: {self.reason}; repair the file, or leave its sample "
            "out",
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """Not by the constructor, whose arguments are gone."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]


class Read(Protocol):
    """Reads one image file as the input of a model. Equal ones read the same."""

    def __call__(self, path: str) -> Tensor:
        """Read one file; raise :class:`UnreadableImageError` if that cannot be done."""
        ...


@dataclass(frozen=True)
class Square:
    """The whole image as a square of ``size`` pixels a side, as our query models see it."""

    size: int

    def __call__(self, path: str) -> Tensor:
        """(3, size, size) uint8, channels last in memory."""
        return torch.from_numpy(read_image(path, self.size)).permute(2, 0, 1)


@dataclass(frozen=True)
class Transformed:
    """An RGB image of Pillow's, handed to ``transform``, as torchvision and FiftyOne do.

    So the model sees what it saw in its training. What is lost on the way is warned of, once.
    """

    transform: Callable[[Any], Any]
    _warned: list[bool] = field(default_factory=list, init=False, repr=False, compare=False)

    def __call__(self, path: str) -> Tensor:
        """What the transform makes of it, mostly (C, H, W).

        Warns:
            DropWarning: it is the first image whose values RGB images of Pillow's cannot have
        """
        image = _read(path, self._in_rgb)
        try:
            value = self.transform(image)
        except Exception as error:
            raise DropError(
                "transform",
                f"fails for the image {path} ({type(error).__name__}: {error}); let it take such "
                "images, or leave the sample out",
            ) from error
        if not isinstance(value, torch.Tensor):
            raise DropError(
                "transform",
                f"must return a tensor, but returned a {type(value).__name__}; add "
                "v2.ToImage() and v2.ToDtype(torch.float32, scale=True)",
            )
        return value.detach()  # of a transform with weights

    def _in_rgb(self, file: Image.Image) -> Image.Image:
        if not self._warned and _is_clipped(file):
            self._warned.append(True)
            warnings.warn(
                "some images have more than 8 bits, and are handed to the transform as torchvision "
                "and FiftyOne hand them: whatever is above 255 is white, and floats up to 1 are "
                "black; if the model was trained on other images, pass samples of copies with 8 "
                "bits",
                DropWarning,
                stacklevel=2,
            )
        return file.convert("RGB")


def read_image(path: str, size: int) -> Pixels:
    """Read an image file as RGB, upright by its EXIF orientation, scaled to a square.

    Grey, palette, CMYK, 16-bit and floating point images are converted; transparency is dropped.
    White is 65,535 in an image of 16 bits. One of 32 bits or of floats does not say what white is:
    it is 1 (of floats), 255 or 65,535, the first that no pixel exceeds. NaN is black.

    Returns:
        (size, size, 3) uint8

    Raises:
        UnreadableImageError: the file is missing or is no image
    """

    def square(file: Image.Image) -> Pixels:
        file.draft("RGB", (size, size))
        image = _to_rgb(_upright(file), file.format)
        if image.size != (size, size):
            image = image.resize((size, size), Image.Resampling.BILINEAR)
        return np.array(image)

    return _read(path, square)


def probe_size(paths: Sequence[str]) -> int:
    """The typical side of the images: the median of sqrt(width x height), at least 8.

    Reads the headers of at most 64 files, evenly spaced.

    Raises:
        UnreadableImageError: one of those files is missing or is no image
    """
    probed = spread(len(paths), PROBED_FILES)
    sides = [_read(paths[i], lambda file: (file.width * file.height) ** 0.5) for i in probed]
    return max(MIN_SIZE, round(float(np.median(sides))))


def spread(n: int, limit: int) -> Indices:
    """At most ``limit`` of the positions 0 to n - 1, evenly spaced, ascending."""
    return np.unique(np.linspace(0, n - 1, min(n, limit)).round().astype(np.int64))


def _upright(image: Image.Image) -> Image.Image:
    """The image as its EXIF orientation says, where there is one that can be read.

    ``ImageOps.exif_transpose`` writes the metadata anew, and fails where a value has an odd type.
    """
    try:
        orientation: Any = image.getexif().get(ExifTags.Base.Orientation)
        turn = UPRIGHT.get(orientation)
    except Exception:  # of damaged metadata Pillow raises anything
        return image
    return image if turn is None else image.transpose(turn)


def _read(path: str, what: Callable[[Image.Image], Value]) -> Value:
    """What a function makes of an image of Pillow's.

    Raises:
        UnreadableImageError: the file is missing or is no image
    """
    try:
        return _opened(path, what)
    # Pillow's decoders raise OSError, ValueError, SyntaxError, struct.error and more.
    except Exception as error:
        unreadable = UnreadableImageError(path, error)
    # Not in the block above: by its traceback `error` holds the image, with all of its pixels, for
    # as long as somebody holds an error that comes from it
    try:
        raise unreadable
    finally:
        del unreadable  # which would hold itself, by its traceback


def _opened(path: str, what: Callable[[Image.Image], Value]) -> Value:
    """Every image file is opened here."""
    Image.init()
    formats = [name for name in FORMATS if name in Image.OPEN]
    opened = open_object if is_remote(path) else open_file
    with opened(path) as file, Image.open(file, formats=formats) as image:
        return what(image)


def _to_rgb(image: Image.Image, kind: str | None) -> Image.Image:
    """The image in RGB.

    Args:
        image: any
        kind: the format of its file
    """
    if _is_deep(image):
        # convert("RGB") would clip these at 255: 16-bit scans turn white, floats in [0, 1] black.
        values = np.asarray(image).astype(np.float64)
        white = _white(values, image.mode, kind)
        image = Image.fromarray(
            np.nan_to_num((values * (255 / white)).clip(0, 255)).astype(np.uint8)
        )
    return image.convert("RGB")


def _is_deep(image: Image.Image) -> bool:
    """Whether an image has one channel of more than 8 bits."""
    return image.mode == "F" or image.mode.startswith("I")


def _is_clipped(image: Image.Image) -> bool:
    """Whether ``convert("RGB")`` makes an image white, or black, that is not."""
    if not _is_deep(image):
        return False
    top = np.asarray(image).max(initial=0)
    return bool(top > 255 or (image.mode == "F" and 0 < top <= 1))


def _white(values: npt.NDArray[np.float64], mode: str, kind: str | None) -> int:
    """The value that stands for white in an image of one channel of more than 8 bits."""
    if mode.startswith("I;16") or (mode == "I" and kind in SIXTEEN_BITS):
        return 65535
    top = values.max(initial=0, where=np.isfinite(values))
    return 1 if mode == "F" and top <= 1 else 255 if top <= 255 else 65535
