"""Devices by name, or the best one there is."""

import pytest
import torch

from fiftyone_drop import DropError
from fiftyone_drop.engine.devices import check_device, choose_device, default_workers


def test_the_best_device_is_taken_by_default():
    best = "cuda" if torch.cuda.is_available() else "cpu"
    assert choose_device(None) == torch.device(best)


@pytest.mark.parametrize("device", ["cpu", torch.device("cpu")])
def test_a_device_goes_by_its_name(device):
    assert check_device(device) == "cpu"
    assert choose_device(device) == torch.device("cpu")


@pytest.mark.parametrize("device", ["abacus", "cuda:99", "meta", "", 3])
def test_a_device_that_is_not_there_is_refused(device):
    with pytest.raises(DropError, match=r"must be a (device|text)") as refused:
        choose_device(device)
    assert refused.value.argument == "device"


def test_there_is_a_thread_per_core_but_not_without_bounds(monkeypatch):
    for cores, threads in ((1, 1), (2, 2), (64, 16), (None, 1)):
        monkeypatch.setattr("os.cpu_count", lambda cores=cores: cores)
        assert default_workers() == threads
