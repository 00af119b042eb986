"""The query model in closed form: its features, and its predictions of what it leaves out."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_digits

from fiftyone_drop import DropError
from fiftyone_drop.training.closed_form import (
    CONTRAST,
    PATCH,
    STRIDE,
    THRESHOLD,
    LeaveOneOut,
    LeftOut,
    PatchFeatures,
    leave_out,
)


def noise(n, size, seed=0):
    """Smooth random images."""
    rng = np.random.default_rng(seed)
    coarse = torch.from_numpy(rng.uniform(0, 255, (n, 3, 4, 4)))
    images = torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")
    return images.to(torch.uint8)


def by_refitting(features, labels, classes, ridge):
    """Fit without each sample in turn, and predict it; features are standardised already."""
    n = len(features)
    outputs = np.empty((n, classes))
    targets = np.eye(classes)[labels]
    for left in range(n):
        rest = np.arange(n) != left
        # The intercept is a column that costs nothing
        x = np.hstack([features[rest], np.ones((n - 1, 1))])
        penalty = np.diag([ridge * n] * features.shape[1] + [0.0])
        weights = np.linalg.solve(x.T @ x + penalty, x.T @ targets[rest])
        outputs[left] = np.append(features[left], 1) @ weights
    return outputs


# -- leaving one out ------------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "dimensions"), [(40, 6), (30, 50), (2, 5)])
@pytest.mark.parametrize("ridge", [0.01, 1.0])
def test_leaving_one_out_is_refitting_without_it(n, dimensions, ridge):
    rng = np.random.default_rng(n)
    features, labels = rng.normal(size=(n, dimensions)), rng.integers(0, 3, n)
    standard = (features - features.mean(0)) / features.std(0)
    model = LeaveOneOut(torch.from_numpy(features), torch.from_numpy(labels), 4, [ridge])
    outputs = model.outputs(np.arange(n)).numpy()
    np.testing.assert_allclose(outputs, by_refitting(standard, labels, 4, ridge), atol=1e-8)
    np.testing.assert_allclose(outputs.sum(1), 1, atol=1e-8)


MANY = 4200  # float32


def unequal_classes(n):
    """Features (n, 6) and labels: one sample in ten is of the first class."""
    rng = np.random.default_rng(0)
    labels = (rng.random(n) > 0.1).astype(int)
    return (rng.normal(size=(n, 6)) + 0.8 * labels[:, None]).astype(np.float32), labels


def left_out(features, labels):
    """Logits of every sample."""
    logits = np.empty((len(features), 2), np.float32)
    features = np.ascontiguousarray(features, np.float32)
    leave_out(features, labels, 2, on_logits=lambda rows, found: logits.__setitem__(rows, found))
    return logits


@pytest.mark.parametrize("n", [MANY, 200])
@pytest.mark.parametrize("level", [3.3, -7e8, 1e-30, 0.0])
@pytest.mark.parametrize("wavers", [False, True])
def test_a_dimension_that_is_constant_changes_nothing(n, level, wavers):
    """Nor does one that wavers by a rounding of float32."""
    features, labels = unequal_classes(n)
    constant = np.full(n, level, np.float32)
    if wavers:
        constant[::2] *= 1.0000001
    found = left_out(np.column_stack([features, constant]), labels)
    np.testing.assert_allclose(found, left_out(features.copy(), labels), atol=1e-5)


@pytest.mark.parametrize("n", [MANY, 200])
def test_the_scales_of_dimensions_change_nothing(n):
    features, labels = unequal_classes(n)
    scaled = features * np.array([1e-30, 1e30, 1, 1e-9, 1e15, 5], np.float32)
    np.testing.assert_allclose(
        left_out(scaled, labels), left_out(features.copy(), labels), atol=1e-5
    )


def test_the_float32_of_many_samples_says_what_float64_says():
    features, labels = unequal_classes(MANY)
    codes = torch.from_numpy(labels)
    exact = LeaveOneOut(torch.from_numpy(features).double(), codes, 2).outputs(np.arange(MANY))
    moved = torch.from_numpy(features + np.float32(100))
    found = LeaveOneOut(moved, codes, 2).outputs(np.arange(MANY))
    np.testing.assert_allclose(found.numpy(), exact.numpy(), atol=1e-5)


def test_a_sample_that_alone_decides_a_dimension_has_finite_outputs():
    """Its leverage is one, but for a rounding."""
    features, labels = unequal_classes(MANY)
    alone = np.zeros(MANY, np.float32)
    alone[7] = 1
    table = torch.from_numpy(np.column_stack([features, alone]).astype(np.float32))
    model = LeaveOneOut(table, torch.from_numpy(labels), 2, [1e-12])
    assert torch.isfinite(model.outputs(np.arange(MANY))).all()


def test_of_more_dimensions_than_samples_the_float32_says_what_float64_says():
    rng = np.random.default_rng(5)
    labels = rng.integers(0, 3, 60)
    features = torch.from_numpy(rng.normal(size=(60, 200)) + 0.3 * labels[:, None])
    codes = torch.from_numpy(labels)
    exact = LeaveOneOut(features.clone(), codes, 3)
    found = LeaveOneOut(features.float(), codes, 3)
    assert found.ridge == exact.ridge
    outputs = [model.outputs(np.arange(60)).numpy() for model in (exact, found)]
    np.testing.assert_allclose(outputs[1], outputs[0], atol=1e-4)


def test_long_embeddings_of_few_samples_take_the_work_of_few_samples():
    """The system of 25,088 dimensions, those of VGG's last feature map, would take hours."""
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 100)
    found = left_out(rng.normal(size=(100, 25_088)) + 0.1 * labels[:, None], labels)
    assert (found.argmax(1) == labels).mean() > 0.9


