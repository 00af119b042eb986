"""Run the README's example on the demo's digits and write code and output into docs/start.md."""

import contextlib
import io
import os
import platform
import re
import time
import warnings
from importlib.metadata import version
from pathlib import Path

import fiftyone_drop as fod

ROOT = Path(__file__).resolve().parents[1]
START = ROOT / "docs" / "start.md"
EXAMPLE = re.findall(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)[0]


def run_example() -> str:
    """What the example prints, warnings included."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out), warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", fod.DropWarning)
        exec(EXAMPLE, {})
    said = [f"DropWarning: {w.message}" for w in caught if w.category is fod.DropWarning]
    return "\n".join([*said, out.getvalue().strip()])


def main() -> None:
    start = time.perf_counter()
    output = run_example()
    seconds = time.perf_counter() - start
    hardware = f"{os.cpu_count()} cores of {platform.machine()}"
    versions = f"PyTorch {version('torch')}, FiftyOne {version('fiftyone')}"
    block = (
        f"```python\n{EXAMPLE}```\n\n```\n{output}\n```\n\n"
        f"(Real output of `make readme`: {seconds:.0f} s on {hardware}, {versions}, seed 51.)\n"
    )
    text = START.read_text()
    pattern = r"(<!-- example:.*?-->\n).*?(<!-- /example -->)"
    START.write_text(re.sub(pattern, lambda m: m[1] + block + m[2], text, flags=re.DOTALL))


if __name__ == "__main__":
    main()
