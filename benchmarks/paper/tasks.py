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
from methods import METHODS, Method, select
from minimax import Refitted, corrected, minimax
from networks import NETWORKS
from PIL import Image
from presets import Preset
from torch import nn
from torch.nn.functional import cross_entropy
from torchvision.transforms import v2
from training import (
    PREDICTED_AT_ONCE,
    Images,
    Training,
    autocast,
    channel_statistics,
    predict,
    recalls,
)

from fiftyone_drop import suggested_epochs
from fiftyone_drop.offsets import log_prior_offsets, recalls_under, tuned_offsets
from fiftyone_drop.scoring import DynamicsRecorder, forward_scores, herding, k_center
from fiftyone_drop.scoring.grand.gradient_norms import GradientNorms
from fiftyone_drop.training.closed_form import PatchFeatures

SCORED_AT_ONCE = 250
MINIMAX_ROUNDS, MINIMAX_LAST = 6, 3  # short trainings, and those whose weights are averaged
MINIMAX_LENGTH = 0.2  # of the final training
LEAST = 1e-3  # error of a class that is always right, so that its weight can grow
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
    models; herding is on the embeddings of all of them. "closed": ridge regression on patches, of
    which each training sample is left out once, in place of query models. "long": one full
    training, for training dynamics and embeddings.
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
        kinds = {"short": _short_query, "long": _long_query, "closed": _closed_query}
        found = kinds[self.kind](work)
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
    embeddings = []
    for model in range(work.preset.query_models):
        by_epoch = []
        with work.seconds.time("train"):
            module = work.training(
                work.data.train, work.preset.query_epochs, 1 + model, query=True
            ).run(lambda m, seen=by_epoch: seen.append(recalls(m, validation, work.recipe, work.k)))
        sums["recalls"] += max(by_epoch, key=np.mean)
        with work.seconds.time("el2n"):
            logits, embedding = predict(module, train, work.recipe)
            embeddings.append(embedding)
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
    means = {name: values / work.preset.query_models for name, values in sums.items()}
    if work.place.brief:
        return means
    with work.seconds.time("herding"):
        table = torch.from_numpy(np.concatenate(embeddings, axis=1)).to(work.device)
        return means | {"herding": herding(table, train.labels)}


def _closed_query(work: Work) -> dict[str, npt.NDArray[np.float64]]:
    model = _in_closed_form(work)
    with work.seconds.time("algebra"):
        labels = work.data.train.labels
        predicted = model.outputs(np.arange(len(labels))).argmax(1).cpu().numpy()
    correct = predicted == labels
    return {"recalls": np.bincount(labels, correct, minlength=work.k) / work.data.sizes}


def _in_closed_form(work: Work) -> Refitted:
    pixels = torch.from_numpy(work.data.train.pixels).permute(0, 3, 1, 2).to(work.device)
    with work.seconds.time("features"):
        features_of = PatchFeatures(pixels, work.seed)
        parts = pixels.split(PREDICTED_AT_ONCE)
        features = torch.cat([features_of(part) for part in parts])
    with work.seconds.time("algebra"):
        labels = torch.from_numpy(work.data.train.labels).to(work.device)
        return Refitted(features, labels, work.k)


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


def _minimax_by_training(work: Work, method: Method, density: float) -> npt.NDArray[np.float64]:
    """Class weights whose selection leaves the worst class of a short training best off.

    The first training is on a selection without quotas, and its recalls give DRoP's weights. Each
    training after it is on the selection of the weights so far, and the classes whose recall is
    below the mean get more, in proportion to what they lack. Of the weights after each correction,
    the geometric mean of the last ones counts, as recalls of one short training are noisy.
    """
    validation, sizes = work.images(work.data.validation), work.data.sizes
    epochs = max(1, round(suggested_epochs(work.recipe.epochs, density) * MINIMAX_LENGTH))
    weights, logs = sizes.astype(np.float64), []
    for turn in range(MINIMAX_ROUNDS):
        rows = select(work.data, method, density, work.seed, {"weights": weights})
        training = work.training(work.data.train.take(rows), epochs, 100 + turn, augment=True)
        found = recalls(training.run(), validation, work.recipe, work.k)
        weights = corrected(weights, found) if turn else sizes * np.maximum(1 - found, LEAST)
        logs.append(np.log(weights / weights.sum()))
    return np.exp(np.mean(logs[-MINIMAX_LAST:], axis=0))


