"""Requests as the App makes them, without a browser."""

import asyncio

import pytest

URI = "@fiftyone-drop/drop/apply_drop"


@pytest.fixture
def request_of():
    """A function that makes the request the App sends for an operator."""

    def make(samples, params, **more):
        return {
            "operator_uri": URI,
            "dataset_name": samples._root_dataset.name,
            "view": samples.view()._serialize(),
            "filters": {},
            "extended": {},
            "selected": [],
            "params": params,
            "prompt_id": None,
            **more,
        }

    return make


@pytest.fixture
def form(request_of):
    """A function that draws the form, as at each keystroke; name -> property."""
    from fiftyone.operators.executor import ExecutionResult, resolve_type
    from fiftyone.operators.registry import OperatorRegistry

    def draw(samples, params=None, **more):
        request = request_of(samples, dict(params or {}), target="inputs", **more)
        drawn = asyncio.run(resolve_type(OperatorRegistry(), URI, request))
        assert not isinstance(drawn, ExecutionResult), drawn.error
        drawn.to_json()
        return drawn.type.properties

    return draw


@pytest.fixture
def run_in_app(request_of):
    """A function that executes the operator as the App does; the invocations it streams."""
    from fiftyone.operators.executor import execute_or_delegate_operator
    from fiftyone.operators.server import create_response_generator

    def run(samples, params, **more):
        import json

        request = request_of(samples, params, **more)
        result = asyncio.run(execute_or_delegate_operator(URI, request))
        assert result.is_generator, result.error
        lines = [json.loads(line) for line in create_response_generator(result.result)]
        return [(line["body"]["operator_uri"], line["body"]["params"]) for line in lines]

    return run
