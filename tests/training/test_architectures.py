"""Networks by name: one output per class, or an error that names the remedy."""

import pytest
import torch

from fiftyone_drop import DropError
from fiftyone_drop.training.architectures import SmallCNN, build, head_of


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
