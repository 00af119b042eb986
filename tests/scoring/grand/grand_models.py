"""Small models of every odd kind, and the check of their gradient norms.

The reference is the loop over single samples, as published; on CUDA too, where there is a GPU.
"""

from contextlib import contextmanager

import numpy as np
import torch
import torchvision
from score_references import REFERENCES
from torch import nn
from torchvision.models import vgg

from fiftyone_drop.scoring import per_sample_gradient_norms


def vision(name):
    if name == "vit":
        return torchvision.models.VisionTransformer(
            image_size=16,
            patch_size=8,
            num_layers=2,
            num_heads=2,
            hidden_dim=8,
            mlp_dim=16,
            num_classes=10,
        )
    if name == "vgg16_bn":  # as the pruning papers use it on small images: one linear layer
        layers = vgg.make_layers(vgg.cfgs["D"], batch_norm=True)
        return nn.Sequential(layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))
    return torchvision.models.get_model(name, num_classes=10)


class Tied(nn.Module):
    """Embedding and output layer share their table, as language models do."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 6, padding_idx=0)
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, 10, bias=False)
        self.out.weight = self.table.weight

    def forward(self, x):
        return self.out(self.norm(self.table(x)).mean(1))


class TiedByFunction(Tied):
    """The same, where only the graph shows it: the output layer is no module."""

    def __init__(self):
        super().__init__()
        del self.out

    def forward(self, x):
        return self.norm(self.table(x)).mean(1) @ self.table.weight.T


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again, self.last = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, x):
        x = self.first(x.flatten(1)).relu()
        return self.last(self.again(self.again(x).relu()))


class Positions(nn.Module):
    """A position table is looked up once, for all samples: its first dimension is no batch."""

    def __init__(self):
        super().__init__()
        self.words, self.places, self.out = (
            nn.Embedding(10, 4),
            nn.Embedding(5, 4),
            nn.Linear(4, 10),
        )

    def forward(self, x):
        return self.out(
            (self.words(x) + self.places(torch.arange(5, device=x.device))).tanh().mean(1)
        )


class SequenceFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.Linear(3, 4), nn.Linear(4, 10)

    def forward(self, x):
        return self.out(self.layer(x.transpose(0, 1)).tanh().mean(0))


class Unusual(nn.Module):
    """Bare parameters, an unused head, in-place activations, views, layers without a formula."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(3, 4, 4))
        self.unused = nn.Linear(7, 7)
        self.conv = nn.Conv1d(3, 5, 3)
        self.layer = nn.Linear(5, 6)
        self.out = nn.Linear(6, 10)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.conv((x * self.scale).flatten(2))).transpose(1, 2)
        return self.out(self.act(self.layer(x)).sum(1))


def words(n=5):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 10, (n, 5), generator=generator)


def images(n=5, size=16, channels=3):
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(2))


DEVICES = ("cuda", "cpu") if torch.cuda.is_available() else ("cpu",)


def check(model, inputs, rtol=1e-9, dtype=torch.float64):
    for device in DEVICES:  # the CPU last, where the model stays
        model = model.to(device, dtype).eval()
        inputs = inputs.to(device, dtype if inputs.is_floating_point() else None)
        labels = torch.arange(len(inputs), device=device) % 10
        with whole_float32():
            expected = REFERENCES["grand"](model, inputs, labels)
            norms = per_sample_gradient_norms(model, inputs, labels)
        assert norms.dtype == dtype
        assert norms.device.type == device
        np.testing.assert_allclose(norms.cpu().numpy(), expected, rtol=rtol, err_msg=device)


@contextmanager
def whole_float32():
    """No TensorFloat-32, 10 bits of mantissa, in which CUDA's convolutions compute by default."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


def shuffled(model):
    """Scales and running statistics as training leaves them, not all zeros and ones."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.ndim == 1 and value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return model
