"""Five scores of a directory of JPEGs against a bare PyTorch loop. No database, no FiftyOne.

    python benchmarks/scoring_pass.py --archive cifar10.tar.xz

The bare loop loads the same images with the same workers and runs the same forward pass, and keeps
nothing; the same loop with a DataLoader's processes is there for comparison. Ours computes EL2N,
entropy, margin, loss and last-layer GraNd, as arrays. ResNet-18 with a 3x3 stem; its weights are
random, since time does not depend on them. ``scoring.py`` adds what the database costs.
"""

from __future__ import annotations

import argparse
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import torch
from grand import build
from PIL import Image
from reporting import interleaved, report
from torch import nn
from torchvision.transforms import v2

from fiftyone_drop.engine.images import Transformed
from fiftyone_drop.engine.reader import ImageReader, positions
from fiftyone_drop.inference.image_model import ImageModel
from fiftyone_drop.inference.source import PassOptions, Request, Scored
from fiftyone_drop.scoring.registry import deal_switches

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


def ours(paths: list[str], module: nn.Module, args: argparse.Namespace) -> Scored:
    """Five scores, as ``compute_scores`` has them before it writes."""
    classes = tuple(sorted({Path(path).parent.name for path in paths}))
    labels = np.array([classes.index(Path(path).parent.name) for path in paths])
    classes += tuple(f"class {k}" for k in range(len(classes), 10))  # the model has ten outputs
    model = ImageModel.behind(TRANSFORM, classes, "ResNet-18", module)
    with ExitStack() as until_written:
        request = Request(
            ids=np.array([f"{i:024x}" for i in range(len(paths))], "S24"),
            paths=paths,
            labels=[labels],
            switches=deal_switches(SCORES, {}),
            options=PassOptions(batch_size=args.batch, workers=args.workers),
            until_written=until_written,
            bar=lambda steps: nullcontext(SimpleNamespace(update=lambda done: None)),
        )
        return ImageModel.score_together([model], request)


def chosen(folder: Path, samples: int) -> list[Path]:
    """Some of the training images of a folder, evenly spread."""
    files = sorted(folder.glob("**/train/*/*.jpg"))
    return [files[i] for i in np.linspace(0, len(files) - 1, samples).astype(int)]


def run(folder: Path, args: argparse.Namespace) -> None:
    paths = [str(path) for path in chosen(folder, args.samples)]
    torch.manual_seed(0)
    module = build("resnet18", 32, args.device)

    def arms(paths: list[str]) -> dict[str, Callable[[], object]]:
        return {
            "bare loop": lambda: bare(paths, module, args),
            "bare loop, DataLoader processes": lambda: bare_processes(paths, module, args),
            "five scores": lambda: ours(paths, module, args),
        }

    for arm in arms(paths[:: max(1, len(paths) // (2 * args.batch))]).values():
        arm()
    report(
        f"scoring {args.samples:,} JPEGs with ResNet-18, as arrays",
        interleaved(arms(paths), args.repeats, warm_up=False),
        "bare loop",
        {"five scores": ("at most", 1.1)},
        scores=SCORES,
        settings={name: str(value) for name, value in vars(args).items()},
    )


def main(doc: str = __doc__, measure: Callable[[Path, argparse.Namespace], None] = run) -> None:
    """Read the arguments and measure on the images that they name."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
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
        measure(args.folder, args)
        return
    if args.archive is None:
        parser.error("pass --archive or --folder")
    with tempfile.TemporaryDirectory(prefix="fiftyone-drop-") as folder:
        with tarfile.open(args.archive) as archive:
            archive.extractall(folder, filter="data")
        measure(Path(folder), args)


if __name__ == "__main__":
    main()
