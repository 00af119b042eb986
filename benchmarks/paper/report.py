"""Tables, plots and docs/evidence.md from whatever ``run.py`` has recorded.

    python benchmarks/paper/report.py

writes, for each preset with results, benchmarks/results/paper/<preset>.md (everything), plots under
docs/images, and the parts of docs/evidence.md and README.md between ``<!-- <preset>:<part> -->``
and ``<!-- / -->``. Accuracies are of the test half, differences are paired over seeds, and
intervals are 95 % t intervals over the seeds.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from methods import METHODS, TITLES
from places import PAGE, RESULTS, ROOT
from plots import plt, save
from presets import PRESETS
from scipy.special import stdtrit

DROP, RANDOM, FULL = "random+drop", "random", "full"
METRICS = {
    "average": np.mean,
    "worst class": np.min,
    "gap": lambda a: np.mean(a) - np.min(a),
    "deviation": np.std,
}
CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
Floats = npt.NDArray[np.float64]


@dataclass
class Results:
    """The records of one preset.

    Attributes:
        cells: (dataset, method, density) -> seed -> record
        queries: (dataset, kind) -> records
        runs: the settings and machines of the runs
        published: what the published way costs, or None
    """

    cells: dict[tuple[str, str, float], dict[int, dict[str, Any]]] = field(default_factory=dict)
    queries: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=dict)
    runs: list[dict[str, Any]] = field(default_factory=list)
    published: dict[str, Any] | None = None

    @property
    def densities(self) -> list[float]:
        """Those of the pruned datasets, ascending."""
        return sorted({density for _, _, density in self.cells if density < 1})

    def of(self, method: str, density: float, dataset: str = "balanced") -> dict[int, Any]:
        """Seed -> record."""
        return self.cells.get((dataset, method, 1.0 if method.startswith(FULL) else density), {})

    def metric(
        self, name: str, method: str, density: float, dataset: str = "balanced"
    ) -> dict[int, float]:
        """Seed -> value, in points."""
        cells = self.of(method, density, dataset)
        return {
            s: 100 * float(METRICS[name](np.array(r["accuracy"]))) for s, r in sorted(cells.items())
        }


def read(path: Path) -> Results:
    """The records of the version of the preset that was run last."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    version = records[-1]["version"]
    results = Results()
    for record in records:
        if record["version"] != version:
            continue
        if "method" in record:
            key = (record["dataset"], record["method"], record["density"])
            results.cells.setdefault(key, {})[record["seed"]] = record
        elif "/query-" in record["task"]:
            dataset, kind, _ = record["task"].split("/")
            results.queries.setdefault((dataset, kind.removeprefix("query-")), []).append(record)
        elif record["task"] == "published":
            results.published = record
        else:
            results.runs.append(record)
    return results


# -- numbers --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """A paired difference: its mean over ``n`` seeds, and half its interval (NaN for one seed)."""

    mean: float
    half: float
    n: int

    @classmethod
    def of(cls, ours: dict[int, float], theirs: dict[int, float]) -> Difference | None:
        """Of two methods, over the seeds that both have; None if there is none."""
        values = np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs])
        n = len(values)
        if n == 0:
            return None
        error = values.std(ddof=1) / n**0.5 if n > 1 else np.nan
        return cls(float(values.mean()), float(stdtrit(n - 1, 0.975) * error), n)

    def __str__(self) -> str:
        interval = f" ± {self.half:.1f}" if self.n > 1 else ""
        return f"{self.mean:+.1f}{interval}"

    def verdict(self, bound: float = 0) -> str:
        """Whether it is above a bound."""
        if self.mean <= bound:
            return "**fails**"
        return "holds" if self.mean - self.half > bound else "holds on average, within noise"


def spread(values: dict[int, float]) -> str:
    """Mean over seeds."""
    return f"{np.mean(list(values.values())):.1f}" if values else ""


def claims(results: Results) -> Iterator[tuple[str, str, Difference, float]]:
    """What is claimed, of which density, the difference measured, and what it must be above."""
    plain = [RANDOM, *TITLES]
    for density in (d for d in results.densities if d <= 0.5):
        for metric, others, bound in (("worst class", plain, 0.0), ("average", [RANDOM], -3.0)):
            for other in others:
                yield from _claim(results, metric, other, density, bound)
        if density == 0.5:
            yield from _claim(results, "worst class", FULL, density, 0.0)


def _claim(
    results: Results, metric: str, other: str, density: float, bound: float
) -> Iterator[tuple[str, str, Difference, float]]:
    ours, theirs = (results.metric(metric, m, density) for m in (DROP, other))
    difference = Difference.of(ours, theirs)
    if difference is not None:
        words = "above" if bound == 0 else f"at most {-bound:g} points below"
        yield f"{metric} {words} {METHODS[other].title}", f"{density:g}", difference, bound


