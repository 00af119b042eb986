"""The schedule of the learning rate."""

import numpy as np

from fiftyone_drop.training.optimiser import schedule


def test_the_learning_rate_rises_for_a_fifth_and_falls_to_zero():
    rates = [schedule(step, 100) for step in range(100)]
    assert np.argmax(rates) in (19, 20)
    assert 0 < rates[-1] < rates[0] < 0.05
    assert max(rates) <= 1
