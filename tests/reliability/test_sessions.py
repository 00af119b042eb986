"""Several sessions on one dataset: nothing of anybody's is lost, and each loser is told why.

The sessions are processes that loaded the dataset before, and never reload it by themselves.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from cells import LONG, ROUNDS, cell
from rounds import is_clear, make, problems_after_round, random_call
from shared_dataset import difference, opened, part, restore, state_of
from writing_calls import CALLS

from fiftyone_drop import DropError

PAIRS = len(CALLS) if LONG else 1


@pytest.fixture(scope="module")
def sessions(clients, uri):
    """Four processes."""
    started = [clients.session(uri) for _ in range(4)]
    yield started
    for session in started:
        session.close()


@pytest.fixture
def in_turn(snapshot, ends):
    """A function that tells the state after two calls, each of which sees what was before it."""

    def find(first, second):
        one, two = CALLS[first], CALLS[second]
        (before, after_one), (_, after_two) = ends(first, one), ends(second, two)
        if one.touches != two.touches:
            state = part(before, lambda name: not one.owns(name) and not two.owns(name))
            return state | part(after_one, one.owns) | part(after_two, two.owns)
        restore(snapshot)
        for call in (one, two):
            try:
                call(opened(snapshot))
            except DropError:
                assert call is two
        return state_of(snapshot)

    return find


@pytest.mark.parametrize("first", list(CALLS) if LONG else list(CALLS)[::3])
def test_a_session_that_loaded_the_dataset_before_sees_what_another_wrote(
    snapshot, sessions, in_turn, first
):
    """Every pair of calls, in both orders: as if the second had loaded the dataset just now."""
    writer, stale = sessions[:2]
    names = list(CALLS)
    at = names.index(first)
    with cell(first, "another session is stale") as counted:
        for number in range(PAIRS):
            second = names[(7 * at + 3 + number) % len(names)]
            expected = in_turn(first, second)
            restore(snapshot)
            for session in (writer, stale):
                session.ask("open", snapshot)
            answers = []
            for session, name in ((writer, first), (stale, second)):
                session.tell("call", name)
                answers.append(session.answer())
            problems = [
                f"{kind}: {words}"
                for kind, words in answers
                if kind == "failed" or (kind == "refused" and not is_clear(words))
            ]
            state = state_of(snapshot)
            if state != expected:
                problems.append(difference(state, expected))
            counted.add(problems, f"then {second}")


def test_what_another_session_has_replaced_since_can_be_replaced(snapshot, sessions):
    replacing = [name for name in CALLS if name.endswith(("overwrite", "another model"))]
    assert len(replacing) == 3
    for name in replacing:
        restore(snapshot)
        for session in sessions[:2]:
            session.ask("open", snapshot)
        for session in sessions[:2]:
            session.ask("call", name)


def test_processes_that_call_at_once_never_lose_a_run(snapshot, sessions):
    rng = np.random.default_rng(0)
    dataset = restore(snapshot)
    before = state_of(snapshot)
    for session in sessions:
        session.ask("open", snapshot)
    with cell(ROUNDS[0], "at once", seed=0) as counted:
        for number in range(200 if LONG else 6):
            some = sessions[: rng.integers(2, 5)]
            calls = [random_call(rng) for _ in some]
            for session, call in zip(some, calls, strict=True):
                session.tell("make", *call)
            answers = [session.answer() for session in some]
            problems = [
                f"{words} (after {call})"
                for call, (kind, words) in zip(calls, answers, strict=True)
                if kind == "failed" or (kind == "refused" and not is_clear(words))
            ]
            problems += problems_after_round(snapshot, dataset, before, calls)
            counted.add(problems, f"round {number}, {calls} -> {answers}")


def test_threads_that_call_at_once_never_lose_a_run(snapshot):
    rng = np.random.default_rng(1)
    dataset = restore(snapshot)
    before = state_of(snapshot)

    def outcome(call):
        try:
            make(dataset, *call)
        except DropError as error:
            return None if is_clear(str(error)) else str(error)
        except Exception as error:
            return repr(error)
        return None

    with cell(ROUNDS[1], "at once", seed=1) as counted, ThreadPoolExecutor(4) as pool:
        for number in range(60 if LONG else 3):
            calls = [random_call(rng) for _ in range(4)]
            problems = [words for words in pool.map(outcome, calls) if words]
            problems += problems_after_round(snapshot, dataset, before, calls)
            counted.add(problems, f"round {number}, {calls}")
