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
        set_density,
        train_query_model,
    )
    from fiftyone_drop.class_table import ClassTable
    from fiftyone_drop.comparison import DropComparison, compare_drops
    from fiftyone_drop.counts import ScoreHistogram, kept_counts, score_histogram
    from fiftyone_drop.errors import DropError, DropWarning
    from fiftyone_drop.fairness import DropReport, report
    from fiftyone_drop.plan import DropPlan, plan_drop
    from fiftyone_drop.runs import delete_drop, list_drops, load_drop
    from fiftyone_drop.scores.compute import compute_scores
    from fiftyone_drop.scores.imports import import_scores
    from fiftyone_drop.scores.recorder import DynamicsRecorder
    from fiftyone_drop.training import QueryModel, TrainingOptions
    from fiftyone_drop.views import drop_view

__version__ = "0.1.0"

_HOME = {
    "Allocation": "allocation",
    "ClassTable": "class_table",
    "DropComparison": "comparison",
    "DropError": "errors",
    "DropPlan": "plan",
    "DropReport": "fairness",
    "DropWarning": "errors",
    "DynamicsRecorder": "scores.recorder",
    "QueryModel": "training",
    "ScoreHistogram": "counts",
    "TrainingOptions": "training",
    "allocate": "allocation",
    "apply_drop": "api",
    "compare_drops": "comparison",
    "compute_scores": "scores.compute",
    "delete_drop": "runs",
    "drop_view": "views",
    "import_scores": "scores.imports",
    "kept_counts": "counts",
    "kept_size": "allocation",
    "list_drops": "runs",
    "load_drop": "runs",
    "plan_drop": "plan",
    "report": "fairness",
    "score_histogram": "counts",
    "set_density": "api",
    "suggested_epochs": "allocation",
    "train_query_model": "api",
}

__all__ = [
    "Allocation",
    "ClassTable",
    "DropComparison",
    "DropError",
    "DropPlan",
    "DropReport",
    "DropWarning",
    "DynamicsRecorder",
    "QueryModel",
    "ScoreHistogram",
    "TrainingOptions",
    "allocate",
    "apply_drop",
    "compare_drops",
    "compute_scores",
    "delete_drop",
    "drop_view",
    "import_scores",
    "kept_counts",
    "kept_size",
    "list_drops",
    "load_drop",
    "plan_drop",
    "report",
    "score_histogram",
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
