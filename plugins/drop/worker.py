"""Work that reports its progress: in words, and from a thread.

This module knows neither operators nor forms.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Any, TypeVar

import fiftyone as fo

SECONDS_BETWEEN_REPORTS = 0.25

Result = TypeVar("Result")
Report = Callable[[float, str], Any]  # takes a fraction in [0, 1] and a label


# -- in a thread ----------------------------------------------------------------------------------


def stream(work: Callable[[Callable[[Any], None]], Result]) -> Generator[Any, None, Result]:
    """Run ``work(send)`` in a thread, and yield each value when the work sends it.

    The work goes on when the generator is closed because somebody closes the browser tab: a drop
    run takes its time, and is in the dataset later. The thread does not keep the process alive. A
    run that is cut off stays incomplete, and so invisible.

    Returns:
        the result of ``work``; its exceptions are raised here
    """
    sent: queue.SimpleQueue[Any] = queue.SimpleQueue()
    outcome: Future[Result] = Future()
    end = object()

    def run() -> None:
        try:
            outcome.set_result(work(sent.put))
        except BaseException as error:
            outcome.set_exception(error)
        finally:
            sent.put(end)

    threading.Thread(target=run, name="drop", daemon=True).start()
    yield from iter(sent.get, end)
    return outcome.result()


# -- progress -------------------------------------------------------------------------------------


@contextlib.contextmanager
def progress_in_words(report: Report) -> Iterator[Callable[[Any], None]]:
    """A ``progress=`` callback that reports each progress bar of the package with a label.

    Just before a bar starts, the package logs what it is about to train, and roughly how long that
    takes. The last such message of this thread becomes the label of the bar.
    """
    reporter = _Reporter(report)
    logger = logging.getLogger("fiftyone.drop")
    logger.addHandler(reporter)
    try:
        yield fo.report_progress(reporter.on_bar, dt=SECONDS_BETWEEN_REPORTS)
    finally:
        logger.removeHandler(reporter)


class _Reporter(logging.Handler):
    def __init__(self, report: Report):
        super().__init__(logging.INFO)
        self._report = report
        self._thread = threading.get_ident()
        self._announced: str | None = None
        self._bar: Any = None
        self._stage = 0
        self._title = ""

    def emit(self, record: logging.LogRecord) -> None:
        if record.thread == self._thread:
            self._announced = record.getMessage()
            self._report(0.0, self._announced)

    def on_bar(self, bar: Any) -> None:
        if bar is not self._bar:
            # Each stage has a bar of its own, so that the bar begins again: the number says why
            self._bar, self._stage = bar, self._stage + 1
            self._title = f"Stage {self._stage}: {self._announced or 'working'}"
            self._announced = None
        label = f"{self._title} ({bar.iteration:,} of {bar.total:,})"
        self._report(float(bar.progress or 0.0), label)
