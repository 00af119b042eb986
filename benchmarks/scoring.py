"""Five scores of a directory of JPEGs against a bare PyTorch loop, and against FiftyOne's hardness.

    python scripts/with_mongod.py --home /tmp/scoring -- \
        python benchmarks/scoring.py --archive cifar10.tar.xz

The bare loop loads the same images with the same workers and runs the same forward pass, and keeps
nothing; the same loop with a DataLoader's processes is there for comparison. Ours computes EL2N,
entropy, margin, loss and last-layer GraNd and writes them to the database. FiftyOne's arm is what
gives the entropy alone there: apply_model(store_logits=True), then compute_hardness. ResNet-18 with
a 3x3 stem; its weights are random, since time does not depend on them.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
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
from PIL import Image
from reporting import interleaved, report
from torch import nn
from torchvision.transforms import v2

import fiftyone_drop as fod
from fiftyone_drop.engine.images import Transformed
from fiftyone_drop.engine.reader import ImageReader, positions
from fiftyone_drop.score_fields import compute

SCORES = ("el2n", "entropy", "margin", "loss", "grand_last_layer")
TRANSFORM = v2.Compose(
    [
        v2.ToImage(),
        v2.ToDtype(torch.float32, scale=True),
        v2.Normalize([0.491, 0.482, 0.447], [0.247, 0.243, 0.262]),
    ]
)


def bare(paths: list[str], module: nn.Module, args: argparse.Namespace) -> None:
    """The loop that everybody writes, with our worker threads."""
    pin = args.device != "cpu"
    reader = ImageReader(paths, [Transformed(TRANSFORM)], workers=args.workers, pin=pin)
    reader.probe(0)
    with torch.inference_mode(), torch.autocast(args.device, torch.float16, args.device != "cpu"):
        for batch in reader.batches(positions(0, len(paths), args.batch)):
            logits = module(to_device(batch.inputs[0], args.device))
    logits.cpu()


class Files(torch.utils.data.Dataset[torch.Tensor]):
    """Image files as tensors."""

    def __init__(self, paths: list[str]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> torch.Tensor:
        with Image.open(self.paths[index]) as file:
            return TRANSFORM(file.convert("RGB"))


def bare_processes(paths: list[str], module: nn.Module, args: argparse.Namespace) -> None:
    """The same with a DataLoader's processes."""
    loader = torch.utils.data.DataLoader(
        Files(paths), args.batch, num_workers=args.workers, pin_memory=args.device != "cpu"
    )
    with torch.inference_mode(), torch.autocast(args.device, torch.float16, args.device != "cpu"):
        for images in loader:
            logits = module(to_device(images, args.device))
    logits.cpu()


def to_device(images: torch.Tensor, device: str) -> torch.Tensor:
    if device == "cpu":
        return images
    return images.to(device, non_blocking=True).contiguous(memory_format=torch.channels_last)


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
    files = sorted(folder.glob("train/*/*.jpg"))
    chosen = [files[i] for i in np.linspace(0, len(files) - 1, args.samples).astype(int)]
    torch.manual_seed(0)
    module = build("resnet18", 32, args.device)
    database: list[float] = []
    # What touches the database: reading labels and paths, writing fields
    compute.read_labelled = timed(compute.read_labelled, database)
    compute.write = timed(compute.write, database)
    warm, dataset = make_dataset(chosen[:: max(1, len(chosen) // 64)]), make_dataset(chosen)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, help="cifar10.tar.xz, to be unpacked")
    parser.add_argument("--folder", type=Path, help="or a folder with train/<class>/*.jpg")
    parser.add_argument("--samples", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--quick", action="store_true", help="300 images, one repeat")
    args = parser.parse_args()
    if args.quick:
        args.samples, args.repeats, args.batch = 300, 1, 64
    torch.set_num_threads(args.threads)
    if args.folder is not None:
        run(args.folder, args)
        return
    if args.archive is None:
        parser.error("pass --archive or --folder")
    with tempfile.TemporaryDirectory(prefix="fiftyone-drop-") as folder:
        with tarfile.open(args.archive) as archive:
            archive.extractall(folder, filter="data")
        run(Path(folder), args)


if __name__ == "__main__":
    main()
