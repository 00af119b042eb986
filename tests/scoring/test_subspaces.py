"""ZCore against one draw at a time, and what holds for any embeddings."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from score_references import REFERENCES

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import subspaces, zcore

SWITCHES = {
    "defaults": {},
    "few draws": {"zcore_draws": 7},
    "one dimension": {"zcore_dimensions": 1},
    "three dimensions": {"zcore_dimensions": 3},
    "more than there are": {"zcore_dimensions": 99, "zcore_draws": 30},
    "few neighbours": {"zcore_neighbours": 5},
    "one neighbour": {"zcore_neighbours": 1},
    "another exponent": {"zcore_exponent": 1},
    "from zero": {"zcore_start": "zero"},
    "another seed": {"seed": 2**40},
}


def points(n=90, width=70, seed=0):
    """Rectified and shifted, with constant dimensions, duplicates and an even or odd number."""
    rng = np.random.default_rng(seed)
    embeddings = rng.normal(size=(n, width)).astype(np.float32)
    embeddings[:, 1::3] = np.maximum(embeddings[:, 1::3], 0)
    embeddings[:, 2::5] += 10
    embeddings[:, 3::7] = 2
    return embeddings


@pytest.mark.parametrize("switches", SWITCHES.values(), ids=SWITCHES)
@pytest.mark.parametrize(("n", "width"), [(150, 70), (91, 5), (2, 1)])
def test_zcore_equals_its_reference(n, width, switches):
    embeddings = points(n, width)
    expected = REFERENCES["zcore"](embeddings.astype(np.float64), None, **switches)
    np.testing.assert_allclose(zcore(embeddings, **switches), expected, rtol=1e-7, atol=1e-9)


def test_a_lone_sample_scores_high_and_a_crowd_low():
    rng = np.random.default_rng(0)
    crowd = rng.normal(scale=0.01, size=(200, 4))
    apart = rng.uniform(-3, 3, size=(40, 4))
    scores = zcore(np.concatenate([crowd, apart]))
    assert scores[200:].mean() > scores[:200].mean() + 0.1


def test_duplicates_share_and_so_gain_nothing_wherever_they_stand():
    embeddings = np.random.default_rng(0).normal(size=(40, 6))
    twice = np.concatenate([embeddings, embeddings[:20]])
    scores = zcore(twice, zcore_start="zero")
    np.testing.assert_allclose(scores[:20], scores[40:], atol=1e-6)
    # A draw in which everything is a duplicate tells nothing.
    assert not zcore(np.repeat(embeddings, 2, axis=0), zcore_start="zero").any()
    assert not zcore(np.ones((5, 3)), zcore_start="zero").any()
    assert zcore(np.ones((1, 3))).tolist() == [0]


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 2**32 - 1), st.integers(4, 40), st.integers(1, 40))
def test_scores_span_zero_to_one_and_follow_the_samples(seed, n, width):
    embeddings = np.random.default_rng(seed).normal(size=(n, width))
    scores = zcore(embeddings, zcore_start="zero", seed=seed)
    assert scores.dtype == np.float64
    assert (scores.min(), scores.max()) == (0, 1)
    np.testing.assert_array_equal(zcore(embeddings, zcore_start="zero", seed=seed), scores)
    # In whatever order the samples come: the draws depend on the values alone.
    shuffled = np.random.default_rng(seed).permutation(n)
    found = zcore(embeddings[shuffled], zcore_start="zero", seed=seed)
    np.testing.assert_allclose(found, scores[shuffled], atol=1e-4)
    # Distances only matter relative to one another.
    found = zcore(embeddings * 4, zcore_start="zero", seed=seed)
    np.testing.assert_allclose(found, scores, atol=1e-4)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6), st.integers(0, 30))
def test_dimensions_of_a_draw_differ_and_are_as_often_each(seed, size, more):
    width = size + more
    uniform = np.random.default_rng(seed).random((200, size))
    chosen = subspaces._choose(uniform, width)
    assert ((chosen >= 0) & (chosen < width)).all()
    assert (np.diff(np.sort(chosen, axis=1), axis=1) > 0).all()


def test_dimensions_and_points_have_their_distributions():
    rng = np.random.default_rng(0)
    chosen = subspaces._choose(rng.random((100_000, 2)), 5)
    pairs = np.bincount(chosen[:, 0] * 5 + chosen[:, 1], minlength=25).reshape(5, 5)
    assert (np.diag(pairs) == 0).all()
    np.testing.assert_allclose(pairs[~np.eye(5, dtype=bool)], 5000, rtol=0.06)
    found = subspaces._triangular(rng.random(100_000), *np.array([[1.0], [2.0], [5.0]]))
    expected = np.random.default_rng(1).triangular(1, 2, 5, 100_000)
    q = np.linspace(0.01, 0.99, 50)
    np.testing.assert_allclose(np.quantile(found, q), np.quantile(expected, q), atol=0.03)


def test_tensors_and_memory_maps_are_taken(tmp_path):
    embeddings = points()
    expected = zcore(embeddings)
    np.testing.assert_array_equal(zcore(torch.from_numpy(embeddings).double()), expected)
    np.save(tmp_path / "embeddings.npy", embeddings)
    mapped = np.load(tmp_path / "embeddings.npy", mmap_mode="r")
    np.testing.assert_array_equal(zcore(mapped), expected)


def test_bad_embeddings_are_an_error():
    with pytest.raises(DropError, match="embeddings: must be finite"):
        zcore([[0.0, np.inf]])
