"""Every call that writes, every write, every way to fail: the old run or the new, no mixture.

After each fault somebody else looks at the dataset, and then the same call is made again.
"""

import contextlib
import dataclasses
import os

import numpy as np
import pymongo.collection
import pytest
from pymongo.errors import AutoReconnect
from whole_runs import assert_whole, contents

import fiftyone_drop as fod
from fiftyone_drop import lease
from fiftyone_drop.predictions import Predictions

WRITES = (
    *("bulk_write", "insert_one", "insert_many", "update_one", "update_many", "replace_one"),
    *("delete_one", "delete_many", "find_one_and_update", "find_one_and_replace"),
    "find_one_and_delete",
)
# How a write fails: before it has any effect, after it, or from then on until the database is back
WAYS = ("before", "after", "from then on")
EVERY = 1 if os.environ.get("DROP_FAULTS") == "long" else 9  # n-th write only


class Faults:
    """Makes one write to MongoDB fail, or all from one on."""

    def __init__(self, patch):
        self.at, self.way, self.count = None, "before", 0
        for name in WRITES:
            original = getattr(pymongo.collection.Collection, name)
            patch.setattr(pymongo.collection.Collection, name, self._wrap(original))

    def _wrap(self, original):
        def write(collection, *args, **kwargs):
            self.count += 1
            due = self.at is not None and (
                self.count >= self.at if self.way == "from then on" else self.count == self.at
            )
            words = f"write {self.count}: {original.__name__} {collection.name}"
            if due and self.way != "after":
                raise AutoReconnect(words)
            result = original(collection, *args, **kwargs)
            if due:
                raise AutoReconnect(words)
            return result

        return write


@pytest.fixture
def faults(monkeypatch):
    """Faults of the database, and leases that expire soon."""
    monkeypatch.setattr(lease, "SECONDS", 0.4)
    return Faults(monkeypatch)


def plan_of(dataset, recalls, density=0.5):
    """A plan as if query models had predicted every sample right."""
    plan = fod.plan_drop(dataset, density, label_field="ground_truth", recalls=recalls)
    population = plan.population
    n = len(population)
    predictions = Predictions(
        population.ids,
        np.arange(n),
        population.label_of,
        np.full(n, 0.5, np.float32),
        np.ones(n, bool),
        "a test",
    )
    return dataclasses.replace(plan, predictions=predictions)


CALLS = {
    "apply": lambda dataset, plan: plan.apply(key="run"),
    "apply with predictions": lambda dataset, plan: plan.apply(key="run"),
    "overwrite": lambda dataset, plan: plan.apply(key="run", overwrite=True),
    "overwrite with predictions": lambda dataset, plan: plan.apply(key="run", overwrite=True),
    "set_density": lambda dataset, plan: fod.set_density(dataset, "run", 0.3),
    "delete_drop": lambda dataset, plan: fod.delete_drop(dataset, "run"),
}


@pytest.fixture
def prepared(make_dataset, recalls):
    """A function that makes a dataset as a call needs it, with other things in it."""

    def make(call):
        dataset = make_dataset(40)
        known = {name: recalls[name] for name in dataset.distinct("ground_truth.label")}
        dataset.set_values("mine", list(range(40)))
        dataset.save_view("my-view", dataset.limit(7))
        dataset.apply_drop(0.5, label_field="ground_truth", recalls=known, key="other")
        plan = plan_of(dataset, known)
        if not call.endswith("predictions"):
            plan = dataclasses.replace(plan, predictions=None)
        if not call.startswith("apply"):
            old = plan_of(dataset, known, 0.6)
            if call == "overwrite":
                old = dataclasses.replace(old, predictions=None)
            old.apply(key="run")
        return dataset, plan

    return make


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("call", CALLS)
def test_a_write_that_fails_leaves_the_old_or_the_new(prepared, faults, call, way):
    """And the same call made again comes to its end, as if nothing had happened."""
    dataset, plan = prepared(call)
    before = contents(dataset)
    faults.count = 0
    CALLS[call](dataset, plan)
    writes, after = faults.count, contents(dataset)
    first = WAYS.index(way) + 1
    for at in range(first, writes + 1, EVERY):
        dataset, plan = prepared(call)
        faults.count, faults.at, faults.way = 0, at, way
        with contextlib.suppress(AutoReconnect, fod.DropError):
            CALLS[call](dataset, plan)
        faults.at = None
        where = f"{call}, {way} write {at} of {writes}"
        try:
            looked = list_whole(dataset)
        except AssertionError as error:
            pytest.fail(f"{where}: {error}")
        assert "other" in looked, where
        again(dataset, plan, call)
        assert contents(dataset) == after, where
        assert dataset.values("mine") == list(range(40))
        assert len(dataset.load_saved_view("my-view")) == 7
        assert_whole(dataset)
    assert before != after or call.startswith(("overwrite", "set"))


def list_whole(dataset):
    """The runs that others see; those that are being changed say so and are left out."""
    dataset.reload()
    complete = [
        key
        for key in fod.list_drops(dataset)
        if fod.load_drop(dataset, key).config.state == "complete"
    ]
    for key in complete:
        run = fod.load_drop(dataset, key)
        kept = fod.drop_view(dataset, key)
        assert len(kept) == int(run.table.quotas.sum()), key
        assert len(dataset.load_saved_view(run.config.kept_view)) == len(kept), key
    return complete


def again(dataset, plan, call):
    """The same call, which may find that its work is done."""
    with contextlib.suppress(fod.DropError):
        CALLS[call](dataset, plan)
