"""Run a command against a MongoDB server of its own: ``with_mongod.py --home DIR -- COMMAND ...``.

A FiftyOne process joins any FiftyOne-managed server that already runs on the machine, whatever its
settings say. So the demo and the tests start a server on a free port of 127.0.0.1 and point
``FIFTYONE_DATABASE_URI`` at it, with settings of their own and never the user's.
"""

import argparse
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))
from ensure_mongod import find_mongod

REPOSITORY = Path(__file__).resolve().parents[1]


def environment(home: Path, port: int) -> dict[str, str]:
    """The environment of a FiftyOne process that keeps everything under ``home``."""
    plugins = home / "plugins"
    plugins.mkdir(parents=True, exist_ok=True)
    link = plugins / "fiftyone-drop"
    if not link.is_symlink():
        link.symlink_to(REPOSITORY, target_is_directory=True)
    env = {k: v for k, v in os.environ.items() if not k.startswith("FIFTYONE_")}
    return env | {
        "FIFTYONE_DATABASE_URI": f"mongodb://127.0.0.1:{port}",
        "FIFTYONE_DATABASE_NAME": "fiftyone-drop",
        # The fallback server is MongoDB 6; FiftyOne warns about it at every start.
        "FIFTYONE_DATABASE_VALIDATION": "false",
        "FIFTYONE_CONFIG_PATH": str(home / "config.json"),
        "FIFTYONE_APP_CONFIG_PATH": str(home / "app_config.json"),
        "FIFTYONE_DEFAULT_DATASET_DIR": str(home / "datasets"),
        "FIFTYONE_DATASET_ZOO_DIR": str(home / "datasets"),
        "FIFTYONE_MODEL_ZOO_DIR": str(home / "models"),
        "FIFTYONE_PLUGINS_DIR": str(plugins),
        "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS": "true",
        "FIFTYONE_DO_NOT_TRACK": "true",
        "DO_NOT_TRACK": "1",
    }


def free_port() -> int:
    """A port of 127.0.0.1 on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_mongod(data: Path, port: int, log: Path, *more: str) -> "subprocess.Popen[bytes]":
    """Start a server, and wait until it listens."""
    server = subprocess.Popen(
        [find_mongod(), "--dbpath", data, "--port", str(port), "--bind_ip", "127.0.0.1"]
        + ["--logpath", log, "--nounixsocket"]
        + ["--setParameter", "diagnosticDataCollectionEnabled=false", *more],
        stdout=subprocess.DEVNULL,
        stdin=subprocess.DEVNULL,
        start_new_session=True,  # Ctrl-C reaches the command; the server ends after it
    )
    try:
        _wait_until_listening(server, port, log)
    except BaseException:
        server.kill()
        server.wait()
        raise
    return server


@contextlib.contextmanager
def own_mongod(home: Path, *more: str) -> Iterator[dict[str, str]]:
    """Start a server whose data lies under ``home``; yield the environment to reach it.

    ``more`` are further arguments of the server.
    """
    home = home.resolve()
    data = home / "db"
    data.mkdir(parents=True, exist_ok=True)
    port = free_port()
    server = start_mongod(data, port, home / "mongod.log", *more)
    try:
        yield environment(home, port)
    finally:
        server.terminate()
        server.wait(timeout=60)


def _wait_until_listening(server: "subprocess.Popen[bytes]", port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if server.poll() is not None:
            raise SystemExit(
                f"mongod ended with code {server.returncode} (is another one using the same "
                f"folder?); its log is {log}"
            )
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.05)
    raise SystemExit(f"mongod did not answer within 60 s; its log is {log}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--home", type=Path, required=True, help="folder for all data and settings")
    parser.add_argument("command", nargs=argparse.REMAINDER)
    args = parser.parse_args()
    command = args.command[1:] if args.command[:1] == ["--"] else args.command
    if not command:
        parser.error("no command given")
    # Told to end, end the command and the server too: raising gets through the `finally`s
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with own_mongod(args.home) as env, subprocess.Popen(command, env=env) as running:
        try:
            return running.wait()
        except KeyboardInterrupt:
            return 130  # Ctrl-C has reached the command as well
        finally:
            running.terminate()


if __name__ == "__main__":
    sys.exit(main())
