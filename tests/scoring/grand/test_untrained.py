"""A model that nobody has trained is warned about, a trained one is not."""

import pytest
import torch
from grand_models import images, vision
from torch import nn

from fiftyone_drop.errors import DropWarning
from fiftyone_drop.scoring.grand.gradient_norms import GradientNorms


def plain(bias=None):
    """Without norms; initialised as PyTorch does, or with constant biases, as VGG and others."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1568, 10))
    for layer in (model[0], model[-1]) if bias is not None else ():
        nn.init.kaiming_normal_(layer.weight)
        nn.init.constant_(layer.bias, bias)
    return model


def group_norm():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(1568, 10))


def trained(model, decay=0.0, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=decay)
    for _ in range(steps):
        nn.functional.cross_entropy(model(images(8)), torch.arange(8)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


MODELS = {
    "batch norm": lambda: vision("resnet18"),
    "layer norm": lambda: vision("vit"),
    "group norm": group_norm,
    "no norm": plain,
    "biases of zero": lambda: plain(0.0),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.filterwarnings("error")
def test_an_untrained_model_is_warned_about_and_a_trained_one_is_not(kind):
    torch.manual_seed(0)
    model = MODELS[kind]()
    with pytest.warns(DropWarning, match=r"2303\.14753"):
        GradientNorms(model)
    GradientNorms(trained(model))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.filterwarnings("error")
def test_weights_that_decay_are_not_taken_for_initial_ones(seed):
    torch.manual_seed(seed)
    GradientNorms(trained(plain(), decay=10.0, steps=2))


@pytest.mark.filterwarnings("error")
def test_what_is_frozen_says_nothing_about_the_training():
    torch.manual_seed(0)
    model = group_norm()
    model[:2].requires_grad_(False)
    with pytest.warns(DropWarning, match="untrained"):
        GradientNorms(model)
    GradientNorms(trained(model))
