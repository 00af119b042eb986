"""A score field says what it holds."""

import pytest
from digit_models import network

from fiftyone_drop.scoring import (
    SCORES,
)

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]


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
    assert info.get("label_field") == ("ground_truth" if SCORES[name].uses_labels else None)
    assert small.exists(field).count() == 60


def test_the_info_follows_when_a_score_is_computed_again(small, score):
    score(small, ["k_center"], network())
    score(small, ["k_center"], network(), picks=7)
    assert small.get_field("k_center").info["convention"] == {"picks": 7}
    small.reload()
    assert small.get_field("k_center").info["convention"] == {"picks": 7}
