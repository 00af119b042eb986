"""Ordering 1,000,000 samples of 1,000 classes against one stable argsort of as many floats.

    python benchmarks/order.py

The order is everything between ids, labels, weights and the positions that are stored: hashing,
sorting inside classes, merging the classes.
"""

from __future__ import annotations

import argparse

import numpy as np
from reporting import interleaved, report

from fiftyone_drop.bounds import Bounds
from fiftyone_drop.order import drop_order, inner_order


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=1_000_000)
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=7)
    args = parser.parse_args()
    n, k = args.samples, args.classes
    rng = np.random.default_rng(51)
    # Long-tailed sizes, as the classes of large datasets have them
    shares = 1 / np.arange(1, k + 1)
    codes = rng.choice(k, size=n, p=shares / shares.sum()).astype(np.int32)
    codes[:k] = np.arange(k)
    digits = np.frombuffer(rng.bytes(12 * n).hex().encode(), dtype="S24")
    weights = np.bincount(codes, minlength=k) * rng.random(k)
    floats = rng.random(n)
    bounds = Bounds.none(np.bincount(codes, minlength=k), 1)
    seconds = interleaved(
        {
            "one stable argsort": lambda: np.argsort(floats, kind="stable"),
            "order, at random": lambda: drop_order(codes, inner_order(digits, 51), weights, bounds),
            "order, by score": lambda: drop_order(
                codes, inner_order(digits, 51, floats), weights, bounds
            ),
            "two lexsorts": lambda: np.lexsort((floats, np.lexsort((floats, codes)))),
        },
        args.repeats,
    )
    report(
        f"order of {n:,} samples of {k:,} classes",
        seconds,
        "one stable argsort",
        {"order, at random": ("at most", 4), "order, by score": ("at most", 4)},
        samples=n,
        classes=k,
    )


if __name__ == "__main__":
    main()
