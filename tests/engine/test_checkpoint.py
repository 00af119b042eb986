"""One folder per checkpoint: written whole, at times that cost little, removed at the end."""

import os
from contextlib import suppress

import numpy as np
import pytest
import torch
from clock import Clock

from fiftyone_drop import DropWarning
from fiftyone_drop.engine import checkpoint
from fiftyone_drop.engine.checkpoint import Checkpoint


def opened(folder, **facts):
    made = Checkpoint(folder)
    made.open(lambda: facts)
    return made


def interrupted(folder, *, saved=True, **facts):
    """Leave an array of a call that is interrupted, and its state if it was saved."""
    with suppress(KeyboardInterrupt), opened(folder, **facts) as first:
        array = first.new_array("rows", (4, 2))
        array[:] = np.arange(8).reshape(4, 2)
        if saved:
            first.save("state", lambda: {"done": 3, "table": torch.arange(3)}, now=True)
        raise KeyboardInterrupt


def test_the_same_call_finds_its_state_and_its_array(tmp_path):
    interrupted(tmp_path, of="this")
    again = opened(tmp_path, of="this")
    content = again.load("state")
    assert content["done"] == 3
    assert content["table"].tolist() == [0, 1, 2]
    assert again.array("rows", (4, 2)).tolist() == [[0, 1], [2, 3], [4, 5], [6, 7]]
    other = opened(tmp_path, of="that")
    assert other.load("state") is other.array("rows", (4, 2)) is None


def test_a_block_that_ends_well_leaves_nothing(tmp_path):
    interrupted(tmp_path, of="this")
    with opened(tmp_path, of="this") as again:
        again.save("other", dict, now=True)
        assert len(list(tmp_path.glob("checkpoint-*/*"))) == 3
    assert list(tmp_path.iterdir()) == []


def test_an_array_without_a_state_is_not_left_behind(tmp_path):
    interrupted(tmp_path, saved=False)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_the_users_stays_and_so_does_its_folder(tmp_path):
    interrupted(tmp_path)
    (folder,) = tmp_path.iterdir()
    (folder / "notes.txt").write_text("mine")
    with opened(tmp_path):
        pass
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize(
    "damage", [lambda data: b"", lambda data: data[:-4], lambda data: b"?" * 9]
)
@pytest.mark.parametrize("name", ["state.pt", "rows.npy"])
def test_damage_is_a_warning(tmp_path, name, damage):
    interrupted(tmp_path)
    (path,) = tmp_path.glob(f"*/{name}")
    path.write_bytes(damage(path.read_bytes()))
    again = opened(tmp_path)
    with pytest.warns(DropWarning, match=f"{name} is damaged"):
        assert None in (again.load("state"), again.array("rows", (4, 2)))


def test_an_array_of_another_shape_is_damaged(tmp_path):
    interrupted(tmp_path)
    with pytest.warns(DropWarning, match=r"its shape is \(4, 2\)"):
        assert opened(tmp_path).array("rows", (5, 2)) is None


def test_a_full_disk_is_one_warning_and_leaves_the_old_state(tmp_path, monkeypatch):
    interrupted(tmp_path)
    again = opened(tmp_path)

    def full(*_):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.warns(DropWarning, match=r"No space left .* checkpoint_dir") as caught:
            again.save("state", dict, now=True)
        again.save("state", dict, now=True)  # and no other
    assert len(caught) == 1
    assert opened(tmp_path).load("state")["done"] == 3


def test_a_folder_is_made_at_the_first_write(tmp_path):
    folder = tmp_path / "below" / "here"
    first = opened(folder)
    assert list(tmp_path.iterdir()) == []
    first.save("state", dict, now=True)
    assert len(list(folder.glob("checkpoint-*/state.pt"))) == 1


def test_without_a_folder_nothing_is_written():
    nowhere = opened(None)
    nowhere.save("state", lambda: 1 / 0, now=True)
    assert nowhere.load("state") is None


def test_checkpoints_that_take_long_to_write_are_rarer(tmp_path, monkeypatch):
    clock, written = Clock(monkeypatch), []

    def write(*_):
        written.append(clock.now)
        clock.now += 2

    monkeypatch.setattr(checkpoint, "write_atomically", write)
    one = opened(tmp_path)
    for _ in range(100):
        clock.now += 5
        one.save("fold-0", dict)
    # So that 2 seconds are one hundredth.
    assert written == [1030, 1232, 1434]
