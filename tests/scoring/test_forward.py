"""Scores of one forward pass, against references written from their definitions."""

import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch
from score_references import REFERENCES
from sklearn.metrics import log_loss

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import SCORES, Whole, forward_scores, register_score
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


def test_entropy_is_fiftyones_hardness(make_dataset):
    import fiftyone as fo
    import fiftyone.brain as fob

    dataset = make_dataset(64)
    logits, labels, _ = batch()
    predictions = [fo.Classification(label="0", logits=row) for row in logits.numpy()]
    dataset.set_values("predictions", predictions)
    fob.compute_hardness(dataset, "predictions", progress=False)
    entropy = forward_scores(["entropy"], logits, labels)["entropy"]
    np.testing.assert_allclose(entropy, dataset.values("hardness"), rtol=1e-6)


def test_entropy_is_scipys():
    logits, labels, _ = batch()
    entropy = forward_scores(["entropy"], logits, labels)["entropy"]
    expected = scipy.stats.entropy(scipy.special.softmax(logits.numpy(), axis=1), axis=1)
    np.testing.assert_allclose(entropy, expected, rtol=1e-6)


def test_loss_is_scikit_learns_log_loss():
    logits, labels, _ = batch()
    probabilities = scipy.special.softmax(logits.numpy(), axis=1)
    expected = [
        log_loss([y], p[None], labels=range(10))
        for y, p in zip(labels.tolist(), probabilities, strict=True)
    ]
    loss = forward_scores(["loss"], logits, labels)["loss"]
    np.testing.assert_allclose(loss, expected, rtol=1e-6)


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
    ("changes", "argument", "message"),
    [
        ({"scores": ["aum"]}, "scores", "'aum' needs 'dynamics'"),
        ({"scores": ["grand_last_layer"], "features": None}, "features", "but got None"),
        ({"logits": torch.zeros(4, 1)}, "logits", "K >= 2"),
        ({"logits": torch.zeros(4)}, "logits", "must be a float tensor"),
        ({"labels": torch.zeros(3, dtype=torch.long)}, "labels", r"of the shape \(4,\)"),
        ({"labels": torch.zeros(4)}, "labels", "must be integers"),
        ({"labels": torch.full((4,), 3)}, "labels", r"\[0, 3\)"),
        ({"labels": torch.full((4,), -1)}, "labels", r"\[0, 3\)"),
        ({"features": torch.zeros(4, 2, 2)}, "features", r"must have the shape \(4, D\)"),
        ({"switches": {"el2n": {"power": 2}}}, "power", "no switch of 'el2n'"),
    ],
)
def test_bad_input_is_an_error_that_names_it(changes, argument, message):
    fine = {"logits": torch.zeros(4, 3), "labels": torch.zeros(4, dtype=torch.long)}
    with pytest.raises(DropError, match=message) as error:
        forward_scores(**({"scores": ["el2n"]} | fine | changes))
    assert error.value.argument == argument


def test_a_score_of_another_shape_is_an_error_that_names_it(registry):
    @register_score("wide", hard="high", needs="logits", description="Wide.", source="a test")
    def wide(logits, labels):
        return logits

    with pytest.raises(DropError, match=r"'wide' must return .* \(3,\).* \(3, 10\)"):
        forward_scores(["wide"], *batch(rows=3)[:2])


def test_ones_own_score_gets_features_and_the_defaults_of_its_switches(registry):
    @register_score(
        "energy",
        hard="low",
        needs="features",
        description="Norm of the features to some power.",
        source="a test",
        conventions={"power": Whole(default=2, minimum=1), "of": ("features", "logits")},
    )
    def energy(logits, labels, features, *, power, of):
        return {"features": features, "logits": logits}[of].abs().pow(power).sum(1)

    logits, labels, features = batch()
    scores = forward_scores(["energy"], logits, labels, features)
    np.testing.assert_allclose(scores["energy"], features.square().sum(1), rtol=1e-6)
    switches = {"energy": {"power": np.int64(1), "of": "logits"}}
    scores = forward_scores(["energy"], logits, labels, features, switches=switches)
    np.testing.assert_allclose(scores["energy"], logits.abs().sum(1), rtol=1e-6)
