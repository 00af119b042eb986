"""A Python process of its own, in which nothing has been imported yet."""

import subprocess
import sys
import textwrap


def run(code):
    """Run some lines in it; what they print."""
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
