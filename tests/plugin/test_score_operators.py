"""The operators ``compute_scores`` and ``train_query_model``: forms, results, the App."""

import functools
import re

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fresh import run
from reading import choices, message, names, output, problems, texts

import fiftyone_drop as fod
from fiftyone_drop.scoring import SCORES

PLUGIN = "@fiftyone-drop/drop"


@pytest.fixture(autouse=True)
def nothing_read_lately(module_of_plugin):
    """What forms have read lately is forgotten."""
    module_of_plugin("forms.recent")._recent.clear()


@pytest.fixture
def dataset(make_dataset):
    """60 digits, the last 20 tagged for validation."""
    dataset = make_dataset(limit=60)
    dataset[40:].tag_samples("held-out")
    return dataset


@pytest.fixture
def with_logits(dataset):
    """The same with logits in ``predictions``, and without any in ``guess``."""
    labels = dataset.values("ground_truth.label")
    classes = sorted(set(labels))
    dataset.default_classes = classes
    logits = np.random.default_rng(51).normal(size=(len(labels), len(classes)))
    dataset.set_values(
        "predictions",
        [
            fo.Classification(label=classes[int(row.argmax())], logits=row.tolist())
            for row in logits
        ],
    )
    dataset.set_values("guess", [fo.Classification(label=name) for name in labels])
    return dataset


LOGITS = {"label_field": "ground_truth", "model_from": "logits", "logits_field": "predictions"}
TRAINED = {"label_field": "ground_truth", "epochs": 1, "key": "quick"}


# -- the form of compute_scores -------------------------------------------------------------------


FORMS_OF_SCORES = [
    ("compute_scores", [{"model_from": m} for m in ("training", "logits", "zoo", "file")]),
    ("train_query_model", [{}, {"architecture": "resnet18", "device": "cpu"}]),
]


@pytest.mark.parametrize(("operator", "choices"), FORMS_OF_SCORES)
def test_the_form_opens_within_a_second_and_without_pytorch(with_logits, operator, choices):
    """On a server that has just been started: PyTorch alone takes many seconds to import."""
    out = run(f"""
        import asyncio, sys, time
        from fiftyone.operators.executor import resolve_type
        from fiftyone.operators.registry import OperatorRegistry
        registry = OperatorRegistry()  # the page has asked for the operators already
        for chosen in {choices}:
            params = chosen | {{"more": True}}
            if "model_from" in params:
                params["logits_field"] = "predictions"
            request = {{"dataset_name": "{with_logits.name}", "params": params, "view": []}}
            began = time.process_time()
            drawn = asyncio.run(
                resolve_type(registry, "{PLUGIN}/{operator}", request | {{"target": "inputs"}})
            )
            assert "scores" in drawn.type.properties
            assert "torch" not in sys.modules, chosen
            assert time.process_time() - began < 1
        print("drawn")
    """)
    assert out.splitlines()[-1] == "drawn"


def test_each_score_is_offered_or_its_absence_explained(form, dataset):
    for source in ("training", "logits", "zoo", "file"):
        field = form(dataset, {"model_from": source}, operator="compute_scores")["scores"]
        explained = set(re.findall(r"\w+", field.view.description))
        for name in SCORES:
            assert (name in choices(field)) != (name in explained), (source, name)


def test_a_model_that_reads_images_gives_more_scores_than_logits(form, dataset):
    offered = {
        source: choices(form(dataset, {"model_from": source}, operator="compute_scores")["scores"])
        for source in ("logits", "zoo")
    }
    assert "el2n" in offered["logits"]
    assert "grand" not in offered["logits"]
    assert "grand" in offered["zoo"]


def test_the_classes_of_logits_can_be_said_where_the_dataset_does_not_state_them(
    form, run_in_app, with_logits
):
    classes, with_logits.default_classes = with_logits.default_classes, []
    with_logits.save()
    asked = form(with_logits, LOGITS, operator="compute_scores")
    assert set(problems(asked)) == {"classes"}
    given = LOGITS | {"classes": ", ".join(classes)}
    assert problems(form(with_logits, given, operator="compute_scores")) == {}
    schema, _ = output(run_in_app(with_logits, given, operator="compute_scores"))
    assert "Scored 60 samples" in texts(schema)
    with_logits.default_classes = classes
    fod.compute_scores(with_logits, "ground_truth", prefix="by_", model="predictions")
    assert with_logits.values("by_el2n") == with_logits.values("el2n")


