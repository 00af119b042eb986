"""The same call on a Ray cluster of two nodes: the same values, bit for bit."""

import _thread
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import tracemalloc
import warnings
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pages
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from cluster_tasks import LoadedOnce, facts, half_a_megabyte, killing
from digit_models import CLASSES, FROM_IMAGES, TRANSFORM, network, own
from fresh import run
from hosts import ADDRESSES, LINE, two_hosts
from killed import leave_checkpoint
from outages import come_back_from
from ray_cluster import add_node, alone, start
from web_server import serving

import fiftyone_drop as fod
from fiftyone_drop import DropError, DropWarning, training
from fiftyone_drop import cluster as cluster_module
from fiftyone_drop.cluster import Cluster, OnCluster, opened
from fiftyone_drop.engine.objects import SCHEMES
from fiftyone_drop.engine.runner import Here

SMALL = functools.partial(fod.Cluster, chunk=64)  # of 300 digits five chunks, the last one short


def score(samples, scores, prefix="", model=None, **arguments):
    extras = {"transform": TRANSFORM, "classes": CLASSES, "batch_size": 16, **arguments}
    names = fod.compute_scores(
        samples, "ground_truth", scores, model=model or network(), prefix=prefix, **extras
    )
    return {name.removeprefix(prefix): np.array(samples.values(name), float) for name in names}


def assert_equal(found, expected):
    assert found.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


@pytest.fixture(autouse=True)
def impatient_with_tasks(monkeypatch):
    """Tasks that Ray holds back are sent again soon: those of the tests take a second."""
    monkeypatch.setattr(cluster_module, "STALL", 10)


# First, since they end the connection that the other tests of a process share


@pytest.fixture(scope="module")
def another_cluster():
    """The address of a cluster of one node, which claims to have a GPU."""
    with alone(gpus=1) as there:
        yield there


@pytest.fixture
def apart(another_cluster):
    """That address, and no connection to any cluster."""
    import ray

    ray.shutdown()
    yield another_cluster
    ray.shutdown()


def test_four_parts_run_in_one_process_on_half_a_gpu(apart):
    with opened(fod.Cluster(apart, cpus=0.5, gpus=0.5)) as runner:
        found = [piece for _, piece in runner.run(facts, range(8))]
        assert {piece["devices"] for piece in found} == {"0"}
        assert len({piece["pid"] for piece in found}) <= 2
    with opened(fod.Cluster(apart, gpus=1)) as runner:
        assert runner.device == torch.device("cuda")
        assert runner.workers == 1  # as many cores as there are for a GPU
        assert runner.chunk == 16_384
        found = [piece for _, piece in runner.run(facts, range(4))]
        assert len({piece["pid"] for piece in found}) == 1


def test_a_machine_that_is_lost_costs_the_parts_that_it_was_at(apart, monkeypatch):
    monkeypatch.setattr(cluster_module, "STALL", 5)
    node, found = add_node(apart), []
    with opened(SMALL(apart, gpus=0)) as runner:
        for _, piece in runner.run(facts, range(12)):
            if len(found) == 2:
                node.kill()
            found.append(piece["part"])
    assert sorted(found) == list(range(12))


def test_a_connection_of_our_own_ends_with_the_call(apart):
    import ray

    with opened(Cluster.of(apart)) as runner:
        assert ray.get_runtime_context().gcs_address == apart
        assert len(list(runner.run(facts, [0]))) == 1
    assert not ray.is_initialized()


def test_without_a_cluster_at_the_address_nothing_is_computed(apart):
    with pytest.raises(DropError, match=r"^cluster: no Ray .* at '127\.0\.0\.1:9'"):
        opened(Cluster("127.0.0.1:9")).__enter__()


@pytest.fixture
def broken(make_dataset, tmp_path):
    """300 digits, one of which in the middle cannot be read."""
    dataset = make_dataset()
    garbage = tmp_path / "garbage.png"
    garbage.write_bytes(b"no image")
    paths = dataset.values("filepath")
    paths[150] = str(garbage)
    dataset.set_values("filepath", paths)
    return dataset


