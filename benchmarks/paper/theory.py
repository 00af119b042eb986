"""The paper's two-Gaussian model: what class quotas do to a classifier, in closed form.

    python benchmarks/paper/theory.py

Writes ``benchmarks/results/paper/theory.json`` and ``docs/images/evidence-theory*.png``. To be read
from top to bottom.

Two classes on a line, ``N(0, s0^2)`` with prior ``p`` and ``N(gap, s1^2)`` with ``1 - p``; a
classifier is a threshold ``t`` and says 1 to the right of it. Training minimises the average risk
``p R0(t) + (1 - p) R1(t)``. Random pruning inside classes leaves their distributions as they are
and changes ``p`` only, so class quotas act through ``p`` alone. (arXiv 2404.05579, section 4 and
appendix B; the formulas are derived here anew.)
"""

from __future__ import annotations

import argparse
import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from places import IMAGES, RESULTS, machine
from plots import plt, save
from scipy.special import ndtr

from fiftyone_drop import allocate

SIZE = 1_000_000  # samples of both classes together: quotas of whole samples are then no matter

# -- the model ------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Setting:
    """Two Gaussian classes.

    Attributes:
        separation: ``gap / (s0 + s1)``; the worst-class risk can be as low as ``ndtr(-separation)``
        ratio: ``s1 / s0``; s0 is 1
        prior: the share of class 0, in (0, 1)
    """

    separation: float
    ratio: float
    prior: float

    @property
    def gap(self) -> float:
        """The distance of the means."""
        return self.separation * (1 + self.ratio)


def class_risks(setting: Setting, t: float) -> NDArray[np.float64]:
    """``R0(t) = ndtr(-t / s0)``, ``R1(t) = ndtr((t - gap) / s1)``: (2,) float in [0, 1]."""
    return ndtr(np.array([-t, (t - setting.gap) / setting.ratio]))


def best_threshold(setting: Setting, prior: float) -> float:
    """The threshold of least average risk under ``prior``: what training finds.

    The derivative of the risk is ``(1 - p) f1(t) - p f0(t)``. The log of the ratio of both terms is
    the quadratic ``a t^2 + b t + c``, and the risk has its minimum where that grows through 0,
    which is at one root only. If that is no better than giving all to one class, a class is not
    learnt: the threshold is infinite.
    """
    s, gap = setting.ratio, setting.gap
    a = (1 - 1 / s**2) / 2
    b = gap / s**2
    c = math.log((1 - prior) / (prior * s)) - gap**2 / (2 * s**2)
    discriminant = b**2 - 4 * a * c
    if discriminant > 0:
        t = -2 * c / (b + math.sqrt(discriminant))  # no cancellation, and a = 0 is no exception
        if np.array([prior, 1 - prior]) @ class_risks(setting, t) < min(prior, 1 - prior):
            return t
    return math.inf if prior > 0.5 else -math.inf


# -- the worst class ------------------------------------------------------------------------------


def fairest_threshold(setting: Setting) -> float:
    """The threshold of least worst-class risk.

    R0 falls with t and R1 grows, so it is where they meet: ``t / s0 = (gap - t) / s1``.
    """
    return setting.gap / (1 + setting.ratio)


def fairest_prior(setting: Setting) -> float:
    """The prior whose best threshold is the fairest: ``p : (1 - p) = s0 : s1``.

    There both densities are the same normal density but for the factor ``1 / s_k``, so the
    derivative ``(1 - p) f1 - p f0`` is 0 if ``p / s0 = (1 - p) / s1``.
    """
    return 1 / (1 + setting.ratio)


# -- DRoP -----------------------------------------------------------------------------------------