def test_the_classes_of_a_zoo_model_that_names_none_can_be_said(
    form, dataset, run_in_app, monkeypatch
):
    params = {"label_field": "ground_truth", "model_from": "zoo"}
    params |= {"zoo_model": "resnet18-imagenet-torch", "classes": "one, two"}
    assert problems(form(dataset, params, operator="compute_scores")) == {}
    given = {}

    @functools.wraps(fod.compute_scores)
    def compute_scores(samples, model, classes, **_):
        given.update(model=model, classes=classes)
        raise fod.DropError("classes", "must be given with it; pass classes=[...]")

    monkeypatch.setattr(fod, "compute_scores", compute_scores)
    schema, _ = output(run_in_app(dataset, params, operator="compute_scores"))
    assert given == {"model": "resnet18-imagenet-torch", "classes": ["one", "two"]}
    assert "choose 'Classes of the model'" in texts(schema)


def test_a_score_that_the_model_cannot_give_is_marked(form, with_logits):
    params = LOGITS | {"scores": ["el2n", "grand"]}
    properties = form(with_logits, params, operator="compute_scores")
    assert "'grand' cannot be computed here" in problems(properties)["scores"]


def test_at_least_one_score_must_be_chosen(form, with_logits):
    properties = form(with_logits, LOGITS | {"scores": []}, operator="compute_scores")
    assert problems(properties) == {"scores": "choose at least one"}


def test_the_fields_that_will_be_written_are_named(form, with_logits):
    params = LOGITS | {"scores": ["el2n", "margin"], "prefix": "my_"}
    properties = form(with_logits, params, operator="compute_scores")
    assert message(properties["writes"]) == "Writes my_el2n, my_margin"
    assert problems(properties) == {}


def test_a_field_that_holds_something_else_is_replaced_only_if_asked_for(form, with_logits):
    with_logits.add_sample_field("el2n", fo.FloatField)
    properties = form(with_logits, LOGITS, operator="compute_scores")
    assert "does not hold the score 'el2n'" in problems(properties)["prefix"]
    assert "overwrite" in properties
    agreed = LOGITS | {"overwrite": True}
    assert problems(form(with_logits, agreed, operator="compute_scores")) == {}
    elsewhere = form(with_logits, LOGITS | {"prefix": "my_"}, operator="compute_scores")
    assert problems(elsewhere) == {}
    assert "overwrite" not in elsewhere


def test_a_field_without_logits_is_marked(form, with_logits):
    params = LOGITS | {"logits_field": "guess"}
    properties = form(with_logits, params, operator="compute_scores")
    assert "no logits in 'guess'" in problems(properties)["logits_field"]


def test_only_image_classifiers_of_the_zoo_are_offered(form, dataset):
    offered = choices(form(dataset, {"model_from": "zoo"}, operator="compute_scores")["zoo_model"])
    assert "resnet18-imagenet-torch" in offered
    assert not [name for name in offered if "coco" in name]


def test_a_file_that_is_not_there_is_marked(form, dataset, models_folder):
    params = {"model_from": "file"}
    assert "model_file" in problems(form(dataset, params, operator="compute_scores"))
    params["model_file"] = "nowhere.pt"
    assert (
        "there is no file"
        in problems(form(dataset, params, operator="compute_scores"))["model_file"]
    )


def test_switches_of_the_chosen_scores_are_drawn_with_their_defaults(form, dataset):
    for name in SCORES:
        params = {"model_from": "zoo", "scores": [name], "more": True}
        properties = form(dataset, params, operator="compute_scores")
        if SCORES[name].needs == "dynamics":
            continue
        for switch, default in SCORES[name].defaults.items():
            assert properties[switch].default == default, (name, switch)


def test_samples_without_a_label_are_counted_at_the_label_field(form, dataset):
    dataset[:3].set_values("ground_truth", [None] * 3)
    properties = form(dataset, {"label_field": "ground_truth"}, operator="compute_scores")
    assert "3 of 60 samples have no label" in problems(properties)["label_field"]


# -- compute_scores -------------------------------------------------------------------------------


