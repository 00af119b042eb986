"""What was run, on what and with which code, from the records of one preset."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import numpy as np
from claims import GROUPS
from records import FULL, Arm, Record, Results
from tables import AVERAGE


def facts(results: Results) -> str:
    """What was run, and on what."""
    last = list(results.runs.values())[-1]
    recipe = last["settings"]["recipe"]
    sizes = next(iter(next(iter(results.cells.values())).values()))[-1]["sizes"]
    return (
        f"Preset `{last['preset']}`: {sum(sizes):,} training images, network "
        f"`{recipe['network']}`, {recipe['epochs']} epochs of batches of {recipe['batch_size']} on "
        f"the full data, {last['settings']['query_models']} query models. "
        + " ".join(_on_machine(one) for one in results.machines.values())
        + "\n"
    )


def _on_machine(results: Results) -> str:
    machine = list(results.runs.values())[-1]["machine"]
    days = sorted(run["machine"]["date"] for run in results.runs.values())
    cells = [r for by_seed in results.cells.values() for rs in by_seed.values() for r in rs]
    used = sum(cpu for r in results.all() for _, cpu in r.get("seconds", {}).values())
    versions = ", ".join(f"{name} {machine[name]}" for name in ("python", "numpy", "torch"))
    cores = f"{machine['cores']} cores of {machine['processor']}"
    device = f"{machine['gpu']} beside {cores}" if "gpu" in machine else cores
    return (
        f"On {device}, up to {max(run['jobs'] for run in results.runs.values())} at once, of "
        f"one thread each, {' to '.join(dict.fromkeys((days[0], days[-1])))}: "
        f"{len(cells)} trainings and their queries "
        f"in {used / 3600:.1f} processor hours ({versions}, {commits(results, cells)})."
    )


def commits(results: Results, records: Iterable[Record]) -> str:
    """Which code made records; how many each, where there are several."""
    found = Counter(results.runs[record["run"]]["machine"]["commit"] for record in records)
    if len(found) == 1:
        return f"commit {next(iter(found))}"
    return "commits " + ", ".join(f"{name} ({n})" for name, n in found.most_common())


def machines(results: Results) -> str:
    """Which records come from where."""
    found = results.machines
    if len(found) < 2:
        return "All records are of one machine.\n"
    again = [r for by_seed in results.cells.values() for rs in by_seed.values() for r in rs[:-1]]
    both_have = sum("offsets" in record for record in again)
    across = sum(
        difference.across
        for group in GROUPS
        for _, (_, _, difference, _) in group(results)
        if difference is not None
    )
    return (
        f"The records come from {len(found)} machines. {len(again)} trainings were run again: "
        f"the tables show the newest one that has what is shown ({both_have} of the older ones "
        "with offsets too). A difference is of two trainings on one machine wherever both are "
        f"there; of the claims' pairs, {across} are of two machines.\n"
    )


def recipe(results: Results) -> str:
    """How good and how steady the full training is, and what a training costs the processor."""
    full = results.metric(AVERAGE, Arm(FULL, 1.0))
    if not full:
        return ""
    every = ", ".join(f"{value:.1f}" for value in full.values())
    trainings = [r["seconds"]["train"] for r in results.all() if "method" in r]
    wall, cpu = np.array(trainings).T
    return (
        f"Full data reached {min(full.values()):.0f} to {max(full.values()):.0f} % on average "
        f"(seeds: {every}): the recipe is not stable, so a stronger one is still to be tried. A "
        "training took "
        f"{wall.min():.0f} to {wall.max():.0f} s by the clock, and {cpu.min():.0f} to "
        f"{cpu.max():.0f} s of the processor: "
        "the processor bound it, not the GPU, which several shared.\n"
    )
