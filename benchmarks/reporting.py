"""What all benchmarks share: arms that take turns in one run, and a report as table and JSON.

Machines are noisy, so a claim is a ratio of arms that were measured side by side. With
``BENCHMARK_RESULTS=benchmarks/results/name.jsonl`` in the environment, every record is also added
to that file: figures in the docs come from there.
"""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

PACKAGES = ("numpy", "torch", "torchvision", "fiftyone", "pymongo")


def interleaved(
    arms: Mapping[str, Callable[[], object]], repeats: int, warm_up: bool = True
) -> dict[str, list[float]]:
    """Time every arm ``repeats`` times, in turn: A B C, A B C, ...

    Returns:
        arm -> seconds of each repeat
    """
    seconds: dict[str, list[float]] = {name: [] for name in arms}
    for repeat in range(-1 if warm_up else 0, repeats):
        for name, arm in arms.items():
            start = time.perf_counter()
            arm()
            if repeat >= 0:
                seconds[name].append(time.perf_counter() - start)
    return seconds


def machine() -> dict[str, Any]:
    """The hardware, the versions and the commit of this run."""
    facts: dict[str, Any] = {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
    }
    for name in PACKAGES:
        try:
            facts[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    torch = _torch_if_loaded()
    if torch is not None:
        facts["threads"] = torch.get_num_threads()
        if torch.cuda.is_available():
            facts["gpu"] = torch.cuda.get_device_name()
    return facts | {"commit": commit(), "date": time.strftime("%Y-%m-%d")}


def report(
    title: str,
    seconds: Mapping[str, Sequence[float]],
    baseline: str,
    claims: Mapping[str, tuple[str, float] | tuple[str, float, str]] | None = None,
    **facts: Any,
) -> dict[str, Any]:
    """Print a table and one line of JSON: median and spread per arm, ratios to ``baseline``.

    Args:
        title: what was measured
        seconds: arm -> seconds of each repeat
        baseline: the arm that ratios are taken to, repeat by repeat
        claims: arm -> (``"at most"`` or ``"at least"``, the ratio that is claimed[, the arm that
            it is taken to instead])
        **facts: whatever else the record should hold
    """
    rows = {}
    for name, times in seconds.items():
        ratios = [a / b for a, b in zip(times, seconds[baseline], strict=True)]
        rows[name] = {
            "median_s": statistics.median(times),
            "min_s": min(times),
            "max_s": max(times),
            "ratio": statistics.median(ratios),
        }
    verdicts = {}
    for name, (direction, bound, *others) in (claims or {}).items():
        other = others[0] if others else baseline
        pairs = zip(seconds[name], seconds[other], strict=True)
        ratio = statistics.median(a / b for a, b in pairs)
        verdicts[name] = {
            "claim": f"{direction} {bound:g}x of {other}",
            "measured": ratio,
            "holds": ratio <= bound if direction == "at most" else ratio >= bound,
        }
    print(f"\n{title}")
    print(f"{'':40} {'median s':>10} {'min':>9} {'max':>9} {'ratio':>8}")
    for name, row in rows.items():
        print(
            f"{name:40} {row['median_s']:10.4f} {row['min_s']:9.4f} {row['max_s']:9.4f} "
            f"{row['ratio']:8.2f}"
        )
    for name, verdict in verdicts.items():
        words = "holds" if verdict["holds"] else "FAILS"
        print(f"claim {words}: {name} {verdict['claim']}: {verdict['measured']:.2f}")
    record = {"title": title, "arms": rows, "claims": verdicts, **facts, "machine": machine()}
    emit(record)
    return record


def emit(record: Mapping[str, Any]) -> None:
    """Print a record as one line of JSON, and add it to the file of results if one is named."""
    line = json.dumps(record)
    print(line)
    results = os.environ.get("BENCHMARK_RESULTS")
    if results:
        Path(results).parent.mkdir(parents=True, exist_ok=True)
        with Path(results).open("a") as file:
            file.write(line + "\n")


def processor() -> str:
    """The name of the processor, as the system gives it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor()


def _torch_if_loaded() -> Any:
    import sys

    return sys.modules.get("torch")


def commit() -> str:
    """The commit that is checked out."""
    here = Path(__file__).parent
    try:
        done = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"],
            cwd=here,
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:  # a machine without git
        return "unknown"
    return done.stdout.strip() or "unknown"
