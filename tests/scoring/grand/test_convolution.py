"""Every form of the formula for convolutions equals the loop over single samples."""

import pytest
import torch
from grand_models import check, images
from torch import nn

from fiftyone_drop.scoring.grand import convolution

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model looks untrained:fiftyone_drop.errors.DropWarning"
)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"padding": (2, 0), "stride": (1, 2), "bias": False},
        {"padding": 1, "stride": 2, "dilation": 2},
        {"padding": "same", "kernel_size": (2, 4)},
        {"padding": "valid", "groups": 3},
        {"padding": 1, "groups": 3, "stride": 2},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 1, "stride": 2, "padding": 1},
        {"padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("form", ["_gram", "_batched", "_one_by_one"])
def test_every_form_of_a_convolution_equals_the_loop(monkeypatch, options, form):
    torch.manual_seed(0)
    wanted = getattr(convolution, form)
    for other in ("_gram", "_batched", "_one_by_one"):
        monkeypatch.setattr(convolution, other, lambda *args, f=wanted: f(*args))
    conv = nn.Conv2d(3, 6, **({"kernel_size": 3} | options))
    model = nn.Sequential(conv, nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10))
    check(model, images(3, 9))
