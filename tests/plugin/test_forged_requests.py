"""Requests that no form and no panel of ours sends: an answer in words each, and nothing written.

Anybody who can open the App can send them.
"""

import asyncio
import itertools
import json
import time

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import (
    ExecutionContext,
    Executor,
    execute_or_delegate_operator,
)
from reading import problems, texts
from temporary import deleting_datasets

import fiftyone_drop as fod
from fiftyone_drop import precheck

SECONDS = 30  # for an answer: 5 on a quiet machine, and what hangs does so for ever

# What a browser can send in place of a value
ODD = {
    "nothing in it": {},
    "an operator of MongoDB": {"$ne": None},
    "a nested list": [[["drop"]]],
    "a deep list": json.loads("[" * 200 + "]" * 200),
    "a number": -1,
    "a large number": 10**15,
    "a huge number": 10**30,
    "an endless number": 10**5000,
    "not a number": float("nan"),
    "an infinite number": float("inf"),
    "a switch": True,
    "ten megabytes": "x" * 10_000_000,
    "a null byte": "a\0b",
    "a lone surrogate": "\ud800",
    "a field of MongoDB": "$where",
    "a path": "../../etc/passwd",
}
SWITCHES = ("more", "skip_unlabeled", "allow_empty_classes", "pretrained", "deterministic")
# Odd values that are none for some fields
FITTING = {
    *itertools.product(SWITCHES, ["a switch"]),
    *itertools.product(
        ("seed", "batch_size", "learning_rate", "weight_decay", "folds"), ["a large number"]
    ),
    ("seed", "a number"),
}

PRUNING = {"density": 0.5, "label_field": "ground_truth", "key": "new"}
SCORING = {"label_field": "ground_truth", "scores": ["el2n"], "prefix": "new_"}
# Forms that are filled in: the operator, the fields that all are right, and those that are forged
FORMS = [
    (
        "apply_drop",
        {
            **PRUNING,
            "recalls_from": "validation",
            "validation": "tag:train",
            "pred_field": "predictions",
            "more": True,
            "rule": "drop",
            "select": "hardness",
            "keep": "hardest",
            "smoothing": "0",
            "min_per_class": 1,
            "missing_recall": 0.5,
            "skip_unlabeled": False,
            "allow_empty_classes": False,
            "seed": 1,
        },
        None,
    ),
    ("apply_drop", PRUNING | {"more": True, "group_by": None}, ["group_by"]),
    ("apply_drop", PRUNING | {"recalls_from": "evaluation", "eval_key": ""}, ["eval_key"]),
    ("apply_drop", PRUNING | {"recalls_from": "run", "recalls_of": ""}, ["recalls_of"]),
    ("apply_drop", PRUNING | {"recalls_from": "training"}, ["folds", "holdout"]),
    ("apply_drop", PRUNING | {"recalls_from": "closed-form"}, []),
    (
        "train_query_model",
        {
            "label_field": "ground_truth",
            "key": "new",
            "recall_on": "holdout",
            "holdout": 0.5,
            "scores": ["el2n"],
            "architecture": "auto",
            "epochs": 1,
            "save_to": "new.pt",
            "more": True,
            "pretrained": False,
            "image_size": 8,
            "batch_size": 8,
            "learning_rate": 0.1,
            "momentum": 0.9,
            "weight_decay": 0.0,
            "workers": 1,
            "device": "cpu",
            "seed": 1,
            "deterministic": False,
        },
        None,
    ),
    (
        "compute_scores",
        {
            **SCORING,
            "model_from": "logits",
            "logits_field": "predictions",
            "more": True,
            "on_error": "skip",
            "batch_size": 8,
            "workers": 1,
            "device": "cpu",
        },
        None,
    ),
    ("compute_scores", SCORING | {"model_from": "zoo"}, ["zoo_model"]),
    ("compute_scores", SCORING | {"model_from": "file"}, ["model_file"]),
    ("compute_scores", SCORING | {"model_from": "training"}, ["folds"]),
    ("set_density", {"key": "drop", "density": 0.4}, None),
    ("compare_drops", {"key": "drop", "other": "second", "show": "none"}, None),
    ("delete_drop", {"key": "drop"}, None),
]
# Parameters of the functions, of files and of Python that no form shows
HIDDEN = {
    "apply_drop": ("recalls", "model", "progress", "samples", "checkpoint_dir", "__class__"),
    "train_query_model": ("checkpoint_dir", "progress", "samples", "transform", "path"),
    "compute_scores": ("model", "checkpoint", "checkpoint_dir", "transform", "spread"),
    "set_density": ("dataset", "overwrite", "progress"),
    "compare_drops": ("dataset", "label_field"),
    "delete_drop": ("dataset", "force"),
}

