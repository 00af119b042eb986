"""Without Chromium the last line of the tests says what was left out, and what adds it."""

import os
import subprocess
import sys
from pathlib import Path

from pages import ROOT

COMPONENT = ROOT / "tests" / "app" / "test_component.py"


def test_the_last_line_counts_the_skipped_tests_and_names_the_one_command():
    env = {name: value for name, value in os.environ.items() if name != "DROP_REQUIRE_CHROMIUM"}
    command = [sys.executable, "-m", "pytest", "-q", "-n0", "-p", "no:cacheprovider", COMPONENT]
    done = subprocess.run(
        [*command, "-k", "keyboard"],
        cwd=ROOT,
        env=env | {"PATH": str(Path(sys.executable).parent)},  # Chromium is not in it
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    count = int(last.split()[0])
    assert count > 0
    assert f"{count} skipped" in done.stdout
    assert "no Chromium" in last
    assert last.endswith("make chromium test")
