"""What ``run.py`` and ``strengths.py`` have recorded of one preset, and differences in it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from methods import METHODS
from scipy.special import stdtrit
from scipy.stats import spearmanr

FULL = "full"
PLAIN, LOG_PRIOR, TUNED, PART = "plain", "log-prior", "tuned", "part"
METRICS = {
    "average": np.mean,
    "worst class": np.min,
    "gap": lambda a: np.mean(a) - np.min(a),
    "deviation": np.std,
}
Record = dict[str, Any]
Machine = tuple[str, ...]
Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Arm:
    """What is compared: a method, at a density, on a dataset, with or without offsets.

    ``offsets`` is PLAIN for none, LOG_PRIOR, TUNED (whole), PART (of the tuned ones, as much as
    the rule of ``strengths.py`` takes), or a share of the tuned ones such as "0.25".
    """

    method: str
    density: float
    dataset: str = "balanced"
    offsets: str = PLAIN

    @property
    def key(self) -> tuple[str, str, float]:
        """Of its records; full data has one density."""
        full = self.method.startswith(FULL)
        return (self.dataset, self.method, 1.0 if full else self.density)

    @property
    def title(self) -> str:
        """What tables call it, without dataset and density."""
        if self.offsets == PLAIN:
            return METHODS[self.method].title
        named = {PART: "part of the tuned", LOG_PRIOR: LOG_PRIOR, TUNED: TUNED}
        words = named.get(self.offsets) or f"{float(self.offsets):.0%} of the tuned"
        return f"{METHODS[self.method].title} + {words} offsets"

    def of(self, record: Record) -> list[float] | None:
        """The class accuracies of a record, if it has them with these offsets."""
        if self.offsets == PLAIN:
            found: list[float] = record["accuracy"]
            return found
        return record.get("offsets", {}).get(self.offsets)

    def plain(self) -> Arm:
        """The same without offsets."""
        return replace(self, offsets=PLAIN)


@dataclass(frozen=True)
class Difference:
    """A paired difference.

    Attributes:
        mean: over ``n`` seeds
        half: of its 95 % t interval, NaN for one seed
        n: seeds
        across: how many of the pairs are of two machines
    """

    mean: float
    half: float
    n: int
    across: int = 0

    @classmethod
    def of(
        cls, ours: dict[int, float], theirs: dict[int, float], across: int = 0
    ) -> Difference | None:
        """Of two methods, over the seeds that both have; None if there is none."""
        values = np.array([ours[seed] - theirs[seed] for seed in ours if seed in theirs])
        n = len(values)
        if n == 0:
            return None
        error = values.std(ddof=1) / n**0.5 if n > 1 else np.nan
        return cls(float(values.mean()), float(stdtrit(n - 1, 0.975) * error), n, across)

    def __str__(self) -> str:
        interval = f" ± {self.half:.1f}" if self.n > 1 else ""
        return f"{self.mean:+.1f}{interval}"

    @property
    def seeds(self) -> str:
        """How many, and whether some pairs are of two machines."""
        return f"{self.n}" + (f" ({self.across} across machines)" if self.across else "")

    @property
    def doubt(self) -> str:
        """Why it may be none: few words, or nothing."""
        if self.n == 1:
            return "one seed"
        return "" if abs(self.mean) > self.half else "within noise"

    def verdict(self, bound: float = 0) -> str:
        """Whether it is above a bound."""
        if self.mean <= bound:
            return "**fails**"
        if self.n == 1:
            return "one seed says so"
        return "holds" if self.mean - self.half > bound else "within noise"


@dataclass
class Results:
    """The records of one preset. Where a task was run again, the newest counts.

    Attributes:
        cells: (dataset, method, density) -> seed -> records, the newest last
        queries: (dataset, kind) -> seed -> records, the newest last
        runs: name -> settings and machine
        published: what the published way costs, on each machine
    """

    cells: dict[tuple[str, str, float], dict[int, list[Record]]] = field(default_factory=dict)
    queries: dict[tuple[str, str], dict[int, list[Record]]] = field(default_factory=dict)
    runs: dict[str, Record] = field(default_factory=dict)
    published: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Take up a record."""
        if "method" in record:
            key = (record["dataset"], record["method"], record["density"])
            self.cells.setdefault(key, {}).setdefault(record["seed"], []).append(record)
        elif "/query-" in record["task"]:
            dataset, kind, seed = record["task"].split("/")
            by_seed = self.queries.setdefault((dataset, kind.removeprefix("query-")), {})
            by_seed.setdefault(int(seed), []).append(record)
        elif record["task"] == "published":
            self.published.append(record)
        else:
            self.runs[record["task"].removeprefix("run ")] = record

    def machine(self, record: Record) -> Machine:
        """What a record was measured on."""
        facts = self.runs[record["run"]]["machine"]
        return tuple(str(facts.get(name, "")) for name in ("processor", "cores", "gpu", "torch"))

    @property
    def machines(self) -> dict[Machine, Results]:
        """The results of each machine, in the order in which they came."""
        found: dict[Machine, Results] = {}
        for record in self.all():
            one = found.setdefault(self.machine(record), Results(runs={}))
            one.runs[record["run"]] = self.runs[record["run"]]
            one.add(record)
        return found

    def all(self) -> Iterator[Record]:
        """Every record of a task, older ones too."""
        for group in (*self.cells.values(), *self.queries.values()):
            for records in group.values():
                yield from records
        yield from self.published

    @property
    def densities(self) -> list[float]:
        """Those of the pruned datasets, ascending."""
        return sorted({density for _, _, density in self.cells if density < 1})

    def newest(self, arm: Arm) -> dict[int, Record]:
        """Seed -> the newest record."""
        return {seed: rs[-1] for seed, rs in sorted(self.cells.get(arm.key, {}).items())}

    def metric(self, name: str, arm: Arm) -> dict[int, float]:
        """Seed -> value, in points, of the newest record that has these offsets."""
        values = {}
        for seed, records in sorted(self.cells.get(arm.key, {}).items()):
            found = [f for record in reversed(records) if (f := arm.of(record)) is not None]
            if found:
                values[seed] = points(name, found[0])
        return values

    def difference(self, name: str, ours: Arm, theirs: Arm) -> Difference | None:
        """Of two arms, paired: on one machine where a seed has both there, the newest first."""
        values: list[dict[int, float]] = [{}, {}]
        across = 0
        cells = [self.cells.get(arm.key, {}) for arm in (ours, theirs)]
        for seed in sorted(cells[0].keys() & cells[1].keys()):
            pairs = [
                (a, b)
                for a in reversed(cells[0][seed])
                for b in reversed(cells[1][seed])
                if ours.of(a) is not None and theirs.of(b) is not None
            ]
            together = [(a, b) for a, b in pairs if self.machine(a) == self.machine(b)]
            if not pairs:
                continue
            a, b = (together or pairs)[0]
            across += not together
            values[0][seed] = points(name, ours.of(a))
            values[1][seed] = points(name, theirs.of(b))
        return Difference.of(*values, across)

    def rank_correlations(self, one: Arm, other: Arm) -> list[float]:
        """Of the class densities of two methods, for each seed that both have."""
        found = [self.newest(arm) for arm in (one, other)]
        rows = [
            [np.array(by_seed[seed]["quotas"]) / by_seed[seed]["sizes"] for by_seed in found]
            for seed in sorted(found[0].keys() & found[1].keys())
        ]
        return [float(spearmanr(a, b).statistic) for a, b in rows]


def points(name: str, accuracies: Any) -> float:
    """A metric of class accuracies, in points."""
    return 100 * float(METRICS[name](np.array(accuracies)))


def read(path: Path) -> Results:
    """The records of the version of the preset that was run last, and what was asked later."""
    records = [json.loads(line) for line in path.read_text().splitlines()]
    version = records[-1]["version"]
    results = Results()
    for record in records:
        if record["version"] == version:
            results.add(record)
    strengths = path.with_name(f"strengths-{path.stem}.jsonl")
    for line in strengths.read_text().splitlines() if strengths.exists() else []:
        row = json.loads(line)
        key = (row["dataset"], row["method"], row["density"])
        for record in results.cells.get(key, {}).get(row["seed"], []):
            # The logits are those of the training whose plain accuracies they give
            if "offsets" in record and _same(record["accuracy"], row["shares"]["0"]):
                record["offsets"] |= row["shares"] | {PART: row["by rule"]}
                record["chosen"] = row["chosen"]
    return results


def _same(one: list[float], other: list[float]) -> bool:
    """Whether accuracies are equal, but for logits of 16 bits."""
    return bool(np.abs(np.array(one) - other).max() < 0.01)
