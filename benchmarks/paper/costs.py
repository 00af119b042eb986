"""What choosing the samples costs, in processor seconds, beside a training on the full data."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from methods import METHODS, TITLES
from records import FULL, Arm, Difference, Machine, Record, Results
from tables import BALANCED, CLOSED, DROP, LONG_TAIL, table

AT_MOST = 10  # % of a full training, for the recalls in closed form

Seconds = dict[int, float]  # by seed


def closed_table(results: Results) -> str:
    """How the class densities of the query in closed form agree, and what it costs."""
    rows = []
    for dataset in (BALANCED, LONG_TAIL):
        for density in (0.5, 0.3):
            one, other = (Arm(name, density, dataset) for name in (CLOSED, DROP))
            ranks = results.rank_correlations(one, other)
            if ranks:
                holds = "holds" if min(ranks) >= 0.9 else "**fails**"
                mean, least = np.mean(ranks), min(ranks)
                words = f"{mean:.2f}, lowest seed {least:.2f}"
                rows.append((dataset, f"{density:g}", words, str(len(ranks)), holds))
    head = ("data", "density", "rank correlation of class densities", "seeds", "at least 0.9")
    return table(head, rows) + "\n" + closed_costs(results)


def closed_costs(results: Results) -> str:
    """The share of a full training that the query in closed form takes: by data, machine and code.

    The claim is judged where most seeds are, and of those by the newest.
    """
    rows, judged = [], []
    for machine, one in results.machines.items():
        for (dataset, kind), by_seed in one.queries.items():
            full = trainings(one, dataset)
            if kind != "closed" or not full:
                continue
            for code, records in _by_code(one, by_seed).items():
                ours = {seed: sum(_stages(record).values()) for seed, record in records.items()}
                room = {s: AT_MOST - 100 * ours[s] / full[s] for s in sorted(ours & full.keys())}
                if not room:
                    continue
                difference = Difference.of(room, dict.fromkeys(room, 0.0))
                verdict = difference.verdict() if difference else "no seed of both"
                place = f"{named(machine)}, commit {code}"
                share = f"{sum(ours[s] / full[s] for s in room) / len(room):.1%}"
                models = _mean_stages(one.queries.get((dataset, "short"), {})).get("train")
                cells = (f"{_mean(ours):.1f} s", f"{_mean(full):.0f} s", share)
                more = f"{models:.0f} s" if models else ""
                rows.append((dataset, place, str(len(ours)), *cells, more, verdict))
                if dataset == BALANCED:
                    newest = max(record["run"] for record in records.values())
                    judged.append((len(room), newest, place, share, verdict))
    if not judged:
        return ""
    seeds, _, place, share, verdict = max(judged)
    head = ("data", "machine and code", "seeds", "closed form", "a full training", "share")
    return (
        f"Claim: on equal classes the closed form takes at most {AT_MOST} % of a full training, in "
        f"processor seconds of one thread. Where most seeds were run ({seeds}; {place}) it takes "
        f"{share}: {verdict}. On all data, machines and versions of the code:\n\n"
        + table((*head, "five query models", f"at most {AT_MOST} %"), sorted(rows))
    )


def _by_code(results: Results, by_seed: dict[int, list[Record]]) -> dict[str, dict[int, Record]]:
    """Commit -> seed -> the newest record of a query."""
    found: dict[str, dict[int, Record]] = {}
    for seed, records in sorted(by_seed.items()):
        for record in records:
            found.setdefault(results.runs[record["run"]]["machine"]["commit"], {})[seed] = record
    return found


def costs(results: Results) -> Iterator[tuple[str, float, float]]:
    """Title, processor seconds of choosing the samples by one method, and the published way's."""
    short = _mean_stages(results.queries.get((BALANCED, "short"), {}))
    long = _mean_stages(results.queries.get((BALANCED, "long"), {}))
    published = results.published[-1]
    decode, gradient = published["decode"][1], published["gradient"][1]
    preset = list(results.runs.values())[-1]["settings"]
    models, epochs = preset["query_models"], preset["recipe"]["epochs"]
    query_epochs = max(1, round(epochs / 10))
    n = sum(next(iter(next(iter(results.cells.values())).values()))[-1]["sizes"])
    for name in (DROP, *TITLES):
        cells = [r for d in results.densities for r in results.newest(Arm(name, d)).values()]
        if not cells:
            continue
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


def costs_table(results: Results) -> str:
    """Processor seconds of choosing, beside those of a full training, where most seeds were run."""
    found = [
        (len(trainings(one)), machine, one)
        for machine, one in results.machines.items()
        if trainings(one) and one.published and (BALANCED, "short") in one.queries
    ]
    if not found:
        return ""
    _, machine, one = max(found, key=lambda row: row[0])
    full = trainings(one)
    rows = [
        (title, f"{ours:.0f} s", f"{ours / _mean(full):.0%}", f"{theirs / _mean(full):.0%}")
        for title, ours, theirs in costs(one)
    ]
    head = f"choosing by (one full training: {_mean(full):.0f} s)"
    return (
        f"On {named(machine)}; full training: {len(full)} seeds. {query_models(results)}\n\n"
        + table((head, "here", "share", "published way"), rows)
    )


def query_models(results: Results) -> str:
    """What the five query models cost by themselves, on each machine that trained both."""
    shares = []
    for one in results.machines.values():
        models = _mean_stages(one.queries.get((BALANCED, "short"), {})).get("train")
        if models and trainings(one):
            shares.append(models / _mean(trainings(one)))
    words = " to ".join(dict.fromkeys(f"{share:.0%}" for share in (min(shares), max(shares))))
    return f"The query models of the protocol alone take {words} of a full training, by machine."


def trainings(results: Results, dataset: str = BALANCED) -> Seconds:
    """Processor seconds of one training on the full data, by seed."""
    newest = results.newest(Arm(FULL, 1.0, dataset))
    return {seed: record["seconds"]["train"][1] for seed, record in newest.items()}


def named(machine: Machine) -> str:
    """A machine in a few words."""
    processor, cores, gpu, torch = machine
    return f"{cores} cores of {processor}{f' beside {gpu}' if gpu else ''}, torch {torch}"


def _stages(record: Record) -> dict[str, float]:
    """Processor seconds of each stage of a record."""
    return {stage: cpu for stage, (_, cpu) in record["seconds"].items()}


def _mean_stages(by_seed: dict[int, list[Record]]) -> dict[str, float]:
    """Processor seconds of each stage, averaged over the seeds."""
    stages: dict[str, list[float]] = {}
    for records in by_seed.values():
        for stage, seconds in _stages(records[-1]).items():
            stages.setdefault(stage, []).append(seconds)
    return {stage: float(np.mean(values)) for stage, values in stages.items()}


def _mean(seconds: Seconds) -> float:
    return float(np.mean(list(seconds.values())))