def pruned_prior(setting: Setting, density: float) -> float:
    """The share of class 0 after DRoP's pruning, with the recalls of the full data's classifier.

    Where ``t`` is the best threshold of ``p``, a larger weight of R0 moves the best threshold to
    the right, whatever the distributions: ``w R0(t) + R1(t)`` has its minimum where R0 is smaller
    the larger ``w`` is. DRoP gives the class of larger risk the larger class density, so that its
    weight grows: the direction is always right, and only the length of the step can be wrong.
    """
    sizes = np.rint(SIZE * np.array([setting.prior, 1 - setting.prior])).astype(int)
    recalls = 1 - class_risks(setting, best_threshold(setting, setting.prior))
    kept = sizes * allocate(sizes, recalls, density).densities
    return float(kept[0] / kept.sum())


@dataclass(frozen=True)
class Outcome:
    """What DRoP does in one setting at one density.

    Attributes:
        before, after: the best thresholds for the full and for the pruned data
        risks_before, risks_after: the class risks there
        towards: whether the threshold moved towards the fairest one, or was there
    """

    before: float
    after: float
    risks_before: tuple[float, float]
    risks_after: tuple[float, float]
    towards: bool

    @property
    def change(self) -> float:
        """The change of the worst-class risk, in [-1, 1]."""
        return max(self.risks_after) - max(self.risks_before)


def prune(setting: Setting, density: float) -> Outcome | None:
    """Train, measure recalls, prune with DRoP's quotas, train again.

    Returns:
        None if a class is not learnt on the full data already: there recalls say nothing
    """
    before = best_threshold(setting, setting.prior)
    if math.isinf(before):
        return None
    after = best_threshold(setting, pruned_prior(setting, density))
    first, second = (tuple(class_risks(setting, t).tolist()) for t in (before, after))
    way = fairest_threshold(setting) - before
    return Outcome(before, after, first, second, abs(way) < 1e-9 or (after - before) * way > 0)


# -- the same by drawing samples ------------------------------------------------------------------


