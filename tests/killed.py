"""A process that ends itself with SIGKILL in the middle of its work, and what it left."""

import os
import signal
import subprocess
import sys

END = """
import os, signal, sys

def end():
    print("ends itself", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def leave_checkpoint(code, folder, *arguments, environment=None):
    """Run code that calls ``end()``, and see that it ended there and left a checkpoint.

    The code writes its checkpoint into the folder, which is its first argument.
    """
    done = subprocess.run(
        [sys.executable, "-c", END + code, str(folder), *map(str, arguments)],
        env=os.environ | (environment or {}),
        check=False,
        capture_output=True,
        text=True,
        timeout=300,
    )
    said = f"{done.stdout}\n{done.stderr}"
    assert done.returncode == -signal.SIGKILL, said
    assert "ends itself" in done.stdout, said
    assert list(folder.glob("checkpoint-*/*.pt")), f"{list(folder.rglob('*'))}\n{said}"