def test_every_score_is_the_same_bit_for_bit(broken, connected):
    with pytest.warns(DropWarning, match="1 of 300 images cannot be read"):
        expected = score(broken, FROM_IMAGES, "here_")
    with pytest.warns(DropWarning, match=rf"1 of 300 .* on {os.uname().nodename}"):
        found = score(broken, FROM_IMAGES, "there_", cluster=SMALL())
    assert_equal(found, expected)
    assert np.isnan(found["el2n"]).sum() == 1


def test_scores_of_two_models_are_the_same_bit_for_bit(small_dataset, connected):
    models = [own(network(0)), own(network(1))]
    arguments = {"model": models, "spread": True, "transform": None, "classes": None}
    expected = score(small_dataset, ["el2n", "k_center"], "here_", **arguments)
    found = score(small_dataset, ["el2n", "k_center"], "there_", cluster=SMALL(), **arguments)
    assert_equal(found, expected)


@pytest.fixture
def small_dataset(make_dataset):
    return make_dataset(100)


@pytest.mark.parametrize("first", ["here", "there"])
def test_a_call_that_was_interrupted_goes_on_with_or_without_the_cluster(
    small_dataset, connected, first
):
    clusters = {"here": None, "there": SMALL(chunk=16)}
    expected = score(small_dataset, ["el2n", "k_center"], "whole_")
    done = []

    def interrupt(bar):
        done.append(bar.iteration)
        if bar.iteration >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(small_dataset, ["el2n", "k_center"], cluster=clusters.pop(first), progress=interrupt)
    (second,) = clusters.values()
    begun = []
    found = score(
        small_dataset,
        ["el2n", "k_center"],
        cluster=second,
        progress=lambda bar: begun.append(bar.iteration),
    )
    assert begun[0] >= 32
    assert_equal(found, expected)


def test_the_cluster_reads_images_that_were_repaired_meanwhile(small_dataset, connected, tmp_path):
    expected = score(small_dataset, ["el2n"], "whole_")["el2n"]
    paths = small_dataset.values("filepath")
    good = {row: Path(paths[row]).read_bytes() for row in (9, 20, 21)}

    def write(row, content):
        path = tmp_path / f"{row}.png"
        path.write_bytes(content)
        os.utime(path, (0, 0))
        paths[row] = str(path)

    for row, content in good.items():
        write(row, bytes(len(content)))
    small_dataset.set_values("filepath", paths)

    def interrupt(bar):
        if bar.iteration >= 32:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        score(small_dataset, ["el2n"], progress=interrupt)
    write(20, good[20])
    write(21, good[21])
    begun = []
    with pytest.warns(DropWarning, match="1 of 100 images cannot be read"):
        found = score(
            small_dataset,
            ["el2n"],
            cluster=SMALL(chunk=16),
            progress=lambda bar: begun.append(bar.iteration),
        )["el2n"]
    assert begun[0] >= 16  # the first batch, of whose image nothing is new
    assert np.flatnonzero(np.isnan(found)).tolist() == [9]
    np.testing.assert_array_equal(np.delete(found, 9), np.delete(expected, 9))


def test_processes_of_the_cluster_load_no_fiftyone_and_start_no_server(small_dataset, connected):
    score(small_dataset, ["el2n"], cluster=SMALL())
    with opened(SMALL()) as runner:
        found = [piece for _, piece in runner.run(facts, range(8))]
    assert sorted(piece["part"] for piece in found) == list(range(8))
    for piece in found:
        assert piece["pid"] != os.getpid()
        assert not {"fiftyone", "pymongo", "mongoengine"} & set(piece["modules"])
    scored = [piece for piece in found if "fiftyone_drop.inference.chunks" in piece["modules"]]
    assert scored  # some of these processes have scored


def test_a_score_of_the_users_own_is_known_on_the_cluster(small_dataset, connected):
    from fiftyone_drop.scoring import SCORES

    try:
        for part in (2, 3):  # its cell runs again, corrected

            @fod.register_score(
                "parts", hard="low", needs="logits", description="A part.", source="here"
            )
            def confidence(logits, labels, part=part):
                return torch.softmax(logits, 1).max(1).values / part

            expected = score(small_dataset, ["parts"], "here_")
            assert_equal(score(small_dataset, ["parts"], "there_", cluster=SMALL()), expected)
    finally:
        del SCORES["parts"]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_recalls_and_predictions_of_folds_are_the_same_bit_for_bit(
    make_dataset, connected, monkeypatch
):
    short = functools.partial(training.TrainingOptions, epochs=4)
    monkeypatch.setattr(training, "TrainingOptions", short)
    dataset = make_dataset(60)
    plans = [
        fod.plan_drop(dataset, 0.5, label_field="ground_truth", folds=2, cluster=cluster)
        for cluster in (None, SMALL())
    ]
    here, there = plans
    assert there.recalls == here.recalls
    np.testing.assert_array_equal(there.keep_at, here.keep_at)
    np.testing.assert_array_equal(there.predictions.confidences, here.predictions.confidences)
    for name, values in here.predictions.scores.items():
        np.testing.assert_array_equal(there.predictions.scores[name], values)


