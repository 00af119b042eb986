"""The operators that run in this server: which, how far they are, and the wish to stop one.

FiftyOne keeps a record of queued operators alone. One that runs at once goes on when its page is
closed, so that it must be found again, followed and stopped from another page.
"""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field
from typing import Any

MOST_KEPT = 20
HOURS_KEPT = 1  # after the end, for somebody who comes back to see the result


class StoppedError(BaseException):
    """Somebody has cancelled the operator. As after Ctrl-C, no write begins again."""


class AtWorkError(Exception):
    """The same is at work already."""


@dataclass(eq=False)
class Job:
    """An operator at work.

    Attributes:
        dataset: the name of the dataset
        label: that of the operator
        key: tells it from others
        began: when, in seconds of :func:`time.monotonic`
        fraction: how much is done, in [0, 1]; it never falls
        words: what is being done
        about: what it does exactly, for work that nobody wants twice at once; None for other work
        in_background: whether the page that started it shows it no more
        shown: what the App shows of its end
        result: the result, as JSON; None where it has failed, or has not ended
    """

    dataset: str
    label: str
    about: Any = None
    key: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    began: float = field(default_factory=time.monotonic)
    fraction: float = 0.0
    words: str = "Preparing"
    in_background: bool = False
    shown: tuple[dict[str, Any], dict[str, Any]] | None = None
    result: dict[str, Any] | None = None
    ended: threading.Event = field(default_factory=threading.Event)
    _stop: threading.Event = field(default_factory=threading.Event)
    _stopped: bool = False
    _end: float = 0.0

    def report(self, fraction: float, words: str, *, can_stop: bool = True) -> None:
        """Say how far the work is; the work calls this, often.

        Args:
            fraction: how much is done, in [0, 1]
            words: what is being done
            can_stop (True): whether nothing has been written yet

        Raises:
            StoppedError: once, if somebody has cancelled it; what then cleans up may report too
        """
        self.fraction, self.words = max(self.fraction, fraction), words
        if can_stop and self._stop.is_set() and not self._stopped:
            self._stopped = True
            raise StoppedError

    def cancel(self) -> None:
        """Stop the work when it reports next."""
        self._stop.set()

    @property
    def is_cancelled(self) -> bool:
        """Whether somebody has cancelled it, though it may not have ended yet."""
        return self._stop.is_set()

    @property
    def seconds(self) -> float:
        """How long it has been at work."""
        return time.monotonic() - self.began

    @property
    def in_words(self) -> str:
        """What it is, how far, and since when."""
        minutes = f"begun {self.seconds / 60:.0f} min ago"
        if self.ended.is_set():
            return f"{self.label}: ended, {minutes}"
        state = "is being cancelled" if self.is_cancelled else f"{self.fraction:.0%}, {self.words}"
        return f"{self.label}: {state}, {minutes}"

    def end(
        self, shown: tuple[dict[str, Any], dict[str, Any]], result: dict[str, Any] | None
    ) -> None:
        """Keep the result for whoever asks for it."""
        self.shown, self.result, self._end = shown, result, time.monotonic()
        self.ended.set()


_jobs: dict[str, Job] = {}
_starting = threading.Lock()


def start(dataset: str, label: str, about: Any = None) -> Job:
    """Enter an operator that begins.

    Args:
        dataset: the name of the dataset
        label: that of the operator
        about (None): what it does exactly, where it must not be at work twice

    Raises:
        AtWorkError: if one that does the same is at work
    """
    job = Job(dataset, label, about)
    with _starting:
        _forget()
        if about is not None and any(one.about == about for one in at_work(dataset)):
            raise AtWorkError
        _jobs[job.key] = job
    return job


def on(dataset: str) -> list[Job]:
    """The operators on a dataset, those at work first, and the newest of them before others."""
    _forget()
    found = [job for job in list(_jobs.values()) if job.dataset == dataset]
    return sorted(found, key=lambda job: (job.ended.is_set(), -job.began))


def at_work(dataset: str) -> list[Job]:
    """The operators on a dataset that have not ended."""
    return [job for job in on(dataset) if not job.ended.is_set()]


def _forget() -> None:
    """Ends long past, and all but the latest of many."""
    ended = [job for job in list(_jobs.values()) if job.ended.is_set()]
    ended.sort(key=lambda job: job._end)
    old = time.monotonic() - HOURS_KEPT * 3600
    for job in [*ended[:-MOST_KEPT], *(job for job in ended if job._end < old)]:
        _jobs.pop(job.key, None)
