"""Several sessions on one dataset: nothing of anybody's is lost, and each loser is told why.

The other sessions are processes that loaded the dataset before, and never reload it by themselves.
"""

import contextlib
import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from whole_runs import assert_whole

import fiftyone_drop as fod
from fiftyone_drop import DropError

ROUNDS = 200 if os.environ.get("DROP_FAULTS") == "long" else 12
SCRIPT = Path(__file__).with_name("sessions.py")
SENTENCES = (
    "there is a drop run",
    "does not exist",
    "has no drop run",
    "is being",
    "belongs to no",
)


class Session:
    """Another process that holds the dataset."""

    def __init__(self, dataset):
        self.process = subprocess.Popen(
            [sys.executable, SCRIPT, dataset.name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def tell(self, *call):
        print(json.dumps(call), file=self.process.stdin, flush=True)

    def answer(self):
        line = self.process.stdout.readline()
        assert line, "the session has died"
        return json.loads(line)


@pytest.fixture
def shared(make_dataset):
    """40 digits that stay when a session ends, with somebody's own field and view."""
    dataset = make_dataset(40)
    dataset.persistent = True
    dataset.set_values("mine", list(range(40)))
    dataset.save_view("my-view", dataset.limit(7))
    return dataset


@pytest.fixture
def sessions(shared):
    with contextlib.ExitStack() as stack:
        found = [Session(shared) for _ in range(2)]
        for session in found:
            stack.callback(session.process.wait, timeout=60)
            stack.callback(session.process.stdin.close)
        for session in found:
            assert session.answer() is None
        yield found


def assert_untouched(dataset):
    dataset.reload()
    assert dataset.values("mine") == list(range(40))
    assert len(dataset.load_saved_view("my-view")) == 7


def assert_no_orphans(dataset):
    """Every field and view that looks like a run's belongs to a run that is listed."""
    runs = [fod.load_drop(dataset, key).config for key in fod.list_drops(dataset)]
    fields = {name for run in runs for name in run.fields}
    made = {n for n in dataset.get_field_schema() if n.endswith(("_keep_at", "_kept"))}
    assert made == fields
    views = {name for run in runs for name in run.views}
    assert set(dataset.list_saved_views()) == views | {"my-view"}
    stored = {name for document in dataset._sample_collection.find() for name in document}
    assert {n for n in stored if n.endswith(("_keep_at", "_kept"))} == fields
    assert not [key for key in dataset.list_runs() if key.endswith("__next")]


def random_call(rng):
    key, density = str(rng.choice(["a", "b"])), float(rng.choice([0.3, 0.5, 0.8]))
    kind = rng.choice(["apply", "overwrite", "overwrite", "move", "delete"])
    if kind in ("apply", "overwrite"):
        return ["apply", key, density, bool(kind == "overwrite")]
    return ["move", key, density] if kind == "move" else ["delete", key]


def test_sessions_that_loaded_the_dataset_before_never_lose_a_run(shared, sessions):
    rng = np.random.default_rng(0)
    for number in range(ROUNDS):
        calls = [random_call(rng) for _ in sessions]
        for session, call in zip(sessions, calls, strict=True):
            session.tell(*call)
        answers = [session.answer() for session in sessions]
        for call, answer in zip(calls, answers, strict=True):
            assert answer is None or any(words in answer for words in SENTENCES), (call, answer)
        try:
            assert_whole(shared)
            assert_no_orphans(shared)
            assert_untouched(shared)
        except AssertionError as error:
            pytest.fail(f"round {number}, {calls} -> {answers}: {error}")


@pytest.mark.parametrize("number", range(60 if ROUNDS == 200 else 4))
def test_threads_of_one_process_never_lose_a_run(shared, number):
    def work(key):
        with contextlib.suppress(DropError):
            shared.apply_drop(
                0.5, label_field="ground_truth", rule="proportional", key=key, progress=False
            )

    keys = ["a", "b", "c", "a"]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, keys))
    assert_whole(shared, ["a", "b", "c"])
    assert_no_orphans(shared)
    assert_untouched(shared)
