"""Five scores of a directory of JPEGs against a bare PyTorch loop, and against FiftyOne's hardness.

    python scripts/with_mongod.py --home /tmp/scoring -- \
        python benchmarks/scoring.py --archive cifar10.tar.xz

The bare loops are those of ``scoring_pass.py``. Ours computes EL2N, entropy, margin, loss and
last-layer GraNd and writes them to the database. FiftyOne's arm is what gives the entropy alone
there: apply_model(store_logits=True), then compute_hardness. ResNet-18 with a 3x3 stem; its weights
are random, since time does not depend on them.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.brain as fob
import fiftyone.utils.torch as fout
import numpy as np
import torch
from grand import build
from reporting import interleaved, report
from scoring_pass import SCORES, TRANSFORM, bare, bare_processes, chosen, main
from torch import nn

import fiftyone_drop as fod
from fiftyone_drop.score_fields import compute


def fiftyone_model(module: nn.Module, classes: list[str], device: str) -> fout.TorchImageModel:
    return fout.TorchImageModel(
        fout.TorchImageModelConfig(
            {
                "entrypoint_fcn": lambda: module,
                "transforms_fcn": lambda: TRANSFORM,
                "ragged_batches": False,
                "output_processor_cls": "fiftyone.utils.torch.ClassifierOutputProcessor",
                "classes": classes,
                "device": device,
            }
        )
    )


def timed(function: Callable[..., Any], seconds: list[float]) -> Callable[..., Any]:
    """The function, its seconds added to the last number."""

    def call(*args: Any, **kwargs: Any) -> Any:
        start = time.perf_counter()
        try:
            return function(*args, **kwargs)
        finally:
            seconds[-1] += time.perf_counter() - start

    return call


def make_dataset(paths: list[Path]) -> fo.Dataset:
    dataset = fo.Dataset()
    dataset.add_samples(
        [
            fo.Sample(filepath=str(p), ground_truth=fo.Classification(label=p.parent.name))
            for p in paths
        ],
        progress=False,
    )
    return dataset


def make_arms(
    dataset: fo.Dataset, module: nn.Module, args: argparse.Namespace, database: list[float]
) -> dict[str, Callable[[], object]]:
    paths = dataset.values("filepath")
    classes = sorted(dataset.distinct("ground_truth.label"))
    model = fiftyone_model(module, classes, args.device)

    def ours() -> None:
        database.append(0.0)
        fod.compute_scores(
            dataset,
            "ground_truth",
            SCORES,
            model=module,
            transform=TRANSFORM,
            classes=classes,
            batch_size=args.batch,
            workers=args.workers,
            progress=False,
        )

    def theirs() -> None:
        dataset.apply_model(
            model,
            "predictions",
            store_logits=True,
            batch_size=args.batch,
            num_workers=args.workers,
            progress=False,
        )
        fob.compute_hardness(dataset, "predictions", progress=False)

    return {
        "bare loop": lambda: bare(paths, module, args),
        "bare loop, DataLoader processes": lambda: bare_processes(paths, module, args),
        "five scores, written": ours,
        "FiftyOne: logits, then hardness": theirs,
    }


def run(folder: Path, args: argparse.Namespace) -> None:
    files = chosen(folder, args.samples)
    torch.manual_seed(0)
    module = build("resnet18", 32, args.device)
    database: list[float] = []
    # What touches the database: reading labels and paths, writing fields
    compute.read_labelled = timed(compute.read_labelled, database)
    compute.write = timed(compute.write, database)
    warm, dataset = make_dataset(files[:: max(1, len(files) // 64)]), make_dataset(files)
    try:
        for arm in make_arms(warm, module, args, database).values():
            arm()
        arms = make_arms(dataset, module, args, database)
        seconds = interleaved(arms, args.repeats, warm_up=False)
        entropy, hardness = (np.array(dataset.values(f)) for f in ("entropy", "hardness"))
    finally:
        warm.delete()
        dataset.delete()
    seconds["of which database"] = database[-args.repeats :]
    report(
        f"scoring {args.samples:,} JPEGs with ResNet-18",
        seconds,
        "bare loop",
        {"five scores, written": ("at most", 1.1)},
        scores=SCORES,
        largest_difference_of_entropy_and_hardness=float(np.abs(entropy - hardness).max()),
        settings={name: str(value) for name, value in vars(args).items()},
    )


if __name__ == "__main__":
    main(__doc__, run)
