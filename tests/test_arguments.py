"""Every numeric and text argument of every public function: converted or refused, at the door.

The arguments follow from the signatures, so that a new one is tested without a word here.
"""

import functools
import inspect
import math
import re
import uuid
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from temporary import deleting_datasets

import fiftyone_drop as fod
from fiftyone_drop import DropError

# Classes that the package makes, and users only read; and what takes no number and no text
NOT_CALLED = {
    *("Allocation", "ClassOffsets", "ClassTable", "DropComparison", "DropConfig", "DropError"),
    *("DropPlan", "DropReport", "DropResults", "DropVerification", "DropWarning", "QueryModel"),
    *("ArrayPlan", "ScoreHistogram", "TargetView"),
}
# Not read at the door: handed to FiftyOne, or words for people
FREE = {"progress", "transform", "model", "device"}

TEXTS = [3, b"drop", "", "a\0b", "\ud800", ["drop"], None, object(), np.array(["drop"]), 1.5, True]
FLAGS = [1, 0, "yes", None, [], np.array([True, False]), np.int64(1), 1.0]
WHOLES = [
    *(True, 2.5, "3", None, math.nan, math.inf, [3], np.array([3]), 2**70, -(2**70), b"3", 1j),
    *(object(), Decimal(3), np.float64(2.0), np.bool_(True), "", np.datetime64("2026-01-01")),
]
NUMBERS = [
    *("0.5", None, True, math.nan, math.inf, -math.inf, [0.5], np.array([0.5]), 10**400, b"1"),
    *(1j, object(), np.float64("nan"), np.bool_(True), "", -(10**400), np.array("0.5")),
]
ODD = {"whole": WHOLES, "number": NUMBERS, "flag": FLAGS, "text": TEXTS}


def same_values(kind, value):
    """The same value in other types, all of which must be accepted."""
    if kind == "whole":
        return [int(value), np.int64(value), np.uint16(value), np.array(value), torch.tensor(value)]
    if kind == "number":
        return [float(value), np.float64(value), np.array(value), Fraction(value)]
    if kind == "flag":
        return [bool(value), np.bool_(value), np.array(value)]
    return [str(value), np.str_(value), np.array(value)]


def kind_of(parameter):
    """What an annotation asks for: a whole number, a number, a flag or a text; None for else."""
    words = set(re.findall(r"[\w.]+", str(parameter.annotation)))
    if words - {"None", "int", "float", "bool", "str", "Smoothing", "Literal", "shrinkage"}:
        return None
    for word, kind in (("bool", "flag"), ("str", "text"), ("float", "number"), ("int", "whole")):
        if word in words or (word == "float" and "Smoothing" in words):
            return kind
    return None


def arguments_of(function):
    """Name -> kind of what the door must check."""
    parameters = inspect.signature(function).parameters.values()
    kinds = {p.name: kind_of(p) for p in parameters if p.kind is not p.VAR_KEYWORD}
    return {n: kind for n, kind in kinds.items() if kind is not None and n not in FREE}


@pytest.fixture(scope="module")
def small(digits, shared_recalls):
    """60 digits with a run, a score, predictions with an evaluation, and logits."""
    with deleting_datasets() as made:
        made.append(small_dataset(digits, shared_recalls))
        yield made[0]


@pytest.fixture(scope="module")
def shared_recalls(digits):
    """A recall for each class of digit, all different."""
    names = sorted(set(digits[1]))
    return dict(zip(names, np.linspace(0.5, 0.95, len(names)).tolist(), strict=True))


def small_dataset(digits, recalls):
    import fiftyone as fo

    paths, labels = digits
    dataset = fo.Dataset(f"test-{uuid.uuid4().hex}")
    dataset.add_samples(
        [
            fo.Sample(
                filepath=str(paths[i]),
                ground_truth=fo.Classification(label=labels[i]),
                name=labels[i],
                parity="even" if i % 2 == 0 else "odd",
            )
            for i in range(60)
        ],
        progress=False,
    )
    dataset.set_values("difficulty", np.linspace(0, 1, 60).tolist())
    field = dataset.get_field("difficulty")
    field.info = {"hard": "high"}
    field.save()
    names = sorted(recalls)
    rng = np.random.default_rng(0)
    dataset.set_values(
        "predictions",
        [fo.Classification(label=n, logits=rng.normal(size=10)) for n in dataset.values("name")],
    )
    dataset.classes = {"predictions": names}
    dataset.save()
    dataset.evaluate_classifications("predictions", "ground_truth", eval_key="ev", progress=False)
    dataset.apply_drop(0.5, recalls=recalls, label_field="ground_truth", progress=False)
    dataset.apply_drop(
        0.4, rule="proportional", label_field="ground_truth", key="other", progress=False
    )
    apply_to_a_part(dataset)
    return dataset


@functools.wraps(fod.extend_drop)
def extend_anew(dataset, key, new_samples, **arguments):
    """Extend a run that lacks a third of the samples, whether or not it was extended before."""
    if fod.load_drop(dataset, "part").table.size == len(dataset):
        apply_to_a_part(dataset)
    return fod.extend_drop(dataset, key, new_samples, **arguments)


