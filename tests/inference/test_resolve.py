"""Every kind of ``model=`` becomes a source of logits, or an error that says what is missing."""

import fiftyone.utils.torch as fout
import fiftyone.zoo as foz
import numpy as np
import pytest
import requests
import torch
import torchvision
from digit_models import CLASSES, TRANSFORM, fiftyone_model, network
from PIL import Image
from torch import nn

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.inference.image_model import ImageModel
from fiftyone_drop.inference.resolve import Extras, query_model, resolve
from fiftyone_drop.scoring import (
    SCORES,
)


def test_a_model_of_fiftyone_or_its_zoo_brings_transform_and_classes(small, score, monkeypatch):
    expected = score(small, ["el2n", "grand"], network())
    model = fiftyone_model(network())
    bare = {"classes": None, "transform": None}
    found = score(small, ["el2n", "grand"], model, prefix="fo_", **bare)
    np.testing.assert_allclose(found["fo_grand"], expected["grand"], rtol=1e-5)
    monkeypatch.setattr(foz, "list_zoo_models", lambda: ["digits-torch"])
    monkeypatch.setattr(foz, "load_zoo_model", lambda name: {"digits-torch": model}[name])
    found = score(small, ["el2n"], "digits-torch", prefix="zoo_", **bare)
    np.testing.assert_allclose(found["zoo_el2n"], expected["el2n"], rtol=1e-5)
    assert small.get_field("zoo_el2n").info["model"] == "digits-torch"


def test_a_torchvision_architecture_takes_a_checkpoint(small, score, tmp_path):
    torch.manual_seed(0)
    module = torchvision.models.resnet18(num_classes=10)
    wrapped = {f"module.{name}": value for name, value in module.state_dict().items()}
    torch.save({"state_dict": wrapped}, tmp_path / "weights.pt")
    view = small[:8]
    expected = score(view, ["loss"], module)["loss"]
    found = score(view, ["loss"], "resnet18", prefix="tv_", checkpoint=tmp_path / "weights.pt")
    np.testing.assert_allclose(found["tv_loss"], expected, rtol=1e-5)
    with pytest.raises(DropError, match="does not fit 'resnet18' with 3 classes"):
        score(view, ["loss"], "resnet18", checkpoint=tmp_path / "weights.pt", classes=list("abc"))
    with pytest.raises(DropError, match=r"checkpoint: must be given .* 'resnet18'"):
        score(view, ["loss"], "resnet18")


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_an_architecture_that_normalises_some_weights_input_again_is_refused(name, small, tmp_path):
    torch.save({}, tmp_path / "weights.pt")
    extras = Extras.of(None, CLASSES, tmp_path / "weights.pt", None)
    with pytest.raises(DropError, match=rf"^model: '{name}' normalises .*transform_input=True"):
        resolve(name, small, extras)


def test_what_a_query_model_reads_is_the_same_wherever_it_is(small):
    """A GPU divides otherwise, and another fingerprint would be another model."""
    paths = small[:3].values("filepath")
    here, elsewhere = (
        query_model(fod.QueryModel(module, CLASSES, "small-cnn", 8, (0.4,) * 3, (0.3,) * 3))
        for module in (network(), network().to("meta"))
    )
    assert elsewhere.reading(paths) == here.reading(paths) != b""


def test_a_wrapped_module_is_the_one_inside(small, score):
    module = network()
    expected = score(small, ["el2n", "grand_last_layer", "grand"], module)
    wrapped = nn.DataParallel(module)
    wrapped.classes, module.transform = list(CLASSES), TRANSFORM.forward
    found = score(small, list(expected), wrapped, prefix="w_", transform=None, classes=None)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[f"w_{name}"], values)
    assert small.get_field("w_el2n").info["model"] == small.get_field("el2n").info["model"]


def test_a_module_may_carry_its_transform_and_classes(small, score):
    expected = score(small, ["el2n"], network())["el2n"]
    module = network()
    module.transform, module.classes = TRANSFORM.forward, list(CLASSES)
    found = score(small, ["el2n"], module, prefix="own_", transform=None, classes=None)
    np.testing.assert_array_equal(found["own_el2n"], expected)


