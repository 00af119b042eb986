# The public names, and nowhere else a list of them: type checkers read this file, and so does
# __init__.py, which loads a name when it is first used.
from fiftyone_drop._version import __version__ as __version__
from fiftyone_drop.allocation import Allocation as Allocation
from fiftyone_drop.allocation import allocate as allocate
from fiftyone_drop.class_table import ClassTable as ClassTable
from fiftyone_drop.comparison import DropComparison as DropComparison
from fiftyone_drop.comparison import compare_drops as compare_drops
from fiftyone_drop.counts import ScoreHistogram as ScoreHistogram
from fiftyone_drop.counts import kept_counts as kept_counts
from fiftyone_drop.counts import score_histogram as score_histogram
from fiftyone_drop.density import kept_size as kept_size
from fiftyone_drop.density import suggested_epochs as suggested_epochs
from fiftyone_drop.errors import DropError as DropError
from fiftyone_drop.errors import DropWarning as DropWarning
from fiftyone_drop.extension import extend_drop as extend_drop
from fiftyone_drop.fairness import DropReport as DropReport
from fiftyone_drop.fairness import report as report
from fiftyone_drop.logit_offsets import ClassOffsets as ClassOffsets
from fiftyone_drop.logit_offsets import class_offsets as class_offsets
from fiftyone_drop.manifest import load_manifest as load_manifest
from fiftyone_drop.manifest import save_manifest as save_manifest
from fiftyone_drop.plan import DropPlan as DropPlan
from fiftyone_drop.pruning import apply_drop as apply_drop
from fiftyone_drop.pruning import plan_drop as plan_drop
from fiftyone_drop.query_models import train_query_model as train_query_model
from fiftyone_drop.rules import register_rule as register_rule
from fiftyone_drop.run_changes import delete_drop as delete_drop
from fiftyone_drop.run_changes import set_density as set_density
from fiftyone_drop.run_lookup import list_drops as list_drops
from fiftyone_drop.run_lookup import load_drop as load_drop
from fiftyone_drop.runs import DropConfig as DropConfig
from fiftyone_drop.runs import DropResults as DropResults
from fiftyone_drop.score_fields.compute import compute_scores as compute_scores
from fiftyone_drop.score_fields.imports import import_scores as import_scores
from fiftyone_drop.score_fields.recorder import DynamicsRecorder as DynamicsRecorder
from fiftyone_drop.scoring.registry import register_score as register_score
from fiftyone_drop.scoring.switches import Whole as Whole
from fiftyone_drop.target_view import TargetView as TargetView
from fiftyone_drop.training.options import TrainingOptions as TrainingOptions
from fiftyone_drop.training.query_model import QueryModel as QueryModel
from fiftyone_drop.verification import DropVerification as DropVerification
from fiftyone_drop.verification import verify_drop as verify_drop
from fiftyone_drop.views import drop_view as drop_view

__all__: list[str]
