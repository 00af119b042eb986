"""The device that a user gets by default: CUDA where there is a GPU.

Nothing here needs FiftyOne or MongoDB, so that these tests, and those of scoring, engine and
training, run on a GPU machine with PyTorch alone: ``python -m pytest --confcutdir=tests/devices
tests/devices``.
"""

import numpy as np
import pytest
import torch
from digits import NAMES, write_digits

from fiftyone_drop.engine.devices import choose_device

MIB = 2**20
LITTLE = 512 * MIB
PER_IMAGE = 96 * MIB  # four fit well and eight by no means, wherever the network lies


@pytest.fixture(scope="session")
def device():
    return choose_device(None)


@pytest.fixture(scope="session")
def cuda(device):
    """CUDA, for what has no counterpart on a CPU."""
    if device.type != "cuda":
        pytest.skip("what is tested is CUDA's own, and there is no GPU here")
    return device


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """Checkpoints go into a folder of the test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def few(tmp_path_factory):
    """Paths, codes and class names of 120 digits."""
    paths, labels = write_digits(tmp_path_factory.mktemp("few-digits"), limit=120)
    return [str(path) for path in paths], np.array([NAMES.index(x) for x in labels]), NAMES


@pytest.fixture
def little_memory(cuda):
    """Half a gigabyte more of the GPU than is taken: what is beyond that is really refused."""
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(cuda).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + LITTLE) / total)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)
    torch.cuda.empty_cache()


class Hungry(torch.nn.Module):
    """A network that takes 96 MiB for each image, and notes how many it was given."""

    def __init__(self, network):
        super().__init__()
        self.network, self.sizes = network, []

    def forward(self, images):
        self.sizes.append(len(images))
        images.new_empty(len(images), PER_IMAGE // 4, dtype=torch.float32)
        return self.network(images)


@pytest.fixture
def hungry(little_memory):
    return Hungry
