"""Checkpoints that were not touched for a month leave the user's cache, and nothing else does."""

import os
import time

import pytest

import fiftyone_drop as fod
from fiftyone_drop.engine.cache import MAX_AGE_DAYS, cache_folder, new_checkpoint, open_cache

A, B = "a" * 32, "b" * 32


DAY = 24 * 3600


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "fiftyone-drop"


def put(folder, *names, days):
    """Files that were last touched so many days ago."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"content")
        touched = time.time() - days * DAY
        os.utime(path, (touched, touched))


def files(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_only_checkpoints_that_were_abandoned_are_deleted(folder):
    old = [
        f"checkpoint-{A}/{name}" for name in ("pass.pt", "embeddings-0.npy", "fold-1.pt.7.partial")
    ]
    put(folder, *old, days=MAX_AGE_DAYS + 1)
    young = [f"checkpoint-{B}/fold-0.pt"]
    put(folder, *young, days=MAX_AGE_DAYS - 1)
    not_ours = [f"checkpoint-{A}.txt", "checkpoint-mine/fold-0.pt", "notes.md"]
    put(folder, *not_ours, days=1000)
    assert open_cache() == cache_folder() == folder
    assert files(folder) == {*young, *not_ours}
    assert not (folder / f"checkpoint-{A}").exists()


def test_a_checkpoint_is_as_young_as_its_youngest_file(folder):
    put(folder, f"checkpoint-{A}/embeddings-0.npy", days=100)
    put(folder, f"checkpoint-{A}/pass.pt", days=1)
    before = files(folder)
    open_cache()
    assert files(folder) == before


def test_an_empty_folder_of_a_checkpoint_goes_too(folder):
    empty = folder / f"checkpoint-{A}"
    empty.mkdir(parents=True)
    touched = time.time() - 100 * DAY
    os.utime(empty, (touched, touched))
    open_cache()
    assert not empty.exists()


def test_somebody_elses_file_among_ours_stays_and_so_does_its_folder(folder):
    put(folder, f"checkpoint-{A}/fold-0.pt", f"checkpoint-{A}/mine.txt", days=100)
    open_cache()
    assert files(folder) == {f"checkpoint-{A}/mine.txt"}


def test_a_link_out_of_the_cache_is_not_followed(folder, tmp_path):
    put(tmp_path, "elsewhere/fold-0.pt", days=100)
    folder.mkdir(parents=True)
    (folder / f"checkpoint-{A}").symlink_to(tmp_path / "elsewhere")
    open_cache()
    assert "elsewhere/fold-0.pt" in files(tmp_path)


def test_a_new_checkpoint_cleans_the_cache_but_no_folder_of_the_users(folder, tmp_path):
    old = f"checkpoint-{A}/pass.pt"
    put(folder, old, days=100)
    put(tmp_path / "own", old, days=100)
    new_checkpoint(tmp_path / "own")
    assert files(folder) == files(tmp_path / "own") == {old}
    new_checkpoint(None)
    assert files(folder) == set()


def test_a_cache_that_cannot_be_written_to_is_no_reason_to_refuse(tmp_path, monkeypatch, caplog):
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with new_checkpoint(None) as checkpoint:
        checkpoint.open(lambda: {"name": "test"})
        array = checkpoint.new_array("embeddings-0", (3, 2))
        array[:] = 7
        checkpoint.save("pass", dict, now=True)
        assert checkpoint.load("pass") is None
    assert (array == 7).all()
    assert "No checkpoints" in caplog.text
    assert files(tmp_path) == {"file"}


def test_a_training_cleans_the_cache_too(folder, make_dataset):
    put(folder, f"checkpoint-{A}/fold-0.pt", days=100)
    fod.train_query_model(make_dataset(40), epochs=1)
    assert files(folder) == set()


def test_a_cache_that_cannot_be_read_does_not_stop_a_call(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / ("x" * 300)))
    assert open_cache() == cache_folder()
