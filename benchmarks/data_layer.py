"""What reading, writing and looking at a drop run costs, from ten thousand samples to a million.

    python scripts/with_mongod.py --home .benchmark -- python benchmarks/data_layer.py
    ... --sizes 1280000 --repeats 1     once at the size of ImageNet
    ... --quick                         a minute's worth: what the tests run

Makes its own datasets of sample documents without images (1,000 long-tailed classes), deletes
them, and prints ratios of arms that took turns, bytes per sample and peak memory.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import resource
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from bson import ObjectId
from pymongo import UpdateOne
from reporting import emit, interleaved, machine, report

import fiftyone_drop as fod
from fiftyone_drop.population import read_population
from fiftyone_drop.store import FieldValues, write_fields

INSERT = 20_000
QUICK = {"sizes": [10_000], "classes": 100, "repeats": 1}
IMAGES = "/images/{:08d}.jpg"  # none is there


# -- datasets of sample documents -----------------------------------------------------------------


@contextlib.contextmanager
def synthetic_dataset(n: int, k: int, filepath: str = IMAGES) -> Iterator[fo.Dataset]:
    """A dataset of ``n`` sample documents in ``k`` long-tailed classes; deleted at the end."""
    dataset = fo.Dataset(f"benchmark-{uuid.uuid4().hex}")
    try:
        fill(dataset, n, k, filepath)
        yield dataset
    finally:
        dataset.delete()


def fill(dataset: fo.Dataset, n: int, k: int, filepath: str = IMAGES) -> None:
    """Insert ``n`` copies of a document that FiftyOne made, with ids and labels of their own.

    A ``filepath`` without a place for the number of the sample is that of them all.
    """
    sample = fo.Sample(
        filepath=filepath.format(0),
        tags=["train"],
        metadata=fo.ImageMetadata(size_bytes=1, width=224, height=224, num_channels=3),
        ground_truth=fo.Classification(label="class 0000"),
    )
    dataset.add_sample(sample)
    collection = dataset._sample_collection
    template = collection.find_one()
    dataset.clear()
    codes = class_codes(n, k)
    for start in range(0, n, INSERT):
        rows = range(start, min(start + INSERT, n))
        collection.insert_many(
            [document(template, filepath.format(i), int(codes[i])) for i in rows]
        )


def document(template: dict[str, Any], path: str, code: int) -> dict[str, Any]:
    """A sample document of its own."""
    label = {**template["ground_truth"], "_id": ObjectId(), "label": f"class {code:04d}"}
    return {**template, "_id": ObjectId(), "filepath": path, "ground_truth": label}


def class_codes(n: int, k: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """The class of each sample: sizes in proportion to 1 / rank, and each class at least once."""
    rng = np.random.default_rng(51)
    shares = 1 / np.arange(1, k + 1)
    codes = rng.choice(k, size=n, p=shares / shares.sum())
    codes[rng.choice(n, size=k, replace=False)] = np.arange(k)
    return codes


def recalls_of(k: int) -> dict[str, float]:
    rng = np.random.default_rng(7)
    return {f"class {code:04d}": float(r) for code, r in enumerate(rng.uniform(0.3, 1, k))}


# -- memory ---------------------------------------------------------------------------------------


class PeakMemory:
    """The most resident memory of this process inside a ``with``, above what it held before."""

    def __enter__(self) -> PeakMemory:
        gc.collect()
        self.before = self.most = resident()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *args: object) -> None:
        self._done.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._done.wait(0.005):
            self.most = max(self.most, resident())

    @property
    def above(self) -> int:
        """Bytes."""
        return self.most - self.before


def resident() -> int:
    """Bytes of memory that this process holds now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


# -- arms -----------------------------------------------------------------------------------------


def read_alone(dataset: fo.Dataset) -> None:
    """Ids and labels with a bare cursor, kept as FiftyOne gives them to nobody: not at all."""
    cursor = dataset._sample_collection.find({}, {"ground_truth.label": 1}, batch_size=50_000)
    for _ in cursor:
        pass