def costs(results: Results) -> Iterator[tuple[str, float, float]]:
    """Title, processor seconds of choosing the samples by one method, and the published way's."""
    short = _stage_means(results.queries.get(("balanced", "short"), []))
    long = _stage_means(results.queries.get(("balanced", "long"), []))
    published = results.published or {"decode": [np.nan] * 2, "gradient": [np.nan] * 2}
    decode, gradient = published["decode"][1], published["gradient"][1]
    preset = results.runs[-1]["settings"]
    models, epochs = preset["query_models"], preset["recipe"]["epochs"]
    query_epochs = max(1, round(epochs / 10))
    n = next(sum(r["sizes"]) for cells in results.cells.values() for r in cells.values())
    for name in (DROP, *TITLES):
        densities = [d for d in results.densities if results.of(name, d)]
        if not densities:
            continue
        cells = [record for d in densities for record in results.of(name, d).values()]
        choice = float(np.mean([record["seconds"]["select"][1] for record in cells]))
        if name in ("forgetting", "dynamic_uncertainty", "k_center"):
            used = long["train"] + choice
            if name == "k_center":
                used += long["embeddings"] + long["k_center"]
            yield METHODS[name].title, used + n * decode, used + n * epochs * decode
            continue
        used = short["train"] + choice
        theirs = used + models * n * query_epochs * decode
        if name == "el2n":
            used += short["el2n"]
            theirs += short["el2n"] + models * n * decode
        if name == "grand":
            used += short["grand"]
            theirs += models * n * (gradient + decode)
        yield METHODS[name].title, used + n * decode, theirs


def _stage_means(records: Iterable[dict[str, Any]]) -> dict[str, float]:
    """Processor seconds of each stage, averaged over the seeds."""
    stages: dict[str, list[float]] = {}
    for record in records:
        for stage, (_, cpu) in record["seconds"].items():
            stages.setdefault(stage, []).append(cpu)
    return {stage: float(np.mean(values)) for stage, values in stages.items()}


