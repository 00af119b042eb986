"""A database that is away is waited for, for some time."""

import pytest
from pymongo.errors import AutoReconnect, OperationFailure, ServerSelectionTimeoutError

from fiftyone_drop import waiting
from fiftyone_drop.waiting import while_away


@pytest.fixture(autouse=True)
def clock(impatient, monkeypatch):
    """Time passes only in pauses."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

        def sleep(self, seconds):
            self.now += seconds
            self.pauses.append(seconds)

    clock = Clock()
    clock.pauses = []
    monkeypatch.setattr(waiting, "time", clock)
    monkeypatch.setattr(waiting, "PATIENCE", 600.0)
    return clock


def failing(errors):
    left = list(errors)

    def write():
        if left:
            raise left.pop(0)
        return "written"

    return write


def test_a_write_is_tried_again_after_pauses_that_grow(clock):
    errors = [AutoReconnect("gone"), ServerSelectionTimeoutError("away"), AutoReconnect("gone")]
    assert while_away(failing(errors), "all is saved") == "written"
    assert clock.pauses == [1, 2, 4]


def test_after_ten_minutes_one_sentence_says_what_is_saved(clock):
    write = failing([AutoReconnect("127.0.0.1:27017 refused")] * 100)
    with pytest.raises(ConnectionError, match=r"for 10 minutes .*27017.* the scores lie there"):
        while_away(write, "the scores lie there")
    assert 560 < clock.now <= 600


def test_other_errors_are_errors(clock):
    with pytest.raises(OperationFailure):
        while_away(failing([OperationFailure("no")]), "")
    assert clock.pauses == []


def test_scores_are_written_when_the_server_is_back(dataset, clock, monkeypatch):
    import fiftyone_drop as fod
    from fiftyone_drop import store

    original, calls = store.write_fields, []

    def write(*arguments):
        original(*arguments)
        calls.append(1)
        if len(calls) < 3:
            raise AutoReconnect("the server was killed")

    monkeypatch.setattr(store, "write_fields", write)
    fod.compute_scores(dataset, "ground_truth", ["random"], prefix="at_")
    assert len(calls) == 3
    assert len(dataset.exists("at_random")) == 300