def test_a_query_model_and_its_dynamics_are_the_same_bit_for_bit(small_dataset, connected):
    made = [
        fod.train_query_model(small_dataset, "ground_truth", epochs=2, key=key, cluster=cluster)
        for key, cluster in (("here", None), ("there", SMALL()))
    ]
    here, there = made
    assert there.recalls == here.recalls
    assert there.sample_ids == here.sample_ids
    assert_equal(there.scores, here.scores)
    for name, weights in here.module.state_dict().items():
        assert torch.equal(there.module.state_dict()[name], weights), name
    labels = [small_dataset.values(f"{key}_pred.confidence") for key in ("here", "there")]
    assert labels[0] == labels[1]


def test_folds_that_were_trained_elsewhere_are_not_trained_again(
    digits, connected, tmp_path, monkeypatch
):
    from fiftyone_drop.training import TrainingOptions, cross_validate, fitting

    paths = [str(path) for path in digits[0][:60]]
    names = sorted(set(digits[1]))
    labels = [names.index(label) for label in digits[1][:60]]
    arguments = (paths, labels, names, np.arange(60) % 3, TrainingOptions(epochs=1))
    whole, found = {}, {}
    cross_validate(
        *arguments, on_logits=lambda rows, logits: whole.update(zip(rows, logits, strict=True))
    )

    def interrupt(rows, logits):
        if 0 in rows:
            raise KeyboardInterrupt  # when the second of three folds has come, at the latest

    monkeypatch.setattr("fiftyone_drop.engine.checkpoint.SHARE", np.inf)
    with opened(SMALL()) as runner, pytest.raises(KeyboardInterrupt):
        cross_validate(*arguments, on_logits=interrupt, runner=runner, checkpoint_dir=tmp_path)
    kept = len(list(tmp_path.glob("*/fold-*.pt")))
    steps = []
    original = fitting.Optimiser.step
    monkeypatch.setattr(
        fitting.Optimiser, "step", lambda *a, **k: steps.append(1) or original(*a, **k)
    )
    cross_validate(
        *arguments,
        on_logits=lambda rows, logits: found.update(zip(rows, logits, strict=True)),
        checkpoint_dir=tmp_path,
    )
    assert len(steps) == 3 - kept
    assert sorted(found) == list(range(60))
    for row, logits in whole.items():
        np.testing.assert_array_equal(found[row], logits)


def test_a_warning_of_many_processes_is_heard_once(small_dataset, connected):
    torch.manual_seed(0)
    untrained = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(192, 10))
    with torch.no_grad():
        untrained[1].weight *= 1e-3
        untrained[1].bias *= 0
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        score(small_dataset, ["grand"], model=untrained, cluster=SMALL(chunk=16))
    assert len([w for w in caught if "untrained" in str(w.message)]) == 1


def test_errors_of_the_model_are_the_same(small_dataset, connected):
    with pytest.raises(DropError, match="classes: must name every output of the model"):
        score(small_dataset, ["el2n"], classes=CLASSES + ("ten",), cluster=SMALL())
    with pytest.raises(DropError, match=r"transform: fails for the image .*ZeroDivisionError"):
        score(small_dataset, ["el2n"], transform=lambda image: 1 / 0, cluster=SMALL())


def test_what_cannot_travel_is_refused(small_dataset, connected, tmp_path):
    import fiftyone.utils.torch as fout

    resize = fout.MinResize(8)
    with pytest.raises(DropError, match=r"model: .*FiftyOne, which would start a database"):
        score(
            small_dataset,
            ["el2n"],
            transform=lambda image: TRANSFORM(resize(image)),
            cluster=SMALL(),
        )
    with (tmp_path / "file").open("w") as file:
        transform = functools.partial(lambda image, file: TRANSFORM(image), file=file)
        with pytest.raises(DropError, match="model: with cluster= models and transforms are"):
            score(small_dataset, ["el2n"], transform=transform, cluster=SMALL())


