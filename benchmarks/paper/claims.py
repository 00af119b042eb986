"""What is claimed, and what came out, from the records of one preset."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace

from methods import TITLES
from records import FULL, LOG_PRIOR, PART, PLAIN, TUNED, Arm, Difference, Results
from tables import AVERAGE, BALANCED, CLOSED, DROP, EQUAL, LONG_TAIL, RANDOM, WORST, table

Row = tuple[str, str, Difference | None, float]


def points(number: float) -> str:
    """In words."""
    return f"{number:g} point" + "s" * (number != 1)


def compared(
    results: Results, ours: Arm, theirs: Arm, least: float = 0, metric: str = WORST
) -> Row:
    """A claim: how much more than ``least`` one arm has than another."""
    words = {True: "above", False: f"at most {points(-least)} below"}[least >= 0]
    by = f" by {points(least)}" if least > 0 else ""
    claim = f"{ours.title}: {metric} {words} {theirs.title}{by}"
    return claim, f"{ours.density:g}", results.difference(metric, ours, theirs), least


def reached(results: Results, arm: Arm, least: float, metric: str = WORST) -> Row:
    """A claim: a metric of an arm is at least so much."""
    values = results.metric(metric, arm)
    difference = Difference.of(values, dict.fromkeys(values, least))
    return f"{arm.title}: {metric} at least {least:g}", f"{arm.density:g}", difference, 0.0


def main_claims(results: Results) -> Iterator[tuple[str, Row]]:
    """What is claimed first, each with the dataset."""
    for density in (d for d in results.densities if d <= 0.5):
        drop = Arm(DROP, density)
        for other in (RANDOM, "el2n"):
            yield BALANCED, compared(results, drop, Arm(other, density))
        yield BALANCED, compared(results, drop, Arm(RANDOM, density), -3, AVERAGE)
        if density == 0.5:
            yield BALANCED, compared(results, drop, Arm(FULL, density))


def offset_claims(results: Results) -> Iterator[tuple[str, Row]]:
    """What quotas and offsets do beside and for each other."""
    for density in (d for d in results.densities if d in (0.3, 0.5)):
        drop, random = Arm(DROP, density), Arm(RANDOM, density)
        tuned = replace(random, offsets=TUNED)
        yield BALANCED, compared(results, drop, tuned)
        yield BALANCED, compared(results, drop, tuned, 0, AVERAGE)
        part = replace(drop, offsets=PART)
        yield BALANCED, compared(results, part, replace(random, offsets=PART))
        for name, least in ((WORST, 3.0), (AVERAGE, -1.0)):
            yield BALANCED, compared(results, part, drop, least, name)
    for offsets, worst, average in ((LOG_PRIOR, 39, 53), (TUNED, 46, 51)):
        ours = Arm(DROP, 0.5, LONG_TAIL, offsets)
        yield LONG_TAIL, reached(results, ours, worst)
        yield LONG_TAIL, reached(results, ours, average, AVERAGE)
        for method, density in itertools.product((DROP, CLOSED), (0.2, 0.3, 0.5)):
            ours = Arm(method, density, LONG_TAIL, offsets)
            full = replace(ours, method=FULL)
            yield LONG_TAIL, compared(results, ours, full)
            yield LONG_TAIL, compared(results, ours, full, 0, AVERAGE)


def equal_claims(results: Results) -> Iterator[tuple[str, Row]]:
    """What quotas by recall have over equal ones on the long tail."""
    for method, offsets in itertools.product((DROP, CLOSED), (PLAIN, LOG_PRIOR, TUNED)):
        for density in (0.2, 0.3, 0.5):
            ours = Arm(method, density, LONG_TAIL, offsets)
            yield LONG_TAIL, compared(results, ours, replace(ours, method=EQUAL))


def closed_claims(results: Results) -> Iterator[tuple[str, Row]]:
    """Recalls in closed form instead of five query models."""
    for dataset, offsets in ((BALANCED, PLAIN), (LONG_TAIL, LOG_PRIOR)):
        for density in (0.3, 0.5):
            drop = Arm(DROP, density, dataset, offsets)
            yield dataset, compared(results, replace(drop, method=CLOSED), drop, -1)


def part_claims(results: Results) -> Iterator[tuple[str, Row]]:
    """Whether a part of the tuned offsets does more for the worst class than all of them."""
    for name, density in ((DROP, 0.3), (DROP, 0.5), (CLOSED, 0.3), (CLOSED, 0.5), (FULL, 1.0)):
        ours = Arm(name, density, offsets="0.75")
        yield BALANCED, compared(results, ours, replace(ours, offsets=TUNED))


def all_claims(results: Results) -> Iterator[tuple[str, Row]]:
    """Against every score, at every density up to a half."""
    for density in (d for d in results.densities if d <= 0.5):
        drop = Arm(DROP, density)
        for other in (RANDOM, *TITLES):
            yield BALANCED, compared(results, drop, Arm(other, density))
        yield BALANCED, compared(results, drop, Arm(RANDOM, density), -3, AVERAGE)
        for other in TITLES:
            yield BALANCED, compared(results, drop, Arm(other, density), 0, AVERAGE)


GROUPS = (main_claims, offset_claims, equal_claims, closed_claims, part_claims, all_claims)


def claims_of(*groups: Callable[[Results], Iterator[tuple[str, Row]]]) -> Callable[[Results], str]:
    """A table of claims, and what came out: a column for each density."""

    def part(results: Results) -> str:
        found: dict[tuple[str, str], dict[str, tuple[Difference, float]]] = {}
        for group in groups:
            for dataset, (words, density, difference, bound) in group(results):
                if difference is not None:
                    found.setdefault((words, dataset), {})[density] = (difference, bound)
        columns = sorted({density for by_density in found.values() for density in by_density})
        rows = []
        for (words, dataset), by_density in found.items():
            cells = (
                f"{by_density[d][0]}: {by_density[d][0].verdict(by_density[d][1])}"
                if d in by_density
                else ""
                for d in columns
            )
            seeds = dict.fromkeys(difference.seeds for difference, _ in by_density.values())
            rows.append((words, dataset, *cells, ", ".join(seeds)))
        head = ("difference in points", "data", *(f"d = {d}" for d in columns), "seeds, by density")
        return table(head, rows)

    return part
