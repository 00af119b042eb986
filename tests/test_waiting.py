"""A database that is away is waited for, for some time."""

import pytest
from outages import come_back_from
from pymongo.errors import (
    AutoReconnect,
    BulkWriteError,
    CursorNotFound,
    OperationFailure,
    ServerSelectionTimeoutError,
)

from fiftyone_drop import DropError, documents, lease, waiting
from fiftyone_drop.waiting import HeldError, TakenOverError, while_away


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
    words = r"server at 127\.0\.0\.1:\d+ has been away for 10 minutes .* the scores lie there"
    with pytest.raises(ConnectionError, match=words):
        while_away(write, "the scores lie there")
    assert 560 < clock.now <= 600


def test_the_ten_minutes_begin_with_the_outage(clock):
    errors = [AutoReconnect("gone")] * 3

    def write():
        if errors:
            clock.now += 3600  # of writing, before each outage
            raise errors.pop()
        return "written"

    assert while_away(write, "") == "written"
    assert clock.pauses == [1, 1, 1]


def test_a_server_that_each_attempt_ends_is_not_waited_for(clock):
    def write():
        clock.now += 3600
        raise AutoReconnect("out of memory")

    with pytest.raises(ConnectionError, match="went away 6 times during one write"):
        while_away(write, "")


@pytest.mark.parametrize(
    "error",
    [
        OperationFailure("the server is in quiesce mode and will shut down", 91),
        BulkWriteError({"writeErrors": [{"code": 11600, "errmsg": "interrupted at shutdown"}]}),
        CursorNotFound("cursor id 7 not found", 43),
    ],
)
def test_a_server_that_is_ending_or_has_begun_anew_is_away(clock, error):
    assert while_away(failing([error]), "") == "written"


def test_an_outage_after_another_error_is_not_waited_for(clock):
    def write():
        try:
            raise ValueError("the field is read-only")
        finally:
            raise AutoReconnect("gone, as it was to be undone")

    with pytest.raises(AutoReconnect):
        while_away(write, "")
    assert clock.pauses == []


def test_a_lease_that_was_taken_over_is_waited_for_too(clock):
    taken = TakenOverError("dataset", "somebody else writes")
    assert while_away(failing([taken]), "") == "written"
    with pytest.raises(DropError, match="somebody else writes"):
        while_away(failing([taken] * 100), "")


def test_an_error_that_the_caller_was_handling_is_none_of_the_write(clock):
    """As of somebody who follows the advice to make the same call again."""

    def again():
        try:
            raise ConnectionError from AutoReconnect("away")
        except ConnectionError:
            while_away(failing([DropError("key", "no such run")]), "nothing")

    with pytest.raises(DropError, match="no such run"):
        again()
    assert clock.pauses == []


def test_ctrl_c_during_an_outage_ends_the_call(clock):
    def write():
        try:
            raise AutoReconnect("away")
        except AutoReconnect:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt:
                raise AutoReconnect("away, as it is cleaned up")  # noqa: B904

    with pytest.raises(KeyboardInterrupt):
        while_away(write, "nothing")
    assert clock.pauses == []


def test_ctrl_c_while_scores_are_written_is_ctrl_c_though_nothing_can_be_undone(
    dataset, monkeypatch
):
    import fiftyone_drop as fod
    from fiftyone_drop import store

    def interrupted(*arguments):
        def away(dataset):
            raise AutoReconnect("away")

        monkeypatch.setattr(type(dataset), "reload", away)
        raise KeyboardInterrupt

    monkeypatch.setattr(store, "write_fields", interrupted)
    with pytest.raises(KeyboardInterrupt):
        fod.compute_scores(dataset, "ground_truth", ["random"], prefix="at_")


def test_who_writes_when_the_database_is_back_is_waited_for(clock):
    held = HeldError("dataset", "runs are being written by somebody")
    assert while_away(failing([AutoReconnect("away"), held, held]), "nothing") == "written"
    with pytest.raises(HeldError):
        while_away(failing([held]), "nothing")


def test_who_writes_for_an_hour_when_the_database_is_back_is_waited_for_once(clock):
    errors = [AutoReconnect("away")]

    def write():
        if errors:
            raise errors.pop()
        clock.now += lease.LONG_PATIENCE
        raise HeldError("dataset", "runs are being written by somebody")

    with pytest.raises(HeldError):
        while_away(write, "nothing")
    assert clock.pauses == [1]


@pytest.mark.parametrize("cleans_up", [False, True])
def test_what_fails_since_a_server_began_anew_is_made_again(dataset, clock, monkeypatch, cleans_up):
    """It may have lost what the write had begun with, such as a field."""
    processes = ["the first"]
    monkeypatch.setattr(documents, "server_process", lambda: processes[-1])

    def write():
        with lease.writing(dataset):
            if len(processes) == 2:
                return "written"
            processes.append("the second")
            try:
                raise ValueError("there is no such field")
            finally:
                if cleans_up:
                    lease.check(dataset)

    assert while_away(write, "") == "written"
    assert clock.pauses == [1]


def test_a_wish_to_stop_is_no_effect_of_a_server_that_began_anew(dataset, clock, monkeypatch):
    processes = ["the first"]
    monkeypatch.setattr(documents, "server_process", lambda: processes[-1])

    def write():
        with lease.writing(dataset):
            processes.append("the second")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        while_away(write, "")
    assert clock.pauses == []


def test_an_error_while_the_server_stays_the_same_is_an_error(dataset, clock):
    def write():
        with lease.writing(dataset):
            raise ValueError("there is no such field")

    with pytest.raises(ValueError, match="no such field"):
        while_away(write, "")
    assert clock.pauses == []


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


def test_values_that_are_added_to_a_whole_field_are_written_when_the_server_is_back(
    dataset, clock, monkeypatch
):
    import fiftyone_drop as fod
    from fiftyone_drop import store

    def add(value):
        scores = {"mine": dict.fromkeys(dataset.values("id"), value)}
        fod.import_scores(dataset, scores, hard="high", model="the same")

    add(1.0)
    original, failures = store.write_fields, [AutoReconnect("the server was killed")]

    def write(*arguments):
        if failures:
            raise failures.pop()
        original(*arguments)

    monkeypatch.setattr(store, "write_fields", write)
    add(2.0)
    assert set(dataset.values("mine")) == {2.0}


@pytest.mark.slow
def test_a_database_that_is_away_during_scoring_and_writing_costs_no_score(digits, tmp_path):
    come_back_from(digits, tmp_path)
