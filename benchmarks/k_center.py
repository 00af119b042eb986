"""Greedy k-center against as many plain matrix-vector products.

    python benchmarks/k_center.py

N = 50,000 embeddings of 512 dimensions, of which half are to be picked. A pick takes the same time
whether it is the first or the last, so a part is timed and extrapolated; the report says so. The
two arms take turns within one run, on the same matrix. Embeddings are a rectified mixture of 100
Gaussians, with the mean and the near neighbours that penultimate activations have.
"""

from __future__ import annotations

import argparse
import resource
from collections.abc import Callable

import torch
from reporting import interleaved, report
from torch import Tensor

from fiftyone_drop.scoring import k_center_order


def mixture(n: int, width: int, device: str) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    centres = torch.randn(100, width, generator=generator)
    points = torch.empty(n, width)
    # In parts, so that making the data is not what sets the peak memory.
    for part in points.split(1000):
        which = torch.randint(0, 100, (len(part),), generator=generator)
        noise = torch.randn(part.shape, generator=generator)
        part.copy_(centres[which].add_(noise, alpha=0.5).relu_())
    return points.to(device)


def products(table: Tensor, count: int) -> None:
    out = torch.empty(len(table), device=table.device)
    for i in range(count):
        torch.mv(table, table[i], out=out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=50_000)
    parser.add_argument("--width", type=int, default=512)
    parser.add_argument("--picks", type=int, default=500, help="timed per repeat")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    table = mixture(args.n, args.width, args.device)

    def finish(function: Callable[[], object]) -> None:
        function()
        if args.device == "cuda":
            torch.cuda.synchronize()

    k_center_order(table[:5000], 2)  # loads the libraries, which is not our memory
    before = peak_mib()
    seconds = interleaved(
        {
            "one pick": lambda: finish(lambda: k_center_order(table, 1)),
            "picks": lambda: finish(lambda: k_center_order(table, args.picks)),
            "products": lambda: finish(lambda: products(table, args.picks)),
        },
        args.repeats,
    )
    extra = peak_mib() - before
    # Mean and norms are computed once and must not be extrapolated with the picks.
    half = args.n // 2
    pairs = zip(seconds["one pick"], seconds["picks"], strict=True)
    ours = [one + (many - one) / (args.picks - 1) * (half - 1) for one, many in pairs]
    report(
        f"greedy k-center, {half:,} of {args.n:,} picked, {args.width} dimensions",
        {
            "k-center order": ours,
            "matrix-vector products": [t / args.picks * half for t in seconds["products"]],
        },
        baseline="matrix-vector products",
        claims={"k-center order": ("at most", 1.5)},
        extrapolated=f"both arms, from {args.picks} picks to {half}",
        extra_memory_mib=round(extra, 1),
        settings=vars(args),
    )


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
