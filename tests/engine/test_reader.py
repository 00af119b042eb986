"""Many image files: in the order asked for, read once, and unreadable ones by name."""

import threading

import numpy as np
import pytest
import torch
from PIL import Image

from fiftyone_drop import DropError
from fiftyone_drop.engine.images import Square, UnreadableImageError, read_image
from fiftyone_drop.engine.reader import (
    CHUNK,
    ImageReader,
    Images,
    find_unreadable,
    positions,
)


@pytest.fixture(scope="module")
def paths(digits):
    return [str(path) for path in digits[0][:120]]


@pytest.fixture
def broken(paths, tmp_path):
    """Six images, the second and the last of which cannot be read."""
    garbage = tmp_path / "garbage.png"
    garbage.write_bytes(b"no image")
    return [paths[0], str(tmp_path / "missing.png"), *paths[1:4], str(garbage)]


def save(path, array):
    Image.fromarray(array).save(path)
    return str(path)


class Counting:
    """Reads squares, and counts how often which file is read, and by how many threads."""

    def __init__(self, size=8):
        self.read, self.paths, self.threads = Square(size), [], set()

    def __call__(self, path):
        self.paths.append(path)
        self.threads.add(threading.get_ident())
        return self.read(path)


@pytest.mark.parametrize("size", [1, 7, 50, 500])
def test_every_image_is_read_once_whatever_the_size_of_batches(paths, size):
    read = Counting()
    reader = ImageReader(paths, [read], workers=3)
    reader.probe(0)
    batches = list(reader.batches(positions(0, 120, size)))
    assert np.concatenate([batch.rows for batch in batches]).tolist() == list(range(120))
    assert sorted(read.paths) == sorted(paths)
    pixels = torch.cat([batch.inputs[0] for batch in batches])
    for i in (0, 60, 119):
        assert np.array_equal(pixels[i].permute(1, 2, 0), read_image(paths[i], 8))


def test_several_ways_to_read_give_a_tensor_each(paths):
    reader = ImageReader(paths, [Square(8), Square(10)], workers=2)
    assert [tuple(like.shape) for like in reader.probe(0)] == [(3, 8, 8), (3, 10, 10)]
    for batch in reader.batches(positions(0, 120, 40)):
        assert [tuple(x.shape) for x in batch.inputs] == [(40, 3, 8, 8), (40, 3, 10, 10)]


@pytest.mark.parametrize(
    ("layout", "strides"),
    [(torch.contiguous_format, (192, 64, 8, 1)), (torch.channels_last, (192, 1, 24, 3))],
)
def test_batches_lie_in_memory_as_asked_for(paths, layout, strides):
    reader = ImageReader(paths, [Square(8)], workers=2, layout=layout)
    reader.probe(0)
    for batch in reader.batches(positions(0, 120, 40)):
        assert batch.inputs[0].stride() == strides


def test_images_that_cannot_be_read_are_reported_and_left_out(broken):
    reader = ImageReader(broken, [Square(8)], workers=2)
    assert reader.probe(1) is not None  # from the third one on
    (batch,) = reader.batches([np.arange(6)])
    assert batch.rows.tolist() == [0, 2, 3, 4]
    assert list(batch.failures) == [1, 5]
    assert "FileNotFoundError" in batch.failures[1].reason
    assert "UnidentifiedImageError" in batch.failures[5].reason
    for row, pixels in zip(batch.rows, batch.inputs[0], strict=True):
        assert np.array_equal(pixels.permute(1, 2, 0), read_image(broken[row], 8))
    found = find_unreadable(broken, Square(8), 2)
    assert found == {row: error.reason for row, error in batch.failures.items()}
    assert ImageReader([broken[1], broken[5]], [Square(8)], workers=1).probe(0) is None


