"""Rounds of random calls on the same few names, made at once; and what must hold after each."""

import numpy as np
from shared_dataset import difference, part, problems_of_runs, state_of

import fiftyone_drop as fod

KEYS = ("a", "b")
SCORES = "shared_mine"
# What a call is told that came too late, or that found another at work
SENTENCES = (
    *("there is a drop run", "does not exist", "has no drop run", "is being", "belongs to no"),
    *("are being written by", "was not written to its end", "There is no drop run here"),
    *("of them already", "exists; pass overwrite=True"),
)


def random_call(rng):
    """The name of a function, and its arguments besides the dataset."""
    key, density = str(rng.choice(KEYS)), float(rng.choice([0.3, 0.5, 0.8]))
    kind = str(rng.choice(["apply", "overwrite", "overwrite", "move", "delete", "import"]))
    if kind in ("apply", "overwrite"):
        how = {"label_field": "ground_truth", "rule": "proportional", "key": key}
        how |= {"density": density, "overwrite": kind == "overwrite", "progress": False}
        return "apply_drop", how
    if kind == "move":
        return "set_density", {"key": key, "density": density}
    if kind == "delete":
        return "delete_drop", {"key": key}
    return "import_scores", {"seed": int(rng.integers(1000))}


def make(dataset, function, options):
    """Make such a call."""
    if function == "import_scores":
        ids = dataset.values("id")
        scores = {"mine": dict(zip(ids, values_of(options["seed"], len(ids)), strict=True))}
        how = {"hard": "high", "prefix": "shared_", "overwrite": True, "progress": False}
        fod.import_scores(dataset, scores, **how)
    else:
        getattr(fod, function)(dataset, **options)


def values_of(seed, n):
    return np.random.default_rng(seed).random(n).tolist()


def owns(name):
    """Whether a name is one that rounds may touch."""
    return name.startswith((*(f"{key}{mark}" for key in KEYS for mark in "_-"), SCORES)) or (
        name in KEYS
    )


def problems_after_round(snapshot, dataset, before, calls):
    """What is wrong after a round, in words: lost runs, orphans, changes of what others own."""
    state = state_of(snapshot)
    others = [part(x, lambda name: not owns(name)) for x in (state, before)]
    problems = []
    if others[0] != others[1]:
        problems.append(f"something of others changed: {difference(*others)}")
    dataset.reload()
    problems += problems_of_runs(dataset)
    problems += _orphans(dataset, state)
    column = [value for _, value in sorted(state.get(("values", SCORES), {}).items())]
    seeds = {options["seed"] for _, options in calls if "seed" in options}
    if seeds and column not in [values_of(seed, len(column)) for seed in seeds]:
        problems.append("the imported scores are those of no single call")
    return problems


def _orphans(dataset, state):
    """Fields, values, views and records that belong to no run that is listed."""
    runs = [fod.load_drop(dataset, key).config for key in fod.list_drops(dataset)]
    owned = {name for run in runs for name in (*run.fields, *run.views)} | {SCORES}
    owned |= set(fod.list_drops(dataset))
    kinds = {kind for kind, name in state if owns(name) and name not in owned}
    return [f"a {kind} is left that belongs to no run" for kind in sorted(kinds)]


def is_clear(words):
    """Whether the loser of a round is told why in one of the sentences."""
    return any(sentence in words for sentence in SENTENCES)
