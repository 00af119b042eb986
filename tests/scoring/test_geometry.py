"""Distances and the k-center order, against O(N^2) references."""

import numpy as np
import pytest
import torch
from score_references import REFERENCES, k_center_picks
from sklearn.metrics.pairwise import paired_distances
from sklearn.neighbors import NearestCentroid

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import class_mean_distance, herding, k_center, k_center_order, zcore


def points(n=200, width=8, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, width)) + shift).astype(np.float32)


def radii(embeddings, order):
    """How far the furthest sample is from the first i picks, for every i."""
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    return [distances[:, order[: i + 1]].min(1).max() for i in range(len(order))]


@pytest.mark.parametrize("shift", [0.0, 3.0, 1000.0])
@pytest.mark.parametrize("width", [1, 8, 64])
def test_k_center_order_equals_its_reference(shift, width):
    embeddings = points(width=width, shift=shift)
    expected = k_center_picks(embeddings.astype(np.float64), 200)
    np.testing.assert_array_equal(k_center_order(embeddings, 150), expected[:150])


def test_fewer_picks_are_the_beginning_of_more():
    embeddings = points()
    np.testing.assert_array_equal(k_center_order(embeddings, 20), k_center_order(embeddings)[:20])


def test_every_sample_is_picked_once_even_among_duplicates():
    embeddings = np.repeat(points(30, shift=50), 4, axis=0)
    order = k_center_order(embeddings)
    assert sorted(order) == list(range(120))
    # All duplicates come after one of each.
    assert len({tuple(embeddings[i]) for i in order[:30]}) == 30
    assert sorted(k_center_order(np.ones((5, 3)))) == list(range(5))


def test_near_duplicates_far_from_the_origin_are_told_apart():
    embeddings = (1000 + points(40, 16)).astype(np.float64)
    embeddings[20:] = embeddings[:20] + 0.01 * points(20, 16, seed=1)
    embeddings = embeddings.astype(np.float32)
    reference = k_center_picks(embeddings.astype(np.float64), 40)
    wide = embeddings.astype(np.float64)
    np.testing.assert_allclose(
        radii(wide, k_center_order(embeddings)), radii(wide, reference), rtol=1e-3
    )


def test_k_center_positions_are_the_order_and_the_rest_by_distance():
    embeddings = points()
    positions = k_center(embeddings, picks=50)
    order = np.argsort(positions)
    assert sorted(positions) == list(range(200))
    np.testing.assert_array_equal(order[:50], k_center_order(embeddings, 50))
    nearest = np.linalg.norm(embeddings[:, None] - embeddings[None, order[:50]], axis=2).min(1)
    assert (np.diff(nearest[order[50:]]) <= 1e-6).all()
    expected = REFERENCES["k_center"](embeddings.astype(np.float64), None)
    np.testing.assert_array_equal(k_center(embeddings), expected)
    np.testing.assert_array_equal(k_center(embeddings, picks=10_000), expected)


def test_class_mean_distance_equals_its_reference(tmp_path):
    embeddings, labels = points(9000, 4, shift=5), np.random.default_rng(1).integers(3, 9, 9000)
    expected = np.empty(9000)
    for part in np.unique(labels):
        rows = labels == part
        expected[rows] = REFERENCES["class_mean_distance"](
            embeddings[rows].astype(np.float64), labels[rows]
        )
    np.testing.assert_allclose(class_mean_distance(embeddings, labels), expected, rtol=1e-6)
    np.save(tmp_path / "embeddings.npy", embeddings)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    np.testing.assert_allclose(class_mean_distance(mapped, labels), expected, rtol=1e-6)


def test_tensors_and_arrays_of_any_float_type_are_taken():
    embeddings = points(50)
    expected = k_center_order(embeddings)
    np.testing.assert_array_equal(k_center_order(torch.from_numpy(embeddings)), expected)
    np.testing.assert_array_equal(k_center_order(embeddings.astype(np.float64)), expected)
    np.testing.assert_array_equal(k_center_order(np.asfortranarray(embeddings)), expected)


@pytest.mark.parametrize("n", [0, 6, 2.0, True])
def test_more_picks_than_samples_are_refused(n):
    with pytest.raises(DropError, match=r"must be a whole number in \[1, 5\]") as error:
        k_center_order(points(5), n)
    assert error.value.argument == "n"


def test_bad_embeddings_are_errors_that_say_so():
    with pytest.raises(DropError, match=r"embeddings: must have the shape \(N, D\)"):
        k_center_order(np.ones(5))
    with pytest.raises(DropError, match="embeddings: must be finite"):
        k_center_order(np.array([[1.0], [np.nan]]))
    with pytest.raises(DropError, match=r"labels: must have the shape \(5,\)"):
        class_mean_distance(points(5), [0, 1])


@pytest.mark.parametrize("score", [k_center, class_mean_distance, herding, zcore])
def test_embeddings_whose_squares_float32_cannot_hold_are_refused(score):
    embeddings, labels = points(60), np.zeros(60, int)
    large = embeddings.copy()
    large[7] *= 1e20
    with pytest.raises(DropError, match=r"embeddings: must lie in \[-1e\+14, 1e\+14\]"):
        score(large, labels)
    # What is just let through scores as its multiple does
    near = embeddings * np.float32(2**44)
    expected = score(embeddings, labels) * (2**44 if score is class_mean_distance else 1)
    np.testing.assert_allclose(score(near, labels), expected, rtol=1e-5, atol=1e-9)


def test_class_mean_distance_is_that_to_scikit_learns_centroids():
    embeddings, labels = points(500, 6, shift=2), np.random.default_rng(1).integers(3, 9, 500)
    centroids = NearestCentroid().fit(embeddings.astype(np.float64), labels)
    expected = paired_distances(
        embeddings, centroids.centroids_[np.searchsorted(centroids.classes_, labels)]
    )
    np.testing.assert_allclose(class_mean_distance(embeddings, labels), expected, rtol=1e-6)


def test_the_order_is_the_same_whatever_type_new_tensors_have():
    expected = k_center_order(points())
    torch.set_default_dtype(torch.float64)
    try:
        found = k_center_order(points())
    finally:
        torch.set_default_dtype(torch.float32)
    np.testing.assert_array_equal(found, expected)
