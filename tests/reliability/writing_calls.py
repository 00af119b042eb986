"""Every public call that writes, as the fault and session suites make it on their dataset.

All of them work on one dataset (:mod:`shared_dataset`), each on names of its own, so that every
test can make any of them, one after another or at once. The tests iterate over ``CALLS``; a public
name that is neither here nor in ``READS`` fails a test.
"""

import dataclasses
import re
import tempfile
import warnings
from collections.abc import Callable

import numpy as np
import torch
from digit_models import CLASSES, TRANSFORM, network

import fiftyone_drop as fod
from fiftyone_drop.waiting import while_away

RECALLS = dict(zip(CLASSES, np.linspace(0.5, 0.95, 10).tolist(), strict=True))
LABELS = {"label_field": "ground_truth"}

READS = {
    *("Allocation", "ClassOffsets", "ClassTable", "Cluster", "DropComparison", "DropConfig"),
    *("DropError", "DropReport", "DropResults", "DropVerification", "DropWarning", "QueryModel"),
    *("ScoreHistogram", "TrainingOptions", "Whole"),
    *("ArrayPlan", "TargetView", "plan_arrays", "plan_parquet"),
    *("allocate", "class_offsets", "compare_drops", "drop_view", "kept_counts", "kept_size"),
    *("list_drops", "load_drop", "plan_drop", "register_rule", "register_score", "report"),
    *("save_manifest", "score_histogram", "suggested_epochs", "verify_drop"),
}


@dataclasses.dataclass(frozen=True)
class Call:
    """A public call that writes.

    Attributes:
        public: its name in the package
        touches: what it may change: names of fields, runs, evaluations and saved views, and those
            that go on with ``_`` or ``-``
        make: makes it, with a dataset and ``progress=``
        use: uses what it makes, as somebody would; raises where that is refused
    """

    public: str
    touches: str
    make: Callable
    use: Callable = lambda dataset: None

    def __call__(self, dataset, progress=False):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.make(dataset, progress)

    def owns(self, name):
        """Whether a name is one that the call may touch."""
        return re.match(rf"{re.escape(self.touches)}([_-]|$)", name) is not None


CALLS: dict[str, Call] = {}


def writes(name, public, touches, **about):
    """Register a call under the words of the table in docs/reliability.md."""

    def register(make):
        CALLS[name] = Call(public, touches, make, **about)
        return make

    return register


# -- runs -----------------------------------------------------------------------------------------


@writes("apply_drop", "apply_drop", "new")
def _(dataset, progress):
    fod.apply_drop(dataset, 0.5, recalls=RECALLS, key="new", progress=progress, **LABELS)


@writes("apply_drop, eval_key", "apply_drop", "evaluated")
def _(dataset, progress):
    how = {"eval_key": "theirs", "missing_recall": 0.5}
    fod.apply_drop(dataset, 0.5, key="evaluated", progress=progress, **how, **LABELS)


@writes("apply_drop, query models", "apply_drop", "trained")
def _(dataset, progress):
    fod.apply_drop(dataset, 0.5, holdout=0.5, key="trained", progress=progress, **LABELS)


@writes("apply_drop, overwrite", "apply_drop", "plain")
def _(dataset, progress):
    how = {"recalls": RECALLS, "overwrite": True}
    fod.apply_drop(dataset, 0.3, key="plain", progress=progress, **how, **LABELS)


@writes("apply_drop, overwrite, in a clone", "apply_drop", "cloned")
def _(dataset, progress):
    how = {"recalls": RECALLS, "overwrite": True}
    fod.apply_drop(dataset, 0.3, key="cloned", progress=progress, **how, **LABELS)


@writes("apply_drop, over fields of a cloned view", "apply_drop", "left")
def _(dataset, progress):
    fod.apply_drop(dataset, 0.3, recalls=RECALLS, key="left", progress=progress, **LABELS)


@writes("apply_drop, overwrite, query models", "apply_drop", "predicted")
def _(dataset, progress):
    how = {"holdout": 0.5, "overwrite": True}
    fod.apply_drop(dataset, 0.3, key="predicted", progress=progress, **how, **LABELS)


@writes("DropPlan.apply", "DropPlan", "planned")
def _(dataset, progress):
    plan = fod.plan_drop(dataset[:30], 0.5, recalls=RECALLS, **LABELS)
    plan.apply("planned", progress=progress)


@writes("load_manifest", "load_manifest", "carried")
def _(dataset, progress):
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/other.parquet"
        # As if it had been saved before: a call that reads waits for no database
        while_away(lambda: fod.save_manifest(dataset, "other", path), "nothing")
        fod.load_manifest(dataset, path, key="carried", progress=progress)


