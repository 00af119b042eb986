"""The order: its first n are the quotas, for every n, and it does not depend on who asks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fiftyone_drop import DropError
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.density import kept_size
from fiftyone_drop.order import drop_order, inner_order, keyed_hash, positions_to_keep_at
from fiftyone_drop.quotas import quotas_of_size

seeds = st.integers(-(2**70), 2**70)
populations = st.integers(1, 8).flatmap(
    lambda k: st.tuples(
        st.lists(st.integers(0, k - 1), min_size=k, max_size=120).map(
            lambda codes: np.array(list(range(k)) + codes, dtype=np.int32)
        ),
        st.lists(st.sampled_from([0.0, 0.1, 1.0, 1.0, 7.5, 1e6]), min_size=k, max_size=k).map(
            np.array
        ),
    )
)


def ids_of(n):
    return np.array([b"%024x" % (i * 7919) for i in range(n)])


@given(population=populations, seed=seeds, floor=st.integers(0, 3))
def test_the_first_n_of_the_order_are_the_quotas_for_every_n(population, seed, floor):
    codes, weights = population
    sizes = np.bincount(codes)
    bounds = Bounds.none(sizes, floor)
    order = drop_order(codes, inner_order(ids_of(len(codes)), seed), weights, bounds)
    assert sorted(order) == list(range(len(codes)))
    for n in range(len(codes) + 1):
        counted = np.bincount(codes[order[:n]], minlength=len(weights))
        assert counted.tolist() == quotas_of_size(sizes, weights, n, bounds).tolist()


@given(population=populations, seed=seeds, data=st.data())
def test_the_order_does_not_depend_on_the_order_of_the_rows(population, seed, data):
    codes, weights = population
    ids = ids_of(len(codes))
    scores = np.array(
        data.draw(
            st.lists(st.sampled_from([0.0, 0.5, 1.0]), min_size=len(codes), max_size=len(codes))
        )
    )
    rows = np.array(data.draw(st.permutations(range(len(codes)))))

    def ordered_ids(rows):
        inner = inner_order(ids[rows], seed, scores[rows])
        bounds = Bounds.none(np.bincount(codes), 1)
        return ids[rows][drop_order(codes[rows], inner, weights, bounds)].tolist()

    assert ordered_ids(np.arange(len(codes))) == ordered_ids(rows)


@given(population=populations, seed=seeds, data=st.data())
def test_removing_samples_leaves_the_order_of_the_others_in_their_class_alone(
    population, seed, data
):
    codes, weights = population
    ids = ids_of(len(codes))
    stay = np.array(data.draw(st.lists(st.booleans(), min_size=len(codes), max_size=len(codes))))

    stay[0] = True

    def order_of(rows):
        order = drop_order(codes[rows], inner_order(ids[rows], seed), weights)
        return [ids[rows][i] for i in order]

    before, after = order_of(np.arange(len(codes))), order_of(np.flatnonzero(stay))
    for code in range(len(weights)):
        members = set(ids[stay & (codes == code)].tolist())
        assert [i for i in before if i in members] == [i for i in after if i in members]


def test_scores_order_samples_inside_a_class_and_ties_stay_at_random():
    ids = ids_of(6)
    scores = np.array([0.1, 0.9, 0.5, 0.5, 0.5, 0.2])
    hardest = inner_order(ids, 3, scores, highest_first=True)
    easiest = inner_order(ids, 3, scores, highest_first=False)
    assert hardest[0] == 1
    assert hardest[-2:].tolist() == [5, 0]
    assert easiest[:2].tolist() == [0, 5]
    assert easiest[-1] == 1
    tied = {tuple(inner_order(ids, seed, scores)[1:4].tolist()) for seed in range(40)}
    assert len(tied) == 6  # every order of three


@given(seed=seeds)
def test_the_hash_of_an_id_does_not_depend_on_the_other_ids(seed):
    short, long = np.array([b"a", b"bc"]), np.array([b"a", b"bc", b"a much longer identifier"])
    assert keyed_hash(short, seed).tolist() == keyed_hash(long, seed)[:2].tolist()


def test_the_hash_is_pinned_so_that_runs_repeat_on_any_machine_and_version():
    ids = np.array([b"507f1f77bcf86cd799439011", b"507f191e810c19729de860ea"])
    assert [hex(h) for h in keyed_hash(ids, 51)] == ["0x1a1e000ee8d74e79", "0x82cf93ad584b5dd6"]


def test_the_hash_looks_random():
    ids = ids_of(100_000)
    bits = np.unpackbits(keyed_hash(ids, 0).view(np.uint8)).reshape(-1, 64)
    other = np.unpackbits(keyed_hash(ids, 1).view(np.uint8)).reshape(-1, 64)
    assert np.all(np.abs(bits.mean(axis=0) - 0.5) < 0.01)
    assert np.all(np.abs((bits != other).mean(axis=0) - 0.5) < 0.01)
    assert len(np.unique(keyed_hash(ids, 0))) == len(ids)


def test_equal_hashes_are_told_apart_by_id(monkeypatch):
    monkeypatch.setattr(
        "fiftyone_drop.order.keyed_hash", lambda ids, seed: np.zeros(len(ids), dtype=np.uint64)
    )
    ids = np.array([b"c", b"a", b"b"])
    assert inner_order(ids, 0).tolist() == [1, 2, 0]
    names = np.array([b"x", b"y", b"x"])
    assert inner_order(ids, 0, names=names).tolist() == [2, 0, 1]


def test_a_sample_that_occurs_twice_is_refused():
    with pytest.raises(DropError, match=r"samples: 1 samples occur more than once, such as 00;"):
        inner_order(np.array([b"01", b"00", b"00"]), 0)


@given(n=st.integers(1, 300), density=st.floats(0.001, 1))
def test_keep_at_counts_as_the_kept_size(n, density):
    order = np.random.default_rng(n).permutation(n)
    keep_at = positions_to_keep_at(order)
    assert (keep_at <= density).sum() == kept_size(n, density)
    assert np.array_equal(np.argsort(keep_at), order)


def test_without_quotas_samples_come_in_their_inner_order():
    ids = ids_of(50)
    inner = inner_order(ids, 9)
    codes, bounds = np.zeros(50, np.int32), Bounds.none(np.array([50]))
    for order in (drop_order(codes, inner, None), drop_order(codes, inner, None, bounds)):
        assert order.tolist() == inner.tolist()
