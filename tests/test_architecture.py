"""The house: imports point one way, modules are small, and the map is as the code is."""

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import docs_map
import pytest

import fiftyone_drop as fod

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fiftyone_drop"
MODULES = sorted([*PACKAGE.rglob("*.py"), *(ROOT / "plugins" / "drop").rglob("*.py")])
MOST_LINES = 300


def name_of(path):
    return str(path.relative_to(ROOT))


def test_imports_point_one_way():
    """All of them: at the top, in functions, and for types."""
    command = [Path(sys.executable).parent / "lint-imports", "--no-logo", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_module_has_its_place_in_the_order():
    names = {path.stem for path in PACKAGE.glob("*.py")} - {"__init__"}
    names |= {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert sorted(docs_map.layers()) == sorted(names)


def test_the_map_of_the_code_is_as_the_code_is():
    assert docs_map.PAGE.read_text() == docs_map.page(), "run `make docs`"


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_long_module_says_why_it_is_long(path):
    text = path.read_text()
    if len(text.splitlines()) > MOST_LINES:
        assert "longer than" in ast.get_docstring(ast.parse(text))


def test_the_public_names_are_what_dir_shows():
    assert dir(fod) == fod.__all__ == sorted(fod.__all__)
    assert not [name for name in fod.__all__ if name.startswith("_")]


def test_the_docstring_of_the_package_names_every_function():
    functions = [name for name in fod.__all__ if inspect.isfunction(getattr(fod, name))]
    assert [name for name in functions if f"``{name}``" not in fod.__doc__] == []


def test_no_module_is_named_like_a_public_name():
    assert not {path.stem for path in PACKAGE.glob("*")} & set(fod.__all__)


NUMBERS = {"bool", "int", "float", "Integral", "Real", "Number", "integer", "floating", "number"}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_numbers_of_users_are_checked_at_the_door_alone(path):
    """No ``isinstance(value, int)`` and the like outside ``checks.py`` and ``array_checks.py``."""
    if path in (PACKAGE / "checks.py", PACKAGE / "array_checks.py"):
        return
    tree = ast.parse(path.read_text())
    found = [
        node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and getattr(node.func, "id", None) in ("isinstance", "issubclass")
        and NUMBERS & {getattr(n, "id", getattr(n, "attr", "")) for n in ast.walk(node.args[1])}
    ]
    # There, class names of any type are put into an order
    assert len(found) <= (path.name == "allocation.py"), found


TESTS = ROOT / "tests"


def defines(path):
    """Whether a module has a function or a class, which can be tested."""
    body = ast.parse(path.read_text()).body
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)


@pytest.mark.parametrize(
    "path", [p for p in sorted(PACKAGE.glob("*.py")) if defines(p)], ids=name_of
)
def test_a_module_is_tested_in_the_file_of_its_name(path):
    name = "import" if path.stem == "__init__" else path.stem.lstrip("_")
    assert (TESTS / f"test_{name}.py").is_file()


@pytest.mark.parametrize("path", sorted(PACKAGE.glob("*/__init__.py")), ids=name_of)
def test_a_package_is_tested_in_the_folder_of_its_name(path):
    name = path.parent.name
    assert list((TESTS / name).glob("test_*.py"))


def test_two_helpers_of_tests_never_share_a_name():
    """They are imported by their name alone."""
    helpers = [p for p in TESTS.rglob("*.py") if not p.name.startswith(("test_", "conftest", "__"))]
    names = [path.stem for path in helpers]
    assert len(names) == len(set(names))
