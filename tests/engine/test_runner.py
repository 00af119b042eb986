"""Parts of a computation, one after the other in this process."""

import pytest

from fiftyone_drop.engine.runner import Here


def test_pieces_come_one_by_one_in_the_order_of_the_parts():
    seen = []

    def work(part):
        for i in range(part):
            seen.append((part, i))
            yield i

    results = Here().run(work, iter([2, 0, 3]))
    assert next(results) == (2, 0)
    assert seen == [(2, 0)]  # nothing is computed ahead
    assert list(results) == [(2, 1), (3, 0), (3, 1), (3, 2)]


def test_giving_up_ends_the_part_that_is_computed():
    ended = []

    def work(part):
        try:
            yield part
            yield part
        finally:
            ended.append(part)

    results = Here().run(work, [1, 2])
    next(results)
    results.close()
    assert ended == [1]


def test_an_error_of_the_work_is_an_error_of_the_run():
    def work(part):
        yield 1 / part

    with pytest.raises(ZeroDivisionError):
        list(Here().run(work, [1, 0]))
