"""Answers that are remembered for a while: the App draws a form at each keystroke."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from typing import Any

import fiftyone as fo

from fiftyone_drop import precheck

SECONDS = 20
_recent: dict[str, tuple[float, Any]] = {}


def recently(what: object, read: Callable[[], Any]) -> Any:
    """The answer of ``read()``, remembered for a while: a slow answer longer than a quick one.

    Args:
        what: the question, as values that JSON can hold
        read: finds the answer
    """
    key, now = json.dumps(what, default=str, sort_keys=True), time.monotonic()
    until, value = _recent.get(key, (-math.inf, None))
    if now > until:
        value = read()
        done = time.monotonic()
        _recent[key] = done + max(SECONDS, 20 * (done - now)), value
    # Several forms may be drawn at once, each in a thread of its own
    for old in [old for old, (end, _) in list(_recent.items()) if now > end]:
        _recent.pop(old, None)
    return value


def splits(dataset: fo.Dataset) -> dict[str, int]:
    """The tags of a dataset that look like splits, and how many samples have each."""
    return recently(["splits", dataset.name], lambda: precheck.splits(dataset))
