"""A plan of 20,000,000 rows in 10,000 classes from a Parquet file: CPU seconds and peak memory.

    python benchmarks/arrays.py

The file is written first, by another process, so that memory is that of the plan alone.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from reporting import emit, machine

PART = 1_000_000


def make(path: Path, n: int, k: int) -> None:
    """Ids as FiftyOne makes them, and classes of long-tailed sizes."""
    rng = np.random.default_rng(51)
    names = np.array([f"class {i:05d}" for i in range(k)])
    shares = 1 / np.arange(10, k + 10)
    edges = np.cumsum(shares / shares.sum())
    writer = None
    for start in range(0, n, PART):
        rows = min(PART, n - start)
        codes = np.searchsorted(edges[:-1], rng.random(rows))
        codes[: min(k, rows)] = np.arange(min(k, rows))
        ids = np.frombuffer(rng.bytes(12 * rows).hex().encode(), "S24").astype(str)
        table = pa.table({"id": ids, "label": names[codes]})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table)
    assert writer is not None
    writer.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=20_000_000)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--make", type=Path, help="only write the file")
    args = parser.parse_args()
    if args.make is not None:
        make(args.make, args.samples, args.classes)
        return
    with tempfile.TemporaryDirectory(prefix="fiftyone-drop-") as folder:
        source, to = Path(folder) / "all.parquet", Path(folder) / "kept.parquet"
        sizes = ["--samples", str(args.samples), "--classes", str(args.classes)]
        subprocess.run([sys.executable, __file__, "--make", str(source), *sizes], check=True)
        import fiftyone_drop as fod

        rng = np.random.default_rng(0)
        recalls = {f"class {i:05d}": float(r) for i, r in enumerate(rng.random(args.classes))}
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        cpu, wall = time.process_time(), time.perf_counter()
        plan = fod.plan_parquet(source, to, 0.1, recalls=recalls, kept_only=True)
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        kept = pq.ParquetFile(to).metadata.num_rows
    assert kept == plan.table.quotas.sum()
    print(
        f"a plan of {args.samples:,} samples of {args.classes:,} classes, and its file of "
        f"{kept:,} rows: {cpu:.1f} CPU s ({wall:.1f} s), {1024 * peak / 1e9:.2f} GB at most, "
        f"{1024 * (peak - before) / args.samples:.0f} bytes a sample beside the program"
    )
    assert "torch" not in sys.modules
    assert "fiftyone" not in sys.modules
    emit(
        {
            "title": f"plan of {args.samples:,} rows of {args.classes:,} classes from Parquet",
            "cpu_s": cpu,
            "wall_s": wall,
            "peak_bytes": 1024 * peak,
            "before_bytes": 1024 * before,
            "samples": args.samples,
            "machine": machine(),
        }
    )


if __name__ == "__main__":
    main()
