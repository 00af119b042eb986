"""Names of a package that load when they are first used."""

import sys
import types

import pytest

from fiftyone_drop._lazy import loader


@pytest.fixture
def package(monkeypatch):
    """An empty package, whose name ``sqrt`` is that of ``math``, and ``gone`` of no module."""
    made = types.ModuleType("lazy_package")
    made.__getattr__ = loader("lazy_package", {"sqrt": "math", "gone": "no_such_module"})
    monkeypatch.setitem(sys.modules, "lazy_package", made)
    return made


def test_a_name_loads_when_it_is_used_and_stays(package):
    import math

    assert "sqrt" not in vars(package)
    assert package.sqrt is math.sqrt
    assert vars(package)["sqrt"] is math.sqrt


def test_another_name_is_an_attribute_error(package):
    with pytest.raises(AttributeError, match="module 'lazy_package' has no attribute 'root'"):
        _ = package.root


def test_a_module_that_is_missing_is_said(package):
    with pytest.raises(ModuleNotFoundError, match="no_such_module"):
        _ = package.gone
