"""Bad input: an error that names the argument, the value and the remedy, and nothing written."""

import math
import uuid

import fiftyone as fo
import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning


@pytest.fixture
def refused(dataset, recalls):
    """A function that expects ``apply_drop`` to refuse, with these words, and to write nothing."""

    def check(*words, samples=None, **arguments):
        samples = dataset if samples is None else samples
        root = (
            samples._root_dataset if isinstance(samples, fo.Dataset | fo.DatasetView) else dataset
        )
        before = contents(root)
        if not {"recalls", "eval_key", "validation", "rule"} & set(arguments):
            arguments["recalls"] = recalls
        with pytest.raises(DropError) as caught:
            fod.apply_drop(samples, **({"density": 0.5} | arguments))
        for word in words:
            assert word in str(caught.value)
        assert contents(root) == before

    return check


def contents(dataset):
    """All that is stored of a dataset and its samples."""
    dataset.reload()
    documents = [str(document) for document in dataset._sample_collection.find()]
    return (
        documents,
        sorted(dataset.get_field_schema()),
        dataset.list_saved_views(),
        dataset.list_runs(),
        dataset.list_evaluations(),
    )


@pytest.mark.parametrize(
    ("density", "word"),
    [
        (0, "(0, 1]"),
        (-1, "(0, 1]"),
        (1.01, "(0, 1]"),
        (math.nan, "nan"),
        ("0.5", "'0.5'"),
        (None, "None"),
        (0.0001, "smallest density that works is 0.03167"),
    ],
)
def test_a_bad_density(refused, density, word):
    refused("density", word, density=density)


def test_a_density_too_small_without_floor_names_the_smallest_one(refused):
    refused("density", "is 0.001667", density=0.001, min_per_class=0)


def test_the_smallest_density_that_is_named_works(dataset, recalls):
    assert len(dataset.apply_drop(density=0.03167, recalls=recalls)) == 10


def test_an_unknown_label_field(refused):
    refused("label_field", "'labels'", "'ground_truth'", label_field="labels")


@pytest.mark.parametrize("field", ["tags", "metadata", "created_at", 7])
def test_a_field_that_holds_no_class_labels(refused, field):
    refused("label_field", repr(field) if field == 7 else field, label_field=field)


def test_detections_are_no_class_labels(refused, dataset):
    dataset.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    refused("label_field", "'boxes' is a Detections", "Classification", label_field="boxes")


def test_several_label_fields_are_listed(refused, dataset, predict):
    predict(dataset, "other")
    refused("label_field", "'ground_truth'", "'other'")


def test_a_known_prediction_is_not_taken_for_the_labels(dataset, recalls, predict):
    predict(dataset, "predictions", eval_key="val_eval")
    assert len(dataset.apply_drop(density=0.5, recalls=recalls)) == 150


def test_no_label_field_at_all(refused, dataset):
    dataset.delete_sample_field("ground_truth")
    refused("label_field", "'name'")


@pytest.mark.parametrize("rule", ["DRoP", "", None, 3])
def test_an_unknown_rule(refused, rule, recalls):
    refused("rule", repr(rule), "'drop-unweighted'", rule=rule, recalls=recalls)


def test_a_key_that_is_taken_by_a_run(refused, dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    refused("key", "'drop'", "overwrite=True")


def test_an_empty_view(refused, dataset):
    refused("samples", "empty", samples=dataset.limit(0))


def test_something_that_is_no_collection(refused):
    refused("samples", "list", samples=["a.png"])


def test_a_sample_that_occurs_twice(refused, dataset):
    refused("samples", "more than once", samples=dataset.concat(dataset.limit(3)))


def test_unlabeled_samples(refused, dataset):
    first = dataset.limit(3)
    first.set_values("ground_truth", [None] * 3)
    refused("3 of 300", dataset.first().id, "skip_unlabeled=True")


def test_no_labels_at_all(refused, dataset):
    dataset.clear_sample_field("ground_truth")
    refused("label_field", "no sample", skip_unlabeled=True)


def test_samples_without_a_group(refused, dataset):
    dataset.limit(2).set_values("parity", [None] * 2)
    refused("2 of 300", "'parity'", group_by="parity", rule="proportional")


@pytest.mark.parametrize("group_by", ["nothing", "tags"])
def test_a_field_that_cannot_group(refused, group_by):
    refused("group_by", f"'{group_by}'", group_by=group_by, rule="proportional")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"zero": None}, ("'zero'", "missing_recall=")),
        ({"cat": 0.5}, ("'cat'", "is no class")),
        ({"zero": 1.2}, ("'zero'", "[0, 1]", "1.2")),
        ({"zero": math.nan}, ("'zero'", "nan", "missing_recall=")),
        ({"zero": "high"}, ("'zero'", "'high'")),
    ],
)
def test_recalls_with_a_missing_unknown_or_bad_entry(refused, recalls, change, words):
    changed = {name: r for name, r in (recalls | change).items() if r is not None}
    refused("recalls", *words, recalls=changed)


