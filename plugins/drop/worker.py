"""Work that reports its progress: in words, and from a thread.

This module knows neither operators nor forms.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import fiftyone as fo

SECONDS_BETWEEN_REPORTS = 0.25
SECONDS_BETWEEN_LOOKS = 0.5
SECONDS_BEFORE_A_GUESS = 5.0  # at how long a bar will take
# What a bar takes of the time that is left, by the first word of what it is about
SHARES = {"Reading": 0.05, "Writing": 1.0}
SHARE = 0.9

Result = TypeVar("Result")
Report = Callable[[float, str], Any]  # takes a fraction in [0, 1] and a label


# -- in a thread ----------------------------------------------------------------------------------


def stream(work: Callable[[Callable[[], None]], Result]) -> Generator[bool, None, Result]:
    """Run ``work(tell)`` in a thread; the generator yields True whenever the work tells.

    It yields False now and then. The work begins now, and goes on when the generator is closed
    because somebody closes the browser tab: a drop run takes its time, and is in the dataset later.
    The thread does not keep the process alive. A run that is cut off stays incomplete, and so
    invisible.

    Returns:
        the result of ``work``; its exceptions are raised here
    """
    told: queue.SimpleQueue[bool] = queue.SimpleQueue()
    outcome: Future[Result] = Future()

    def run() -> None:
        try:
            outcome.set_result(work(lambda: told.put(True)))
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            told.put(False)

    threading.Thread(target=run, name="drop", daemon=True).start()
    return _following(told, outcome)


def _following(
    told: queue.SimpleQueue[bool], outcome: Future[Result]
) -> Generator[bool, None, Result]:
    while True:
        try:
            if not told.get(timeout=SECONDS_BETWEEN_LOOKS):
                return outcome.result()
            yield True
        except queue.Empty:
            yield False


# -- progress -------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress_in_words(report: Report) -> Iterator[Callable[[Any], None]]:
    """A ``progress=`` callback that reports the progress bars of the package as one, with labels.

    Just before a bar starts, the package logs what it is about to do. The last such message of this
    thread becomes the label of the bar. How long it will take, by what it has taken, is added.
    """
    reporter = _Reporter(report)
    logger = logging.getLogger("fiftyone.drop")
    logger.addHandler(reporter)
    try:
        yield fo.report_progress(reporter.on_bar, dt=SECONDS_BETWEEN_REPORTS)
    finally:
        logger.removeHandler(reporter)


class _Reporter(logging.Handler):
    """Puts the bars of a call together into one, which never goes back.

    How many bars there will be nobody knows. Each takes its share of what is left: reading is
    quick, and what computes takes nearly all of the time.
    """

    def __init__(self, report: Report):
        super().__init__(logging.INFO)
        self._report = report
        self._thread = threading.get_ident()
        self._announced: str | None = None
        self._began = 0.0
        self._bar: Any = None
        self._title = ""
        self._start = self._end = self._reached = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread != self._thread:
            return
        words = record.getMessage()
        verb, colon, _ = words.partition(": ")
        if colon and self._title.startswith(verb):
            return  # a guess, once, at how long the bar will take, which this class makes anew
        self._announced = words
        self._report(self._reached, words)

    def on_bar(self, bar: Any) -> None:
        if bar is not self._bar:
            self._bar, self._began = bar, time.monotonic()
            self._title = self._announced or "Reading samples"
            self._announced = None
            share = SHARES.get(self._title.partition(" ")[0], SHARE)
            self._start = self._reached
            self._end = self._start + share * (1 - self._start)
        done = float(bar.progress or 0.0)
        self._reached = max(self._reached, self._start + done * (self._end - self._start))
        label = f"{self._title} ({bar.iteration:,} of {bar.total:,})"
        spent = time.monotonic() - self._began
        if 0 < done < 1 and spent >= SECONDS_BEFORE_A_GUESS:
            label += f", about {_duration(spent * (1 - done) / done)} left"
        self._report(self._reached, label)


def _duration(seconds: float) -> str:
    for unit, name in ((3600, "h"), (60, "min")):
        if seconds >= 1.5 * unit:
            return f"{seconds / unit:.0f} {name}"
    return f"{max(1, round(seconds))} s"
