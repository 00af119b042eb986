"""Batches in parts that fit, and evaluation mode that ends as it began."""

import pytest
import torch
from torch import nn

from fiftyone_drop import DropError
from fiftyone_drop.engine.batches import Halving, evaluating


class Limited:
    """Returns its part of the images, and runs out of memory above so many of them."""

    def __init__(self, most):
        self.most, self.sizes = most, []

    def __call__(self, images):
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return images


@pytest.mark.parametrize(
    ("most", "sizes"),
    [(100, [30, 7]), (10, [30, 15, 8, 8, 8, 8, 5]), (1, [30, 15, 8, 4, 2, *[1] * 37])],
)
def test_parts_are_halved_until_they_fit_and_nothing_is_left_out(most, sizes):
    images, compute, halving = torch.arange(37), Limited(most), Halving(30)
    assert torch.equal(torch.cat(list(halving.each(compute, images))), images)
    assert compute.sizes == sizes


def test_parts_stay_small_from_one_batch_to_the_next():
    compute, halving = Limited(8), Halving(16)
    for _ in range(2):
        list(halving.each(compute, torch.arange(16)))
    assert compute.sizes == [16, 8, 8, 8, 8]
    assert halving.batch_size == 8


def test_parts_that_were_computed_are_not_computed_again():
    seen = []

    def compute(part):
        if part.start >= 8 and part.stop - part.start > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        seen.append((part.start, part.stop))
        return part

    assert list(Halving(8)(compute, 12)) == [slice(0, 8), slice(8, 10), slice(10, 12)]
    assert seen == [(0, 8), (8, 10), (10, 12)]


def test_a_single_image_that_does_not_fit_is_an_error():
    with pytest.raises(DropError, match="device: not even one image at a time fits"):
        list(Halving(16).each(Limited(0), torch.arange(3)))


def test_an_empty_batch_has_no_parts():
    assert list(Halving(16).each(Limited(0), torch.arange(0))) == []


def test_every_layer_has_its_own_mode_again_after_an_error():
    module = nn.Sequential(nn.BatchNorm1d(2), nn.Dropout(0.5)).train()
    module[0].eval()
    inside = []

    def fail():
        with evaluating(module):
            inside.extend(layer.training for layer in module.modules())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert inside == [False, False, False]
    assert [layer.training for layer in module.modules()] == [True, False, True]


def test_what_a_layer_does_as_it_changes_its_mode_is_undone():
    class Merging(nn.Module):
        """Adds its adapter to its weight for evaluation, as loralib's layers do."""

        def __init__(self):
            super().__init__()
            self.weight, self.adapter = torch.ones(3), torch.full((3,), 0.5)

        def train(self, mode=True):
            if mode != self.training:
                self.weight = self.weight + (-1 if mode else 1) * self.adapter
            return super().train(mode)

    module = nn.Sequential(Merging(), nn.Dropout())
    module[1].training = False
    with evaluating(module):
        assert module[0].weight.tolist() == [1.5] * 3
    assert module[0].weight.tolist() == [1] * 3
    assert [layer.training for layer in module.modules()] == [True, True, False]
