"""DRoP, Distributionally Robust Data Pruning, for FiftyOne.

``import fiftyone_drop`` attaches ``apply_drop`` to FiftyOne's datasets and views. The public names
stand in ``__init__.pyi`` and load when they are first used, so that
``from fiftyone_drop import allocate`` needs NumPy alone, and the PyTorch parts run where FiftyOne
is not installed. Everything else is internal.
"""

import ast as _ast
import importlib as _importlib
from pathlib import Path as _Path

from fiftyone_drop import _attach
from fiftyone_drop._version import __version__ as __version__

_HOME = {
    alias.name: statement.module
    for statement in _ast.parse(_Path(__file__).with_suffix(".pyi").read_text()).body
    if isinstance(statement, _ast.ImportFrom)
    for alias in statement.names
    if not alias.name.startswith("_")
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> object:
    if name not in _HOME:
        raise AttributeError(f"module 'fiftyone_drop' has no attribute {name!r}")
    value = getattr(_importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__


_attach.attach()