def test_the_penalty_is_the_one_of_the_smallest_error():
    rng = np.random.default_rng(3)
    features, labels = rng.normal(size=(60, 50)), rng.integers(0, 2, 60)
    features[:, 0] += labels
    ridges, truth = [0.001, 0.1, 10.0], np.eye(2)[labels]
    errors = []
    for ridge in ridges:
        one = LeaveOneOut(torch.from_numpy(features).clone(), torch.from_numpy(labels), 2, [ridge])
        errors.append(((one.outputs(np.arange(60)).numpy() - truth) ** 2).sum())
    chosen = LeaveOneOut(torch.from_numpy(features).clone(), torch.from_numpy(labels), 2, ridges)
    assert chosen.ridge == ridges[int(np.argmin(errors))]


def test_logits_are_at_the_scale_at_which_the_labels_are_likeliest():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 3, 200)
    features = np.eye(3)[labels] + rng.normal(size=(200, 3))
    model = LeaveOneOut(torch.from_numpy(features), torch.from_numpy(labels), 3)
    outputs = model.outputs(np.arange(200))

    def loss(log_scale):
        logits = outputs * 2**log_scale
        return torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).item()

    best = minimize_scalar(loss, bounds=(0, 10), method="bounded").x
    assert np.log2(model.scale()) == pytest.approx(best, abs=0.01)


# -- features -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [8, 9, 21, 32])
def test_features_are_those_of_a_loop_over_patches(size):
    images = noise(5, size)
    features_of = PatchFeatures(images, seed=1, filters=4)
    found = features_of(images).numpy()
    weights = features_of._weights.double().numpy() * 255
    shift = features_of._shift.double().numpy()
    starts = np.arange(0, size - PATCH + 1, STRIDE)
    for image, features in zip(images.double().numpy() / 255, found, strict=True):
        z = np.empty((4, len(starts), len(starts)))
        for i, y in enumerate(starts):
            for j, x in enumerate(starts):
                patch = image[:, y : y + PATCH, x : x + PATCH]
                patch = (patch - patch.mean()) / np.sqrt(patch.var() + CONTRAST)
                z[:, i, j] = (weights * patch).sum((1, 2, 3)) - shift
        low, high = len(starts) // 2, -(-len(starts) // 2)
        expected = [
            np.maximum(sign * z[:, rows, columns] - THRESHOLD, 0).mean((1, 2))
            for sign in (1, -1)
            for rows in (slice(0, high), slice(low, None))
            for columns in (slice(0, high), slice(low, None))
        ]
        expected = np.array(expected).reshape(2, 4, 4).transpose(0, 2, 1).ravel()
        np.testing.assert_allclose(features, expected, atol=2e-5)


def test_filters_see_whitened_patches():
    images = noise(50, 16)
    features_of = PatchFeatures(images, seed=1, filters=8)
    assert features_of(images).isfinite().all()
    assert features_of(images).std(0).min() > 0


def test_features_do_not_depend_on_the_batch():
    images = noise(40, 16)
    features_of = PatchFeatures(images, seed=1)
    whole = features_of(images)
    parts = torch.cat([features_of(part) for part in images.split(7)])
    torch.testing.assert_close(whole, parts, rtol=1e-5, atol=1e-6)


def test_images_of_one_colour_have_finite_features():
    images = torch.full((4, 3, 8, 8), 77, dtype=torch.uint8)
    assert PatchFeatures(images, seed=0)(images).isfinite().all()


# -- files ----------------------------------------------------------------------------------------


def predictions(paths, labels, classes, seed=0):
    """(N, K) logits, each row of which comes once."""
    logits = np.full((len(paths), len(classes)), np.nan, np.float32)

    def add(rows, values):
        assert np.isnan(logits[rows]).all()
        logits[rows] = values

    LeftOut.of(paths).predict(labels, classes, seed, on_logits=add)
    assert np.isfinite(logits).all()
    return logits


