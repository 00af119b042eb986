"""The checkpoint of an interrupted call on disk, from which the same call goes on.

A checkpoint is a folder of its own, named by a fingerprint of everything that its content follows
from. So a call finds its own checkpoint or none, and needs no ``resume=True``. The folder holds
states (``<name>.pt``, with a checksum) and arrays larger than memory should have to hold
(``<name>.npy``).

Both are written and removed together, so the module is longer than others.
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from fiftyone_drop._log import logger
from fiftyone_drop.engine.files import Buffer, Folder, writable_folder, write_atomically
from fiftyone_drop.engine.fingerprints import fingerprint
from fiftyone_drop.errors import DropWarning

SECONDS = 30.0  # between two checkpoints, at least: an interruption costs about as many
SHARE = 0.01  # of the time that writing may take; checkpoints of large models are rarer
FORMAT = 4  # raise it whenever an old checkpoint would lead to another result
# Names in a folder of checkpoints, and in one of them; other files are the user's
_FOLDER = re.compile(r"checkpoint-[0-9a-f]{32}")
_FILE = re.compile(r"[\w-]+\.(pt|npy)(\.\d+\.partial)?")

Content = Mapping[str, Any]
Array = NDArray[np.float32]
Result = TypeVar("Result")


class Checkpoint:
    """The checkpoint of one call.

    :meth:`open` it, then load, save, and use it as a context manager around the writing of the
    results. When the block ends without an error, the checkpoint is removed: until then the same
    call finds what it has computed.

    A folder that can no longer be written to is a ``DropWarning``, and the call goes on.

    Args:
        folder: where the checkpoint's folder is made, at the first write; None writes nothing

    Raises:
        DropError: ``folder`` cannot be written to
    """

    def __init__(self, folder: Folder | None) -> None:
        self._parent = None if folder is None else writable_folder(folder)
        self._folder: Path | None = None
        self._gave_up = False
        self._next = time.monotonic() + SECONDS
        self._soon = 0.0
        self._held: dict[str, Content] = {}
        self._arrays: list[np.memmap[Any, Any]] = []

    def open(self, facts: Callable[[], Mapping[str, object]]) -> None:
        """Begin the call.

        Args:
            facts: gives everything that the result follows from, as ``fingerprint`` takes it;
                called only where there is a folder
        """
        if self._parent is not None:
            key = fingerprint({"format": FORMAT, "torch": torch.__version__, **facts()})
            self._folder = self._parent / f"checkpoint-{key}"
        self._next = time.monotonic() + SECONDS

    @property
    def folder(self) -> Path | None:
        """The folder of this call; None where nothing can be written."""
        return None if self._gave_up else self._folder

    def __enter__(self) -> Checkpoint:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and self._held and self._is_time(now=True):
            self._write(time.monotonic())  # what was kept, and is not to be computed again
        # Without a state that vouches for them, arrays are of no use
        if kind is None or not (self._folder and list(self._folder.glob("*.pt"))):
            self.remove()

    def load(self, name: str) -> dict[str, Any] | None:
        """The state that an earlier call left under this name, or None.

        Warns:
            DropWarning: there is one, but it is damaged
        """
        content = self._existing(f"{name}.pt", lambda path: _unpack(path.read_bytes()))
        if content is not None:
            logger.info("Going on from the checkpoint %s", self._folder)
        return content

    def save(
        self, name: str, make: Callable[[], Content], *, now: bool = False, often: bool = False
    ) -> None:
        """Write a state, if it is time.

        Args:
            name: of the state
            make: makes it
            now (False): whether to write it in any case
            often (False): whether it is time as soon as writing has taken its share of it

        Warns:
            DropWarning: the folder cannot be written to; it is not tried again
        """
        if self._is_time(now, often):
            start = time.monotonic()
            self._held[name] = make()
            self._write(start)

    def keep(self, name: str, make: Callable[[], Content]) -> None:
        """Take a state that is final: it is written as soon as it is time.

        So a training of some seconds never touches the disk.
        """
        if self._folder is not None:
            self._held[name] = make()
            self.tick()

    def tick(self) -> None:
        """Write the states that :meth:`keep` took, if it is time."""
        if self._held and self._is_time():
            self._write(time.monotonic())

    def array(self, name: str, shape: tuple[int, ...]) -> Array | None:
        """The array on disk that an earlier call left, float32, or None.

        Warns:
            DropWarning: there is one, but it is damaged
        """

        def opened(path: Path) -> np.memmap[Any, Any]:
            # Read-only at first: NumPy would fill up a file that is too short
            there: tuple[int, ...] = np.lib.format.open_memmap(path, mode="r").shape
            if there != shape:
                raise ValueError(f"its shape is {there}")
            return np.lib.format.open_memmap(path, mode="r+")

        array = self._existing(f"{name}.npy", opened)
        return None if array is None else self._flushed(array)

    def new_array(self, name: str, shape: tuple[int, ...]) -> Array:
        """A float32 array on disk, whose rows are there whenever a state is saved.

        Without a folder it lies in a temporary file.

        Warns:
            DropWarning: the disk has no room for it, so that it is in memory
        """
        path = None
        try:
            if self._folder is None or self._gave_up:
                with tempfile.TemporaryFile() as file:
                    _reserve(file.fileno(), 4 * int(np.prod(shape)))
                    return np.memmap(file, np.float32, "r+", shape=shape)
            self._folder.mkdir(parents=True, exist_ok=True)
            path = self._folder / f"{name}.npy"
            array = np.lib.format.open_memmap(path, "w+", np.float32, shape)
            with path.open("r+b") as opened:
                _reserve(opened.fileno(), path.stat().st_size)
        except OSError as error:
            if path is not None:
                path.unlink(missing_ok=True)
            self._give_up(error)
            return np.empty(shape, np.float32)
        return self._flushed(array)

    @property
    def room(self) -> int:
        """The free bytes of the disk that arrays lie on."""
        folder = self._parent or Path(tempfile.gettempdir())
        folders = (folder.absolute(), *folder.absolute().parents)
        there = next(one for one in folders if os.path.exists(one))
        return shutil.disk_usage(there).free

    def remove(self) -> None:
        """Delete the checkpoint: the call is done."""
        self._held, self._arrays = {}, []
        if self._folder is not None:
            with suppress(OSError):
                delete(self._folder)

    def _existing(self, name: str, read: Callable[[Path], Result]) -> Result | None:
        """A file that an earlier call left, or None; damage is a warning."""
        if self._folder is None:
            return None
        path = self._folder / name
        try:
            return read(path)
        except (FileNotFoundError, NotADirectoryError):
            return None
        except Exception as error:  # the safe unpickler and NumPy may raise anything
            reason = str(error) or type(error).__name__
            _warn(f"the checkpoint {path} is damaged ({reason}); its content is computed again")
            return None

    def _flushed(self, array: np.memmap[Any, Any]) -> Array:
        self._arrays.append(array)
        return array

    def _is_time(self, now: bool = False, often: bool = False) -> bool:
        active = self._folder is not None and not self._gave_up
        return active and (now or time.monotonic() >= (self._soon if often else self._next))

    def _write(self, start: float) -> None:
        assert self._folder is not None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for array in self._arrays:
                array.flush()  # before the state that says that its rows are there
            for name, content in self._held.items():
                write_atomically(self._folder / f"{name}.pt", *_pack(content))
        except OSError as error:
            self._give_up(error)
        self._held = {}
        end = time.monotonic()
        self._soon = end + (end - start) / SHARE
        self._next = max(end + SECONDS, self._soon)

    def _give_up(self, error: OSError) -> None:
        if not self._gave_up:
            _warn(
                f"cannot write the checkpoint {self._folder} ({error}), so that an interruption "
                "would cost the whole call; make room, or pass another checkpoint_dir"
            )
        self._gave_up = True


def checkpoints_in(folder: Path) -> Iterator[Path]:
    """The folders of checkpoints that lie in a folder."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if _FOLDER.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            yield path


