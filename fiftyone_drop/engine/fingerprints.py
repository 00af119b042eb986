"""Short hashes of values, arrays, modules and files: equal inputs have equal hashes."""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._torch import torch
from fiftyone_drop.engine.objects import is_remote
from fiftyone_drop.engine.threads import in_threads
from fiftyone_drop.engine.wrappers import unwrapped

if TYPE_CHECKING:
    from torch import Tensor
    from torch.nn import Module

PASSING = {"training", "device", "name_or_path", "gradient_checkpointing", "classes", "transform"}
"""Attributes in which two loads of one model may differ: state, place, folder, inputs, outputs."""
PLAIN = (bool, int, float, str, np.generic)
BLOCK = 1024  # files of which one hash is made
THREADS = 32  # that ask for the states of files


def fingerprint(value: object) -> str:
    """A hash of values in any nesting of mappings and sequences, as 32 hexadecimal digits.

    Args:
        value: text, numbers, bytes, arrays, tensors, and modules, by their structure, their
            weights, and the numbers, texts and switches that stand in them
    """
    digest = hashlib.blake2b(digest_size=16)
    _feed(digest, value)
    return digest.hexdigest()


def file_states(paths: Sequence[str]) -> list[bytes]:
    """Hashes of absolute path, size and time of the last change of files, a thousand in each.

    They stand for the files' content, which would take as long to read as an epoch. Objects
    elsewhere are known by their paths alone: asking for each takes as long as reading it. Threads
    ask, since a disk that other machines share takes its time to answer.
    """
    blocks = (paths[start : start + BLOCK] for start in range(0, len(paths), BLOCK))
    return list(in_threads(_states, blocks, THREADS, size=1))


def _states(paths: Sequence[str]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for path in paths:
        full = path if is_remote(path) else os.path.abspath(path)
        state = ""
        if not is_remote(path):
            with suppress(OSError):  # reading the image will say so
                found = os.stat(full)
                state = f"{found.st_size}\0{found.st_mtime_ns}"
        digest.update(f"{full}\0{state}\0\0".encode(errors="surrogatepass"))
    return digest.digest()


def _feed(digest: hashlib.blake2b, value: object) -> None:
    """Every part goes in with its type and length, so that no two inputs look the same."""
    loaded = "torch" in sys.modules  # or else nobody has a module, or a tensor
    if loaded and isinstance(value, torch.nn.Module):
        value = ["module", *_parts_of(value)]
    elif loaded and isinstance(value, torch.Tensor) and value.layout is not torch.strided:
        whole = value.detach().to_sparse_coo().coalesce()  # type: ignore[no-untyped-call]
        value = [str(value.layout), tuple(value.shape), whole.indices(), whole.values()]
    if isinstance(value, Mapping):
        value = [[key, value[key]] for key in sorted(value)]
    if isinstance(value, list | tuple):
        digest.update(f"list {len(value)}\n".encode())
        for part in value:
            _feed(digest, part)
        return
    data: bytes | memoryview
    if loaded and isinstance(value, torch.Tensor):
        head, data = f"array {value.dtype} {tuple(value.shape)}", _bytes_of(value)
    elif isinstance(value, np.ndarray):
        head, data = f"array {value.dtype.str} {value.shape}", value.tobytes()
    elif isinstance(value, bytes):
        head, data = "bytes", value
    else:
        head, data = type(value).__name__, repr(value).encode()
    digest.update(f"{head} {len(data)}\n".encode())
    digest.update(data)


def _parts_of(module: Module) -> list[object]:
    """What the output of a module follows from, as far as it does not say so by its code.

    A wrapper that computes the same is not looked at.
    """
    module = unwrapped(module)
    weights = {**dict(module.named_buffers()), **module.state_dict()}  # not all buffers are saved
    layers = {
        name: {key: held for key, held in vars(layer).items() if _decides(key, held)}
        for name, layer in module.named_modules()
    }
    return [repr(module), weights, layers]


def _decides(name: str, held: object) -> bool:
    """Whether an attribute of a module may decide what the module computes.

    Private ones are numbers of PyTorch and other libraries, such as ids, unless they are floats.
    """
    if name in PASSING:
        return False
    return checks.is_fraction(held) if name.startswith("_") else _is_plain(held)


def _is_plain(held: object) -> bool:
    if isinstance(held, tuple):  # lists grow while a module computes, as with what it has seen
        return all(map(_is_plain, held))
    return isinstance(held, PLAIN)


def _bytes_of(tensor: Tensor) -> memoryview:
    """The numbers of a tensor of any type; NumPy knows no bfloat16."""
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    if not len(flat):  # its stride may be 0, of which there is no view of bytes
        return memoryview(b"")
    return flat.view(torch.uint8).numpy().data