def test_what_imports_fiftyone_is_told_from_what_is_only_called_so():
    import fiftyone.utils.torch as fout

    class Named:
        """As good a name as any."""

    Named.__name__ = Named.__qualname__ = "fiftyone"

    def imports(image):
        import fiftyone.core.labels

        return fiftyone.core.labels

    for part in (Named, Named(), {"fiftyone": "fiftyone"}, lambda: Named):
        cluster_module._pickled(part)
    for part in (fout.MinResize(8), fout, fout.MinResize, imports, lambda: imports):
        with pytest.raises(DropError, match=r"model: .* FiftyOne, which would start a database"):
            cluster_module._pickled(part)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.3, 0.7, 1 / 3, 0.05, 1, 2])
def test_as_many_tasks_are_counted_as_fit(share):
    runner = object.__new__(cluster_module.OnCluster)
    runner._needs = {"CPU": 1.0, "GPU": share}
    for gpus in (1, 2, 3, 8):
        fit = int(Fraction(gpus) / Fraction(share).limit_denominator(100))
        assert runner._slots({"CPU": 1000, "GPU": gpus}) == fit
        assert runner._slots({"CPU": 3.0, "GPU": gpus}) == min(3, fit)


def test_a_task_that_no_machine_takes_is_refused(connected):
    with pytest.raises(DropError, match="cluster: a task takes 64 CPUs and 0 GPUs, which none"):
        opened(fod.Cluster(cpus=64)).__enter__()


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"address": 7}, "address"),
        ({"cpus": 0}, "cpus"),
        ({"cpus": 1.5}, "cpus"),
        ({"gpus": -1}, "gpus"),
        ({"gpus": "one"}, "gpus"),
        ({"chunk": 0}, "chunk"),
    ],
)
def test_values_out_of_range_are_refused(arguments, argument):
    with pytest.raises(DropError, match=f"^{argument}: must be"):
        fod.Cluster(**arguments)


def test_cluster_is_none_an_address_or_a_cluster():
    assert Cluster.of(None) is None
    assert Cluster.of("auto") == fod.Cluster()
    assert Cluster.of("10.0.0.1:6379").address == "10.0.0.1:6379"
    with pytest.raises(DropError, match="cluster: must be None, 'auto', the address"):
        Cluster.of(3)
    with opened(None) as runner:
        assert isinstance(runner, Here)


@pytest.mark.parametrize("address", ["local", "auto"])
def test_no_cluster_is_started(address, monkeypatch):
    monkeypatch.setenv("RAY_ADDRESS", "local")
    with pytest.raises(DropError, match="cluster: must be the address of a cluster that runs"):
        cluster_module._connect(None, address)


def test_schemes_are_opened_where_images_are_read(make_dataset, connected, monkeypatch):
    monkeypatch.setenv(SCHEMES, "http")  # here, and not on the machines of the cluster
    dataset = make_dataset(8)
    content = Path(dataset.first().filepath).read_bytes()
    with serving(content) as (address, requests):
        dataset.set_values("filepath", [address] * 8)
        assert np.isfinite(score(dataset, ["el2n"])["el2n"]).all()
        n = len(requests)
        with pytest.raises(DropError, match=rf"none of the 8 .*{SCHEMES}=http, on "):
            score(dataset, ["el2n"], "there_", cluster=SMALL())
        assert len(requests) <= n + 8  # this process reads some, to know the call again


def test_the_device_is_the_clusters(small_dataset):
    with pytest.raises(DropError, match="device: must be left out with cluster="):
        score(small_dataset, ["el2n"], device="cpu", cluster="auto")


def test_without_ray_everything_but_cluster_works():
    run("""
        import sys
        sys.modules["ray"] = None
        import fiftyone_drop as fod
        from fiftyone_drop.cluster import Cluster, OnCluster, opened
        with opened(Cluster.of(None)):
            pass
        for cluster in ("auto", fod.Cluster()):
            try:
                Cluster.of(cluster)
            except fod.DropError as error:
                assert error.argument == "cluster"
                assert "pip install 'fiftyone-drop[cluster]'" in error.message
            else:
                raise AssertionError
    """)


