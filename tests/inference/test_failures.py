"""Images without scores are reported by name and left out, or are an error."""

import numpy as np
import pytest
import torch
from digit_models import Faulty, network

from fiftyone_drop import DropError, DropWarning
from fiftyone_drop.scoring import (
    SCORES,
)

NEEDS = {name: score.needs for name, score in SCORES.items()}
FORWARD = [name for name, needs in NEEDS.items() if needs == "logits"]
FROM_IMAGES = [name for name, needs in NEEDS.items() if needs not in ("dynamics", "nothing")]


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
    with pytest.raises(DropError, match=r"select: 2 of 60 .*\.match\(F\('el2n'\) >= "):
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