# Names that lead out of the folder of models, or that no file of a model has
PATHS = [
    *("/etc/passwd", "/etc/nothing.pt", "../x.pt", "a/../../x.pt", "~/x.pt", "~root/x.pt"),
    *("a\0.pt", "C:\\x.pt", "a\\..\\x.pt", "\\\\host\\x.pt", "C:x.pt", "./x.pt", "a//b.pt"),
    *(".hidden.pt", "x.pth", "x", ".pt", "x.pt/", "x.pt\n", "a" * 300 + ".pt", "file:///x.pt"),
    *(
        "out/x.pt",
        "out/nothing.pt",
        "out.pt",
        "round.pt",
        "gone/x.pt",
        "\ud800.pt",
        "../outside/x.pt",
    ),
]

EVENT = {
    "key": "drop",
    "density": 0.4,
    "part": "kept",
    "class_name": "one",
    "score": "hardness",
    "score_range": [0, 1],
    "is_last": True,
    "other": "second",
    "which": "first",
    "operator": "set_density",
    "eval_key": "eval",
    "version": "an older one",
    "choices": {"base": "drop"},
    "asked": "d1.0.0.5",
    "page": 0,
    "work": "measure",
    **{f"{which}_choices": {"base": "drop"} for which in ("first", "second")},
    **{f"{which}_density": 0.4 for which in ("first", "second")},
}
# The events of the panel, the parameters that they need, and others that they take
EVENTS = {
    "open_run": (["key"], ["version"]),
    "open_form": (["operator", "key", "density"], []),
    "show": (["key", "density", "part"], ["class_name", "score", "score_range", "is_last"]),
    "show_difference": (["key", "other", "which"], []),
    "count_score": (["key", "score", "density"], []),
    "report": (["key"], ["eval_key"]),
    "compare": (["key", "other"], []),
    "draft": (["choices"], ["density"]),
    "work_draft": (["choices", "work", "density"], []),
    "compare_drafts": (["first_choices"], ["first_density", "second_choices", "second_density"]),
    "strips": (["key", "density", "class_name", "page"], ["score"]),
}
# A draft in which nothing is chosen yet
EMPTY = {(f"{which}choices", "nothing in it") for which in ("", "first_", "second_")}
ALWAYS = {"draft", "work_draft", "compare_drafts", "strips"}  # tell what they are the answer to
# Where there is no run of a key, the newest one is opened
NEWEST = [("open_run", "a field of MongoDB"), ("open_run", "a path")]
NO_EVENTS = ["draw", "tell", "_open", "execute", "render", "__init__", "__class__", "on_unload"]


@pytest.fixture(scope="module")
def labelled(all_digits):
    """60 digits with two runs, a score, predictions with logits, and an evaluation."""
    with deleting_datasets() as made:
        made.append(dataset := fo.Dataset())
        dataset.add_collection(all_digits.limit(60), new_ids=True)
        labels = dataset.values("ground_truth.label")
        dataset.default_classes = sorted(set(labels))
        rng = np.random.default_rng(51)
        rows = rng.normal(size=(60, len(dataset.default_classes)))
        predictions = [
            fo.Classification(label=label, logits=row)
            for label, row in zip(labels, rows, strict=True)
        ]
        dataset.set_values("predictions", predictions)
        dataset.set_values("hardness", rng.normal(size=60).tolist())
        dataset.evaluate_classifications("predictions", "ground_truth", eval_key="eval")
        for key in ("drop", "second"):
            dataset.apply_drop(0.5, label_field="ground_truth", rule="proportional", key=key)
        yield dataset


@pytest.fixture
def outside(models_folder, tmp_path):
    """Files beside the folder of models, and links in it that lead to them."""
    models_folder.mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "x.pt").write_bytes(b"private")
    (models_folder / "out").symlink_to(tmp_path / "outside")
    (models_folder / "out.pt").symlink_to(tmp_path / "outside" / "x.pt")
    (models_folder / "gone").symlink_to(tmp_path / "nowhere")
    (models_folder / "round.pt").symlink_to(models_folder / "round.pt")
    (models_folder / "there.pt").write_bytes(b"no model")
    return tmp_path


@pytest.fixture
def unchanged(labelled, outside):
    """Fails if a request has written anything, to the database or to a file."""

    def state():
        record = fo.load_dataset(labelled.name, reload=True)._doc.to_dict()
        record.pop("last_loaded_at")
        samples = list(labelled._sample_collection.find())
        files = {str(path): path.is_file() and path.read_bytes() for path in outside.rglob("*")}
        return record, samples, files

    before = state()
    yield
    assert state() == before


def forged_forms():
    """Yields an operator, its fields, one of them with an odd value, and its name."""
    for operator, fields, forged in FORMS:
        for name, odd in itertools.product(forged or fields, ODD):
            if (name, odd) not in FITTING:
                yield operator, fields | {name: ODD[odd]}, f"{name}: {odd}"


