"""Write ``docs/benchmarks.md`` from what the benchmarks have recorded in ``benchmarks/results``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
HEADER = """# What it costs, measured

Written by `scripts/docs_benchmarks.py` from `benchmarks/results/`, where each benchmark left its
record. Arms of one table took turns in one run; a ratio is the median over the repeats. A claim
that does not hold says so.

Where a GPU is at hand, `python benchmarks/on_gpu.py --archive cifar10.tar.xz --out results` runs
all that needs one in 8 minutes (`--minutes`): the tests of scoring, engine and training on CUDA,
the prices below, and trainings of the experiment's presets `fast` and `paper`. It needs PyTorch and
pytest, not FiftyOne, and goes on from the results of an earlier run (`--resume`).
"""


ON_A_GPU = """## On a GPU

What `benchmarks/on_gpu.py` left in `benchmarks/results/gpu`. Ten trainings on the CPU ran beside
it, so what waits for the processor looks slower than it is. Trainings were bound by the processor
too: [seconds](evidence.md#on-a-gpu). The checks, of which those that failed tripped over their own
assumptions about the machine, and have been mended since, but not yet run again on a GPU:
"""


def render() -> str:
    """The page, from all results there are."""
    parts = [HEADER, ON_A_GPU, _checks(_records(RESULTS / "gpu" / "log.jsonl"))]
    parts += [_section(record) for record in _records(RESULTS / "gpu" / "prices.jsonl")]
    for path in sorted(RESULTS.glob("*.jsonl")):
        parts.append(f"## {path.stem}\n")
        parts += [_section(record) for record in _records(path)]
    return "\n".join(parts)


def _records(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _checks(log: list[dict[str, Any]]) -> str:
    """The parts of a run on a GPU that were checks, or that failed."""
    lines = ["| part | seconds | tests | failed |", "|---|---|---|---|"]
    for part in log:
        failed = ", ".join(f"`{name.split('::')[-1]}`" for name in part.get("failed", []))
        if failed or "tests" in part:
            lines.append(
                f"| {part['part']} | {part['seconds']} | {part.get('tests', '')} | {failed} |"
            )
    return "\n".join(lines) + "\n"


def _section(record: dict[str, Any]) -> str:
    lines = [f"**{record['title']}**" + _facts(record), ""]
    if "arms" in record:
        lines += ["| arm | median s | min | max | ratio |", "|---|---|---|---|---|"]
        lines += [
            f"| {name} | {row['median_s']:.4g} | {row['min_s']:.4g} | {row['max_s']:.4g} "
            f"| {row['ratio']:.2f} |"
            for name, row in record["arms"].items()
        ]
        lines.append("")
    for name, claim in record.get("claims", {}).items():
        verdict = "holds" if claim["holds"] else "**fails**"
        lines.append(
            f"Claim {verdict}: {name} {claim['claim']}, measured {claim['measured']:.2f}.\n"
        )
    if "seconds" in record:
        columns = list(dict.fromkeys(what for row in record["seconds"].values() for what in row))
        lines += [f"| seconds | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for name, row in record["seconds"].items():
            cells = " | ".join(str(row.get(what, "")) for what in columns)
            lines.append(f"| {name} | {cells} |")
        lines.append("")
    return "\n".join(lines) + f"\n<sub>{_machine(record['machine'])}</sub>\n"


def _facts(record: dict[str, Any]) -> str:
    shown = {"title", "arms", "claims", "seconds", "machine"}
    facts = {k: v for k, v in record.items() if k not in shown and not isinstance(v, dict | list)}
    words = [f"{k.replace('_', ' ')} {_number(v)}" for k, v in facts.items()]
    return f" ({', '.join(words)})" if words else ""


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _machine(machine: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


if __name__ == "__main__":
    PAGE.write_text(render())
