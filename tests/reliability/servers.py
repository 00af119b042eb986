"""Servers that fail: a MongoDB that is killed or runs out of disk, and a proxy that cuts lines."""

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from pathlib import Path

from with_mongod import free_port, start_mongod


class Server:
    """A MongoDB server of a test's own, which can be killed and started again on its data.

    Args:
        data: the folder of its data
        log: the file of its log
    """

    def __init__(self, data, log):
        self._data, self._log, self._port = Path(data), Path(log), free_port()
        self._process = None

    @property
    def uri(self):
        return f"mongodb://127.0.0.1:{self._port}/?serverSelectionTimeoutMS=5000"

    def start(self):
        self._data.mkdir(parents=True, exist_ok=True)
        # What was acknowledged so many milliseconds ago may be lost when it is killed
        more = ["--wiredTigerCacheSizeGB", "0.25", "--journalCommitInterval", "500"]
        self._process = start_mongod(self._data, self._port, self._log, *more)

    def kill(self):
        """End it with SIGKILL, as a machine that loses power ends it."""
        self._process.kill()
        self._process.wait()

    def stop(self):
        """End it with SIGTERM, as an administrator ends it."""
        self._process.terminate()
        self._process.wait(timeout=60)

    @property
    def ended(self):
        """Whether it has ended by itself."""
        return self._process.poll() is not None


class Disk:
    """A small file system in memory, which can be filled up.

    Args:
        folder: where it is mounted
        megabytes: its size
    """

    def __init__(self, folder, megabytes=400):
        self._folder = Path(folder)
        self._folder.mkdir(parents=True)
        self._ballast = self._folder / "ballast"
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "none", self._folder],
            check=True,
            capture_output=True,
        )

    @property
    def free(self):
        """The bytes that are free."""
        facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize

    def fill(self, left):
        """Fill it up but for so many bytes."""
        with self._ballast.open("wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(1, self.free - left))

    def empty(self):
        """Remove what it was filled with."""
        self._ballast.unlink(missing_ok=True)

    def unmount(self):
        subprocess.run(["umount", "-l", self._folder], check=True)


class Proxy:
    """A line to a server on 127.0.0.1 that can be cut.

    Args:
        port: of the server
    """

    def __init__(self, port):
        self._server, self._cut, self._pairs = port, False, []
        self._lock = threading.Lock()
        self._door = socket.create_server(("127.0.0.1", 0))
        self.port = self._door.getsockname()[1]
        threading.Thread(target=self._listen, daemon=True).start()

    def uri(self, patience):
        """The URI of the server over this line, for clients that wait so many seconds for it."""
        wait = int(1000 * patience)
        return f"mongodb://127.0.0.1:{self.port}/?serverSelectionTimeoutMS={wait}"

    def cut(self):
        """Cut all connections, and accept none."""
        with self._lock:
            self._cut = True
            for pair in self._pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)
            self._pairs.clear()

    def mend(self):
        """Accept connections again."""
        with self._lock:
            self._cut = False

    def close(self):
        self.cut()
        self._door.close()

    def _listen(self):
        while True:
            try:
                client, _ = self._door.accept()
            except OSError:
                return
            with self._lock:
                if self._cut:
                    client.close()
                    continue
                server = socket.create_connection(("127.0.0.1", self._server))
                self._pairs.append((client, server))
            threading.Thread(target=self._carry, args=(client, server), daemon=True).start()

    def _carry(self, client, server):
        other = {client: server, server: client}
        with client, server, contextlib.suppress(OSError):
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    data = ready.recv(1 << 16)
                    if not data:
                        return
                    other[ready].sendall(data)


def until(condition, seconds):
    """Wait until a condition holds, at most so many seconds; whether it does."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.02)
    return True
