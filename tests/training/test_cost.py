"""The cost of a training, announced before it starts."""

import numpy as np
import torch

from fiftyone_drop.training import Pace, TrainingOptions, training_cost


def test_the_cost_is_announced_in_one_line(few):
    fold_of = np.arange(120) % 5
    before = torch.get_rng_state()
    cost = training_cost(few[0], fold_of, TrainingOptions(epochs=3, device="cpu"))
    assert torch.equal(torch.get_rng_state(), before)
    assert cost.total_images == 5 * 3 * 96 + 120
    assert 0 < cost.seconds < 60
    assert str(cost).startswith(
        "5 query models, small-cnn, 3 epochs of 96 images at 8x8 on cpu: about "
    )


def test_the_cost_of_one_training_counts_no_predictions(few):
    cost = training_cost(few[0], options=TrainingOptions(epochs=3, device="cpu"), measure=False)
    assert cost.total_images == 360
    assert str(cost) == "1 query model, small-cnn, 3 epochs of 120 images at 8x8 on cpu"


class Clock:
    """Seconds that pass when a test says so."""

    now = 100.0

    def __call__(self):
        return self.now


def test_the_time_that_is_left_is_said_once_after_the_first_steps():
    clock, said = Clock(), []
    pace = Pace(10_000, said.append, clock)
    clock.now += 30  # the first step sets everything up
    pace(100)
    for _ in range(20):
        clock.now += 0.5
        pace(50)
    assert said == ["about 2 min left, after 400 of 10,000 images"]  # 9,600 at 100 a second


def test_steps_that_a_checkpoint_vouches_for_are_no_measure_of_the_others():
    clock, said = Clock(), []
    pace = Pace(10_000, said.append, clock)
    for _ in range(90):
        pace(100)
    for _ in range(4):
        clock.now += 1
        pace(100)
    assert said == ["about 7 s left, after 9,300 of 10,000 images"]


def test_a_training_of_a_few_seconds_says_nothing():
    clock, said = Clock(), []
    pace = Pace(100, said.append, clock)
    for _ in range(10):
        clock.now += 0.1
        pace(10)
    assert said == []
