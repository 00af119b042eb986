"""A Ray cluster: parts of a computation as tasks on its machines. The only module that knows Ray.

A task computes one part. Ray runs a task again where another machine or process is left when its
own dies, so that a fault costs the parts that were being computed. The processes that compute load
neither FiftyOne nor a database: this process reads and writes.

Since it alone knows Ray, it is longer than other modules.
"""

from __future__ import annotations

import dis
import io
import itertools
import os
import signal
import socket
import threading
import types
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from fiftyone_drop import checks
from fiftyone_drop._log import logger
from fiftyone_drop._torch import torch
from fiftyone_drop.engine.runner import Here, Part, Piece, Runner
from fiftyone_drop.errors import DropError, DropWarning, listing

GPU_CHUNK, CPU_CHUNK = 16_384, 2_048  # images per task: seconds of a GPU, a minute of a core
GPU_CPUS = 8  # per GPU, to read images for it
RETRIES = 8  # of a part whose process or machine was lost
ANSWER = 10.0  # seconds in which a cluster must answer at its address
STALL = 30.0  # seconds without a result, while a task would find room, until tasks are sent again
LONG_STALL = 16  # times as long, where all of the tasks seem to run
MOST_SENDS = 4  # of the same task once more


@dataclass(frozen=True)
class Cluster:
    """A Ray cluster, as ``cluster=`` of the calls that compute takes it.

    Example::

        fod.compute_scores(dataset, model=model, cluster=fod.Cluster(cpus=8, gpus=1))

    Args:
        address ("auto"): the cluster's address, such as ``"10.0.0.1:6379"``; ``"auto"`` takes that
            of the environment variable RAY_ADDRESS, or the cluster that runs on this machine
        cpus (None): CPU cores per task, each of which reads images: by default 8 beside a GPU, or
            as many as there are for each GPU; without GPUs one
        gpus (None): GPUs per task, such as 0.5 for two tasks on one GPU; by default one where the
            cluster has any, else none
        chunk (None): images per task, at most; by default 16,384 with a GPU and 2,048 without. A
            lost machine costs the tasks that it was at

    Raises:
        DropError: a value is out of range
    """

    address: str = "auto"
    cpus: float | None = None
    gpus: float | None = None
    chunk: int | None = None

    def __post_init__(self) -> None:
        plain = {
            "address": checks.text("address", self.address),
            "cpus": _share("cpus", self.cpus, "(0, inf)"),
            "gpus": _share("gpus", self.gpus, "[0, inf)"),
            "chunk": checks.whole("chunk", self.chunk, least=1, optional=True),
        }
        for name, value in plain.items():
            object.__setattr__(self, name, value)  # the class is frozen

    @classmethod
    def of(cls, value: object) -> Cluster | None:
        """The argument ``cluster=`` of a call: None, an address, or a cluster.

        Raises:
            DropError: it is something else, or Ray is not installed
        """
        if value is None:
            return None
        if not isinstance(value, cls):
            if not checks.is_text(value):
                raise DropError(
                    "cluster",
                    "must be None, 'auto', the address of a Ray cluster, or a fiftyone_drop."
                    f"Cluster, but got {checks.shown(value)}",
                )
            value = cls(checks.text("cluster", value))
        _ray()
        return value


def check_device(cluster: object, device: object) -> None:
    """Check that only one of the two says where models run.

    Raises:
        DropError: if both do
    """
    if cluster is not None and device is not None:
        raise DropError(
            "device",
            f"must be left out with cluster=, but got {str(device)!r}: models run on the GPUs of "
            "the cluster where a task takes any; pass Cluster(gpus=0) for the CPU",
        )


@contextmanager
def opened(cluster: Cluster | None) -> Iterator[Runner]:
    """A runner on a cluster, or :class:`Here` for None.

    A connection that the caller has made with ``ray.init`` is used, and stays.

    Raises:
        DropError: the cluster cannot be reached, or none of its machines has what a task takes
    """
    if cluster is None:
        yield Here()
        return
    ray = _ray()
    connected = ray.is_initialized()

    def connect() -> None:
        ray.shutdown()
        _connect(ray, cluster.address)

    if not connected:
        connect()
    try:
        yield OnCluster(ray, cluster, None if connected else connect)
    finally:
        if not connected:
            ray.shutdown()


