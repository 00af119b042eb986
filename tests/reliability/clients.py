"""Sessions in processes of their own, which hold a dataset, make calls, and can be killed.

FiftyOne takes seconds to import. So this file, run as a script, imports it once and forks a process
for each session; it has not connected to a database by then.
"""

import contextlib
import itertools
import os
import select
import signal
import socket
import subprocess
import sys
import time
import traceback
from multiprocessing.connection import Connection
from pathlib import Path

PATIENCE = 120  # seconds until a session that does not answer has failed


class DiedError(Exception):
    """The process of a session has ended."""


class Session:
    """A process that holds the dataset.

    Attributes:
        pid: of the process
    """

    def __init__(self, path, uri):
        with socket.socket(socket.AF_UNIX) as plug:
            plug.connect(str(path))
            self._connection = Connection(plug.detach())
        self._connection.send(uri)
        self.pid = self._receive()

    def tell(self, what, *arguments):
        """Begin something of ``DO``."""
        self._connection.send((what, arguments))

    def until_it_writes(self):
        """Wait until the call that was told writes to MongoDB for the first time, or pauses."""
        answer = self._receive()
        assert answer == "writing", answer

    def go_on(self):
        """Let a call that has paused go on."""
        self._connection.send("go on")

    def answer(self):
        """What became of it, ``"ok"``, ``"refused"`` or ``"failed"``, and the value or words."""
        while (answer := self._receive()) == "writing":
            pass
        return answer

    def ask(self, what, *arguments):
        """Do something of ``DO`` to its end; the value."""
        self.tell(what, *arguments)
        outcome, value = self.answer()
        assert outcome == "ok", (what, value)
        return value

    def kill(self):
        """End the process with SIGKILL."""
        os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(DiedError):
            while True:
                self._receive()

    def close(self):
        """Let the process end."""
        self._connection.close()

    def _receive(self):
        if not self._connection.poll(PATIENCE):
            raise AssertionError(f"no answer from a session within {PATIENCE} s")
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError) as error:
            raise DiedError from error


class Clients:
    """Starts sessions.

    Args:
        folder: for the socket
        environment: of the processes
    """

    def __init__(self, folder, environment):
        self._path = Path(folder) / "sessions"
        paths = os.pathsep.join(path for path in sys.path if path)
        self._server = subprocess.Popen(
            [sys.executable, __file__, str(self._path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**environment, "PYTHONPATH": paths},
        )
        assert self._server.stdout.readline() == b"ready\n"

    def session(self, uri):
        """A new session on the server at this URI."""
        return Session(self._path, uri)

    def close(self):
        self._server.stdin.close()
        self._server.wait(timeout=PATIENCE)


# -- in the other processes -----------------------------------------------------------------------


def main():
    import rounds  # noqa: F401  with all that is slow
    import torchvision  # noqa: F401

    from fiftyone_drop import score_fields  # noqa: F401

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as door:
        door.bind(sys.argv[1])
        door.listen()
        os.write(1, b"ready\n")
        while True:
            ready, _, _ = select.select([door, sys.stdin], [], [])
            if sys.stdin in ready:
                return  # the tests are over
            plug, _ = door.accept()
            if os.fork() == 0:
                door.close()
                for stream in (0, 1):  # nobody reads what it says, and a full pipe would hold it
                    os.dup2(os.open(os.devnull, os.O_RDWR), stream)
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                try:
                    serve(Connection(plug.detach()))
                finally:
                    os._exit(0)
            plug.close()


def serve(connection):
    """Do what the tests tell until they hang up."""
    import fiftyone as fo
    import small_world
    from writes import Writes

    from fiftyone_drop import DropError

    fo.config.database_uri = connection.recv()
    fo.config.show_progress_bars = False
    small_world.enter(setattr)
    writes = Writes(setattr)
    connection.send(os.getpid())
    session = Doing(connection, writes)
    while True:
        try:
            what, arguments = connection.recv()
        except EOFError:
            return
        try:
            answer = "ok", getattr(session, what)(*arguments)
        except DropError as error:
            answer = "refused", str(error)
        except BaseException as error:
            where = "".join(traceback.format_tb(error.__traceback__)[-6:])
            answer = "failed", f"{type(error).__name__}: {error}\n{where}"
        connection.send(answer)


class Doing:
    """What a session can be told."""

    def __init__(self, connection, writes):
        self._connection, self._writes = connection, writes
        self._dataset = None

    def restore(self, snapshot):
        """Bring the dataset back to a snapshot, on disk: the server may be killed at once."""
        from shared_dataset import expire_leases, restore

        from fiftyone_drop import documents

        expire_leases()
        self._dataset = restore(snapshot)
        marks = documents.on_disk("fiftyone_drop.tests")
        marks.update_one({"_id": 1}, {"$currentDate": {"at": True}}, upsert=True)

    def open(self, snapshot):
        """Load the dataset, and hold it from now on."""
        from shared_dataset import opened

        self._dataset = opened(snapshot)

    def wait(self, patience, lease_seconds):
        """Wait for a database that is away, from now on, with leases that expire so soon."""
        from fiftyone_drop import lease, waiting

        waiting.PATIENCE, lease.SECONDS = patience, lease_seconds

    def call(self, name, pauses_at=0):
        """Make a call of the registry; the seconds from its first write on.

        It pauses before a write of some number, from 1 on, until it is told to go on.
        """
        from writing_calls import CALLS

        begun, writes = [], itertools.count(1)

        def note():
            if not begun:
                begun.append(time.perf_counter())
            if next(writes) == max(1, pauses_at):
                self._connection.send("writing")
                if pauses_at:
                    self._connection.recv()

        self._writes.on_write = note
        try:
            CALLS[name](self._dataset)
        finally:
            self._writes.on_write = lambda: None
        return time.perf_counter() - begun[0]

    def make(self, function, options):
        """Make a call of a random round."""
        from rounds import make

        make(self._dataset, function, options)

    def state(self, snapshot):
        """The state of the dataset."""
        from shared_dataset import state_of

        return state_of(snapshot)

    def problems(self, snapshot, name, before, after):
        """What is wrong after a fault, once the lease of the dead writer has expired."""
        from shared_dataset import expire_leases, problems_of
        from writing_calls import CALLS

        expire_leases()
        return problems_of(snapshot, CALLS[name], before, after)


if __name__ == "__main__":
    main()
