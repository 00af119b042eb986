"""Files of weights, which anybody may have written: no code in them is run, and none may lie."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from fiftyone_drop.engine.files import open_file


class BadWeightsError(Exception):
    """A file that is damaged, or holds something else; the message says why."""


def load_file(path: Path) -> Any:
    """The content of a file that ``torch.save`` has written: tensors, numbers, texts, containers.

    Raises:
        OSError: the file cannot be opened
        BadWeightsError: it is damaged, or holds more than that
    """
    with open_file(path) as file:
        try:
            _check_size(file)
            return torch.load(file, map_location="cpu", weights_only=True)
        # On a broken file zipfile and the safe unpickler may raise anything, MemoryError too
        except Exception as error:
            raise BadWeightsError(_words(error)) from error


def load_into(module: nn.Module, weights: Mapping[Any, Any]) -> None:
    """Give a module its weights.

    Args:
        module: the module
        weights: name -> tensor, as in a ``state_dict``

    Raises:
        BadWeightsError: they do not fit
    """
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            raise BadWeightsError(f"{str(name)[:100]!r} must be the name of a tensor")
        # Neither a shape without the numbers for it, nor complex numbers cut to real ones
        if value.layout != torch.strided or value.is_meta or value.is_complex():
            raise BadWeightsError(f"the tensor {name!r} must hold plain numbers")
    try:
        module.load_state_dict(dict(weights))
    except Exception as error:  # mostly RuntimeError; odd names lead to others
        raise BadWeightsError(_words(error)) from error


def _check_size(file: Any) -> None:
    """``torch.save`` never compresses: a file that grows when it is read is somebody else's."""
    size = file.seek(0, 2)
    file.seek(0)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            if sum(info.file_size for info in archive.infolist()) > size:
                raise ValueError("it is compressed")
    file.seek(0)


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error)[:500]}"
