"""The examples of docs/extending.md run as they stand there."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torchvision.transforms import v2

from fiftyone_drop.scoring import SCORES

PAGE = Path(__file__).parents[1] / "docs" / "extending.md"
SCORE, RULE = (part for part in PAGE.read_text().split("\n## ")[1:])


@pytest.fixture(autouse=True)
def registries():
    """The registered scores and rules; those of a test go with it."""
    from fiftyone_drop.rules import RULES

    tables = [(table, dict(table)) for table in (SCORES, RULES)]
    yield
    for table, before in tables:
        table.clear()
        table.update(before)


@pytest.fixture
def page(dataset):
    """The names that the page says there are: labelled images, and a classifier of them."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(48, 10))
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    model.transform = lambda image: transform(image)  # as a module it would become a layer
    model.classes = sorted(dataset.distinct("ground_truth.label"))
    return {"dataset": dataset, "model": model, "__name__": "__main__"}


def run(text, names):
    for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
        exec(block, names)


def test_every_block_of_python_is_in_one_of_the_two_sections():
    assert PAGE.read_text().count("```python") == (SCORE + RULE).count("```python") == 4


def test_the_scores_of_the_page_run(page, dataset):
    run(SCORE, page)
    assert dataset.get_field("confusion").info["convention"] == {"rival": "all"}
    assert len(page["view"]) == 150
    for label in page["model"].classes:
        own = dataset.match({"ground_truth.label": label})
        kept = page["view"].match({"ground_truth.label": label}).values("confusion")
        assert sorted(kept) == sorted(own.values("confusion"))[-len(kept) :]

    recorder, logits = page["recorder"], torch.randn(2, 300, 10)
    for epoch in logits:
        recorder.update(range(300), epoch)
        recorder.end_epoch()
    recorder.finish()
    p = logits.double().softmax(2)
    expected = -(p * p.log()).sum(2).mean(0)
    np.testing.assert_allclose(dataset.values("mean_entropy"), expected, rtol=1e-5)


def test_the_rules_of_the_page_run(page, dataset):
    import fiftyone_drop as fod

    run(SCORE, page)
    run(RULE, page)
    classes = page["model"].classes
    sizes = dataset.count_values("ground_truth.label")
    weights = [sizes[name] ** 0.5 * (1 - page["recalls"][name]) for name in classes]
    kept = fod.drop_view(dataset, "by_error", 0.1).count_values("ground_truth.label")
    quotas = 30 * np.array(weights) / sum(weights)
    np.testing.assert_allclose([kept[name] for name in classes], quotas, atol=1.5)

    members = [dataset.match({"ground_truth.label": name}) for name in classes]
    weights = [len(own) * own.mean("confusion") for own in members]
    kept = page["view"].count_values("ground_truth.label")
    quotas = 60 * np.array(weights) / sum(weights)
    np.testing.assert_allclose([kept[name] for name in classes], quotas, atol=1.5)
    run(SCORE + RULE, page)  # cells that run twice
