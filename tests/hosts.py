"""Two hosts on this machine: namespaces with a network each, and a line that can be cut."""

import contextlib
import os
import subprocess

ADDRESSES = ("10.77.0.1", "10.77.0.2")
LINE = "line"  # the name of the device in each


class Hosts:
    """Two hosts that see each other and nobody else.

    Attributes:
        names: of their namespaces
    """

    def __init__(self):
        self.names = [f"drop-{os.getpid()}-{i}" for i in range(2)]

    def inside(self, host):
        """What begins a command on a host, 0 or 1."""
        return ["ip", "netns", "exec", self.names[host]]

    def make(self):
        """Make them; a CalledProcessError or OSError where that may not be."""
        for name in self.names:
            _ip("netns", "add", name)
        ends = [["name", LINE, "netns", name] for name in self.names]
        _ip("link", "add", *ends[0], "type", "veth", "peer", *ends[1])
        for name, address in zip(self.names, ADDRESSES, strict=True):
            _ip("-n", name, "address", "add", f"{address}/24", "dev", LINE)
            for device in ("lo", LINE):
                _ip("-n", name, "link", "set", device, "up")

    def remove(self):
        for name in self.names:
            with contextlib.suppress(OSError):
                subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)


@contextlib.contextmanager
def two_hosts():
    """Two hosts for as long as the context; errors as of :meth:`Hosts.make`."""
    hosts = Hosts()
    try:
        hosts.make()
        yield hosts
    finally:
        hosts.remove()


def _ip(*arguments):
    subprocess.run(["ip", *arguments], check=True, capture_output=True, text=True, timeout=30)
