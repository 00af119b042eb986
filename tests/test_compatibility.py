"""What pyproject.toml allows is what `make matrix` has tried, and the page says how that ended."""

import importlib.util
import json
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


@pytest.fixture(scope="module")
def noxfile():
    spec = importlib.util.spec_from_file_location("noxfile", ROOT / "noxfile.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_page_is_what_was_recorded():
    assert docs_compatibility.PAGE.read_text() == docs_compatibility.render(), "run: make docs"


def test_every_environment_of_the_matrix_was_tried_and_nothing_failed(noxfile):
    tried = {(line["python"].rpartition(".")[0], line["bounds"]) for line in LINES}
    assert tried == set(noxfile.ENVIRONMENTS), "run: make matrix"
    assert [line for line in LINES if line["failed"] or not line["passed"]] == []
    assert all((ROOT / test).exists() for test in noxfile.TESTS)


def test_the_lower_bounds_are_what_the_oldest_environment_had():
    (oldest,) = (line for line in LINES if line["bounds"] == "oldest")
    for needed in REQUIREMENTS:
        (lower,) = (spec.version for spec in needed.specifier if spec.operator == ">=")
        assert Version(oldest["versions"][needed.name]) == Version(lower), needed.name


@pytest.mark.parametrize("needed", REQUIREMENTS, ids=lambda needed: needed.name)
def test_every_version_that_was_tried_is_inside_the_bounds(needed):
    for line in LINES:
        assert Version(line["versions"][needed.name]) in needed.specifier


def test_the_pythons_of_the_package_are_those_that_were_tried(project):
    tried = sorted({line["python"].rpartition(".")[0] for line in LINES}, key=Version)
    said = [name.rpartition(" :: ")[2] for name in project["classifiers"] if "Python ::" in name]
    assert said == tried
    assert project["requires-python"] == f">={tried[0]}"


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
    assert docs_compatibility.table().count("\n") == 4
