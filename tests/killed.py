"""A process that ends itself with SIGKILL in the middle of its work, and what it left."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

# A mark shows whether this machine keeps what a killed process has written
END = """
import os, signal, sys

def end():
    with open(sys.argv[1] + ".mark", "wb") as file:
        file.write(b"here")
        file.flush()
        os.fsync(file.fileno())
    print("ends itself", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""
TRIES = 3


def leave_checkpoint(code, folder, *arguments, environment=None):
    """Run code that calls ``end()``, and see that it ended there and left a checkpoint.

    The code writes its checkpoint into the folder, which is its first argument.
    """
    command = [sys.executable, "-c", END + code, str(folder), *map(str, arguments)]
    for _ in range(TRIES):  # somebody else may have killed it
        done = subprocess.run(
            command,
            env=os.environ | (environment or {}),
            check=False,
            capture_output=True,
            text=True,
            timeout=300,
        )
        said = f"{done.stdout}\n{done.stderr}"
        assert done.returncode == -signal.SIGKILL, said
        if "ends itself" in done.stdout:
            break
    else:
        pytest.skip("another process kills this one before it comes to its end")
    if not Path(f"{folder}.mark").exists():
        pytest.skip("this machine loses what a killed process has written and flushed")
    assert list(folder.glob("checkpoint-*/*.pt")), f"{list(folder.rglob('*'))}\n{said}"
