"""Requests as the App makes them, without a browser."""

import asyncio
import importlib

import pytest

PLUGIN = "@fiftyone-drop/drop"


@pytest.fixture(scope="session")
def module_of_plugin():
    """A function that returns a module of the plugin, as FiftyOne has loaded it."""
    import fiftyone.operators as foo

    loaded = type(foo.get_operator(f"{PLUGIN}/apply_drop")).__module__

    def find(name):
        return importlib.import_module(f"{loaded.rpartition('.')[0]}.{name}")

    return find


@pytest.fixture
def models_folder(tmp_path, monkeypatch):
    """The folder of models that the server's owner has opened to users of the App."""
    folder = tmp_path / "models"
    monkeypatch.setenv("FIFTYONE_DROP_MODELS_DIR", str(folder))
    return folder


@pytest.fixture
def request_of():
    """A function that makes the request the App sends for an operator."""

    def make(samples, params, operator="apply_drop", **more):
        return {
            "operator_uri": f"{PLUGIN}/{operator}",
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
        drawn = asyncio.run(resolve_type(OperatorRegistry(), request["operator_uri"], request))
        assert not isinstance(drawn, ExecutionResult), drawn.error
        drawn.to_json()
        return drawn.type.properties

    return draw


@pytest.fixture
def run_in_app(request_of, module_of_plugin, monkeypatch):
    """A function that executes the operator as the App does; the invocations it streams."""
    from fiftyone.operators.executor import execute_or_delegate_operator
    from fiftyone.operators.server import create_response_generator

    # However long it takes on a busy machine: what is shown after that has a test of its own
    monkeypatch.setattr(module_of_plugin("following"), "SECONDS_WITHOUT_BUTTONS", 3600)

    def run(samples, params, **more):
        import json

        request = request_of(samples, params, **more)
        result = asyncio.run(execute_or_delegate_operator(request["operator_uri"], request))
        assert result.is_generator, result.error
        lines = [json.loads(line) for line in create_response_generator(result.result)]
        return [(line["body"]["operator_uri"], line["body"]["params"]) for line in lines]

    return run


@pytest.fixture
def delegated():
    """A function that queues an operator from a script and executes it as the service does."""
    import fiftyone.operators as foo
    from fiftyone.operators.delegated import DelegatedOperationService

    service = DelegatedOperationService()
    queued = []

    def run(operator, samples, *args, **arguments):
        uri = f"{PLUGIN}/{operator}"
        result = foo.get_operator(uri)(samples, *args, delegate=True, **arguments)
        assert result.delegated
        queued.append(result.result["id"])
        service.execute_queued_operations(limit=1, operator=uri)
        return service.get(result.result["id"])

    yield run
    for operation in queued:
        service.delete_operation(operation)
