"""The bounds of requirements are what `make matrix` has tried, and the page says how that ended."""

import json
import re
import sys
from pathlib import Path

import docs_compatibility
import pytest
from packaging.requirements import Requirement
from packaging.version import Version
from wheels import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

REQUIREMENTS = [Requirement(x) for x in (ROOT / "requirements.txt").read_text().splitlines()]
LINES = docs_compatibility.recorded()
ENVIRONMENTS = docs_compatibility.environments()


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_page_is_what_was_recorded():
    assert docs_compatibility.PAGE.read_text() == docs_compatibility.render(), "run: make docs"


def test_what_was_tried_is_of_the_matrix_and_nothing_failed():
    """An environment that was not tried yet is on the page as such."""
    tried = [(line["python"].rpartition(".")[0], line["bounds"]) for line in LINES]
    assert len(set(tried)) == len(tried)
    assert set(tried) <= set(ENVIRONMENTS)
    assert [line for line in LINES if line["failed"] or not line["passed"]] == []


def test_the_tests_of_the_matrix_exist():
    listed = re.findall(r'"(tests/.*?)"', (ROOT / "noxfile.py").read_text())
    assert listed
    assert [name for name in listed if not (ROOT / name).exists()] == []


def test_the_lower_bounds_are_what_the_oldest_environment_had():
    for oldest in (line["versions"] for line in LINES if line["bounds"] == "oldest"):
        for needed in REQUIREMENTS:
            (lower,) = (spec.version for spec in needed.specifier if spec.operator == ">=")
            assert Version(oldest[needed.name]) == Version(lower), needed.name


@pytest.mark.parametrize("needed", REQUIREMENTS, ids=lambda needed: needed.name)
def test_every_version_that_was_tried_is_inside_the_bounds(needed):
    for line in LINES:
        assert Version(line["versions"][needed.name]) in needed.specifier


def test_the_pythons_of_the_package_are_those_of_the_matrix(project):
    pythons = list(dict.fromkeys(python for python, _ in ENVIRONMENTS))
    said = [name.rpartition(" :: ")[2] for name in project["classifiers"] if "Python ::" in name]
    assert said == pythons
    assert project["requires-python"] == f">={pythons[0]}"


def test_a_newer_line_takes_the_place_of_the_older_one_of_its_environment(tmp_path, monkeypatch):
    monkeypatch.setattr(docs_compatibility, "LINES", tmp_path / "lines.jsonl")
    report = tmp_path / "report.xml"
    report.write_text('<s><testsuite tests="9" failures="1" errors="2" skipped="3"/></s>')
    for bounds in ("newest", "oldest", "newest"):
        docs_compatibility.keep(docs_compatibility.line(bounds, report))
    kept = docs_compatibility.recorded()
    assert [line["bounds"] for line in kept] == ["oldest", "newest"]
    assert [kept[0][name] for name in ("passed", "failed", "skipped")] == [3, 3, 3]
    assert json.loads(Path(docs_compatibility.LINES).read_text().splitlines()[0]) == kept[0]
    python = kept[0]["python"].rpartition(".")[0]
    matrix = [(python, "oldest"), (python, "newest"), ("3.99", "newest")]
    monkeypatch.setattr(docs_compatibility, "environments", lambda: matrix)
    rows = docs_compatibility.table().splitlines()
    assert ["not run" in row for row in rows[2:]] == [False, False, True]
