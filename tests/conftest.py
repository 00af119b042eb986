"""A MongoDB server for each process of tests; real digits as images; a fresh dataset per test."""

import contextlib
import os
import sys
import tempfile
import uuid
from pathlib import Path
from shutil import disk_usage

import numpy as np
import pytest
from digits import write_digits
from hypothesis import HealthCheck, settings
from ray_cluster import LOCAL, OPEN, OWNER, PLACE, address, place
from temporary import deleting_datasets
from with_mongod import own_mongod

# Small models on cores that others use: a second thread waits for the first one more than it helps,
# and results are the same bit for bit with one. PyTorch reads it when it is first imported
os.environ["OMP_NUM_THREADS"] = "1"

_session = contextlib.ExitStack()
_folders = []  # of the Ray cluster of all tests: one or none

# Cores are shared: an example that takes long says nothing about the code
settings.register_profile("shared", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("shared")


# Its journal takes 300 MB otherwise
SMALL_JOURNAL = ("--wiredTigerEngineConfigString", "log=(prealloc=false,file_max=8MB)")


def _folder_in_memory():
    """A folder in memory that has room, or None: each dataset is 17 waits for a disk."""
    folder = Path("/dev/shm")
    if folder.is_dir() and os.access(folder, os.W_OK) and disk_usage(folder).free > 2 << 30:
        return folder
    return None


def _server():
    """Start a server until the session ends; the environment of FiftyOne for it."""
    folder = tempfile.TemporaryDirectory(prefix="fiftyone-drop-", dir=_folder_in_memory())
    home = Path(_session.enter_context(folder))
    environment = _session.enter_context(own_mongod(home, *SMALL_JOURNAL))
    _folders[:] = _folders or [_session.enter_context(place())]
    changes = dict(environment.items() - os.environ.items())
    return changes | {
        "FIFTYONE_SHOW_PROGRESS_BARS": "false",
        "XDG_CACHE_HOME": str(home / "cache"),  # checkpoints: never in the user's cache
        PLACE: _folders[0],
        OWNER: str(os.getpid()),  # a worker may be older than what this process sets in its own
        LOCAL: "0",
        **OPEN,
    }


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node):
    """Give a worker of ``make test`` a server, which this process ends even if it is killed."""
    node.workerinput["environment"] = _server()


def pytest_configure(config):
    """Set up the environment before anything imports FiftyOne, which reads its settings then."""
    if config.getoption("dist", "no") != "no" and not hasattr(config, "workerinput"):
        return  # tests run in workers
    if "fiftyone" in sys.modules:
        raise pytest.UsageError(
            "a conftest.py imports FiftyOne, which then knows no server of ours"
        )
    environment = config.workerinput["environment"] if hasattr(config, "workerinput") else _server()
    for name in [name for name in os.environ if name.startswith("FIFTYONE_")]:
        del os.environ[name]
    os.environ.update(environment)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The App's tests first, which share a browser, then the long ones: short ones fill the end."""
    items.sort(
        key=lambda item: (item.path.parent.name != "app", item.get_closest_marker("slow") is None)
    )


def pytest_unconfigure(config):
    """End the servers; the last line of all says what a machine without Chromium left out."""
    _session.close()
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    skipped = reporter.stats.get("skipped", []) if reporter else []
    if number := sum(NO_CHROMIUM in str(report.longrepr) for report in skipped):
        reporter.write_line(
            f"{number} tests of the App and its panel were skipped: {NO_CHROMIUM}. "
            "This adds them: make chromium test"
        )


NO_CHROMIUM = "there is no Chromium here"


@pytest.fixture(scope="session")
def needs_chromium():
    """Skip where there is no Chromium; fail where it must be there, as in CI."""
    from app_browser import find_chromium

    if find_chromium() is None:
        if os.environ.get("DROP_REQUIRE_CHROMIUM"):
            pytest.fail(NO_CHROMIUM)
        pytest.skip(NO_CHROMIUM)


@pytest.fixture(scope="session")
def cluster_address():
    """The address of a Ray cluster of two nodes on this machine, each with one core."""
    return address()


@pytest.fixture
def connected(cluster_address):
    """The module ray, connected to that cluster; connecting takes seconds, so it stays so."""
    import ray

    if not ray.is_initialized():
        ray.init(address=cluster_address, configure_logging=False, log_to_driver=False)
    return ray


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """A database that is away in a test does not come back by itself."""
    from fiftyone_drop import waiting

    monkeypatch.setattr(waiting, "PATIENCE", 0.0)


@pytest.fixture(scope="session")
def digits(tmp_path_factory):
    """The paths and class names of 300 real digits."""
    return write_digits(tmp_path_factory.mktemp("digits"), limit=300)


@pytest.fixture
def made_datasets():
    """The datasets of a test, deleted after it."""
    with deleting_datasets() as made:
        yield made


