"""Write ``docs/benchmarks.md`` from what the benchmarks have recorded in ``benchmarks/results``.

The newest record of each measurement at each size is on the page; the files have
most earlier ones too.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "benchmarks.md"
HEADER = """# What it costs, measured

Each row is a claim that a benchmark of this repository checks: two ways to do the same work took
turns in one run, and the ratio is the median over the repeats. Machines are noisy, so ratios are
claimed; seconds only for the panel, where a hand waits, and there the row is what was measured over
what was promised. Where minimum and maximum are equal, there was one repeat. Of each measurement at
each size the newest is here, whether its claim holds or fails.
"""
FOOTER = """## How to measure again

Each section names its script. `--quick`, where it has it, makes it short, and
`BENCHMARK_RESULTS=benchmarks/results/name.jsonl` in the environment adds its record to the file
from which `make docs` writes this page. The files in `benchmarks/results/` have most earlier runs
too.

Where a GPU is at hand, `python benchmarks/on_gpu.py --archive cifar10.tar.xz --out results` runs
all that needs one in 8 minutes (`--minutes`): the tests of scoring, engine and training on CUDA,
the prices above, and trainings of the experiment's presets `fast` and `paper`. It needs PyTorch and
pytest, not FiftyOne, and goes on from the results of an earlier run (`--resume`).
"""
GPU_CHECKS = """The tests of scoring, engine and training on the GPU, the newest run of each:
"""
OWN_SERVER = "scripts/with_mongod.py --home .benchmark -- python"  # not the reader's database
NOT_FACTS = {"title", "arms", "claims", "seconds", "machine", "scores", "settings"}


@dataclass(frozen=True)
class Topic:
    """A section of the page: the records of one file."""

    title: str
    file: str
    script: str
    words: str


TOPICS = (
    Topic(
        "A dataset of a million samples",
        "data_layer.jsonl",
        f"{OWN_SERVER} benchmarks/data_layer.py",
        "Sample documents without images, in 1,000 long-tailed classes; MongoDB on this machine.",
    ),
    Topic(
        "The App",
        "app.jsonl",
        f"{OWN_SERVER} benchmarks/app.py",
        "The panel in Chromium, with 1,000 classes.",
    ),
    Topic("The order of samples", "order.jsonl", "benchmarks/order.py", "NumPy alone."),
    Topic(
        "Scores of a model",
        "scoring.jsonl",
        f"{OWN_SERVER} benchmarks/scoring.py --archive cifar10.tar.xz",
        "Real JPEGs, from the file to the field in the database.",
    ),
    Topic(
        "GraNd",
        "grand.jsonl",
        "benchmarks/grand.py",
        "Gradient norms per sample over all parameters, against one ordinary forward and backward "
        "pass of the batch, and against the published loop. The loop is slowest, compared to a "
        "batch, where weights are many and images small: `original` is torchvision's own stem.",
    ),
    Topic(
        "Training dynamics",
        "dynamics.jsonl",
        "benchmarks/dynamics.py",
        "A recorder of six scores inside a training loop.",
    ),
    Topic(
        "k-center",
        "k_center.jsonl",
        "benchmarks/k_center.py",
        "Against the matrix-vector products that no exact greedy order can do without.",
    ),
    Topic(
        "On a cluster",
        "cluster.jsonl",
        "benchmarks/cluster.py --archive cifar10.tar.xz --samples 50000",
        "Seconds of the processor, not of the clock: two tasks of a Ray cluster of two nodes, both "
        "on this machine, against one process. What Ray's own processes take beside depends on the "
        "time that passes, and not on the images.",
    ),
    Topic(
        "From Parquet to Parquet",
        "arrays.jsonl",
        "benchmarks/arrays.py",
        "`plan_parquet`, without FiftyOne and PyTorch; the kept rows are written to another file.",
    ),
    Topic(
        "A client that is killed",
        "killed_client.jsonl",
        f"{OWN_SERVER} benchmarks/kill_client.py",
        "The client is killed at random moments while it writes; a failure is a run that is not "
        "whole. What else was tried: [reliability.md](reliability.md).",
    ),
    Topic(
        "On a GPU",
        "gpu/prices.jsonl",
        "benchmarks/on_gpu.py --archive cifar10.tar.xz --out results",
        "Ten trainings on the CPU ran beside GraNd and the recorder, so what waits for the "
        "processor looks slower there than it is; the scores ran alone. Trainings were bound by "
        "the processor too: [seconds](evidence.md#on-a-gpu).",
    ),
)


def render() -> str:
    """The page, from the newest results."""
    found = [(topic, newest(_records(topic.file))) for topic in TOPICS]
    parts = [HEADER, _claims(found)]
    for topic, records in found:
        parts += [f"## {topic.title}\n", f"{topic.words} `python {topic.script}`\n"]
        parts += [_section(record) for record in records]
        parts += [_checks()] if topic.file.startswith("gpu/") else []
        machines = dict.fromkeys(_machine(record["machine"]) for record in records)
        parts += [f"<sub>{'<br>'.join(machines)}</sub>\n"]
    return "\n".join([*parts, FOOTER])


def newest(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The last record of each measurement at each size."""
    last = {}
    for record in records:
        original = record.get("settings", {}).get("original")
        last[record["title"].split(";")[0], original] = record
    return list(last.values())