def apply_to_a_part(dataset):
    """A run of 40 samples."""
    dataset[:40].apply_drop(
        0.5, rule="proportional", label_field="ground_truth", key="part", overwrite=True
    )


@pytest.fixture(scope="module")
def manifest(small, tmp_path_factory):
    """A file with a run."""
    return fod.save_manifest(small, "drop", tmp_path_factory.mktemp("manifest") / "drop.parquet")


@pytest.fixture(scope="module")
def parquet(tmp_path_factory):
    """A file of samples."""
    path = tmp_path_factory.mktemp("parquet") / "all.parquet"
    pq.write_table(pa.table({"id": ["1", "2", "3", "4"], "label": ["a", "b", "a", "b"]}), path)
    return path


@pytest.fixture
def calls(small, shared_recalls, manifest, parquet):
    """Public name -> a function of keyword arguments, and arguments that are fine."""
    where = {"samples": small, "label_field": "ground_truth"}
    run = {"dataset": small, "key": "drop"}
    prune = where | {"density": 0.5, "recalls": shared_recalls}
    numbers = dict.fromkeys(small.values("id"), 0.5)
    rule = {"description": "a test's", "source": "a test"}
    balanced = {"rule": "balanced", "size": None}
    arrays = {"ids": small.values("id"), "labels": small.values("parity")} | balanced
    return {
        "allocate": (fod.allocate, {"class_sizes": [9, 9], "recalls": [0.5, 0.9], "density": 0.5}),
        "apply_drop": (fod.apply_drop, prune | {"key": "new"}),
        "class_offsets": (fod.class_offsets, run | {"eval_key": "ev"}),
        "compare_drops": (fod.compare_drops, run | {"other": "other"}),
        "compute_scores": (fod.compute_scores, where | {"model": "predictions"}),
        "delete_drop": (fod.delete_drop, run),
        "drop_view": (fod.drop_view, run),
        "extend_drop": (extend_anew, {"dataset": small, "key": "part", "new_samples": small}),
        "DynamicsRecorder": (fod.DynamicsRecorder, where),
        "import_scores": (fod.import_scores, {"samples": small, "scores": numbers, "name": "aum"}),
        "kept_counts": (fod.kept_counts, run | {"densities": [0.5]}),
        "kept_size": (fod.kept_size, {"n": 10, "density": 0.5}),
        "list_drops": (fod.list_drops, {"dataset": small}),
        "load_drop": (fod.load_drop, run),
        "load_manifest": (
            fod.load_manifest,
            {"dataset": small, "path": manifest, "key": "loaded"},
        ),
        "Cluster": (fod.Cluster, {}),
        "plan_arrays": (fod.plan_arrays, arrays | {"density": 0.5}),
        "plan_drop": (fod.plan_drop, prune),
        "plan_parquet": (fod.plan_parquet, {"path": parquet, "density": 0.5} | balanced),
        "register_rule": (fod.register_rule, {"name": "mine"} | rule),
        "register_score": (
            fod.register_score,
            {"name": "mine", "hard": "high", "needs": "logits"} | rule,
        ),
        "report": (fod.report, run),
        "save_manifest": (fod.save_manifest, run | {"path": manifest}),
        "score_histogram": (fod.score_histogram, run | {"score": "difficulty"}),
        "set_density": (fod.set_density, run | {"density": 0.5}),
        "suggested_epochs": (fod.suggested_epochs, {"epochs": 10, "density": 0.5}),
        "train_query_model": (fod.train_query_model, where | {"epochs": 1, "key": "query"}),
        "TrainingOptions": (fod.TrainingOptions, {}),
        "verify_drop": (fod.verify_drop, run),
        "Whole": (fod.Whole, {"default": 3, "minimum": 1}),
    }


# Values that a call of the table takes, where neither the call nor the default has one
GOOD = {
    "eval_key": "ev",
    "pred_field": None,  # goes with validation= only
    "group_by": "parity",
    "query": None,  # goes without another source of recalls only
    "embeddings": None,  # like query
    "brain_key": None,
    "folds": 3,
    "holdout": 0.25,
    "cpus": 1,
    "gpus": 1,
    "chunk": 64,
    "score_column": None,
    "missing_recall": 0.5,
    "smoothing": 0.5,
    "select": "difficulty",
    "density": 0.5,
    "size": None,  # one of three, and density is given
    "max_bytes": None,
    "score": "difficulty",
    "class_name": None,
    "batch_size": 4,
    "workers": 1,
    "epochs": 1,
    "image_size": 8,
    "learning_rate": 0.1,
    "match": "id",
    "name": "aum",
    "hard": "low",
    "kept_first": "low",
    "sample_column": None,  # goes with a table only
    "checkpoint_dir": None,
    "checkpoint": None,
}


