"""Logits that a model has left in a field."""

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from digit_models import CLASSES, fiftyone_model, network

from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.scoring import (
    SCORES,
)

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]


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


def test_samples_without_stored_logits_stay_empty(small, score):
    model = fiftyone_model(network())
    small[5:].apply_model(model, "predictions", store_logits=True, progress=False)
    with pytest.warns(DropWarning, match="5 of 60 samples have no logits"):
        score(small, ["el2n"], "predictions")
    assert small.values("el2n")[:5] == [None] * 5
    assert small.exists("el2n").count() == 55
    with pytest.raises(DropError, match="5 of 60 samples have no logits"):
        score(small, ["el2n"], "predictions", on_error="raise")
