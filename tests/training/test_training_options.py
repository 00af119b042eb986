"""Options, architectures and costs: what is refused, what is filled in, what is announced."""

import dataclasses

import numpy as np
import pytest
import torch

from fiftyone_drop.errors import DropError
from fiftyone_drop.training import TrainingOptions, training_cost
from fiftyone_drop.training.architectures import SmallCNN, build, head_of


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"architecture": "resnet19"}, "`architecture`.*'resnet19'; try 'resnet"),
        ({"architecture": "inception_v3"}, "`architecture`.*'inception_v3'"),
        ({"architecture": "small-cnn", "pretrained": True}, "`pretrained`.*resnet18"),
        ({"epochs": 0}, "`epochs`.*at least 1 or None, but got 0"),
        ({"epochs": 2.5}, "`epochs`.*but got 2.5"),
        ({"batch_size": 1}, "`batch_size`.*at least 2, but got 1"),
        ({"batch_size": True}, "`batch_size`.*but got True"),
        ({"learning_rate": 0}, "`learning_rate`.*above 0, but got 0"),
        ({"learning_rate": float("nan")}, "`learning_rate`.*but got nan"),
        ({"momentum": 1.0}, r"`momentum`.*in \(0, 1\), but got 1.0"),
        ({"momentum": "0.9"}, "`momentum`.*but got '0.9'"),
        ({"weight_decay": -1e-4}, "`weight_decay`.*at least 0"),
        ({"image_size": 7}, "`image_size`.*at least 8 or None, but got 7"),
        ({"device": "tpu9"}, "`device`.*'tpu9'"),
        ({"workers": 0}, "`workers`.*at least 1"),
        ({"seed": -1}, "`seed`.*at least 0"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(options, words):
    with pytest.raises(DropError, match=words):
        TrainingOptions(**options)


def test_options_cannot_be_changed_behind_the_check():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainingOptions().epochs = 0


def test_small_datasets_take_more_epochs_than_the_papers_sixteen():
    options = TrainingOptions()
    assert options.epochs_for(50_000) == 16
    assert options.epochs_for(1_437) == 17  # 12 steps each
    assert options.epochs_for(20) == 200
    assert TrainingOptions(epochs=3).epochs_for(20) == 3


def test_pretrained_weights_get_the_size_and_the_learning_rate_that_suit_them(few):
    setup = TrainingOptions(pretrained=True).setup(few[0])
    assert (setup.architecture, setup.image_size, setup.learning_rate) == ("resnet18", 224, 0.01)


def test_an_image_size_decides_the_architecture(few):
    assert TrainingOptions(image_size=64).setup(few[0]).architecture == "small-cnn"
    assert TrainingOptions(image_size=65).setup(few[0]).architecture == "resnet18"


@pytest.mark.parametrize("size", [8, 28, 32, 64])
def test_the_small_cnn_ends_at_two_to_four_pixels_a_side(size):
    body = SmallCNN(10, size).body
    pixels = body[:-2](torch.zeros(1, 3, size, size))
    assert 2 <= pixels.shape[2] <= 4


@pytest.mark.parametrize("name", ["small-cnn", "small-resnet18", "mobilenet_v3_small", "vit_b_32"])
def test_every_architecture_ends_in_one_output_per_class(name):
    module = build(name, 7, 64)
    assert head_of(module).out_features == 7
    assert module(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


def test_the_head_computes_in_float32_under_mixed_precision():
    module = SmallCNN(3, 8)
    with torch.autocast("cpu", torch.bfloat16):
        assert module.body(torch.rand(2, 3, 8, 8)).dtype == torch.bfloat16
        assert module(torch.rand(2, 3, 8, 8)).dtype == torch.float32


@pytest.mark.parametrize(("name", "size"), [("alexnet", 8), ("vit_b_16", 100)])
def test_an_architecture_that_cannot_take_such_images_says_so(name, size):
    with pytest.raises(DropError, match=f"{name}.*{size}x{size}.*image_size=224"):
        build(name, 2, size)


def test_weights_that_cannot_be_downloaded_name_the_remedy(tmp_path, monkeypatch):
    for name in ("https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")  # nobody listens there
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(DropError, match=r"https://.*resnet18.*checkpoints.*pretrained=False"):
        build("resnet18", 2, 224, pretrained=True)


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
