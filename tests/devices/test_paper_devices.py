"""Trainings of the paper's experiment on CUDA: graphs take the steps that eager training takes."""

import sys
from pathlib import Path

import pytest
import torch

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks" / "paper"))
import steps
from networks import vgg16

SIZES = (16, 15)  # one graph for each


@pytest.fixture
def losses(cuda, monkeypatch):
    """Makes the losses of 30 steps, of which the given number of each size are eager."""
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    images = torch.randn(sum(SIZES), 3, 32, 32, generator=torch.Generator().manual_seed(0))
    images, labels = images.to(cuda), (torch.arange(sum(SIZES)) % 10).to(cuda)
    places = torch.arange(sum(SIZES)).repeat_interleave(4).reshape(-1, 4).to(cuda)

    def take(eager):
        monkeypatch.setattr(steps, "EAGER", eager)
        torch.manual_seed(0)
        module = vgg16(10).to(cuda, memory_format=torch.channels_last)
        taken = steps.Steps(
            module,
            lambda part: module(images[part[:, 0]]),
            labels,
            torch.zeros(10, device=cuda),
            learning_rate=0.0,
            weight_decay=1e-4,
            nesterov=True,
        )
        found = []
        for i in range(15):
            if i == 8:
                taken.weigh(torch.linspace(1, 2, 10, device=cuda))
            if i == 12:  # in place: the graphs go on with other weights
                taken.weigh(torch.linspace(2, 1, 10, device=cuda))
            for part in places.split(SIZES):
                found.append(float(taken.take(part, 0.01 * (i + 1) / 15)[1]))
        return found, module.state_dict()

    return take


def test_graphs_take_the_steps_of_an_eager_training(losses):
    (eager, theirs), (graphed, ours) = losses(100), losses(2)
    assert graphed == pytest.approx(eager, rel=1e-3)
    tracked = [name for name in ours if name.endswith("num_batches_tracked")]
    assert tracked
    assert all(int(ours[name]) == int(theirs[name]) == 30 for name in tracked)  # none taken twice


def test_graphs_go_on_from_a_state_that_was_saved_with_the_rate_of_each_step(cuda):
    module = torch.nn.Linear(4, 2).to(cuda)
    images, labels = torch.randn(8, 4, device=cuda), torch.arange(8, device=cuda) % 2
    places = torch.arange(8, device=cuda)[:, None].repeat(1, 4)

    def new():
        return steps.Steps(
            module,
            lambda part: module(images[part[:, 0]]),
            labels,
            torch.zeros(2, device=cuda),
            learning_rate=0.1,
            weight_decay=0.0,
            nesterov=False,
        )

    first = new()
    for _ in range(6):
        first.take(places, 0.1)
    state = first.optimiser.state_dict()
    for value in state["param_groups"]:  # as a checkpoint gives it back
        value["lr"] = value["lr"].cpu()
    second = new()
    second.optimiser.load_state_dict(state)
    losses = [float(second.take(places, 0.1)[1]) for _ in range(10)]
    assert losses[-1] < losses[0]
    before = module.weight.clone()
    second.take(places, 0.0)
    assert torch.equal(module.weight, before)
