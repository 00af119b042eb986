"""Arrays that callers hand over, checked once: labels, folds, recorders."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from fiftyone_drop.engine.images import Indices
from fiftyone_drop.errors import DropError

if TYPE_CHECKING:
    from fiftyone_drop.scoring import DynamicsRecorder


class Fold(NamedTuple):
    """A fold's number, positions to train on, (M,), and positions that it holds out, (H,)."""

    number: int
    kept: Indices
    held_out: Indices


def check_samples(
    paths: Sequence[str], labels: npt.ArrayLike, classes: Sequence[str]
) -> npt.NDArray[np.int64]:
    """Return the labels as (N,) int64.

    Raises:
        DropError: fewer than two samples, not one integer per path, or no position in ``classes``
    """
    codes = np.asarray(labels)
    if codes.shape != (len(paths),) or (codes.size and codes.dtype.kind not in "iu"):
        raise DropError(
            "labels",
            f"must hold one integer per path, ({len(paths)},), but got {codes.dtype} of shape "
            f"{codes.shape}",
        )
    check_enough("paths", len(paths), "all samples")
    if codes.min() < 0 or codes.max() >= len(classes):
        raise DropError(
            "labels",
            f"must be positions in classes, 0 to {len(classes) - 1}, but got values from "
            f"{codes.min()} to {codes.max()}",
        )
    return codes.astype(np.int64)


def split_folds(fold_of: npt.ArrayLike, n: int) -> list[Fold]:
    """The folds that hold samples out, in ascending order of their numbers.

    Args:
        fold_of: (n,) integers; -1 is never held out
        n: number of samples

    Raises:
        DropError: wrong shape or values, no fold is held out, or one leaves too little to train on
    """
    folds = np.asarray(fold_of)
    rule = f"must hold one integer >= -1 per path, ({n},), but got"
    if folds.shape != (n,) or folds.dtype.kind not in "iu":
        raise DropError("fold_of", f"{rule} {folds.dtype} of shape {folds.shape}")
    if folds.min(initial=0) < -1:
        raise DropError("fold_of", f"{rule} values from {folds.min()} up")
    numbers = [int(number) for number in np.unique(folds) if number >= 0]
    if not numbers:
        raise DropError("fold_of", "must hold some samples out, but every value is -1")
    result = []
    for number in numbers:
        kept, held_out = np.flatnonzero(folds != number), np.flatnonzero(folds == number)
        check_enough("fold_of", len(kept), f"the samples outside fold {number}")
        result.append(Fold(number, kept, held_out))
    return result


def check_enough(argument: str, n: int, samples: str) -> None:
    """Raise a DropError unless there are samples enough for one batch."""
    if n < 2:
        raise DropError(
            argument,
            f"a query model needs at least 2 samples to train on, but {samples} are {n}; use "
            "more samples, or hold out fewer of them",
        )


def check_recorder(recorder: DynamicsRecorder, codes: Indices, models: int) -> None:
    """Raise a DropError unless the recorder fits the samples and follows one model."""
    if not np.array_equal(recorder.labels, codes):
        raise DropError(
            "recorder",
            f"must be of the same {len(codes)} samples and labels, but got one of {recorder.n} "
            "samples; construct it with DynamicsRecorder(len(paths), labels)",
        )
    if models > 1:
        raise DropError(
            "recorder",
            f"must be None with {models} folds, each of which trains a model with dynamics of its "
            "own; use train, or hold one fold out",
        )