# -- text -----------------------------------------------------------------------------------------


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, or a word if there is nothing in it."""
    head, rows = list(head), list(rows)
    if not rows:
        return "Not run yet.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def facts(results: Results) -> str:
    """What was run, and on what."""
    first, last = results.runs[0], results.runs[-1]
    recipe, machine = last["settings"]["recipe"], last["machine"]
    cells = sum(len(by_seed) for by_seed in results.cells.values())
    sizes = next(iter(next(iter(results.cells.values())).values()))["sizes"]
    used = sum(
        cpu
        for group in (*(c.values() for c in results.cells.values()), *results.queries.values())
        for record in group
        for _, cpu in record["seconds"].values()
    )
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "numpy", "torch"))
    device = machine.get("gpu", f"{machine['cores']} cores of {machine['processor']}")
    return (
        f"Preset `{last['preset']}`: {sum(sizes):,} training images, network "
        f"`{recipe['network']}`, {recipe['epochs']} epochs of batches of {recipe['batch_size']} on "
        f"the full data, {last['settings']['query_models']} query models. {cells} trainings and "
        f"their queries took {used / 3600:.1f} processor hours on {device}, {last['jobs']} at "
        f"once, {first['machine']['date']} ({versions}, commit {last['machine']['commit']}).\n"
    )


def claims_table(results: Results) -> str:
    """Each claim, and what came out."""
    rows = [
        (words, density, f"{difference}", str(difference.n), difference.verdict(bound))
        for words, density, difference, bound in claims(results)
    ]
    return table(("Random + DRoP's", "density", "difference in points", "seeds", "verdict"), rows)


def headline(results: Results) -> str:
    """The methods that the claim is about."""
    return overview(results, methods=(FULL, RANDOM, "el2n", DROP))


def overview(
    results: Results, dataset: str = "balanced", methods: Iterable[str] = tuple(METHODS)
) -> str:
    """Worst class and average of methods at every density."""
    densities = [
        d for d in results.densities if any(k[0] == dataset and k[2] == d for k in results.cells)
    ]
    rows = []
    for name in methods:
        cells = []
        for density in densities:
            worst = spread(results.metric("worst class", name, density, dataset))
            average = spread(results.metric("average", name, density, dataset))
            cells.append(f"{worst} ({average})" if worst else "")
        if any(cells):
            rows.append((METHODS[name].title, *cells))
    return table(("worst class (average), %", *(f"d = {d:g}" for d in densities)), rows)


def datasets_table(results: Results) -> str:
    """The overview of each other dataset."""
    names = dict.fromkeys(dataset for dataset, _, _ in results.cells)
    parts = [f"**{name}**\n\n{overview(results, name)}" for name in names if name != "balanced"]
    return "\n".join(parts)


def costs_table(results: Results) -> str:
    """Processor seconds of choosing, beside those of a full training."""
    full = [sum(r["seconds"]["train"][1:]) for r in results.of(FULL, 1.0).values()]
    if not full:
        return ""
    one = float(np.mean(full))
    rows = [
        (title, f"{ours:.0f} s", f"{ours / one:.0%}", f"{theirs / one:.0%}")
        for title, ours, theirs in costs(results)
    ]
    head = (f"choosing by (one full training: {one:.0f} s)", "here", "share", "published way")
    return table(head, rows)


def everything(results: Results) -> str:
    """All numbers, as a page."""
    rows = []
    for (dataset, name, density), cells in sorted(results.cells.items()):
        values = (spread(results.metric(m, name, density, dataset)) for m in METRICS)
        differences = (
            Difference.of(
                results.metric(metric, DROP, density, dataset),
                results.metric(metric, name, density, dataset),
            )
            for metric in ("worst class", "average")
        )
        shown = ("" if name == DROP or d is None else str(d) for d in differences)
        rows.append(
            (dataset, f"{density:g}", METHODS[name].title, str(len(cells)), *values, *shown)
        )
    head = ("dataset", "density", "method", "seeds", "average", "worst class", "gap", "deviation")
    more = ("DRoP's worst class is higher by", "its average")
    return (
        f"# Every number of the preset {results.runs[-1]['preset']}\n\n"
        "Written by `benchmarks/paper/report.py`. Points of accuracy on the test half; gap: "
        "average minus worst class; deviation: standard deviation over classes. Differences are "
        "those of Random + DRoP to the method of the line, paired over seeds, with 95 % t "
        "intervals.\n\n"
        f"{facts(results)}\n{table((*head, *more), rows)}"
    )


PARTS = {
    "facts": facts,
    "headline": headline,
    "claims": claims_table,
    "overview": overview,
    "datasets": datasets_table,
    "costs": costs_table,
}


def fill(page: str, preset: str, results: Results) -> str:
    """A page with its generated parts of a preset written anew."""

    def part(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]](results)}{match[3]}"

    return re.sub(rf"(<!-- {preset}:(\w+) -->).*?(<!-- / -->)", part, page, flags=re.DOTALL)


# -- plots ----------------------------------------------------------------------------------------


def plot_accuracy(results: Results, path: Path) -> None:
    """Four measures against density; bars reach from the lowest to the highest seed."""
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for axis, metric in zip(axes, METRICS, strict=True):
        for name in (RANDOM, DROP, *TITLES):
            points = [
                (d, np.array(list(values.values())))
                for d in results.densities
                if (values := results.metric(metric, name, d))
            ]
            if points:
                means = np.array([v.mean() for _, v in points])
                ends = [[v.min() for _, v in points], [v.max() for _, v in points]]
                axis.errorbar(
                    [d for d, _ in points],
                    means,
                    np.abs(np.array(ends) - means),
                    label=METHODS[name].title,
                    marker="o",
                    markersize=3,
                    linewidth=2.5 if name == DROP else 1.2,
                    capsize=2,
                )
        full = list(results.metric(metric, FULL, 1.0).values())
        if full:
            axis.axhline(np.mean(full), color="k", linestyle="--", linewidth=1, label="Full data")
        axis.set(xlabel="density (fraction kept)", title=metric)
    axes[0].set_ylabel("points")
    axes[0].legend(fontsize=7)
    save(figure, path)


def plot_classes(results: Results, density: float, path: Path) -> None:
    """What is kept of each class, and how accurate the class becomes."""
    names = [name for name in (FULL, RANDOM, DROP, *TITLES) if results.of(name, density)]
    figure, axes = plt.subplots(1, 2, figsize=(13, 0.5 + 0.42 * len(names)), layout="constrained")
    for axis, title in zip(axes, ("density of the class", "accuracy of the class"), strict=True):
        rows: list[Floats] = []
        for name in names:
            records = results.of(name, density).values()
            kept = title.startswith("density")
            values = [
                np.array(r["quotas"]) / r["sizes"] if kept else r["accuracy"] for r in records
            ]
            rows.append(100 * np.mean(values, axis=0))
        axis.imshow(rows, cmap="viridis", vmin=0, vmax=100, aspect="auto")
        for y, row in enumerate(rows):
            for x, value in enumerate(row):
                colour = "w" if value < 60 else "k"
                axis.text(x, y, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=8)
        axis.set_xticks(range(len(row)), CIFAR10[: len(row)], fontsize=7)
        axis.set_yticks(range(len(names)), [METHODS[name].title for name in names], fontsize=8)
        axis.set_title(f"{title}, %, at a density of {density:g}", fontsize=9)
    save(figure, path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--pages", type=Path, nargs="+", default=[PAGE, ROOT / "README.md"])
    args = parser.parse_args(arguments)
    images = args.pages[0].parent / "images"
    for preset in PRESETS:
        path = args.results / f"{preset}.jsonl"
        if not path.exists():
            continue
        results = read(path)
        if not results.cells:
            sys.exit(f"{path}: no training is done yet")
        path.with_suffix(".md").write_text(everything(results))
        for page in args.pages:
            page.write_text(fill(page.read_text(), preset, results))
        plot_accuracy(results, images / f"evidence-{preset}.png")
        plot_classes(results, min(results.densities), images / f"evidence-{preset}-classes.png")
        print(overview(results), claims_table(results), costs_table(results), sep="\n")


if __name__ == "__main__":
    main()
