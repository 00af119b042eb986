"""Kill the client with SIGKILL at random moments of a write, and look at what it leaves.

    python scripts/with_mongod.py --home .benchmark -- python benchmarks/kill_client.py
    ... --samples 2000 --kills 3 --lease 1        what the tests run

After each kill the run must be whole, or incomplete and replaced by calling again; no other field,
view, run or evaluation may have changed. FiftyOne takes seconds to import, so this process imports
it once and forks; nothing has connected to the database by then.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import signal
import sys
import time
import traceback
import uuid
from collections.abc import Callable

import fiftyone as fo
from data_layer import fill, recalls_of
from reporting import emit, machine

import fiftyone_drop as fod
from fiftyone_drop import lease
from fiftyone_drop.pruning import plan_drop  # imported before forking, as all that is slow

KEY, OTHER = "drop", "other"
CLASSES = 100


def in_child(work: Callable[[int], None], ready: int = -1) -> int:
    """Run ``work`` in a forked process; its id."""
    child = os.fork()
    if child == 0:
        status = 1
        try:
            work(ready)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            os._exit(status)
    return child


def finished(child: int) -> bool:
    """Wait for a child; whether it ended well."""
    return os.waitpid(child, 0)[1] == 0


def rest_of(dataset: fo.Dataset) -> str:
    """A digest of all that the run under KEY does not own."""
    digest = hashlib.sha256()
    own = {f"{KEY}_keep_at", f"{KEY}_kept", "last_modified_at"}
    for stored in dataset._sample_collection.find().sort("_id", 1):
        digest.update(repr([(k, v) for k, v in sorted(stored.items()) if k not in own]).encode())
    schema = sorted(set(dataset.get_field_schema()) - own)
    views = sorted(set(dataset.list_saved_views()) - {f"{KEY}-kept", f"{KEY}-pruned"})
    runs = sorted(set(dataset.list_runs()) - {KEY})
    digest.update(repr((schema, views, runs, dataset.list_evaluations())).encode())
    digest.update(repr(fod.load_drop(dataset, OTHER)).encode())
    return digest.hexdigest()


def build(name: str, n: int) -> None:
    """A dataset with another run, whose every value must survive."""
    dataset = fo.Dataset(name, persistent=True)
    fill(dataset, n, CLASSES)
    fod.apply_drop(dataset[: n // 2], 0.4, key=OTHER, rule="proportional", progress=False)


def write(name: str, ready: int) -> None:
    """Apply, saying when the deciding is over and the writing begins."""
    plan = plan_drop(fo.load_dataset(name), 0.5, recalls=recalls_of(CLASSES))
    os.write(ready, b".")
    plan.apply(key=KEY, progress=False)


def verify(name: str, n: int, digest: str) -> None:
    """Check what a killed client has left, then apply again and delete."""
    dataset = fo.load_dataset(name)
    assert rest_of(dataset) == digest, "something else changed"
    whole = KEY in fod.list_drops(dataset)
    if whole:
        assert len(dataset.load_saved_view(f"{KEY}-kept")) == fod.kept_size(n, 0.5)
        assert len(fod.drop_view(dataset, KEY, 1.0)) == n
    view = dataset.apply_drop(
        0.3, key=KEY, recalls=recalls_of(CLASSES), overwrite=whole, progress=False
    )
    assert len(view) == fod.kept_size(n, 0.3)
    assert len(fod.drop_view(dataset, KEY, 0.2)) == fod.kept_size(n, 0.2)
    time.sleep(0.3)  # a write of the killed client that the server still had would show now
    assert len(dataset.load_saved_view(f"{KEY}-kept")) == fod.kept_size(n, 0.3)
    assert rest_of(dataset) == digest
    fod.delete_drop(dataset, KEY)
    assert rest_of(dataset) == digest
    assert not dataset._sample_collection.find_one({f"{KEY}_keep_at": {"$exists": True}})
    print("whole" if whole else "replaced")


def digest_of(name: str) -> str:
    """The digest, computed in a child: this process must not connect."""
    read, ready = os.pipe()
    child = in_child(lambda out: os.write(out, rest_of(fo.load_dataset(name)).encode()), ready)
    digest = os.read(read, 64).decode()
    assert finished(child)
    return digest


def killed_write(name: str, after: float | None) -> float:
    """Start a write and kill it ``after`` seconds; its duration if it is left alone (None)."""
    read, ready = os.pipe()
    child = in_child(lambda out: write(name, out), ready)
    os.read(read, 1)
    start = time.perf_counter()
    if after is None:
        assert finished(child)
        return time.perf_counter() - start
    time.sleep(after)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(read)
    os.close(ready)
    return after


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=51)
    parser.add_argument(
        "--lease", type=float, default=lease.SECONDS, help="seconds that the next writer waits"
    )
    args = parser.parse_args()
    lease.SECONDS = args.lease
    name = f"kill-{uuid.uuid4().hex}"
    moments = random.Random(args.seed)
    failures = 0
    assert finished(in_child(lambda _: build(name, args.samples)))
    try:
        digest = digest_of(name)
        whole = killed_write(name, None)
        assert finished(in_child(lambda _: verify(name, args.samples, digest)))
        print(f"a write left alone takes {whole:.2f} s")
        for _ in range(args.kills):
            killed_write(name, moments.uniform(0, 1.1 * whole))
            failures += not finished(in_child(lambda _: verify(name, args.samples, digest)))
    finally:
        assert finished(in_child(lambda _: fo.delete_dataset(name)))
    print(f"{args.kills} kills of a write of {args.samples:,} samples, {failures} failures")
    emit({"title": "killed client", **vars(args), "failures": failures, "machine": machine()})
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
