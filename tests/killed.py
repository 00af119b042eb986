"""A process that ends itself with SIGKILL in the middle of its work, and what it left."""

import os
import signal
import subprocess
import sys


def leave_checkpoint(code, folder, *arguments, environment=None):
    """Run code that ends itself with SIGKILL, and see that it was that, and not something earlier.

    The code writes its checkpoint into the folder, which is its first argument.
    """
    command = [sys.executable, "-c", code, str(folder), *map(str, arguments)]
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
    assert list(folder.glob("checkpoint-*/*.pt")), f"{list(folder.rglob('*'))}\n{said}"