def test_tensors_of_several_shapes_are_an_error(paths, tmp_path):
    def read(path):
        return torch.zeros(3, 9 if path == paths[20] else 8, 8)

    reader = ImageReader(paths, [read], workers=2)
    reader.probe(0)
    with pytest.raises(DropError, match=r"transform: .*\(3, 8, 8\) and, .*\(3, 9, 8\)"):
        list(reader.batches(positions(0, 120, 40)))


def test_reading_goes_on_ahead_but_not_without_bounds(paths):
    read = Counting()
    reader = ImageReader(paths, [read], workers=1)
    reader.probe(0)
    batches = reader.batches(positions(0, 120, 4))
    next(batches)
    asked = len(read.paths)
    assert asked <= 2 * CHUNK
    batches.close()


@pytest.mark.parametrize("size", [1, 3, CHUNK])
def test_a_thread_has_few_tasks_ahead_however_small_batches_are(paths, size):
    held, most, original = 0, 0, ImageReader._room

    class Counted(ImageReader):
        def _room(self, n, like):
            nonlocal held, most
            held += n
            most = max(most, held)
            return original(self, n, like)

    reader = Counted(paths, [Square(8)], workers=4)
    reader.probe(0)
    for batch in reader.batches(positions(0, 120, size)):
        held -= len(batch.rows)
    assert most <= size * (4 + 1)


def test_what_cannot_be_read_holds_no_batch(broken):
    reader = ImageReader(broken, [Square(8)], workers=2)
    reader.probe(0)
    (batch,) = reader.batches([np.arange(6)])
    assert [error.__traceback__ for error in batch.failures.values()] == [None, None]


def test_the_callers_inference_mode_does_not_matter(paths):
    with torch.inference_mode():
        reader = ImageReader(paths, [Square(8)], workers=2)
        reader.probe(0)
        for batch in reader.batches(positions(0, 120, 40)):
            assert not batch.inputs[0].is_inference()


@pytest.mark.parametrize("cached", [True, False])
def test_batches_come_in_the_order_asked_for(cached, paths):
    images = Images(paths, 8, workers=3, cached=cached)
    shuffled = np.array_split(np.random.default_rng(0).permutation(120), 25)
    for _ in range(2):
        for asked, (indices, pixels) in zip(shuffled, images.batches(shuffled), strict=True):
            assert np.array_equal(indices, asked)
            first = pixels[0].permute(1, 2, 0).numpy()
            assert np.array_equal(first, read_image(paths[asked[0]], 8))


def test_cached_images_are_read_from_disk_once(tmp_path):
    colour = np.random.default_rng(0).integers(0, 256, (8, 8, 3), dtype=np.uint8)
    path = save(tmp_path / "x.png", colour)
    images = Images([path], 8, workers=1)
    list(images.batches([np.array([0])]))
    (tmp_path / "x.png").unlink()
    ((_, pixels),) = images.batches([np.array([0])])
    assert np.array_equal(pixels[0].permute(1, 2, 0), colour)


def test_a_flat_channel_has_a_deviation_above_zero(tmp_path):
    path = save(tmp_path / "x.png", np.full((8, 8, 3), 51, np.uint8))
    mean, std = Images([path], 8, workers=1).statistics(np.array([0]))
    np.testing.assert_allclose(mean, 0.2)
    assert min(std) > 0


@pytest.mark.parametrize("cached", [True, False])
def test_the_first_image_of_a_training_that_cannot_be_read_is_an_error(broken, cached):
    images = Images(broken, 8, workers=2, cached=cached)
    with pytest.raises(UnreadableImageError, match=r"paths: cannot read the image .*missing\.png"):
        list(images.batches(positions(0, 6, 2)))


@pytest.mark.parametrize("cached", [True, False])
def test_training_images_lie_channels_last(paths, cached):
    images = Images(paths, 8, workers=2, cached=cached)
    for _ in range(2):
        for _, pixels in images.batches(positions(0, 120, 50)):
            assert pixels.stride() == (192, 1, 24, 3)
