"""Scores of several models, and of query models that have not seen the sample."""

import numpy as np
import pytest
from digit_models import CLASSES, network

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.scoring import (
    SCORES,
)
from fiftyone_drop.training import TrainingOptions, train

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]


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
    info = small.get_field("e_el2n_std").info
    assert (info["spread_of"], info["models"]) == ("e_el2n", 3)


@pytest.mark.usefixtures("few_steps")
def test_without_a_model_every_score_of_logits_is_out_of_sample(small):
    fod.compute_scores(small, scores=[*FORWARD, "random"], folds=2, prefix="q_")
    assert small.get_field("q_margin").info["out_of_sample"] is True
    margin, confidence = (np.array(small.values(n)) for n in ("q_margin", "q_least_confidence"))
    assert np.all(margin <= 1 - confidence + 1e-6)
    assert len(set(margin)) > 50


@pytest.mark.usefixtures("few_steps")
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


@pytest.mark.usefixtures("few_steps")
def test_query_models_are_trained_on_what_can_be_read(broken):
    samples, ids = broken
    with pytest.raises(DropError, match=r"on_error: .*missing\.png"):
        fod.compute_scores(samples, folds=2, on_error="raise")
    with pytest.warns(DropWarning, match=rf"2 of 60 images cannot be read: {ids[0]}"):
        fod.compute_scores(samples, folds=2)
    assert samples.exists("el2n", False).values("id") == ids