@writes("extend_drop", "extend_drop", "grown")
def _(dataset, progress):
    fod.extend_drop(dataset, "grown", dataset, progress=progress)


@writes("set_density", "set_density", "plain")
def _(dataset, progress):
    fod.set_density(dataset, "plain", 0.25)


@writes("set_density, no quotas", "set_density", "flat")
def _(dataset, progress):
    fod.set_density(dataset, "flat", 0.25)


@writes("delete_drop", "delete_drop", "predicted")
def _(dataset, progress):
    fod.delete_drop(dataset, "predicted")


# -- scores and query models ----------------------------------------------------------------------


def select(field):
    """Select by a score field, which refuses one that is not whole."""
    how = {"rule": "proportional", "select": field}
    return lambda dataset: fod.plan_drop(dataset, 0.5, **how, **LABELS)


def evaluate(eval_key):
    """Take recalls from an evaluation."""
    how = {"eval_key": eval_key, "missing_recall": 0.5}
    return lambda dataset: fod.plan_drop(dataset, 0.5, **how, **LABELS)


def model_of(seed):
    """A classifier of digits with what compute_scores must know."""
    torch.manual_seed(seed)
    return {"model": network(seed), "transform": TRANSFORM, "classes": CLASSES}


def scores_of(dataset, seed):
    ids = dataset.values("id")  # after a crash a server may count wrongly, and so len(dataset)
    values = np.random.default_rng(seed).random(len(ids))
    return {"mine": dict(zip(ids, values.tolist(), strict=True))}


@writes("compute_scores", "compute_scores", "fresh", use=select("fresh_el2n"))
def _(dataset, progress):
    how = {"prefix": "fresh_", "progress": progress} | model_of(1)
    fod.compute_scores(dataset, scores=("el2n", "entropy"), **how, **LABELS)


@writes(
    "compute_scores, another model",
    "compute_scores",
    "old",
    use=select("old_el2n"),
)
def _(dataset, progress):
    how = {"prefix": "old_", "overwrite": True, "progress": progress} | model_of(1)
    fod.compute_scores(dataset, scores=("el2n", "entropy"), **how, **LABELS)


@writes("import_scores", "import_scores", "imported", use=select("imported_mine"))
def _(dataset, progress):
    scores = scores_of(dataset, 1)
    fod.import_scores(dataset, scores, hard="high", prefix="imported_", progress=progress)


@writes("import_scores, from a table", "import_scores", "tabled", use=select("tabled_mine"))
def _(dataset, progress):
    scores = scores_of(dataset, 2)["mine"]
    how = {"name": "mine", "hard": "high", "prefix": "tabled_", "progress": progress}
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/scores.csv"
        with open(path, "w") as file:
            file.writelines(["id,score\n", *(f"{i},{value!r}\n" for i, value in scores.items())])
        fod.import_scores(dataset, path, **how)


@writes(
    "import_scores, other values",
    "import_scores",
    "kept",
    use=select("kept_mine"),
)
def _(dataset, progress):
    how = {"hard": "high", "prefix": "kept_", "overwrite": True, "progress": progress}
    fod.import_scores(dataset, scores_of(dataset, 1), **how)


@writes(
    "import_scores, other values of one model",
    "import_scores",
    "corrected",
    use=select("corrected_mine"),
)
def _(dataset, progress):
    how = {"hard": "high", "prefix": "corrected_", "model": "run 7", "progress": progress}
    fod.import_scores(dataset, scores_of(dataset, 1), **how)


@writes("DynamicsRecorder.finish", "DynamicsRecorder", "recorded", use=select("recorded_aum"))
def _(dataset, progress):
    recorder = fod.DynamicsRecorder(dataset, scores=["aum"], prefix="recorded_", **LABELS)
    n = len(dataset.values("id"))  # as in scores_of
    logits = torch.from_numpy(np.random.default_rng(1).normal(size=(n, 10)))
    recorder.update(range(n), logits[:, : len(recorder.classes)])
    recorder.end_epoch()
    recorder.finish(progress)


@writes(
    "train_query_model",
    "train_query_model",
    "query",
    use=evaluate("query_eval"),
)
def _(dataset, progress):
    fod.train_query_model(dataset, holdout=0.5, epochs=1, key="query", progress=progress, **LABELS)


@writes(
    "train_query_model, overwrite",
    "train_query_model",
    "asked",
    use=evaluate("asked_eval"),
)
def _(dataset, progress):
    how = {"key": "asked", "epochs": 1, "seed": 1, "overwrite": True, "progress": progress}
    fod.train_query_model(dataset, holdout=0.5, **how, **LABELS)
