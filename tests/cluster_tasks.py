"""What the tests have a cluster compute. Light: its processes import no PyTorch for it."""

import os
import signal
import sys
import time
from pathlib import Path

import numpy as np


def facts(part):
    """What a process of the cluster knows of itself."""
    time.sleep(0.05)
    yield {
        "part": part,
        "pid": os.getpid(),
        "modules": sorted(sys.modules),
        "devices": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }


def killing(part, folder):
    """Ends its process at the third part, the first time."""
    done = Path(folder) / f"{part}"
    if part == 2 and not done.exists():
        done.touch()
        os.kill(os.getpid(), signal.SIGKILL)
    yield part, os.getpid()


def half_a_megabyte(part):
    yield np.full(2**17, part, np.float32)


class LoadedOnce:
    """Takes a second to unpickle, and fails where that was interrupted before, as PyTorch would."""

    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return _loaded, (self.folder,)

    def __call__(self, part):
        yield part


_is_half_loaded = False


def _loaded(folder):
    global _is_half_loaded
    if _is_half_loaded:
        raise ImportError("half of it was loaded before")
    _is_half_loaded = True
    (Path(folder) / str(os.getpid())).touch()
    time.sleep(1)
    _is_half_loaded = False
    return LoadedOnce(folder)
