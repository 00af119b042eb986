"""Every kind of ``model=`` becomes a source of logits, or an error that says what is missing."""

import fiftyone.utils.torch as fout
import fiftyone.zoo as foz
import numpy as np
import pytest
import torch
import torchvision
from digit_models import CLASSES, TRANSFORM, fiftyone_model, network

from fiftyone_drop import DropError
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
