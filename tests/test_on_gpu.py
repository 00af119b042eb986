"""The script for a GPU machine runs where there is neither a GPU nor FiftyOne."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from test_paper import archive

__all__ = ["archive"]

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "on_gpu.py"
PARTS = {
    "checks of devices",
    "images",
    "price of GraNd, resnet18",
    "price of the recorder",
    "price of scores",
    "fast",
}


@pytest.mark.slow
def test_the_dry_run_does_every_part_without_fiftyone_and_goes_on_from_its_results(
    archive, tmp_path
):
    blocked = "import sys\nsys.modules.update(fiftyone=None, pymongo=None, bson=None)\n"
    (tmp_path / "sitecustomize.py").write_text(blocked)
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}

    def run(out, *more):
        command = [sys.executable, SCRIPT, "--cpu", "--archive", archive, "--out", out, *more]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run(tmp_path / "first", "--parts", "checks", "prices", "fast")
    records = [json.loads(x) for x in (tmp_path / "first" / "log.jsonl").read_text().splitlines()]
    failed = [record for record in records if record["ended"] != 0]
    assert failed == []
    assert {record["part"] for record in records} == PARTS
    again = run(tmp_path / "second", "--resume", tmp_path / "first", "--parts", "checks", "fast")
    assert "checks of devices: done earlier" in again
    assert "0 of 5 tasks to do" in again