def forged_events():
    """Yields an event of the panel, its parameters, one of them odd or missing, and its name."""
    for event, (needed, more) in EVENTS.items():
        for name in needed + more:
            params = {one: EVENT[one] for one in needed + more if one not in (name, "version")}
            if event in ALWAYS:
                params["asked"] = EVENT["asked"]
            if name in needed:
                yield event, params, f"no {name}"
            for odd in ODD:
                if (event, odd) not in NEWEST and (name, odd) not in {
                    *EMPTY,
                    ("is_last", "a switch"),
                }:
                    yield event, params | {name: ODD[odd]}, f"{name}: {odd}"


@pytest.fixture(scope="module")
def ours():
    """The operators and the panel, by URI: FiftyOne would read its plugins again at each look."""
    precheck.architectures()  # a server imports PyTorch once, which may take longer than an answer
    registered = foo.OperatorRegistry().list_operators(builtin=False)
    return {operator.uri: operator for operator in registered}


@pytest.fixture
def execute(request_of, labelled, ours):
    """A function that executes an operator as the App does; the words of its failure."""

    def run(operator, params, **more):
        request = request_of(labelled, dict(params), operator=operator, **more)
        uri = request["operator_uri"]
        stream = ours[uri].execute(ExecutionContext(request, Executor(), operator_uri=uri))
        *_, last = in_time(lambda: list(stream))
        assert last.body.operator_uri == "show_output", (operator, params.keys())
        words = plain(texts(last.body.params["outputs"]))
        assert words.startswith(("Nothing was", "The density was not"))
        return words

    return run


@pytest.fixture
def draw(request_of, labelled, ours):
    """A function that draws a form as the App does; its problems, in words."""

    def run(operator, params, **more):
        request = request_of(labelled, dict(params), operator=operator, target="inputs", **more)
        uri = request["operator_uri"]
        context = ExecutionContext(request, Executor(), operator_uri=uri)
        drawn = in_time(lambda: ours[uri].resolve_input(context))
        return plain(" ".join(problems(drawn.type.properties).values()))

    return run


@pytest.fixture
def send(request_of, labelled, ours):
    """A function that sends an event to the panel; the message that it shows."""

    def run(event, params, **more):
        params = {"__method__": event, "panel_id": "panel", "panel_state": {}} | params | more
        request = request_of(labelled, params, operator="drop_panel")
        uri = request["operator_uri"]
        context = ExecutionContext(request, Executor(), operator_uri=uri)
        try:
            result = in_time(lambda: ours[uri].execute(context))
        except fod.DropError as error:
            return plain(str(error))
        assert result == {"failed": True}
        data = {}
        for one in context.executor._requests:
            data |= one.params.get("data", {})
        return plain(data["message"] if data.get("message") else data["unread"])

    return run


def in_time(work):
    start = time.monotonic()
    result = work()
    assert time.monotonic() - start < SECONDS
    return result


def plain(words):
    """The words, if a person can read them."""
    for kind in ("Error", "Traceback", "object at"):
        assert kind not in words, words[:2000]
    assert len(words) < 20_000
    return words


CHOSEN = ("base", "samples", "recalls", "rule", "select", "keep", "limits", "keep_ids", "left_out")


@pytest.mark.parametrize("name", CHOSEN)
def test_an_odd_choice_of_a_draft_is_said_and_nothing_is_read_for_it(
    name, request_of, labelled, ours, unchanged
):
    for case, odd in ODD.items():
        choices = {"base": "drop", name: odd}
        params = {"__method__": "draft", "panel_id": "panel", "panel_state": {}}
        params |= {"choices": choices, "asked": "d1"}
        request = request_of(labelled, params, operator="drop_panel")
        uri = request["operator_uri"]
        context = ExecutionContext(request, Executor(), operator_uri=uri)
        result = in_time(lambda context=context, uri=uri: ours[uri].execute(context))
        data = {}
        for one in context.executor._requests:
            data |= one.params.get("data", {})
        words = data["unread"] if result else json.loads(data["draft"])["problem"]
        assert plain(words), case


def test_there_are_at_least_three_hundred():
    assert len(list(forged_forms())) > 300
    assert len(list(forged_events())) > 300


@pytest.mark.parametrize("operator", HIDDEN)
def test_no_operator_takes_a_value_of_another_kind(operator, execute, unchanged):
    for name, params, case in forged_forms():
        if name == operator:
            assert execute(operator, params), case


@pytest.mark.parametrize("operator", HIDDEN)
def test_a_form_is_drawn_whatever_is_filled_in(operator, draw, unchanged):
    for name, params, _ in itertools.islice(forged_forms(), 0, None, 5):
        if name == operator:
            draw(operator, params)


