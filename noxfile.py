"""The versions that are supported, each tried in an environment of its own: ``make matrix``.

``oldest`` has the lower bound of each requirement, ``newest`` what its bounds and the Python allow
today. The tests are a small part of all, on one core: what reads and writes FiftyOne and MongoDB,
opens images, trains, runs models, loads the plugin, and the command line. ``make test`` runs all.
"""

import re
from pathlib import Path

import nox

nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "never"

# NumPy 1.26 and SciPy 1.11 have no wheels for Python 3.13
ENVIRONMENTS = [
    ("3.10", "oldest"),
    ("3.10", "newest"),
    ("3.11", "newest"),
    ("3.12", "newest"),
    ("3.13", "newest"),
]
TESTS = [
    "tests/test_reader.py",
    "tests/test_pruning.py",
    "tests/engine/test_images.py",
    "tests/inference/test_forward_pass.py",
    "tests/training/test_fitting.py",
    "tests/plugin/test_plugin_loading.py",
    "tests/cli/test_process.py",
]


def lower_bounds():
    """The oldest version of each requirement, as ``name==version``."""
    lines = Path("requirements.txt").read_text().splitlines()
    return [re.sub(r">=([^,]+),.*", r"==\1", line) for line in lines]


@nox.session
@nox.parametrize("python,bounds", ENVIRONMENTS, ids=map("-".join, ENVIRONMENTS))
def matrix(session, bounds):
    """Install, run the tests, and write down the versions and the result."""
    pins = lower_bounds() if bounds == "oldest" else []
    session.install("--editable", ".[test]", "uv", *pins)
    session.run("python", "scripts/ensure_mongod.py")
    report = Path(session.create_tmp(), "report.xml")
    session.run(
        *("python", "-m", "pytest", "--quiet", "-m", "not slow", f"--junit-xml={report}", *TESTS),
        success_codes=[0, 1],  # what failed is written down too
    )
    session.run("python", "scripts/docs_compatibility.py", bounds, str(report))
