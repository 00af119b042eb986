"""Scores over epochs and windows, against the formulas of their papers."""

import tracemalloc

import numpy as np
import pytest
import torch
from histories import record, regular, trainings
from hypothesis import given, settings
from hypothesis import strategies as st
from score_references import REFERENCES

from fiftyone_drop.scoring import DynamicsRecorder, epochs, presentations

# Made-up trainings present samples unevenly; a test of its own looks for the warning
pytestmark = pytest.mark.filterwarnings("ignore:Samples were presented unevenly")

FORWARDS = st.just("training")
SWITCHES = {
    "el2n_mean": {"el2n_epochs": st.integers(1, 9), "el2n_forward": FORWARDS},
    "dynamic_uncertainty": {
        "window": st.integers(2, 6),
        "last_window": st.sampled_from(["skip", "include"]),
        "uncertainty_forward": FORWARDS,
    },
    "dual": {"window": st.integers(2, 6), "dual_epochs": st.integers(2, 9)},
    "tdds": {"tdds_window": st.integers(3, 6), "tdds_epochs": st.integers(3, 9)},
}


WINDOWS = {
    "dynamic_uncertainty": {"window": 5},
    "dual": {"window": 5},
    "tdds": {"tdds_window": 5},
}
LAST = {"dynamic_uncertainty": {"last_window": "include"}}


@pytest.mark.parametrize("name", SWITCHES)
@pytest.mark.filterwarnings("ignore:After .* no sample has a value")
@settings(deadline=None, max_examples=100)
@given(data=st.data())
def test_any_training_scores_as_the_papers_formula_says(name, data):
    history, targets = data.draw(trainings(most_epochs=9))
    switches = {switch: data.draw(values) for switch, values in SWITCHES[name].items()}
    scores = record(history, targets, scores=[name], **switches).finish()[name]
    expected = REFERENCES[name](history, targets, **switches)
    np.testing.assert_allclose(scores, expected, rtol=1e-3, atol=1e-5)


def test_tdds_takes_the_memory_that_it_says(monkeypatch):
    """What an open epoch takes is PyTorch's, and not traced."""
    monkeypatch.setattr(epochs, "AT_ONCE", 2**12)
    monkeypatch.setattr(presentations, "WAITING", 2**12)
    n, classes = 1000, 500
    recorder = DynamicsRecorder(n, np.zeros(n, np.int64), scores=["tdds"], tdds_window=3)
    tracemalloc.start()
    try:
        for _ in range(4):
            for rows in np.split(np.arange(n), 100):
                recorder.update(rows, torch.randn(10, classes))
            recorder.end_epoch()
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert np.isfinite(recorder.finish()["tdds"]).all()
    assert 4 <= held / (n * classes) < 5
    assert 8 <= most / (n * classes) < 10


@pytest.mark.parametrize("name", ["dynamic_uncertainty", "dual", "tdds"])
def test_epochs_in_which_a_sample_is_not_seen_change_nothing(name):
    """Neither the window before a pause counts again, nor does one that ends with the training."""
    history = regular(12)
    others = [[row for row in epoch if row[0] != 3] for epoch in regular(10, seed=9)]
    rests = record(history + others, scores=[name], **WINDOWS[name])
    stops = record(history + [[]] * 10, scores=[name], **WINDOWS[name])
    assert rests.finish()[name][3] == stops.finish()[name][3]
    short = record(history, scores=[name], **WINDOWS[name] | LAST.get(name, {}))
    assert rests.finish()[name][3] == pytest.approx(short.finish()[name][3], rel=1e-12)
