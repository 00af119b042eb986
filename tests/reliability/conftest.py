"""One dataset for all fault and session tests of a process, brought back for each case."""

import os

import pytest
from temporary import deleting_datasets


@pytest.fixture(scope="module")
def in_a_small_world():
    """Few steps of training, and small batches of writes."""
    import small_world

    with pytest.MonkeyPatch.context() as patch:
        small_world.enter(patch.setattr)
        yield


@pytest.fixture(scope="session")
def stored(all_digits):
    """What MongoDB stores of the dataset of all calls."""
    import fiftyone as fo
    import shared_dataset
    import small_world

    with deleting_datasets() as made, pytest.MonkeyPatch.context() as patch:
        small_world.enter(patch.setattr)
        dataset = fo.Dataset("shared-by-many")
        made.append(dataset)
        dataset.add_collection(all_digits.limit(shared_dataset.SIZE), new_ids=True)
        shared_dataset.fill(dataset)
        patch.undo()
        dataset.reload()
        snapshot = shared_dataset.take_snapshot(dataset)
        yield snapshot
        shared_dataset.restore(snapshot)


@pytest.fixture
def snapshot(stored, in_a_small_world):
    """The same, for tests that take few steps and write small batches."""
    return stored


@pytest.fixture
def writes(monkeypatch):
    """The writes of this process."""
    from writes import Writes

    return Writes(monkeypatch.setattr)


@pytest.fixture(scope="session")
def ends(stored):
    """A function that tells the states before and after a call that meets no fault.

    Its attribute ``writes`` knows how many writes the call made.
    """
    from shared_dataset import restore, state_of
    from writes import Writes

    known = {}

    def find(name, call):
        if name not in known:
            dataset = restore(stored)
            before = state_of(stored)
            with pytest.MonkeyPatch.context() as patch:
                counting = Writes(patch.setattr)
                call(dataset)
                find.writes[name] = counting.count
            known[name] = before, state_of(stored)
        return known[name]

    find.writes = {}
    return find


@pytest.fixture(scope="session")
def clients(tmp_path_factory):
    """Sessions in processes of their own."""
    from clients import Clients

    started = Clients(tmp_path_factory.mktemp("clients"), dict(os.environ))
    yield started
    started.close()


@pytest.fixture(scope="session")
def uri():
    """Where the server of these tests is."""
    return os.environ["FIFTYONE_DATABASE_URI"]