def test_digits_are_recognised_and_confidences_mean_it(few):
    paths, labels, classes = few
    logits = predictions(paths, labels, classes)
    right = logits.argmax(1) == labels
    confidence = torch.softmax(torch.from_numpy(logits), 1).amax(1).numpy()
    assert right.mean() > 0.8
    assert confidence.mean() == pytest.approx(right.mean(), abs=0.1)


def test_the_same_seed_predicts_the_same_whatever_reads(few, monkeypatch):
    paths, labels, classes = few
    first = predictions(paths, labels, classes)
    monkeypatch.setattr("fiftyone_drop.training.closed_form.default_workers", lambda: 7)
    assert np.array_equal(predictions(paths, labels, classes), first)
    assert not np.array_equal(predictions(paths, labels, classes, seed=1), first)


def test_every_image_counts_in_the_progress(few):
    paths, labels, classes = few
    counts = []
    LeftOut.of(paths).predict(
        labels, classes, 0, on_logits=lambda rows, logits: None, progress=counts.append
    )
    assert sum(counts) == len(paths)


def write(folder, arrays):
    paths = []
    for i, pixels in enumerate(arrays):
        paths.append(str(folder / f"{i}.png"))
        Image.fromarray(pixels).save(paths[-1])
    return paths


def test_a_class_of_one_image_is_unknown_without_it(tmp_path, few):
    paths, labels, classes = few
    lonely = write(tmp_path, [np.full((8, 8), 255, np.uint8)])
    logits = predictions([*paths, *lonely], [*labels, 10], [*classes, "lonely"])
    assert logits[-1].argmax() != 10


def test_grey_black_and_tiny_images_have_predictions(tmp_path):
    rng = np.random.default_rng(0)
    grey = [rng.integers(0, 256, (3, 5), dtype=np.uint8) for _ in range(4)]
    colour = [np.zeros((40, 30, 3), np.uint8) for _ in range(4)]
    paths = write(tmp_path, grey + colour)
    logits = predictions(paths, [0] * 4 + [1] * 4, ["grey", "black"])
    assert LeftOut.of(paths).size <= 32
    assert logits.argmax(1)[4:].tolist() == [1] * 4


def test_large_images_are_seen_small_and_small_ones_as_they_are(tmp_path):
    large, small = (tmp_path / name for name in ("large", "small"))
    for folder, side in ((large, 100), (small, 13)):
        folder.mkdir()
        paths = write(folder, [np.zeros((side, side), np.uint8)] * 2)
        assert LeftOut.of(paths).size == min(side, 32)


def test_a_thousand_classes_of_two_images_each(tmp_path):
    rng = np.random.default_rng(0)
    prototypes = rng.integers(0, 256, (1000, 4, 4, 3))
    images = [
        np.asarray(
            Image.fromarray(
                (prototype + rng.integers(-9, 9, (4, 4, 3))).clip(0, 255).astype("u1")
            ).resize((8, 8), Image.BICUBIC)
        )
        for prototype in np.repeat(prototypes, 2, axis=0)
    ]
    labels = np.repeat(np.arange(1000), 2)
    logits = predictions(write(tmp_path, images), labels, [f"class {k}" for k in range(1000)])
    assert (logits.argmax(1) == labels).mean() > 0.5


def test_one_image_is_too_few_and_an_unreadable_one_is_named(tmp_path, few):
    paths, labels, classes = few
    with pytest.raises(DropError, match="at least 2 samples"):
        predictions(paths[:1], labels[:1], classes)
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"no image")
    with pytest.raises(DropError, match=r"broken\.png") as refused:
        predictions([*paths, str(broken)], [*labels, 0], classes)
    assert refused.value.argument == "paths"


def test_harder_classes_have_lower_recalls(tmp_path):
    digits, rng = load_digits(), np.random.default_rng(0)
    noise = np.linspace(0, 14, 10)[digits.target]
    pixels = digits.images + rng.normal(size=digits.images.shape) * noise[:, None, None]
    paths = write(tmp_path, (pixels * 16).clip(0, 255).astype(np.uint8))
    logits = predictions(paths, digits.target, [str(k) for k in range(10)])
    right = logits.argmax(1) == digits.target
    recalls = np.bincount(digits.target, right) / np.bincount(digits.target)
    assert np.corrcoef(recalls, -np.linspace(0, 14, 10))[0, 1] > 0.8


def test_the_work_is_announced_in_one_line(few):
    words = str(LeftOut.of(few[0]))
    assert words.startswith("a query model in closed form, 120 images at 8x8 on ")
