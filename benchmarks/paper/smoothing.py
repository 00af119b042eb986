"""What becomes of noisy recalls: no smoothing, Jeffreys, shrinkage to the mean recall.

    python benchmarks/paper/smoothing.py --archive cifar10.tar.xz

Recalls come from a finite validation set, and class quotas follow their errors. Two studies over
validation sets of 20 to 500 samples per class:

quotas     recalls are drawn from a Beta distribution, validation sets from these recalls; how far
           are Algorithm 1's class densities from those of the true recalls?
trainings  softmax regression on real data, pruned with recalls of drawn validation sets; what is
           the accuracy of the worst class? CIFAR-10 by the features of a CNN that was trained on
           other images (a weak model), and scanned digits by their pixels (an accurate one). Per
           draw, all estimators see the same validation set and the same order of samples.

Writes ``benchmarks/results/paper/smoothing.jsonl`` and ``docs/images/evidence-smoothing*.png``.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from data import load, members_by_class
from numpy.typing import NDArray
from places import IMAGES, RESULTS, add_archive, machine
from plots import plt, save
from presets import PRESETS
from scipy.stats import t as student
from sklearn.datasets import load_digits
from training import Images, Training, channel_statistics, predict

from fiftyone_drop import allocate
from fiftyone_drop.recall import class_recalls

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
DENSITY = 0.3
TITLES = {
    "equal": "validation sets of one size",
    "unequal": "10 : 1, at random",
    "rare": "10 : 1, least for the worst classes",
}
KINDS = tuple(TITLES)
REFERENCES = {"whole pool": "-", "proportional": "--", "full data": ":"}


# -- estimators -----------------------------------------------------------------------------------


ESTIMATORS: dict[str, Callable[[Ints, Ints], Floats]] = {
    "none": lambda correct, support: class_recalls(correct, support, 0),
    "Jeffreys": lambda correct, support: class_recalls(correct, support, 0.5),
    "shrinkage": lambda correct, support: class_recalls(correct, support, "shrinkage"),
}


def supports(kind: str, n: int, k: int, rng: np.random.Generator) -> Ints:
    """Validation samples per class, ``n`` on average: ``"equal"``, or 10 : 1 between classes."""
    if kind == "equal":
        return np.full(k, n)
    shares = np.geomspace(10, 1, k)
    if kind == "unequal":
        shares = rng.permutation(shares)
    return np.maximum(1, np.rint(n * shares / shares.mean())).astype(int)


# -- quotas ---------------------------------------------------------------------------------------

MODELS = {"accurate": (0.95, 0.03), "weak": (0.6, 0.15), "alike": (0.9, 0.0)}  # mean and s.d.
SIZES = (20, 50, 100, 200, 500)


def true_recalls(mean: float, sd: float, k: int, rng: np.random.Generator) -> Floats:
    if sd == 0:
        return np.full(k, mean)
    weight = mean * (1 - mean) / sd**2 - 1
    return rng.beta(weight * mean, weight * (1 - mean), k)


def quota_study(draws: dict[int, int]) -> Iterator[dict[str, Any]]:
    """Errors of class densities; in "rare" the classes of least validation are the worst too."""
    for model, (mean, sd) in MODELS.items():
        for kind in KINDS:
            for k, repeats in draws.items():
                for n in SIZES:
                    rng = np.random.default_rng(51)
                    rows = [quota_errors(mean, sd, kind, k, n, rng) for _ in range(repeats)]
                    for name in ESTIMATORS:
                        rms, worst, tilt = np.mean([row[name] for row in rows], axis=0)
                        yield {
                            "study": "quotas",
                            "model": model,
                            "validation": kind,
                            "classes": k,
                            "per class": n,
                            "estimator": name,
                            "rms error": rms,
                            "worst class": worst,
                            "tilt": tilt,
                            "draws": repeats,
                        }


def quota_errors(
    mean: float, sd: float, kind: str, k: int, n: int, rng: np.random.Generator
) -> dict[str, tuple[float, float, float]]:
    """Of one draw, per estimator, all relative to the right class densities.

    Returns:
        estimator -> a tuple of

        -   the root mean square error of class densities, over the dataset density
        -   the density of the truly worst class over what it should be
        -   the mean density of the half of the classes with the least validation over what it
            should be
    """
    support = supports(kind, n, k, rng)
    recalls = true_recalls(mean, sd, k, rng)
    if kind == "rare":
        recalls = np.sort(recalls)[::-1]
    correct = rng.binomial(support, recalls)
    sizes = np.full(k, 1000)
    right = allocate(sizes, recalls, DENSITY).densities
    worst, least = np.argmin(recalls), np.argsort(support, kind="stable")[: k // 2]
    errors = {}
    for name, estimate in ESTIMATORS.items():
        got = allocate(sizes, estimate(correct, support), DENSITY).densities
        errors[name] = (
            float(np.sqrt(np.mean((got - right) ** 2)) / DENSITY),
            float(got[worst] / right[worst]),
            float(got[least].mean() / right[least].mean()),
        )
    return errors


# -- trainings ------------------------------------------------------------------------------------


Part = tuple[torch.Tensor, Ints]  # features (N, D) float32 with a column of ones, and labels (N,)


@dataclass(frozen=True)
class Task:
    """A classification by softmax regression.

    Attributes:
        target: what is pruned and trained on
        pool: what validation sets are drawn from
        test: what counts
    """

    target: Part
    pool: Part
    test: Part

    @property
    def k(self) -> int:
        """The number of classes."""
        return int(self.target[1].max()) + 1


def standardised(features: NDArray[Any], labels: Ints, parts: Sequence[Ints]) -> Task:
    """A task of three parts of some samples, scaled as the first of them asks."""
    mean, sd = features[parts[0]].mean(0), features[parts[0]].std(0) + 1e-3
    scaled = np.concatenate([(features - mean) / sd, np.ones((len(features), 1))], axis=1)
    table = torch.from_numpy(scaled.astype(np.float32))
    return Task(*((table[part], labels[part]) for part in parts))


CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
EASY = ("automobile", "frog", "horse", "ship")


def cifar_features(archive: Path, cache: Path) -> tuple[NDArray[np.float32], Ints, Ints, Ints]:
    """Features of a CNN of images it was not trained on.

    Returns:
        a tuple of

        -   (50,000, D) float32: of 40,000 training images, then of all test images
        -   (50,000,) int, labels
        -   (40,000,) and (10,000,) int, the rows of both
    """
    data = load(archive, cache)
    assert data.classes == CLASSES
    recipe = PRESETS["cpu"].recipe
    first = np.concatenate([m[:1000] for m in members_by_class(data.train.labels, 10)])
    rest = np.setdiff1d(np.arange(len(data.train)), first)
    device = torch.device("cpu")
    mean, std = channel_statistics(data.train)
    teach = Images(data.train.take(first), device, mean, std)
    module = Training(recipe, teach, recipe.epochs, 0, 10, augment=True).run()
    splits = [data.train.take(rest), data.validation, data.test]
    features = [predict(module, Images(part, device, mean, std), recipe)[1] for part in splits]
    labels = np.concatenate([part.labels for part in splits])
    rows = np.arange(len(labels))
    return np.concatenate(features), labels, rows[: len(rest)], rows[len(rest) :]


def cifar_task(features: Any, classes: Sequence[int], kind: str, rng: np.random.Generator) -> Task:
    """1,000 target samples of each class, or 1,000 to 100 where they are rare."""
    table, labels, train, test = features
    k = len(classes)
    sizes = supports("rare" if kind == "rare" else "equal", 1000, k, rng)
    sizes = np.rint(sizes * 1000 / sizes.max()).astype(int)
    order = rng.permutation(train)
    members = [order[labels[order] == c] for c in classes]
    target = np.concatenate([m[:size] for m, size in zip(members, sizes, strict=True)])
    pool = np.concatenate([m[1000:] for m in members])
    parts = (target, pool, test[np.isin(labels[test], classes)])
    return standardised(table, np.searchsorted(classes, labels), parts)


def digits_task(rng: np.random.Generator) -> Task:
    """A third of the digits each, drawn anew."""
    table, labels = load_digits(return_X_y=True)
    members = [rng.permutation(m) for m in members_by_class(labels, 10)]
    parts = [np.concatenate([m[i::3] for m in members]) for i in range(3)]
    return standardised(table, labels, parts)


def fit(part: Part, k: int, start: torch.Tensor | None = None) -> torch.Tensor:
    """Softmax regression with a little weight decay, (D, K); convex: ``start`` saves time only."""
    features, labels = part
    weights = torch.zeros(features.shape[1], k) if start is None else start.clone()
    weights.requires_grad_(True)
    codes = torch.from_numpy(labels)
    optimiser = torch.optim.LBFGS([weights], max_iter=50, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        entropy = torch.nn.functional.cross_entropy(features @ weights, codes)
        value = entropy + 1e-3 * weights.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)
    return weights.detach()


def is_right(weights: torch.Tensor, part: Part) -> NDArray[np.bool_]:
    """Whether each prediction is, (N,) bool."""
    right: NDArray[np.bool_] = (part[0] @ weights).argmax(1).numpy() == part[1]
    return right


def recalls(weights: torch.Tensor, part: Part, k: int) -> Floats:
    """Recall of every class, (K,) float."""
    return np.bincount(part[1], is_right(weights, part), k) / np.bincount(part[1], minlength=k)


def one_draw(task: Task, kind: str, sizes: Sequence[int], rng: np.random.Generator) -> Draw:
    """Prune and train with every estimator and validation size.

    Returns:
        (estimator, validation size) -> average and worst-class accuracy; "full data",
        "proportional" and "whole pool" (recalls of all there is, no smoothing) have size 0
    """
    k = task.k
    class_sizes = np.bincount(task.target[1], minlength=k)
    full = fit(task.target, k)
    order = rng.permutation(len(task.target[1]))
    members = [order[m] for m in members_by_class(task.target[1][order], k)]
    pool = [rng.permutation(m) for m in members_by_class(task.pool[1], k)]
    right = is_right(full, task.pool)

    def trained(estimate: Floats | None, rule: str = "drop") -> tuple[float, float]:
        quotas = allocate(class_sizes, estimate, DENSITY, rule, min_per_class=1).quotas
        kept = np.concatenate([m[:quota] for m, quota in zip(members, quotas, strict=True)])
        part = task.target[0][kept], task.target[1][kept]
        return summary(recalls(fit(part, k, full), task.test, k))

    results: Draw = {
        ("full data", 0): summary(recalls(full, task.test, k)),
        ("proportional", 0): trained(None, "proportional"),
        ("whole pool", 0): trained(recalls(full, task.pool, k)),
    }
    for n in sizes:
        support = np.minimum(supports(kind, n, k, rng), [len(m) for m in pool])
        drawn = zip(pool, support, strict=True)
        correct = np.array([int(right[m[:size]].sum()) for m, size in drawn])
        for name, estimate in ESTIMATORS.items():
            results[name, n] = trained(estimate(correct, support))
    return results


Draw = dict[tuple[str, int], tuple[float, float]]


def summary(accuracies: Floats) -> tuple[float, float]:
    return float(accuracies.mean()), float(accuracies.min())


def training_study(archive: Path, cache: Path, draws: int) -> Iterator[dict[str, Any]]:
    features = cifar_features(archive, cache)
    every, easy = range(10), [CLASSES.index(name) for name in EASY]
    studies: list[tuple[str, str, tuple[int, ...], Callable[[np.random.Generator], Task]]] = [
        *(("CIFAR-10", kind, SIZES, partial(cifar_task, features, every, kind)) for kind in KINDS),
        *(
            ("4 easy classes", kind, SIZES, partial(cifar_task, features, easy, kind))
            for kind in KINDS[:2]
        ),
        *(("digits", kind, (10, 20, 40), digits_task) for kind in KINDS[:2]),
    ]
    for name, kind, sizes, make in studies:
        runs = []
        for seed in range(draws):
            rng = np.random.default_rng((51, seed))
            runs.append(one_draw(make(rng), kind, sizes, rng))
        for estimator, n in runs[0]:
            values = np.array([run[estimator, n] for run in runs])
            base = np.array([run["Jeffreys", n or sizes[-1]] for run in runs])
            yield {
                "study": "trainings",
                "task": name,
                "validation": kind,
                "per class": n,
                "estimator": estimator,
                "average": values[:, 0].mean(),
                "worst class": values[:, 1].mean(),
                "worst class, least of all draws": values[:, 1].min(),
                "minus Jeffreys": (values - base)[:, 1].mean(),
                "half of its 95 % interval": half_interval((values - base)[:, 1]),
                "draws": draws,
            }


def half_interval(differences: Floats) -> float:
    n = len(differences)
    return float(student.ppf(0.975, n - 1) * differences.std(ddof=1) / np.sqrt(n))


# -- report ---------------------------------------------------------------------------------------


def show(record: dict[str, Any]) -> None:
    print("  ".join(f"{v:.4f}" if isinstance(v, float) else str(v) for v in record.values()))


def chosen(records: list[dict[str, Any]], **wanted: Any) -> list[dict[str, Any]]:
    return [r for r in records if all(r.get(k) == v for k, v in wanted.items())]


def plot_quotas(records: list[dict[str, Any]], path: Path) -> None:
    figure, axes = plt.subplots(2, 3, figsize=(10, 5), sharex=True, layout="constrained")
    for column, kind in zip(axes.T, KINDS, strict=True):
        column[0].set_title(TITLES[kind], fontsize=9)
        for axis, metric in zip(column, ("rms error", "tilt"), strict=True):
            for model, style in (("accurate", "-"), ("weak", ":")):
                for i, name in enumerate(ESTIMATORS):
                    rows = chosen(
                        records, model=model, validation=kind, classes=100, estimator=name
                    )
                    axis.plot(
                        [row["per class"] for row in rows],
                        [row[metric] for row in rows],
                        f"C{i}{style}",
                        label=f"{name}, {model} model",
                    )
            axis.set_xscale("log")
            axis.set_xticks(SIZES, SIZES)
            axis.minorticks_off()
    axes[0, 0].set_ylabel("error of class densities,\nroot mean square / density")
    axes[1, 0].set_ylabel("kept of classes with little\nvalidation / right number")
    axes[0, 2].legend(fontsize=7)
    figure.supxlabel("validation samples per class, mean", fontsize=10)
    save(figure, path)


def plot_trainings(records: list[dict[str, Any]], path: Path) -> None:
    panels = list(dict.fromkeys((row["task"], row["validation"]) for row in records))
    figure, axes = plt.subplots(1, len(panels), figsize=(13, 3.4), layout="constrained")
    for axis, (task, kind) in zip(axes, panels, strict=True):
        here = chosen(records, task=task, validation=kind)
        for i, name in enumerate(ESTIMATORS):
            rows = chosen(here, estimator=name)
            sizes = [row["per class"] for row in rows]
            axis.plot(sizes, [100 * row["worst class"] for row in rows], f"C{i}o-", label=name)
        for name, style in REFERENCES.items():
            (row,) = chosen(here, estimator=name)
            axis.axhline(100 * row["worst class"], color="k", linestyle=style, lw=1, label=name)
        axis.set_title(f"{task}\n{TITLES[kind]}", fontsize=8)
        axis.set_xscale("log")
        axis.set_xticks(sizes, sizes)
        axis.minorticks_off()
    axes[0].set_ylabel("worst-class accuracy, %")
    axes[0].legend(fontsize=7)
    figure.supxlabel("validation samples per class, mean", fontsize=10)
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    add_archive(parser)
    parser.add_argument("--draws", type=int, default=20, help="of each kind of training")
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--images", type=Path, default=IMAGES)
    args = parser.parse_args()
    torch.set_num_threads(1)
    studies: dict[str, list[dict[str, Any]]] = {"quotas": [], "trainings": []}
    for record in quota_study({10: 400, 100: 100, 1000: 25}):
        show(record)
        studies["quotas"].append(record)
    for record in training_study(args.archive, args.cache.expanduser(), args.draws):
        show(record)
        studies["trainings"].append(record)
    args.out.mkdir(parents=True, exist_ok=True)
    lines = [json.dumps(record) for part in studies.values() for record in part]
    lines.append(json.dumps({"machine": machine()}))
    (args.out / "smoothing.jsonl").write_text("\n".join(lines) + "\n")
    plot_quotas(studies["quotas"], args.images / "evidence-smoothing-quotas.png")
    plot_trainings(studies["trainings"], args.images / "evidence-smoothing.png")


if __name__ == "__main__":
    main()
