"""Write which versions were tried, and how that ended, into docs/compatibility.md: ``make matrix``.

``docs_compatibility.py BOUNDS REPORT``, in an environment of noxfile.py, keeps a line of its
versions and of the results of its tests; without arguments the page is written from the lines.
"""

from __future__ import annotations

import ast
import datetime
import json
import platform
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "compatibility.md"
LINES = ROOT / "tests" / "data" / "compatibility.jsonl"
START, END = "<!-- results: written by `make matrix` -->\n", "<!-- /results -->"
PACKAGES = ("fiftyone", "torch", "torchvision", "pymongo", "numpy", "scipy", "click")


def line(bounds: str, report: Path) -> dict[str, Any]:
    """The versions of this environment, and the results of its tests."""
    suites = list(ET.parse(report).getroot().iter("testsuite"))
    counts = {
        name: sum(int(suite.get(name, 0)) for suite in suites)
        for name in ("tests", "failures", "errors", "skipped")
    }
    return {
        "python": platform.python_version(),
        "bounds": bounds,
        "versions": {name: version(name) for name in PACKAGES},
        "passed": counts["tests"] - counts["failures"] - counts["errors"] - counts["skipped"],
        "failed": counts["failures"] + counts["errors"],
        "skipped": counts["skipped"],
        "date": datetime.date.today().isoformat(),
    }


def recorded() -> list[dict[str, Any]]:
    """The lines that are kept."""
    return [json.loads(text) for text in LINES.read_text().splitlines()] if LINES.exists() else []


def environment(line: dict[str, Any]) -> tuple[int, bool]:
    """The minor version of Python, and whether the requirements are the newest ones."""
    return int(line["python"].split(".")[1]), line["bounds"] == "newest"


def keep(line: dict[str, Any]) -> None:
    """Put a line in the place of an older one of its environment."""
    others = [old for old in recorded() if environment(old) != environment(line)]
    lines = sorted([*others, line], key=environment)
    LINES.write_text("".join(json.dumps(line) + "\n" for line in lines))


def environments() -> list[tuple[str, str]]:
    """The Pythons and bounds of noxfile.py, read without nox, which its environments lack."""
    for node in ast.parse((ROOT / "noxfile.py").read_text()).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "ENVIRONMENTS":
            return list(ast.literal_eval(node.value))
    raise SystemExit("noxfile.py: ENVIRONMENTS is a list of pairs, Python and bounds")


def table() -> str:
    """A row for each environment, tried or not."""
    heads = ["Python", "bounds", *PACKAGES, "passed", "failed", "skipped", "on"]
    rows = [heads, ["---"] * len(heads)]
    tried = {environment(line): line for line in recorded()}
    for python, bounds in environments():
        found = tried.get(environment({"python": python, "bounds": bounds}))
        if found is None:
            rows.append([python, bounds, "not run", *[""] * (len(heads) - 3)])
            continue
        versions = [found["versions"][name] for name in PACKAGES]
        results = [found[name] for name in ("passed", "failed", "skipped", "date")]
        rows.append([found["python"], found["bounds"], *versions, *results])
    return "".join(f"| {' | '.join(map(str, row))} |\n" for row in rows)


def render() -> str:
    """The page, with the table of what is kept."""
    text = PAGE.read_text()
    before, after = text[: text.index(START) + len(START)], text[text.index(END) :]
    return before + table() + after


def main() -> None:
    failed = 0
    if len(sys.argv) > 1:
        found = line(sys.argv[1], Path(sys.argv[2]))
        keep(found)
        failed = found["failed"]
    PAGE.write_text(render())
    if failed:
        raise SystemExit(f"{failed} tests failed; {PAGE.relative_to(ROOT)} has the versions")


if __name__ == "__main__":
    main()