def _records(file: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (RESULTS / file).read_text().splitlines()]


def _claims(found: list[tuple[Topic, list[dict[str, Any]]]]) -> str:
    lines = ["| | ratio | claimed | |", "|---|---|---|---|"]
    for topic, records in found:
        for record in records:
            for arm, claim in record.get("claims", {}).items():
                # "at most 1.2x of batched forward+backward", or of the arm of ratio 1
                bound, _, of = claim["claim"].partition("x of ")
                of = of or next(name for name, row in record["arms"].items() if row["ratio"] == 1)
                gpu = " on a GPU" if topic.file.startswith("gpu/") else ""
                lines.append(
                    f"| {_title(record)}{gpu}: {arm} / {of} | {claim['measured']:.2f} "
                    f"| {bound.removesuffix('x')} | {'holds' if claim['holds'] else '**fails**'} |"
                )
    return "\n".join(lines) + "\n"


def _title(record: dict[str, Any]) -> str:
    original = " (original)" if record.get("settings", {}).get("original") else ""
    return f"{record['title'].split(';')[0]}{original}"


def _section(record: dict[str, Any]) -> str:
    lines = [f"**{_title(record)}**{_facts(record)}", ""]
    if "arms" in record:
        lines += ["| | median s | min | max | ratio |", "|---|---|---|---|---|"]
        lines += [
            f"| {name} | {row['median_s']:.4g} | {row['min_s']:.4g} | {row['max_s']:.4g} "
            f"| {row['ratio']:.2f} |"
            for name, row in record["arms"].items()
        ]
        lines.append("")
    if "seconds" in record:
        columns = list(dict.fromkeys(what for row in record["seconds"].values() for what in row))
        lines += [f"| seconds | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for name, row in record["seconds"].items():
            cells = " | ".join(str(row.get(what, "")) for what in columns)
            lines.append(f"| {name} | {cells} |")
        lines.append("")
    return "\n".join(lines)


def _facts(record: dict[str, Any]) -> str:
    words = [
        f"{name.replace('_', ' ')} {_number(value)}"
        for name, value in record.items()
        if name not in NOT_FACTS
    ]
    return f" ({', '.join(words)})" if words else ""


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _machine(machine: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in machine.items())


def _checks() -> str:
    lines = [GPU_CHECKS, "| tests | seconds | | failed |", "|---|---|---|---|"]
    newest = {part["part"]: part for part in _records("gpu/log.jsonl") if "tests" in part}
    for part in newest.values():
        failed = ", ".join(f"`{name.split('::')[-1]}`" for name in part.get("failed", []))
        lines.append(f"| {part['part']} | {part['seconds']} | {part['tests']} | {failed} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(render())