def read_values(dataset: fo.Dataset) -> None:
    dataset.values(["id", "ground_truth.label"])


def two_set_values(dataset: fo.Dataset, keep_at: Any) -> None:
    dataset.set_values("bench_keep_at", keep_at.tolist())
    dataset.set_values("bench_kept", (keep_at <= 0.5).tolist())


def bulk_write(dataset: fo.Dataset, keep_at: Any, threads: int, batch: int) -> None:
    """The same updates with pymongo alone."""
    oids = [d["_id"] for d in dataset._sample_collection.find({}, {"_id": 1})]
    samples = dataset._sample_collection
    now = datetime.now(timezone.utc)

    def write(start: int) -> None:
        updates = [
            UpdateOne(
                {"_id": oids[i]},
                {"$set": {"bulk_keep_at": v, "bulk_kept": v <= 0.5, "last_modified_at": now}},
            )
            for i, v in enumerate(keep_at[start : start + batch].tolist(), start)
        ]
        samples.bulk_write(updates, ordered=False)

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(write, range(0, len(oids), batch)))


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = function()
    return time.perf_counter() - start, result


# -- measurements ---------------------------------------------------------------------------------


def reading(dataset: fo.Dataset, n: int, k: int, repeats: int) -> dict[str, Any]:
    recalls = recalls_of(k)
    with PeakMemory() as memory:
        fod.plan_drop(dataset, 0.5, recalls=recalls)
    seconds = interleaved(
        {
            "bare cursor": lambda: read_alone(dataset),
            "dataset.values": lambda: read_values(dataset),
            "read_population": lambda: read_population(dataset, "ground_truth"),
            "plan_drop": lambda: fod.plan_drop(dataset, 0.5, recalls=recalls),
        },
        repeats,
        warm_up=repeats > 1,
    )
    return report(
        f"reading ids and labels, {n:,} samples of {k:,} classes",
        seconds,
        "bare cursor",
        # A promise about large datasets: small ones take some hundredths of a second more
        {"plan_drop": ("at most", 1.3)} if n >= 100_000 else {},
        samples=n,
        peak_bytes_per_sample=round(memory.above / n),
        peak_mb=round(memory.above / 1e6),
    )


def writing(dataset: fo.Dataset, n: int, k: int, repeats: int, variants: bool) -> dict[str, Any]:
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls_of(k))
    rng = np.random.default_rng(1)

    def fresh() -> Any:
        """New values at each call: MongoDB skips what is written already."""
        return rng.random(n)

    def ours() -> None:
        values = fresh()
        fields = {
            "our_keep_at": FieldValues(fo.FloatField, values, ""),
            "our_kept": FieldValues(fo.BooleanField, values <= 0.5, ""),
        }
        write_fields(dataset, plan.population.ids, fields, progress=False)

    with PeakMemory() as memory:
        ours()
    settings = [(1, 10_000), (2, 10_000), (3, 10_000), (4, 10_000), (3, 2_000), (3, 50_000)]
    plain = {
        f"bulk_write, {threads} threads of {batch:,}": (threads, batch)
        for threads, batch in (settings if variants else [(3, 10_000)])
    }
    arms: dict[str, Callable[[], object]] = {
        "write_fields": ours,
        **{
            name: lambda setting=setting: bulk_write(dataset, fresh(), *setting)
            for name, setting in plain.items()
        },
        "two dataset.set_values": lambda: two_set_values(dataset, fresh()),
    }
    # With a warm-up, for the first write of a field makes every document longer
    seconds = interleaved(arms, repeats, warm_up=repeats > 1)
    fastest = min(plain, key=lambda name: float(np.median(seconds[name])))
    record = report(
        f"writing keep_at and kept, {n:,} samples; fastest plain: {fastest}",
        seconds,
        fastest,
        {"write_fields": ("at most", 1.3)},
        samples=n,
        peak_bytes_per_sample=round(memory.above / n),
        peak_mb=round(memory.above / 1e6),
    )
    ratio = float(np.median(np.divide(seconds["two dataset.set_values"], seconds["write_fields"])))
    holds = "holds" if ratio >= 3 else "FAILS"
    print(f"claim {holds}: two set_values at least 3x write_fields: {ratio:.2f}")
    return record


