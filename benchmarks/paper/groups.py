"""Group quotas on a set whose backgrounds give the class away, nearly always.

    python benchmarks/paper/groups.py --archive cifar10.tar.xz

In the manner of Waterbirds, made of CIFAR-10 photos: an automobile or a truck, 20 pixels wide, in
the middle of a photo of a ship or a deer. In training 95 % of the automobiles are at sea and 95 %
of the trucks among deer; in validation and test all four cells (class x background) are of one
size. A model that looks at the background is right 95 % of the time in training, and wrong in the
two rare cells.

Recall is measured on the validation half by short trainings, per class or per cell; the public
``allocate`` turns it into quotas of classes, or of cells, which is all that ``group_by`` does.
Writes ``benchmarks/results/paper/groups.jsonl`` and ``docs/images/evidence-groups.png``; after an
interruption give the same command again.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from data import SEED, Data, Split, load
from places import IMAGES, RESULTS, add_archive, machine
from plots import plt, save
from presets import PRESETS
from scipy.stats import t as student
from torch.nn.functional import interpolate
from training import Images, Training, channel_statistics, predict

from fiftyone_drop import allocate, suggested_epochs
from fiftyone_drop.density import kept_size
from fiftyone_drop.order import random_order

OBJECTS = ("automobile", "truck")
BACKGROUNDS = ("ship", "deer")
CELLS = tuple(f"{thing} / {place}" for thing in OBJECTS for place in BACKGROUNDS)
CORRELATED = 0.95  # the share of training images of class k on background k
WIDTH = 20  # of the object, in pixels
RECIPE = replace(PRESETS["cpu"].recipe, epochs=10)
QUERY_MODELS, QUERY_EPOCHS = 3, 1
METHODS = ("Random", "DRoP, class quotas", "DRoP, group quotas")
DENSITIES = (0.5, 0.2)

Ints = npt.NDArray[np.int64]


# -- the set --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Groups:
    """Images of two classes, and the cell of each: ``2 * class + background``."""

    split: Split
    cells: Ints

    def take(self, rows: Ints) -> Groups:
        """Some of them."""
        return Groups(self.split.take(rows), self.cells[rows])


def compose(split: Split, classes: tuple[str, ...], correlated: float) -> Groups:
    """Objects on backgrounds of the same split: each photo is used once at most."""
    order = random_order(split.ids, SEED)  # the set is the same for every seed of the trainings

    def members(name: str) -> list[int]:
        chosen: list[int] = order[split.labels[order] == classes.index(name)].tolist()
        return chosen

    places = [members(name) for name in BACKGROUNDS]
    things, below, cells = [], [], []
    for label, name in enumerate(OBJECTS):
        objects = members(name)
        own = round(correlated * len(objects))
        for i, thing in enumerate(objects):
            place = label if i < own else 1 - label
            things.append(thing)
            below.append(places[place].pop())
            cells.append(2 * label + place)
    small = interpolate(
        torch.from_numpy(split.pixels[things]).permute(0, 3, 1, 2).float(),
        size=(WIDTH, WIDTH),
        mode="bilinear",
        antialias=True,
    )
    pixels = split.pixels[below]
    edge = (pixels.shape[1] - WIDTH) // 2
    middle = slice(edge, edge + WIDTH)
    pixels[:, middle, middle] = small.permute(0, 2, 3, 1).round().to(torch.uint8).numpy()
    codes = np.array(cells)
    return Groups(Split(pixels, codes // 2, split.ids[things]), codes)


# -- pruning and training -------------------------------------------------------------------------


class Experiment:
    """One seed: the same query models and the same random order for all methods."""

    def __init__(self, data: Data, seed: int) -> None:
        self.seed = seed
        self.train = compose(data.train, data.classes, CORRELATED)
        self.validation, self.test = (
            compose(part, data.classes, 0.5) for part in (data.validation, data.test)
        )
        self.normalisation = channel_statistics(self.train.split)
        self.order = random_order(self.train.split.ids, seed)
        queries = [
            self.accuracy(self.train, QUERY_EPOCHS, 1000 * (seed + 1) + i, self.validation)
            for i in range(QUERY_MODELS)
        ]
        self.recalls = np.mean(queries, axis=0)

    def images(self, groups: Groups) -> Images:
        """As the network takes them."""
        return Images(groups.split, torch.device("cpu"), *self.normalisation)

    def accuracy(
        self, train: Groups, epochs: int, seed: int, measured: Groups
    ) -> npt.NDArray[np.float64]:
        """Train, and return the accuracy of each cell, (4,) float."""
        images = self.images(train)
        augment = epochs > QUERY_EPOCHS  # as in the paper: the final model only
        module = Training(RECIPE, images, epochs, seed, len(OBJECTS), augment).run()
        logits, _ = predict(module, self.images(measured), RECIPE)
        right = logits.argmax(1) == measured.split.labels
        return np.bincount(measured.cells, right) / np.bincount(measured.cells)

    def kept(self, method: str, density: float) -> Ints:
        """The rows that are kept."""
        if method == "Random":
            return self.order[: kept_size(len(self.order), density)]
        by_class = method == "DRoP, class quotas"
        codes = self.train.cells // 2 if by_class else self.train.cells
        # Validation cells are of one size, so the recall of a class is the mean of its cells'
        measured = self.recalls.reshape(2, 2).mean(1) if by_class else self.recalls
        quotas = allocate(np.bincount(codes), measured, density, min_per_class=1).quotas
        in_order = codes[self.order]
        return np.concatenate([self.order[in_order == k][:quota] for k, quota in enumerate(quotas)])

    def run(self, method: str, density: float) -> dict[str, Any]:
        """One final training."""
        start = time.process_time()
        rows = self.order if method == "full data" else self.kept(method, density)
        train = self.train.take(np.sort(rows))
        epochs = suggested_epochs(RECIPE.epochs, density)
        cells = self.accuracy(train, epochs, self.seed, self.test)
        return {
            "method": method,
            "density": density,
            "seed": self.seed,
            "query recalls": self.recalls.tolist(),
            "kept": np.bincount(train.cells, minlength=len(CELLS)).tolist(),
            "accuracy": cells.tolist(),
            "average": float(cells.mean()),
            "worst": float(cells.min()),
            "cpu seconds": time.process_time() - start,
        }


# -- report ---------------------------------------------------------------------------------------


def by_method(records: Iterable[dict[str, Any]]) -> dict[tuple[str, float], list[dict[str, Any]]]:
    table: dict[tuple[str, float], list[dict[str, Any]]] = {}
    for record in records:
        table.setdefault((record["method"], record["density"]), []).append(record)
    return table


def summarise(records: list[dict[str, Any]]) -> str:
    """A Markdown table: means over seeds, and worst-group differences to Random, seed by seed."""
    table = by_method(records)
    lines = [
        "| method | density | kept of the rare cells | average | worst group | minus Random |",
        "|---|---|---|---|---|---|",
    ]
    for (method, density), rows in table.items():
        rare = np.mean([row["kept"][1] + row["kept"][2] for row in rows])
        cells = [
            f"{100 * np.mean([row[name] for row in rows]):.1f} %" for name in ("average", "worst")
        ]
        difference = ""
        if method.startswith("DRoP"):
            base = table["Random", density]
            pairs = [100 * (a["worst"] - b["worst"]) for a, b in zip(rows, base, strict=True)]
            half = student.ppf(0.975, len(pairs) - 1) * np.std(pairs, ddof=1) / len(pairs) ** 0.5
            difference = f"{np.mean(pairs):+.1f} ± {half:.1f}"
        lines.append(
            f"| {method} | {density:g} | {rare:.0f} | {' | '.join(cells)} | {difference} |"
        )
    return "\n".join(lines)


def plot(records: list[dict[str, Any]], examples: Groups, path: Path) -> None:
    """One image of each cell, and the accuracy of each cell by method."""
    figure = plt.figure(figsize=(10, 3.6), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(1, 2.4))
    for axis, (cell, name) in zip(left.subplots(2, 2).flat, enumerate(CELLS), strict=True):
        axis.imshow(examples.split.pixels[np.flatnonzero(examples.cells == cell)[0]])
        axis.set_title(name, fontsize=8)
        axis.axis("off")
    axis = right.subplots()
    table = by_method(records)
    for i, rows in enumerate(table.values()):
        accuracy = 100 * np.array([row["accuracy"] for row in rows])
        for cell, marker in enumerate("osDv"):
            label = CELLS[cell] if i == 0 else None
            axis.scatter(
                np.full(len(rows), i + 0.12 * (cell - 1.5)),
                accuracy[:, cell],
                color=f"C{cell}",
                marker=marker,
                s=16,
                label=label,
            )
        axis.hlines(accuracy.min(1).mean(), i - 0.35, i + 0.35, color="k")
    names = [f"{method.replace(', ', chr(10))}\n{density:g}" for method, density in table]
    axis.set_xticks(range(len(names)), names, fontsize=8)
    axis.set_ylabel("test accuracy, %")
    axis.set_title("a mark per seed and cell; bars: mean of the worst cell", fontsize=9)
    axis.legend(fontsize=8, loc=(0.02, 0.45))
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_archive(parser)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULTS / "groups.jsonl")
    parser.add_argument("--image", type=Path, default=IMAGES / "evidence-groups.png")
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = load(args.archive, args.cache.expanduser())
    records = []
    if args.out.exists():  # what an interrupted call has done
        found = (json.loads(line) for line in args.out.read_text().splitlines())
        records = [record for record in found if "method" in record]
    args.out.parent.mkdir(parents=True, exist_ok=True)
    done = {(row["seed"], row["method"], row["density"]) for row in records}
    wanted = [("full data", 1.0), *((m, d) for d in DENSITIES for m in METHODS)]
    for seed in range(args.seeds):
        left = [(method, d) for method, d in wanted if (seed, method, d) not in done]
        experiment = Experiment(data, seed) if left else None
        for method, density in left:
            assert experiment is not None
            records.append(experiment.run(method, density))
            with args.out.open("a") as file:
                file.write(json.dumps(records[-1]) + "\n")
            print(json.dumps(records[-1]), flush=True)
    records.sort(key=lambda row: (row["seed"], wanted.index((row["method"], row["density"]))))
    print(summarise(records))
    plot(records, compose(data.test, data.classes, 0.5), args.image)
    lines = [json.dumps(record) for record in [*records, {"machine": machine()}]]
    args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
