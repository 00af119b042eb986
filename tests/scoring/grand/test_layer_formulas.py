"""The formulas of linear and norm layers equal the loop over single samples."""

import pytest
import torch
from grand_models import check, images, shuffled
from torch import nn

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model looks untrained:fiftyone_drop.errors.DropWarning"
)


@pytest.mark.parametrize("places", [1, 2, 40])
def test_linear_layers_over_sequences_equal_the_loop(places):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 10), nn.Tanh(), nn.Flatten(), nn.Linear(10 * places, 10))
    check(model, torch.randn(3, places, 7))


def test_norm_layers_equal_the_loop():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.LayerNorm((3, 3))]
    head = [nn.Flatten(), nn.BatchNorm1d(36), nn.LayerNorm(36), nn.Linear(36, 10)]
    check(shuffled(nn.Sequential(*layers, nn.Tanh(), *head)), images(3, 3))
