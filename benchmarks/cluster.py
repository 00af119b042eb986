"""Images per core-second of scoring: one process, and two tasks of a Ray cluster on this machine.

    python benchmarks/cluster.py --archive cifar10.tar.xz

Seconds are those of the processor, since other programs may run beside: those of this process and
of the processes of the cluster that score, after the first of two passes, which imports and warms
up. The cluster is started and ended by the script.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from grand import build
from reporting import emit, machine
from scoring_pass import SCORES, TRANSFORM, chosen
from scoring_pass import main as read_arguments

from fiftyone_drop.cluster import Cluster, opened
from fiftyone_drop.engine.images import Transformed
from fiftyone_drop.engine.runner import Here, Runner
from fiftyone_drop.inference.image_model import ImageModel
from fiftyone_drop.inference.source import PassOptions, Request, Scored
from fiftyone_drop.scoring.registry import deal_switches


def seconds_of_process(part: int) -> Iterator[tuple[int, float]]:
    """The processor's seconds of a process of the cluster."""
    time.sleep(0.2)
    yield os.getpid(), time.process_time()


def spent(runner: Runner) -> dict[int, float]:
    """Processor seconds of all processes that compute, by process."""
    seconds = {os.getpid(): time.process_time()}
    if runner.away:
        seconds |= dict(piece for _, piece in runner.run(seconds_of_process, range(12)))
    return seconds


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
    sys.path[:0] = [
        str(Path(__file__).resolve().parents[1] / name) for name in ("tests", "scripts")
    ]
    import ray_cluster  # a cluster of two nodes, as the tests have it

    paths = [str(path) for path in chosen(folder, args.samples)]
    torch.manual_seed(0)
    torch.set_num_threads(1)
    module = build("resnet18", 32, "cpu")
    classes = tuple(f"class {k}" for k in range(10))
    model = ImageModel(classes, "ResNet-18", module, Transformed(TRANSFORM))
    rates: dict[str, list[float]] = {"one process": [], "two tasks at once": []}
    tables = []
    with ray_cluster.place() as home:
        os.environ[ray_cluster.PLACE], os.environ[ray_cluster.LOCAL] = home, "0"
        with opened(Cluster(ray_cluster.address(), chunk=args.samples // 8)) as cluster:
            for _ in range(args.repeats + 1):
                for name, runner in (("one process", Here()), ("two tasks at once", cluster)):
                    before = spent(runner)
                    tables.append(score(paths, model, runner, args.batch).tables)
                    after = spent(runner)
                    used = sum(s - before[pid] for pid, s in after.items() if pid in before)
                    rates[name].append(len(paths) / used)
    same = all(
        np.array_equal(tables[0][name], table[name]) for table in tables for name in tables[0]
    )
    print(f"\nimages per core-second, {len(paths):,} JPEGs, ResNet-18, five scores")
    for name, values in rates.items():
        print(f"{name:24} {np.median(values[1:]):8.0f}   {[round(v) for v in values[1:]]}")
    print(f"the same bit for bit: {same}")
    emit({"title": "scoring on a cluster", "rates": rates, "same": same, "machine": machine()})


if __name__ == "__main__":
    read_arguments(__doc__, run)
