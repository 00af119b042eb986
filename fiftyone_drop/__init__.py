"""DRoP, Distributionally Robust Data Pruning, for FiftyOne.

``import fiftyone_drop`` attaches ``apply_drop`` to FiftyOne's datasets and views. The public names
load when they are first used, so that ``from fiftyone_drop import allocate`` needs NumPy alone,
and the PyTorch parts run where FiftyOne is not installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from fiftyone_drop import _attach

if TYPE_CHECKING:
    from fiftyone_drop.allocation import Allocation, allocate, kept_size, suggested_epochs
    from fiftyone_drop.api import (
        apply_drop,
        drop_view,
        set_density,
        train_query_model,
    )
    from fiftyone_drop.class_table import ClassTable
    from fiftyone_drop.errors import DropError, DropWarning
    from fiftyone_drop.plan import DropPlan, plan_drop
    from fiftyone_drop.runs import delete_drop, list_drops, load_drop
    from fiftyone_drop.scores.compute import compute_scores
    from fiftyone_drop.scores.imports import import_scores
    from fiftyone_drop.scores.recorder import DynamicsRecorder
    from fiftyone_drop.training import QueryModel, TrainingOptions

__version__ = "0.1.0"

_HOME = {
    "Allocation": "allocation",
    "ClassTable": "class_table",
    "DropError": "errors",
    "DropPlan": "plan",
    "DropWarning": "errors",
    "DynamicsRecorder": "scores.recorder",
    "QueryModel": "training",
    "TrainingOptions": "training",
    "allocate": "allocation",
    "apply_drop": "api",
    "compute_scores": "scores.compute",
    "delete_drop": "runs",
    "drop_view": "api",
    "import_scores": "scores.imports",
    "kept_size": "allocation",
    "list_drops": "runs",
    "load_drop": "runs",
    "plan_drop": "plan",
    "set_density": "api",
    "suggested_epochs": "allocation",
    "train_query_model": "api",
}

__all__ = [
    "Allocation",
    "ClassTable",
    "DropError",
    "DropPlan",
    "DropWarning",
    "DynamicsRecorder",
    "QueryModel",
    "TrainingOptions",
    "allocate",
    "apply_drop",
    "compute_scores",
    "delete_drop",
    "drop_view",
    "import_scores",
    "kept_size",
    "list_drops",
    "load_drop",
    "plan_drop",
    "set_density",
    "suggested_epochs",
    "train_query_model",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'fiftyone_drop' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"fiftyone_drop.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(set(globals()) | set(__all__))


_attach.attach()
