"""FiftyOne hides what goes wrong when it loads a plugin: these tests look."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
ENTRY = REPOSITORY / "plugins" / "drop" / "__init__.py"
NAME = "@fiftyone-drop/drop"


@pytest.fixture
def contexts():
    from fiftyone.plugins.context import build_plugin_contexts

    return {context.name: context for context in build_plugin_contexts()}


@pytest.fixture(scope="module")
def definition():
    return yaml.safe_load((REPOSITORY / "fiftyone.yml").read_text())


def test_the_plugin_loads_without_an_error(caplog):
    from fiftyone.plugins.context import build_plugin_contexts

    logger = logging.getLogger("fiftyone")
    logger.addHandler(caplog.handler)  # it does not propagate
    try:
        contexts = {context.name: context for context in build_plugin_contexts()}
    finally:
        logger.removeHandler(caplog.handler)
    assert contexts[NAME].errors == []
    assert [r.getMessage() for r in caplog.records if r.levelno >= logging.WARNING] == []


def test_registered_are_exactly_the_names_of_fiftyone_yml(contexts, definition):
    registered = [operator.name for operator in contexts[NAME].instances]
    assert sorted(registered) == sorted(definition["operators"] + definition.get("panels", []))


def test_the_builtin_operators_of_fiftyone_are_still_there(contexts):
    # A top-level package `plugins` of ours would make them vanish
    assert not (REPOSITORY / "plugins" / "__init__.py").exists()
    assert len(contexts["@voxel51/operators"].instances) > 50
    assert len(contexts["@voxel51/panels"].instances) >= 5


def test_the_operator_is_found_by_its_uri():
    import fiftyone.operators as foo

    operator = foo.get_operator(f"{NAME}/apply_drop")
    assert operator.config.label == "DRoP: prune to a density"
    assert operator.config.allow_immediate_execution
    assert operator.config.allow_delegated_execution
    assert not operator.config.default_choice_to_delegated


def test_the_version_is_that_of_the_package(definition):
    import fiftyone_drop

    assert definition["version"] == fiftyone_drop.__version__


def test_loading_the_plugin_imports_no_torch_and_leaves_the_front_of_the_path_alone():
    code = f"""
import sys
before = list(sys.path)
from fiftyone.plugins.context import build_plugin_contexts
(context,) = [c for c in build_plugin_contexts() if c.name == {NAME!r}]
assert context.instances and not context.errors, context.errors
assert "fiftyone_drop" in sys.modules
assert "torch" not in sys.modules
assert sys.path[: len(before)] == before
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd="/")


def test_where_the_package_is_not_installed_the_repository_comes_last_on_the_path():
    # -S: without site-packages, so without the editable installation
    code = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("entry", {str(ENTRY)!r})
spec.loader.exec_module(importlib.util.module_from_spec(spec))
assert sys.path[-1] == {str(REPOSITORY)!r} != sys.path[0]
assert importlib.util.find_spec("fiftyone_drop")
"""
    subprocess.run([sys.executable, "-I", "-S", "-c", code], check=True, cwd="/")


def test_loading_again_keeps_the_path_as_it_is(contexts):
    from fiftyone.plugins.context import build_plugin_contexts

    before = list(sys.path)
    build_plugin_contexts()
    assert sys.path == before
