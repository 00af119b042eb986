"""``install-plugin`` replaces what it has put there itself, and deletes nothing of the user's."""

import os
import re
import shutil
from pathlib import Path

import fiftyone as fo
import pytest
from click.testing import CliRunner

from fiftyone_drop.cli import plugin
from fiftyone_drop.cli.main import main

REPOSITORY = Path(__file__).parents[2]


def clone_in(folder):
    """A folder like a clone of the repository, with work that is not committed."""
    (folder / "fiftyone_drop").mkdir(parents=True)
    (folder / ".git").mkdir()
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/mine")
    (folder / "fiftyone_drop" / "work.py").write_text("mine")
    (folder / "pyproject.toml").touch()
    shutil.copy(REPOSITORY / "fiftyone.yml", folder)
    return folder


def contents(folder):
    """Everything in a folder: files with their content, and links with their goal."""
    return {
        str(path.relative_to(folder)): os.readlink(path) if path.is_symlink() else path.read_text()
        for path in folder.rglob("*")
        if path.is_symlink() or path.is_file()
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """FiftyOne's folder of plugins."""
    folder = tmp_path / "plugins"
    monkeypatch.setattr(fo.config, "plugins_dir", str(folder))
    return folder


@pytest.fixture
def editable(monkeypatch):
    """A function that makes a clone the package that is installed."""

    def installed(clone):
        monkeypatch.setattr(plugin, "PACKAGE", clone / "fiftyone_drop")

    return installed


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """The folder of a package that was installed from a wheel."""
    package = tmp_path / "site" / "fiftyone_drop"
    carried = package / "_plugin"
    (carried / "plugins" / "drop").mkdir(parents=True)
    (carried / "plugins" / "drop" / "panel.py").write_text("new")
    shutil.copy(REPOSITORY / "fiftyone.yml", carried)
    monkeypatch.setattr(plugin, "PACKAGE", package)
    return package


def install(*words):
    return CliRunner().invoke(main, ["install-plugin", *words])


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", ["fiftyone-drop", "mine"])
def test_a_clone_that_is_the_package_itself_stays_as_it_is(folder, editable, name, words):
    clone = clone_in(folder / name)
    editable(clone)
    before = contents(folder)
    result = install(*words)
    assert result.exit_code == 0, result.output
    assert result.stdout.startswith(f"The plugin is in {clone}, the folder of the package itself")
    assert contents(folder) == before
    assert clone.is_dir()
    assert not clone.is_symlink()


@pytest.mark.parametrize("words", [[], ["--overwrite"]])
@pytest.mark.parametrize("name", ["fiftyone-drop", "mine", "deep/er/mine"])
def test_another_clone_is_never_replaced(folder, wheel, name, words):
    clone = clone_in(folder / name)
    before = contents(folder)
    result = install(*words)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: plugins_dir: {clone} ")
    assert "move it out" in result.stderr
    assert contents(folder) == before


def test_a_clone_in_a_folder_that_is_linked_is_never_replaced(folder, wheel, tmp_path):
    clone_in(tmp_path / "work" / "drop")
    folder.mkdir()
    (folder / "work").symlink_to(tmp_path / "work")
    before = contents(tmp_path)
    assert "move it out" in install("--overwrite").stderr
    assert contents(tmp_path) == before


def test_a_clone_behind_an_installed_plugin_is_found_too(folder, wheel):
    assert install().exit_code == 0
    clone_in(folder / "zzz")
    clone_in(folder / "aaa")
    before = contents(folder)
    assert "move it out" in install("--overwrite").stderr
    assert contents(folder) == before


@pytest.mark.parametrize("more", ["pyproject.toml", ".git", "plugins/.git", "notes.md"])
def test_a_copy_to_which_something_was_added_is_not_replaced(folder, wheel, more):
    """A clone whose files were exported, a download of FiftyOne's, or a copy under git."""
    assert install().exit_code == 0
    (folder / "fiftyone-drop" / more).write_text("mine")
    before = contents(folder)
    assert "move it out" in install("--overwrite").stderr
    assert contents(folder) == before


def test_a_copy_is_replaced_where_that_is_asked_for(folder, wheel):
    assert install().stdout.endswith("`fiftyone plugins delete @fiftyone-drop/drop` removes it\n")
    old = folder / "fiftyone-drop" / "plugins" / "drop" / "panel.py"
    old.write_text("old")
    again = install()
    assert (again.exit_code, old.read_text()) == (1, "old")
    assert "--overwrite replaces it" in again.stderr
    assert install("--overwrite").exit_code == 0
    assert old.read_text() == "new"
    assert [path.name for path in folder.iterdir()] == ["fiftyone-drop"]


def test_a_link_is_replaced_and_its_goal_is_not(folder, editable, wheel, tmp_path, monkeypatch):
    package, clone = plugin.PACKAGE, clone_in(tmp_path / "clone")
    before = contents(clone)
    editable(clone)
    assert install().stdout.endswith("Deleting the link removes it\n")
    target = folder / "fiftyone-drop"
    assert target.resolve() == clone
    assert install().exit_code == install("--overwrite").exit_code == 0
    assert target.resolve() == clone
    monkeypatch.setattr(plugin, "PACKAGE", package)  # the wheel is installed instead
    assert install("--overwrite").exit_code == 0
    assert not target.is_symlink()
    assert contents(clone) == before
    assert [path.name for path in folder.iterdir()] == ["fiftyone-drop"]


def test_the_old_one_is_there_again_where_the_new_one_fails(folder, wheel, monkeypatch):
    assert install().exit_code == 0
    before, rename = contents(folder), Path.rename

    def fails(self, target):
        if self.name == "new":
            raise OSError("no more")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    result = install("--overwrite")
    assert result.stderr.startswith("Error: plugins_dir:")
    assert "no more" in result.stderr
    assert contents(folder) == before
    assert [path.name for path in folder.iterdir()] == ["fiftyone-drop"]


def test_something_else_in_its_place_is_not_touched(folder, wheel):
    (folder / "fiftyone-drop").mkdir(parents=True)
    (folder / "fiftyone-drop" / "mine").write_text("mine")
    assert "is no plugin of ours; move it away" in install("--overwrite").stderr
    assert (folder / "fiftyone-drop" / "mine").read_text() == "mine"


def test_a_folder_that_cannot_be_written_is_one_sentence_with_a_remedy(tmp_path, wheel, folder):
    folder.write_text("a file")
    result = install()
    assert (result.exit_code, len(result.stderr.splitlines())) == (1, 1)
    assert result.stderr.startswith(f"Error: plugins_dir: {folder} cannot be changed")
    assert "FIFTYONE_PLUGINS_DIR" in result.stderr


def test_a_copy_has_no_more_parts_than_it_is_recognised_by():
    code = (REPOSITORY / "setup.py").read_text()
    files, folders = (re.findall(rf"^{name} = .*$", code, re.M) for name in ("FILES", "FOLDERS"))
    paths = re.findall(r'"([^"]+)"', files[0] + folders[0])
    parts = {path.partition("/")[0] for path in paths}
    assert parts == plugin.PARTS - {"__pycache__"}