def _minimax_in_closed_form(work: Work, method: Method, density: float) -> npt.NDArray[np.float64]:
    """The same with ridge regression on the selection, which trains and validates nothing."""
    model, sizes = _in_closed_form(work), work.data.sizes

    def recalls_of(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        return model.recalls(select(work.data, method, density, work.seed, {"weights": weights}))

    every = model.recalls(np.arange(sizes.sum()))
    return minimax(sizes * np.maximum(1 - every, LEAST), recalls_of)


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
        if method.minimax:
            with work.seconds.time("minimax"):
                weigh = _minimax_in_closed_form if method.closed_form else _minimax_by_training
                found["weights"] = weigh(work, method, self.density)
        with work.seconds.time("select"):
            kept = work.data.train.take(select(work.data, method, self.density, self.seed, found))
        epochs = suggested_epochs(work.recipe.epochs, self.density)
        sizes = np.bincount(kept.labels, minlength=work.k)
        prior = tuple((-log_prior_offsets(sizes)).tolist()) if method.adjusted_loss else ()
        folder = str(place.folder / "checkpoints")
        training = work.training(kept, epochs, 0, augment=True, checkpoint_dir=folder, prior=prior)
        validation = work.images(work.data.validation)

        def class_errors(module: nn.Module) -> torch.Tensor:
            errors = 1 - recalls(module, validation, work.recipe, work.k)
            return torch.from_numpy(errors).float().clamp(min=1e-3).to(work.device)

        with work.seconds.time("train"):
            module = training.run(class_errors if method.weighted_loss else None)
        logits = {
            "validation": predict(module, validation, work.recipe)[0],
            "test": predict(module, work.images(work.data.test), work.recipe)[0],
        }
        self._keep(place, logits)
        accuracies = _with_offsets(work.data, logits, sizes)
        return {
            "dataset": self.dataset,
            "method": self.method,
            "density": self.density,
            "seed": self.seed,
            "epochs": epochs,
            "accuracy": accuracies.pop("none"),
            "offsets": accuracies,
            "sizes": work.data.sizes.tolist(),
            "quotas": sizes.tolist(),
            "seconds": work.seconds,
        }

    def _keep(self, place: Place, logits: dict[str, npt.NDArray[np.float32]]) -> None:
        """Keep the logits of the two halves, for what somebody asks later."""
        path = place.folder / "logits" / f"{self.name.replace('/', ' ')}.npz"
        path.parent.mkdir(parents=True, exist_ok=True)
        most = np.finfo(np.float16).max
        kept = {half: z.clip(-most, most).astype(np.float16) for half, z in logits.items()}
        np.savez_compressed(path, **kept)


def _with_offsets(
    data: Data, logits: dict[str, npt.NDArray[np.float32]], sizes: npt.NDArray[np.int64]
) -> dict[str, list[float]]:
    """The accuracy of each class on the test half: as it is, and with offsets on the logits.

    The log-prior offsets know the training samples only, the tuned ones the validation half.
    """
    table = {half: values.astype(np.float64) for half, values in logits.items()}
    offsets = {
        "none": np.zeros(len(sizes)),
        "log-prior": log_prior_offsets(sizes),
        "tuned": tuned_offsets(table["validation"], data.validation.labels),
    }
    return {
        name: recalls_under(values, table["test"], data.test.labels).round(4).tolist()
        for name, values in offsets.items()
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
    torch.backends.cudnn.benchmark = True  # thousands of steps of two sizes
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
