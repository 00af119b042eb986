"""Files of scores, which anybody may have written: nothing in them is taken on trust."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import Ids
from fiftyone_drop.engine.files import open_file
from fiftyone_drop.errors import DropError

OTHER_ARRAYS = ("ids", "conventions")  # in a file, besides scores
# Bytes that a file may hold: much more than scores need, and little for the memory
_SOME, _PER_SAMPLE = 2**24, 2**10

Switches = Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True)
class ScoreFile:
    """An .npz file of scores.

    Attributes:
        columns: score -> its array
        ids: (N,) S24, whose numbers these are; None for those of the collection
        epochs: of the training run, if known
        switches: score -> its switches, if known
        presentations: how often its samples were presented, the fewest and the most times
    """

    columns: Mapping[str, Any]
    ids: Ids | None = None
    epochs: int | None = None
    switches: Switches = field(default_factory=dict)
    presentations: list[int] | None = None


def read_score_file(path: Path, samples: int) -> ScoreFile:
    """Read a file as ``DynamicsRecorder.save`` writes it.

    Args:
        path: the file
        samples: the number of samples whose scores it may hold

    Raises:
        DropError: the file is missing, damaged, or something else
    """
    try:
        arrays = _arrays(path, _SOME + _PER_SAMPLE * samples)
        facts = json.loads(str(arrays["conventions"])) if "conventions" in arrays else {}
        return _content(arrays, facts)
    except FileNotFoundError as error:
        raise DropError("scores", f"there is no file {path}") from error
    except Exception as error:  # from zipfile, NumPy and JSON: it may be anything
        words = f"{type(error).__name__}: {str(error)[:500]}"
        raise DropError(
            "scores",
            f"{path} is no .npz file of numbers ({words}); write one with DynamicsRecorder.save",
        ) from error


def _arrays(path: Path, most: int) -> dict[str, Any]:
    with open_file(path) as file:
        with zipfile.ZipFile(file) as archive:
            size = sum(info.file_size for info in archive.infolist())
            if size > most:
                raise ValueError(f"it holds {size:,} bytes, and scores would have {most:,} at most")
        file.seek(0)
        with np.load(file, allow_pickle=False) as arrays:
            return {key: arrays[key] for key in arrays.files}


def _content(arrays: Mapping[str, Any], facts: Any) -> ScoreFile:
    ids = arrays.get("ids")
    if ids is not None and (ids.ndim != 1 or ids.dtype.kind not in "SU"):
        raise ValueError("its ids are no texts")
    columns = {key: value for key, value in arrays.items() if key not in OTHER_ARRAYS}
    if not columns or not all(isinstance(value, np.ndarray) for value in columns.values()):
        raise ValueError("it holds no scores, or more than arrays")
    if not isinstance(facts, dict):
        raise ValueError("its conventions are no mapping")
    return ScoreFile(
        columns,
        None if ids is None else ids.astype("S24"),
        checks.whole("epochs", facts.get("epochs"), least=0, optional=True),
        _switches(facts.get("switches", {})),
        _presentations(facts.get("presentations")),
    )


def _presentations(pair: Any) -> list[int] | None:
    if pair is None:
        return None
    least, most = pair
    return [checks.whole("presentations", number, least=0) for number in (least, most)]


def _switches(switches: Any) -> Switches:
    return {
        score: {
            name: value if isinstance(value, str) else checks.whole(name, value)
            for name, value in values.items()
        }
        for score, values in switches.items()
    }
