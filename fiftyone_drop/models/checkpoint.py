"""What an interrupted scoring has got so far, on disk, so that the same call goes on from there.

A checkpoint is named by a hash of everything its content follows from. So a call finds its own
checkpoint or none, and nobody has to say ``resume=True``.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from fiftyone_drop._log import logger
from fiftyone_drop.cache import open_cache
from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.training.checkpoint import write_atomically

SECONDS = 30.0  # between checkpoints; what a crash costs at most
Table = NDArray[np.float32]


@dataclass
class Progress:
    """How far a pass over N images has come.

    Attributes:
        done: so many images from the first on have been dealt with
        read_size: images that are read as a batch
        batch_size: images that are computed at once; less after running out of memory
        failed: position -> why the image could not be read
    """

    read_size: int
    batch_size: int
    done: int = 0
    failed: dict[int, str] = field(default_factory=dict)


class Checkpoint:
    """The checkpoint of one call.

    Args:
        folder: where checkpoints lie; None for the user's cache
        facts: whatever the result follows from: text, numbers, bytes and lists of these

    Raises:
        DropError: the folder cannot be written to
    """

    def __init__(self, folder: str | os.PathLike[str] | None, *facts: object) -> None:
        digest = hashlib.blake2b(digest_size=16)
        for fact in facts:
            data = fact if isinstance(fact, bytes) else repr(fact).encode()
            digest.update(len(data).to_bytes(8, "little") + data)
        self._folder = _writable(folder)
        self._gave_up = False
        self._stem = f"scores-{digest.hexdigest()}"
        self._path = self._folder / f"{self._stem}.npz"
        self._saved = time.monotonic()

    def load(self, shape: tuple[int, ...]) -> tuple[Table, Progress] | None:
        """What an earlier call left, or None.

        Warns:
            DropWarning: there is something, but it is damaged
        """
        try:
            with np.load(self._path) as content:
                table, state = content["table"], json.loads(str(content["state"]))
            state["failed"] = {int(row): why for row, why in state["failed"].items()}
            progress = Progress(**state)
        except FileNotFoundError:
            return None
        except Exception as error:  # NumPy, zipfile and JSON: nobody has listed it all
            _warn_damaged(self._path, error)
            return None
        return (table, progress) if table.shape == shape else None

    def save(self, table: Table, progress: Progress, mapped: list[Table], *, now: bool) -> None:
        """Save, if the last time is long enough ago (or ``now``), whole or not at all.

        Warns:
            DropWarning: that is not possible; it is not tried again
        """
        if self._gave_up or (not now and time.monotonic() - self._saved < SECONDS):
            return
        try:
            for array in mapped:
                if isinstance(array, np.memmap):
                    array.flush()  # before the state that says that its rows are there
            content = io.BytesIO()
            np.savez(content, table=table, state=np.array(json.dumps(asdict(progress))))
            write_atomically(self._path, content.getbuffer())
        except OSError as error:
            self._give_up(error)
        self._saved = time.monotonic()

    def mapped(self, number: int, shape: tuple[int, int], *, again: bool) -> Table:
        """An array on disk, for what is larger than memory should have to hold.

        Args:
            number: which one
            shape: its shape
            again: whether to go on with what :meth:`complete` has found

        Warns:
            DropWarning: the disk has no room for it, so that it is in memory
        """
        path = self._array(number)
        if again:
            return np.lib.format.open_memmap(path, mode="r+")
        try:
            array: Table = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            if hasattr(os, "posix_fallocate"):  # without, a full disk ends the process later on
                with path.open("r+b") as file:
                    os.posix_fallocate(file.fileno(), 0, path.stat().st_size)
        except OSError as error:
            path.unlink(missing_ok=True)
            self._give_up(error)
            return np.empty(shape, np.float32)
        return array

    def complete(self, number: int, shape: tuple[int, int]) -> bool:
        """Whether the array on disk is there, whole.

        Warns:
            DropWarning: it is damaged
        """
        path = self._array(number)
        try:
            found: tuple[int, ...] = np.lib.format.open_memmap(path, mode="r").shape
            if found != shape:
                raise ValueError(f"its shape is {found}")
        except FileNotFoundError:
            return False
        except Exception as error:  # as in load()
            _warn_damaged(path, error)
            return False
        return True

    def _give_up(self, error: OSError) -> None:
        self._gave_up = True
        warnings.warn(
            f"Cannot write the checkpoint {self._path} ({error}), so that an interruption would "
            "cost the whole pass; make room, or pass another `checkpoint_dir`",
            DropWarning,
            stacklevel=3,
        )

    def _array(self, number: int) -> Path:
        return self._folder / f"{self._stem}-{number}.npy"

    def remove(self) -> None:
        """Delete everything: the run is done."""
        for path in self._folder.glob(f"{self._stem}*"):
            path.unlink(missing_ok=True)

    @contextmanager
    def kept_only_if_useful(self) -> Iterator[None]:
        """Leaves no array behind for an error before the first checkpoint."""
        try:
            yield
        except BaseException:
            if not self._path.exists():
                self.remove()
            raise


def _warn_damaged(path: Path, error: Exception) -> None:
    reason = str(error) or type(error).__name__
    message = f"The checkpoint {path} is damaged ({reason}); all images are scored anew"
    warnings.warn(message, DropWarning, stacklevel=3)


def fingerprint(module: nn.Module) -> bytes:
    """A hash of a module's structure and weights."""
    digest = hashlib.blake2b(repr(module).encode(), digest_size=16)
    for name, value in module.state_dict().items():
        digest.update(name.encode())
        if isinstance(value, Tensor) and value.numel():
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().data)
    return digest.digest()


def _writable(folder: str | os.PathLike[str] | None) -> Path:
    path = open_cache() if folder is None else Path(folder).expanduser()
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        if folder is None:  # no reason to refuse to work; it cannot be resumed, that is all
            logger.warning("No checkpoints: cannot write to %s (%s)", path, error)
            return Path(tempfile.mkdtemp(prefix="fiftyone-drop-"))
        raise DropError(
            f"checkpoint_dir: must be a folder that can be written to, but {path} is not: {error}; "
            "pass another"
        ) from error
    return path
