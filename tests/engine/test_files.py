"""Files are written whole or not at all, and only where that can be."""

import os
from pathlib import Path

import pytest

from fiftyone_drop import DropError
from fiftyone_drop.engine.files import (
    check_can_be_written,
    open_file,
    whole_file,
    writable_folder,
    write_atomically,
)


def test_a_write_that_fails_half_way_leaves_the_old_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old")

    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"old")]


def test_a_file_that_is_there_is_left_alone_if_that_is_asked_for(tmp_path, monkeypatch):
    path = tmp_path / "file"
    write_atomically(path, b"old", replace=False)
    with pytest.raises(FileExistsError):
        write_atomically(path, b"new", replace=False)
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"old")]


def test_a_write_that_fails_takes_no_name(tmp_path, monkeypatch):
    def fail(_):
        raise OSError("no space left")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(OSError, match="no space"):
        write_atomically(tmp_path / "file", b"new", replace=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_written_in_parts_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    with whole_file(path) as file:
        file.write(b"one ")
        file.write(b"two")
        assert not path.exists()
    assert path.read_bytes() == b"one two"
    with pytest.raises(TypeError), whole_file(path) as file:
        file.write("no bytes")
    assert file.closed
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"one two")]


def test_a_file_that_cannot_be_written_is_refused_and_a_try_leaves_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"old")
    (tmp_path / "link").symlink_to(tmp_path / "nothing")
    for path in (tmp_path, tmp_path / "a" / "b", tmp_path / "file" / "b", tmp_path / ("x" * 250)):
        with pytest.raises(DropError) as refused:
            check_can_be_written("to", path)
        assert refused.value.argument == "to"
    for path in ("/dev/null", tmp_path / "link"):
        with pytest.raises(DropError, match="is no file that can be replaced"):
            check_can_be_written("to", Path(path))
    check_can_be_written("to", tmp_path / "file")
    check_can_be_written("to", tmp_path / "new")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "link"]
    assert (tmp_path / "file").read_bytes() == b"old"


def test_only_plain_files_are_opened(tmp_path):
    write_atomically(tmp_path / "file", b"content")
    with open_file(tmp_path / "file") as file:
        assert file.read() == b"content"
    os.mkfifo(tmp_path / "pipe")  # a plain open() would wait for somebody who writes
    for path in (tmp_path, tmp_path / "pipe", "/dev/zero", tmp_path / "nothing"):
        with pytest.raises(OSError):  # noqa: PT011 (each has its own words)
            open_file(path)


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
