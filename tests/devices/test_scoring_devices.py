"""Scores on the device that a user gets equal those of the CPU in double precision."""

import copy
from contextlib import ExitStack, nullcontext
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from digit_models import CLASSES, TRANSFORM, network
from grand_models import shuffled, vision, whole_float32
from histories import labels, record, regular
from PIL import Image
from score_references import REFERENCES
from torchvision.transforms import transforms as v1

from fiftyone_drop.engine.images import Transformed
from fiftyone_drop.errors import DropError
from fiftyone_drop.inference.forward_pass import Scorer
from fiftyone_drop.inference.image_model import ImageModel
from fiftyone_drop.inference.source import PassOptions, Request
from fiftyone_drop.inference.transforms import split
from fiftyone_drop.scoring import (
    SCORES,
    DynamicsRecorder,
    class_mean_distance,
    forward_scores,
    herding,
    k_center,
    k_center_order,
    zcore,
)
from fiftyone_drop.scoring.grand.gradient_norms import GradientNorms
from fiftyone_drop.scoring.registry import deal_switches

pytestmark = pytest.mark.filterwarnings(
    "ignore:The model looks untrained:fiftyone_drop.errors.DropWarning"
)

READ = Transformed(TRANSFORM)
FORWARD = [name for name, score in SCORES.items() if score.needs in ("logits", "features")]
FROM_IMAGES = [name for name, s in SCORES.items() if s.needs not in ("dynamics", "nothing")]


def on_cpu(module, paths, codes):
    """Forward scores of images on the CPU in float64."""
    module = copy.deepcopy(module).double().eval()
    with torch.no_grad():
        features = module[:-1](torch.stack([READ(path) for path in paths]).double())
        logits = module[-1](features)
    return forward_scores(FORWARD, logits, torch.from_numpy(codes), features)


def scored(module, few, device, scores=FORWARD, mixed=None, batch=None):
    """The scores of one batch by the package's forward pass."""
    paths, codes, _ = few
    model = ImageModel(CLASSES, "", module, READ, device=device)
    scorer = Scorer(model, deal_switches(scores, {}), mixed=mixed)
    images = torch.stack([READ(path) for path in paths])
    with scorer.ready():
        scorer.probe(images[0])
        return scorer(images, codes)


def whole_pass(module, few, device, scores=FROM_IMAGES, **options):
    """The scores of files by the package's pass over images, and the sentences on failures."""
    paths, codes, _ = few
    with ExitStack() as until_written:
        request = Request(
            ids=np.array([f"{i:024x}" for i in range(len(paths))], "S24"),
            paths=paths,
            labels=[codes],
            switches=deal_switches(scores, {}),
            options=PassOptions(**options),
            until_written=until_written,
            bar=lambda steps: nullcontext(SimpleNamespace(update=lambda done: None)),
        )
        model = ImageModel(CLASSES, "", module, READ, device=device)
        found = ImageModel.score_together([model], request)
    return {name: values[0] for name, values in found.tables.items()}, found.missing


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_scores_of_logits_do_not_depend_on_the_device(device, dtype):
    random = np.random.default_rng(0)
    logits = torch.from_numpy(random.normal(size=(500, 10))).to(dtype)
    features = torch.from_numpy(random.normal(size=(500, 32))).to(dtype)
    codes = torch.from_numpy(random.integers(0, 10, 500))
    expected = forward_scores(FORWARD, logits.double(), codes, features.double())
    found = forward_scores(FORWARD, logits.to(device), codes.to(device), features.to(device))
    for name in FORWARD:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-5, atol=1e-6, err_msg=name)


