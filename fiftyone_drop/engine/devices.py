"""Where models run, and how many threads read images for them."""

from __future__ import annotations

import os

from fiftyone_drop import checks
from fiftyone_drop._torch import torch
from fiftyone_drop.errors import DropError

MOST_WORKERS = 16  # unless the user says another number
MOST_THREADS = 1024


def choose_device(device: str | torch.device | None) -> torch.device:
    """The device of that name; for None, CUDA where there is one, else the CPU.

    Raises:
        DropError: if this machine has no such device
    """
    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(check_device(device))


def check_device(device: str | torch.device) -> str:
    """The name of a device that this machine has.

    Raises:
        DropError: if it has none of that name
    """
    name = str(device) if isinstance(device, torch.device) else checks.text("device", device)
    try:
        torch.zeros(1, device=name).item()  # 'meta' would have no value
    except (RuntimeError, AssertionError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DropError(
            "device",
            f"must be a device of this machine, such as 'cpu', but got {name!r} ({reason}); "
            "leave it out to take the best device",
        ) from error
    return name


def check_workers(workers: object) -> int | None:
    """The number of threads that read images, or None.

    Raises:
        DropError: if it is no such number
    """
    return checks.whole("workers", workers, least=1, most=MOST_THREADS, optional=True)


def default_workers() -> int:
    """The number of threads that read images, unless the user says another."""
    return min(os.cpu_count() or 1, MOST_WORKERS)


def memory() -> int:
    """The bytes of memory that this machine has; 0 where that is not known."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):  # not on Windows
        return 0