def simulate(
    setting: Setting, density: float, n: int, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Monte Carlo of :func:`prune`: nothing but drawn samples and counted errors.

    Args:
        setting: the two classes
        density: the dataset density, in (0, 1]
        n: samples of the training set; validation and test sets have n of each class
        seed: decides the draws

    Returns:
        the class risks on the test set, (2,) float each, of the thresholds fitted to the full and
        to the pruned training set
    """
    rng = np.random.default_rng(seed)

    def draw(sizes: NDArray[np.int64]) -> list[NDArray[np.float64]]:
        return [rng.normal(0, 1, sizes[0]), rng.normal(setting.gap, setting.ratio, sizes[1])]

    def errors(classes: list[NDArray[np.float64]], t: float) -> NDArray[np.float64]:
        return np.array([np.mean(classes[0] > t), np.mean(classes[1] <= t)])

    sizes = np.rint(n * np.array([setting.prior, 1 - setting.prior])).astype(int)
    train, validation, test = draw(sizes), draw(np.array([n, n])), draw(np.array([n, n]))
    full = fit_threshold(*train)
    quotas = allocate(sizes, 1 - errors(validation, full), density).quotas
    pruned = fit_threshold(*(samples[:quota] for samples, quota in zip(train, quotas, strict=True)))
    return errors(test, full), errors(test, pruned)


def fit_threshold(zeros: NDArray[np.float64], ones: NDArray[np.float64]) -> float:
    """The threshold with the fewest errors on samples of class 0 and class 1."""
    values = np.concatenate([zeros, ones])
    order = np.argsort(values)
    # To the right of the first i samples: errors are the zeros beyond i and the ones up to i
    steps = np.where(order < len(zeros), -1, 1)
    errors = len(zeros) + np.concatenate([[0], np.cumsum(steps)])
    best = int(np.argmin(errors))
    edges = np.concatenate([[-np.inf], values[order], [np.inf]])
    return float(edges[best] if best == 0 else (edges[best] + edges[best + 1]) / 2)


# -- all of it ------------------------------------------------------------------------------------

EXAMPLE = Setting(separation=1.25, ratio=2.0, prior=0.75)
TABLE = [
    (Setting(separation, ratio, prior), density)
    for separation in (1.0, 1.5)
    for ratio, prior in ((1.0, 0.8), (2.0, 0.5), (2.0, 0.8), (2.0, 0.2))
    for density in (0.3, 0.8)
]
SEPARATIONS = (0.5, 1.0, 1.5, 2.0)
DENSITIES = (0.2, 0.3, 0.5, 0.8)
RATIOS = 2.0 ** np.linspace(-2, 2, 33)
PRIORS = np.linspace(0.05, 0.95, 37)

RISKS = ("risks before", "drawn before", "risks after", "drawn after")
Outcomes = dict[tuple[float, float], list[list[Outcome | None]]]  # rows: ratios, columns: priors


def compare(setting: Setting, density: float, n: int, draws: int) -> dict[str, Any]:
    """The closed form beside the mean and the standard error of ``draws`` simulations."""
    exact = prune(setting, density)
    assert exact is not None, setting
    runs = np.array([simulate(setting, density, n, seed) for seed in range(draws)])
    return {
        **asdict(setting),
        "density": density,
        "risks before": exact.risks_before,
        "drawn before": runs[:, 0].mean(axis=0).tolist(),
        "risks after": exact.risks_after,
        "drawn after": runs[:, 1].mean(axis=0).tolist(),
        "standard errors": (runs.std(axis=0, ddof=1) / math.sqrt(draws)).tolist(),
        "worst risk at best": float(ndtr(-setting.separation)),
    }


def explore() -> Outcomes:
    return {
        (separation, density): [
            [prune(Setting(separation, float(ratio), float(prior)), density) for prior in PRIORS]
            for ratio in RATIOS
        ]
        for separation in SEPARATIONS
        for density in DENSITIES
    }


def count(outcomes: Outcomes) -> list[dict[str, Any]]:
    """One record per separation and density."""
    records = []
    for (separation, density), rows in outcomes.items():
        learnt = [out for row in rows for out in row if out is not None]
        rises = [out for out in learnt if out.change > 1e-9]
        records.append(
            {
                "separation": separation,
                "density": density,
                "settings": RATIOS.size * PRIORS.size,
                "both classes learnt": len(learnt),
                "towards the fairest": sum(out.towards for out in learnt),
                "worst risk rises": len(rises),
                "of these no longer learnt": sum(math.isinf(out.after) for out in rises),
                "median change": float(np.median([out.change for out in learnt])),
            }
        )
    return records


def plot_example(path: Path) -> None:
    """One setting: the densities with three thresholds, and the risks against the density."""
    figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
    x = np.linspace(-3.5, EXAMPLE.gap + 3.5 * EXAMPLE.ratio, 500)
    shares = (EXAMPLE.prior, 1 - EXAMPLE.prior)
    for k, (mean, sd) in enumerate([(0.0, 1.0), (EXAMPLE.gap, EXAMPLE.ratio)]):
        curve = np.exp(-((x - mean) ** 2) / (2 * sd**2)) / (sd * math.sqrt(2 * math.pi))
        left.fill_between(x, shares[k] * curve, alpha=0.35, label=f"class {k}, {shares[k]:.0%}")
    outcome = prune(EXAMPLE, 0.5)
    assert outcome is not None
    marks = [
        (outcome.before, "k", "-", "full data"),
        (outcome.after, "tab:red", "-", "pruned, density 0.5"),
        (fairest_threshold(EXAMPLE), "tab:green", "--", "fairest"),
    ]
    for t, colour, style, name in marks:
        left.axvline(t, color=colour, linestyle=style, label=name)
    left.set(xlabel="x", ylabel="share of the samples", yticks=[])
    left.legend(fontsize=8)

    densities = np.linspace(0.02, 1, 99)
    risks = []
    for density in densities:
        pruned = prune(EXAMPLE, float(density))
        assert pruned is not None
        risks.append(pruned.risks_after)
    for k, values in enumerate(zip(*risks, strict=True)):
        right.plot(densities, values, label=f"risk of class {k}, DRoP")
    best = float(ndtr(-EXAMPLE.separation))
    right.axhline(best, color="tab:green", linestyle="--", label="both, at the fairest threshold")
    right.set(xlabel="density (fraction kept)", ylabel="risk", ylim=(0, None))
    right.legend(fontsize=8)
    save(figure, path)


def plot_map(outcomes: Outcomes, path: Path) -> None:
    """The change of the worst risk over variance ratios and priors."""
    shown = (0.2, 0.5, 0.8)
    figure, axes = plt.subplots(
        len(shown),
        len(SEPARATIONS),
        figsize=(11, 7),
        sharex=True,
        sharey=True,
        layout="constrained",
    )
    colours = plt.get_cmap("RdBu_r").with_extremes(bad="0.8", over="black")
    for row, density in zip(axes, shown, strict=True):
        for axis, separation in zip(row, SEPARATIONS, strict=True):
            change = [
                [
                    np.nan if out is None else 100 * (out.change if math.isfinite(out.after) else 2)
                    for out in line
                ]
                for line in outcomes[separation, density]
            ]
            mesh = axis.pcolormesh(PRIORS, RATIOS, change, cmap=colours, vmin=-25, vmax=25)
            axis.plot(1 / (1 + RATIOS), RATIOS, "k--", linewidth=1)  # fairest priors, s0 : s1
            axis.set_yscale("log", base=2)
            axis.set_title(f"density {density:g}, fairest risk {ndtr(-separation):.0%}", fontsize=9)
    figure.supxlabel("share of class 0 in the full data")
    figure.supylabel("standard deviations, class 1 : class 0")
    figure.colorbar(
        mesh,
        ax=axes,
        extend="max",
        label="change of the worst-class risk, points\n"
        "grey: a class is not learnt on the full data, black: no longer learnt after pruning",
    )
    save(figure, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--samples", type=int, default=400_000, help="per simulated training set")
    parser.add_argument("--draws", type=int, default=12)
    parser.add_argument("--out", type=Path, default=RESULTS / "theory.json")
    parser.add_argument("--images", type=Path, default=IMAGES)
    args = parser.parse_args()

    rows = [compare(setting, density, args.samples, args.draws) for setting, density in TABLE]
    print(f"{'class risks: full data':>59} {'after pruning':>30}")
    print(
        "separation s1/s0 prior    d   closed form      drawn       closed form      drawn     best"
    )
    for row in rows:
        cells = [f"{a:.3f} {b:.3f}" for a, b in (row[name] for name in RISKS)]
        print(
            f"{row['separation']:10} {row['ratio']:5} {row['prior']:5} {row['density']:4}   "
            f"{'    '.join(cells)}   {row['worst risk at best']:.3f}"
        )
    gaps = [
        (abs(np.subtract(row[a], row[b])), np.array(row["standard errors"][i]))
        for row in rows
        for i, (a, b) in enumerate([RISKS[:2], RISKS[2:]])
    ]
    largest = float(max(gap.max() for gap, _ in gaps))
    in_errors = float(max((gap / error).max() for gap, error in gaps))
    print(f"largest difference {largest:.4f}, {in_errors:.1f} standard errors of the drawn risks")

    outcomes = explore()
    counts = count(outcomes)
    columns = ("both classes learnt", "towards the fairest", "worst risk rises")
    totals = {name: sum(record[name] for record in counts) for name in columns}
    print(", ".join(f"{name}: {number:,}" for name, number in totals.items()))
    for record in counts:
        print("  " + ", ".join(f"{name} {value:.4g}" for name, value in record.items()))

    plot_example(args.images / "evidence-theory.png")
    plot_map(outcomes, args.images / "evidence-theory-map.png")
    args.out.parent.mkdir(parents=True, exist_ok=True)
    record = {
        "title": "two-Gaussian model",
        "settings": {"samples": args.samples, "draws": args.draws},
        "table": rows,
        "largest difference": largest,
        "largest difference in standard errors": in_errors,
        "totals": totals,
        "counts": counts,
        "machine": machine(),
    }
    args.out.write_text(json.dumps(record, indent=1) + "\n")


if __name__ == "__main__":
    main()
