"""What a newcomer does, in an empty home: ``make newcomer``. Prints each step and its seconds.

Clones the repository as git has it, runs the commands of the README and its example as printed,
every block of the documentation with the notebook, both installs of the plugin and the examples of
the command line, then all tests, and looks whether the clone is as clean as before.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
TESTS = "tests/test_docs.py tests/plugin/test_installing.py"
EXAMPLES = "-k 'example or page' tests/cli/test_commands.py"


def step(words: str, command: str, clone: Path, env: dict[str, str], given: str = "") -> None:
    """Run a command of a newcomer; end everything if it fails."""
    start = time.perf_counter()
    done = subprocess.run(
        ["bash", "-c", command], cwd=clone, env=env, input=given, capture_output=True, text=True
    )
    print(f"{time.perf_counter() - start:6.0f} s  {words}", flush=True)
    if done.returncode or "Traceback" in done.stderr:
        raise SystemExit(f"{command} failed:\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}")


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="newcomer-") as folder:
        home, clone = Path(folder, "home"), Path(folder, "fiftyone-drop")
        home.mkdir()
        kept = ("PATH", "LANG", "PIP_", "UV_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy")
        env = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        env |= {"HOME": str(home), "PYTHON": sys.executable}
        step("git clone", f"git clone --quiet {ROOT} {clone}", Path(folder), env)
        example = re.findall(r"```python\n(.*?)```", (clone / "README.md").read_text(), re.DOTALL)
        pytest = ".venv/bin/python -m pytest -q --numprocesses 0"
        step("make demo", "make demo", clone, env)
        step("the README's example in make python", "make python", clone, env, example[0])
        step("every block of the documentation, and both installs", f"{pytest} {TESTS}", clone, env)
        step("the command line's examples", f"{pytest} {EXAMPLES}", clone, env)
        step("make test", "make test", clone, env)
        step("the clone is clean", 'test -z "$(git status --porcelain)"', clone, env)


if __name__ == "__main__":
    main()