def test_scores_are_those_of_the_python_call(with_logits):
    params = LOGITS | {"scores": ["el2n", "margin"], "prefix": "app_"}
    uri = f"{PLUGIN}/compute_scores"
    result = foo.execute_operator(uri, {"dataset": with_logits}, params=params).result
    assert result["fields"] == ["app_el2n", "app_margin"]
    fod.compute_scores(with_logits, "ground_truth", ("el2n", "margin"), model="predictions")
    for row, name in zip(result["table"], ("el2n", "margin"), strict=True):
        assert with_logits.values(f"app_{name}") == with_logits.values(name)
        assert row["hard"] == SCORES[name].hard
        assert (row["lowest"], row["highest"]) == with_logits.bounds(name)
        assert row["mean"] == pytest.approx(with_logits.mean(name))
        assert row["samples"] == 60


def test_a_script_passes_the_model_as_the_package_takes_it(with_logits):
    operator = foo.get_operator(f"{PLUGIN}/compute_scores")
    result = operator(with_logits, "ground_truth", ["entropy"], model="predictions")
    assert result.result["fields"] == ["entropy"]


def test_a_chosen_source_without_its_value_never_trains_instead(dataset):
    with pytest.raises(Exception, match="logits_field: choose a field with stored logits"):
        foo.execute_operator(
            f"{PLUGIN}/compute_scores", {"dataset": dataset}, params={"model_from": "logits"}
        )


@pytest.mark.filterwarnings("default:5 of 60 samples have no logits")
def test_the_app_sees_a_table_of_fields_and_loads_them(run_in_app, with_logits):
    with_logits[:5].set_values("predictions", [None] * 5)
    invocations = run_in_app(with_logits, LOGITS, operator="compute_scores")
    assert names(invocations)[-2:] == ["show_output", "reload_dataset"]
    assert "set_progress" in names(invocations)
    schema, data = output(invocations)
    assert "Scored 60 samples" in texts(schema)
    assert "5 samples have no el2n" in texts(schema)
    assert [row["field"] for row in data["table"]] == ["el2n"]


def test_scores_can_be_queued(delegated, with_logits):
    operation = delegated("compute_scores", with_logits, **LOGITS, scores=["loss"])
    assert operation.run_state == "completed", operation.result.error
    assert operation.result.result["fields"] == ["loss"]
    assert operation.status.progress == 1


# -- the form of train_query_model ----------------------------------------------------------------


def test_the_form_says_what_will_be_trained_and_written(form, dataset):
    params = TRAINED | {"holdout": 0.25, "scores": ["aum"]}
    properties = form(dataset, params, operator="train_query_model")
    assert problems(properties) == {}
    words = "Trains 1 query model, small-cnn, 1 epochs of 45 images at 8x8"
    assert message(properties["cost"]) == words
    assert message(properties["writes"]) == "Writes quick_pred, quick_eval, quick_aum"


def test_scores_of_training_dynamics_and_el2n_are_offered(form, dataset):
    offered = choices(form(dataset, operator="train_query_model")["scores"])
    dynamics = [name for name, score in SCORES.items() if score.needs == "dynamics"]
    assert offered == ["el2n", *dynamics]


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"epochs": 0}, "epochs"),
        ({"architecture": "resnet19"}, "architecture"),
        ({"holdout": 2}, "holdout"),
        ({"batch_size": 1, "more": True}, "batch_size"),
        ({"momentum": 2, "more": True}, "momentum"),
        ({"batch_size": 1}, "problem"),
        ({"save_to": "/tmp/model.pt"}, "save_to"),
        ({"key": "a b"}, "key"),
    ],
)
def test_a_bad_option_is_shown_at_its_field(form, dataset, params, field):
    assert field in problems(form(dataset, TRAINED | params, operator="train_query_model"))


def test_validation_samples_that_are_trained_on_too_are_counted(form, dataset):
    params = TRAINED | {"recall_on": "validation", "validation": "tag:held-out"}
    properties = form(dataset, params, operator="train_query_model")
    assert "20 of 20 validation samples are in the target view" in message(properties["overlap"])
    properties = form(dataset[:40], params, operator="train_query_model")
    assert "overlap" not in properties
    assert problems(properties) == {}