def last_written(checkpoint: Path) -> float:
    """When the youngest file of a checkpoint's folder was written, in seconds since 1970."""
    return max(path.lstat().st_mtime for path in _files_of(checkpoint) or [checkpoint])


def delete(checkpoint: Path) -> None:
    """Delete the folder of a checkpoint.

    Raises:
        OSError: there is none, or it holds files of somebody else, which stay
    """
    for path in _files_of(checkpoint):
        path.unlink()
    checkpoint.rmdir()


def _files_of(checkpoint: Path) -> list[Path]:
    return [path for path in checkpoint.iterdir() if _FILE.fullmatch(path.name)]


def _reserve(file: int, size: int) -> None:
    """Take the room for a file now: a full disk would end the process at a later write."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file, 0, size)
    else:
        os.truncate(file, size)


def _pack(content: Content) -> tuple[Buffer, Buffer]:
    buffer = io.BytesIO()
    torch.save(dict(content), buffer)
    data = buffer.getbuffer()
    # PyTorch reads a file with flipped bits without a word.
    return hashlib.blake2b(data).digest(), data


def _unpack(packed: bytes) -> dict[str, Any]:
    size = hashlib.blake2b().digest_size
    checksum, data = packed[:size], packed[size:]
    if hashlib.blake2b(data).digest() != checksum:
        raise ValueError("its checksum is wrong")
    content: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return content


def _warn(message: str) -> None:
    warnings.warn(message, DropWarning, stacklevel=2)
