"""The operator from a script, from the App and delegated: the same run, told in three ways."""

import asyncio
import functools
import itertools
import logging
import threading

import fiftyone as fo
import fiftyone.core.utils as fou
import fiftyone.operators as foo
import pytest
from fiftyone.operators.delegated import DelegatedOperationService
from fiftyone.operators.executor import execute_or_delegate_operator
from reading import names, texts

import fiftyone_drop as fod

URI = "@fiftyone-drop/drop/apply_drop"
NOISE = "cannot be told apart"
PROPORTIONAL = {"density": 0.5, "more": True, "rule": "proportional"}


@pytest.fixture
def equal_recalls(dataset, predict):
    """An evaluation on samples outside the target view, whose class recalls are all alike."""
    predict(dataset[200:], eval_key="val_eval", wrong=4)
    return dataset[:200]


@pytest.fixture(autouse=True)
def no_waiting(module_of_plugin, monkeypatch):
    """No page has to fetch the dataset again."""
    monkeypatch.setattr(module_of_plugin("operators"), "SECONDS_TO_RELOAD", 0)


def kept(dataset, key="drop"):
    return dataset.load_saved_view(f"{key}-kept").values("id")


# -- from a script --------------------------------------------------------------------------------


def test_the_operator_keeps_the_same_samples_as_the_python_call(dataset, recalls):
    result = foo.execute_operator(
        URI, {"dataset": dataset}, params={"density": 0.5, "recalls": recalls, "key": "operator"}
    )
    view = dataset.apply_drop(0.5, recalls=recalls, key="call")
    assert kept(dataset, "operator") == view.values("id")
    assert result.result["kept"] == len(view) == 150


def test_a_script_gets_the_run_as_json(dataset, recalls):
    params = {"density": 0.3, "recalls": recalls}
    result = foo.execute_operator(URI, {"dataset": dataset}, params=params).result
    assert (result["key"], result["kept"], result["size"]) == ("drop", 90, 300)
    assert (result["kept_view"], result["pruned_view"]) == ("drop-kept", "drop-pruned")
    quotas = {row["class"]: row["quota"] for row in result["table"]}
    assert quotas == dataset.load_saved_view("drop-kept").count_values("ground_truth.label")
    assert {row["class"]: row["recall"] for row in result["table"]} == pytest.approx(recalls)
    assert result["warnings"] == []


@pytest.mark.parametrize(("chosen", "recorded"), [("shrinkage", "shrinkage"), ("0", 0), (2, 2)])
def test_smoothing_is_a_word_or_a_number(dataset, recalls, chosen, recorded):
    params = {"density": 0.5, "recalls": recalls, "smoothing": chosen}
    foo.execute_operator(URI, {"dataset": dataset}, params=params)
    assert fod.load_drop(dataset, "drop").config.asked["smoothing"] == recorded


def test_calling_the_operator_is_executing_it(dataset, recalls):
    result = foo.get_operator(URI)(dataset[:200], 0.5, recalls=recalls)
    assert result.result["size"] == 200


def test_only_the_target_view_is_pruned(dataset, recalls):
    view = dataset[50:250]
    foo.execute_operator(URI, {"view": view}, params={"density": 0.5, "recalls": recalls})
    assert set(kept(dataset)) < set(view.values("id"))
    assert dataset.exists("drop_keep_at").values("id") == view.values("id")


def test_the_whole_dataset_can_be_the_target_although_a_view_is_shown(run_in_app, dataset):
    run_in_app(dataset[:100], PROPORTIONAL | {"view_target": "DATASET"})
    assert fod.load_drop(dataset, "drop").table.size == 300


def test_a_script_reads_the_message_of_the_package(dataset):
    for params, words in (
        ({"density": 2, "rule": "proportional"}, r"density: must .* in \(0, 1\]"),
        ({"density": 0.5, "rule": "nope"}, "rule: must be one of .*'nope'"),
        ({"density": 0.5, "eval_key": "nope"}, "evaluation 'nope' does not exist"),
        ({"density": 0.5, "rule": "proportional", "key": "a b"}, "must be a valid field name"),
    ):
        with pytest.raises(Exception, match=words):
            foo.execute_operator(URI, {"dataset": dataset}, params=params)
    assert fod.list_drops(dataset) == []


# -- from the App ---------------------------------------------------------------------------------


def test_the_app_sees_progress_then_the_class_table_and_the_kept_view(run_in_app, dataset):
    invocations = run_in_app(dataset, PROPORTIONAL)
    assert names(invocations) == [
        *("set_progress", "set_progress", "set_progress", "show_output"),
        *("set_view", "reload_dataset", "@fiftyone-drop/drop/show_saved_view"),
    ]
    (_, start), _, (_, written), (_, output), (_, first), _, (_, last) = invocations
    assert (start["progress"], start["label"]) == (0, "Preparing")
    assert (written["progress"], written["label"]) == (
        1,
        "Writing drop_keep_at, drop_kept (300 of 300)",
    )
    assert "Kept 150 of 300 samples" in texts(output["outputs"])
    assert sum(row["quota"] for row in output["results"]["table"]) == 150
    assert first["view"][0]["_cls"].endswith("Match")
    assert last == {"name": "drop-kept"}


def test_progress_arrives_while_the_work_goes_on(dataset, recalls, request_of, monkeypatch):
    go_on = threading.Event()
    apply_drop = fod.apply_drop

    @functools.wraps(apply_drop)
    def waits(*args, **kwargs):
        assert go_on.wait(10)
        return apply_drop(*args, **kwargs)

    monkeypatch.setattr(fod, "apply_drop", waits)
    request = request_of(dataset, PROPORTIONAL)
    stream = asyncio.run(execute_or_delegate_operator(URI, request)).result
    assert next(stream).body.operator_uri == "set_progress"
    go_on.set()
    assert "show_output" in [message.body.operator_uri for message in stream]


