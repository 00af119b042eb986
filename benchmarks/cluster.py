"""Processor seconds of scoring: one process, and two tasks of a Ray cluster on this machine.

    python benchmarks/cluster.py --archive cifar10.tar.xz

Images per core-second, since other programs may run beside. Seconds are those of this process and
of the processes of the cluster that score; what Ray's own processes take for themselves is counted
too, and shown apart. Both arms score a part of the images before each measurement, so that imports
and warming up do not count. The cluster is started and ended by the script.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
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
from fiftyone_drop.inference.source import PassOptions, Request, Scored
from fiftyone_drop.scoring.registry import deal_switches

sys.path[:0] = [str(Path(__file__).resolve().parents[1] / name) for name in ("tests", "scripts")]
import ray_cluster  # noqa: E402  a cluster of two nodes, as the tests have it

ONE, TWO, WITH_RAY = "one process", "two tasks at once", "two tasks, with Ray's own processes"
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


def run(folder: Path, args: argparse.Namespace) -> None:
    paths = [str(path) for path in chosen(folder, args.samples)]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    # With torchvision's own stem a small image takes a millisecond: what travels weighs the more
    module = build("resnet18", 32, "cpu", original=True)
    classes = tuple(f"class {k}" for k in range(10))
    model = ImageModel(classes, "ResNet-18", module, Transformed(TRANSFORM))
    seconds: dict[str, list[float]] = {ONE: [], TWO: [], WITH_RAY: []}
    shares: dict[str, list[float]] = {THIS: [], SCORING: [], RAY: []}
    tables = []
    with ray_cluster.place() as home:
        os.environ |= {ray_cluster.PLACE: home, ray_cluster.LOCAL: "0", **ray_cluster.OPEN}
        os.environ[ray_cluster.OWNER] = str(os.getpid())
        ray_cluster.PATIENCE = 900  # on a busy machine Ray takes minutes to start
        address = ray_cluster.address()
        nodes = [int(pid) for pid in (Path(home) / "pids").read_text().split()]
        chunk = max(args.batch, args.samples // 8)
        with (
            opened(Cluster(address, chunk=chunk)) as cluster,
            opened(Cluster(address, chunk=args.batch)) as in_small_chunks,
        ):
            for _ in range(args.repeats):
                for name, runner in ((ONE, Here()), (TWO, cluster)):
                    warming_up = in_small_chunks if name == TWO else Here()
                    score(paths[: 4 * args.batch], model, warming_up, args.batch)
                    before = spent(nodes)
                    tables.append(score(paths, model, runner, args.batch).tables)
                    after = spent(nodes)
                    used = {
                        group: sum(s - before[group].get(pid, 0.0) for pid, s in found.items())
                        for group, found in after.items()
                    }
                    if name == ONE:
                        seconds[ONE].append(used[THIS])
                        continue
                    seconds[TWO].append(used[THIS] + used[SCORING])
                    seconds[WITH_RAY].append(sum(used.values()))
                    for group, values in shares.items():
                        values.append(used[group])
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
