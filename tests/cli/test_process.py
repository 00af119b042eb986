"""The command as a shell starts it: what its help costs, its streams and its exit code."""

import json
import resource
import subprocess
import sys
from pathlib import Path

from fresh import run

PROGRAM = Path(sys.executable).parent / "fiftyone-drop"
MOST_CPU = 0.5  # seconds


def call(*arguments):
    return subprocess.run(
        [PROGRAM, *arguments], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )


def test_help_starts_fast():
    def cpu():
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    costs = []
    for _ in range(3):
        before = cpu()
        assert call("apply", "--help").returncode == 0
        costs.append(cpu() - before)
    assert min(costs) < MOST_CPU


def test_help_and_wrong_usage_import_neither_torch_nor_fiftyone():
    out = run("""
        import sys
        from fiftyone_drop.cli.main import main
        for line in ([], ["--help"], ["plan", "--help"], ["plan"], ["--version"]):
            try:
                main(line)
            except SystemExit:
                pass
        print([n for n in ("torch", "fiftyone", "numpy", "scipy") if n in sys.modules])
    """)
    assert out.splitlines()[-1] == "[]"


def test_json_alone_is_on_stdout_whatever_fiftyone_prints(dataset):
    line = ["apply", dataset.name, "--density", "0.5", "--rule", "proportional", "--progress"]
    done = call(*line, "--label-field", "ground_truth", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["kept"] == 150
    dataset.reload()
    assert dataset.count_values("drop_kept") == {True: 150, False: 150}


def test_a_server_that_cannot_be_reached_is_a_sentence_and_code_1(monkeypatch):
    address = "mongodb://127.0.0.1:1/?serverSelectionTimeoutMS=100"
    monkeypatch.setenv("FIFTYONE_DATABASE_URI", address)
    done = call("list", "my-images")
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: FiftyOne cannot reach its database")
    assert "127.0.0.1:1" in last
    assert "FIFTYONE_DATABASE_URI" in last
    assert "Traceback" not in done.stderr


def test_an_error_is_a_sentence_and_code_1():
    done = call("list", "no-such-dataset")
    assert (done.returncode, done.stdout) == (1, "")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("Error: dataset: 'no-such-dataset' does not exist")
    assert "Traceback" not in done.stderr
