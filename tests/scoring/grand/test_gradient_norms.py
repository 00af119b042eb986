"""GraNd over all parameters equals the loop over single samples, for any model."""

import copy
import warnings

import numpy as np
import pytest
import torch
from grand_models import Positions, Twice, check, images, shuffled, vision, words
from torch import nn

from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.scoring import get_score, per_sample_gradient_norms
from fiftyone_drop.scoring.grand.gradient_norms import GradientNorms

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model looks untrained:fiftyone_drop.errors.DropWarning"
)


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-9), (torch.float32, 1e-3)])
@pytest.mark.parametrize("name", ["resnet18", "vgg16_bn", "vit"])
def test_a_vision_model_equals_the_loop(name, dtype, rtol):
    torch.manual_seed(0)
    size = 32 if name == "vgg16_bn" else 16
    check(shuffled(vision(name)), images(3, size), rtol, dtype)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenet_v3_small", "shufflenet_v2_x0_5", "densenet121"])
def test_more_vision_models_equal_the_loop(name):
    torch.manual_seed(0)
    check(shuffled(vision(name)), images(2, 32))


@pytest.mark.parametrize(
    ("kind", "hook"),
    [
        ("forward", lambda layer, args, output: output.square()),
        ("forward_pre", lambda layer, args: (3 * args[0],)),
        ("full_backward", lambda layer, grad_in, grad_out: (3 * grad_in[0],)),
        ("full_backward_pre", lambda layer, grad_out: (3 * grad_out[0],)),
    ],
)
def test_hooks_of_the_user_count(kind, hook):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
    model.append(nn.Linear(8, 10))
    getattr(model[3], f"register_{kind}_hook")(hook)
    check(model, images(3, 2))


