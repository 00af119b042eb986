"""compute_scores: every score, every kind of model, one pass, and nothing that stops it.

The scores themselves are tested in tests/scoring; here they must come out of images as they are.
"""

import collections
import contextlib
import errno
import functools
import os
import shutil
import signal
import subprocess
import sys
import textwrap

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.utils.torch as fout
import fiftyone.zoo as foz
import numpy as np
import pytest
import torch
import torchvision
from PIL import Image
from torch import nn
from torchvision.transforms import v2

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning, store
from fiftyone_drop.models import checkpoint as score_checkpoint
from fiftyone_drop.models import image_pass, image_reader
from fiftyone_drop.models.forward_pass import ImageModel, Scorer
from fiftyone_drop.models.image_reader import Transformed
from fiftyone_drop.scores.sources import READ_TWICE
from fiftyone_drop.scoring import (
    SCORES,
    Whole,
    class_mean_distance,
    forward_scores,
    herding,
    k_center,
    per_sample_gradient_norms,
    register_score,
    zcore,
)
from fiftyone_drop.training import TrainingOptions, train

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TRANSFORM = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """The user's cache, which must be empty after every call that came to its end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fiftyone-drop"


def network(seed=0):
    """A small classifier whose predictions are anything but uniform."""
    torch.manual_seed(seed)
    body = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Dropout(0.5), nn.AdaptiveAvgPool2d(2), nn.Flatten()]
    module = nn.Sequential(*body, nn.Linear(32, 10))
    with torch.no_grad():
        module[-1].weight *= 20
    return module


@pytest.fixture
def score():
    """compute_scores of a module on digits; returns the values as arrays."""

    def call(samples, scores, model, prefix="", **arguments):
        extras = {"transform": TRANSFORM, "classes": CLASSES} | arguments
        names = fod.compute_scores(
            samples, "ground_truth", scores, model=model, prefix=prefix, **extras
        )
        return {name: np.array(samples.values(name), dtype=float) for name in names}

    return call


@pytest.fixture
def small(make_dataset):
    """60 digits."""
    return make_dataset(60)


def reference(samples, module):
    """What the scores are, computed without any of the code under test."""
    images = [TRANSFORM(Image.open(p).convert("RGB")) for p in samples.values("filepath")]
    inputs = torch.stack(images)
    labels = torch.tensor([CLASSES.index(x) for x in samples.values("ground_truth.label")])
    module.eval()
    with torch.no_grad():
        features = module[:-1](inputs)
        logits = module[-1](features)
    names = [name for name in FROM_IMAGES if NEEDS[name] in ("logits", "features")]
    return {
        **forward_scores(names, logits, labels, features),
        "grand": per_sample_gradient_norms(module, inputs, labels).numpy(),
        "k_center": k_center(features),
        "herding": herding(features, labels),
        "zcore": zcore(features),
        "class_mean_distance": class_mean_distance(features, labels),
    }


def test_every_score_of_images_comes_out_of_one_pass(small, score, cache, monkeypatch):
    opened = collections.Counter()
    original = image_reader.Image.open

    def count(path):
        opened[path] += 1
        return original(path)

    module = network()
    expected = reference(small, module)
    monkeypatch.setattr(image_reader.Image, "open", count)
    found = score(small, FROM_IMAGES, module, batch_size=13, workers=2)
    assert set(found) == set(expected) == set(FROM_IMAGES)
    for name, values in found.items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-4, atol=1e-5, err_msg=name)
    twice = [opened.pop(path) for path in small.values("filepath")[:READ_TWICE]]
    assert set(twice) == {2}  # once for the checkpoint's name
    assert set(opened.values()) == {1}
    assert len(opened) == 60 - READ_TWICE
    assert list(cache.glob("*")) == []


@pytest.mark.parametrize("name", [name for name in SCORES if NEEDS[name] != "dynamics"])
def test_a_field_says_what_it_holds(small, score, name):
    (field,) = score(small, (name,), network(), prefix="my_")
    assert field == f"my_{name}"
    info = small.get_field(field).info
    assert info["score"] == name
    assert info["hard"] == SCORES[name].hard
    assert info["kept_first"] == SCORES[name].kept_first
    assert info["convention"] == SCORES[name].defaults
    assert info["description"] == SCORES[name].description
    assert small.exists(field).count() == 60


def test_the_info_follows_when_a_score_is_computed_again(small, score):
    score(small, ["k_center"], network())
    score(small, ["k_center"], network(), picks=7)
    assert small.get_field("k_center").info["convention"] == {"picks": 7}
    small.reload()
    assert small.get_field("k_center").info["convention"] == {"picks": 7}


def test_random_needs_no_model_and_reads_no_image(small, monkeypatch):
    monkeypatch.delattr(image_reader.Image, "open")
    fod.compute_scores(small, scores=["random"], seed=3, prefix="my_")
    values = small.values("my_random")
    assert len(set(values)) == 60
    assert small.get_field("my_random").info["convention"] == {"seed": 3}
    small[:10].clear_sample_field("my_random")
    fod.compute_scores(small[:10], scores=["random"], seed=3, prefix="my_")
    assert small.values("my_random") == values


def test_a_score_field_is_never_called_what_means_at_random(small):
    with pytest.raises(DropError, match=r"prefix: .*'random'.* means at random; pass a prefix"):
        fod.compute_scores(small, scores=["random"])
    with pytest.raises(DropError, match="means at random"):
        fod.import_scores(small, {small.first().id: 0.5}, name="random")
    assert "random" not in small.get_field_schema()
    small.set_values("random", np.linspace(1, 0, 60).tolist())  # somebody else's field
    kept = small.apply_drop(density=0.5, rule="none", select="random").values("id")
    small.delete_sample_field("random")
    again = small.apply_drop(density=0.5, rule="none", select="random", overwrite=True)
    assert again.values("id") == kept


# -- kinds of models ------------------------------------------------------------------------------


def fiftyone_model(module, classes=CLASSES):
    return fout.TorchImageModel(
        fout.TorchImageModelConfig(
            {
                "entrypoint_fcn": lambda: module,
                "transforms_fcn": lambda: TRANSFORM,
                "ragged_batches": False,
                "output_processor_cls": "fiftyone.utils.torch.ClassifierOutputProcessor",
                "classes": list(classes),
                "device": "cpu",
            }
        )
    )


def test_scores_of_a_model_and_of_its_stored_logits_agree(small, score):
    module = network()
    small.apply_model(fiftyone_model(module), "predictions", store_logits=True, progress=False)
    of_images = score(small, FORWARD, module, prefix="m_")
    small.classes["predictions"] = list(CLASSES)
    of_logits = score(small, FORWARD, "predictions", prefix="l_", classes=None, transform=None)
    for a, b in zip(of_images.values(), of_logits.values(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
    fob.compute_hardness(small, "predictions", progress=False)
    np.testing.assert_allclose(of_images["m_entropy"], small.values("hardness"), rtol=1e-5)
    assert "predictions" in small.get_field("l_el2n").info["model"]


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


def test_an_ensemble_averages_scores_and_keeps_their_spread(small, score):
    options = TrainingOptions(epochs=1)
    paths, labels = small.values("filepath"), small.values("ground_truth.label")
    codes = np.array([sorted(CLASSES).index(x) for x in labels])
    model = train(paths, codes, sorted(CLASSES), options)  # numbers classes in another order
    modules = [network(0), network(1)]
    each = [score(small, ["el2n"], m, prefix=f"p{i}_") for i, m in enumerate([*modules, model])]
    table = np.stack([next(iter(values.values())) for values in each])
    found = score(small, ["el2n", "random"], [*modules, model], "e_", spread=True)
    np.testing.assert_allclose(found["e_el2n"], table.mean(0), rtol=1e-6)
    np.testing.assert_allclose(found["e_el2n_std"], table.std(0), rtol=1e-5, atol=1e-7)
    assert "e_random_std" not in found
    assert small.get_field("e_el2n").info["model"].startswith("an ensemble of 3: 2 x Sequential")
    assert small.get_field("e_el2n").info["out_of_sample"] is False
    assert small.get_field("e_random").info["out_of_sample"] is True
    assert small.get_field("e_random").info["model"] == "none"
    assert small.get_field("e_el2n_std").info == {"spread_of": "e_el2n", "models": 3}


def test_without_a_model_every_score_of_logits_is_out_of_sample(small):
    fod.compute_scores(small, scores=[*FORWARD, "random"], folds=2, prefix="q_")
    assert small.get_field("q_margin").info["out_of_sample"] is True
    margin, confidence = (np.array(small.values(n)) for n in ("q_margin", "q_least_confidence"))
    assert np.all(margin <= 1 - confidence + 1e-6)
    assert len(set(margin)) > 50


def test_query_models_are_averaged_over_several_cross_validations(small, cache):
    fod.compute_scores(small, scores=["entropy"], folds=2, prefix="one_")
    fod.compute_scores(small, scores=["entropy"], folds=2, prefix="two_", models=2, spread=True)
    one, two = (np.array(small.values(f"{n}_entropy")) for n in ("one", "two"))
    spread = np.array(small.values("two_entropy_std"))
    np.testing.assert_allclose(np.abs(one - two), spread, atol=1e-6)  # the first of the two
    assert (spread > 0).all()
    info = small.get_field("two_entropy").info
    assert info["model"] == "2 times 2 cross-validated query models"
    assert info["out_of_sample"] is True
    assert small.get_field("two_entropy_std").info["models"] == 2
    assert list(cache.glob("*")) == []


@pytest.mark.parametrize("wanted", [True, False])
def test_deterministic_algorithms_are_on_for_the_whole_pass(small, score, monkeypatch, wanted):
    seen, on = [], []

    @contextlib.contextmanager
    def algorithms(device, wanted):
        on.append(wanted)
        yield
        on.clear()

    class Watching(Restless):
        def forward(self, images):
            seen.append(list(on))
            return super().forward(images)

    monkeypatch.setattr(image_pass, "deterministic_algorithms", algorithms)
    score(small, ["el2n", "grand"], Watching(), deterministic=wanted)
    assert seen
    assert all(now == [wanted] for now in seen)
    assert on == []


def test_a_score_of_ones_own_gets_its_switches(small, score):
    @register_score(
        "confusion",
        hard="high",
        needs="logits",
        description="A logit by rank.",
        source="me",
        conventions={"rank": Whole(default=2, minimum=1)},
    )
    def confusion(logits, labels, *, rank):
        return logits.topk(rank, dim=1).values[:, -1]

    try:
        first = score(small, ["confusion"], network(), rank=1)["confusion"]
        second = score(small, ["confusion"], network())["confusion"]
    finally:
        del SCORES["confusion"]
    assert np.all(first > second)


# -- robust ---------------------------------------------------------------------------------------


@pytest.fixture
def broken(small, tmp_path):
    """60 digits, two of which cannot be read; their ids."""
    garbage = tmp_path / "garbage.png"
    garbage.write_bytes(b"no image")
    paths = small.values("filepath")
    paths[0], paths[41] = str(tmp_path / "missing.png"), str(garbage)
    small.set_values("filepath", paths)
    ids = small.values("id")
    return small, [ids[0], ids[41]]


def test_images_that_cannot_be_read_are_reported_and_the_run_goes_on(broken, score):
    samples, ids = broken
    names = ["el2n", "grand", "class_mean_distance"]
    with pytest.warns(DropWarning, match="2 of 60 images cannot be read") as caught:
        score(samples, names, network(), batch_size=16)
    for words in (*ids, "missing.png", "garbage.png"):
        assert words in str(caught[0].message)
    for name in names:
        values = samples.values(name)
        assert [values[0], values[41]] == [None, None]
        assert samples.exists(name).count() == 58
    with pytest.raises(DropError, match=r"select: 2 of 60 .*\.exists\('el2n'\)"):
        samples.apply_drop(density=0.5, rule="none", select="el2n")
    view = samples.exists("el2n").apply_drop(density=0.5, rule="none", select="el2n")
    assert len(view) == 29


def test_an_image_that_cannot_be_read_can_be_an_error(broken, score):
    samples, ids = broken
    with pytest.raises(DropError, match=rf"on_error: .*missing\.png of sample {ids[0]}"):
        score(samples, ["el2n"], network(), on_error="raise")
    assert "el2n" not in samples.get_field_schema()
    with pytest.raises(DropError, match="none of the 2 images can be read"):
        score(samples.select(ids), ["el2n"], network())


def test_query_models_are_trained_on_what_can_be_read(broken):
    samples, ids = broken
    with pytest.raises(DropError, match=r"on_error: .*missing\.png"):
        fod.compute_scores(samples, folds=2, on_error="raise")
    with pytest.warns(DropWarning, match=rf"2 of 60 images cannot be read: {ids[0]}"):
        fod.compute_scores(samples, folds=2)
    assert samples.exists("el2n", False).values("id") == ids


class Faulty(nn.Module):
    """A network whose output is not finite for some images."""

    def __init__(self, samples, rows, value):
        super().__init__()
        paths = samples.values("filepath")
        self.inner, self.value = network(), value
        self.images = torch.stack([TRANSFORM(Image.open(paths[i]).convert("RGB")) for i in rows])

    def forward(self, images):
        bad = (images[:, None] == self.images).flatten(2).all(2).any(1)
        return self.inner(images * torch.where(bad, self.value, 1.0)[:, None, None, None])


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("names", [FROM_IMAGES, ["grand"], ["k_center"], ["entropy"]], ids=str)
def test_images_without_a_finite_output_are_reported_and_left_out(small, score, value, names):
    ids = small.values("id")
    rest = small.exclude([ids[0], ids[41]])
    expected = score(rest, names, network(), prefix="rest_")
    with pytest.warns(DropWarning, match="2 of 60 images have no scores, since the mod") as caught:
        score(small, names, Faulty(small, [0, 41], value), batch_size=16)
    for words in (ids[0], ids[41], small.values("filepath")[41], ".exists("):
        assert words in str(caught[0].message)
    for name in names:
        assert small.exists(name, False).values("id") == [ids[0], ids[41]]
        np.testing.assert_allclose(
            rest.values(name), expected[f"rest_{name}"], rtol=1e-4, atol=1e-5, err_msg=name
        )


def test_an_output_that_is_not_finite_can_be_an_error(small, score):
    words = rf"on_error: the image .* of sample {small.values('id')[41]} has no scores, .*finite"
    with pytest.raises(DropError, match=words):
        score(small, ["el2n"], Faulty(small, [41], torch.nan), on_error="raise", batch_size=16)
    broken = network()
    torch.nn.init.constant_(broken[0].weight, torch.nan)
    with pytest.raises(DropError, match="model: its output is finite for none of the 60 images"):
        score(small, ["el2n", "k_center"], broken, batch_size=16)
    assert "el2n" not in small.get_field_schema()


def test_stored_logits_that_are_not_finite_are_reported(small, score):
    logits = [np.zeros(10) for _ in range(60)]
    logits[7][2] = -np.inf
    small.set_values("p", [fo.Classification(label="one", logits=row) for row in logits])
    sample = small.values("id")[7]
    words = rf"1 of 60 samples have logits that are not finite in 'p', such as '{sample}'"
    with pytest.warns(DropWarning, match=words):
        score(small, FORWARD, "p")
    for name in FORWARD:
        assert small.exists(name, False).values("id") == [sample]
    with pytest.raises(DropError, match=words):
        score(small, ["el2n"], "p", on_error="raise")


def test_a_label_that_the_model_does_not_know_stops_only_scores_of_labels(small, score):
    for name in FROM_IMAGES:
        others = {"classes": [f"n{i}" for i in range(10)], "prefix": "other_"}
        if SCORES[name].uses_labels:
            with pytest.raises(DropError, match="which are labels in"):
                score(small, ["entropy", name], network(), **others)
        else:
            found = score(small, [name], network(), **others)[f"other_{name}"]
            np.testing.assert_allclose(found, score(small, [name], network())[name])


def test_samples_without_stored_logits_stay_empty(small, score):
    model = fiftyone_model(network())
    small[5:].apply_model(model, "predictions", store_logits=True, progress=False)
    with pytest.warns(DropWarning, match="5 of 60 samples have no logits"):
        score(small, ["el2n"], "predictions")
    assert small.values("el2n")[:5] == [None] * 5
    assert small.exists("el2n").count() == 55
    with pytest.raises(DropError, match="5 of 60 samples have no logits"):
        score(small, ["el2n"], "predictions", on_error="raise")


class Restless(nn.Module):
    """A network that is interrupted, or runs out of memory."""

    def __init__(self, most=None, calls=None, allowed=0):
        super().__init__()
        self.inner = network()
        self.most, self.calls, self.allowed = most, calls, allowed
        self.sizes = []

    def forward(self, images):
        self.sizes.append(len(images))
        if self.most is not None and len(images) > self.most and len(self.sizes) > self.allowed:
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")
        if self.calls and len(self.sizes) > self.calls:
            raise KeyboardInterrupt
        return self.inner(images)


def test_running_out_of_memory_halves_the_batch(small, score):
    expected = score(small, ["el2n"], network())["el2n"]
    module = Restless(most=9)
    found = score(small, ["el2n"], module, prefix="oom_", batch_size=32)
    np.testing.assert_allclose(found["oom_el2n"], expected, rtol=1e-5)
    assert module.sizes == [2, 32, 16, 8, 8, 8, 8, 8, 8, 8, 4]
    for allowed in (0, 1):  # calls that go well
        with pytest.raises(DropError, match="device: not even one image"):
            score(small, ["el2n"], Restless(most=0, allowed=allowed), prefix="no_")


def test_an_interrupted_call_goes_on_with_the_same_scores(broken, score, cache):
    samples, _ = broken
    names = ["el2n", "margin", "k_center"]
    with pytest.warns(DropWarning):
        expected = score(samples, names, Restless(), prefix="whole_", batch_size=10)
    module = Restless(calls=4)  # one of them to try the model out
    with pytest.raises(KeyboardInterrupt):
        score(samples, names, module, batch_size=10)
    assert "el2n" not in samples.get_field_schema()
    assert list(cache.glob("scores-*.npz"))
    module = Restless()
    with pytest.warns(DropWarning, match="2 of 60"):
        found = score(samples, names, module, batch_size=10)
    assert module.sizes == [2, 10, 9, 10]  # three batches were there; one image is broken
    for name in names:
        np.testing.assert_array_equal(found[name], expected[f"whole_{name}"])
    assert list(cache.glob("*")) == []


def test_other_weights_do_not_find_the_checkpoint(small, score, cache):
    with pytest.raises(KeyboardInterrupt):
        score(small, ["el2n"], Restless(calls=2), batch_size=20)
    module = Restless()
    with torch.no_grad():
        module.inner[-1].bias += 1
    score(small, ["el2n"], module, batch_size=20)
    assert sum(module.sizes) == 62
    assert len(list(cache.glob("*"))) == 1


def interrupt(samples, score, scores=("el2n",), **arguments):
    with pytest.raises(KeyboardInterrupt):
        score(samples, scores, Restless(calls=2), batch_size=20, **arguments)


def scored_anew(samples, score, scores=("el2n",), **arguments):
    """How many images a call that could go on after 20 of them scores."""
    module = Restless()
    score(samples, scores, module, batch_size=20, **arguments)
    return sum(module.sizes[1:])  # the first call tries the model out


@pytest.mark.parametrize(
    "pair",
    [
        lambda by: lambda image: by * TRANSFORM(image),
        lambda by: functools.partial(lambda image, by: by * TRANSFORM(image), by=by),
        lambda by: v2.Compose([TRANSFORM, v2.Lambda(lambda image: by * image)]),
    ],
    ids=["closure", "partial", "Lambda"],
)
def test_another_transform_does_not_find_the_checkpoint(small, score, pair):
    interrupt(small, score, transform=pair(1))
    assert scored_anew(small, score, transform=pair(2)) == 60
    assert scored_anew(small, score, transform=pair(1)) == 40


def test_a_transform_that_draws_at_random_never_finds_a_checkpoint(small, score):
    rng = np.random.default_rng(0)

    def transform(image):
        return TRANSFORM(image) + rng.random()

    interrupt(small, score, transform=transform)
    assert scored_anew(small, score, transform=transform) == 60


def test_images_that_have_changed_do_not_find_the_checkpoint(small, score, tmp_path):
    copies = [shutil.copy(path, tmp_path) for path in small.values("filepath")]
    small.set_values("filepath", copies)
    interrupt(small, score)
    Image.new("RGB", (8, 8)).save(copies[3])
    assert scored_anew(small, score) == 60
    assert scored_anew(small, score, prefix="again_") == 60  # that one was removed


@pytest.mark.parametrize("suffix", ["npz", "npy"])
@pytest.mark.parametrize(
    "damage",
    [lambda data: b"", lambda data: data[: len(data) // 2], lambda data: b"?" * len(data)],
    ids=["empty", "truncated", "overwritten"],
)
def test_a_damaged_checkpoint_is_reported_and_left(small, score, cache, suffix, damage):
    expected = score(small, ["k_center"], Restless(), "whole_")["whole_k_center"]
    interrupt(small, score, ["k_center"])
    (path,) = cache.glob(f"*.{suffix}")
    path.write_bytes(damage(path.read_bytes()))
    with pytest.warns(DropWarning, match=rf"checkpoint {path} is damaged .* anew"):
        assert scored_anew(small, score, ["k_center"]) == 60
    np.testing.assert_array_equal(small.values("k_center"), expected)
    assert list(cache.glob("*")) == []


def test_a_bit_that_flipped_in_a_checkpoint_is_noticed(small, score, cache):
    interrupt(small, score)
    (path,) = cache.glob("*.npz")
    data = bytearray(path.read_bytes())
    data[200] ^= 1  # in the table
    path.write_bytes(data)
    with pytest.warns(DropWarning, match="is damaged"):
        assert scored_anew(small, score) == 60


def test_a_failure_to_write_the_scores_does_not_cost_the_pass(small, score, monkeypatch, cache):
    with monkeypatch.context() as patch:
        patch.setattr(store, "write_fields", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            scored_anew(small, score, ["el2n", "k_center"])
    assert scored_anew(small, score, ["el2n", "k_center"]) == 0
    assert small.exists("el2n").count() == small.exists("k_center").count() == 60
    assert list(cache.glob("*")) == []


def test_a_full_disk_is_reported_and_the_call_goes_on(small, score, monkeypatch, cache):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    expected = score(small, ["el2n", "k_center"], Restless(), "whole_")
    for function in ("fsync", "posix_fallocate"):
        with monkeypatch.context() as patch:
            patch.setattr(os, function, full)
            with pytest.warns(DropWarning, match="No space left on device") as caught:
                interrupt(small, score, ["el2n", "k_center"])
            assert len(caught) == 1
            assert list(cache.glob("*")) == []
            with pytest.warns(DropWarning, match="No space left on device"):
                found = score(small, ["el2n", "k_center"], Restless())
        for name, values in found.items():
            np.testing.assert_array_equal(values, expected[f"whole_{name}"])


def test_a_killed_process_leaves_what_it_had(digits, tmp_path, monkeypatch, capsys):
    code = """
        import os, signal, sys
        import numpy as np, torch
        from fiftyone_drop.models import checkpoint as score_checkpoint
        from fiftyone_drop.models.forward_pass import ImageModel
        from fiftyone_drop.models.image_pass import ImagePass, Images
        from fiftyone_drop.models.image_reader import Square

        score_checkpoint.SECONDS = 0
        folder, stop, *paths = sys.argv[1:]
        torch.manual_seed(0)

        class Model(torch.nn.Sequential):
            calls = 0
            def forward(self, images):
                Model.calls += 1
                if Model.calls > int(stop):
                    os.kill(os.getpid(), signal.SIGKILL)
                return super().forward(images.float())

        module = Model(torch.nn.Flatten(), torch.nn.Linear(192, 10))
        n = len(paths)
        images = Images(np.arange(n).astype("S24"), paths, [np.arange(n) % 10])
        checkpoint = score_checkpoint.Checkpoint(folder, "test")
        model = ImageModel(module, tuple("0123456789"), "a model", Square(8))
        run = ImagePass([model], images, {"el2n": {}}, checkpoint, batch_size=7, workers=1)
        run.run(lambda n: None)
        checkpoint.remove()
        print(Model.calls, run.table.tobytes().hex())
    """

    code = textwrap.dedent(code)
    paths = [str(path) for path in digits[0][:40]]
    monkeypatch.setattr(score_checkpoint, "SECONDS", score_checkpoint.SECONDS)  # put back later

    def run(folder):
        monkeypatch.setattr(sys, "argv", ["-c", str(tmp_path / folder), "100", *paths])
        exec(code, {})
        return capsys.readouterr().out.split()

    command = [sys.executable, "-c", code, str(tmp_path / "killed"), "4", *paths]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    again, whole = run("killed"), run("whole")
    assert whole[0] == "7"
    assert again[0] == "4"  # the first three batches were there
    assert again[1] == whole[1]
    assert list((tmp_path / "killed").iterdir()) == []


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


def test_the_mode_that_the_caller_is_in_does_not_matter(small, score):
    names = ["el2n", "grand", "class_mean_distance"]
    module = network()
    expected = score(small, names, module)
    with torch.inference_mode():
        found = score(small, names, module, prefix="i_", batch_size=16)
    for name in names:
        np.testing.assert_allclose(found[f"i_{name}"], expected[name], rtol=1e-5)


def test_mixed_precision_ends_before_the_last_layer(digits):
    read = Transformed(TRANSFORM)
    images = torch.stack([read(str(path)) for path in digits[0][:16]])
    labels = np.arange(16) % 10
    tables = []
    for mixed in (False, True):
        model = ImageModel(network(), CLASSES, "a model", read)
        scorer = Scorer(model, {"el2n": {}, "margin": {}}, mixed=mixed)
        with scorer.ready():
            scorer.probe(images[:2])
            tables.append(scorer(images, labels)[0])
    assert not np.array_equal(*tables)
    np.testing.assert_allclose(*tables, atol=2e-2)


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
        scorer = Scorer(ImageModel(module, CLASSES, "", read), {"loss": {}}, mixed=mixed)
        with scorer.ready():
            scorer.probe(images[:2])
            tables.append(scorer(images, np.arange(4))[0])
    np.testing.assert_array_equal(*tables)


# -- refusals -------------------------------------------------------------------------------------


def no_linear():
    return nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scores": "el2n"}, r"scores: must be a sequence"),
        ({"scores": ()}, r"scores: must name at least one"),
        ({"scores": ["el3n"]}, r"Unknown score 'el3n'"),
        ({"scores": ["aum"]}, r"scores: \['aum'\] follow from a training run.*DynamicsRecorder"),
        ({"window": 5}, r"switches: 'window' are no arguments and no switches of \['el2n'\]"),
        ({"scores": ["k_center"], "picks": -1}, r"'picks' of score 'k_center' must be"),
        ({"model": None, "scores": ["grand"]}, r"model: \['grand'\] need one model.*train_query"),
        ({"model": None, "folds": 1}, r"folds: must be an integer >= 2"),
        ({"model": []}, r"model: the list is empty"),
        ({"model": 3}, r"model: must be a QueryModel, .*int"),
        ({"model": "predictoins"}, r"model: 'predictoins' is no field"),
        ({"model": "name"}, r"model: the field 'name' must hold Classifications"),
        ({"model": "ground_truth", "classes": None}, r"classes: must be given with stored logits"),
        ({"model": "ground_truth", "scores": ["grand"]}, r"need more than the logits stored in"),
        ({"model": "ground_truth"}, r"60 of 60 samples have no logits in 'ground_truth'"),
        ({"transform": None}, r"transform: must be given with a torch.nn.Module"),
        ({"classes": None}, r"classes: must be given with a torch.nn.Module"),
        ({"classes": "abc"}, r"classes: must be a list of class names"),
        ({"classes": CLASSES[2:]}, r"classes: .* has no class 'one', 'zero', which are labels in"),
        ({"classes": [*CLASSES, "ten"]}, r"classes: must name every output.*11 names.*\(2, 10\)"),
        ({"transform": v2.RGB()}, r"transform: must return a tensor"),
        ({"model": no_linear(), "scores": ["grand_last_layer"]}, r"need the inputs of a last lin"),
        ({"spread": True}, r"spread: several models"),
        ({"spread": True, "model": None}, r"spread: several models .* models=5"),
        ({"models": 2}, r"models: must be 1 with model=, but got 2; pass a list"),
        ({"models": 0, "model": None}, r"models: must be an integer >= 1"),
        ({"on_error": "ignore"}, r"on_error: must be 'skip' or 'raise'"),
        ({"batch_size": 0}, r"batch_size: must be an integer >= 1"),
        ({"workers": 1.5}, r"workers: must be an integer >= 1"),
        ({"device": "abacus"}, r"device"),
        ({"prefix": "a b"}, r"prefix: must make valid field names"),
        ({"prefix": "taken_"}, r"prefix: the field 'taken_el2n' exists"),
        ({"prefix": "text_", "overwrite": True}, r"'text_el2n' exists and is no float field"),
        ({"checkpoint_dir": "/dev/null/x"}, r"checkpoint_dir: must be a folder"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anything_is_written(small, score, arguments, words):
    small.set_values("taken_el2n", [1.0] * 60)
    small.set_values("text_el2n", ["a"] * 60)
    fields = sorted(small.get_field_schema())
    call = {"scores": ["el2n"], "model": network()} | arguments
    with pytest.raises(DropError, match=words):
        score(small, call.pop("scores"), call.pop("model"), **call)
    assert sorted(small.get_field_schema()) == fields


def test_images_of_several_sizes_need_a_transform_that_resizes(small, score, tmp_path):
    Image.new("RGB", (9, 9)).save(tmp_path / "large.png")
    sample = fo.Sample(
        filepath=str(tmp_path / "large.png"), ground_truth=fo.Classification(label="one")
    )
    small.add_sample(sample)
    with pytest.raises(DropError, match=r"transform: .*\(3, 8, 8\) and, .*large.png, \(3, 9, 9\)"):
        score(small, ["el2n"], network())


def test_models_without_logits_are_refused_with_the_way_round(small, score):
    config = fout.TorchImageModelConfig({"entrypoint_fcn": network, "device": "cpu"})
    with pytest.raises(DropError, match=r"image classifiers .*store_logits=True.*model='predic"):
        score(small, ["el2n"], fout.TorchImageModel(config))


def test_samples_without_a_label_are_refused(small, score):
    small[:3].clear_sample_field("ground_truth")
    with pytest.raises(DropError, match=r"label_field: 3 of 60 .*\.exists\('ground_truth'\)"):
        score(small, ["el2n"], network())


# -- documentation --------------------------------------------------------------------------------


def test_the_page_of_scores_is_what_the_registry_generates():
    from docs_scores import FAMILIES, PAGE, render

    assert PAGE.read_text() == render(), "run: python scripts/docs_scores.py"
    assert set(NEEDS.values()) <= set(FAMILIES)
    assert all(f"| `{name}` |" in PAGE.read_text() for name in SCORES)
