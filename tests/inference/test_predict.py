"""Recalls from ``validation=`` with any kind of model, against predictions made by hand."""

import fiftyone as fo
import fiftyone.zoo as foz
import numpy as np
import pytest
import torch
from digit_models import CLASSES, TRANSFORM, fiftyone_model, own, probabilities
from PIL import Image
from torch import nn

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.inference.predict import predict
from fiftyone_drop.inference.resolve import resolve
from fiftyone_drop.population import read_population

pytestmark = pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")


def network(outputs=10, seed=0):
    """A linear classifier of 8x8 digits that tells some of them apart."""
    torch.manual_seed(seed)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, outputs))


def recalls_by_hand(labels, predicted):
    """Class -> recall, with plain loops."""
    hits = {name: [] for name in labels}
    for label, guess in zip(labels, predicted, strict=True):
        hits[label].append(label == guess)
    return {name: sum(of) / len(of) for name, of in hits.items()}


@pytest.fixture
def split(dataset):
    """A target and a validation view that do not overlap."""
    return dataset[:150], dataset[150:]


@pytest.fixture
def trained(split):
    """A network that has learned some of the digits, and its recalls on the validation view."""
    target, validation = split
    module = network()
    images = torch.stack(
        [TRANSFORM(Image.open(p).convert("RGB")) for p in target.values("filepath")]
    )
    labels = torch.tensor([CLASSES.index(x) for x in target.values("ground_truth.label")])
    optimiser = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(20):
        optimiser.zero_grad()
        nn.functional.cross_entropy(module(images), labels).backward()
        optimiser.step()
    predicted = [CLASSES[i] for i in probabilities(module, validation).argmax(1)]
    recalls = recalls_by_hand(validation.values("ground_truth.label"), predicted)
    assert len(set(recalls.values())) > 3
    return module, recalls, predicted


def kinds(module, validation, monkeypatch):
    """Every kind of model that brings its classes, by name."""
    monkeypatch.setattr(foz, "list_zoo_models", lambda: ["digits-torch"])
    monkeypatch.setattr(foz, "load_zoo_model", lambda name: fiftyone_model(module))
    validation.apply_model(fiftyone_model(module), "predictions", store_logits=True, progress=False)
    validation._root_dataset.classes["predictions"] = CLASSES
    return {
        "module": own(module),
        "FiftyOne": fiftyone_model(module),
        "zoo": "digits-torch",
        "logits": "predictions",
        "twice": [own(module), fiftyone_model(module)],
    }


@pytest.mark.parametrize("kind", ["module", "FiftyOne", "zoo", "logits", "twice"])
def test_recalls_are_those_of_the_models_predictions(split, trained, monkeypatch, kind):
    target, validation = split
    module, recalls, predicted = trained
    model = kinds(module, validation, monkeypatch)[kind]
    arguments = {"label_field": "ground_truth", "validation": validation, "smoothing": 0}
    plan = fod.plan_drop(target, 0.5, model=model, **arguments)
    assert plan.recalls == pytest.approx(recalls)
    assert plan.predictions.labels == predicted
    assert "validation view with" in plan.recalls_from


def test_a_run_writes_and_evaluates_what_the_model_predicted(split, trained):
    target, validation = split
    module, recalls, predicted = trained
    target.apply_drop(0.5, validation=validation, model=own(module), smoothing=0)
    assert validation.values("drop_pred.label") == predicted
    report = target._dataset.load_evaluation_results("drop_eval").report()
    assert {name: report[name]["recall"] for name in recalls} == pytest.approx(recalls)


def test_several_models_predict_by_their_mean_probability(split):
    target, validation = split
    one, other = network(seed=1), network(seed=2)
    with torch.no_grad():
        one[1].weight *= 5
        other[1].weight *= 5
    backwards = CLASSES[::-1]
    mean = (probabilities(one, validation) + probabilities(other, validation)[:, ::-1]) / 2
    predicted = [CLASSES[i] for i in mean.argmax(1)]
    models = [own(one), own(other, backwards)]
    plan = fod.plan_drop(target, 0.5, validation=validation, model=models)
    assert plan.predictions.labels == predicted
    np.testing.assert_allclose(plan.predictions.confidences, mean.max(1), rtol=1e-5)
    assert plan.recalls_from.endswith("an ensemble of 2: 2 x " + words(one))


def words(module):
    return f"Sequential ({sum(p.numel() for p in module.parameters()):,} parameters)"


