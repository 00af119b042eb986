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
from fiftyone_drop.errors import DropError
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
        self._stem = f"scores-{digest.hexdigest()}"
        self._path = self._folder / f"{self._stem}.npz"
        self._saved = time.monotonic()

    def load(self, shape: tuple[int, ...]) -> tuple[Table, Progress] | None:
        """What an earlier call left, or None."""
        try:
            with np.load(self._path) as content:
                table, state = content["table"], json.loads(str(content["state"]))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError):
            logger.warning("The checkpoint %s is damaged; starting anew", self._path)
            return None
        state["failed"] = {int(row): why for row, why in state["failed"].items()}
        return (table, Progress(**state)) if table.shape == shape else None

    def save(self, table: Table, progress: Progress, mapped: list[Table], *, now: bool) -> None:
        """Save, if the last time is long enough ago (or ``now``), whole or not at all."""
        if not now and time.monotonic() - self._saved < SECONDS:
            return
        for array in mapped:
            if isinstance(array, np.memmap):
                array.flush()  # before the state that says that its rows are there
        content = io.BytesIO()
        np.savez(content, table=table, state=np.array(json.dumps(asdict(progress))))
        write_atomically(self._path, content.getbuffer())
        self._saved = time.monotonic()

    def mapped(self, number: int, shape: tuple[int, int], *, again: bool) -> Table:
        """An array on disk, for what is larger than memory should have to hold."""
        path = self._folder / f"{self._stem}-{number}.npy"
        mode = "r+" if again and path.exists() else "w+"
        shape_if_new = shape if mode == "w+" else None
        array: Table = np.lib.format.open_memmap(
            path, mode=mode, dtype=np.float32, shape=shape_if_new
        )
        return array

    def complete(self, number: int) -> bool:
        """Whether the array on disk is there."""
        return (self._folder / f"{self._stem}-{number}.npy").exists()

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
