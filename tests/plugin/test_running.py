"""Operators that go on when their page is closed: they are found again, followed and cancelled."""

import asyncio
import contextlib
import functools
import logging
import threading
from types import SimpleNamespace

import fiftyone.core.utils as fou
import pytest
from fiftyone.operators.executor import execute_or_delegate_operator
from reading import choices, names, output, problems, texts

import fiftyone_drop as fod
from fiftyone_drop import precheck

PROPORTIONAL = {"density": 0.5, "more": True, "rule": "proportional"}


@pytest.fixture
def jobs(module_of_plugin, monkeypatch):
    """What runs; nothing before a test."""
    monkeypatch.setattr(module_of_plugin("worker"), "SECONDS_BETWEEN_REPORTS", 0)
    monkeypatch.setattr(module_of_plugin("operators"), "SECONDS_TO_RELOAD", 0)
    jobs = module_of_plugin("jobs")
    jobs._jobs.clear()
    return jobs


@pytest.fixture
def at_work(jobs, dataset, request_of, monkeypatch):
    """A function that starts the operator, whose work waits; its stream, and what lets it go on."""
    go_on = threading.Event()
    apply_drop = fod.apply_drop

    @functools.wraps(apply_drop)
    def waits(*args, progress, **kwargs):
        logging.getLogger("fiftyone.drop").info("Training 5 query models")
        with fou.ProgressBar(total=10, progress=progress) as bar:
            bar.update(3)
            assert go_on.wait(30)
            bar.update(7)
        return apply_drop(*args, progress=progress, **kwargs)

    def start():
        monkeypatch.setattr(fod, "apply_drop", waits)
        request = request_of(dataset, PROPORTIONAL)
        uri = request["operator_uri"]
        stream = asyncio.run(execute_or_delegate_operator(uri, request)).result
        next(stream)
        while not jobs.on(dataset.name)[0].fraction:
            next(stream)
        return stream, go_on

    yield start
    go_on.set()
    for job in jobs.on(dataset.name):
        assert job.ended.wait(30)


def test_where_nothing_runs_the_form_says_so(jobs, form, dataset):
    assert "No operator of DRoP" in problems(form(dataset, operator="running"))["problem"]


def test_an_operator_whose_page_was_closed_is_found_with_how_far_it_is(
    at_work, jobs, form, run_in_app, dataset
):
    stream, go_on = at_work()
    stream.close()  # the tab
    drawn = form(dataset, operator="running")
    (key,) = choices(drawn["job"])
    (choice,) = drawn["job"].view.choices
    assert "DRoP: prune to a density: 27%, Training 5 query models (3 of 10)" in choice.label
    assert problems(drawn) == {}
    go_on.set()
    invocations = run_in_app(dataset, {"job": key, "action": "follow"}, operator="running")
    schema, _ = output([one for one in invocations if one[0] == "show_output"][-1:])
    assert "Kept 150 of 300 samples" in texts(schema)
    assert names(invocations)[-1] == "reload_dataset"
    assert fod.list_drops(dataset) == ["drop"]
    (choice,) = form(dataset, operator="running")["job"].view.choices
    assert "ended" in choice.label


def test_work_goes_on_where_the_page_is_closed_at_its_first_word(jobs, request_of, dataset):
    request = request_of(dataset, PROPORTIONAL)
    stream = asyncio.run(execute_or_delegate_operator(request["operator_uri"], request)).result
    next(stream)
    stream.close()
    (job,) = jobs.on(dataset.name)
    assert job.ended.wait(30)
    assert fod.list_drops(dataset) == ["drop"]


def test_a_cancelled_one_leaves_nothing_and_says_so(at_work, jobs, run_in_app, dataset):
    fields = list(dataset.get_field_schema())
    stream, go_on = at_work()
    (job,) = jobs.on(dataset.name)
    run_in_app(dataset, {"job": job.key, "action": "cancel"}, operator="running")
    go_on.set()
    last = [message.body for message in stream][-1]
    assert last.operator_uri == "show_output"
    assert "Cancelled. Nothing was pruned" in texts(last.params["outputs"])
    dataset.reload()
    assert list(dataset.get_field_schema()) == fields
    assert precheck.runs(dataset) == {}
    assert not dataset.list_saved_views()