@pytest.fixture(scope="session")
def new_samples(digits):
    """A function that makes samples of the digits in some rows."""
    import fiftyone as fo

    def make(rows):
        paths, labels = digits
        return [
            fo.Sample(
                filepath=str(paths[i]),
                ground_truth=fo.Classification(label=labels[i]),
                name=labels[i],
                parity="even" if i % 2 == 0 else "odd",
                tags=["train"],
            )
            for i in rows
        ]

    return make


@pytest.fixture(scope="session")
def all_digits(new_samples):
    """The dataset that those of the tests are copied from: three times as fast as making them."""
    import fiftyone as fo

    with deleting_datasets() as made:
        made.append(fo.Dataset(f"digits-{uuid.uuid4().hex}", persistent=True))
        made[0].add_samples(new_samples(range(300)), progress=False)
        yield made[0]


@pytest.fixture
def new_name():
    """A function that gives a name that no dataset has."""
    return lambda: f"test-{uuid.uuid4().hex}"


@pytest.fixture
def make_dataset(all_digits, new_samples, made_datasets, new_name):
    """A function that makes a dataset of digits."""
    import fiftyone as fo

    def make(limit=300, rows=None):
        # A process that ends deletes what is not persistent if it sees no other for a moment
        dataset = fo.Dataset(new_name(), persistent=True)
        made_datasets.append(dataset)
        if rows is None:
            dataset.add_collection(all_digits.limit(limit), new_ids=True)
        else:
            dataset.add_samples(new_samples(rows), progress=False)
        return dataset

    return make


@pytest.fixture
def small(make_dataset):
    """60 digits."""
    return make_dataset(60)


@pytest.fixture
def dataset(make_dataset):
    """300 real digits with labels."""
    return make_dataset()


@pytest.fixture
def recalls(digits):
    """A recall for each class of digit, all different."""
    names = sorted(set(digits[1]))
    return {name: float(r) for name, r in zip(names, np.linspace(0.5, 0.95, 10), strict=True)}


@pytest.fixture
def predict():
    """A function that writes predictions and evaluates them; every ``wrong``-th one is wrong."""

    def write(samples, field="predictions", eval_key=None, wrong=4, missing=0):
        import fiftyone as fo

        labels = samples.values("ground_truth.label")
        shifted = labels[1:] + labels[:1]
        values = [
            None
            if missing and i % missing == 0
            else fo.Classification(label=other if i % wrong == 0 else label, confidence=0.9)
            for i, (label, other) in enumerate(zip(labels, shifted, strict=True))
        ]
        samples.set_values(field, values)
        if eval_key:
            samples.evaluate_classifications(field, "ground_truth", eval_key=eval_key)

    return write


@pytest.fixture
def two_classes(make_dataset):
    """A function that makes a dataset of two classes, half train, half test, and evaluates it.

    It takes how many of 50 test samples of each class are predicted right, by evaluation key.
    """

    import fiftyone as fo

    def make(**evaluations):
        dataset = make_dataset(200)
        labels = ["cat" if i % 2 == 0 else "dog" for i in range(200)]
        dataset.set_values("ground_truth", [fo.Classification(label=name) for name in labels])
        dataset.set_values("tags", [["train" if i < 100 else "test"] for i in range(200)])
        test = dataset.match_tags("test")
        for key, right in evaluations.items():
            left = dict(right)
            predictions = []
            for name in test.values("ground_truth.label"):
                left[name] -= 1
                predictions.append(fo.Classification(label=name if left[name] >= 0 else "other"))
            test.set_values(f"pred_{key}", predictions)
            test.evaluate_classifications(
                f"pred_{key}", "ground_truth", eval_key=key, progress=False
            )
        return dataset

    return make


@pytest.fixture
def few_steps(monkeypatch):
    """Query models train a sixth of what they do for few samples: where they need not be good."""
    monkeypatch.setattr("fiftyone_drop.training.options.MIN_STEPS", 1)


@pytest.fixture
def odd_dataset(make_dataset):
    """300 digits whose labels are hard to show and to match."""
    import fiftyone as fo

    names = ["a b", "c.d", "$ground_truth.label", "$$ROOT", "😀", "<b>x</b>", "$e", "x" * 300]
    dataset = make_dataset()
    rng = np.random.default_rng(0)
    labels = rng.choice(names, 300, p=np.arange(1, 9) / 36).tolist()
    dataset.set_values("ground_truth", [fo.Classification(label=label) for label in labels])
    return dataset


@pytest.fixture
def scans():
    """A function that counts how often the server has gone through a dataset's samples."""

    def count(dataset):
        stats = dataset._sample_collection.aggregate([{"$collStats": {"queryExecStats": {}}}])
        return next(stats)["queryExecStats"]["collectionScans"]["total"]

    return count
