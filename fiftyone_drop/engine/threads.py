"""Many small tasks in threads: results in order, and few tasks in memory at a time."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

AHEAD = 4  # tasks that wait for each thread, at most

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    compute: Callable[[Item], Result], items: Iterable[Item], threads: int, size: int = 16
) -> Generator[Result, None, None]:
    """Compute something for each item; an executor's ``map`` would hold a task for all of them.

    Args:
        compute: what to do with an item
        items: any number of them, taken as threads become free
        threads: how many
        size (16): items per task

    Yields:
        the results, in the order of the items
    """

    def several(part: list[Item]) -> list[Result]:
        return [compute(item) for item in part]

    rest = iter(items)
    waiting: deque[Future[list[Result]]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        while part := list(itertools.islice(rest, size)):
            waiting.append(pool.submit(several, part))
            if len(waiting) > AHEAD * threads:
                yield from waiting.popleft().result()
        while waiting:
            yield from waiting.popleft().result()
    finally:  # an executor's own end would wait for all that it has been given
        pool.shutdown(cancel_futures=True)
