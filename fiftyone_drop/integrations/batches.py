"""Where in a batch, or in what a training step returns, something is."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

from fiftyone_drop import checks
from fiftyone_drop.errors import DropError, DropWarning, listing

Where = str | int | Callable[[Any], Any]
"""A key of a mapping, a position in a sequence, or a function of the whole."""


def check_where(argument: str, value: object) -> Where:
    """A key, a position, or a function.

    Raises:
        DropError: if ``value`` is none of these
    """
    if callable(value):
        return value
    if isinstance(value, str):
        return checks.text(argument, value)
    try:
        return checks.whole(argument, value)
    except DropError as error:
        shown = error.message.partition("but got ")[2]
        raise DropError(
            argument,
            "must be a key of the batch, a position in it, or a function that takes it out of a "
            f"batch, but got {shown}",
        ) from None


def check_recorder(recorder: object) -> None:
    """Check that something records batches and epochs: before a training, and not in its midst.

    Raises:
        DropError: if it is something else
    """
    if isinstance(recorder, type) or not hasattr(recorder, "end_epoch"):
        raise DropError(
            "recorder",
            f"must be a fiftyone_drop.DynamicsRecorder, but got {checks.shown(recorder)}",
        )


def begin(recorder: Any) -> None:
    """Begin a training from its start: the batches that a failed one has left are forgotten.

    Warns:
        DropWarning: if epochs were recorded before, which count as epochs of this training
    """
    recorder.restart_epoch()
    if recorder.epoch:
        warnings.warn(
            f"The recorder holds {recorder.epoch} epochs of a training before, and those of this "
            "one are added; if another model is trained, or the same one from its beginning, make "
            "a new recorder for it",
            DropWarning,
            stacklevel=2,
        )


def pick(argument: str, where: Where, whole: Any, remedy: str) -> Any:
    """What is there.

    Args:
        argument: the name of the argument, for the error
        where: where to look
        whole: a mapping, a sequence, or anything that ``where`` takes
        remedy: what else the error says

    Raises:
        DropError: if nothing is there
    """
    if callable(where):
        return where(whole)
    try:
        return whole[where]
    except (KeyError, IndexError, TypeError) as error:
        keys = f" with the keys {listing(list(whole))}" if isinstance(whole, Mapping) else ""
        raise DropError(
            argument, f"{where!r} is not in the {type(whole).__name__}{keys}; {remedy}"
        ) from error
