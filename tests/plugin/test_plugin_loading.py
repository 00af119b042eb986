"""FiftyOne hides what goes wrong when it loads a plugin: these tests look."""

import ast
import logging
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

REPOSITORY = Path(__file__).resolve().parents[2]
PLUGIN = REPOSITORY / "plugins" / "drop"
ENTRY = PLUGIN / "__init__.py"
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


def test_the_bundle_of_the_panel_is_committed_where_fiftyone_yml_says(definition):
    bundle = REPOSITORY / definition["js_bundle"]
    assert "registerComponent" in bundle.read_text()


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


def test_loading_the_plugin_attaches_apply_drop_and_imports_no_torch_and_leaves_the_path_alone():
    code = f"""
import sys
before = list(sys.path)
import fiftyone as fo
assert "fiftyone_drop" not in sys.modules
from fiftyone.plugins.context import build_plugin_contexts
(context,) = [c for c in build_plugin_contexts() if c.name == {NAME!r}]
assert context.instances and not context.errors, context.errors
assert fo.Dataset.apply_drop and fo.DatasetView.apply_drop
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


# -- public names ---------------------------------------------------------------------------------

SOURCES = sorted(PLUGIN.rglob("*.py"))
MAY_IMPORT = {
    ("import", "fiftyone_drop", "fod"),
    ("from", "fiftyone_drop", "precheck"),
    ("from", "fiftyone_drop", "checks"),
    ("from", "fiftyone_drop", "exporting"),
    ("from", "fiftyone_drop.python_call", "python_call"),
}


def of_the_package(tree):
    """What a module imports of the package, also inside functions and under TYPE_CHECKING."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "fiftyone_drop":
                    yield "import", alias.name, alias.asname
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fiftyone_drop"):
            for alias in node.names:
                yield "from", node.module, alias.asname or alias.name


def attributes(tree, name):
    """The names that a module takes from ``name``, as in ``fod.apply_drop``."""
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and node.value.id == name
    }


@pytest.mark.parametrize("path", SOURCES, ids=[str(p.relative_to(PLUGIN)) for p in SOURCES])
def test_the_plugin_stands_on_public_names_and_a_few_modules_alone(path):
    import fiftyone_drop
    from fiftyone_drop import precheck

    tree = ast.parse(path.read_text())
    assert set(of_the_package(tree)) <= MAY_IMPORT
    assert attributes(tree, "fod") <= set(fiftyone_drop.__all__)
    assert attributes(tree, "precheck") <= set(precheck.__all__)


def test_everything_in_precheck_has_a_user():
    from fiftyone_drop import precheck

    trees = [ast.parse(path.read_text()) for path in SOURCES]
    assert set(precheck.__all__) == set().union(*(attributes(t, "precheck") for t in trees))
