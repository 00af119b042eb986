"""Difficulty scores in PyTorch and NumPy: arrays in, arrays out, no FiftyOne.

Importing this package registers every score in ``SCORES``. PyTorch is loaded when a score is
computed, so that the App can draw a form of the registry at once.

- ``registry.py`` knows all scores, and registers a user's own; ``switches.py`` parses their
  conventions.
- ``forward.py`` holds the scores of one forward pass, ``grand/`` that of per-sample gradients.
- ``geometry.py``, ``herd.py`` and ``subspaces.py`` hold the scores of embeddings.
- ``dynamics.py`` records a training; ``accumulators.py`` and ``epochs.py`` hold its scores.
- ``baseline.py`` holds the random score.
"""

from fiftyone_drop.scoring.accumulators import COLUMNS, Accumulator
from fiftyone_drop.scoring.baseline import random
from fiftyone_drop.scoring.dynamics import DYNAMICS, DynamicsRecorder
from fiftyone_drop.scoring.forward import forward_scores
from fiftyone_drop.scoring.geometry import class_mean_distance, k_center, k_center_order
from fiftyone_drop.scoring.grand import per_sample_gradient_norms
from fiftyone_drop.scoring.herd import herding
from fiftyone_drop.scoring.registry import SCORES, Score, deal_switches, get_score, register_score
from fiftyone_drop.scoring.subspaces import zcore
from fiftyone_drop.scoring.switches import Whole

__all__ = [
    "COLUMNS",
    "DYNAMICS",
    "SCORES",
    "Accumulator",
    "DynamicsRecorder",
    "Score",
    "Whole",
    "class_mean_distance",
    "deal_switches",
    "forward_scores",
    "get_score",
    "herding",
    "k_center",
    "k_center_order",
    "per_sample_gradient_norms",
    "random",
    "register_score",
    "zcore",
]