def test_whoever_cancels_one_whose_page_was_closed_sees_how_it_ends(
    at_work, jobs, run_in_app, dataset
):
    stream, go_on = at_work()
    stream.close()  # the tab
    (job,) = jobs.on(dataset.name)
    threading.Timer(0.2, go_on.set).start()
    cancels = run_in_app(dataset, {"job": job.key, "action": "cancel"}, operator="running")
    schema, _ = output([one for one in cancels if one[0] == "show_output"][-1:])
    assert "Cancelled. Nothing was pruned" in texts(schema)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_work_whose_thread_is_told_to_end_has_ended(
    jobs, run_in_app, request_of, dataset, monkeypatch
):
    def told_to_end(*_, **__):
        raise SystemExit

    monkeypatch.setattr(fod, "apply_drop", functools.wraps(fod.apply_drop)(told_to_end))
    request = request_of(dataset, PROPORTIONAL)
    stream = asyncio.run(execute_or_delegate_operator(request["operator_uri"], request)).result
    with contextlib.suppress(SystemExit):
        list(stream)
    (job,) = jobs.on(dataset.name)
    assert job.ended.is_set()
    follows = run_in_app(dataset, {"job": job.key, "action": "follow"}, operator="running")
    assert "It was cut off" in texts(output(follows)[0])


def test_one_that_is_cancelled_while_it_writes_leaves_nothing_either(
    jobs, run_in_app, dataset, monkeypatch
):
    fields = list(dataset.get_field_schema())
    report = jobs.Job.report

    def cancels(self, fraction, words, *, can_stop):
        if words.startswith("Writing"):
            self.cancel()
        report(self, fraction, words, can_stop=can_stop)

    monkeypatch.setattr(jobs.Job, "report", cancels)
    shown, _ = output(run_in_app(dataset, PROPORTIONAL))
    assert "Cancelled. Nothing was pruned" in texts(shown)
    dataset.reload()
    assert list(dataset.get_field_schema()) == fields
    assert precheck.runs(dataset) == {}
    monkeypatch.setattr(jobs.Job, "report", report)
    shown, _ = output(run_in_app(dataset, PROPORTIONAL))
    assert "Kept 150 of 300 samples" in texts(shown)


def test_a_training_that_has_written_its_predictions_writes_its_scores_too(
    jobs, run_in_app, dataset, monkeypatch
):
    import_scores = fod.import_scores

    @functools.wraps(import_scores)
    def too_late(*args, **kwargs):
        jobs.on(dataset.name)[0].cancel()
        return import_scores(*args, **kwargs)

    monkeypatch.setattr(fod, "import_scores", too_late)
    params = {"label_field": "ground_truth", "epochs": 1, "key": "quick", "scores": ["el2n"]}
    shown, _ = output(run_in_app(dataset, params, operator="train_query_model"))
    assert "Trained on 240 samples" in texts(shown)
    dataset.reload()
    assert dataset.has_field("quick_el2n")


def test_a_training_whose_scores_fail_says_what_it_has_written(run_in_app, dataset, monkeypatch):
    def fail(*args, **kwargs):
        raise fod.DropError("dataset", "is away")

    monkeypatch.setattr(fod, "import_scores", fail)
    params = {"label_field": "ground_truth", "epochs": 1, "key": "quick", "scores": ["el2n"]}
    shown, _ = output(run_in_app(dataset, params, operator="train_query_model"))
    words = texts(shown)
    assert "Nothing was" not in words
    assert "Written: the predictions and the evaluation of 'quick'" in words
    assert "is away" in words


