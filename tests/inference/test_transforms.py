"""A transform and its two parts give the same numbers, bit for bit."""

import pickle

import numpy as np
import pytest
import torch
from digit_models import TRANSFORM, network
from PIL import Image
from torchvision.transforms import _presets, v2
from torchvision.transforms import transforms as v1

from fiftyone_drop.inference.transforms import split

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class OfAUser(v2.Normalize):
    """May do anything."""


def to_array(image):
    return np.array(image)


# A transform, and the steps that are left for batches
WHOLE = {
    "v2": (
        v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]),
        2,
    ),
    "v2, nested, with a resize": (
        v2.Compose(
            [
                v2.Resize(20),
                v2.CenterCrop(16),
                v2.Compose([v2.PILToTensor(), v2.ToDtype(torch.float64, scale=True)]),
            ]
        ),
        1,
    ),
    "v1": (v1.Compose([v1.Resize(16), v1.ToTensor(), v1.Normalize(MEAN, STD)]), 2),
    "v1, bytes first": (
        v1.Compose([v1.PILToTensor(), v1.ConvertImageDtype(torch.float32)]),
        1,
    ),
    "v1, of an array": (v1.Compose([to_array, v1.ToTensor()]), 1),
    "one step": (v1.ToTensor(), 1),
    "preset": (_presets.ImageClassification(crop_size=16, resize_size=20), 1),
    "preset, of a tensor": (
        v2.Compose([v2.ToImage(), _presets.ImageClassification(crop_size=16, resize_size=20)]),
        1,
    ),
    "a flip at the end": (v2.Compose([v2.ToImage(), v2.RandomHorizontalFlip(1.0)]), 0),
    "of a user": (v1.Compose([v1.ToTensor(), OfAUser(MEAN, STD)]), 0),
    "in place": (v1.Compose([v1.ToTensor(), v1.Normalize(MEAN, STD, inplace=True)]), 0),
    "a function": (lambda image: torch.from_numpy(np.array(image)).float(), 0),
}


@pytest.fixture(scope="module")
def images():
    random = np.random.default_rng(0)
    sides = [(32, 24), (24, 32), (40, 40)]
    return [
        Image.fromarray(random.integers(0, 256, (h, w, 3), np.uint8)).resize((28, 28))
        for h, w in sides
    ]


@pytest.mark.parametrize("name", WHOLE)
def test_both_parts_together_give_what_the_transform_gives(images, name):
    transform, steps = WHOLE[name]
    single, batch = split(transform)
    expected = torch.stack([torch.as_tensor(transform(image)) for image in images])
    found = torch.stack([torch.as_tensor(single(image)) for image in images])
    if batch is None:
        assert steps == 0
        assert single is transform
    else:
        assert len(batch.steps) == steps
        found = batch(found)
    assert found.dtype == expected.dtype
    assert torch.equal(found, expected)


def test_a_table_of_bytes_gives_the_same_where_a_device_rounds_otherwise(images):
    for name, (transform, steps) in WHOLE.items():
        single, batch = split(transform)
        if steps and "array" not in name:
            pixels = torch.stack([torch.as_tensor(single(image)) for image in images])
            assert torch.equal(batch.looked_up(pixels), batch(pixels)), name


def test_images_wait_as_bytes():
    image = Image.new("RGB", (8, 8))
    for name, (transform, steps) in WHOLE.items():
        if steps and "array" not in name:
            assert split(transform)[0](image).dtype == torch.uint8


@pytest.mark.parametrize("mode", ["L", "1", "I", "F", "RGBA", "P", "I;16"])
def test_images_of_every_mode_are_scaled_as_to_tensor_scales_them(mode):
    values = np.arange(64, dtype=np.uint8).reshape(8, 8) * 4
    image = Image.fromarray(values)
    image = Image.new(mode, (8, 8), 1) if mode == "I;16" else image.convert(mode)
    single, batch = split(v1.ToTensor())
    assert torch.equal(batch(single(image)[None])[0], v1.ToTensor()(image))


def test_both_parts_can_be_sent_to_another_process(images):
    for name, (transform, steps) in WHOLE.items():
        if steps:
            single, batch = pickle.loads(pickle.dumps(split(transform)))
            assert torch.equal(batch(single(images[0])[None])[0], transform(images[0])), name


def test_scores_are_the_same_as_behind_a_transform_that_cannot_be_split(small, score):
    found = score(small, ["el2n", "grand"], network())
    whole = score(small, ["el2n", "grand"], network(), prefix="w_", transform=TRANSFORM.forward)
    for name, values in found.items():
        np.testing.assert_array_equal(values, whole[f"w_{name}"])