KILLED = """
import sys
import fiftyone as fo
import fiftyone_drop as fod
from digit_models import CLASSES, TRANSFORM, network
from fiftyone_drop.engine import checkpoint

checkpoint.SHARE = float("inf")
folder, name, address = sys.argv[1:]

def die(bar):
    if bar.iteration >= 32:
        end()

fod.compute_scores(
    fo.load_dataset(name), "ground_truth", ["el2n"], model=network(), transform=TRANSFORM,
    classes=CLASSES, batch_size=16, cluster=fod.Cluster(address, chunk=16), progress=die,
    checkpoint_dir=folder,
)
"""


@pytest.mark.slow
def test_a_driver_that_was_killed_is_started_again_with_and_without_the_cluster(
    small_dataset, connected, cluster_address, tmp_path
):
    expected = score(small_dataset, ["el2n"], "whole_")
    paths = {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    leave_checkpoint(KILLED, tmp_path, small_dataset.name, cluster_address, environment=paths)
    shutil.copytree(tmp_path, tmp_path.with_name("copy"))
    for folder, cluster in ((tmp_path, None), (tmp_path.with_name("copy"), SMALL(chunk=16))):
        begun = []
        found = score(
            small_dataset,
            ["el2n"],
            cluster=cluster,
            checkpoint_dir=folder,
            progress=lambda bar, begun=begun: begun.append(bar.iteration),
        )
        assert begun[0] >= 32  # at most the chunks in flight are done again
        assert_equal(found, expected)


def test_a_process_that_is_killed_costs_the_part_that_it_was_at(connected, tmp_path):
    with opened(SMALL()) as runner:
        work = functools.partial(killing, folder=str(tmp_path))
        found = [piece for _, piece in runner.run(work, range(6))]
    assert sorted(part for part, _ in found) == list(range(6))
    assert (tmp_path / "2").exists()


class Busy:
    """What a runner asks of Ray, where two of eight GPUs compute and nothing ends in time."""

    def __init__(self):
        self.sent, self.waited = [], []

    def nodes(self):
        return [{"Alive": True, "Resources": self.cluster_resources()}]

    def cluster_resources(self):
        return {"CPU": 8.0, "GPU": 8.0}

    def available_resources(self):
        return {"CPU": 6.0, "GPU": 6.0}

    def remote(self, **_):
        def send(shared, part):
            self.sent.append(part)
            return object()

        return lambda compute: SimpleNamespace(remote=send)

    def wait(self, sent, timeout):
        self.waited.append(timeout)
        if len(self.waited) == 6:
            raise KeyboardInterrupt
        return [], sent

    def put(self, data):
        return object()

    def is_initialized(self):
        return False


def test_long_tasks_are_seldom_sent_again_while_there_is_room_for_more(monkeypatch):
    monkeypatch.setattr(cluster_module, "STALL", 30)
    ray = Busy()
    runner = OnCluster(ray, fod.Cluster(cpus=1, gpus=1), None)
    with pytest.raises(KeyboardInterrupt):
        list(runner.run(facts, ["fold 0", "fold 1"]))
    assert ray.sent == ["fold 0", "fold 1"] * 2  # lost ones are sent again in the end
    assert ray.waited == [30, 60, 120, 240, 480, 960]


def test_a_call_that_is_stopped_while_processes_load_leaves_them_whole(
    connected, tmp_path, request
):
    def stop():
        while not any(tmp_path.iterdir()):
            time.sleep(0.05)
        _thread.interrupt_main()

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    with opened(SMALL()) as runner:
        stopping = threading.Thread(target=stop)
        stopping.start()
        with pytest.raises(KeyboardInterrupt):
            list(runner.run(LoadedOnce(tmp_path), range(4)))
        stopping.join()
        found = [piece for _, piece in runner.run(LoadedOnce(tmp_path), range(4))]
    assert sorted(found) == list(range(4))


@pytest.fixture
def hosts():
    with contextlib.ExitStack() as stack:
        try:
            made = stack.enter_context(two_hosts())
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"network namespaces cannot be had here, which need root and ip: {error}")
        yield made


