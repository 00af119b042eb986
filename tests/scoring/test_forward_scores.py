"""Scores of one forward pass, against references written from their definitions."""

import numpy as np
import pytest
import torch
from score_references import REFERENCES

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import SCORES, forward_scores
from fiftyone_drop.scoring.forward import FORWARD

NAMES = [score.name for score in SCORES.values() if score.needs in FORWARD]


def batch(rows=64, classes=10, width=16, scale=3.0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(rows)
    logits = scale * torch.randn(rows, classes, generator=generator, dtype=torch.float64)
    labels = torch.randint(0, classes, (rows,), generator=generator)
    features = torch.randn(rows, width, generator=generator, dtype=torch.float64)
    return logits.to(dtype), labels, features.to(dtype)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("classes", [2, 10])
def test_score_equals_its_reference(name, classes):
    logits, labels, features = batch(classes=classes)
    expected = REFERENCES[name](logits.numpy(), labels.numpy(), features.numpy())
    result = forward_scores([name], logits, labels, features)[name]
    assert result.dtype == np.float32
    np.testing.assert_allclose(result, expected, rtol=1e-6, atol=1e-7)
    result = forward_scores([name], logits.float(), labels, features.float())[name]
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_adding_a_constant_to_all_logits_changes_nothing(name):
    logits, labels, features = batch()
    first = forward_scores([name], logits, labels, features)[name]
    second = forward_scores([name], logits + 100, labels, features)[name]
    np.testing.assert_allclose(first, second, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_permuting_the_classes_changes_nothing(name):
    logits, labels, features = batch()
    order = torch.randperm(10, generator=torch.Generator().manual_seed(0))
    first = forward_scores([name], logits, labels, features)[name]
    second = forward_scores([name], logits[:, order], order.argsort()[labels], features)[name]
    np.testing.assert_allclose(first, second, rtol=1e-5)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(name, dtype):
    logits, labels, features = batch(dtype=dtype)
    half = forward_scores([name], logits, labels, features)[name]
    full = forward_scores([name], logits.float(), labels, features.float())[name]
    np.testing.assert_array_equal(half, full)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("scale", [0.0, 1e4, 1e30])
def test_extreme_logits_give_finite_scores_of_the_right_sign(name, scale):
    logits, labels, features = batch(dtype=torch.float32)
    result = forward_scores([name], logits * scale, labels, features)[name]
    assert np.isfinite(result).all()
    assert (result >= 0).all()


@pytest.mark.parametrize("name", NAMES)
def test_the_hard_end_is_where_the_registry_says(name):
    easy, hard = [[20.0, 0.0, 0.0]], [[0.0, 0.1, 0.0]]
    logits, labels = torch.tensor(easy + hard), torch.tensor([0, 0])
    first, second = forward_scores([name], logits, labels, torch.ones(2, 4))[name]
    assert (second > first) == (SCORES[name].hard == "high")


def test_el2n_tells_very_confident_samples_apart():
    logits = torch.tensor([[18.0, 0.0], [20.0, 0.0]])
    result = forward_scores(["el2n"], logits, torch.tensor([0, 0]))["el2n"]
    np.testing.assert_allclose(result, np.sqrt(2) / (1 + np.exp([18.0, 20.0])), rtol=1e-5)


def test_last_layer_grand_is_the_gradient_norm_of_the_last_layer():
    logits, labels, features = batch()
    scores = forward_scores(["el2n", "grand_last_layer"], logits, labels, features)
    expected = scores["el2n"] * np.sqrt(1 + features.square().sum(1).numpy())
    np.testing.assert_allclose(scores["grand_last_layer"], expected, rtol=1e-6)


def test_entropy_is_fiftyones_hardness():
    from scipy.special import softmax
    from scipy.stats import entropy

    logits, labels, _ = batch()
    result = forward_scores(["entropy"], logits, labels)["entropy"]
    expected = [entropy(softmax(row)) for row in logits.numpy()]
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_a_row_that_is_not_finite_scores_nan_and_leaves_the_others_alone():
    logits, labels, features = batch(rows=3)
    for value in (torch.nan, torch.inf, -torch.inf):
        logits[1, 0] = value
        for values in forward_scores(NAMES, logits, labels, features).values():
            assert np.isnan(values).tolist() == [False, True, False]


@pytest.mark.parametrize("name", NAMES)
def test_labels_count_exactly_where_the_registry_says(name):
    logits, labels, features = batch()
    first, second = (
        forward_scores([name], logits, given, features)[name] for given in (labels, 9 - labels)
    )
    assert np.array_equal(first, second) != SCORES[name].uses_labels


def test_an_empty_batch_gives_empty_scores():
    logits, labels, features = batch(rows=0)
    assert {len(v) for v in forward_scores(NAMES, logits, labels, features).values()} == {0}
    assert forward_scores([], logits, labels) == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"names": ["aum"]}, "'aum' needs 'dynamics'"),
        ({"names": ["grand_last_layer"], "features": None}, "`features`, which are missing"),
        ({"logits": torch.zeros(4, 1)}, "K >= 2"),
        ({"logits": torch.zeros(4)}, "`logits`"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, "`labels`"),
        ({"labels": torch.zeros(4)}, "`labels`"),
        ({"labels": torch.full((4,), 3)}, r"\[0, 3\)"),
        ({"labels": torch.full((4,), -1)}, r"\[0, 3\)"),
        ({"features": torch.zeros(4, 2, 2)}, "`features`"),
    ],
)
def test_bad_input_is_an_error_that_names_it(changes, message):
    fine = {"logits": torch.zeros(4, 3), "labels": torch.zeros(4, dtype=torch.long)}
    with pytest.raises(DropError, match=message):
        forward_scores(**({"names": ["el2n"]} | fine | changes))
