"""A release is cut by one command, which writes its version wherever it stands, or nothing."""

import re

import cut_release
import pytest
import yaml
from wheels import ROOT

import fiftyone_drop

FILES = ("fiftyone_drop/_version.py", "fiftyone.yml", "CITATION.cff", "CHANGELOG.md")


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A repository of the files that name the version, with something new in it."""
    (tmp_path / "fiftyone_drop").mkdir()
    for name in FILES:
        (tmp_path / name).write_text((ROOT / name).read_text())
    changes = tmp_path / "CHANGELOG.md"
    head, middle, tail = changes.read_text().partition("## [Unreleased]\n")
    changes.write_text(head + middle + "\n### Added\n\n- A pony.\n" + tail)
    monkeypatch.setattr(cut_release, "ROOT", tmp_path)
    return tmp_path


def cut(monkeypatch, version):
    monkeypatch.setattr("sys.argv", ["cut_release.py", version])
    cut_release.main()


def test_all_places_say_the_version_and_the_notes_stand_under_it(root, monkeypatch):
    cut(monkeypatch, "10.0.1")
    assert '__version__ = "10.0.1"' in (root / "fiftyone_drop" / "_version.py").read_text()
    assert yaml.safe_load((root / "fiftyone.yml").read_text())["version"] == "10.0.1"
    citation = yaml.safe_load((root / "CITATION.cff").read_text())
    headings = re.findall(r"^## (.*)$", (root / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[:2] == ["[Unreleased]", f"[10.0.1] - {citation['date-released']}"]
    released = (root / "CHANGELOG.md").read_text().partition("## [10.0.1]")
    assert "A pony" in released[2]
    assert "A pony" not in released[0]
    assert (citation["version"], citation["cff-version"]) == ("10.0.1", "1.2.0")


@pytest.mark.parametrize("version", ["0.0.1", "1.0", "v1.0.0", "", fiftyone_drop.__version__])
def test_a_version_that_is_not_higher_or_no_version_writes_nothing(version, root, monkeypatch):
    before = [(root / name).read_text() for name in FILES]
    with pytest.raises(SystemExit, match="VERSION: "):
        cut(monkeypatch, version)
    assert [(root / name).read_text() for name in FILES] == before


def test_a_release_without_news_writes_nothing(root, monkeypatch):
    cut(monkeypatch, "10.0.1")
    before = [(root / name).read_text() for name in FILES]
    with pytest.raises(SystemExit, match="nothing stands under"):
        cut(monkeypatch, "10.0.2")
    assert [(root / name).read_text() for name in FILES] == before
