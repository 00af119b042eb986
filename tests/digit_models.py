"""Small classifiers of digits, and references computed without the code under test."""

import pytest
import torch
from PIL import Image
from torch import nn
from torchvision.transforms import v2

from fiftyone_drop.scoring import (
    SCORES,
    class_mean_distance,
    forward_scores,
    herding,
    k_center,
    per_sample_gradient_norms,
    zcore,
)

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]


CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


TRANSFORM = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])


def network(seed=0):
    """A small classifier whose predictions are anything but uniform."""
    torch.manual_seed(seed)
    body = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    module = nn.Sequential(*body, nn.Linear(32, 10))
    with torch.no_grad():
        module[-1].weight *= 20
    return module


def reference(samples, module):
    """The scores, computed without any of the code under test."""
    images = [TRANSFORM(Image.open(p).convert("RGB")) for p in samples.values("filepath")]
    inputs = torch.stack(images)
    labels = torch.tensor([CLASSES.index(x) for x in samples.values("ground_truth.label")])
    module.eval()
    with torch.no_grad():
        features = module[:-1](inputs)
        logits = module[-1](features)
    names = [name for name in FROM_IMAGES if NEEDS[name] in ("logits", "features")]
    return {
        **forward_scores(names, logits, labels, features),
        "grand": per_sample_gradient_norms(module, inputs, labels).numpy(),
        "k_center": k_center(features),
        "herding": herding(features, labels),
        "zcore": zcore(features),
        "class_mean_distance": class_mean_distance(features, labels),
    }


def embed(paths):
    """What an untrained network with many filters makes of images, (N, 256) float32."""
    torch.manual_seed(0)
    body = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
    images = torch.stack([TRANSFORM(Image.open(path).convert("RGB")) for path in paths])
    with torch.no_grad():
        return body(images).numpy()


def fiftyone_model(module, classes=CLASSES):
    import fiftyone.utils.torch as fout  # not at the top: a conftest imports this module

    return fout.TorchImageModel(
        fout.TorchImageModelConfig(
            {
                "entrypoint_fcn": lambda: module,
                "transforms_fcn": lambda: TRANSFORM,
                "ragged_batches": False,
                "output_processor_cls": "fiftyone.utils.torch.ClassifierOutputProcessor",
                "classes": list(classes),
                "device": "cpu",
            }
        )
    )


class Faulty(nn.Module):
    """A network whose output is not finite for some images."""

    def __init__(self, samples, rows, value):
        super().__init__()
        paths = samples.values("filepath")
        self.inner, self.value = network(), value
        self.images = torch.stack([TRANSFORM(Image.open(paths[i]).convert("RGB")) for i in rows])

    def forward(self, images):
        bad = (images[:, None] == self.images).flatten(2).all(2).any(1)
        return self.inner(images * torch.where(bad, self.value, 1.0)[:, None, None, None])


class Restless(nn.Module):
    """A network that is interrupted, or runs out of memory."""

    def __init__(self, most=None, calls=None, allowed=0):
        super().__init__()
        self.inner = network()
        self.faults = [most, calls, allowed]  # a list, which is no part of what the module computes
        self.sizes = []

    def forward(self, images):
        most, calls, allowed = self.faults
        self.sizes.append(len(images))
        if most is not None and len(images) > most and len(self.sizes) > allowed:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        if calls and len(self.sizes) > calls:
            raise KeyboardInterrupt
        return self.inner(images)


def interrupt(samples, score, scores=("el2n",), **arguments):
    with pytest.raises(KeyboardInterrupt):
        score(samples, scores, Restless(calls=2), batch_size=20, **arguments)


def scored_again(samples, score, scores=("el2n",), **arguments):
    """How many images a call that could go on after 20 of them scores."""
    module = Restless()
    score(samples, scores, module, batch_size=20, **arguments)
    return sum(module.sizes[1:])  # the first call tries the model out


def probabilities(module, samples):
    images = [TRANSFORM(Image.open(p).convert("RGB")) for p in samples.values("filepath")]
    with torch.no_grad():
        return torch.softmax(module(torch.stack(images)), 1).numpy()


def own(module, classes=CLASSES):
    """The module, with the transform and classes that apply_drop must know."""
    module.transform, module.classes = TRANSFORM.forward, list(classes)
    return module
