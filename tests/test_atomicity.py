"""A failure while writing leaves nothing behind, whichever write fails."""

import pymongo.collection
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, run_changes, run_recovery

WRITES = (
    *("insert_one", "insert_many", "update_one", "update_many", "replace_one", "bulk_write"),
    *("delete_one", "delete_many"),
    *("find_one_and_update", "find_one_and_replace", "find_one_and_delete"),
)


class InjectedError(RuntimeError):
    """What the injected failure raises."""


class FailingWrites:
    """Makes the n-th write to MongoDB fail, and no other."""

    def __init__(self, monkeypatch):
        self.fail_at = None
        self.count = 0
        for name in WRITES:
            original = getattr(pymongo.collection.Collection, name)
            monkeypatch.setattr(pymongo.collection.Collection, name, self._wrap(original))

    def _wrap(self, original):
        def write(collection, *args, **kwargs):
            self.count += 1
            if self.count == self.fail_at:
                raise InjectedError(f"write {self.count}: {original.__name__} {collection.name}")
            return original(collection, *args, **kwargs)

        return write


@pytest.fixture
def writes(monkeypatch):
    return FailingWrites(monkeypatch)


def contents(dataset):
    """What a drop run could leave behind, freshly read."""
    dataset.reload()
    fields = {name for document in dataset._sample_collection.find() for name in document}
    return (
        fields,
        set(dataset.get_field_schema()),
        dataset.list_saved_views(),
        dataset.list_runs(),
        dataset.list_evaluations(),
    )


@pytest.mark.parametrize("predicts", [False, True])
def test_a_failure_at_any_write_leaves_nothing_and_the_next_call_works(
    dataset, recalls, writes, predicts
):
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls)
    if predicts:
        plan = with_predictions(plan)
    before = contents(dataset)
    writes.count = 0
    failed = 0
    while True:
        failed += 1
        writes.count, writes.fail_at = 0, failed
        try:
            plan.apply()
        except InjectedError:
            writes.fail_at = None
            if fod.list_drops(dataset):
                break  # only to hear that all of it is on disk has failed
            assert contents(dataset) == before, f"after the failure of write {failed}"
        else:
            writes.fail_at = None
            break
    assert failed > 10
    assert fod.verify_drop(dataset, "drop").unchanged
    assert len(dataset.load_saved_view("drop-kept")) == 150
    fod.delete_drop(dataset, "drop")
    assert contents(dataset) == before


def with_predictions(plan):
    """The plan as if query models had predicted every sample right."""
    import dataclasses

    import numpy as np

    from fiftyone_drop.predictions import Predictions

    population = plan.population
    n = len(population)
    predictions = Predictions(
        population.ids,
        np.arange(n),
        [population.label_names[code] for code in population.labels],
        np.full(n, 0.5, np.float32),
        np.ones(n, bool),
        "a test",
    )
    return dataclasses.replace(plan, predictions=predictions)


def test_bad_input_to_overwriting_leaves_the_old_run(dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls)
    with pytest.raises(DropError):
        dataset.apply_drop(density=2, recalls=recalls, overwrite=True)
    assert fod.load_drop(dataset, "drop").density == 0.5


@pytest.fixture
def killed(dataset, recalls):
    """A dataset on which the client was killed before it could finish or clean up."""
    with pytest.MonkeyPatch.context() as patch:

        def kill(*args):
            raise KeyboardInterrupt

        patch.setattr(run_recovery, "save_views", kill)
        patch.setattr(run_changes, "undo", kill)
        with pytest.raises(KeyboardInterrupt):
            dataset.apply_drop(density=0.5, recalls=recalls)
    assert "drop_kept" in dataset.get_field_schema()
    return dataset


def test_an_incomplete_run_is_invisible(killed):
    assert fod.list_drops(killed) == []
    with pytest.raises(DropError, match="not written to its end"):
        fod.load_drop(killed, "drop")


def test_an_incomplete_run_is_replaced_by_the_next_call(killed, recalls):
    assert len(killed.apply_drop(density=0.3, recalls=recalls)) == 90
    assert fod.list_drops(killed) == ["drop"]


def test_an_incomplete_run_can_be_deleted(killed):
    fod.delete_drop(killed, "drop")
    assert "drop_kept" not in killed.get_field_schema()
    assert killed.list_runs() == []