SEEN_SOON = {  # by the others that a host has gone: seconds where Ray takes half a minute
    "RAY_health_check_period_ms": "1000",
    "RAY_health_check_timeout_ms": "2000",  # a busy machine may not answer for a second
    "RAY_health_check_failure_threshold": "4",
}

CUT_OFF = """
import subprocess, sys, threading, time
from fiftyone_drop import cluster

cluster.STALL = 5
address, other, line = sys.argv[1:]

def where(part):
    import ray
    time.sleep(0.3)
    yield part, ray.util.get_node_ip_address()

def set_line(state):
    subprocess.run(["ip", "link", "set", line, state], check=True)

with cluster.opened(cluster.Cluster(address)) as runner:
    found, mending = [], None
    for _, piece in runner.run(where, range(16)):
        found.append(piece)
        if mending is None and piece[1] == other:
            set_line("down")
            mending = threading.Timer(10, set_line, ["up"])
            mending.start()
    assert mending is not None, found  # the other host computed
    assert sorted(part for part, _ in found) == list(range(16)), found
    mending.join()
    again = sorted(part for part, _ in runner.run(where, range(4)))
    assert again == list(range(4))
"""


@pytest.mark.slow
def test_a_job_ends_while_one_of_two_hosts_is_cut_off(hosts):
    here, there = ADDRESSES
    with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
        head, address = start(folder, ip=here, inside=hosts.inside(0), faults=SEEN_SOON)
        nodes = [head]
        try:
            about = {"ip": there, "inside": hosts.inside(1), "faults": SEEN_SOON}
            nodes.append(add_node(address, folder, **about))
            done = subprocess.run(
                [*hosts.inside(0), sys.executable, "-c", CUT_OFF, address, there, LINE],
                capture_output=True,
                text=True,
                check=False,
                timeout=120,
            )
        finally:
            for node in nodes:
                node.kill()
    assert done.returncode == 0, done.stderr


def test_the_memory_of_the_caller_is_the_same_for_ten_times_as_many_chunks(connected):
    peaks = {}
    with opened(SMALL()) as runner:
        list(runner.run(half_a_megabyte, range(4)))  # imports, on both sides
        for n in (20, 200):
            tracemalloc.start()
            resident = 0
            for part, piece in runner.run(half_a_megabyte, range(n)):
                assert piece[0] == part
                resident = max(resident, resident_bytes())
            peaks[n] = tracemalloc.get_traced_memory()[1], resident
            tracemalloc.stop()
    traced, resident = np.subtract(peaks[200], peaks[20])
    print(peaks)
    assert traced < 2**20  # of 90 megabytes more
    assert resident < 16 * 2**20


def resident_bytes():
    facts = Path("/proc/self/statm").read_text().split()
    return int(facts[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.slow
def test_a_database_that_is_away_during_scoring_and_writing_costs_no_score(
    digits, cluster_address, tmp_path
):
    come_back_from(digits, tmp_path, cluster_address)


def test_a_machine_that_cannot_see_an_image_is_named(small_dataset, connected, monkeypatch):
    from fiftyone_drop.inference import image_pass

    missing = small_dataset.first().filepath + ".png"
    paths = small_dataset.values("filepath")
    paths[20] = missing
    small_dataset.set_values("filepath", paths)
    # The tests have one machine: as if this process saw the file, and the cluster did not
    monkeypatch.setattr(image_pass.os.path, "exists", lambda path: True)
    with pytest.raises(DropError, match=f"samples: {os.uname().nodename} cannot read the image"):
        score(small_dataset, ["el2n"], cluster=SMALL())


def test_the_page_runs(small_dataset, cluster_address, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RAY_ADDRESS", cluster_address)
    model = network()
    model.transform, model.classes = lambda image: TRANSFORM(image), CLASSES
    names = {"dataset": small_dataset, "model": model}
    labels = small_dataset.values("ground_truth.label")
    columns = {"id": small_dataset.values("id"), "label": labels, "el2n": np.arange(len(labels))}
    pq.write_table(pa.table(columns), "all.parquet")
    names["recalls"] = dict.fromkeys(sorted(set(labels)), 0.5)
    pages.run("cluster.md", names)
    assert names["stored"].values("filepath") == names["addresses"]
    names["stored"].delete()
    assert len(small_dataset.exists("el2n")) == len(small_dataset)
    assert pq.read_table("kept.parquet").num_rows == names["plan"].table.quotas.sum()
