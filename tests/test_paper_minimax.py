"""Minimax quotas of the paper's experiment: corrections, and ridge regression on a selection."""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from fiftyone_drop import allocate

PAPER = Path(__file__).resolve().parents[1] / "benchmarks" / "paper"
sys.path.append(str(PAPER))

from minimax import Refitted, corrected, minimax  # noqa: E402

SIZES = np.array([400, 300, 300, 200, 200])
HARD = np.array([0.9, 0.2, 0.5, 0.7, 0.4])


def learned(quotas):
    """The recalls of a model for which more samples help, and hard classes need more of them."""
    return 1 - HARD * np.exp(-quotas / 100)


def test_corrections_go_towards_the_highest_worst_recall():
    def quotas(weights):
        return allocate(SIZES, None, 0.4, weights=dict(enumerate(weights))).quotas

    def needed(level):
        """The samples that all classes need to reach a recall."""
        return np.clip(-100 * np.log((1 - level) / HARD), 0, SIZES).sum()

    weights = SIZES * (1 - learned(quotas(SIZES)))
    worst = [learned(quotas(weights)).min()]
    for _ in range(60):
        weights = corrected(weights, learned(quotas(weights)))
        worst.append(learned(quotas(weights)).min())
    levels = np.linspace(0, 0.999, 1000)
    best = max(level for level in levels if needed(level) <= 0.4 * SIZES.sum())
    assert worst[0] < worst[5] < worst[-1]
    assert best - 0.03 < worst[-1] < best + 0.01


def test_a_correction_touches_only_what_is_below_the_mean():
    found = corrected(np.array([1.0, 1.0, 2.0, 0.0]), np.array([0.5, 0.9, 0.7, 0.7]), step=2.0)
    assert found.sum() == pytest.approx(1)
    assert found / found[1] == pytest.approx([np.exp(0.4), 1, 2, 0])


def test_what_is_not_known_counts_as_the_mean():
    found = corrected(np.ones(3), np.array([0.4, np.nan, 0.6]))
    assert found[1] == found[2] < found[0]


def test_of_all_weights_those_with_the_highest_worst_recall_count():
    tried, recalls = [], iter([[0.5, 0.9], [0.7, 0.8], [0.7, 0.9], [0.6, 0.9]])

    def recalls_of(weights):
        tried.append(weights)
        return np.array(next(recalls))

    found = minimax(np.ones(2), recalls_of, rounds=3)
    assert len(tried) == 4
    assert found is tried[2]


def left_out(features, labels, kept, row):
    """The class of a sample by ridge regression on the kept ones but this."""
    rest = np.setdiff1d(kept, row)
    x = np.hstack([features[rest], np.ones((len(rest), 1))])  # the intercept costs nothing
    penalty = np.diag([0.1 * len(kept)] * features.shape[1] + [0.0])
    weights = np.linalg.solve(x.T @ x + penalty, x.T @ np.eye(4)[labels[rest]])
    return (np.append(features[row], 1) @ weights).argmax()


@pytest.mark.parametrize("size", [12, 30])
def test_recalls_after_a_selection_are_those_of_models_that_saw_no_more(size):
    rng = np.random.default_rng(size)
    labels = rng.integers(0, 3, 40)
    features = 0.7 * np.eye(3)[labels] @ rng.normal(size=(3, 6)) + rng.normal(size=(40, 6))
    standard = (features - features.mean(0)) / features.std(0)
    kept = np.sort(rng.permutation(40)[:size])
    model = Refitted(torch.from_numpy(features), torch.from_numpy(labels), 4, [0.1])
    predicted = np.empty(40, int)
    predicted[kept] = [left_out(standard, labels, kept, row) for row in kept]
    others = np.setdiff1d(np.arange(40), kept)
    predicted[others] = [left_out(standard, labels, kept, row) for row in others]
    expected = [np.mean(predicted[labels == c] == c) for c in range(3)]
    found = model.recalls(kept)
    assert found[:3] == pytest.approx(expected)
    assert np.isnan(found[3])
