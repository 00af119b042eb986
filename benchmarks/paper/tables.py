"""The tables of the pages, from the records of one preset: a function for each of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
from methods import METHODS
from records import FULL, LOG_PRIOR, PART, PLAIN, TUNED, Arm, Results

DROP, RANDOM, CLOSED = "random+drop", "random", "random+drop-closed"
EQUAL = "random+balanced"  # quotas, whatever the recalls
BALANCED, LONG_TAIL, MILD_TAIL = "balanced", "long-tailed-100", "long-tailed-10"
WORST, AVERAGE = "worst class", "average"


def table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """A Markdown table, or a word if there is nothing in it."""
    head, rows = list(head), list(rows)
    if not rows:
        return "Not run yet.\n"
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def spread(values: dict[int, float]) -> str:
    """Mean over seeds."""
    return f"{np.mean(list(values.values())):.1f}" if values else ""


def both(results: Results, arm: Arm) -> str:
    """Worst class (average), or nothing."""
    worst = spread(results.metric(WORST, arm))
    return f"{worst} ({spread(results.metric(AVERAGE, arm))})" if worst else ""


def gain(results: Results, ours: Arm, theirs: Arm) -> str:
    """How much higher the worst class is (and the average), or nothing."""
    differences = [results.difference(name, ours, theirs) for name in (WORST, AVERAGE)]
    return f"{differences[0]} ({differences[1]})" if differences[0] is not None else ""


def judged(results: Results, ours: Arm, theirs: Arm) -> str:
    """The gain, and why that of the worst class may be none."""
    worst = results.difference(WORST, ours, theirs)
    if worst is None:
        return "not run"
    return ", ".join(filter(None, (gain(results, ours, theirs), worst.doubt)))


def seeds_of(results: Results, arms: Iterable[Arm]) -> str:
    """The numbers of seeds: one, or the least and the most."""
    counts = sorted({len(found) for arm in arms if (found := results.metric(WORST, arm))})
    return " to ".join(f"{n}" for n in dict.fromkeys((counts[0], counts[-1]))) if counts else ""


def summary(results: Results) -> str:
    """One look: half of the data, equal classes and a long tail, with and without offsets."""
    columns = (
        (BALANCED, PLAIN),
        (BALANCED, PART),
        (BALANCED, TUNED),
        (LONG_TAIL, PLAIN),
        (LONG_TAIL, LOG_PRIOR),
        (LONG_TAIL, TUNED),
    )
    rows, shown = [], []
    for name in (FULL, RANDOM, "el2n", EQUAL, DROP, CLOSED):
        arms = [Arm(name, 0.5, dataset, offsets) for dataset, offsets in columns]
        cells = [both(results, arm) for arm in arms]
        if any(cells):
            rows.append((METHODS[name].title, *cells))
            shown += arms
    head = (
        f"worst class (average), %, {seeds_of(results, shown)} seeds",
        "equal classes",
        "+ part of tuned offsets",
        "+ all of them",
        "long tail",
        "+ log-prior offsets",
        "+ tuned offsets",
    )
    return table(head, rows)


def overview(
    results: Results, dataset: str = BALANCED, methods: Iterable[str] = tuple(METHODS)
) -> str:
    """Worst class and average of methods at every density."""
    densities = [
        d for d in results.densities if any(k[0] == dataset and k[2] == d for k in results.cells)
    ]
    rows = []
    for name in methods:
        arms = [Arm(name, density, dataset) for density in densities]
        cells = [both(results, arm) for arm in arms]
        if any(cells):
            seeds = [seeds_of(results, [arm]) or "–" for arm in arms]
            seeds = seeds[:1] if len(set(seeds)) == 1 else seeds
            rows.append((METHODS[name].title, *cells, ", ".join(seeds)))
    head = ("worst class (average), %", *(f"d = {d:g}" for d in densities), "seeds, by density")
    return table(head, rows)


def headline(results: Results) -> str:
    """The methods that the claim is about."""
    return overview(results, methods=(FULL, RANDOM, "el2n", DROP, CLOSED))


OTHERS = (MILD_TAIL, "noisy-10", "noisy-20", "colour-50")


def others_table(results: Results) -> str:
    """Half of the data of what is neither balanced nor the steep tail, and what DRoP adds there."""
    rows = []
    for dataset in OTHERS:
        drop = Arm(DROP, 0.5, dataset)
        names = (FULL, RANDOM, "el2n", "full+cdb-w", DROP, CLOSED)
        arms = [replace(drop, method=name) for name in names]
        cells = [both(results, arm) for arm in arms]
        if any(cells):
            more = (judged(results, arm, replace(drop, method=RANDOM)) for arm in arms[-2:])
            rows.append((dataset, *cells, *more, seeds_of(results, arms)))
    head = ("data, worst class (average), %", *(METHODS[name].title for name in names))
    return table((*head, "DRoP over Random", "closed form over Random", "seeds"), rows)


def datasets_table(results: Results) -> str:
    """The overview of each other dataset."""
    names = dict.fromkeys(dataset for dataset, _, _ in results.cells)
    parts = [f"**{name}**\n\n{overview(results, name)}" for name in names if name != BALANCED]
    return "\n".join(parts)


def offsets_table(results: Results) -> str:
    """Every training that has offsets: without, with log-prior and with tuned ones."""
    order = list(METHODS)
    keys = sorted(results.cells, key=lambda key: (key[0], -key[2], order.index(key[1])))
    rows = []
    for dataset, name, density in keys:
        arm = Arm(name, density, dataset)
        with_offsets = [replace(arm, offsets=offsets) for offsets in (LOG_PRIOR, TUNED)]
        count = seeds_of(results, with_offsets)
        if count:
            cells = [both(results, one) for one in (arm, *with_offsets)]
            full = Arm(FULL, density, dataset, TUNED)
            more = "" if name == FULL else gain(results, with_offsets[1], full)
            rows.append((dataset, f"{density:g}", arm.title, count, *cells, more))
    head = ("data", "density", "method", "seeds", "plain", "log-prior", "tuned")
    return table((*head, "tuned, minus full data tuned"), rows)


WAYS = (DROP, CLOSED, "random+minimax-closed", "herding+drop", RANDOM, FULL)


def shares_table(results: Results) -> str:
    """What parts of the tuned offsets do to the worst class, against Random + DRoP without any."""
    rows = []
    for density in (0.3, 0.5):
        drop = Arm(DROP, density)
        for name in WAYS:
            arms = [Arm(name, density, offsets=o) for o in ("0.25", "0.5", "0.75", TUNED, PART)]
            cells = [gain(results, arm, drop) for arm in arms]
            if any(cells):
                verdict = "yes" if three_for_one(results, arms[-1], drop) else "no"
                verdict = verdict if cells[-1] else "not run"
                rows.append((METHODS[name].title, f"{density:g}", *cells, verdict))
    head = ("method", "density", "25 %", "50 %", "75 %", "all", "by the rule")
    return table((*head, "3 points for at most 1"), rows)


def three_for_one(results: Results, ours: Arm, theirs: Arm) -> bool:
    """Whether the worst class gains 3 points, surely some, for at most 1 point of the average."""
    worst, average = (results.difference(metric, ours, theirs) for metric in (WORST, AVERAGE))
    if worst is None or average is None:
        return False
    return worst.mean >= 3 and worst.mean > worst.half and average.mean >= -1