@pytest.mark.parametrize("operator", HIDDEN)
def test_a_parameter_that_no_form_shows_is_refused_by_name(
    operator, execute, draw, unchanged, module_of_plugin
):
    words = module_of_plugin("words").in_app_words
    fields = next(fields for name, fields, _ in FORMS if name == operator)
    for name, value in itertools.product(HIDDEN[operator], ("cpu", {"$gt": ""})):
        refused = words(f"{name}: is no field of this form")
        assert refused in execute(operator, fields | {name: value})
        assert "is no field of this form" in draw(operator, fields | {name: value})


def test_an_operation_that_the_app_has_queued_takes_no_more(request_of, labelled, unchanged):
    service = DelegatedOperationService()
    params = {"key": "drop", "density": 0.4, "checkpoint_dir": "/tmp"}
    request = request_of(labelled, params, operator="set_density", request_delegation=True)
    queued = asyncio.run(execute_or_delegate_operator(request["operator_uri"], request))
    operation = queued.result["id"]
    try:
        service.execute_queued_operations(limit=1, operator=request["operator_uri"])
        words = service.get(operation).result.error
    finally:
        service.delete_operation(operation)
    assert "checkpoint_dir: is no field of this form; leave it out" in words


@pytest.mark.parametrize("odd", ODD)
def test_what_fiftyone_adds_to_a_form_that_a_panel_opens_is_not_read(odd, draw, unchanged):
    added = {"panel_id": "panel", "panel_state": ODD[odd]}
    assert draw("set_density", {"key": "drop", "density": 0.4, **added}) == ""


def test_what_is_hidden_again_does_not_count(execute, draw, unchanged):
    hidden = {"device": "no such device", "batch_size": -1, "workers": -1, "more": False}
    params = SCORING | {"model_from": "logits", "logits_field": "predictions", "scores": ["x"]}
    words = execute("compute_scores", params | hidden)
    assert "x" in words
    assert "device" not in words


def test_names_that_lead_out_of_the_folder_have_one_answer(execute, draw, unchanged):
    fields = next(fields for name, fields, _ in FORMS if name == "train_query_model")
    answers = set()
    for path in PATHS:
        reading = SCORING | {"model_from": "file", "model_file": path}
        for words in (
            *(execute("compute_scores", reading), draw("compute_scores", reading)),
            execute("train_query_model", fields | {"save_to": path, "overwrite": True}),
            draw("train_query_model", fields | {"save_to": path}),
        ):
            if "must be a text" not in words:
                assert "must be the name of a file in the folder of models" in words, path
                answers.add(words.rpartition("but got")[0].partition("must be")[2])
    assert len(answers) == 1


def test_a_file_that_is_no_model_is_not_described(execute, unchanged):
    params = SCORING | {"model_from": "file", "model_file": "there.pt"}
    assert "there.pt is damaged, or no query model" in execute("compute_scores", params)


def test_a_file_is_replaced_only_if_that_is_asked_for(execute, draw, unchanged):
    fields = next(fields for name, fields, _ in FORMS if name == "train_query_model")
    taken = fields | {"save_to": "there.pt"}
    assert "there.pt exists in the folder of models" in execute("train_query_model", taken)
    assert "there.pt exists in the folder of models" in draw("train_query_model", taken)
    assert draw("train_query_model", taken | {"overwrite": True}) == ""


@pytest.mark.parametrize("event", EVENTS)
def test_no_event_takes_a_parameter_of_another_kind(event, send, unchanged):
    for name, params, case in forged_events():
        if name == event:
            assert send(event, params), case


@pytest.mark.parametrize("odd", ODD)
def test_a_panel_answers_events_only(odd, send, unchanged):
    for method in (*NO_EVENTS, ODD[odd]):
        assert send(method, EVENT)
    if not isinstance(ODD[odd], dict):
        assert send("refresh", {}, panel_state=ODD[odd])


@pytest.mark.parametrize("operator", HIDDEN)
def test_a_dataset_or_view_that_is_not_there_is_named(operator, execute, draw, send, unchanged):
    fields = next(fields for name, fields, _ in FORMS if name == operator)
    for name in (None, "no such dataset", "$where"):
        assert execute(operator, fields, dataset_name=name)
        assert draw(operator, fields, dataset_name=name)


@pytest.mark.parametrize(
    "view", [[{"_cls": "fiftyone.core.stages.Nothing", "kwargs": []}], [{}], "x", [["x"]]]
)
def test_a_view_of_no_stages_is_no_target(view, execute, draw, unchanged):
    for operator, fields, _ in (FORMS[0], FORMS[5], FORMS[6]):
        assert "view_target" in execute(operator, fields, view=view)
        assert draw(operator, fields, view=view)
