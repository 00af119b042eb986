"""Make ``apply_drop`` a method of FiftyOne's datasets and views, whichever is imported first.

FiftyOne takes seconds to import and may not be installed at all, so it is not imported here:
where it is not loaded yet, the method is attached at the end of its import.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType
from typing import Any

COLLECTIONS = "fiftyone.core.collections"


def attach() -> None:
    """Attach ``apply_drop`` now or, if FiftyOne is not loaded, when it is."""
    if COLLECTIONS in sys.modules:
        _attach_to(sys.modules[COLLECTIONS])
    elif not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


def _attach_to(collections: ModuleType) -> None:
    def apply_drop(self: Any, density: float | None = None, **kwargs: Any) -> Any:
        """See :func:`fiftyone_drop.apply_drop`."""
        from fiftyone_drop.pruning import apply_drop as function

        return function(self, density, **kwargs)

    collections.SampleCollection.apply_drop = apply_drop


class _Finder(importlib.abc.MetaPathFinder):
    """Sees the import of one module of FiftyOne, and gets out of the way."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != COLLECTIONS:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: ModuleType) -> None:
                load(module)
                _attach_to(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec
