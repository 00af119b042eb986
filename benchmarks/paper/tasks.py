"""The pieces of work of the experiment: queries, trainings on what they select, and prices.

A task runs in a process of its own, and returns what is added to the results as one line of JSON.
``seconds`` are pairs: by the clock, and of the processor.
"""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from data import Data, encoded_images, load, make
from methods import METHODS, select
from networks import NETWORKS
from PIL import Image
from presets import Preset
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.transforms import v2
from training import Images, Training, autocast, channel_statistics, predict, recalls

from fiftyone_drop import suggested_epochs
from fiftyone_drop.scoring import DynamicsRecorder, GradientNorms, forward_scores, k_center

SCORED_AT_ONCE = 250
PUBLISHED_IMAGES, PUBLISHED_GRADIENTS = 1000, 200


@dataclass(frozen=True)
class Place:
    """Where a run reads and writes, and what it computes on.

    ``brief``: queries leave out the scores that cost more than their trainings, such as GraNd.
    """

    preset: Preset
    archive: Path
    cache: Path
    device: str
    brief: bool = False

    @property
    def folder(self) -> Path:
        """Query results and checkpoints of this version of the preset."""
        return self.cache / f"{self.preset.name}-{self.preset.version}"

    def data(self, dataset: str) -> Data:
        """A dataset, which stays in memory."""
        return _data(self.archive, self.cache, self.preset, dataset)


@lru_cache(maxsize=2)
def _data(archive: Path, cache: Path, preset: Preset, dataset: str) -> Data:
    return make(load(archive, cache), preset.variant(dataset))


class Stages(dict[str, list[float]]):
    """Seconds of each stage: by the clock, and of the processor."""

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """Add what happens inside to a stage."""
        wall, cpu = time.perf_counter(), time.process_time()
        yield
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        before = self.get(stage, [0.0, 0.0])
        self[stage] = [
            round(before[0] + time.perf_counter() - wall, 3),
            round(before[1] + time.process_time() - cpu, 3),
        ]


class Work:
    """What all tasks share: a dataset on a device, and a watch."""

    def __init__(self, place: Place, dataset: str, seed: int) -> None:
        self.place, self.preset, self.recipe = place, place.preset, place.preset.recipe
        self.data = place.data(dataset)
        self.seed, self.k = seed, len(self.data.classes)
        self.device = torch.device(place.device)
        self.seconds = Stages()
        self.normalisation = channel_statistics(self.data.train)

    def images(self, split: Any) -> Images:
        """Some images on the device."""
        return Images(split, self.device, *self.normalisation)

    def training(self, split: Any, epochs: int, purpose: int, **how: Any) -> Training:
        """A training whose randomness is its own."""
        seed = int(np.random.SeedSequence((self.seed, purpose)).generate_state(1)[0])
        return Training(self.recipe, self.images(split), epochs, seed, self.k, **how)


@dataclass(frozen=True)
class Query:
    """Preliminary trainings without augmentation, that give recalls and scores.

    "short": query models trained for a tenth of the epochs; recalls are those of the epoch with
    the best validation accuracy, EL2N, GraNd and loss those of the end, all averaged over the
    models. "long": one full training, for training dynamics and embeddings.
    """

    dataset: str
    kind: str
    seed: int
    needs: tuple[Query, ...] = ()

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.dataset}/query-{self.kind}/{self.seed}"

    def path(self, place: Place) -> Path:
        """Where its arrays are."""
        brief = "-brief" if place.brief else ""
        return place.folder / f"{self.dataset}-{self.kind}{brief}-{self.seed}.npz"

    def run(self, place: Place) -> dict[str, Any]:
        """Train, score, and keep the arrays."""
        work = Work(place, self.dataset, self.seed)
        found = {"short": _short_query, "long": _long_query}[self.kind](work)
        path = self.path(place)
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial.npz")
        np.savez(partial, **found)
        partial.replace(path)
        shown = {name: values for name, values in found.items() if len(values) == work.k}
        return {name: values.round(4).tolist() for name, values in shown.items()} | {
            "seconds": work.seconds
        }