def good_value(function, given, name):
    """A value that the call accepts, or None where it has no use for one."""
    if name in given:
        return given[name]
    if name == "overwrite":
        return True
    default = inspect.signature(function).parameters[name].default
    if default is None or default is inspect.Parameter.empty:
        return GOOD[name]
    return GOOD["smoothing"] if name == "smoothing" else default


PUBLIC = [name for name in fod.__all__ if name not in NOT_CALLED]


def test_every_public_function_is_called(calls):
    assert sorted(calls) == sorted(PUBLIC, key=str)
    for name in NOT_CALLED:
        assert inspect.isclass(getattr(fod, name))


def contents(dataset):
    """All that is stored of a dataset."""
    dataset.reload()
    return (
        [str(document) for document in dataset._sample_collection.find()],
        sorted(dataset.get_field_schema()),
        dataset.list_saved_views(),
        dataset.list_runs(),
        dataset.list_evaluations(),
    )


@pytest.mark.parametrize("public", PUBLIC)
@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_odd_values_are_refused_by_the_name_of_the_argument_and_nothing_is_written(
    public, calls, small
):
    function, given = calls[public]
    before = contents(small)
    for name, kind in arguments_of(function).items():
        default = inspect.signature(function).parameters[name].default
        for value in ODD[kind]:
            if value is None and (default is None or name in ("hard", "kept_first")):
                continue
            if default == "" and isinstance(value, str) and not value:  # a prefix may be empty
                continue
            with pytest.raises(DropError) as caught:
                function(**given | {name: value})
            assert caught.value.argument == name, (name, value, caught.value)
            assert caught.value.message
    assert contents(small) == before


@pytest.mark.parametrize("public", sorted(set(PUBLIC) - {"train_query_model"}))
@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_numbers_and_texts_of_numpy_are_as_good_as_those_of_python(public, calls):
    function, given = calls[public]
    for name, kind in arguments_of(function).items():
        good = good_value(function, given, name)
        # `plan_drop` answers for the options that the two have in common
        if good is None or (public == "apply_drop" and name not in ("key", "overwrite")):
            continue
        results = []
        for value in same_values(kind, good):
            arguments = given | {name: value}
            if name == "eval_key" and "recalls" in given:
                arguments["recalls"] = None
            if name == "group_by":
                arguments |= {"recalls": None, "rule": "proportional"}
            if "overwrite" in inspect.signature(function).parameters:
                arguments.setdefault("overwrite", True)
            if public == "register_rule" or public == "register_score":
                function(**arguments)
            elif public == "delete_drop":
                continue
            else:
                results.append(function(**arguments))
        if public == "TrainingOptions":
            kept = {type(getattr(options, name)) for options in results}
            assert kept <= {int, float, bool, str}, (name, kept)
            assert len({repr(options) for options in results}) == 1


PLAIN = (int, float, bool, str, type(None))


@pytest.mark.filterwarnings("ignore::fiftyone_drop.errors.DropWarning")
def test_the_record_of_a_run_holds_plain_values(small, shared_recalls):
    """Whatever types the arguments had."""
    names = {name: np.float32(recall) for name, recall in shared_recalls.items()}
    small.apply_drop(
        density=np.float32(0.5),
        label_field=np.str_("ground_truth"),
        recalls={np.str_(name): recall for name, recall in names.items()},
        folds=np.int8(3),
        rule=np.str_("drop"),
        select=np.str_("difficulty"),
        keep=np.array("easiest"),
        smoothing=np.float16(0.5),
        min_per_class=np.int64(2),
        missing_recall=np.array(0.25),
        skip_unlabeled=np.bool_(True),
        allow_empty_classes=np.array(False),
        seed=np.int64(7),
        key=np.str_("odd"),
        overwrite=np.bool_(False),
    )
    small.reload()
    config = fod.load_drop(small, np.str_("odd")).config
    for section in (config.asked, config.written, config.versions):
        assert {type(value) for value in section.values()} <= set(PLAIN), section
    assert config.asked["seed"] == 7
    assert config.asked["min_per_class"] == 2
    assert config.asked["keep"] == "easiest"
    assert type(config.density) is float


def test_the_record_names_every_argument_of_the_call(small):
    arguments = set(inspect.signature(fod.apply_drop).parameters)
    asked = set(fod.load_drop(small, "drop").config.asked)
    assert asked == arguments - {"samples", "key", "overwrite", "cluster", "progress"}


def test_plan_drop_takes_what_apply_drop_takes():
    arguments = dict(inspect.signature(fod.apply_drop).parameters)
    del arguments["key"], arguments["overwrite"]
    assert dict(inspect.signature(fod.plan_drop).parameters) == arguments


@pytest.mark.parametrize("seed", [-(2**63), -1, 0, 2**63 - 1])
def test_a_seed_of_64_bits_is_stored(small, seed):
    small.apply_drop(
        0.5, rule="none", label_field="ground_truth", seed=seed, key="seeded", overwrite=True
    )
    small.reload()
    assert fod.load_drop(small, "seeded").config.asked["seed"] == seed