class OnCluster(Runner):
    """Computes parts as tasks of Ray, as many at once as the cluster takes.

    Args:
        ray: the module, connected
        cluster: what a task takes
        connect: connects anew; None if the connection is the caller's
    """

    away = True

    def __init__(self, ray: Any, cluster: Cluster, connect: Callable[[], None] | None) -> None:
        self._ray = ray
        self._connect = connect
        machines = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        with_gpus = [m for m in machines if m.get("GPU", 0) > 0]
        gpus = cluster.gpus
        if gpus is None:
            gpus = 1.0 if with_gpus else 0.0
        cpus = cluster.cpus
        if cpus is None:
            shares = [int(m.get("CPU", 1) * gpus / m["GPU"] + 1e-6) for m in with_gpus if gpus]
            cpus = max(1.0, min([GPU_CPUS, *shares])) if gpus else 1.0
        self._needs = {"CPU": cpus, "GPU": gpus}
        if machines and not any(self._slots(machine) for machine in machines):
            have = listing(machines, show=_words)
            raise DropError(
                "cluster",
                f"a task takes {cpus:g} CPUs and {gpus:g} GPUs, which none of its machines has "
                f"({have}); pass Cluster(cpus=, gpus=) with less",
            )
        self.chunk = cluster.chunk or (GPU_CHUNK if gpus else CPU_CHUNK)
        self.device = torch.device("cuda" if gpus else "cpu")
        self.workers = max(1, int(cpus))
        self._warned: set[str] = set()

    def run(
        self, work: Callable[[Part], Generator[Piece, None, None]], parts: Iterable[Part]
    ) -> Generator[tuple[Part, Piece], None, None]:
        """See :meth:`Runner.run`."""
        ray, data = self._ray, _pickled(work)
        shared = [ray.put(data)]  # in a list, so that a process fetches it once
        send = self._sender(0)
        left = enumerate(parts)
        todo: dict[int, Part] = {}
        sent: dict[Any, int] = {}
        stall, sends = STALL, 1
        try:
            while True:
                for number, part in itertools.islice(left, max(0, self._room() - len(todo))):
                    todo[number] = part
                    sent[send(shared, part)] = number
                if not todo:
                    return
                done, _ = ray.wait(list(sent), timeout=stall)
                if not done and self._is_idle():
                    if self._all_may_run(len(todo)) and stall < LONG_STALL * STALL:
                        stall *= 2
                        continue
                    # Ray may wait for ever for a machine that has just died
                    logger.info("Sending %d tasks again; the cluster has %s", len(todo), self)
                    if self._is_unused():  # not even a long one of them runs
                        if sends > MOST_SENDS:
                            raise self._stalled(len(todo))
                        if self._connect is not None:
                            self._connect()  # what waits in a connection may never be answered
                            shared, sent = [ray.put(data)], {}
                    send = self._sender(sends)
                    sent |= {send(shared, part): number for number, part in todo.items()}
                    stall, sends = 2 * stall, sends + 1
                stall = STALL if done else stall
                for ref in done:
                    number = sent.pop(ref)
                    if number not in todo:
                        continue  # that was sent twice
                    pieces = self._result(ref)
                    part = todo.pop(number)
                    for other in [other for other, n in sent.items() if n == number]:
                        ray.cancel(other)
                        del sent[other]
                    del ref
                    for piece in pieces:
                        yield part, piece
        finally:
            if ray.is_initialized():  # else Ray would start a cluster to cancel tasks in
                for ref in sent:
                    ray.cancel(ref)

    def _sender(self, number: int) -> Any:
        """Sends tasks; those of another number are not in one queue with them."""

        def compute(shared: list[Any], part: Any) -> Any:
            return _compute(shared, part)

        compute.__qualname__ = f"compute_{number}"
        remote = self._ray.remote(
            num_cpus=self._needs["CPU"],
            num_gpus=self._needs["GPU"],
            max_calls=0,  # with GPUs, Ray would start a process for every task
            max_retries=RETRIES,
        )(compute)
        return remote.remote

    def _is_idle(self) -> bool:
        """Whether a task would find room now."""
        return self._slots(self._ray.available_resources()) > 0

    def _all_may_run(self, tasks: int) -> bool:
        """Whether at least so many tasks run on the cluster; some may be those of others."""
        free, all_there = self._ray.available_resources(), self._ray.cluster_resources()
        return self._slots(all_there) - self._slots(free) >= tasks

    def _is_unused(self) -> bool:
        """Whether no task runs at all, of this process or of others."""
        free, all_there = self._ray.available_resources(), self._ray.cluster_resources()
        return all(free.get(name, 0) == all_there.get(name, 0) for name in self._needs)

    def _stalled(self, n: int) -> DropError:
        return DropError(
            "cluster",
            f"{n:,} tasks were sent {MOST_SENDS + 1} times, and none came back, though the cluster "
            f"has room for them ({self}); look at its logs, and make the call again, which goes on "
            "from what has been computed",
        )

    def _result(self, ref: Any) -> list[Any]:
        """The pieces of a task that is done; its warnings and errors are those of this process."""
        exceptions = self._ray.exceptions
        try:
            pieces, messages = self._ray.get(ref)
        except exceptions.RayTaskError as error:
            raise error.cause from error
        except (exceptions.RayError, MemoryError) as error:
            raise DropError(
                "cluster",
                f"a task was lost {RETRIES + 1} times ({str(error).splitlines()[0]}); give tasks "
                "more room with Cluster(cpus=, chunk=), and make the call again, which goes on "
                "from what has been computed",
            ) from error
        for message in set(messages) - self._warned:
            warnings.warn(message, DropWarning, stacklevel=2)
        self._warned |= set(messages)
        return list(pieces)

    def _room(self) -> int:
        """How many tasks there may be: twice as many as run, so that no process waits for one."""
        machines = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        return 2 * sum(map(self._slots, machines)) + 2

    def _slots(self, machine: dict[str, float]) -> int:
        """How many tasks run on a machine at once."""
        # 1 // 0.2 is 4: Ray counts in parts of 1/10,000
        needs = [(machine.get(name, 0), n) for name, n in self._needs.items() if n]
        return min(int(there / n + 1e-6) for there, n in needs)

    def __str__(self) -> str:
        return _words(self._ray.cluster_resources())