def looking(dataset: fo.Dataset, n: int, k: int) -> dict[str, Any]:
    """First page, count and per-class counts of the saved view, with and without an index."""
    dataset.apply_drop(0.5, recalls=recalls_of(k), progress=False)
    rows: dict[str, dict[str, Any]] = {}

    def look(name: str, view: fo.DatasetView) -> None:
        for what, function in {
            "first page": lambda: list(view._aggregate(post_pipeline=[{"$limit": 21}])),
            "count": lambda: len(view),
            "per class": lambda: view.count_values("ground_truth.label"),
        }.items():
            rows.setdefault(name, {})[what] = round(min(timed(function)[0] for _ in range(3)), 4)

    views = {
        "saved view (kept == True)": lambda: dataset.load_saved_view("drop-kept"),
        "drop_view at 0.5": lambda: fod.drop_view(dataset, "drop", 0.5),
        "drop_view at 0.05": lambda: fod.drop_view(dataset, "drop", 0.05),
    }
    for name, make in views.items():
        look(name, make())
    for field in ("drop_kept", "drop_keep_at"):
        dataset.create_index(field)
        for name, make in views.items():
            look(f"{name}, index on {field}", make())
        dataset.drop_index(field)
    try:
        look("select(ids)", dataset.select(dataset.load_saved_view("drop-kept").values("id")))
        dataset.save_view(
            "by-ids", dataset.select(dataset.load_saved_view("drop-kept").values("id"))
        )
        rows["select(ids)"]["saved"] = True
    except Exception as error:
        rows.setdefault("select(ids)", {})["failed"] = type(error).__name__
    move, _ = timed(lambda: fod.set_density(dataset, "drop", 0.51))
    far, _ = timed(lambda: fod.set_density(dataset, "drop", 0.9))
    print(f"\nlooking at {n:,} samples, seconds (best of 3)")
    for name, times in rows.items():
        print(f"{name:48} " + "  ".join(f"{what} {value}" for what, value in times.items()))
    print(f"set_density 0.5 -> 0.51: {move:.2f} s, -> 0.9: {far:.2f} s")
    record = {
        "title": "looking",
        "samples": n,
        "seconds": rows,
        "set_density_near_s": move,
        "set_density_far_s": far,
        "machine": machine(),
    }
    emit(record)
    return record


def per_sample(records: list[dict[str, Any]], arm: str) -> None:
    """Cost per sample across sizes."""
    costs = {r["samples"]: r["arms"][arm]["median_s"] / r["samples"] for r in records}
    words = ", ".join(f"{n:,}: {1e6 * cost:.2f} us" for n, cost in costs.items())
    large = [cost for n, cost in costs.items() if n >= 100_000]
    print(f"\n{arm} per sample: {words}")
    if len(large) > 1:
        ratio = max(large) / min(large)
        print(f"claim {'holds' if ratio <= 1.5 else 'FAILS'}: flat within 1.5x: {ratio:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000])
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--skip-variants", action="store_true", help="one plain bulk_write only")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only-looking", action="store_true", help="no arms: the saved views")
    args = parser.parse_args()
    if args.quick:
        vars(args).update(QUICK)
    reads, writes = [], []
    for n in args.sizes:
        with synthetic_dataset(n, args.classes) as dataset:
            if not args.only_looking:
                reads.append(reading(dataset, n, args.classes, args.repeats))
                variants = not args.skip_variants
                writes.append(writing(dataset, n, args.classes, args.repeats, variants))
            looking(dataset, n, args.classes)
    if not args.only_looking:
        per_sample(reads, "plan_drop")
        per_sample(writes, "write_fields")


if __name__ == "__main__":
    main()
