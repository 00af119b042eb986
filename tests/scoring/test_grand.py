"""GraNd over all parameters equals the loop over single samples, for any model."""

import copy

import numpy as np
import pytest
import torch
import torchvision
from score_references import REFERENCES
from torch import nn

from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.head import Head
from fiftyone_drop.scoring import GradientNorms, get_score, ghost_conv, per_sample_gradient_norms
from fiftyone_drop.scoring.coverage import find_coverage
from fiftyone_drop.scoring.gradients import _prepared
from fiftyone_drop.training.architectures import build

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model looks untrained:fiftyone_drop.errors.DropWarning"
)


def vision(name):
    if name == "vit":
        return torchvision.models.VisionTransformer(
            image_size=16,
            patch_size=8,
            num_layers=2,
            num_heads=2,
            hidden_dim=8,
            mlp_dim=16,
            num_classes=10,
        )
    model = torchvision.models.get_model(name, num_classes=10)
    if name == "vgg16_bn":
        # As the pruning papers use it on small images, without the 120 million weights.
        model.avgpool, model.classifier = nn.AdaptiveAvgPool2d(1), nn.Linear(512, 10)
    return model


class Tied(nn.Module):
    """Embedding and output layer share their table, as language models do."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(10, 6, padding_idx=0)
        self.norm = nn.LayerNorm(6)
        self.out = nn.Linear(6, 10, bias=False)
        self.out.weight = self.table.weight

    def forward(self, x):
        return self.out(self.norm(self.table(x)).mean(1))


class TiedByFunction(Tied):
    """The same, where only the graph shows it: the output layer is no module."""

    def __init__(self):
        super().__init__()
        del self.out

    def forward(self, x):
        return self.norm(self.table(x)).mean(1) @ self.table.weight.T


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.again, self.last = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 10)

    def forward(self, x):
        x = self.first(x.flatten(1)).relu()
        return self.last(self.again(self.again(x).relu()))


class Positions(nn.Module):
    """A position table is looked up once, for all samples: its first dimension is no batch."""

    def __init__(self):
        super().__init__()
        self.words, self.places, self.out = (
            nn.Embedding(10, 4),
            nn.Embedding(5, 4),
            nn.Linear(4, 10),
        )

    def forward(self, x):
        return self.out((self.words(x) + self.places(torch.arange(5))).tanh().mean(1))


class SequenceFirst(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer, self.out = nn.Linear(3, 4), nn.Linear(4, 10)

    def forward(self, x):
        return self.out(self.layer(x.transpose(0, 1)).tanh().mean(0))


class Unusual(nn.Module):
    """Bare parameters, an unused head, in-place activations, views, layers without a formula."""

    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.rand(3, 4, 4))
        self.unused = nn.Linear(7, 7)
        self.conv = nn.Conv1d(3, 5, 3)
        self.layer = nn.Linear(5, 6)
        self.out = nn.Linear(6, 10)
        self.act = nn.ReLU(inplace=True)

    def forward(self, x):
        x = self.act(self.conv((x * self.scale).flatten(2))).transpose(1, 2)
        return self.out(self.act(self.layer(x)).sum(1))


def words(n=5):
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 10, (n, 5), generator=generator)


def images(n=5, size=16, channels=3):
    return torch.randn(n, channels, size, size, generator=torch.Generator().manual_seed(2))


def check(model, inputs, rtol=1e-9, dtype=torch.float64):
    model = model.to(dtype).eval()
    inputs = inputs.to(dtype) if inputs.is_floating_point() else inputs
    labels = torch.arange(len(inputs)) % 10
    expected = REFERENCES["grand"](model, inputs, labels)
    norms = per_sample_gradient_norms(model, inputs, labels)
    assert norms.dtype == dtype
    np.testing.assert_allclose(norms.numpy(), expected, rtol=rtol)


def shuffled(model):
    """Scales and running statistics as training leaves them, not all zeros and ones."""
    generator = torch.Generator().manual_seed(3)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.ndim == 1 and value.is_floating_point():
                value.copy_(torch.rand(value.shape, generator=generator) + 0.5)
    return model


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


@pytest.mark.parametrize("model", [Tied, TiedByFunction, Positions])
@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_shared_tables_equal_the_loop_at_any_batch_size(model, n):
    torch.manual_seed(0)
    check(model(), words(n))


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_layers_called_twice_or_with_the_batch_elsewhere_equal_the_loop(n):
    torch.manual_seed(0)
    check(Twice(), images(n, 2))
    check(SequenceFirst(), images(n, 3)[:, 0])


def test_bare_parameters_and_in_place_activations_equal_the_loop():
    torch.manual_seed(0)
    check(Unusual(), images(5, 4))


@pytest.mark.parametrize(
    "options",
    [
        {"padding": 1},
        {"padding": (2, 0), "stride": (1, 2), "bias": False},
        {"padding": 1, "stride": 2, "dilation": 2},
        {"padding": "same", "kernel_size": (2, 4)},
        {"padding": "valid", "groups": 3},
        {"padding": 1, "groups": 3, "stride": 2},
        {"kernel_size": 1, "stride": 2},
        {"kernel_size": 1, "stride": 2, "padding": 1},
        {"padding": 1, "padding_mode": "reflect"},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Using padding='same'")
@pytest.mark.parametrize("form", ["_gram", "_batched", "_one_by_one"])
def test_every_form_of_a_convolution_equals_the_loop(monkeypatch, options, form):
    torch.manual_seed(0)
    chosen = getattr(ghost_conv, form)
    for other in ("_gram", "_batched", "_one_by_one"):
        monkeypatch.setattr(ghost_conv, other, lambda *args, f=chosen: f(*args))
    conv = nn.Conv2d(3, 6, **({"kernel_size": 3} | options))
    model = nn.Sequential(conv, nn.Tanh(), nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(24, 10))
    check(model, images(3, 9))


@pytest.mark.parametrize("places", [1, 2, 40])
def test_linear_layers_over_sequences_equal_the_loop(places):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(7, 10), nn.Tanh(), nn.Flatten(), nn.Linear(10 * places, 10))
    check(model, torch.randn(3, places, 7))


def test_norm_layers_equal_the_loop():
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 4, 1), nn.GroupNorm(2, 4), nn.BatchNorm2d(4), nn.LayerNorm((3, 3))]
    head = [nn.Flatten(), nn.BatchNorm1d(36), nn.LayerNorm(36), nn.Linear(36, 10)]
    check(shuffled(nn.Sequential(*layers, nn.Tanh(), *head)), images(3, 3))


@pytest.mark.filterwarnings("error")
def test_every_layer_of_our_query_models_has_a_formula():
    torch.manual_seed(0)
    model = shuffled(build("small-cnn", 10, 8)).eval()
    with _prepared(model, "cpu") as trainable:
        plan = find_coverage(model, trainable, images(2, 8))
    assert plan.rest == []
    assert isinstance(model.head, Head)
    assert model.head in plan.hooked
    check(model, images(4, 8), rtol=1e-4, dtype=torch.float32)


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


def plain(bias=None):
    """Without norms; initialised as PyTorch does, or with constant biases, as VGG and others."""
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(1568, 10))
    for layer in (model[0], model[-1]) if bias is not None else ():
        nn.init.kaiming_normal_(layer.weight)
        nn.init.constant_(layer.bias, bias)
    return model


def group_norm():
    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.GroupNorm(2, 8), nn.Flatten(), nn.Linear(1568, 10))


def trained(model, decay=0.0, steps=3):
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, weight_decay=decay)
    for _ in range(steps):
        nn.functional.cross_entropy(model(images(8)), torch.arange(8)).backward()
        optimizer.step()
        optimizer.zero_grad()
    return model


MODELS = {
    "batch norm": lambda: vision("resnet18"),
    "layer norm": lambda: vision("vit"),
    "group norm": group_norm,
    "no norm": plain,
    "biases of zero": lambda: plain(0.0),
}


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.filterwarnings("error")
def test_an_untrained_model_is_warned_about_and_a_trained_one_is_not(kind):
    torch.manual_seed(0)
    model = MODELS[kind]()
    with pytest.warns(DropWarning, match=r"2303\.14753"):
        GradientNorms(model)
    GradientNorms(trained(model))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.filterwarnings("error")
def test_weights_that_decay_are_not_taken_for_initial_ones(seed):
    torch.manual_seed(seed)
    GradientNorms(trained(plain(), decay=10.0, steps=2))


@pytest.mark.filterwarnings("error")
def test_what_is_frozen_says_nothing_about_the_training():
    torch.manual_seed(0)
    model = group_norm()
    model[:2].requires_grad_(False)
    with pytest.warns(DropWarning, match="untrained"):
        GradientNorms(model)
    GradientNorms(trained(model))


def test_a_batch_norm_without_running_statistics_is_refused():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))
    with pytest.raises(DropError, match="depends on its batch"):
        GradientNorms(model)


def test_bad_input_is_an_error_that_names_it():
    with pytest.raises(DropError, match="`inputs` and `labels`"):
        per_sample_gradient_norms(Twice(), images(3, 2), torch.arange(2))
    with pytest.raises(DropError, match="must return logits"):
        per_sample_gradient_norms(nn.Conv2d(3, 4, 1), images(3, 2), torch.arange(3))
    with pytest.raises(DropError, match="chunk_size"):
        GradientNorms(Twice(), chunk_size=0)
