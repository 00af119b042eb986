"""How much of the tuned offsets to take: the worst class against the average, from kept logits.

    python benchmarks/paper/strengths.py --logits logits.zip --preset cpu

Reads the logits of the validation and test halves that the trainings of ``run.py`` have kept, and
writes benchmarks/results/paper/strengths-<preset>.jsonl. Offsets are tuned on the validation half;
so is the strength of the rule, which was fixed before the test half was looked at: the largest
share at which the average of the validation half falls by at most one point.
"""

from __future__ import annotations

import argparse
import json
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from places import RESULTS
from presets import PRESETS

from fiftyone_drop.offsets import recalls_under, tuned_offsets

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
FINE = np.linspace(0, 1, 21)
AT_MOST = 0.01  # what the rule lets the average fall on the validation half

Floats = npt.NDArray[np.float64]


def rule(offsets: Floats, logits: Floats, labels: npt.NDArray[np.int64]) -> float:
    """The largest share of the offsets at which the average falls by at most a point."""
    averages = [recalls_under(share * offsets, logits, labels).mean() for share in FINE]
    return float(max(share for share, a in zip(FINE, averages, strict=True) if _near(a, averages)))


def _near(average: float, averages: list[Any]) -> bool:
    return bool(average >= averages[0] - AT_MOST - 1e-12)


def measure(validation: Floats, test: Floats) -> dict[str, Any]:
    """Class accuracies on the test half under shares of the offsets.

    Args:
        validation: (N, K) logits of the validation half, N / K of each class, class by class
        test: the same of the test half
    """
    labels = [np.arange(len(z)) * z.shape[1] // len(z) for z in (validation, test)]
    offsets = tuned_offsets(validation, labels[0])
    chosen = rule(offsets, validation, labels[0])
    found = {
        f"{share:g}": recalls_under(share * offsets, test, labels[1]).round(4).tolist()
        for share in SHARES
    }
    by_rule = recalls_under(chosen * offsets, test, labels[1]).round(4).tolist()
    return {"shares": found, "chosen": round(chosen, 2), "by rule": by_rule}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--logits", type=Path, required=True, help="a zip of <cell>.npz")
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(arguments)
    lines = []
    with zipfile.ZipFile(args.logits) as packed:
        for name in sorted(n for n in packed.namelist() if n.endswith(".npz")):
            dataset, method, density, seed = Path(name).stem.split(" ")
            with packed.open(name) as file, np.load(file) as arrays:
                halves = [arrays[half].astype(np.float64) for half in ("validation", "test")]
            cell = {"dataset": dataset, "method": method}
            cell |= {"density": float(density), "seed": int(seed)}
            lines.append(json.dumps(cell | measure(*halves)) + "\n")
    (args.results / f"strengths-{args.preset}.jsonl").write_text("".join(lines))


if __name__ == "__main__":
    main()
