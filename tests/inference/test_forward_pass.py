"""One model on a batch: any wrapping of logits, mixed precision, and no trace afterwards."""

import numpy as np
import pytest
import torch
from digit_models import CLASSES, TRANSFORM, network
from PIL import Image
from torch import nn

from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.engine.images import Transformed
from fiftyone_drop.inference.forward_pass import Scorer
from fiftyone_drop.inference.image_model import ImageModel


def test_a_module_may_wrap_its_logits(small, score):
    class Wrapped(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, images):
            return {"logits": self.inner(images)}

    expected = score(small, ["el2n", "grand_last_layer", "grand"], network())
    found = score(small, ["el2n", "grand_last_layer", "grand"], Wrapped(), prefix="w_")
    for name, values in expected.items():
        np.testing.assert_allclose(found[f"w_{name}"], values, rtol=1e-5)


def test_the_model_is_left_as_it_was(small, score):
    module = network().train()
    module[2].eval()
    module[0].bias.requires_grad_(False)
    modes = [m.training for m in module.modules()]
    wanted = [p.requires_grad for p in module.parameters()]
    before = {name: value.clone() for name, value in module.state_dict().items()}
    score(small, ["el2n", "grand", "grand_last_layer"], module)
    assert [m.training for m in module.modules()] == modes
    assert [p.requires_grad for p in module.parameters()] == wanted
    assert all(p.grad is None for p in module.parameters())
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert not any(m._forward_hooks for m in module.modules())


def test_mixed_precision_ends_before_the_last_layer(digits):
    read = Transformed(TRANSFORM)
    images = torch.stack([read(str(path)) for path in digits[0][:16]])
    labels = np.arange(16) % 10
    tables = []
    for mixed in (False, True):
        model = ImageModel(CLASSES, "a model", network(), read)
        scorer = Scorer(model, {"el2n": {}, "margin": {}}, mixed=mixed)
        with scorer.ready():
            scorer.probe(images[0])
            tables.append(scorer(images, labels)[0])
    assert not np.array_equal(*tables)
    np.testing.assert_allclose(*tables, atol=2e-2)


class Divided(nn.Linear):
    """A last layer of somebody's own."""

    def forward(self, features):
        return super().forward(features) / 3


def ends_in(kind):
    torch.manual_seed(0)
    body = [nn.Conv2d(3, 8, 3), nn.ReLU()]
    pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten()]
    ends = {
        "convolution": [nn.Conv2d(8, 10, 1), *pooled],
        "softmax": [*pooled, nn.Linear(8, 10), nn.Softmax(1)],
        "own layer": [*pooled, Divided(8, 10)],
    }
    return nn.Sequential(*body, *ends[kind])


@pytest.mark.filterwarnings("ignore:.* seems to return probabilities")
@pytest.mark.parametrize("kind", ["convolution", "softmax", "own layer"])
def test_a_model_that_ends_otherwise_than_in_a_linear_layer_runs_in_float32(digits, kind):
    read = Transformed(TRANSFORM)
    images = torch.stack([read(str(path)) for path in digits[0][:64]])
    found = []
    for mixed in (False, True):
        scorer = Scorer(ImageModel(CLASSES, "", ends_in(kind), read), {"el2n": {}}, mixed=mixed)
        with scorer.ready():
            scorer.probe(images[0])
            found.append(scorer.logits(images))
    assert torch.equal(*found)
    assert not torch.equal(found[1], found[1].half().float())


def test_a_batch_that_overflows_in_half_precision_is_computed_again(digits):
    read = Transformed(TRANSFORM)
    images = torch.stack([read(str(path)) for path in digits[0][:4]])
    module = network()
    with torch.no_grad():
        module[0].weight *= 1e6
        module[0].bias *= 1e6
        module[-1].weight /= 1e6
    tables = []
    for mixed in (False, True):
        scorer = Scorer(ImageModel(CLASSES, "", module, read), {"loss": {}}, mixed=mixed)
        with scorer.ready():
            scorer.probe(images[0])
            tables.append(scorer(images, np.arange(4))[0])
    np.testing.assert_array_equal(*tables)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_module_of_another_precision_gets_inputs_of_its_own(digits, dtype):
    read = Transformed(TRANSFORM)
    images = torch.stack([read(str(path)) for path in digits[0][:16]])
    switches, tables = {"el2n": {}, "margin": {}, "grand": {}, "class_mean_distance": {}}, []
    for module in (network(), network().to(dtype)):
        model = ImageModel(CLASSES, "a model", module, read)
        scorer = Scorer(model, switches)
        with scorer.ready():
            scorer.probe(images[0])
            scores, embeddings, finite = scorer(images, np.arange(16) % 10)
            assert scorer.logits(images).dtype == torch.float32
        assert scores.dtype == embeddings.dtype == np.float32
        assert finite.all()
        tables.append(scores)
    np.testing.assert_allclose(*tables, rtol=0.05, atol=0.02)


