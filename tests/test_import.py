"""What importing the package costs, and what it needs."""

import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import fiftyone_drop as fod


def run(code):
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_every_public_name_exists_and_the_list_is_sorted():
    assert fod.__all__ == sorted(fod.__all__)
    for name in fod.__all__:
        assert getattr(fod, name).__doc__
        assert name in dir(fod)


def test_a_name_that_does_not_exist_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'prune'"):
        _ = fod.prune


def test_allocate_needs_numpy_alone(tmp_path):
    """In an environment that holds NumPy and this package, and nothing else."""
    packages = Path(np.__file__).parents[1]
    for name in ("numpy", "numpy.libs"):
        if (packages / name).exists():  # not every build of NumPy brings libraries of its own
            (tmp_path / name).symlink_to(packages / name)
    (tmp_path / "fiftyone_drop").symlink_to(Path(fod.__file__).parent)
    code = """
import sys, importlib.util
from fiftyone_drop import allocate, suggested_epochs
assert not any(map(importlib.util.find_spec, ("fiftyone", "torch", "scipy", "pymongo", "pandas")))
print(allocate([100, 100], [0.6, 0.9], 0.5).quotas.tolist())
"""
    done = subprocess.run(
        [sys.executable, "-S", "-c", code],  # -S: without this environment's site-packages
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "[80, 20]", done.stderr


@pytest.mark.parametrize(
    ("package", "absent"),
    [
        ("allocation", ("torch", "fiftyone", "scipy")),
        ("order", ("torch", "fiftyone", "scipy")),
        ("recall", ("torch", "fiftyone")),
        ("class_table", ("torch", "fiftyone")),
        ("scoring", ("fiftyone",)),
        ("training", ("fiftyone",)),
        ("api", ("torch",)),
    ],
)
def test_a_module_does_not_load_what_it_does_not_need(package, absent):
    out = run(f"""
        import sys
        import fiftyone_drop.{package}
        print([name for name in {absent!r} if name in sys.modules])
    """)
    assert out == "[]"


def test_a_plan_with_given_recalls_never_imports_torch(dataset, recalls):
    out = run(f"""
        import sys
        import fiftyone as fo
        import fiftyone_drop as fod
        plan = fod.plan_drop(fo.load_dataset({dataset.name!r}), 0.5, recalls={recalls!r})
        print(len(plan.kept_ids), "torch" in sys.modules)
    """)
    assert out.splitlines()[-1] == "150 False"


@pytest.mark.parametrize("first", ["fiftyone", "fiftyone_drop"])
def test_datasets_get_the_method_whichever_is_imported_first(first):
    second = {"fiftyone": "fiftyone_drop", "fiftyone_drop": "fiftyone"}[first]
    out = run(f"""
        import {first}
        import {second}
        import fiftyone as fo
        print(fo.Dataset.apply_drop.__name__, fo.DatasetView.apply_drop.__name__)
    """)
    assert out == "apply_drop apply_drop"


def test_importing_the_package_does_not_import_fiftyone():
    assert run("import sys, fiftyone_drop; print('fiftyone' in sys.modules)") == "False"