def test_what_goes_on_in_the_background_leaves_the_grid_alone(at_work, jobs, run_in_app, dataset):
    stream, go_on = at_work()
    (job,) = jobs.on(dataset.name)
    leaves = run_in_app(dataset, {"job": job.key, "action": "leave"}, operator="running")
    assert "goes on" in texts(output(leaves)[0])
    go_on.set()
    assert [message.body.operator_uri for message in stream if message] in ([], ["set_progress"])
    assert job.ended.wait(30)
    follows = run_in_app(dataset, {"job": job.key, "action": "follow"}, operator="running")
    assert names(follows) == ["show_output", "reload_dataset"]
    assert fod.list_drops(dataset) == ["drop"]


def test_after_a_while_the_bar_has_buttons(jobs, module_of_plugin, dataset, monkeypatch):
    following = module_of_plugin("following")
    ctx = SimpleNamespace(ops=SimpleNamespace(show_output=lambda schema, data: schema))
    job = jobs.start(dataset.name, "DRoP: prune to a density")
    monkeypatch.setattr(following, "SECONDS_WITHOUT_BUTTONS", 0)
    shown = following.progress(ctx, job)["type"]["properties"]
    assert shown["cancel"]["view"]["operator"] == following.RUNNING
    assert shown["cancel"]["view"]["params"] == {"job": job.key, "action": "cancel"}
    job.cancel()
    shown = following.progress(ctx, job)["type"]["properties"]
    assert "cancel" not in shown


def test_a_job_that_is_not_there_is_said_in_words(jobs, run_in_app, dataset):
    shown, _ = output(run_in_app(dataset, {"job": "nope"}, operator="running"))
    assert "No operator of DRoP is at work" in texts(shown)
    shown, _ = output(run_in_app(dataset, {"action": "delete"}, operator="running"))
    assert "action" in texts(shown)


def test_the_panel_says_what_is_at_work(jobs, module_of_plugin, dataset):
    jobs.start(dataset.name, "DRoP: compute difficulty scores").report(0.4, "Scoring 300 images")
    page = module_of_plugin("panel_data").page(dataset, None)
    assert "At work: DRoP: compute difficulty scores: 40%, Scoring 300 images" in page


def test_results_are_kept_for_a_while(jobs, monkeypatch):
    for number in range(jobs.MOST_KEPT + 5):
        jobs.start("d", str(number)).end(({}, {}), None)
    assert len(jobs.on("d")) == jobs.MOST_KEPT
    assert jobs.at_work("d") == []
    later = jobs.time.monotonic() + jobs.HOURS_KEPT * 3600 + 1
    monkeypatch.setattr(jobs.time, "monotonic", lambda: later)
    assert jobs.on("d") == []


def test_bars_of_many_stages_are_one_that_never_goes_back(module_of_plugin, monkeypatch):
    worker, reports = module_of_plugin("worker"), []
    monkeypatch.setattr(worker, "SECONDS_BEFORE_A_GUESS", 0)
    monkeypatch.setattr(worker, "SECONDS_BETWEEN_REPORTS", 0)
    logger = logging.getLogger("fiftyone.drop")
    with worker.progress_in_words(lambda *report: reports.append(report)) as progress:
        for words in (None, "Training 5 query models", "Scoring 300 images", "Writing el2n"):
            if words:
                logger.info(words)
            with fou.ProgressBar(total=10, progress=progress) as bar:
                for done in range(10):
                    bar.update(1)
                    if words and words.startswith("Training") and done == 5:
                        logger.info("Training: about 2 min left")
                    progress(bar)
    fractions = [fraction for fraction, _ in reports]
    assert fractions == sorted(fractions)
    assert fractions[-1] == pytest.approx(1)
    words = [text for _, text in reports]
    assert "Reading samples (10 of 10)" in words
    assert any(t.startswith("Training") and t.endswith(" s left") for t in words)
    assert not any("2 min" in text for text in words)  # said once, and soon no longer true
    assert not any("orking" in text or "Stage" in text for text in words)