def test_what_the_package_announces_becomes_the_label(dataset, run_in_app, monkeypatch):
    @functools.wraps(fod.apply_drop)
    def trains(samples, density, progress, **arguments):
        logging.getLogger("fiftyone.drop").info("Training 5 query models, about a minute")
        with fou.ProgressBar(total=10, progress=progress) as bar:
            bar.update(10)
        fod.plan_drop(samples, density, rule="proportional").apply()

    monkeypatch.setattr(fod, "apply_drop", trains)
    invocations = run_in_app(dataset, {"density": 0.5})
    labels = [params["label"] for name, params in invocations if name == "set_progress"]
    announced = [
        "Training 5 query models, about a minute",
        "Training 5 query models, about a minute (10 of 10)",
        "Writing drop_keep_at, drop_kept",
    ]
    # In this order; what is over before it is shown is not shown
    shown = [words for words, _ in itertools.groupby(labels) if words in announced]
    assert shown == [words for words in announced if words in shown]
    assert labels[-1] == announced[-1]


def test_an_error_of_the_package_is_shown_in_words(run_in_app, dataset):
    params = PROPORTIONAL | {"density": 0.1, "min_per_class": 20}
    *_, (name, shown) = run_in_app(dataset, params)
    assert name == "show_output"
    assert "Nothing was pruned" in texts(shown["outputs"])
    assert "the smallest density that works is" in texts(shown["outputs"])
    assert "Traceback" not in str(shown)
    assert fod.list_drops(dataset) == []


def test_an_error_that_nobody_foresaw_is_shown_and_logged(
    run_in_app, dataset, module_of_plugin, monkeypatch
):
    @functools.wraps(fod.apply_drop)
    def fails(*args, **kwargs):
        raise ZeroDivisionError("by chance")

    monkeypatch.setattr(fod, "apply_drop", fails)
    logged = []
    logger = module_of_plugin("operator_base").logger
    monkeypatch.setattr(logger, "exception", lambda *words: logged.append(words))
    *_, (name, shown) = run_in_app(dataset, {"density": 0.5})
    assert name == "show_output"
    assert "ZeroDivisionError: by chance" in texts(shown["outputs"])
    assert logged == [("%s failed", "apply_drop")]


def test_closing_the_tab_does_not_stop_the_run(dataset, request_of):
    request = request_of(dataset, PROPORTIONAL)
    stream = asyncio.run(execute_or_delegate_operator(URI, request)).result
    next(stream)
    next(stream)
    stream.close()
    for thread in threading.enumerate():
        if thread.name == "drop":
            thread.join(60)
    assert fod.list_drops(dataset) == ["drop"]


# -- warnings -------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("default:the class recalls")
def test_warnings_are_part_of_the_result_each_time(equal_recalls):
    for _ in range(2):
        result = foo.execute_operator(
            URI,
            {"view": equal_recalls},
            params={"density": 0.5, "eval_key": "val_eval", "overwrite": True},
        )
        (message,) = result.result["warnings"]
        assert NOISE in message


@pytest.mark.filterwarnings("default:the class recalls")
def test_warnings_are_shown_in_the_app(run_in_app, equal_recalls):
    invocations = run_in_app(equal_recalls, {"density": 0.5, "eval_key": "val_eval"})
    (output,) = [params for name, params in invocations if name == "show_output"]
    assert NOISE in texts(output["outputs"])


# -- delegated ------------------------------------------------------------------------------------


@pytest.fixture
def service():
    service = DelegatedOperationService()
    yield service
    for operation in service.list_operations(operator=URI):
        service.delete_operation(operation.id)


def test_a_delegated_run_records_its_progress_and_result(dataset, recalls, service):
    operator = foo.get_operator(URI)
    queued = operator(dataset, 0.5, delegate=True, recalls=recalls, key="later")
    assert queued.delegated
    assert fod.list_drops(dataset) == []

    service.execute_queued_operations(limit=1, operator=URI)
    operation = service.get(queued.result["id"])
    assert operation.run_state == "completed", operation.result.error
    assert operation.status.progress == 1
    assert operation.status.label == "Writing later_keep_at, later_kept (300 of 300)"
    assert operation.result.result["kept"] == 150
    view = dataset.apply_drop(0.5, recalls=recalls, key="now")
    dataset.reload()
    assert kept(dataset, "later") == view.values("id")


def test_a_delegated_run_that_fails_says_why(dataset, service):
    queued = foo.get_operator(URI)(dataset, 0.5, delegate=True, eval_key="nope")
    service.execute_queued_operations(limit=1, operator=URI)
    operation = service.get(queued.result["id"])
    assert operation.run_state == "failed"
    assert "evaluation 'nope' does not exist" in operation.result.error


def test_a_delegated_run_prunes_the_view_it_was_queued_on(dataset, recalls, service):
    foo.get_operator(URI)(dataset[:100], 0.5, delegate=True, recalls=recalls)
    service.execute_queued_operations(limit=1, operator=URI)
    dataset.reload()
    assert fod.load_drop(fo.load_dataset(dataset.name), "drop").table.size == 100


def test_arguments_by_place_are_those_of_a_function_of_python(dataset):
    operator = foo.get_operator(URI)
    with pytest.raises(fod.DropError, match=r"density: is passed twice"):
        operator(dataset, 0.5, density=0.25)
    with pytest.raises(TypeError, match=r"apply_drop takes .* but got 100"):
        operator(dataset, *range(100))
    assert fod.list_drops(dataset) == []
