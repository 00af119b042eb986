"""compute_scores: fields that say what they hold, or an error and nothing written."""

import numpy as np
import pytest
from digit_models import CLASSES, network
from torch import nn
from torchvision.transforms import v2

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.engine import images
from fiftyone_drop.scoring import (
    SCORES,
    Whole,
    register_score,
)

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]


def test_random_needs_no_model_and_reads_no_image(small, monkeypatch):
    monkeypatch.delattr(images.Image, "open")
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


def no_linear():
    return nn.Sequential(nn.Conv2d(3, 10, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scores": "el2n"}, r"scores: must be a sequence"),
        ({"scores": ()}, r"scores: must name at least one"),
        ({"scores": ["el3n"]}, "'el3n'"),
        ({"scores": ["aum"]}, r"scores: \['aum'\] follow from a training run.*DynamicsRecorder"),
        ({"window": 5}, "window: is no argument and no switch of 'el2n'"),
        ({"scores": ["k_center"], "picks": -1}, "picks.*-1"),
        ({"model": None, "scores": ["grand"]}, r"model: \['grand'\] need one model.*train_query"),
        ({"model": None, "folds": 1}, r"folds: must be a whole number >= 2"),
        ({"model": []}, r"model: the list is empty"),
        ({"model": 3}, r"model: must be a QueryModel, .*int"),
        ({"model": "predictoins"}, r"model: 'predictoins' is no field"),
        ({"model": "name"}, r"model: the field 'name' must hold Classifications"),
        ({"model": "ground_truth", "classes": None}, r"classes: must be given with stored logits"),
        ({"model": "ground_truth", "scores": ["grand"]}, r"need more than the logits stored in"),
        ({"model": "ground_truth"}, r"60 of 60 samples have no logits in 'ground_truth'"),
        ({"transform": None}, r"transform: must be given with a torch.nn.Module"),
        ({"classes": None}, r"classes: must be given with a torch.nn.Module"),
        ({"classes": "abc"}, r"classes: must be a sequence of names"),
        ({"classes": CLASSES[2:]}, r"classes: .* has no class 'one', 'zero', which are labels in"),
        ({"classes": [*CLASSES, "ten"]}, r"classes: must name every output.*11 names.*\(2, 10\)"),
        ({"transform": v2.RGB()}, r"transform: must return a tensor"),
        ({"model": no_linear(), "scores": ["grand_last_layer"]}, r"need the inputs of a last lin"),
        ({"spread": True}, r"spread: several models"),
        ({"spread": True, "model": None}, r"spread: several models .* models=5"),
        ({"models": 2}, r"models: must be 1 with model=, but got 2; pass a list"),
        ({"models": 0, "model": None}, r"models: must be a whole number >= 1"),
        ({"on_error": "ignore"}, r"on_error: must be one of \['skip', 'raise'\]"),
        ({"batch_size": 0}, r"batch_size: must be a whole number >= 1"),
        ({"workers": 1.5}, r"workers: must be a whole number in \[1, 1024\]"),
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


def test_samples_without_a_label_are_refused(small, score):
    small[:3].clear_sample_field("ground_truth")
    with pytest.raises(DropError, match=r"label_field: 3 of 60 .*\.exists\('ground_truth"):
        score(small, ["el2n"], network())


def test_the_page_of_scores_is_what_the_registry_generates():
    from docs_scores import FAMILIES, PAGE, render

    assert PAGE.read_text() == render(), "run: python scripts/docs_scores.py"
    assert set(NEEDS.values()) <= set(FAMILIES)
    assert all(f"| `{name}` |" in PAGE.read_text() for name in SCORES)
