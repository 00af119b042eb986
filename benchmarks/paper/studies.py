"""The sections "theory", "smoothing" and "groups" of docs/evidence-tables.md, from their results.

    python benchmarks/paper/studies.py

fills the parts between ``<!-- study:<name> -->`` and ``<!-- / -->``. The results and the plots were
written by ``theory.py``, ``smoothing.py`` and ``groups.py``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable
from typing import Any

from groups import summarise
from places import DETAILS, RESULTS
from scipy.special import ndtr
from smoothing import TITLES, chosen
from tables import table


def read(name: str) -> list[dict[str, Any]]:
    """The records of a file of results, the one of the machine last."""
    return [json.loads(line) for line in (RESULTS / name).read_text().splitlines()]


def made(record: dict[str, Any]) -> str:
    """Where, when and with what a study was run."""
    machine = record["machine"]
    names = ("python", "numpy", "torch")
    versions = ", ".join(f"{name} {machine[name]}" for name in names if name in machine)
    return (
        f"{machine['cores']} cores of {machine['processor']}, {machine['date']} ({versions}, "
        f"commit {machine['commit']})"
    )


def theory() -> str:
    """How often the worst risk rises, by overlap and density."""
    record = json.loads((RESULTS / "theory.json").read_text())
    totals, counts, settings = record["totals"], record["counts"], record["settings"]
    densities = sorted({row["density"] for row in counts})
    rows = []
    for separation in sorted({row["separation"] for row in counts}):
        here = chosen(counts, separation=separation)
        shares = (row["worst risk rises"] / row["both classes learnt"] for row in here)
        rows.append([f"{ndtr(-separation):.0%}", *(f"{share:.0%}" for share in shares)])
    return (
        f"The threshold moves towards the fairest in {totals['towards the fairest']:,} of the "
        f"{totals['both classes learnt']:,} settings in which both classes are learnt, and goes so "
        f"far beyond it in {totals['worst risk rises']:,} that the worst risk rises. "
        f"Closed form and Monte Carlo differ by at most {record['largest difference']:.4f} "
        f"in {4 * len(record['table'])} risks. Share of the settings in which the worst risk "
        "rises:\n\n"
        + table(["risk of both classes at best", *(f"d = {d:g}" for d in densities)], rows)
        + f"\nMonte Carlo: {settings['draws']} draws of {settings['samples']:,} samples. On "
        f"{made(record)}.\n"
    )


def smoothing() -> str:
    """What shrinkage changes against Jeffreys, and what both do to class densities."""
    *records, machine = read("smoothing.jsonl")
    trainings = chosen(records, study="trainings", estimator="shrinkage")
    rows = []
    for task, kind in dict.fromkeys((row["task"], row["validation"]) for row in trainings):
        here = chosen(trainings, task=task, validation=kind)
        middle = here[len(here) // 2]
        cells = (
            f"{row['per class']}: {100 * row['minus Jeffreys']:+.1f} "
            f"± {100 * row['half of its 95 % interval']:.1f}"
            for row in (here[0], middle, here[-1])
        )
        rows.append([f"{task}, {TITLES[kind]}", *cells])
    where = {"model": "accurate", "validation": "unequal", "classes": 100, "per class": 20}
    words = []
    drawn = chosen(records, study="quotas", **where)
    for row in drawn:
        words.append(
            f"{row['estimator']} keeps {row['tilt']:.2f} times what it should of the half with "
            f"the least validation (error of class densities {row['rms error']:.2f} of the density)"
        )
    cells = chosen(records, study="quotas", estimator="shrinkage")
    best = sum(
        all(
            row["rms error"] <= other["rms error"] + 1e-12
            for other in records
            if other["study"] == "quotas" and _cell(other) == _cell(row)
        )
        for row in cells
    )
    return (
        "Drawn recalls (accurate model, 100 classes, 20 validation samples per class, 10 : 1, "
        f"{drawn[0]['draws']} draws): {'; '.join(words)}. Shrinkage has the smallest error of "
        f"class densities in {best} of {len(cells)} cases.\n\n"
        "Worst-class accuracy with shrinkage minus that with Jeffreys, in points, after the "
        f"number of validation samples per class; {trainings[0]['draws']} draws, "
        "95 % intervals:\n\n"
        + table(["trainings", "few", "more", "most"], rows)
        + f"\nOn {made(machine)}.\n"
    )


def _cell(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("model", "validation", "classes", "per class"))


def groups() -> str:
    """Average and worst-group accuracy."""
    *records, machine = read("groups.jsonl")
    seeds = len({record["seed"] for record in records})
    return f"{summarise(records)}\n\nOf {seeds} seeds, on {made(machine)}.\n"


STUDIES: Iterable[Callable[[], str]] = (theory, smoothing, groups)


def main() -> None:
    page = DETAILS.read_text()
    for study in STUDIES:
        name = study.__name__
        pattern = re.compile(rf"(<!-- study:{name} -->\n).*?(<!-- / -->)", re.DOTALL)
        part = study().strip() + "\n"
        page, found = pattern.subn(lambda m, part=part: m[1] + part + m[2], page)
        if found != 1:
            raise SystemExit(f"{DETAILS} must have one part study:{name}, but has {found}")
    DETAILS.write_text(page)


if __name__ == "__main__":
    main()