@pytest.mark.parametrize("frozen", [True, False])
def test_layers_after_a_hook_that_asks_for_a_gradient_count(frozen):
    """Libraries of adapters have one on the first layer, since all before adapters is frozen."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 8), nn.Tanh())
    model.append(nn.Linear(8, 10))
    model[1].requires_grad_(not frozen)
    model[1].register_forward_hook(lambda layer, args, output: output.requires_grad_(True))
    with warnings.catch_warnings():  # vmap knows no requires_grad_
        warnings.filterwarnings("ignore", "torch.func.vmap cannot vectorise", DropWarning)
        check(model, images(3, 2))


def test_layers_after_a_tensor_that_requires_a_gradient_count():
    torch.manual_seed(0)

    class Prompted(Twice):
        def __init__(self):
            super().__init__()
            self.prompt = torch.ones((), requires_grad=True)  # no parameter

        def forward(self, x):
            return super().forward(x * self.prompt)

    model = Prompted()
    check(model, images(3, 2))
    assert model.prompt.grad is None


def test_inputs_that_require_a_gradient_have_the_norms_of_those_that_do_not():
    torch.manual_seed(0)
    model, inputs, labels = Twice(), images(3, 2), torch.arange(3)
    expected = per_sample_gradient_norms(model, inputs, labels)
    assert expected.gt(0).all()
    weight = torch.ones((), requires_grad=True)  # as of a transform
    for given in (inputs.clone().requires_grad_(), weight * inputs):
        torch.testing.assert_close(per_sample_gradient_norms(model, given, labels), expected)
    assert weight.grad is None


def test_a_model_may_change_its_inputs_in_place():
    class InPlace(Twice):
        def forward(self, x):
            return super().forward(x.sub_(0.5).mul_(4))

    torch.manual_seed(0)
    model, inputs, labels = InPlace(), images(3, 2), torch.arange(3)
    found = per_sample_gradient_norms(model, inputs, labels)
    assert torch.equal(inputs, images(3, 2))
    plain = Twice()
    plain.load_state_dict(model.state_dict())
    expected = per_sample_gradient_norms(plain, (inputs - 0.5) * 4, labels)
    torch.testing.assert_close(found, expected)


def test_half_precision_gradients_do_not_underflow():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 10)).eval()
    inputs, labels = 1e-3 * images(4, 2), torch.arange(4)
    full = per_sample_gradient_norms(model, inputs, labels)
    half = per_sample_gradient_norms(copy.deepcopy(model).bfloat16(), inputs.bfloat16(), labels)
    np.testing.assert_allclose(half, full, rtol=0.02)


def test_frozen_parameters_do_not_count():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 10))
    model[1].requires_grad_(False)
    check(model, images(3, 2))
    model.requires_grad_(False)
    with pytest.raises(DropError, match="all are frozen"):
        GradientNorms(model)


def test_the_model_is_left_as_it_was():
    model = shuffled(vision("resnet18")).train()
    model.layer1.eval()
    model.conv1.weight.requires_grad_(False)
    model.fc.bias.grad = torch.ones(10)
    before = copy.deepcopy(model.state_dict())
    modes = [m.training for m in model.modules()]
    with torch.no_grad():
        per_sample_gradient_norms(model, images(2), torch.tensor([0, 1]))
    assert [m.training for m in model.modules()] == modes
    assert [n for n, p in model.named_parameters() if not p.requires_grad] == ["conv1.weight"]
    assert [n for n, p in model.named_parameters() if p.grad is not None] == ["fc.bias"]
    assert model.fc.bias.grad.eq(1).all()
    assert all(torch.equal(before[k], v) for k, v in model.state_dict().items())
    assert not any(m._forward_hooks for m in model.modules())


def test_the_model_is_left_as_it_was_after_an_error():
    model = Twice().train()
    with pytest.raises(RuntimeError):
        per_sample_gradient_norms(model, images(2, 5), torch.tensor([0, 1]))
    assert model.training
    assert all(p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks for m in model.modules())


def test_one_object_serves_batches_of_any_size():
    torch.manual_seed(0)
    norms, inputs, labels = GradientNorms(Positions().eval()), words(7), torch.arange(7)
    parts = [norms(inputs[part], labels[part]) for part in (slice(0, 4), slice(4, 6), slice(6, 7))]
    torch.testing.assert_close(torch.cat(parts), norms(inputs, labels))
    assert norms(inputs[:0], labels[:0]).shape == (0,)


def test_inference_mode_and_autocast_around_it_do_not_matter():
    torch.manual_seed(0)
    model, labels = Twice(), torch.arange(3)
    expected = per_sample_gradient_norms(model, images(3, 2), labels)
    with torch.inference_mode(), torch.autocast("cpu"):
        inside = per_sample_gradient_norms(model, images(3, 2), labels)
    torch.testing.assert_close(inside, expected)


def test_another_loss_can_be_given():
    torch.manual_seed(0)
    model, inputs, labels = Twice(), images(3, 2), torch.arange(3)
    norms = GradientNorms(
        model, loss=lambda z, y: 2 * nn.functional.cross_entropy(z, y, reduction="none")
    )
    torch.testing.assert_close(
        norms(inputs, labels), 2 * per_sample_gradient_norms(model, inputs, labels)
    )


def test_the_last_layer_alone_gives_last_layer_grand():
    torch.manual_seed(0)
    features, labels = torch.randn(6, 5), torch.arange(6)
    model = nn.Linear(5, 10)
    expected = get_score("grand_last_layer").function(model(features), labels, features)
    torch.testing.assert_close(per_sample_gradient_norms(model, features, labels), expected)


def test_a_model_that_vmap_cannot_trace_is_done_one_by_one_with_a_warning():
    class Branching(Twice):
        def forward(self, x):
            return super().forward(x if x.sum() > -1e9 else -x)

    torch.manual_seed(0)
    with pytest.warns(DropWarning, match="one sample at a time"):
        check(Branching(), images(3, 2))


def test_a_batch_norm_without_running_statistics_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(DropError, match="depends on its batch"):
        GradientNorms(model)


@pytest.mark.parametrize(
    ("call", "argument", "message"),
    [
        (
            lambda: per_sample_gradient_norms(Twice(), images(3, 2), torch.arange(2)),
            "labels",
            r"must have the shape \(3,\), one per input, but got \(2,\)",
        ),
        (
            lambda: per_sample_gradient_norms(nn.Conv2d(3, 4, 1), images(3, 2), torch.arange(3)),
            "module",
            "must return logits",
        ),
        (lambda: GradientNorms(Twice(), chunk_size=0), "chunk_size", "must be a whole number >= 1"),
        (lambda: GradientNorms(Twice(), chunk_size=2.0), "chunk_size", "but got 2.0"),
    ],
)
def test_bad_input_is_an_error_that_names_it(call, argument, message):
    with pytest.raises(DropError, match=message) as error:
        call()
    assert error.value.argument == argument
