"""GraNd over all parameters against an ordinary batched forward+backward and the published loop.

    python benchmarks/grand.py --model resnet18 --model vgg16_bn

The three arms take turns within one run, on the same images. The published loop runs forward and
backward for one sample at a time; it gets fewer samples, and its time is extrapolated linearly.
How slow it is depends on the model: most where weights are many and images small (`--original`:
torchvision's own models, whose stem shrinks a 32-pixel image to a few pixels at once).
All arms run the model in eval mode; "batched" computes every weight gradient, as training does.
Images are random: the time does not depend on what they show.
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from reporting import interleaved, report
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from fiftyone_drop.errors import DropWarning
from fiftyone_drop.scoring.grand.gradient_norms import GradientNorms

LOOP = {"resnet18": 8.0, "vgg16": 2.5, "vgg16_bn": 2.5}
"""How many times as long as ours the published loop is claimed to take, at least."""


def build(name: str, size: int, device: str, *, original: bool = False) -> nn.Module:
    model: nn.Module = torchvision.models.get_model(name, num_classes=10)
    if original:
        return model.to(device).eval()
    if size <= 64 and name.startswith("resnet"):
        # The usual stem for small images: 3x3, stride 1, no pooling.
        model.conv1 = nn.Conv2d(3, 64, 3, padding=1, bias=False)
        model.maxpool = nn.Identity()
    if size <= 64 and name.startswith("vgg"):
        # VGG-16 for CIFAR as the pruning papers use it: one linear layer after global pooling.
        model.avgpool = nn.AdaptiveAvgPool2d(1)
        model.classifier = nn.Linear(512, 10)
    return model.to(device).eval()


def batched(model: nn.Module, x: Tensor, y: Tensor) -> None:
    cross_entropy(model(x), y).backward()
    model.zero_grad(set_to_none=True)


def one_by_one(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    norms = []
    for i in range(len(x)):
        cross_entropy(model(x[i : i + 1]), y[i : i + 1]).backward()
        squares = [p.grad.square().sum() for p in model.parameters() if p.grad is not None]
        norms.append(torch.stack(squares).sum().sqrt())
        model.zero_grad(set_to_none=True)
    return torch.stack(norms)


def measure(name: str, args: argparse.Namespace) -> None:
    torch.manual_seed(0)
    model = build(name, args.size, args.device, original=args.original)
    x = torch.randn(args.samples, 3, args.size, args.size, device=args.device)
    y = torch.randint(0, 10, (args.samples,), device=args.device)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DropWarning)  # untrained, as the time does not care
        norms = GradientNorms(model)
    few = slice(0, args.loop_samples)

    def batches(function: Callable[[Tensor, Tensor], object]) -> None:
        for xs, ys in zip(x.split(args.batch), y.split(args.batch), strict=True):
            function(xs, ys)
        wait(args.device)

    def loop() -> None:
        one_by_one(model, x[few], y[few])
        wait(args.device)

    arms = {
        "per-sample norms": lambda: batches(norms),
        "batched forward+backward": lambda: batches(lambda xs, ys: batched(model, xs, ys)),
        "one by one (extrapolated)": loop,
    }
    seconds = interleaved(arms, args.repeats)
    factor = args.samples / args.loop_samples
    seconds["one by one (extrapolated)"] = [
        factor * t for t in seconds["one by one (extrapolated)"]
    ]
    claims: dict[str, Any] = {"per-sample norms": ("at most", 1.2)}
    if name in LOOP:
        claims["one by one (extrapolated)"] = ("at least", LOOP[name], "per-sample norms")
    error = (norms(x[few], y[few]) / one_by_one(model, x[few], y[few]) - 1).abs().max().item()
    report(
        f"GraNd over all parameters, {name}, {args.samples} samples",
        seconds,
        baseline="batched forward+backward",
        claims=claims,
        loop_extrapolated=f"from {args.loop_samples} to {args.samples} samples",
        max_relative_error_float32=error,
        settings=vars(args),
    )


def wait(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", action="append")
    parser.add_argument("--samples", type=int, default=256)
    parser.add_argument("--loop-samples", type=int, default=16)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--original", action="store_true", help="torchvision's stem and head")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    for name in args.model or ["resnet18", "vgg16_bn"]:
        measure(name, args)


if __name__ == "__main__":
    main()