def test_a_transform_that_became_a_layer_is_refused(small, score):
    module = network()
    module.transform, module.classes = TRANSFORM, list(CLASSES)
    with pytest.raises(DropError, match=r"transform: as module.transform it became a layer"):
        score(small, ["el2n"], module, transform=None, classes=None)


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:.torch.jit:FutureWarning")
def test_a_frozen_model_is_refused_and_a_compiled_one_is_not(small, score):
    expected = score(small, ["el2n"], network(), "plain_")["plain_el2n"]
    compiled = torch.jit.script(network().eval())
    np.testing.assert_allclose(score(small, ["el2n"], compiled)["el2n"], expected, rtol=1e-5)
    frozen = torch.jit.freeze(compiled)
    for model in (frozen, torch.nn.Sequential(frozen)):
        with pytest.raises(
            DropError, match=r"model: must not be frozen by torch.jit.freeze, .* was"
        ):
            score(small, ["el2n"], model, "frozen_")


def test_models_without_logits_are_refused_with_the_way_round(small, score):
    config = fout.TorchImageModelConfig({"entrypoint_fcn": network, "device": "cpu"})
    with pytest.raises(DropError, match=r"image classifiers .*store_logits=True.*model='predic"):
        score(small, ["el2n"], fout.TorchImageModel(config))


def test_a_label_that_the_model_does_not_know_stops_only_scores_of_labels(small, score):
    names = [n for n, s in SCORES.items() if s.needs not in ("dynamics", "nothing")]
    for name in names:
        others = {"classes": [f"n{i}" for i in range(10)], "prefix": "other_"}
        if SCORES[name].uses_labels:
            with pytest.raises(DropError, match="which are labels in"):
                score(small, ["entropy", name], network(), **others)
        else:
            found = score(small, [name], network(), **others)[f"other_{name}"]
            np.testing.assert_allclose(found, score(small, [name], network())[name])


def test_hugging_faces_classifiers_are_scored_as_fiftyone_wraps_them(small, score, tmp_path):
    transformers = pytest.importorskip("transformers", reason="Hugging Face is not installed")
    import fiftyone.utils.transformers as fouh

    torch.manual_seed(0)
    config = transformers.ViTConfig(
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        image_size=16,
        patch_size=8,
        id2label=dict(enumerate(CLASSES)),
        label2id={name: i for i, name in enumerate(CLASSES)},
    )
    module = transformers.ViTForImageClassification(config).eval()
    processor = transformers.ViTImageProcessor(size={"height": 16, "width": 16})
    with torch.no_grad():
        for parameter in module.parameters():  # GraNd warns of untrained models
            parameter += 0.1 * torch.randn_like(parameter)
    module.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    model = fouh.FiftyOneTransformerForImageClassification(
        fouh.FiftyOneTransformerConfig({"name_or_path": str(tmp_path), "device": "cpu"})
    )
    bare = {"classes": None, "transform": None}
    found = score(small, ["el2n", "grand", "k_center"], model, **bare)
    images = [Image.open(path).convert("RGB") for path in small.values("filepath")]
    with torch.no_grad():
        logits = module(processor(images, return_tensors="pt")["pixel_values"]).logits
    errors = torch.softmax(logits, 1)
    for row, label in zip(errors, small.values("ground_truth.label"), strict=True):
        row[CLASSES.index(label)] -= 1
    np.testing.assert_allclose(found["el2n"], errors.norm(dim=1), rtol=1e-4)
    assert np.isfinite(found["grand"]).all()


def test_a_zoo_model_that_cannot_be_downloaded_is_the_models_fault(small, score, monkeypatch):
    def offline(name, **options):
        raise requests.exceptions.ConnectionError("no route to host")

    monkeypatch.setattr(foz, "list_zoo_models", lambda: ["far-away-torch"])
    monkeypatch.setattr(foz, "load_zoo_model", offline)
    bare = {"classes": None, "transform": None}
    with pytest.raises(DropError, match=r"^model: 'far-away-torch' could not be loaded .*no route"):
        score(small, ["el2n"], "far-away-torch", **bare)
    with pytest.raises(DropError, match=r"^model: 'far-away-torch' could not be loaded"):
        fod.plan_drop(small[:30], 0.5, validation=small[30:], model="far-away-torch")


def test_the_generators_of_gpus_are_the_callers(monkeypatch):
    model, seeds = ImageModel.behind(TRANSFORM, CLASSES, "a model", network()), []
    monkeypatch.setattr(torch.cuda, "manual_seed_all", seeds.append)
    before = torch.get_rng_state()
    assert model.fingerprint
    assert seeds == []
    assert torch.equal(torch.get_rng_state(), before)
