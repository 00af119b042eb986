"""Tables, plots and docs/evidence.md from whatever ``run.py`` has recorded.

    python benchmarks/paper/report.py

writes, for each preset with results, benchmarks/results/paper/<preset>.md (everything), plots under
docs/images, and the parts of the pages (``places.PAGES``) between ``<!-- <preset>:<part> -->`` and
``<!-- / -->``. Accuracies are of the test half, differences are
paired over seeds, and intervals are 95 % t intervals over the seeds.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import provenance
import words
from claims import (
    all_claims,
    claims_of,
    closed_claims,
    equal_claims,
    main_claims,
    offset_claims,
    part_claims,
)
from costs import closed_table, costs_table
from methods import METHODS, TITLES
from places import PAGES, RESULTS
from plots import plt, save
from presets import PRESETS
from records import FULL, LOG_PRIOR, METRICS, PLAIN, TUNED, Arm, Floats, Results, read
from tables import (
    AVERAGE,
    BALANCED,
    DROP,
    LONG_TAIL,
    RANDOM,
    WORST,
    datasets_table,
    headline,
    offsets_table,
    others_table,
    overview,
    shares_table,
    spread,
    summary,
    table,
)

PARTS: dict[str, Callable[[Results], str]] = {
    "facts": provenance.facts,
    "machines": provenance.machines,
    "summary": summary,
    "numbers": words.numbers,
    "again": words.numbers_again,
    "adds": words.adds,
    "mild": words.mild,
    "when": words.when,
    "headline": headline,
    "claims": claims_of(main_claims, offset_claims, equal_claims, closed_claims),
    "scores": claims_of(all_claims),
    "parts": claims_of(part_claims),
    "overview": overview,
    "datasets": datasets_table,
    "others": others_table,
    "offsets": offsets_table,
    "shares": shares_table,
    "bargain": words.bargain,
    "closed": closed_table,
    "costs": costs_table,
    "recipe": provenance.recipe,
}
CIFAR10 = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)


def fill(page: str, preset: str, results: Results) -> str:
    """A page with its generated parts of a preset written anew."""

    def part(match: re.Match[str]) -> str:
        return f"{match[1]}\n{PARTS[match[2]](results)}{match[3]}"

    return re.sub(rf"(<!-- {preset}:(\w+) -->).*?(<!-- / -->)", part, page, flags=re.DOTALL)


def everything(results: Results) -> str:
    """All numbers, as a page."""
    rows = []
    for (dataset, name, density), cells in sorted(results.cells.items()):
        arm = Arm(name, density, dataset)
        values = (spread(results.metric(metric, arm)) for metric in METRICS)
        drop = replace(arm, method=DROP)
        differences = (results.difference(metric, drop, arm) for metric in (WORST, AVERAGE))
        shown = ("" if name == DROP or d is None else str(d) for d in differences)
        rows.append((dataset, f"{density:g}", arm.title, str(len(cells)), *values, *shown))
    head = ("dataset", "density", "method", "seeds", "average", "worst class", "gap", "deviation")
    more = ("DRoP's worst class is higher by", "its average")
    return (
        f"# Every number of the preset {list(results.runs.values())[-1]['preset']}\n\n"
        "Written by `benchmarks/paper/report.py`. Points of accuracy on the test half; gap: "
        "average minus worst class; deviation: standard deviation over classes. Differences are "
        "those of Random + DRoP to the method of the line, paired over seeds, with 95 % t "
        "intervals.\n\n"
        f"{provenance.facts(results)}\n{provenance.machines(results)}\n"
        f"{table((*head, *more), rows)}"
    )


# -- plots ----------------------------------------------------------------------------------------


def plot_trade_off(results: Results, path: Path) -> None:
    """Worst class against average at a density of a half: what quotas do, and what offsets add."""
    figure, axes = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    titles = {BALANCED: "equal classes", LONG_TAIL: "long tail, 2,000 to 20"}
    steps: dict[str, tuple[str, ...]] = {
        BALANCED: (PLAIN, "0.25", "0.5", "0.75", TUNED),
        LONG_TAIL: (PLAIN, LOG_PRIOR, TUNED),
    }
    for axis, (dataset, title) in zip(axes, titles.items(), strict=True):
        for name, colour in ((FULL, "k"), (RANDOM, "tab:orange"), (DROP, "tab:blue")):
            points = [
                tuple(
                    float(np.mean(list(results.metric(metric, arm).values())))
                    for metric in (AVERAGE, WORST)
                )
                for offsets in steps[dataset]
                if results.metric(WORST, arm := Arm(name, 0.5, dataset, offsets))
            ]
            if points:
                x, y = zip(*points, strict=True)
                label = METHODS[name].title + (" (twice the images)" if name == FULL else "")
                axis.plot(x, y, "-", color=colour, linewidth=1.2, marker="o", markersize=4)
                axis.plot(x[0], y[0], "o", color=colour, markersize=11, label=label)
        axis.set(title=title, xlabel="average accuracy, %", ylabel="worst class, %")
        axis.grid(alpha=0.3)
    words = "quarters of the tuned offsets", "log-prior offsets, then tuned ones"
    for axis, text in zip(axes, words, strict=True):
        axis.plot([], [], "o-", color="grey", markersize=4, linewidth=1.2, label=f"with {text}")
        axis.legend(fontsize=8, loc="lower left" if axis is axes[0] else "lower right")
    figure.suptitle("CIFAR-10, half of the data: up and to the right is better", fontsize=11)
    save(figure, path)


def plot_accuracy(results: Results, path: Path) -> None:
    """Four measures against density; bars reach from the lowest to the highest seed."""
    figure, axes = plt.subplots(1, 4, figsize=(13, 3.4), layout="constrained")
    for axis, metric in zip(axes, METRICS, strict=True):
        for name in (RANDOM, DROP, *TITLES):
            points = [
                (d, np.array(list(values.values())))
                for d in results.densities
                if (values := results.metric(metric, Arm(name, d)))
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
        full = list(results.metric(metric, Arm(FULL, 1.0)).values())
        if full:
            axis.axhline(np.mean(full), color="k", linestyle="--", linewidth=1, label="Full data")
        axis.set(xlabel="density (fraction kept)", title=metric)
    axes[0].set_ylabel("points")
    axes[0].legend(fontsize=7)
    save(figure, path)


def plot_classes(results: Results, density: float, path: Path) -> None:
    """What is kept of each class, and how accurate the class becomes."""
    names = [name for name in (FULL, RANDOM, DROP, *TITLES) if results.newest(Arm(name, density))]
    figure, axes = plt.subplots(1, 2, figsize=(13, 0.5 + 0.42 * len(names)), layout="constrained")
    for axis, title in zip(axes, ("density of the class", "accuracy of the class"), strict=True):
        rows: list[Floats] = []
        for name in names:
            records = results.newest(Arm(name, density)).values()
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
    parser.add_argument("--pages", type=Path, nargs="+", default=PAGES)
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
        plot_trade_off(results, images / f"evidence-{preset}-trade-off.png")
        print(overview(results), claims_of(main_claims)(results), sep="\n")


if __name__ == "__main__":
    main()
