"""Write the results of the fault and session suites into docs/reliability.md.

The suites leave a line for each call and fault in ``results.jsonl`` beside them (``make faults``).
A cell of the table says how many cases there were, and how many of them failed.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "reliability.md"
START, END = "<!-- results: written by `make faults` -->\n", "<!-- /results -->"


def names() -> tuple[list[str], tuple[str, ...], tuple[str, ...], dict[Any, Any]]:
    """The calls, the faults, the rounds and the recorded cells, as the suites know them."""
    sys.path[:0] = [str(ROOT / "tests" / "reliability"), str(ROOT / "tests")]
    from cells import FAULTS, ROUNDS, recorded
    from writing_calls import CALLS

    return list(CALLS), FAULTS, ROUNDS, recorded()


def table() -> str:
    """A row for each call, a column for each fault."""
    calls, faults, _, results = names()
    lines = [f"| call | {' | '.join(faults)} |", "|---" * (len(faults) + 1) + "|"]
    for call in calls:
        cells = [_cell(results.get((call, fault))) for fault in faults]
        lines.append(f"| {call} | {' | '.join(cells)} |")
    return "\n".join(lines)


def rounds() -> str:
    """A row for each kind of session."""
    _, _, kinds, results = names()
    lines = ["| at once | rounds | failures | seed |", "|---|---|---|---|"]
    for kind in kinds:
        line = results.get((kind, "at once"))
        facts = [line["cases"], line["failures"], line["seed"]] if line else ["not run", "", ""]
        lines.append(f"| {kind} | {' | '.join(map(str, facts))} |")
    return "\n".join(lines)


def _cell(line: dict[str, Any] | None) -> str:
    if line is None:
        return "not run"
    if not line["cases"]:
        return "–"
    failed = f", **{line['failures']} failed**" if line["failures"] else ""
    return f"{line['cases']}{failed}"


def summary() -> str:
    """How much was run, and where."""
    calls, faults, kinds, results = names()
    wanted = [(c, f) for c in calls for f in faults] + [(kind, "at once") for kind in kinds]
    lines = [results[key] for key in wanted if key in results]
    cases, failures = (sum(line[name] for line in lines) for name in ("cases", "failures"))
    machines: dict[str, Counter[str]] = {}
    for line in lines:
        facts = dict(line["machine"])
        commit = facts.pop("commit", "not recorded")
        words = ", ".join(f"{name} {value}" for name, value in facts.items())
        machines.setdefault(words, Counter())[commit] += 1
    done = f"{len(lines)} of {len(wanted)} cells were run: {cases:,} cases, {failures} failures."
    return "\n\n".join([done, *(f"<sub>{of}; {_commits(n)}</sub>" for of, n in machines.items())])


def _commits(found: Counter[str]) -> str:
    """The commits of cells, and how many are of each."""
    return "commit " + ", ".join(f"{name}: {n} cells" for name, n in found.most_common())


def page() -> str:
    """docs/reliability.md with the results as they should be."""
    text = PAGE.read_text()
    before, after = text.index(START) + len(START), text.index(END)
    words = "Cases; those that failed are said. – where a call has no such moment."
    parts = [words, table(), rounds(), summary()]
    return text[:before] + "\n" + "\n\n".join(parts) + "\n" + text[after:]


if __name__ == "__main__":
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "true")
    PAGE.write_text(page())
