"""One image file of any kind becomes the same kind of square."""

import pickle
import struct
import warnings

import numpy as np
import pytest
import torch
from digit_models import TRANSFORM
from PIL import Image, ImageOps
from torchvision.transforms import v2

from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.engine.images import (
    Transformed,
    UnreadableImageError,
    probe_size,
    read_image,
)

RAMP = np.linspace(0, 255, 64).round().reshape(8, 8)


COLOUR = np.stack([RAMP, RAMP.T, 255 - RAMP], axis=2).astype(np.uint8)


def save(path, array, mode=None, **kwargs):
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(path, **kwargs)
    return str(path)


def truncated(path):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    save(path, noise)
    path.write_bytes(path.read_bytes()[:6000])
    return str(path)


def test_colours_are_read_exactly(tmp_path):
    assert np.array_equal(read_image(save(tmp_path / "x.png", COLOUR), 8), COLOUR)


@pytest.mark.parametrize(
    ("name", "array", "mode", "tolerance"),
    [
        ("grey.png", RAMP.astype(np.uint8), None, 0),
        ("grey-alpha.png", RAMP.astype(np.uint8), "LA", 0),
        ("black-and-white.png", RAMP.astype(np.uint8), "1", 255),
        ("16-bit.png", (RAMP * 257).astype(np.uint16), None, 1),
        ("16-bit.tif", (RAMP * 257).astype(np.uint16), None, 1),
        ("32-bit.tif", (RAMP * 257).astype(np.int32), None, 1),
        ("unit-float.tif", (RAMP / 255).astype(np.float32), None, 1),
        ("float.tif", RAMP.astype(np.float32), None, 1),
    ],
)
def test_grey_images_of_any_depth_keep_their_values(name, array, mode, tolerance, tmp_path):
    pixels = read_image(save(tmp_path / name, array, mode), 8)
    assert (pixels.shape, pixels.dtype) == ((8, 8, 3), np.uint8)
    assert np.abs(pixels.astype(float) - RAMP[..., None]).max() <= tolerance


@pytest.mark.parametrize(
    ("name", "mode", "tolerance"),
    [
        ("rgba.png", "RGBA", 0),
        ("palette.png", "P", 40),
        ("cmyk.tif", "CMYK", 1),
        ("x.gif", "P", 40),
    ],
)
def test_colour_images_of_any_mode_keep_their_colours(name, mode, tolerance, tmp_path):
    pixels = read_image(save(tmp_path / name, COLOUR, mode), 8)
    assert np.abs(pixels.astype(int) - COLOUR).max() <= tolerance


def test_a_cmyk_jpeg_keeps_its_colours(tmp_path):
    flat = np.full((16, 16, 3), (200, 100, 50), np.uint8)
    pixels = read_image(save(tmp_path / "x.jpg", flat, "CMYK", quality=95), 16)
    assert np.abs(pixels.astype(int) - flat).max() <= 4


def test_a_photo_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned by 90 degrees
    sideways = np.zeros((16, 16, 3), np.uint8)
    sideways[:, :8] = 255
    pixels = read_image(save(tmp_path / "x.jpg", sideways, exif=exif, quality=95), 16)
    assert pixels[:6].min() > 200
    assert pixels[10:].max() < 50


def test_large_and_oblong_images_are_scaled_whole(tmp_path):
    wide = np.zeros((60, 400, 3), np.uint8)
    wide[:, 200:] = 255
    pixels = read_image(save(tmp_path / "wide.jpg", wide, quality=95), 16)
    assert pixels[:, :6].max() < 50
    assert pixels[:, 10:].min() > 200


@pytest.mark.parametrize("content", [b"", b"no image", None])
def test_what_is_no_image_is_named_with_a_remedy(content, tmp_path):
    path = tmp_path / "bad.jpg"
    if content is not None:
        path.write_bytes(content)
    for read in (lambda: read_image(str(path), 8), lambda: probe_size([str(path)])):
        with pytest.raises(UnreadableImageError, match=r"paths: .*bad\.jpg.*repair the file"):
            read()


def test_a_truncated_file_is_named(tmp_path):
    path = truncated(tmp_path / "half.png")
    with pytest.raises(UnreadableImageError, match=r"half\.png"):
        read_image(path, 64)


def test_the_probed_size_is_typical_and_at_least_eight(tmp_path):
    sizes = [(4, 4), (32, 32), (16, 64), (32, 32), (900, 900)]
    paths = [
        save(tmp_path / f"{i}.png", np.zeros((*size, 3), np.uint8)) for i, size in enumerate(sizes)
    ]
    assert probe_size(paths) == 32
    assert probe_size(paths[:1]) == 8