def test_recalls_that_are_no_mapping(refused):
    refused("recalls", "mapping", recalls=[0.5] * 10)


def test_an_evaluation_that_does_not_exist(refused):
    refused("eval_key", "'val_eval' does not exist", eval_key="val_eval")


def test_an_evaluation_that_is_not_of_classifications(refused, dataset):
    dataset.set_values("target", [float(i) for i in range(300)])
    dataset.set_values("truth", [fo.Regression(value=1.0) for _ in range(300)])
    dataset.set_values("guess", [fo.Regression(value=1.0) for _ in range(300)])
    dataset.evaluate_regressions("guess", "truth", eval_key="reg")
    refused("eval_key", "'reg' is not an evaluation of classifications", eval_key="reg")


def test_an_evaluation_of_another_field(refused, dataset, predict):
    predict(dataset, "predictions", eval_key="val_eval")
    dataset.clone_sample_field("ground_truth", "cleaned")
    refused("eval_key", "'ground_truth'", "'cleaned'", eval_key="val_eval", label_field="cleaned")


def test_classes_without_a_validation_sample(refused, dataset, predict):
    target, validation = dataset[:200], dataset[200:]
    predict(validation, "predictions", eval_key="val_eval")
    zeros = validation.match({"ground_truth.label": "zero"})
    zeros.set_values("val_eval", [None] * len(zeros))
    refused("missing_recall", "'zero'", samples=target, eval_key="val_eval")
    with pytest.warns(DropWarning, match="cannot be told apart"):
        view = target.apply_drop(density=0.5, eval_key="val_eval", missing_recall=0.5)
    assert len(view) == 100


def test_two_sources_of_recalls(refused, dataset, recalls, predict):
    predict(dataset, "predictions", eval_key="val_eval")
    refused("one source", "eval_key", "recalls", recalls=recalls, eval_key="val_eval")


@pytest.mark.parametrize("given", [{}, {"pred_field": "name", "model": object()}])
def test_validation_needs_predictions_or_a_model(refused, dataset, given):
    refused("validation", "pred_field", "model", validation=dataset, **given)


@pytest.mark.parametrize("argument", ["pred_field", "model"])
def test_predictions_without_a_validation_view(refused, argument):
    refused(argument, "validation=view", **{argument: "predictions"})


def test_a_validation_view_of_another_dataset(refused, make_dataset):
    refused("validation", "recalls=", validation=make_dataset(10), pred_field="name")


def test_a_model_of_another_kind(refused, dataset):
    refused("model", "QueryModel", "object", validation=dataset, model=object())


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("query", ["open-form", 1, True, ["trained"]]),
        ("folds", [1, 0, -3, 2.5, "5", True]),
        ("holdout", [0, 1, -0.2, 1.5, "0.2", math.nan]),
        ("missing_recall", [-0.1, 1.1, "half", math.nan]),
        ("smoothing", [-0.5, math.nan, "x"]),
        ("min_per_class", [-1, 1.5, None]),
        ("seed", [1.5, "a", None, True]),
        ("keep", ["hard", None, 1]),
        ("select", ["difficulty", "name", "ground_truth", None, 3]),
    ],
)
def test_arguments_out_of_range(refused, argument, values):
    for value in values:
        if argument == "holdout" and value is None:
            continue
        refused(argument, repr(value), **{argument: value})


def test_a_score_field_without_a_direction(refused, dataset):
    dataset.set_values("difficulty", np.arange(300.0).tolist())
    refused("select", "'difficulty'", "hard", select="difficulty")


@pytest.mark.parametrize("value", [None, math.nan])
def test_a_score_field_with_missing_values(refused, dataset, value):
    dataset.add_sample_field("difficulty", fo.FloatField, info={"hard": "high"})
    dataset.set_values("difficulty", [value] * 2 + [1.0] * 298)
    refused("select", "2 of 300", dataset.first().id, "'difficulty'", select="difficulty")


def scratch_dataset(samples, **kwargs):
    dataset = fo.Dataset(f"test-{uuid.uuid4().hex}")
    dataset.add_samples(samples, progress=False)
    return dataset


@pytest.mark.parametrize("kind", ["groups", "videos", "patches", "one slice of groups"])
def test_collections_of_anything_but_images(refused, kind):
    label = fo.Classification(label="a")
    if kind == "videos":
        samples = [fo.Sample(filepath="/a.mp4", ground_truth=label)]
    elif kind == "patches":
        box = fo.Detections(detections=[fo.Detection(label="a", bounding_box=[0, 0, 1, 1])])
        samples = [fo.Sample(filepath="/a.png", boxes=box)]
    else:
        group = fo.Group()
        samples = [
            fo.Sample(filepath=f"/{s}.png", group=group.element(s), ground_truth=label)
            for s in ("left", "right")
        ]
    made = scratch_dataset(samples)
    target = {
        "patches": lambda: made.to_patches("boxes"),
        "one slice of groups": lambda: made.select_group_slices("left"),
    }.get(kind, lambda: made)()
    try:
        refused("samples", "images", samples=target, rule="proportional")
    finally:
        made.delete()
