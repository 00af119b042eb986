"""Files are written whole or not at all, and only where that can be."""

import os

import pytest

from fiftyone_drop import DropError
from fiftyone_drop.engine.files import writable_folder, write_atomically


def test_a_write_that_fails_half_way_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"old")]


@pytest.mark.parametrize("folder", ["/dev/null/below", 3, b"folder", ""])
def test_a_folder_that_cannot_be_is_refused(folder):
    with pytest.raises(DropError, match=r"must be a (folder|text)") as refused:
        writable_folder(folder)
    assert refused.value.argument == "checkpoint_dir"


def test_a_folder_that_can_be_made_is_not_made_yet(tmp_path):
    assert writable_folder(str(tmp_path / "a" / "b")) == tmp_path / "a" / "b"
    assert list(tmp_path.iterdir()) == []


def test_the_users_home_has_its_sign(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    assert writable_folder("~/checkpoints") == tmp_path / "checkpoints"
