"""The examples of docs/scores.md on recording a training run as they stand there."""

import re
import socket
import warnings
from pathlib import Path

import pytest
import torch
from torch import nn

PAGE = Path(__file__).parents[2] / "docs" / "scores.md"
SECTION = PAGE.read_text().partition("## Recording a training\n")[2]
LOOP, PROCESSES, LIGHTNING, TRANSFORMERS = re.findall(r"```python\n(.*?)```", SECTION, re.DOTALL)


def network():
    return nn.Sequential(nn.Flatten(), nn.Linear(256, 10))


@pytest.fixture
def page(make_dataset, tmp_path):
    """The names that the page says there are."""
    view = make_dataset(60).view()
    names = sorted(view.distinct("ground_truth.label"))
    labels = [names.index(name) for name in view.values("ground_truth.label")]
    images = torch.randn(60, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    items = list(zip(view.values("id"), images, labels, strict=True))
    return {
        "view": view,
        "items": items,
        "network": network,
        "folder": str(tmp_path),
        "__name__": "__main__",
    }


@pytest.fixture
def torchrun(monkeypatch):
    """The environment that torchrun gives, of one process."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in environment.items():
        monkeypatch.setenv(name, str(value))


def check(page, field, epochs):
    assert None not in page["view"].values(field)
    assert page["view"]._root_dataset.get_field(field).info["presentations"] == [epochs, epochs]


def test_any_loop(page):
    exec(LOOP, page)
    check(page, "aum", 3)
    check(page, "dual", 3)
    assert page["hardest"].values("aum") == sorted(page["view"].values("aum"))


def test_several_processes(page, torchrun):
    exec(PROCESSES, page)
    check(page, "ddp_aum", 2)


def test_lightning(page):
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning")
        exec(LIGHTNING, page)
    check(page, "lightning_aum", 2)


def test_transformers(page):
    exec(TRANSFORMERS, page)
    check(page, "hf_aum", 2)
