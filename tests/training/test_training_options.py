"""Options of a training: refused, filled in, or stored as plain values."""

import dataclasses

import numpy as np
import pytest

from fiftyone_drop import DropError
from fiftyone_drop.training import TrainingOptions, train


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"architecture": "resnet19"}, "'auto', .*'resnet19'; try 'resnet"),
        ({"architecture": "inception_v3"}, "'inception_v3'"),
        ({"architecture": 18}, "must be a text, but got 18"),
        ({"pretrained": True, "architecture": "small-cnn"}, "must be False .*resnet18"),
        ({"pretrained": 1}, "must be True or False, but got 1"),
        ({"epochs": 0}, r"in \[1, 100000\] or None, but got 0"),
        ({"epochs": 2.5}, "but got 2.5"),
        ({"batch_size": 1}, ">= 2, but got 1"),
        ({"batch_size": True}, "but got True"),
        ({"learning_rate": 0}, r"in \(0, inf\) or None, but got 0"),
        ({"learning_rate": float("nan")}, "but got nan"),
        ({"momentum": 1.0}, r"in \(0, 1\), but got 1.0"),
        ({"momentum": "0.9"}, "but got '0.9'"),
        ({"weight_decay": -1e-4}, r"in \[0, inf\), but got -0.0001"),
        ({"image_size": 7}, r"in \[8, 4096\] or None, but got 7"),
        ({"device": "tpu9"}, "must be a device of this machine, .*'tpu9'"),
        ({"device": 3}, "must be a text, but got 3"),
        ({"workers": 0}, r"in \[1, 1024\] or None"),
        ({"seed": -1}, ">= 0, but got -1"),
        ({"seed": 2**70}, "but got 11805"),
        ({"seed": "51"}, "but got '51'"),
        ({"deterministic": "yes"}, "must be True or False, but got 'yes'"),
    ],
)
def test_a_bad_option_is_named_with_its_rule_and_value(options, words):
    with pytest.raises(DropError, match=words) as refused:
        TrainingOptions(**options)
    assert refused.value.argument == next(iter(options))


@pytest.mark.parametrize("kind", [np.array, lambda value: np.array(value)[()]])
def test_options_are_plain_values_whatever_holds_them(kind):
    plain = {
        "architecture": "resnet18",
        "pretrained": False,
        "epochs": 3,
        "batch_size": 7,
        "learning_rate": 0.5,
        "momentum": 0.5,
        "weight_decay": 0.25,
        "image_size": 9,
        "device": "cpu",
        "workers": 2,
        "seed": 2**40,
        "deterministic": True,
    }
    options = TrainingOptions(**{name: kind(value) for name, value in plain.items()})
    values = dataclasses.asdict(options)
    assert values == plain
    assert {name: type(value) for name, value in values.items()} == {
        name: type(value) for name, value in plain.items()
    }
    assert options == TrainingOptions(**plain)


def test_a_batch_size_of_numpy_goes_into_the_name_of_a_checkpoint(few, tmp_path):
    options = TrainingOptions(epochs=1, batch_size=np.int64(70), device="cpu")
    train(*few, options, checkpoint_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


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
