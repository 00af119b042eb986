"""Benchmarks run, and what they check holds, at a size that a test can afford."""

import subprocess
import sys
from pathlib import Path

import docs_benchmarks
import pytest

BENCHMARKS = Path(__file__).resolve().parents[1] / "benchmarks"


def run(script, *arguments):
    """What a benchmark prints; it uses the server of this test session."""
    done = subprocess.run(
        [sys.executable, BENCHMARKS / script, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_client_that_is_killed_leaves_a_whole_run_or_one_that_is_replaced():
    out = run("kill_client.py", "--samples", "2000", "--kills", "3", "--lease", "1")
    assert "3 kills of a write of 2,000 samples, 0 failures" in out


@pytest.mark.slow
def test_the_data_layer_benchmark_runs_and_cleans_up():
    import fiftyone as fo

    before = fo.list_datasets()
    out = run("data_layer.py", "--quick")
    assert "reading ids and labels, 10,000 samples of 100 classes" in out
    assert "peak_bytes_per_sample" in out
    assert fo.list_datasets() == before


@pytest.mark.slow
def test_the_app_benchmark_runs_asks_nothing_while_dragging_and_cleans_up(needs_chromium):
    import fiftyone as fo

    before = fo.list_datasets()
    out = run("app.py", "--quick")
    assert '"requests_while_dragging": 0' in out
    assert "until the grid says the count" in out
    assert fo.list_datasets() == before


def test_the_order_benchmark_runs():
    out = run("order.py", "--samples", "20000", "--classes", "50", "--repeats", "1")
    assert "order of 20,000 samples of 50 classes" in out


def test_the_page_of_the_benchmarks_is_what_they_recorded_last():
    page = docs_benchmarks.PAGE.read_text()
    assert page == docs_benchmarks.render(), "run make docs"
    files = {str(path.relative_to(docs_benchmarks.RESULTS)) for path in recorded()}
    assert files == {topic.file for topic in docs_benchmarks.TOPICS}, "each file is on the page"


def recorded():
    """The files of results that are of the benchmarks, and not of the paper's experiment."""
    results = docs_benchmarks.RESULTS
    return [*results.glob("*.jsonl"), results / "gpu" / "prices.jsonl"]


def test_a_newer_record_of_a_measurement_takes_the_place_of_older_ones_of_its_size():
    first = {"title": "writing 1,000 samples; fastest plain: one"}
    second = {"title": "reading"}
    third = {"title": "writing 1,000 samples; fastest plain: two"}
    larger = {"title": "writing 20,000 samples"}
    original = third | {"settings": {"original": True}}
    records = [first, second, larger, third, original]
    assert docs_benchmarks.newest(records) == [third, second, larger, original]
