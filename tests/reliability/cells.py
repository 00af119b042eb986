"""A cell of the table in docs/reliability.md: the cases of one call and one fault.

With ``DROP_FAULTS=long`` every cell leaves a line in ``tests/reliability/results.jsonl``, and one
without a failure is not run again: a long run goes on where it stopped.
"""

import contextlib
import importlib.metadata
import json
import os
import platform
import sys
import time
from pathlib import Path

import pytest
from writing_calls import CALLS

sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))
from reporting import commit, processor

WRITE_FAULTS = (
    *("write fails once", "write fails after its effect", "writes fail from then on"),
    *("Ctrl-C at a write", "Ctrl-C after a write"),
)
CALLBACK_FAULTS = ("callback raises", "Ctrl-C in a callback")
CRASHES = (
    *("client killed", "database killed", "connection cut for a while"),
    *("connection cut for good", "disk full"),
    *("database away for a while", "database killed between writes"),
)
FAULTS = (*WRITE_FAULTS, *CALLBACK_FAULTS, *CRASHES, "another session is stale")
# Rounds of calls at once, which are no calls of the registry
ROUNDS = (*("2 to 4 processes", "4 threads of one process", "two operators in one App server"),)
LONG = os.environ.get("DROP_FAULTS") == "long"
RESULTS = Path(__file__).with_name("results.jsonl")
PACKAGES = ("fiftyone", "pymongo", "torch")


def cells_of(faults):
    """Pairs of a call and a fault, to test: all, or without the long switch one for each call."""
    faults = list(faults)
    if LONG:
        return [(call, fault) for call in CALLS for fault in faults]
    return [(call, faults[i % len(faults)]) for i, call in enumerate(CALLS)]


class Cell:
    """The cases of a call and a fault.

    Attributes:
        cases: how many there were
        failures: words for each that failed
    """

    def __init__(self):
        self.cases, self.failures = 0, []

    def add(self, problems, where):
        """Count a case, with what was wrong after it."""
        self.cases += 1
        if problems:
            self.failures.append(f"{where}: {'; '.join(problems)}")


@contextlib.contextmanager
def cell(call, fault, seed=0):
    """Count the cases of a call and a fault; failures fail the test at the end, all of them."""
    line = recorded().get((call, fault)) if LONG else None
    if line and not line["failures"]:
        pytest.skip("its line is in results.jsonl already")
    counted, start = Cell(), time.monotonic()
    yield counted
    if LONG:
        line = {
            "call": call,
            "fault": fault,
            "cases": counted.cases,
            "seed": seed,
            "failures": len(counted.failures),
            "seconds": round(time.monotonic() - start, 1),
            "machine": machine(),
        }
        if counted.failures:
            line["words"] = counted.failures
        with RESULTS.open("a") as file:
            file.write(json.dumps(line) + "\n")
    if counted.failures:
        n = len(counted.failures)
        pytest.fail("\n".join([f"{n} of {counted.cases} cases failed", *counted.failures[:20]]))


def recorded():
    """(call, fault) -> the last line of each cell that was recorded."""
    if not RESULTS.exists():
        return {}
    lines = map(json.loads, RESULTS.read_text().splitlines())
    return {(line["call"], line["fault"]): line for line in lines}


def machine():
    """Where and with what the cell was run."""
    import fiftyone.core.odm as foo

    facts = {name: importlib.metadata.version(name) for name in PACKAGES}
    mongod = foo.get_db_client().server_info()["version"]
    return {
        "processor": processor(),
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        **facts,
        "mongod": mongod,
        "commit": commit(),
        "date": time.strftime("%Y-%m-%d"),
    }