_held: tuple[str, Callable[[Any], Iterator[Any]]] | None = None  # what this process computes


def _compute(shared: list[Any], part: Any) -> tuple[list[Any], list[str]]:
    """Compute one part, in a process of the cluster: its pieces, and the warnings there were."""
    import ray

    global _held
    key = shared[0].hex()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", DropWarning)
        if _held is None or _held[0] != key:
            _held = None  # two models may not fit
            with _uninterrupted():  # PyTorch, half imported, would fail every later task
                _held = (key, ray.cloudpickle.loads(ray.get(shared[0])))
        pieces = list(_held[1](part))
    return pieces, [str(w.message) for w in caught if issubclass(w.category, DropWarning)]


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold an interrupt back, by which Ray cancels a task, until what is within has ended."""
    if threading.current_thread() is not threading.main_thread():  # which alone is interrupted
        yield
        return
    came: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
    if came:
        raise KeyboardInterrupt


def _pickled(work: object) -> bytes:
    """What travels; a computation may write to its arrays, which it may not to Ray's copies.

    Raises:
        DropError: it cannot be pickled, or not be unpickled without FiftyOne
    """
    from ray import cloudpickle

    needs: list[bool] = []

    class Pickler(cloudpickle.CloudPickler):  # type: ignore[misc]
        def persistent_id(self, part: object) -> None:
            needs.append(_is_of_fiftyone(part))

    file = io.BytesIO()
    try:
        Pickler(file).dump(work)
    except Exception as error:  # of anybody's class
        raise DropError(
            "model",
            f"with cluster= models and transforms are pickled, and these cannot be ({error}); "
            "pass such that can",
        ) from error
    if any(needs):
        raise DropError(
            "model",
            "with cluster= a model and its transform must be of PyTorch and torchvision, but "
            "these need FiftyOne, which would start a database on every machine of the "
            "cluster; pass the module itself, with transform= and classes=",
        )
    return file.getvalue()


def _is_of_fiftyone(part: object) -> bool:
    """Whether something that is pickled imports FiftyOne where it is unpickled, or when it runs."""
    if isinstance(part, types.CodeType):
        steps = dis.get_instructions(part)
        names = [str(step.argval) for step in steps if step.opname == "IMPORT_NAME"]
    elif isinstance(part, types.ModuleType):
        names = [part.__name__]
    else:
        names = [str(part.__module__)] if isinstance(part, type | types.FunctionType) else []
    return any(name.partition(".")[0] == "fiftyone" for name in names)


def _words(machine: dict[str, float]) -> str:
    return f"{machine.get('CPU', 0):g} CPUs and {machine.get('GPU', 0):g} GPUs"


def _ray() -> Any:
    """The module.

    Raises:
        DropError: if it is not installed
    """
    # Nobody has asked whether figures of the cluster may go to its makers
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise DropError(
            "cluster",
            "needs Ray; install it with pip install 'fiftyone-drop[cluster]', here and on every "
            "machine of the cluster",
        ) from error
    return ray


def _connect(ray: Any, address: str) -> None:
    named = os.environ.get("RAY_ADDRESS", address) if address == "auto" else address
    if named == "local":  # Ray would start one, whose tasks see no more than this process does
        raise DropError(
            "cluster",
            "must be the address of a cluster that runs, but got 'local'; leave cluster= out, or "
            "start one with ray start --head",
        )
    host, _, port = named.rpartition(":")
    try:
        if host and "/" not in named and port.isdecimal():  # Ray itself would try for minutes
            socket.create_connection((host, int(port)), ANSWER).close()
        ray.init(address=address, configure_logging=False, log_to_driver=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise DropError(
            "cluster",
            f"no Ray cluster answers at {named!r} ({str(error).splitlines()[0]}); start one with "
            "ray start --head, or pass its address, such as '10.0.0.1:6379'",
        ) from error


def _share(argument: str, value: object, interval: str) -> float | None:
    """A number of cores or GPUs, of which Ray takes parts of one, or whole ones.

    Raises:
        DropError: it is no such number
    """
    number = checks.number(argument, value, interval, optional=True)
    if number is not None and number > 1 and number % 1:
        raise DropError(argument, f"must be a whole number above 1, but got {number:g}")
    return number
