"""Models with two outputs of one name, as FiftyOne's list of ImageNet's classes has them."""

import fiftyone as fo
import numpy as np
import pytest
import torch
from digit_models import CLASSES, TRANSFORM, own
from PIL import Image
from torch import nn

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.inference.class_names import ClassNames
from fiftyone_drop.scoring import SCORES

TWICE = (*CLASSES, "nine")
WITH_LABELS = [
    name
    for name, score in SCORES.items()
    if score.uses_labels and score.needs in ("logits", "features", "model")
]


class Knowing(nn.Module):
    """A perfect classifier with eleven outputs: every second nine is of the last one."""

    def __init__(self, samples):
        super().__init__()
        paths, labels = samples.values(["filepath", "ground_truth.label"])
        nines = np.cumsum([label == "nine" for label in labels])
        self.outputs = [
            10 if label == "nine" and n % 2 == 0 else CLASSES.index(label)
            for label, n in zip(labels, nines, strict=True)
        ]
        images = [TRANSFORM(Image.open(path).convert("RGB")) for path in paths]
        self.images = torch.stack(images).flatten(1)
        self.head = nn.Linear(11, 11)
        with torch.no_grad():
            self.head.weight.copy_(9 * torch.eye(11) + 0.1 * torch.rand(11, 11))

    def forward(self, images):
        rows = torch.cdist(images.flatten(1), self.images).argmin(1)
        return self.head(torch.eye(11)[torch.tensor(self.outputs)[rows]])


@pytest.fixture
def knowing(small):
    module = Knowing(small)
    assert min(module.outputs.count(9), module.outputs.count(10)) > 0
    return module


def test_a_label_with_two_outputs_means_the_one_that_the_model_prefers(small, score, knowing):
    found = score(small, WITH_LABELS, knowing, classes=TWICE)
    # The same model with eleven names, and labels that tell the outputs apart
    other = (*CLASSES, "the other nine")
    small.set_values("ground_truth", [fo.Classification(label=other[i]) for i in knowing.outputs])
    expected = score(small, WITH_LABELS, knowing, classes=other, prefix="e_")
    for name in WITH_LABELS:
        np.testing.assert_allclose(found[name], expected[f"e_{name}"], rtol=1e-5)
    assert found["el2n"].max() < 0.1


def test_so_it_is_with_stored_logits(small, score, knowing):
    images = [TRANSFORM(Image.open(path).convert("RGB")) for path in small.values("filepath")]
    logits = knowing(torch.stack(images)).detach().numpy()
    small.set_values("predictions", [fo.Classification(label="?", logits=row) for row in logits])
    stored = score(small, ["el2n", "loss"], "predictions", classes=TWICE, transform=None)
    assert stored["el2n"].max() < 0.1
    of_images = score(small, ["el2n", "loss"], knowing, classes=TWICE, prefix="i_")
    np.testing.assert_allclose(stored["loss"], of_images["i_loss"], rtol=1e-4)


@pytest.mark.parametrize("ensemble", [False, True])
def test_its_predictions_are_right_by_name(small, knowing, ensemble):
    own(knowing, TWICE)
    options = {"validation": small, "model": [knowing, knowing] if ensemble else knowing}
    with pytest.warns(fod.DropWarning):
        plan = fod.plan_drop(small, 0.5, smoothing=0, **options)
    assert set(plan.recalls.values()) == {1.0}
    assert plan.predictions.scores["el2n"].max() < 0.1


def test_models_with_two_outputs_of_a_name_in_other_orders_are_not_averaged(small, knowing):
    class Turned(nn.Module):
        def forward(self, images):
            return knowing(images).flip(1)

    models = [own(knowing, TWICE), own(Turned(), TWICE[::-1])]
    with pytest.raises(DropError, match=r"model: models that predict together have 'nine' more"):
        fod.plan_drop(small, 0.5, validation=small, model=models)


def test_names_are_found_by_their_first_output():
    names = ClassNames(["a", "b", "a"])
    assert names.positions(["b", "a", "c", None]).tolist() == [1, 0, -1, -1]
    logits = torch.tensor([[1.0, 9.0, 2.0], [3.0, 9.0, 2.0], [0.0, 0.0, 0.0]])
    assert names.preferred(logits, torch.tensor([0, 0, 1])).tolist() == [2, 0, 1]
    assert not ClassNames(["a", "b"]).repeated


CLASSES_AS = {
    "list": list,
    "array": np.array,
    "map": lambda names: map(str, names),
    "keys": lambda names: dict.fromkeys(names).keys(),
}


@pytest.mark.parametrize("kind", CLASSES_AS)
def test_names_come_in_any_sequence(small, score, knowing, kind):
    knowing.outputs = [min(output, 9) for output in knowing.outputs]
    expected = score(small, ["el2n"], knowing, classes=TWICE)["el2n"]
    found = score(small, ["el2n"], knowing, classes=CLASSES_AS[kind]([*CLASSES, "ten"]), prefix="k")
    np.testing.assert_allclose(found["kel2n"], expected, rtol=1e-5)
    if kind == "map":
        return  # an attribute is read more than once
    own(knowing).classes = CLASSES_AS[kind]([*CLASSES, "ten"])
    found = score(small, ["el2n"], knowing, classes=None, transform=None, prefix="o")
    np.testing.assert_allclose(found["oel2n"], expected, rtol=1e-5)


@pytest.mark.parametrize("as_set", [set, frozenset])
def test_a_set_of_names_has_no_order_and_is_refused(small, score, knowing, as_set):
    for extras in ({"classes": as_set(CLASSES)}, {"classes": None}):
        own(knowing).classes = as_set(CLASSES)
        with pytest.raises(DropError, match="classes: must be in the order of the model's outputs"):
            score(small, ["el2n"], knowing, **extras)


def test_stored_logits_take_the_datasets_own_list_of_classes(small, score):
    logits = np.eye(10) * 9
    codes = [CLASSES.index(label) for label in small.values("ground_truth.label")]
    small.set_values("predictions", [fo.Classification(label="?", logits=logits[i]) for i in codes])
    for given in (CLASSES, list(CLASSES), np.array(CLASSES)):
        small.default_classes = list(given)
        found = score(small, ["el2n"], "predictions", classes=None, transform=None)
        assert found["el2n"].max() < 0.01
