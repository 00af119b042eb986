"""``compute_scores`` says where a model's predictions and the labels cannot belong together."""

import fiftyone as fo
import numpy as np
import pytest
import torch
from digit_models import CLASSES, TRANSFORM
from PIL import Image
from torch import nn

import fiftyone_drop as fod
from fiftyone_drop import DropWarning

# In this file such a warning is an error where no test expects it
pytestmark = pytest.mark.filterwarnings("error::fiftyone_drop.errors.DropWarning")
WORDS = "Logits and labels do not belong together: of the model"
REVERSED = CLASSES[::-1]


@pytest.fixture(scope="module")
def classifier(all_digits):
    """The class with the nearest mean, as a linear layer: right on nine of ten digits, and sure."""
    paths, labels = all_digits.values(["filepath", "ground_truth.label"])
    images = torch.stack([TRANSFORM(Image.open(p).convert("RGB")) for p in paths]).flatten(1)
    codes = torch.tensor([CLASSES.index(label) for label in labels])
    means = torch.stack([images[codes == k].mean(0) for k in range(10)])
    module = nn.Sequential(nn.Flatten(), nn.Linear(images.shape[1], 10))
    with torch.no_grad():
        module[1].weight.copy_(2 * means)
        module[1].bias.copy_(-(means**2).sum(1))
        accuracy = (module(images).argmax(1) == codes).float().mean()
    assert accuracy > 0.85
    return module


def compute(samples, classifier, scores=("el2n",), **more):
    extras = {"transform": TRANSFORM, "classes": CLASSES} | more
    fod.compute_scores(samples, "ground_truth", scores, model=classifier, **extras)


@pytest.mark.parametrize("scores", [["el2n"], ["grand"], ["el2n", "grand", "k_center", "random"]])
def test_the_right_order_of_classes_is_not_spoken_of(dataset, classifier, scores):
    compute(dataset, classifier, scores, prefix="my_")
    compute(dataset, classifier, scores, prefix="my_", deterministic=True)


@pytest.mark.parametrize("scores", [["el2n"], ["grand"], ["class_mean_distance", "el2n"]])
def test_another_order_of_classes_is_said_with_their_names(make_dataset, classifier, scores):
    dataset = make_dataset(rows=range(300))
    if scores == ["grand"]:  # of which one image in eight is looked at
        dataset.add_samples(make_dataset(rows=list(range(300)) * 3), progress=False)
    with pytest.warns(DropWarning, match=rf"{WORDS} \(Sequential.*as another class in a circle"):
        compute(dataset, classifier, scores, classes=REVERSED)
    assert None not in dataset.values(scores[0])  # it is a warning


def test_two_classes_out_of_place_are_said(dataset, classifier):
    classes = list(CLASSES)
    classes[2], classes[7] = classes[7], classes[2]
    with pytest.warns(DropWarning, match=r"'seven' as 'two', 'two' as 'seven'"):
        compute(dataset, classifier, classes=classes)


def test_scores_that_need_no_labels_say_nothing_of_them(dataset, classifier):
    compute(dataset, classifier, ["entropy", "k_center"], classes=REVERSED)


def test_an_ensemble_says_the_same_once(dataset, classifier):
    with pytest.warns(DropWarning, match=WORDS) as said:
        compute(dataset, [classifier, classifier], classes=REVERSED)
    assert len(said) == 1


def test_a_view_of_one_class_says_nothing(dataset, classifier):
    compute(dataset.match({"ground_truth.label": "eight"}), classifier)


def test_few_samples_say_nothing(dataset, classifier):
    compute(dataset[:29], classifier, classes=REVERSED)


@pytest.mark.parametrize("names", [CLASSES, ("one", *CLASSES[1:])])
def test_stored_logits_of_other_samples_are_said(dataset, names):
    rng = np.random.default_rng(0)
    labels = [names.index(x) if x in names else 1 for x in dataset.values("ground_truth.label")]
    dataset.set_values("ground_truth", [fo.Classification(label=names[k]) for k in labels])
    logits = 9 * np.eye(10)[labels] + rng.normal(size=(300, 10))
    dataset.set_values("right", [fo.Classification(label="x", logits=row) for row in logits])
    rows = rng.permutation(300)
    dataset.set_values("wrong", [fo.Classification(label="x", logits=logits[i]) for i in rows])
    arguments = {"label_field": "ground_truth", "classes": list(names)}
    fod.compute_scores(dataset, model="right", prefix="a_", **arguments)
    with pytest.warns(DropWarning, match=rf"{WORDS}.*no more than by chance.*Pass classes="):
        fod.compute_scores(dataset, model="wrong", prefix="b_", **arguments)
