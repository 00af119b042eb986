"""What importing the package costs, and what it needs."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from fresh import run

import fiftyone_drop as fod


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


# In the order in which one process imports them: a module must not load what an earlier one avoids
ABSENT = {
    "fiftyone_drop": ("torch", "fiftyone", "scipy"),
    "fiftyone_drop.allocation": ("torch", "fiftyone", "scipy"),
    "fiftyone_drop.order": ("torch", "fiftyone", "scipy"),
    "fiftyone_drop.recall": ("torch", "fiftyone"),
    "fiftyone_drop.class_table": ("torch", "fiftyone"),
    "fiftyone_drop.scoring": ("torch", "fiftyone"),
    "fiftyone_drop.training": ("fiftyone",),
}


@pytest.fixture(scope="module")
def loaded():
    """The packages in memory after each import."""
    out = run(f"""
        import importlib, json, sys
        loaded = {{}}
        for name in {list(ABSENT)!r}:
            importlib.import_module(name)
            loaded[name] = [p for p in ("torch", "fiftyone", "scipy") if p in sys.modules]
        print(json.dumps(loaded))
    """)
    return json.loads(out)


@pytest.mark.parametrize("module", ABSENT)
def test_a_module_does_not_load_what_it_does_not_need(loaded, module):
    assert set(loaded[module]).isdisjoint(ABSENT[module])
