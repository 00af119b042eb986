"""Two operators in one App server at once: no run is lost, and the loser reads why."""

import asyncio
import json

import numpy as np
import pytest
from cells import LONG, ROUNDS, cell
from fiftyone.operators.executor import execute_or_delegate_operator
from fiftyone.operators.server import create_response_generator
from reading import texts
from rounds import is_clear, problems_after_round, random_call
from shared_dataset import state_of, take_snapshot


@pytest.fixture(autouse=True)
def at_once(module_of_plugin, monkeypatch):
    """No page has to fetch the dataset again."""
    monkeypatch.setattr(module_of_plugin("operators"), "SECONDS_TO_RELOAD", 0)


def operator_call(rng):
    """A random call that an operator makes."""
    while (call := random_call(rng))[0] == "import_scores":
        pass
    function, options = call
    params = {name: value for name, value in options.items() if name != "progress"}
    return function, params | ({"more": True} if function == "apply_drop" else {})


def test_operators_that_run_at_once_never_lose_a_run(make_dataset, request_of):
    dataset = make_dataset(40)
    dataset.set_values("mine", list(range(40)))
    dataset.save_view("my-view", dataset.limit(7))
    snapshot = take_snapshot(dataset)
    before, rng = state_of(snapshot), np.random.default_rng(2)

    async def execute(function, params):
        """As the server does: the request in its loop, the operator's answer in a thread."""
        request = request_of(dataset, params, operator=function)
        result = await execute_or_delegate_operator(request["operator_uri"], request)
        assert result.is_generator, result.error
        lines = await asyncio.to_thread(list, create_response_generator(result.result))
        return [json.loads(line)["body"] for line in lines]

    async def both(calls):
        return await asyncio.gather(*(execute(*call) for call in calls))

    with cell(ROUNDS[2], "at once", seed=2) as counted:
        for number in range(20 if LONG else 3):
            calls = [operator_call(rng) for _ in range(2)]
            problems = []
            for call, lines in zip(calls, asyncio.run(both(calls)), strict=True):
                shown = [x["params"] for x in lines if x["operator_uri"] == "show_output"]
                words = texts(shown[-1]["outputs"]) if shown else "no output"
                failed = "Nothing was" in words or "was not changed" in words or not shown
                if failed and not is_clear(words):
                    problems.append(f"{call} -> {words}")
            problems += problems_after_round(snapshot, dataset, before, calls)
            counted.add(problems, f"round {number}, {calls}")
