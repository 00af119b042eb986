"""Type checkers see the types, on the install that ``make`` makes and on a wheel."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from wheels import build

SCRIPT = """\
from typing import cast

import fiftyone as fo  # type: ignore[import-untyped]

import fiftyone_drop as fod

dataset = fo.load_dataset("my-images")
reveal_type(fod.allocate([100, 50], [0.9, 0.6], 0.5).quotas)
reveal_type(fod.load_drop(dataset, "drop").table.names)
reveal_type(fod.report(dataset, "drop").findings)
fod.apply_drop(dataset, densty=0.5)
fod.allocate("many", density="half")
fod.prune(dataset)
target = cast(fod.TargetView, dataset)
target.apply_drop(0.5, key="half")
target.apply_drop(0.5, key=3)
"""
REVEALED = {
    8: r".*ndarray\[.*signedinteger.*\]",
    9: r"(builtins\.)?list\[(builtins\.)?str\]",
    10: r".*tuple\[.*str.*\]",
}
WRONG = {11, 12, 13, 16}  # lines


def run(*command, folder):
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, timeout=300
    )


def mypy(python, folder):
    """What mypy reveals, and the lines of its errors."""
    options = ["--python-executable", python, "--no-error-summary", "--cache-dir", folder / "cache"]
    done = run(sys.executable, "-m", "mypy", *options, "script.py", folder=folder)
    found = re.findall(r"^script\.py:(\d+): (note|error): (.*)$", done.stdout, re.MULTILINE)
    assert found, done.stdout + done.stderr
    types = {
        int(line): words.split('"')[1] for line, _, words in found if words.startswith("Revealed")
    }
    return types, {int(line) for line, kind, _ in found if kind == "error"}


def pyright(python, folder):
    """The same of pyright, whose wheels as basedpyright bring the Node.js that it needs."""
    settings = {"typeCheckingMode": "standard", "reportMissingTypeStubs": False}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    program = Path(sys.executable).parent / "basedpyright"
    done = run(program, "--pythonpath", python, "--outputjson", "script.py", folder=folder)
    found = json.loads(done.stdout)["generalDiagnostics"]
    places = [(d["range"]["start"]["line"] + 1, d["severity"], d["message"]) for d in found]
    types = {n: message.split('"')[-2] for n, kind, message in places if kind == "information"}
    return types, {n for n, kind, _ in places if kind == "error"}


@pytest.fixture(scope="module")
def wheel_python(tmp_path_factory):
    """The Python of an environment with the wheel, which finds all other packages in ours."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "venv", "--without-pip", "venv", folder=folder)
    python = folder / "venv" / "bin" / "python"
    (site,) = (folder / "venv" / "lib").glob("*/site-packages")
    install = ["-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--no-index"]
    installed = run(sys.executable, *install, build(folder), folder=folder)
    assert installed.returncode == 0, installed.stderr
    # The path alone: the .pth files in it, and with them our own install, are not followed
    (site / "others.pth").write_text(f"{Path(np.__file__).parents[1]}\n")
    where = run(python, "-c", "import fiftyone_drop as f; print(f.__file__)", folder=folder)
    assert where.stdout.startswith(str(site)), where.stderr
    return python


@pytest.mark.slow
@pytest.mark.parametrize("checker", [mypy, pyright])
def test_a_checker_sees_the_types(checker, wheel_python, tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    for python in (sys.executable, wheel_python):  # what is alike in both is checked once
        types, errors = checker(python, tmp_path)
        assert errors == WRONG, python
        for line, kind in REVEALED.items():
            assert re.fullmatch(kind, types[line]), (python, types[line])
