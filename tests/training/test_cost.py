"""The cost of a training, announced before it starts."""

import numpy as np
import torch

from fiftyone_drop.training import TrainingOptions, training_cost
from fiftyone_drop.training.closed_form import LeftOut
from fiftyone_drop.training.cost import left_out_cost


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


def test_the_cost_of_a_model_in_closed_form_is_announced_in_one_line(few):
    before = torch.get_rng_state()
    cost = left_out_cost(LeftOut.of(few[0]))
    assert torch.equal(torch.get_rng_state(), before)
    assert cost.startswith("a query model in closed form, 120 images at 8x8 on ")
    assert ": about " in cost