def test_classes_without_validation_samples_are_named(form, dataset):
    dataset.match(fo.ViewField("ground_truth.label") == "two").untag_samples("held-out")
    params = TRAINED | {"recall_on": "validation", "validation": "tag:held-out"}
    properties = form(dataset, params, operator="train_query_model")
    held_out = dataset.match_tags("held-out").distinct("ground_truth.label")
    missing = sorted(set(dataset.distinct("ground_truth.label")) - set(held_out))
    assert "two" in missing
    words = f"There is no validation sample of {', '.join(map(repr, missing))}"
    assert message(properties["without"]) == words


def test_a_taken_key_offers_to_replace_what_is_there(form, dataset):
    dataset.add_sample_field("quick_pred", fo.StringField)
    foreign = form(dataset, TRAINED | {"overwrite": True}, operator="train_query_model")
    assert "'quick_pred' holds no predictions that" in problems(foreign)["key"]
    dataset.delete_sample_field("quick_pred")
    fod.train_query_model(dataset, key="quick", epochs=1, holdout=0.5)
    properties = form(dataset, TRAINED, operator="train_query_model")
    assert "'quick_pred'" in problems(properties)["key"]
    agreed = TRAINED | {"overwrite": True}
    assert problems(form(dataset, agreed, operator="train_query_model")) == {}


# -- train_query_model ----------------------------------------------------------------------------


@pytest.mark.filterwarnings("default::fiftyone_drop.DropWarning")
def test_a_trained_model_leaves_an_evaluation_scores_and_a_file(form, dataset, models_folder):
    name = "mine/model.pt"
    params = TRAINED | {"scores": ["el2n", "aum"], "save_to": name, "holdout": 0.5}
    uri = f"{PLUGIN}/train_query_model"
    result = foo.execute_operator(uri, {"dataset": dataset}, params=params).result
    assert result["eval_key"] == "quick_eval"
    assert result["scores"] == ["quick_el2n", "quick_aum"]
    assert result["architecture"] == "small-cnn"
    evaluated = dataset.exists("quick_pred")
    assert evaluated.count() + result["trained_on"] == 60
    for field in result["scores"]:
        assert dataset.exists(field).count() == result["trained_on"]
        assert dataset.get_field(field).info["hard"] == SCORES[field.removeprefix("quick_")].hard
    plan = fod.plan_drop(dataset, 0.5, label_field="ground_truth", eval_key="quick_eval")
    assert result["recalls"] == pytest.approx(plan.recalls)

    assert (models_folder / name).is_file()
    drawn = form(dataset, {"model_from": "file"}, operator="compute_scores")
    assert choices(drawn["model_file"]) == [name]
    scored = {"model_from": "file", "model_file": name, "scores": ["el2n"], "prefix": "file_"}
    foo.execute_operator(f"{PLUGIN}/compute_scores", {"dataset": dataset}, params=scored)
    view = dataset.exists("quick_el2n")
    assert view.values("file_el2n") == pytest.approx(view.values("quick_el2n"), rel=1e-4)


def test_the_app_sees_the_recalls_and_the_next_step(run_in_app, dataset):
    params = TRAINED | {"recall_on": "validation", "validation": "tag:held-out"}
    invocations = run_in_app(dataset[:40], params, operator="train_query_model")
    assert names(invocations)[-2:] == ["show_output", "reload_dataset"]
    labels = [params["label"] for name, params in invocations if name == "set_progress"]
    assert any(label.startswith("Training 1 query model") for label in labels)
    schema, data = output(invocations)
    assert "Trained on 40 samples" in texts(schema)
    assert "evaluation run quick_eval" in texts(schema)
    held_out = dataset.match_tags("held-out").distinct("ground_truth.label")
    assert sorted(row["class"] for row in data["table"]) == held_out


def test_a_field_that_is_taken_is_refused_before_the_training(run_in_app, dataset):
    dataset.add_sample_field("quick_el2n", fo.StringField)
    invocations = run_in_app(dataset, TRAINED, operator="train_query_model")
    assert names(invocations) == ["set_progress", "show_output"]
    schema, _ = output(invocations)
    assert "Nothing was written" in texts(schema)
    assert "'quick_el2n' exists" in texts(schema)


def test_a_training_can_be_queued(delegated, dataset):
    operation = delegated("train_query_model", dataset, **TRAINED)
    assert operation.run_state == "completed", operation.result.error
    assert operation.result.result["eval_key"] == "quick_eval"
