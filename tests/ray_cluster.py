"""A Ray cluster of two nodes on this machine, one for all tests of a run, and nodes that die."""

import contextlib
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from with_mongod import free_port

# Ray's command, which would take an address of the network for 127.0.0.1, and listen there
RAY = """
import os, signal, threading, time

def end_with(owner):
    while os.path.exists(f"/proc/{owner}"):
        time.sleep(1)
    os.kill(os.getpid(), signal.SIGTERM)  # which ends the node

threading.Thread(target=end_with, args=(os.environ["DROP_TEST_OWNER"],), daemon=True).start()

from ray._private import services
services.resolve_ip_for_localhost = lambda host: host
from ray.scripts.scripts import main
main()
"""
LOCAL = "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"  # "0": this process takes 127.0.0.1 for what it is
OPEN = {"RAY_AUTH_MODE": "disabled"}  # whatever token lies in the home of who runs the tests
PLACE = "DROP_TEST_CLUSTER"  # in the environment: the folder in which the tests of a run share one
OWNER = "DROP_TEST_OWNER"  # the process that runs the tests; without it nodes end
PATIENCE = 300  # seconds until a node that does not answer has failed


class Node:
    """A node of a cluster: a group of processes.

    Args:
        folder: for its logs; Ray's sockets want a short path
        options: of ``ray start``
        ip: its address
        inside: a command that runs another one, such as in a network of its own
        faults: settings of Ray by which it sees soon that a node has gone
        resources: what it says it has
    """

    def __init__(
        self, folder, *options, cpus=1, gpus=0, ip="127.0.0.1", inside=(), faults=(), **resources
    ):
        command = [*inside, sys.executable, "-c", RAY, "start", "--block", "--disable-usage-stats"]
        command += [f"--node-ip-address={ip}"]
        command += [f"--num-cpus={cpus}", f"--num-gpus={gpus}"]
        command += ["--object-store-memory=100000000", f"--resources={json.dumps(resources)}"]
        command += ["--no-monitor", "--include-log-monitor=false"]  # which nobody here reads
        environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
        environment |= {"OMP_NUM_THREADS": "1", LOCAL: "1", **OPEN}
        environment |= {"RAY_raylet_start_wait_time_s": str(PATIENCE)}
        # Ray lowers the priority of what computes: on a busy machine that would hardly run
        environment |= {"RAY_worker_niceness": "0", **dict(faults)}
        environment |= {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
        # Else a process of one runner of tests would be ended, as idle, for one of the other
        environment |= {"RAY_num_workers_soft_limit": "8"}
        # A worker that needed the server of the tests would find none
        environment.pop("FIFTYONE_DATABASE_URI", None)
        self.log = Path(folder) / f"node-{time.monotonic_ns()}.log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, *options],
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._wait()

    def _wait(self):
        end = time.monotonic() + PATIENCE
        while "Ray runtime started" not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > end:
                raise AssertionError(self.log.read_text())
            time.sleep(0.1)

    def kill(self):
        """End all of its processes with SIGKILL, as a machine that loses power ends them."""
        end(self.process.pid)
        self.process.wait()


def end(group):
    """End a group of processes, and what they started in groups of their own."""
    for pid in [*descendants(group), group]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def descendants(pid):
    """The processes that a process has started, and those that these have."""
    children = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = status.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(status.parent.name))
    found, left = [], [pid]
    while left:
        found += children.get(left[0], [])
        left += children.get(left.pop(0), [])
    return found


def address():
    """The address of the cluster of this run of tests, which is started if there is none yet."""
    folder = Path(os.environ[PLACE])
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        known = folder / "address"
        if not known.exists():
            head, there = start(folder)
            (folder / "pids").write_text(f"{head.process.pid}\n")
            other = add_node(there, folder)
            (folder / "pids").write_text(f"{head.process.pid}\n{other.process.pid}\n")
            known.write_text(there)
        return known.read_text()


def start(folder, ip="127.0.0.1", **about):
    """The first node of a cluster, and the address of both."""
    port = free_port()
    options = ["--head", f"--port={port}", f"--temp-dir={folder}", "--include-dashboard=false"]
    return Node(folder, *options, ip=ip, **about), f"{ip}:{port}"


@contextlib.contextmanager
def alone(**about):
    """The address of a cluster of one node, which ends with the context.

    For tests in which a machine dies: Ray may later wait for it for ever, in any test.
    """
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head, there = start(folder, **about)
        try:
            yield there
        finally:
            head.kill()


def add_node(address, folder=None, **about):
    """One more node."""
    return Node(folder or os.environ[PLACE], f"--address={address}", **about)


@contextlib.contextmanager
def place():
    """A folder for the cluster of a run of tests, which is ended with the run."""
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        try:
            yield folder
        finally:
            pids = Path(folder) / "pids"
            for group in re.findall(r"\d+", pids.read_text() if pids.exists() else ""):
                end(int(group))