def test_a_class_that_the_target_does_not_have_is_simply_wrong(split):
    target, validation = split
    module = network(12)
    with torch.no_grad():
        module[1].bias[11] = 100  # always a letter
    model = own(module, [*CLASSES, "a", "b"])
    plan = fod.plan_drop(target, 0.5, validation=validation, model=model, smoothing=0)
    assert set(plan.predictions.labels) == {"b"}
    assert set(plan.recalls.values()) == {0.0}


def test_two_outputs_of_one_name_are_one_class(split):
    target, validation = split
    module = network(11)
    with torch.no_grad():
        module[1].bias[10] = 100
    plan = fod.plan_drop(
        target, 0.5, validation=validation, model=own(module, [*CLASSES, "one"]), smoothing=0
    )
    assert plan.recalls["one"] == 1
    assert plan.recalls["two"] == 0


def test_a_class_that_the_model_does_not_know_is_a_warning(split):
    target, validation = split
    model = own(network(9), CLASSES[:9])
    with pytest.warns(DropWarning, match=r"has no class 'nine', which are labels .* recall is 0"):
        plan = fod.plan_drop(target, 0.5, validation=validation, model=model, smoothing=0)
    assert plan.recalls["nine"] == 0


def test_images_are_read_in_batches_and_every_row_comes_once(dataset, monkeypatch):
    monkeypatch.setattr("fiftyone_drop.inference.image_model.start_batch_size", lambda *_: 7)
    population = read_population(dataset[:40], "ground_truth", filepaths=True)
    module, counted = network(), []
    batches = list(
        predict(resolve(own(module), dataset), population.ids, population.filepaths, counted.append)
    )
    assert [len(rows) for rows, _ in batches] == counted == [7, 7, 7, 7, 7, 5]
    assert np.concatenate([rows for rows, _ in batches]).tolist() == list(range(40))
    found = torch.softmax(torch.from_numpy(np.concatenate([x for _, x in batches])), 1)
    np.testing.assert_allclose(found, probabilities(module, dataset[:40]), rtol=1e-5)


class Greedy(nn.Sequential):
    """Runs out of memory on more than five images."""

    sizes = ()

    def forward(self, images):
        self.sizes += (len(images),)
        if len(images) > 5:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        return super().forward(images)


def test_running_out_of_memory_halves_the_batch(split):
    target, validation = split
    plain, greedy = network(), Greedy(*network())
    given = {"validation": validation[:20], "missing_recall": 0.5}
    expected = fod.plan_drop(target, 0.5, model=own(plain), **given)
    found = fod.plan_drop(target, 0.5, model=own(greedy), **given)
    assert found.recalls == expected.recalls
    assert greedy.sizes == (2, 20, 10, 5, 5, 5, 5)


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (lambda: network(), r"classes: must be given with a torch.nn.Module, or be set on it"),
        (lambda: own(network(), list("abcdefghij")), r"model: .* has no class .*pred_field="),
        (lambda: own(network(9)), r"classes: must name every output of the model"),
        (lambda: [own(network()), own(network(9), CLASSES[:9])], r"must have the same classes"),
        (list, r"model: the list is empty"),
        (lambda: 3, r"model: must be a QueryModel, .*int"),
        (lambda: "resnet18", r"checkpoint: must be given .* pass the module"),
        (lambda: "ground_truth", r"classes: must be given with stored logits"),
    ],
)
def test_a_model_that_does_not_say_what_it_predicts_is_refused(split, model, words):
    target, validation = split
    with pytest.raises(DropError, match=words):
        target.apply_drop(0.5, validation=validation, model=model())
    assert target._dataset.list_runs() == []


def test_a_sample_that_cannot_be_predicted_is_named(split, tmp_path):
    target, validation = split
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    label = fo.Classification(label="zero")
    sample = fo.Sample(filepath=str(broken), ground_truth=label, tags=["extra"])
    dataset = target._dataset
    dataset.add_sample(sample)
    extra = dataset.match_tags("extra").concat(validation[:1])
    arguments = {"validation": extra, "missing_recall": 0.5}
    with pytest.raises(DropError, match=rf"broken\.png of sample {sample.id} cannot be read"):
        target.apply_drop(0.5, model=own(network()), **arguments)
    dataset.classes["predictions"] = CLASSES
    validation.apply_model(
        fiftyone_model(network()), "predictions", store_logits=True, progress=False
    )
    with pytest.raises(DropError, match=rf"1 of 2 samples have no logits .*{sample.id}"):
        target.apply_drop(0.5, label_field="ground_truth", model="predictions", **arguments)
