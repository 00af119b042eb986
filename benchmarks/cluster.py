"""Processor seconds of scoring: one process, and two tasks of a Ray cluster on this machine.

    python benchmarks/cluster.py --archive cifar10.tar.xz --samples 50000

Images per core-second, since other programs may run beside. Seconds are those of this process and
of the processes of the cluster that score; what Ray's own processes take for themselves is counted
too, and shown apart. Two cores that compute at once take from each other, with Ray or without: two
plain processes, each with half of the images, show how much. All arms score a part of the images
before each measurement, so that imports and warming up do not count. The cluster is started and
ended by the script.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import statistics
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from grand import build
from reporting import report
from scoring_pass import SCORES, TRANSFORM, chosen
from scoring_pass import main as read_arguments

from fiftyone_drop.cluster import Cluster, opened
from fiftyone_drop.engine.images import Transformed
from fiftyone_drop.engine.runner import Here, Runner
from fiftyone_drop.inference.image_model import ImageModel
from fiftyone_drop.inference.source import PassOptions, Request, Scored, Values
from fiftyone_drop.scoring.registry import deal_switches

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("tests", "scripts")]
import ray_cluster  # noqa: E402  a cluster of two nodes, as the tests have it

ONE, APART = "one process", "two processes at once"
TWO, WITH_RAY = "two tasks at once", "two tasks, with Ray's own processes"
THIS, SCORING, RAY = "the caller", "processes that score", "Ray's own processes"


def seconds_of(pid: int) -> float:
    """The processor seconds that a process has taken so far; 0 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / float(os.sysconf("SC_CLK_TCK"))


def spent(nodes: list[int]) -> dict[str, dict[int, float]]:
    """Processor seconds so far of all processes that have to do with it, by what they do."""
    found: dict[str, dict[int, float]] = {THIS: {os.getpid(): time.process_time()}}
    found |= {SCORING: {}, RAY: {}}
    for pid in [pid for node in nodes for pid in [node, *ray_cluster.descendants(node)]]:
        try:
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
        except OSError:
            continue  # it has ended
        scores = command.startswith((b"ray::compute", b"ray::IDLE"))
        found[SCORING if scores else RAY][pid] = seconds_of(pid)
    return found


def score(paths: list[str], model: ImageModel, runner: Runner, batch: int) -> Scored:
    with ExitStack() as until_written:
        request = Request(
            ids=np.array([f"{i:024x}" for i in range(len(paths))], "S24"),
            paths=paths,
            labels=[np.array([hash(Path(path).parent.name) % 10 for path in paths])],
            switches=deal_switches(SCORES, {}),
            options=PassOptions(batch_size=batch, workers=1),
            until_written=until_written,
            bar=lambda steps: nullcontext(SimpleNamespace(update=lambda done: None)),
            runner=runner,
        )
        return ImageModel.score_together([model], request)


def measured_here(
    paths: list[str], model: ImageModel, batch: int
) -> tuple[float, Mapping[str, Values]]:
    """Processor seconds of scoring in this process, and the scores."""
    torch.set_num_threads(1)
    score(paths[: 4 * batch], model, Here(), batch)
    start = time.process_time()
    tables = score(paths, model, Here(), batch).tables
    return time.process_time() - start, tables


def seconds_apart(
    pools: list[ProcessPoolExecutor], paths: list[str], model: ImageModel, batch: int
) -> float:
    """Processor seconds of scoring in processes that compute at once, a part of the images each."""
    n = -(-len(paths) // len(pools))
    calls = [
        pool.submit(measured_here, paths[i * n : (i + 1) * n], model, batch)
        for i, pool in enumerate(pools)
    ]
    return sum(call.result()[0] for call in calls)


def run(folder: Path, args: argparse.Namespace) -> None:
    paths = [str(path) for path in chosen(folder, args.samples)]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # With torchvision's own stem a small image takes a millisecond: what travels weighs the more
    module = build("resnet18", 32, "cpu", original=True)
    classes = tuple(f"class {k}" for k in range(10))
    model = ImageModel(classes, "ResNet-18", module, Transformed(TRANSFORM))
    seconds: dict[str, list[float]] = {ONE: [], APART: [], TWO: [], WITH_RAY: []}
    shares: dict[str, list[float]] = {THIS: [], SCORING: [], RAY: []}
    tables: list[Mapping[str, Values]] = []
    spawn = multiprocessing.get_context("spawn")
    with ExitStack() as until_done:
        pools = [until_done.enter_context(ProcessPoolExecutor(1, spawn)) for _ in range(2)]
        home = until_done.enter_context(ray_cluster.place())
        os.environ |= {ray_cluster.PLACE: home, ray_cluster.LOCAL: "0", **ray_cluster.OPEN}
        os.environ[ray_cluster.OWNER] = str(os.getpid())
        ray_cluster.PATIENCE = 900  # on a busy machine Ray takes minutes to start
        address = ray_cluster.address()
        nodes = [int(pid) for pid in (Path(home) / "pids").read_text().split()]
        chunk = max(args.batch, args.samples // 16)
        cluster = until_done.enter_context(opened(Cluster(address, chunk=chunk)))
        warming_up = until_done.enter_context(opened(Cluster(address, chunk=args.batch)))
        for _ in range(args.repeats):
            used, table = measured_here(paths, model, args.batch)
            seconds[ONE].append(used)
            tables.append(table)
            seconds[APART].append(seconds_apart(pools, paths, model, args.batch))
            score(paths[: 4 * args.batch], model, warming_up, args.batch)
            before = spent(nodes)
            tables.append(score(paths, model, cluster, args.batch).tables)
            by_group = {
                group: sum(s - before[group].get(pid, 0.0) for pid, s in found.items())
                for group, found in spent(nodes).items()
            }
            seconds[TWO].append(by_group[THIS] + by_group[SCORING])
            seconds[WITH_RAY].append(sum(by_group.values()))
            for group, values in shares.items():
                values.append(by_group[group])
    same = all(
        np.array_equal(tables[0][name], table[name]) for table in tables for name in tables[0]
    )
    rates = {name: len(paths) / statistics.median(values) for name, values in seconds.items()}
    report(
        f"processor seconds of scoring {args.samples:,} JPEGs with ResNet-18 on a cluster",
        seconds,
        ONE,
        {TWO: ("at most", 1.1)},
        **{f"images per core-second, {name}": round(rate) for name, rate in rates.items()},
        **{f"seconds of {name}": statistics.median(s) for name, s in shares.items()},
        bit_for_bit=same,
        settings={name: str(value) for name, value in vars(args).items()},
    )
    print(*(f"{name}: {rate:.0f} images per core-second" for name, rate in rates.items()), sep="\n")
    print(f"the same bit for bit: {same}")


if __name__ == "__main__":
    read_arguments(__doc__, run)
