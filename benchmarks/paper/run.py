"""Does it work? The experiment of the paper, as far as this machine takes it.

    python benchmarks/paper/run.py --preset cpu --archive cifar10.tar.xz

trains full data, Random, EL2N and Random + DRoP at a density of 0.5 with three seeds. ``--all``
goes on with every method, density and dataset of the pages, most telling first, for as long as you
let it. What is trained follows from ``--preset``: "paper" is the paper's protocol (for a GPU),
"fast" a short recipe for a GPU, "cpu" a small network on two fifths of the images.

Each training adds a line to benchmarks/results/paper/<preset>.jsonl, and what is there already is
skipped: after an interruption give the same command again. ``--minutes`` ends it in time: trainings
that are not done by then go on from their checkpoints at the next call. ``report.py`` makes tables,
plots and docs/evidence.md of whatever there is.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import math
import multiprocessing
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import (
    FIRST_COMPLETED,
    Executor,
    Future,
    ProcessPoolExecutor,
    ThreadPoolExecutor,
    wait,
)
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from data import VARIANTS, load
from methods import METHODS, TITLES
from places import RESULTS, add_archive, machine
from presets import PRESETS
from tasks import Cell, Place, Published, Query, Task, run_task, start_worker

MAIN = ("random", "random+drop", "el2n")
OTHERS = tuple(name for name in TITLES if name not in MAIN)
COMBINED = tuple(f"{name}+drop" for name in TITLES)
UNEQUAL = ("full", "random", "random+drop", "random+drop-unweighted", "el2n")
BESIDE = ("random+drop-closed", "random+balanced", "random+cdb-w", "full+cdb-w")
CLOSED = ("random+drop-closed",)
TAIL = ("random", "random+drop", "random+drop-closed", "random+balanced")
ADJUSTED = ("full+adjusted", "random+drop+adjusted", "random+balanced+adjusted")
HERDED = ("herding+drop", "herding+drop+adjusted")
COLOURS = ("full", "random", "random+drop", "random+drop-closed", "random+balanced", "el2n")
THREE, MORE = (0, 1, 2), (3, 4)
FIVE = (*THREE, *MORE)

# Most telling first, so that a part of it is already worth reading
EVERYTHING = (
    ("balanced", ("full", *MAIN), (0.5, 0.3, 0.2, 0.8), THREE),
    ("balanced", OTHERS, (0.5, 0.3, 0.2), THREE),
    ("balanced", COMBINED, (0.5, 0.3), THREE),
    ("balanced", ("random+proportional", "random+cdb-w", "full+cdb-w"), (0.5, 0.3), THREE),
    ("long-tailed-100", UNEQUAL, (0.5,), THREE),
    ("noisy-20", UNEQUAL, (0.5,), THREE),
    ("balanced", ("random+nucs", "random+rcap"), (0.5, 0.3), THREE),
    ("balanced", ("full", *MAIN), (0.5, 0.3, 0.2, 0.8), MORE),
    ("balanced", OTHERS, (0.8,), THREE),
    ("long-tailed-100", ("random+balanced", "random+cdb-w"), (0.5,), THREE),
    ("long-tailed-10", UNEQUAL, (0.5,), THREE),
    ("noisy-10", UNEQUAL, (0.5,), THREE),
    ("balanced", CLOSED, (0.5, 0.3, 0.2, 0.8), FIVE),
    ("long-tailed-100", ("full", *TAIL), (0.5, 0.3, 0.2), FIVE),
    ("long-tailed-10", BESIDE, (0.5,), THREE),
    ("noisy-20", BESIDE, (0.5,), THREE),
    ("noisy-10", BESIDE, (0.5,), THREE),
    ("colour-50", COLOURS, (0.5, 0.3), FIVE),
    ("long-tailed-10", UNEQUAL, (0.5,), MORE),
    ("long-tailed-10", BESIDE, (0.5,), MORE),
    ("long-tailed-100", ADJUSTED, (0.5, 0.3, 0.2), FIVE),
    ("balanced", HERDED[:1], (0.5, 0.3), FIVE),
    ("long-tailed-100", HERDED, (0.5, 0.3), FIVE),
    ("balanced", ("random+minimax-closed", "random+minimax"), (0.3, 0.5), FIVE),
)


def cells(
    dataset: str, methods: Iterable[str], densities: Iterable[float], seeds: Iterable[int]
) -> Iterator[Cell]:
    """One cell for each combination; all methods of a seed together, as pairs are what counts."""
    methods, seeds = tuple(methods), tuple(seeds)
    for density in densities:
        for seed in seeds:
            for method in methods:
                yield Cell(dataset, method, 1.0 if method.startswith("full") else density, seed)


def tasks_for(wanted: Iterable[Cell], brief: bool = False) -> list[Task]:
    """Each cell once, after the queries that it needs; the published way's cost first."""
    tasks: dict[Task, None] = {} if brief else {Published(): None}
    for cell in wanted:
        tasks |= dict.fromkeys(cell.needs)
        tasks[cell] = None
    return list(tasks)