def test_logits_of_a_half_precision_module_do_not_tie(digits):
    read = Transformed(TRANSFORM)
    images = torch.stack([read(str(path)) for path in digits[0][:64]])
    scorer = Scorer(ImageModel(CLASSES, "", network().bfloat16(), read), {"margin": {}})
    with scorer.ready():
        scorer.probe(images[0])
        logits = scorer.logits(images)
    assert not torch.equal(logits, logits.bfloat16().float())


def test_a_model_that_does_not_fit_on_its_device_is_brought_back():
    moves = []

    class Large(nn.Linear):
        def to(self, device):
            moves.append(str(device))
            if moves == ["meta"]:  # in the place of a GPU
                raise torch.OutOfMemoryError("CUDA out of memory")

    device = torch.device("meta")
    model = ImageModel(CLASSES, "a model", Large(4, 10), Transformed(TRANSFORM), device=device)
    with (
        pytest.raises(DropError, match="device: not even one"),
        Scorer(model, {"el2n": {}}).ready(),
    ):
        pass
    assert moves == ["meta", "cpu"]


class Around(nn.Module):
    """Something before and after a network."""

    def __init__(self, before=lambda images: images, after=lambda logits: logits):
        super().__init__()
        self.inner, self.before, self.after = network(), before, after

    def forward(self, images):
        return self.after(self.inner(self.before(images)))


def test_a_model_may_change_its_inputs_in_place(small, score):
    """Nor do the models after it see the change."""
    names = ["el2n", "grand", "k_center"]
    given = {"transform": lambda image: TRANSFORM(image)}  # of which no step waits for the batch
    beside = Around(lambda images: images.sub(0.5).mul(4))
    expected = score(small, names, [beside] * 2, "out_", **given)
    changing = Around(lambda images: images.sub_(0.5).mul_(4))
    found = score(small, names, [changing] * 2, "in_", **given)
    assert len(expected) == len(found)
    for name, values in expected.items():
        np.testing.assert_allclose(found[name.replace("out_", "in_")], values, rtol=1e-5)


def test_a_transform_with_weights_leaves_the_scores_as_they_are(small, score):
    blur = nn.Conv2d(3, 3, 3, padding=1)
    given = {"transform": lambda image: blur(TRANSFORM(image)).detach()}
    expected = score(small, ["el2n", "grand"], network(), "plain_", **given)
    given = {"transform": lambda image: blur(TRANSFORM(image))}
    found = score(small, ["el2n", "grand"], network(), **given)
    for name, values in found.items():
        assert (values > 0).any()
        np.testing.assert_allclose(values, expected[f"plain_{name}"], rtol=1e-5)


def test_a_model_may_name_the_inputs_of_its_layers(small, score):
    class Naming(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = network()

        def forward(self, images):
            return self.inner[-1](input=self.inner[:-1](images))

    names = ["el2n", "grand_last_layer", "grand"]
    expected = score(small, names, network(), "plain_")
    for name, values in score(small, names, Naming()).items():
        np.testing.assert_allclose(values, expected[f"plain_{name}"], rtol=1e-5)


def test_a_model_that_returns_probabilities_is_warned_of_once(small, score):
    with pytest.warns(
        DropWarning, match=r"Around \(.*\) seems to return probab.*softmax"
    ) as caught:
        score(small, ["el2n", "margin"], Around(after=lambda x: x.softmax(1)), batch_size=10)
    assert len(caught) == 1


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_probabilities_of_any_precision_are_known(digits, dtype):
    images = TRANSFORM(Image.open(digits[0][0]).convert("RGB"))
    module = Around(after=lambda x: x.softmax(1)).to(dtype)
    scorer = Scorer(ImageModel(CLASSES, "it", module, Transformed(TRANSFORM)), {"el2n": {}})
    with scorer.ready(), pytest.warns(DropWarning, match="seems to return probabilities"):
        scorer.probe(images)


def test_logits_of_probabilities_have_the_scores_of_logits_and_no_warning(small, score):
    expected = score(small, ["el2n"], network(), "plain_")["plain_el2n"]
    found = score(small, ["el2n"], Around(after=lambda x: x.log_softmax(1)))["el2n"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def test_a_model_of_one_class_is_always_sure_and_not_warned_of(digits):
    image = TRANSFORM(Image.open(digits[0][0]).convert("RGB"))
    module = nn.Sequential(nn.Flatten(), nn.Linear(image.numel(), 1), nn.Softmax(1))
    model = ImageModel(CLASSES[:1], "it", module, Transformed(TRANSFORM))
    Scorer(model, {"el2n": {}}).probe(image)
