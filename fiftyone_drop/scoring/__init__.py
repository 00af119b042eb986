"""Difficulty scores in PyTorch and NumPy: arrays in, arrays out, no FiftyOne.

Importing this package registers every score in `SCORES`.
"""

from fiftyone_drop.scoring.accumulators import COLUMNS, Accumulator
from fiftyone_drop.scoring.baseline import random
from fiftyone_drop.scoring.dynamics import DYNAMICS, DynamicsRecorder
from fiftyone_drop.scoring.forward import forward_scores
from fiftyone_drop.scoring.geometry import class_mean_distance, k_center, k_center_order
from fiftyone_drop.scoring.gradients import GradientNorms, per_sample_gradient_norms
from fiftyone_drop.scoring.herd import herding
from fiftyone_drop.scoring.registry import SCORES, Score, Whole, get_score, register_score
from fiftyone_drop.scoring.subspaces import zcore

__all__ = [
    "COLUMNS",
    "DYNAMICS",
    "SCORES",
    "Accumulator",
    "DynamicsRecorder",
    "GradientNorms",
    "Score",
    "Whole",
    "class_mean_distance",
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