class Results:
    """The file of results, of which one run at a time may be the writer."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("a+")
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SystemExit(f"{path}: another run is writing to it; wait for it") from None
        self._file.seek(0)
        records = [json.loads(line) for line in self._file]
        self.names = {(record["version"], record["task"]) for record in records}

    def add(self, record: dict[str, Any]) -> None:
        """Append a record, at once."""
        self._file.write(json.dumps(record) + "\n")
        self._file.flush()
        self.names.add((record["version"], record["task"]))

    def close(self) -> None:
        """Let another run write."""
        self._file.close()


def workers(jobs: int) -> Executor:
    """Processes of one thread each: small networks gain nothing from a second. One job has none."""
    if jobs == 1:
        return ThreadPoolExecutor(1, initializer=torch.set_num_threads, initargs=(1,))
    return ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), start_worker)


def stop(pool: Executor) -> None:
    """End the processes of a pool, whatever they are doing."""
    processes: dict[int, multiprocessing.Process] = getattr(pool, "_processes", None) or {}
    for process in list(processes.values()):
        process.kill()
    pool.shutdown(cancel_futures=True)


def run(
    tasks: list[Task], place: Place, results: Results, jobs: int, end: float = math.inf
) -> list[str]:
    """Run what is not done yet, several tasks at once.

    Args:
        tasks: in the order in which they are started, once what they need is there
        place: where
        results: what is done, and where it is added
        jobs: tasks at once
        end: when to stop, of the monotonic clock; several jobs only. Nothing is started that
            would take until then, by what the last task took

    Returns:
        the names of tasks that failed, or could not run since one that they need has failed
    """

    def recorded(task: Task) -> bool:
        return (place.preset.version, task.name) in results.names

    def ready(query: Query) -> bool:
        return recorded(query) and query.path(place).exists()

    # A query is run again only if a cell still needs arrays that are gone
    left = [task for task in tasks if not isinstance(task, Query) and not recorded(task)]
    needed = {query for task in left for query in task.needs if not ready(query)}
    left = [task for task in tasks if task in left or task in needed]
    print(f"{len(left)} of {len(tasks)} tasks to do, {jobs} at once", flush=True)
    if not left:
        return []
    start = time.monotonic()
    name = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    settings = {"settings": asdict(place.preset), "device": place.device, "machine": machine()}
    results.add(
        {"task": f"run {name}", "preset": place.preset.name, "version": place.preset.version}
        | {"jobs": jobs}
        | settings
    )
    failed = []
    running: dict[Future[dict[str, Any]], Task] = {}
    begun: dict[Task, float] = {}
    typical = 0.0  # seconds of the last task that was done
    with workers(jobs) as pool:
        while True:
            startable = [task for task in left if all(map(ready, task.needs))]
            in_time = time.monotonic() + typical < end
            for task in startable[: jobs - len(running)] if in_time else []:
                left.remove(task)
                begun[task] = time.monotonic()
                running[pool.submit(run_task, task, place)] = task
            if not running and in_time:
                return failed + [task.name for task in left]
            timeout = None if math.isinf(end) else max(0.0, end - time.monotonic())
            done = wait(running, timeout, FIRST_COMPLETED).done
            if not done:
                names = ", ".join(task.name for task in running.values()) or "nothing"
                print(f"out of time: dropped {names}; {len(left)} not begun", flush=True)
                stop(pool)
                return failed
            for future in done:
                task = running.pop(future)
                typical = time.monotonic() - begun[task]
                try:
                    record = future.result()
                except Exception:  # of one task: the others go on
                    traceback.print_exc()
                    failed.append(task.name)
                    continue
                results.add(record | {"run": name})
                minutes = (time.monotonic() - start) / 60
                print(f"{minutes:6.1f} min  {task.name}  {summary(record)}", flush=True)


def summary(record: dict[str, Any]) -> str:
    """One line about a record."""
    accuracy = record.get("accuracy")
    wall, cpu = (sum(pair[i] for pair in record.get("seconds", {}).values()) for i in (0, 1))
    seconds = f"{wall:.0f} s, {cpu:.0f} s of the processor"
    if accuracy is None:
        return seconds
    mean = sum(accuracy) / len(accuracy)
    return f"average {mean:.1%}, worst class {min(accuracy):.1%}, {seconds}"


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", choices=PRESETS, default="cpu")
    add_archive(parser)
    parser.add_argument("--all", action="store_true", help="every cell, most telling first")
    parser.add_argument("--datasets", nargs="+", choices=VARIANTS, default=["balanced"])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=["full", *MAIN])
    parser.add_argument("--densities", nargs="+", type=float, default=[0.5])
    parser.add_argument("--seeds", nargs="+", type=int, default=THREE)
    parser.add_argument("--epochs", type=int, help="instead of the preset's; to try things out")
    parser.add_argument("--per-class", type=int, help="training images, instead of the preset's")
    parser.add_argument("--jobs", type=int, help="trainings at once; one per core, 2 on a GPU")
    parser.add_argument("--minutes", type=float, default=math.inf, help="several jobs: stop then")
    parser.add_argument("--brief", action="store_true", help="accuracies only: no prices, no GraNd")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args(arguments)
    end = time.monotonic() + 60 * args.minutes
    if args.all:
        blocks = EVERYTHING
    else:
        blocks = tuple((name, args.methods, args.densities, args.seeds) for name in args.datasets)
    jobs = args.jobs or (2 if args.device.startswith("cuda") else os.cpu_count() or 1)
    os.environ["OMP_NUM_THREADS"] = "1"  # NumPy's, of the workers
    preset = PRESETS[args.preset].changed(args.epochs, args.per_class)
    place = Place(preset, args.archive, args.cache.expanduser(), args.device, args.brief)
    load(place.archive, place.cache)  # decoded once, before several workers want it
    wanted = (cell for block in blocks for cell in cells(*block))
    with closing(Results(args.results / f"{preset.name}.jsonl")) as results:
        failed = run(tasks_for(wanted, args.brief), place, results, jobs, end)
    if failed:
        sys.exit(f"{len(failed)} tasks failed or could not run: {', '.join(failed)}")


if __name__ == "__main__":
    main()