def odd_exif(orientation):
    """EXIF with an orientation, and a date that is a float where Pillow wants to write a text."""
    entries = [(0x0112, 3, 1, struct.pack("<HH", orientation, 0))]
    entries.append((0x0132, 11, 1, struct.pack("<f", 1.5)))
    directory = b"".join(struct.pack("<HHI", *entry[:3]) + entry[3] for entry in entries)
    head = b"Exif\0\0II*\0" + struct.pack("<IH", 8, len(entries))
    return head + directory + struct.pack("<I", 0)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pixels_are_read_upright_whatever_else_the_metadata_holds(orientation, tmp_path):
    path = save(tmp_path / "odd.jpg", COLOUR, exif=odd_exif(orientation), quality=95)
    plain = Image.Exif()
    plain[0x0112] = orientation
    upright = save(tmp_path / "plain.jpg", COLOUR, exif=plain, quality=95)
    if orientation > 1:
        with pytest.raises(Exception, match="encode"), Image.open(path) as image:
            ImageOps.exif_transpose(image)
    with Image.open(upright) as image:
        expected = np.array(ImageOps.exif_transpose(image).convert("RGB"))
    assert np.array_equal(read_image(path, 8), expected)
    assert np.array_equal(read_image(upright, 8), expected)


@pytest.mark.parametrize("exif", [b"Exif\0\0nonsense", b"Exif\0\0II*\0\xff\xff\xff\x7f", b"?"])
def test_damaged_metadata_says_nothing_of_the_pixels(exif, tmp_path):
    path = save(tmp_path / "x.jpg", COLOUR, exif=exif, quality=95)
    same = save(tmp_path / "y.jpg", COLOUR, quality=95)
    assert np.array_equal(read_image(path, 8), read_image(same, 8))


@pytest.mark.parametrize("name", ["x.png", "x.tif", "x.ppm"])
@pytest.mark.parametrize("top", [255, 256, 4095, 65535])
def test_an_image_of_16_bits_is_as_bright_as_it_says(name, top, tmp_path):
    values = (RAMP * top / 255).round().astype(np.uint16)
    pixels = read_image(save(tmp_path / name, values), 8)
    assert np.abs(pixels[..., 0] - values / 257).max() <= 1


def test_an_image_of_16_bits_in_the_other_order_of_bytes_is_as_bright(tmp_path):
    path = str(tmp_path / "x.tif")
    Image.fromarray(RAMP.astype(">u2")).save(path)
    with Image.open(path) as image:
        assert image.mode == "I;16B"
    assert read_image(path, 8).max() == 0


@pytest.mark.parametrize(("value", "becomes"), [(np.nan, 0), (np.inf, 255), (-np.inf, 0)])
@pytest.mark.parametrize("top", [1, 255])
def test_a_pixel_that_is_no_number_changes_no_other(value, becomes, top, tmp_path):
    values = (RAMP / 255 * top).astype(np.float32)
    values[3, 3] = value
    pixels = read_image(save(tmp_path / "x.tif", values), 8)[..., 0]
    assert pixels[3, 3] == becomes
    pixels[3, 3] = RAMP[3, 3]
    assert np.abs(pixels - RAMP).max() <= 1


def test_floats_none_of_which_is_a_number_are_black(tmp_path):
    assert read_image(save(tmp_path / "x.tif", np.full((8, 8), np.nan, np.float32)), 8).max() == 0


@pytest.mark.parametrize(
    "read",
    [
        lambda path: read_image(path, 64),
        Transformed(TRANSFORM),
        lambda path: probe_size([path.replace("half", "none")]),
    ],
    ids=["square", "transformed", "probe"],
)
def test_an_error_holds_words_and_no_image(read, tmp_path):
    path = truncated(tmp_path / "half.png")
    (tmp_path / "none.png").write_bytes(b"no image")
    with pytest.raises(UnreadableImageError) as caught:
        read(path)
    assert caught.value.__cause__ is caught.value.__context__ is None
    frames, held = caught.value.__traceback__, []
    while frames is not None:
        held += frames.tb_frame.f_locals.values()
        frames = frames.tb_next
    assert not [value for value in held if isinstance(value, Image.Image | Exception)]


def test_an_error_of_a_transform_names_the_image_and_can_travel(tmp_path):
    path = save(tmp_path / "thin.png", COLOUR[:1])
    with pytest.raises(
        DropError, match=r"transform: .*thin\.png \(ValueError: Required crop"
    ) as caught:
        Transformed(v2.Compose([v2.RandomCrop(16), TRANSFORM]))(path)
    assert isinstance(caught.value.__cause__, ValueError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize(
    ("values", "clipped"),
    [
        ((RAMP * 257).astype(np.uint16), True),
        ((RAMP * 257).astype(np.int32), True),
        ((RAMP / 255).astype(np.float32), True),
        (RAMP.astype(np.uint16), False),
        (RAMP.astype(np.float32), False),
        (RAMP.astype(np.uint8), False),
    ],
)
def test_a_warning_tells_once_that_a_transform_gets_clipped_images(values, clipped, tmp_path):
    path = save(tmp_path / "x.tif", values)
    for _ in range(2):  # calls, each of which makes its own way to read
        read = Transformed(TRANSFORM)
        assert read == Transformed(TRANSFORM)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            assert torch.equal(read(path), read(path))
        assert [w.category for w in caught] == [DropWarning] * clipped
