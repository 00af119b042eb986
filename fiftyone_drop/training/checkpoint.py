"""What an interrupted training has got so far, on disk, so that the same call goes on from there.

The files of a call lie in a folder named by a hash of everything that the result follows from. So
a call finds its own checkpoint or none, and nobody has to say ``resume=True``.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fiftyone_drop._log import logger
from fiftyone_drop.errors import DropWarning

SECONDS = 30.0  # between two checkpoints, at least: so much an interruption costs
SHARE = 0.01  # of the time that writing may take; checkpoints of large models are rarer
FORMAT = 1  # raise it whenever an old checkpoint would lead to another result

Content = Mapping[str, Any]
Folder = str | os.PathLike[str]
Buffer = bytes | memoryview


class Checkpoints:
    """The checkpoint files of one call, one per fold.

    Hand it to the call instead of a folder, and :meth:`remove` it once the results are where they
    belong: until then the same call finds the finished training again, and takes no step.

    Args:
        folder: where the folder of the call is made, at the first write; None writes nothing

    A folder that cannot be written to is a ``DropWarning``, and the training goes on.
    """

    def __init__(self, folder: Folder | None) -> None:
        self._parent = folder
        self._folder: Path | None = None
        self._next = time.monotonic() + SECONDS
        self._held: dict[str, Content] = {}

    def open(self, inputs: Callable[[], Mapping[str, object]]) -> None:
        """Begin the call.

        Args:
            inputs: gives whatever the result follows from, as ``fingerprint`` takes it; called
                only where there is a folder
        """
        if self._parent is not None:
            key = fingerprint({"format": FORMAT, "torch": torch.__version__, **inputs()})
            self._folder = Path(self._parent).expanduser() / f"training-{key}"
        self._next = time.monotonic() + SECONDS

    def load(self, name: str) -> dict[str, Any] | None:
        """What an earlier call left under this name, or None.

        Warns:
            DropWarning: there is something, but it is damaged
        """
        if self._folder is None:
            return None
        path = self._folder / name
        try:
            content = _unpack(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        # What the safe unpickler may raise, nobody has listed.
        except Exception as error:
            _warn(f"The checkpoint {path} is damaged ({error}); that part is trained anew")
            return None
        logger.info("Going on from the checkpoint %s", path)
        return content

    def save(self, name: str, make: Callable[[], Content]) -> None:
        """Write what is so far, if it is time."""
        if self._is_time():
            start = time.monotonic()
            self._held[name] = make()
            self._write(start)

    def keep(self, name: str, make: Callable[[], Content]) -> None:
        """Take what is finished, and will not change any more: it is written as soon as it is time.

        So a training of some seconds never touches the disk.
        """
        if self._folder is not None:
            self._held[name] = make()
            self.tick()

    def tick(self) -> None:
        """Write what is finished, if it is time."""
        if self._held and self._is_time():
            self._write(time.monotonic())

    def remove(self) -> None:
        """Delete everything: the call is done."""
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _is_time(self) -> bool:
        return self._folder is not None and time.monotonic() >= self._next

    def _write(self, start: float) -> None:
        assert self._folder is not None
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            for name, content in self._held.items():
                write_atomically(self._folder / name, *_pack(content))
        except OSError as error:
            _warn(
                f"Cannot write checkpoints to {self._folder} ({error}), so that an interruption "
                "would cost the whole training; make room, or pass another `checkpoint_dir`"
            )
            self._folder = None
        self._held = {}
        end = time.monotonic()
        self._next = end + max(SECONDS, (end - start) / SHARE)


def fingerprint(value: object) -> str:
    """A hash of text, numbers, arrays and tensors, in any nesting of mappings and sequences."""
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.hexdigest()


def file_states(paths: Sequence[str]) -> list[str]:
    """Absolute path, size and time of the last change of each file, in one text each.

    They stand for the files' content, which would take as long to read as an epoch.
    """
    states = []
    for path in paths:
        full = os.path.abspath(path)
        try:
            found = os.stat(full)
            states.append(f"{full}\0{found.st_size}\0{found.st_mtime_ns}")
        except OSError:  # reading the image will say so
            states.append(full)
    return states


def write_atomically(path: Path, *parts: Buffer) -> None:
    """Write a file whole or not at all, even if the power fails."""
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        with partial.open("wb") as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


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


def _feed(digest: hashlib.blake2b, value: object) -> None:
    """Every part goes in with its type and length, so that no two inputs look the same."""
    if isinstance(value, torch.Tensor):
        value = value.cpu().numpy()
    if isinstance(value, Mapping):
        value = [[key, value[key]] for key in sorted(value)]
    if isinstance(value, list | tuple):
        digest.update(f"list {len(value)}\n".encode())
        for part in value:
            _feed(digest, part)
        return
    if isinstance(value, np.ndarray):
        head, data = f"array {value.dtype.str} {value.shape}", value.tobytes()
    else:
        head, data = type(value).__name__, repr(value).encode()
    digest.update(f"{head} {len(data)}\n".encode() + data)


def _warn(message: str) -> None:
    warnings.warn(message, DropWarning, stacklevel=2)
