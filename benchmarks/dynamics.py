"""What recording training dynamics costs: the same epochs with and without the recorder.

    python benchmarks/dynamics.py

Trains on random images (ResNet-18 with a 3x3 stem, SGD), epochs with and without recording taking
turns, from the same loop. The recorder is handed the logits of the training step; its time is
also taken by itself, since it is small beside the spread of a training epoch.
"""

from __future__ import annotations

import argparse
import time

import torch
from grand import build
from reporting import interleaved, report
from torch import Tensor
from torch.nn.functional import cross_entropy

from fiftyone_drop.scoring import DynamicsRecorder, get_score

WINDOW = int(get_score("dynamic_uncertainty").defaults["window"])


def epoch(
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    x: Tensor,
    y: Tensor,
    batch: int,
    recorder: DynamicsRecorder | None = None,
    own: list[float] | None = None,
) -> None:
    """Train for one epoch; append the seconds spent in the recorder to `own`."""
    recording = 0.0
    for indices in torch.randperm(len(x)).split(batch):
        on_device = indices.to(x.device)
        logits = model(x[on_device])
        optimizer.zero_grad()
        cross_entropy(logits, y[on_device]).backward()
        optimizer.step()
        if recorder:
            begin = time.perf_counter()
            recorder.update(indices, logits)
            recording += time.perf_counter() - begin
    if recorder and own is not None:
        begin = time.perf_counter()
        recorder.end_epoch()
        own.append(recording + time.perf_counter() - begin)
    if x.is_cuda:
        torch.cuda.synchronize()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--samples", type=int, default=512)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    torch.manual_seed(0)
    model = build(args.model, args.size, args.device).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    x = torch.randn(args.samples, 3, args.size, args.size, device=args.device)
    y = torch.randint(0, 10, (args.samples,), device=args.device)
    recorder = DynamicsRecorder(args.samples, y)
    logits = torch.randn(args.samples, 10)
    for _ in range(WINDOW):  # full windows cost most
        recorder.update(range(args.samples), logits)
        recorder.end_epoch()
    own: list[float] = []
    seconds = interleaved(
        {
            "epoch": lambda: epoch(model, optimizer, x, y, args.batch),
            "epoch, recorded": lambda: epoch(model, optimizer, x, y, args.batch, recorder, own),
        },
        args.repeats,
    )
    seconds["recorder alone"] = own[-args.repeats :]
    report(
        f"recording the dynamics of {args.model}, {args.samples} samples",
        seconds,
        baseline="epoch",
        claims={"recorder alone": ("at most", 0.05)},
        scores=list(recorder.finish()),
        settings=vars(args),
    )


if __name__ == "__main__":
    main()
