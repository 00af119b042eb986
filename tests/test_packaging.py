"""The wheel and the source archive hold the package and the plugin, of one version."""

import ast
import re
import subprocess
import sys
import tarfile
import zipfile

import pytest
import yaml
from wheels import ROOT, build, copy, tracked

import fiftyone_drop

PLUGIN = ("fiftyone.yml", "LICENSE", "plugins/drop/", "skills/")
SOURCES = ("plugins/drop/js/src/", "plugins/drop/js/test/")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build(tmp_path_factory.mktemp("wheel"))


def test_the_wheel_holds_the_package_and_the_files_of_the_plugin_and_nothing_else(wheel):
    """FiftyOne has a top-level package `plugins`: ours in the wheel would overwrite it."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    tops = {name.split("/")[0] for name in names}
    assert tops == {"fiftyone_drop", f"fiftyone_drop-{fiftyone_drop.__version__}.dist-info"}
    package = {name for name in tracked() if name.startswith("fiftyone_drop/")}
    plugin = {
        f"fiftyone_drop/_plugin/{name}"
        for name in tracked()
        if name.startswith(PLUGIN) and not name.startswith(SOURCES)
    }
    assert {name for name in names if name.startswith("fiftyone_drop/")} == package | plugin


@pytest.fixture(scope="module")
def sdist(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sdist")
    return build(folder, copy(folder / "source"), "sdist")


def contents(wheel):
    """The files of a wheel, by name; dates aside."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_source_archive_builds_the_same_wheel_as_the_repository(wheel, sdist, tmp_path):
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (source,) = tmp_path.iterdir()
    assert contents(build(tmp_path / "built", source)) == contents(wheel)


def test_the_source_archive_has_what_builds_the_wheel_and_neither_tests_nor_documentation(sdist):
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"LICENSE", "README.md", "CHANGELOG.md", "CITATION.cff", "setup.py"} <= names
    assert {"requirements.txt", "fiftyone.yml", "plugins/drop/js/dist/index.umd.js"} <= names
    others = ("benchmarks", "docs", "scripts", "tests", ".")
    assert not [name for name in names if name.startswith(others)]


def test_twine_finds_no_fault_with_either(wheel, sdist):
    subprocess.run([sys.executable, "-m", "twine", "check", "--strict", wheel, sdist], check=True)


def test_plugin_and_package_have_one_version():
    plugin = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    assert plugin["version"] == fiftyone_drop.__version__
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == fiftyone_drop.__version__


def test_the_requirements_of_the_plugin_are_what_it_looks_for():
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    names = {re.split("[<>=]", line)[0] for line in lines}
    entry = ast.parse((ROOT / "plugins" / "drop" / "__init__.py").read_text())
    (needed,) = (
        ast.literal_eval(node.value)
        for node in entry.body
        if isinstance(node, ast.Assign) and node.targets[0].id == "NEEDED"
    )
    assert set(needed) == names - {"fiftyone"} | {"fiftyone_drop"}


def test_our_folder_of_plugins_is_no_package():
    assert not (ROOT / "plugins" / "__init__.py").exists()