def test_one_batch_in_float32_equals_double_precision_on_the_cpu(few, device):
    module = network()
    expected = on_cpu(module, few[0], few[1])
    with whole_float32():
        found, _, finite = scored(module, few, device, mixed=False)
    assert finite.all()
    for row, name in zip(found[:-2], FORWARD, strict=True):  # and the outcomes
        np.testing.assert_allclose(row, expected[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_one_batch_in_the_device_s_own_precision_is_close_to_double_precision(few, device):
    module = network()
    expected = on_cpu(module, few[0], few[1])
    found, _, _ = scored(module, few, device)
    for row, name in zip(found[:-2], FORWARD, strict=True):  # and the outcomes
        np.testing.assert_allclose(row, expected[name], rtol=2e-2, atol=3e-2, err_msg=name)
        assert len(np.unique(row)) >= 100, f"{name}: half precision makes ties"


def test_mixed_precision_of_a_resnet_orders_samples_as_double_precision_does(device):
    torch.manual_seed(0)
    module = shuffled(vision("resnet18")).eval()
    images = torch.randn(64, 3, 32, 32)
    with torch.no_grad():
        exact = copy.deepcopy(module).double()(images.double())
    model = ImageModel(CLASSES, "", module, READ, device=device)
    scorer = Scorer(model, {"el2n": {}}, mixed=True)
    with scorer.ready():
        scorer.probe(images[0])
        logits = scorer.logits(images)
    assert logits.dtype == torch.float32
    assert ((logits - exact).norm() / exact.norm()).item() < 0.02
    assert next(module.parameters()).device.type == "cpu"  # where it was


def test_the_logits_of_a_convolution_do_not_tie(few, device):
    torch.manual_seed(0)
    body = [torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 10, 1)]
    module = torch.nn.Sequential(*body, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    model = ImageModel(CLASSES, "", module, READ, device=device)
    scorer = Scorer(model, {"el2n": {}})
    images = torch.stack([READ(path) for path in few[0]])
    with scorer.ready():
        scorer.probe(images[0])
        logits = scorer.logits(images)
    assert not torch.equal(logits, logits.half().float())


def test_an_overflow_in_half_precision_is_computed_again(few, device):
    module = network()
    with torch.no_grad():
        module[0].weight *= 1e6
        module[0].bias *= 1e6
        module[-1].weight /= 1e6
    half, _, finite = scored(module, few, device, mixed=True)
    whole, _, _ = scored(module, few, device, mixed=False)
    assert finite.all()
    np.testing.assert_array_equal(half, whole)


@pytest.mark.parametrize("name", ["resnet18", "vgg16_bn", "vit"])
def test_gradient_norms_in_the_default_precision_are_close_to_the_loop(device, name):
    torch.manual_seed(0)
    model = shuffled(vision(name)).to(device).eval()
    size = 32 if name == "vgg16_bn" else 16
    inputs, codes = torch.randn(8, 3, size, size, device=device), torch.arange(8, device=device)
    norms = GradientNorms(model)(inputs, codes)
    model = model.double()
    expected = REFERENCES["grand"](model, inputs.double(), codes)
    np.testing.assert_allclose(norms.cpu().numpy(), expected, rtol=2e-2)


def test_scores_of_embeddings_do_not_depend_on_the_device(device):
    random = np.random.default_rng(0)
    table = random.normal(size=(400, 24)).astype(np.float32)
    codes = random.integers(0, 5, 400)
    there = torch.from_numpy(table).to(device)
    np.testing.assert_array_equal(k_center_order(there, 100), k_center_order(table, 100))
    np.testing.assert_allclose(k_center(there, picks=100), k_center(table, picks=100), rtol=1e-6)
    np.testing.assert_array_equal(herding(there, codes), herding(table, codes))
    np.testing.assert_allclose(zcore(there), zcore(table), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(
        class_mean_distance(there, codes), class_mean_distance(table, codes), rtol=1e-5
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_recorded_dynamics_do_not_depend_on_the_device(device, dtype):
    history = [
        [(i, torch.from_numpy(z).to(dtype).double().numpy()) for i, z in epoch]
        for epoch in regular()
    ]
    expected = record(history, window=5).finish()
    recorder = DynamicsRecorder(len(labels()), torch.from_numpy(labels()).to(device), window=5)
    for epoch in history:
        for start in range(0, len(epoch), 6):
            rows = epoch[start : start + 6]
            logits = torch.tensor(np.array([z for _, z in rows])).to(device, dtype)
            recorder.update(torch.tensor([i for i, _ in rows], device=device), logits)
        state = recorder.state_dict()  # in the middle of an epoch
        recorder = DynamicsRecorder(len(labels()), labels(), window=5)
        recorder.load_state_dict(state)
        recorder.end_epoch()
    found = recorder.finish()
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-4, atol=1e-5, err_msg=name)


def test_a_pass_over_files_gives_every_score_on_the_device(few, device):
    found, missing = whole_pass(network(), few, device)
    expected = on_cpu(network(), few[0], few[1])
    assert missing == []
    assert set(found) == set(FROM_IMAGES)
    for name, values in found.items():
        assert np.isfinite(values).all(), name
    for name in FORWARD:
        np.testing.assert_allclose(found[name], expected[name], rtol=2e-2, atol=3e-2, err_msg=name)


def test_the_end_of_a_transform_gives_the_same_bits_on_the_device(few, device):
    transform = v1.Compose([v1.ToTensor(), v1.Normalize((0.4, 0.5, 0.6), (0.2, 0.3, 0.4))])
    single, batch = split(transform)
    images = [Image.open(path).convert("RGB") for path in few[0]]
    pixels = torch.stack([single(image) for image in images])
    expected = torch.stack([transform(image) for image in images])
    assert torch.equal(batch(pixels.to(device)).cpu(), expected)


def test_a_deterministic_pass_gives_the_same_bits_twice(few, device):
    one, other = (
        whole_pass(network(), few, device, FORWARD, deterministic=True)[0] for _ in range(2)
    )
    for name, values in one.items():
        np.testing.assert_array_equal(values, other[name], err_msg=name)


def test_a_pass_halves_its_batches_when_the_gpu_is_out_of_memory(few, hungry, cuda):
    module = hungry(network())
    found, missing = whole_pass(module, few, cuda, ["el2n"], batch_size=64)
    sizes = module.sizes[1:]  # the first call tries the model out
    assert max(sizes) == 64
    assert 1 <= sizes[-1] < 8
    assert missing == []
    expected, _ = whole_pass(network(), few, torch.device("cpu"), ["el2n"])
    np.testing.assert_allclose(found["el2n"], expected["el2n"], rtol=2e-2, atol=2e-2)


def test_an_image_that_the_gpu_cannot_hold_is_an_error_with_a_remedy(few, cuda, little_memory):
    class TooHungry(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network()

        def forward(self, images):
            images.new_empty(2**28, dtype=torch.float32)
            return self.network(images)

    with pytest.raises(DropError, match="not even one image at a time fits"):
        whole_pass(TooHungry(), few, cuda, ["el2n"])
    assert torch.ones(2, device=cuda).sum() == 2  # the GPU goes on
