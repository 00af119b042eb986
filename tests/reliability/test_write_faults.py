"""Every call that writes, every write, every callback, every way to fail: old or new, no mixture.

After each fault somebody else looks at the dataset, and then the same call is made again.
"""

import contextlib

import pytest
from aftermath import problems_after
from cells import CALLBACK_FAULTS, LONG, WRITE_FAULTS, cell, cells_of
from pymongo.errors import AutoReconnect
from shared_dataset import difference, restore, state_of
from writing_calls import CALLS

from fiftyone_drop import DropError, waiting

# How a write fails: before it has an effect, after it, or from then on until the database is back
WAYS = dict(
    zip(
        WRITE_FAULTS,
        (
            ("before", AutoReconnect),
            ("after", AutoReconnect),
            ("from then on", AutoReconnect),
            ("before", KeyboardInterrupt),
            ("after", KeyboardInterrupt),
        ),
        strict=True,
    )
)
# The last one after waiting for a database that is away
EXPECTED = (AutoReconnect, KeyboardInterrupt, DropError, ConnectionError)
ERRORS = dict(zip(CALLBACK_FAULTS, (RuntimeError, KeyboardInterrupt), strict=True))


def some(n, salt):
    """The numbers from 1 to n; without the long switch one of them, another for each salt."""
    return range(1, n + 1) if LONG or not n else [1 + 7 * sum(map(ord, salt)) % n]


@pytest.mark.parametrize(("name", "fault"), cells_of(WAYS))
def test_a_write_that_fails_leaves_the_old_or_the_new(snapshot, ends, writes, name, fault):
    """And the same call made again comes to its end, as if nothing had happened."""
    call, (way, error) = CALLS[name], WAYS[fault]
    known, total = ends(name, call), ends.writes[name]
    with cell(name, fault) as counted:
        for at in some(total, name + fault):
            dataset = restore(snapshot)
            writes.reset(at, way, error)
            with contextlib.suppress(*EXPECTED):
                call(dataset)
            writes.reset()
            looks = at % 2 == 0
            problems = problems_after(dataset, snapshot, call, known, looks=looks)
            counted.add(problems, f"write {at} of {total}")


@pytest.mark.parametrize(("name", "fault"), cells_of(WRITE_FAULTS[:2]))
def test_a_write_that_fails_once_is_made_again(snapshot, ends, writes, monkeypatch, name, fault):
    """Where the call waits: it ends as if nothing had happened, and takes no step twice."""
    monkeypatch.setattr(waiting, "PATIENCE", 60.0)
    monkeypatch.setattr(waiting, "FIRST", 0.01)
    call, (way, error) = CALLS[name], WAYS[fault]
    (_, after), total = ends(name, call), ends.writes[name]
    for at in some(total, name + fault + "again"):
        dataset = restore(snapshot)
        writes.reset(at, way, error)
        call(dataset)
        writes.reset()
        state = state_of(snapshot)
        assert state == after, f"write {at} of {total}: {difference(state, after)}"


@pytest.mark.parametrize(("name", "fault"), cells_of(ERRORS))
def test_a_callback_that_raises_leaves_the_old_or_the_new(snapshot, ends, name, fault):
    """Whenever it raises, and also where the user presses Ctrl-C in it."""
    call, error = CALLS[name], ERRORS[fault]
    known = ends(name, call)
    count = Callback()
    call(restore(snapshot), count)
    with cell(name, fault) as counted:
        for at in some(count.calls, name + fault):
            dataset = restore(snapshot)
            with contextlib.suppress(error, DropError):
                call(dataset, Callback(at, error))
            problems = problems_after(dataset, snapshot, call, known)
            counted.add(problems, f"callback {at} of {count.calls}")


class Callback:
    """A progress callback that raises at one of its calls."""

    def __init__(self, at=None, error=None):
        self.calls, self._at, self._error = 0, at, error

    def __call__(self, bar):
        self.calls += 1
        if self.calls == self._at:
            raise self._error
