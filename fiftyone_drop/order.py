"""The order of samples that gives every density: its first ``n`` are the pruned dataset.

The whole order is (step, priority, class in sorted label order, j); the steps are those of the
bounds (see :mod:`fiftyone_drop.quotas`). Inside a class samples that must be kept come first, then
the others by score, then by a keyed hash of (seed, name): the sample id, or what ``order_by`` says.
"At random" means by that hash. So the order is the same on any machine and in any order that the
database returns samples in, and adding or removing samples leaves the relative order of the others
in their class alone.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from fiftyone_drop._types import Codes, FloatArray, Ids, IntArray
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.errors import DropError
from fiftyone_drop.quotas import tiers

BLOCK = 2**20  # samples of which intermediate numbers are held at once

Hashes = NDArray[np.uint64]
T = TypeVar("T", bound=np.generic)


def keyed_hash(ids: Ids, seed: int) -> Hashes:
    """A 64-bit hash of (seed, id) for every id, vectorised.

    Mixes eight bytes at a time with the finaliser of SplitMix64 (Steele, Lea, Flood: Fast
    Splittable Pseudorandom Number Generators, OOPSLA 2014). Python's own ``hash`` differs from
    process to process, and NumPy's generators may differ from version to version.

    Args:
        ids: (N,) bytes of any width; sample ids as 24 hexadecimal digits
        seed: any int

    Returns:
        (N,) uint64
    """
    words = -(-max(ids.itemsize, 1) // 8)
    hashes = np.empty(len(ids), np.uint64)
    for part in _blocks(len(ids)):
        some = np.ascontiguousarray(ids[part], dtype=f"S{8 * words}")
        packed = some.view("<u8").reshape(-1, words)
        state = _mix(np.full(len(some), seed % 2**64, dtype=np.uint64))
        for column in packed.T:
            # Padding is not mixed in: the hash must not depend on the length of other ids
            state = np.where(column == 0, state, _mix(state ^ column))
        hashes[part] = state
    return hashes


def _mix(x: NDArray[np.uint64]) -> NDArray[np.uint64]:
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: NDArray[np.uint64] = x ^ (x >> np.uint64(31))
    return mixed


def random_order(ids: Ids, seed: int, names: Ids | None = None) -> IntArray:
    """The indices that sort samples by their keyed hash, ties by name, then by id.

    Args:
        ids: (N,) bytes, distinct
        seed: any int
        names (None): (N,) bytes, what is hashed instead of the ids

    Returns:
        (N,) int, a permutation of 0 ... N-1

    Raises:
        DropError: if an id occurs twice, as in a view that concatenates a collection with itself
    """
    names = ids if names is None else names
    return order_of_hashes(keyed_hash(names, seed), lambda rows: (names[rows], ids[rows]))


def order_of_hashes(
    hashes: Hashes,
    texts: Callable[[IntArray], tuple[Ids, Ids]],
    argument: str = "samples",
    remedy: str = "pass a view that holds each sample once",
) -> IntArray:
    """The indices that sort samples by their hash, ties by name, then by id.

    Args:
        hashes: (N,) uint64, see :func:`keyed_hash`
        texts: gives the names and the ids of some rows
        argument ("samples"): what the ids are from, for the error
        remedy: what the error says last

    Returns:
        (N,) int, a permutation of 0 ... N-1

    Raises:
        DropError: if an id occurs twice
    """
    order = np.argsort(hashes)
    # Two ids share a hash in one of 40 million datasets of a million samples: only those are
    # sorted by their texts, and where a name occurs twice
    tied = np.zeros(len(order), bool)
    for part in _blocks(len(order) - 1):
        in_order = hashes[order[part.start : part.stop + 1]]
        same = in_order[1:] == in_order[:-1]
        tied[part] |= same
        tied[part.start + 1 : part.stop + 1] |= same
    places = np.flatnonzero(tied)
    if len(places):
        rows = np.sort(order[places])
        names, ids = texts(rows)
        among = np.lexsort((ids, names, hashes[rows]))
        order[places] = rows[among]
        repeated = np.flatnonzero(ids[among][1:] == ids[among][:-1])
        if len(repeated):
            raise DropError(
                argument,
                f"{len(repeated)} samples occur more than once, such as "
                f"{ids[among[repeated[0]]].decode()}; {remedy}",
            )
    return _narrow(order)


def inner_order(
    ids: Ids,
    seed: int,
    scores: FloatArray | None = None,
    highest_first: bool = True,
    names: Ids | None = None,
    first: Sequence[NDArray[np.bool_]] = (),
) -> IntArray:
    """The indices that sort samples as they are ordered inside a class.

    Args:
        ids: (N,) bytes, distinct
        seed: any int
        scores (None): (N,) float without NaN; samples of equal score stay at random
        highest_first (True): whether high scores come first
        names (None): (N,) bytes, what is hashed instead of the ids
        first (()): (N,) bool each: samples that come first, before those of the next

    Returns:
        (N,) int, a permutation of 0 ... N-1
    """
    return with_scores(random_order(ids, seed, names), scores, highest_first, first)


def with_scores(
    order: IntArray,
    scores: FloatArray | None,
    highest_first: bool,
    first: Sequence[NDArray[np.bool_]] = (),
) -> IntArray:
    """The order inside a class from that at random; see :func:`inner_order`."""
    if scores is not None:
        keys = _taken(scores, order)
        if highest_first:
            np.negative(keys, out=keys)
        order = _taken(order, np.argsort(keys, kind="stable"))
    for some in reversed(first):
        come_first = some[order]
        order = np.concatenate([order[come_first], order[~come_first]])
    return order


def rank_in_class(codes: Codes, inner: IntArray, k: int) -> tuple[IntArray, IntArray]:
    """Sort samples by class and, inside a class, by ``inner``.

    Args:
        codes: (N,) int32, the class of each sample
        inner: (N,) int, a permutation of 0 ... N-1
        k: the number of classes

    Returns:
        a tuple of

        -   (N,) int: indices of the samples, class by class
        -   (N,) int: for each of those, its 0-based rank in its class
    """
    by_class, sizes = _by_class(codes, inner, k), np.bincount(codes, minlength=k)
    starts = np.cumsum(sizes) - sizes
    return by_class, np.arange(len(codes)) - np.repeat(starts, sizes)


def _by_class(codes: Codes, inner: IntArray, k: int) -> IntArray:
    """Indices of the samples, class by class, and in a class by ``inner``, (N,) int."""
    # Sorting 16-bit integers is a radix sort: twenty times faster than sorting wider ones
    keys = _taken(codes.astype(np.uint16) if k <= 2**16 else codes, inner)
    return _taken(inner, np.argsort(keys, kind="stable"))


def drop_order(
    codes: Codes,
    inner: IntArray,
    weights: FloatArray | None,
    bounds: Bounds | None = None,
    out: IntArray | None = None,
) -> IntArray:
    """The order of all samples: for every ``n`` its first ``n`` are the pruned dataset of size n.

    Args:
        codes: (N,) int32 in [0, K), the class of each sample, classes in sorted label order
        inner: (N,) int, a permutation of 0 ... N-1: the order inside each class, with the samples
            that must be kept first
        weights: (K,) float >= 0, class weights; None for no quotas: in each step of the bounds
            samples then come in their inner order
        bounds (None): floors and caps; None for none
        out (None): (N,) int, where the order may be put, such as ``inner`` that is not needed any
            more

    Returns:
        (N,) int, a permutation of 0 ... N-1
    """
    if weights is None:
        return inner if bounds is None else _by_step(codes, inner, bounds)
    sizes = np.bincount(codes, minlength=len(weights))
    by_class = _by_class(codes, inner, len(weights))
    starts = np.cumsum(sizes) - sizes
    order, done = np.empty_like(by_class) if out is None else out, 0
    for tier in tiers(sizes, weights, bounds):
        counts = tier.last - tier.first
        ends = np.cumsum(counts)
        members = np.empty(ends[-1], by_class.dtype)
        priorities = np.empty(ends[-1])
        for k in np.flatnonzero(counts):
            part = slice(ends[k] - counts[k], ends[k])
            members[part] = by_class[starts[k] + tier.first[k] : starts[k] + tier.last[k]]
            priorities[part] = (np.arange(tier.first[k], tier.last[k]) + 0.5) / tier.weights[k]
        # Members lie class by class, so a stable sort breaks ties by class, then by rank
        at = np.argsort(priorities, kind="stable")
        del priorities
        order[done : done + len(at)] = _taken(members, at)
        done += len(at)
    return order


def _by_step(codes: Codes, inner: IntArray, bounds: Bounds) -> IntArray:
    """The inner order of each step, one after the other, (N,) int."""
    k = len(bounds.caps)
    by_class, rank = rank_in_class(codes, inner, k)
    sizes = np.bincount(codes, minlength=k)
    step = np.zeros(len(codes), dtype=np.uint16)
    for end in bounds.steps():
        step[by_class] += rank >= np.repeat(end, sizes)
    return inner[np.argsort(step[inner], kind="stable")]


def positions_to_keep_at(order: IntArray, most: int | None = None) -> FloatArray:
    """The smallest dataset density at which each sample is kept.

    Args:
        order: (N,) int, a permutation of 0 ... N-1
        most (None): how many samples the caps leave; by default all

    Returns:
        (N,) float: ``(p + 1/2) / N``, in (0, 1), for the sample at 0-based position ``p``; and one
        more, in (1, 2), where the sample is beyond a cap, so that no density keeps it
    """
    n = len(order)
    densities = np.empty(n)
    for part in _blocks(n):
        densities[order[part]] = (np.arange(part.start, part.stop) + 0.5) / n
    if most is not None:
        densities[order[most:]] += 1
    return densities


def places(keep_at: FloatArray, size: int) -> IntArray:
    """The positions in the order, (N,) int: the inverse of :func:`positions_to_keep_at`.

    Args:
        keep_at: (N,) float
        size: how many samples were ordered, of which these may be a part
    """
    return np.rint(keep_at % 1 * size - 0.5).astype(np.int64)


def _blocks(n: int) -> Iterator[slice]:
    """Parts of N numbers: what is computed of one takes little memory beside the numbers."""
    for start in range(0, n, BLOCK):
        yield slice(start, min(start + BLOCK, n))


def _taken(values: NDArray[T], index: IntArray) -> NDArray[T]:
    """``values[index]``, without a wider copy of the index."""
    taken = np.empty(len(index), values.dtype)
    for part in _blocks(len(index)):
        taken[part] = values[index[part]]
    return taken


def _narrow(order: IntArray) -> IntArray:
    """A permutation in half the memory, where its numbers allow it."""
    return order.astype(np.uint32) if len(order) < 2**32 else order