def _short_query(work: Work) -> dict[str, npt.NDArray[np.float64]]:
    train, validation = work.images(work.data.train), work.images(work.data.validation)
    names = ("recalls", "el2n", "loss") + ("grand",) * (not work.place.brief)
    sums: dict[str, Any] = dict.fromkeys(names, 0.0)
    for model in range(work.preset.query_models):
        by_epoch = []
        with work.seconds.time("train"):
            module = work.training(
                work.data.train, work.preset.query_epochs, 1 + model, query=True
            ).run(lambda m, seen=by_epoch: seen.append(recalls(m, validation, work.recipe, work.k)))
        sums["recalls"] += max(by_epoch, key=np.mean)
        with work.seconds.time("el2n"):
            logits, _ = predict(module, train, work.recipe)
            scores = forward_scores(("el2n", "loss"), torch.from_numpy(logits), train.labels.cpu())
        sums["el2n"] += scores["el2n"]
        sums["loss"] += scores["loss"]
        if work.place.brief:
            continue
        with work.seconds.time("grand"):
            norms = GradientNorms(module)
            parts = np.array_split(np.arange(len(train)), -(-len(train) // SCORED_AT_ONCE))
            sums["grand"] += np.concatenate(
                [norms(train.batch(part), train.labels[part]).cpu().numpy() for part in parts]
            )
    return {name: values / work.preset.query_models for name, values in sums.items()}


def _long_query(work: Work) -> dict[str, npt.NDArray[np.float64]]:
    train, epochs = work.images(work.data.train), work.recipe.epochs
    recorder = DynamicsRecorder(
        len(train),
        train.labels,
        scores=("forgetting", "dynamic_uncertainty"),
        window=max(2, min(10, epochs - 1)),
    )
    with work.seconds.time("train"):
        folder = str(work.place.folder / "checkpoints")
        module = work.training(work.data.train, epochs, 0, checkpoint_dir=folder).run(
            recorder=recorder
        )
        found = recorder.finish()
    with work.seconds.time("embeddings"):
        _, embeddings = predict(module, train, work.recipe)
    with work.seconds.time("k_center"):
        table = torch.from_numpy(embeddings).to(work.device)
        found["k_center"] = k_center(table, picks=len(train) // 2)
    return found


@dataclass(frozen=True)
class Cell:
    """One training on what a method keeps, and its accuracy on the test half."""

    dataset: str
    method: str
    density: float
    seed: int

    @property
    def name(self) -> str:
        """What results call it."""
        return f"{self.dataset}/{self.method}/{self.density:g}/{self.seed}"

    @property
    def needs(self) -> tuple[Query, ...]:
        """What has to be done before."""
        kinds = METHODS[self.method].queries
        return tuple(Query(self.dataset, kind, self.seed) for kind in kinds)

    def run(self, place: Place) -> dict[str, Any]:
        """Select, train, test."""
        method = METHODS[self.method]
        work = Work(place, self.dataset, self.seed)
        found: dict[str, Any] = {}
        for query in self.needs:
            with np.load(query.path(place)) as arrays:
                found |= dict(arrays)
        with work.seconds.time("select"):
            kept = work.data.train.take(select(work.data, method, self.density, self.seed, found))
        epochs = suggested_epochs(work.recipe.epochs, self.density)
        training = work.training(
            kept, epochs, 0, augment=True, checkpoint_dir=str(place.folder / "checkpoints")
        )
        validation = work.images(work.data.validation)

        def class_errors(module: nn.Module) -> torch.Tensor:
            errors = 1 - recalls(module, validation, work.recipe, work.k)
            return torch.from_numpy(errors).float().clamp(min=1e-3).to(work.device)

        with work.seconds.time("train"):
            module = training.run(class_errors if method.weighted_loss else None)
        accuracy = recalls(module, work.images(work.data.test), work.recipe, work.k)
        return {
            "dataset": self.dataset,
            "method": self.method,
            "density": self.density,
            "seed": self.seed,
            "epochs": epochs,
            "accuracy": accuracy.round(4).tolist(),
            "sizes": work.data.sizes.tolist(),
            "quotas": np.bincount(kept.labels, minlength=work.k).tolist(),
            "seconds": work.seconds,
        }


@dataclass(frozen=True)
class Published:
    """What the published implementation's way costs, measured on a part.

    It decodes every image in every epoch, in one process; and takes GraNd's gradients with one
    forward and backward pass per sample.
    """

    needs: tuple[Query, ...] = ()
    name: str = "published"

    def run(self, place: Place) -> dict[str, Any]:
        """Seconds per image of decoding and transforming, and per sample of GraNd."""
        work = Work(place, "balanced", 0)
        encoded = list(encoded_images(place.archive, PUBLISHED_IMAGES))
        mean, std = (values / 255 for values in work.normalisation)
        transform = v2.Compose(
            [
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize(mean.tolist(), std.tolist()),
            ]
        )
        with work.seconds.time("decode"):
            for _, file in encoded:
                with Image.open(file) as image:
                    transform(image.convert("RGB"))
        module = NETWORKS[work.recipe.network](work.k).to(work.device).eval()
        images = work.images(work.data.train)
        with work.seconds.time("gradients"):
            for i in range(PUBLISHED_GRADIENTS):
                rows = np.array([i % len(images)])
                with autocast(work.device, work.recipe):
                    logits = module(images.batch(rows))
                cross_entropy(logits, images.labels[rows]).backward()
                gradients = [p.grad for p in module.parameters() if p.grad is not None]
                torch.stack([g.square().sum() for g in gradients]).sum().sqrt().item()
                module.zero_grad(set_to_none=True)
        return {
            "decode": [s / len(encoded) for s in work.seconds["decode"]],
            "gradient": [s / PUBLISHED_GRADIENTS for s in work.seconds["gradients"]],
        }


Task = Query | Cell | Published


def start_worker() -> None:
    """Set a worker process up; it ends with its parent, even if that is killed."""
    torch.set_num_threads(1)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


def run_task(task: Task, place: Place) -> dict[str, Any]:
    """What a worker process does."""
    version = place.preset.version
    return {"task": task.name, "preset": place.preset.name, "version": version} | task.run(place)
