"""Herding against its definition, one sample at a time."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from score_references import REFERENCES

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import herding

seeds = st.integers(0, 2**32 - 1)


def points(n=120, width=8, shift=0.0, seed=0):
    rng = np.random.default_rng(seed)
    embeddings = (rng.normal(size=(n, width)) + shift).astype(np.float32)
    return embeddings, rng.integers(3, 6, n)


@pytest.mark.parametrize("herding_pick", ["closest", "welling"])
@pytest.mark.parametrize("shift", [0.0, 3.0, 100.0])
@pytest.mark.parametrize("width", [2, 8, 64])  # classes of more and of fewer samples than that
def test_herding_equals_its_reference(width, shift, herding_pick):
    embeddings, labels = points(width=width, shift=shift)
    expected = REFERENCES["herding"](embeddings.astype(np.float64), labels, herding_pick)
    found = herding(embeddings, labels, herding_pick=herding_pick)
    np.testing.assert_array_equal(found, expected)


def test_the_picked_keep_the_class_mean_as_random_ones_do_not():
    embeddings, _ = points(2000, 32, shift=5)
    order = np.argsort(herding(embeddings, np.zeros(2000)))
    away = np.linalg.norm(embeddings[order[:200]].mean(0) - embeddings.mean(0))
    at_random = np.linalg.norm(embeddings[:200].mean(0) - embeddings.mean(0))
    assert away < at_random / 10


@pytest.mark.parametrize("herding_pick", ["closest", "welling"])
@pytest.mark.parametrize("n", [5, 3000])
def test_the_largest_embeddings_that_are_let_through_have_all_positions(n, herding_pick):
    embeddings = np.random.default_rng(0).normal(size=(n, 8))
    embeddings *= 1e14 / np.abs(embeddings).max() * 0.99
    found = herding(embeddings.astype(np.float32), np.zeros(n, int), herding_pick=herding_pick)
    np.testing.assert_allclose(np.sort(found), (np.arange(n) + 0.5) / n)


def test_no_error_adds_up_over_thousands_of_picks():
    embeddings, _ = points(3000, 4, shift=10)
    order = np.argsort(herding(embeddings, np.zeros(3000)))
    arms = embeddings.astype(np.float64) - embeddings.mean(0, dtype=np.float64)
    total = np.zeros(4)
    for i in range(2900):
        left = order[i:]
        costs = np.linalg.norm(total + arms[left], axis=1)
        assert costs[0] <= costs.min() + 1e-5
        total += arms[order[i]]


@given(seeds, st.integers(1, 40), st.integers(1, 20))
def test_every_class_is_a_permutation_of_its_own(seed, n, width):
    embeddings, labels = points(n, width, seed=seed)
    scores = herding(embeddings, labels)
    for y in np.unique(labels):
        own = np.flatnonzero(labels == y)
        np.testing.assert_allclose(np.sort(scores[own]) * len(own), np.arange(len(own)) + 0.5)
        # The others make no difference.
        np.testing.assert_array_equal(herding(embeddings[own], labels[own]), scores[own])


@given(seeds, st.integers(3, 40), st.sampled_from([3, 50]))
def test_samples_of_one_norm_are_picked_as_welling_does(seed, n, width):
    embeddings, _ = points(n, width, seed=seed)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    found = [herding(embeddings, [0] * n, herding_pick=pick) for pick in ("closest", "welling")]
    np.testing.assert_array_equal(*found)


def test_tensors_and_duplicates_are_taken():
    embeddings, labels = points()
    expected = herding(embeddings, labels)
    found = herding(torch.from_numpy(embeddings).double(), torch.from_numpy(labels))
    np.testing.assert_array_equal(found, expected)
    same = herding(np.ones((4, 3)), np.zeros(4))
    np.testing.assert_array_equal(same, [0.125, 0.375, 0.625, 0.875])


def test_labels_of_another_length_are_an_error():
    with pytest.raises(DropError, match="labels: must have the shape"):
        herding(np.ones((3, 2)), [0, 1])
