"""Results come in order, and few items are taken before theirs are."""

import threading
import time
from contextlib import closing

import pytest

from fiftyone_drop.engine.threads import AHEAD, in_threads


@pytest.mark.parametrize("n", [0, 1, 15, 16, 17, 1000])
@pytest.mark.parametrize("threads", [1, 4])
def test_results_are_in_the_order_of_the_items(n, threads):
    def slow_at_times(i):
        time.sleep(0.001 * (i % 37 == 0))
        return i * i

    assert list(in_threads(slow_at_times, range(n), threads)) == [i * i for i in range(n)]


def test_several_threads_compute():
    meeting = threading.Barrier(3, timeout=30)
    assert len(list(in_threads(lambda _: meeting.wait(), range(3), 3, size=1))) == 3


def test_few_items_are_taken_at_a_time():
    taken = 0

    def items():
        nonlocal taken
        for i in range(100_000):
            taken += 1
            yield i

    for done, _ in enumerate(in_threads(str, items(), 2)):
        assert taken <= done + 16 * (2 * AHEAD + 1)
    assert taken == 100_000


def test_an_error_ends_it_before_the_rest_is_computed():
    computed = []

    def compute(i):
        computed.append(i)
        if i == 20:
            raise KeyError(i)

    with pytest.raises(KeyError):
        list(in_threads(compute, range(100_000), 2))
    assert len(computed) < 1000


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_end_before_the_last_result_waits_for_nothing_that_has_not_begun(error):
    begun, free = [], threading.Event()

    def compute(i):
        begun.append(i)
        assert i == 0 or free.wait(30)

    def first():
        with closing(in_threads(compute, range(100), 2, size=1)) as results:
            for _ in results:
                threading.Timer(0.2, free.set).start()
                raise error

    with pytest.raises(error):
        first()
    assert len(begun) <= 3
