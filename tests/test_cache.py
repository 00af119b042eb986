"""Checkpoints that nobody has touched for a month leave the user's cache, and nothing else does."""

import os
import time

import pytest

import fiftyone_drop as fod
from fiftyone_drop.cache import MAX_AGE_DAYS, cache_folder, open_cache
from fiftyone_drop.models.checkpoint import Checkpoint

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
    old = [f"scores-{A}.npz", f"scores-{A}-0.npy", f"scores-{A}.npz.77.partial"]
    old += [f"training-{A}/fold-0.pt", f"training-{A}/fold-1.pt.77.partial"]
    put(folder, *old, days=MAX_AGE_DAYS + 1)
    young = [f"scores-{B}.npz", f"training-{B}/fold-0.pt"]
    put(folder, *young, days=MAX_AGE_DAYS - 1)
    not_ours = [f"scores-{A}.txt", "scores-mine.npz", "training-mine/fold-0.pt", "notes.md"]
    put(folder, *not_ours, days=1000)
    assert open_cache() == cache_folder() == folder
    assert files(folder) == {*young, *not_ours}
    assert not (folder / f"training-{A}").exists()


def test_a_checkpoint_is_as_young_as_its_youngest_file(folder):
    put(folder, f"scores-{A}-0.npy", f"training-{A}/fold-0.pt", days=100)
    put(folder, f"scores-{A}.npz", f"training-{A}/fold-1.pt", days=1)
    before = files(folder)
    open_cache()
    assert files(folder) == before


def test_somebody_elses_file_among_ours_stays_and_so_does_its_folder(folder):
    put(folder, f"training-{A}/fold-0.pt", f"training-{A}/mine.txt", days=100)
    open_cache()
    assert files(folder) == {f"training-{A}/mine.txt"}


def test_a_link_out_of_the_cache_is_not_followed(folder, tmp_path):
    put(tmp_path, "elsewhere/fold-0.pt", "data.npz", days=100)
    folder.mkdir(parents=True)
    (folder / f"training-{A}").symlink_to(tmp_path / "elsewhere")
    (folder / f"scores-{A}.npz").symlink_to(tmp_path / "data.npz")
    open_cache()
    assert {"elsewhere/fold-0.pt", "data.npz"} <= files(tmp_path)


def test_opening_a_checkpoint_cleans_the_cache_but_no_folder_of_the_users(folder, tmp_path):
    old = f"scores-{A}.npz"
    put(folder, old, days=100)
    put(tmp_path / "own", old, days=100)
    Checkpoint(tmp_path / "own", "anything")
    assert files(folder) == files(tmp_path / "own") == {old}
    Checkpoint(None, "anything")
    assert files(folder) == set()


def test_a_training_cleans_the_cache_too(folder, make_dataset):
    put(folder, f"training-{A}/fold-0.pt", days=100)
    fod.train_query_model(make_dataset(40), epochs=1)
    assert files(folder) == set()
