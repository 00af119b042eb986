"""CIFAR-10 as arrays: the archive decoded once, subsets, long tails, label noise.

The first half of each class's test images is for validation, the second half for the results, as
in the authors' code.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from fiftyone_drop.order import random_order

SEED = 51  # the dataset is the same for every seed of the trainings

Pixels = npt.NDArray[np.uint8]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Split:
    """Some labelled images.

    Attributes:
        pixels: (N, S, S, 3) uint8
        labels: (N,) int64, positions in the classes
        ids: (N,) bytes, distinct; what "at random" goes by
    """

    pixels: Pixels
    labels: Labels
    ids: npt.NDArray[np.bytes_]

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, indices: npt.NDArray[Any]) -> Split:
        """Some of them, in the order given."""
        return Split(self.pixels[indices], self.labels[indices], self.ids[indices])


@dataclass(frozen=True)
class Data:
    """A dataset: what is pruned and trained on, what recalls are measured on, what counts."""

    classes: tuple[str, ...]
    train: Split
    validation: Split
    test: Split

    @property
    def sizes(self) -> npt.NDArray[np.int64]:
        """Training samples of each class, (K,) int."""
        return np.bincount(self.train.labels, minlength=len(self.classes))


@dataclass(frozen=True)
class Variant:
    """What is done to the training images.

    Attributes:
        per_class: keep this many of each class; None keeps all
        imbalance: the first class has this many times the samples of the last, in between
            geometrically
        noise: the share of training labels that are replaced by another class at random
        parts: each class is split by colour, from blue to red, into classes of these shares of it
    """

    per_class: int | None = None
    imbalance: float = 1
    noise: float = 0
    parts: tuple[float, ...] = (1.0,)


VARIANTS = {
    "balanced": Variant(),
    "long-tailed-100": Variant(imbalance=100),
    "noisy-20": Variant(noise=0.2),
    "long-tailed-10": Variant(imbalance=10),
    "noisy-10": Variant(noise=0.1),
    "colour-50": Variant(parts=(0.4, 0.25, 0.17, 0.11, 0.07)),
}


def load(archive: Path, cache: Path) -> Data:
    """The images of ``<split>/<class>/*.jpg`` in a tar archive, decoded at the first call.

    Args:
        archive: the archive, with splits "train" and "test"
        cache: a folder where the decoded images are kept
    """
    kept = cache / f"{archive.name}.npz"
    if not kept.exists():
        cache.mkdir(parents=True, exist_ok=True)
        partial = kept.with_suffix(".partial.npz")
        np.savez(partial, **decode(archive))
        partial.replace(kept)
    with np.load(kept) as arrays:
        train, test = (
            Split(arrays[f"{split}_pixels"], arrays[f"{split}_labels"], arrays[f"{split}_ids"])
            for split in ("train", "test")
        )
        classes = tuple(str(name) for name in arrays["classes"])
    half = np.concatenate(
        [members[: len(members) // 2] for members in members_by_class(test.labels, len(classes))]
    )
    return Data(classes, train, test.take(half), test.take(complement(half, len(test))))


def decode(archive: Path) -> dict[str, npt.NDArray[Any]]:
    """Decode the images of an archive.

    Returns:
        for each split "_pixels" (N, S, S, 3) uint8, "_labels" (N,) int64 and "_ids" (N,) bytes;
        "classes" (K,) text
    """
    pixels = {}
    for path, file in encoded_images(archive):
        with Image.open(file) as image:
            pixels["/".join(path.split("/")[-3:])] = np.asarray(image.convert("RGB"))
    classes = sorted({path.split("/")[1] for path in pixels})
    arrays: dict[str, npt.NDArray[Any]] = {"classes": np.array(classes)}
    for split in ("train", "test"):
        ids = sorted(path for path in pixels if path.startswith(f"{split}/"))
        arrays[f"{split}_pixels"] = np.stack([pixels[path] for path in ids])
        arrays[f"{split}_labels"] = np.array([classes.index(path.split("/")[1]) for path in ids])
        arrays[f"{split}_ids"] = np.array(ids, dtype=np.bytes_)
    return arrays


def encoded_images(archive: Path, limit: int | None = None) -> Iterator[tuple[str, io.BytesIO]]:
    """The path and the content of every image file in an archive, or of the first ``limit``."""
    with tarfile.open(archive) as files:
        images = (member for member in files if member.name.endswith(".jpg"))
        for member in islice(images, limit):
            file = files.extractfile(member)
            assert file is not None
            yield member.name, io.BytesIO(file.read())


def make(data: Data, variant: Variant) -> Data:
    """The dataset with its training images chosen, classes split, and labels corrupted."""
    order = random_order(data.train.ids, SEED)
    members = members_by_class(data.train.labels[order], len(data.classes))
    size = min(len(m) for m in members) if variant.per_class is None else variant.per_class
    shares = np.linspace(0, 1, len(members))
    chosen = [
        order[m[: round(size * variant.imbalance**-share)]]
        for m, share in zip(members, shares, strict=True)
    ]
    data = replace(data, train=data.train.take(np.sort(np.concatenate(chosen))))
    if len(variant.parts) > 1:
        data = split_by_colour(data, variant.parts)
    labels = corrupt(data.train, variant.noise, len(data.classes))
    return replace(data, train=replace(data.train, labels=labels))


def split_by_colour(data: Data, shares: tuple[float, ...]) -> Data:
    """Split each class into several, the bluest images first, by shares of its training images."""
    k, ends = len(data.classes), np.cumsum(shares)[:-1]
    redness = colour(data.train)
    bounds = [
        np.sort(redness[rows])[(ends * len(rows)).astype(int)]
        for rows in members_by_class(data.train.labels, k)
    ]

    def split_up(split: Split) -> Split:
        parts = [
            np.searchsorted(bounds[c], value, side="right")
            for c, value in zip(split.labels, colour(split), strict=True)
        ]
        return replace(split, labels=split.labels * len(shares) + np.array(parts))

    return Data(
        tuple(f"{name} {part + 1}" for name in data.classes for part in range(len(shares))),
        *(split_up(split) for split in (data.train, data.validation, data.test)),
    )


def colour(split: Split) -> npt.NDArray[np.int64]:
    """How much redder than blue each image is, all pixels together, (N,) int64."""
    totals = split.pixels.sum((1, 2), dtype=np.int64)
    return totals[:, 0] - totals[:, 2]


def corrupt(split: Split, share: float, k: int) -> Labels:
    """The labels, a share of them replaced by one of the other classes, all equally likely."""
    wrong = random_order(split.ids, SEED + 1)[: round(share * len(split))]
    labels = split.labels.copy()
    offsets = np.random.default_rng(SEED).integers(1, k, size=len(wrong))
    labels[wrong] = (labels[wrong] + offsets) % k
    return labels


def members_by_class(labels: Labels, k: int) -> list[npt.NDArray[np.int64]]:
    """The positions of each class's samples, ascending."""
    return [np.flatnonzero(labels == c) for c in range(k)]


def complement(indices: npt.NDArray[np.int64], n: int) -> npt.NDArray[np.int64]:
    """The positions in ``range(n)`` that are not among ``indices``, ascending."""
    return np.setdiff1d(np.arange(n), indices)
