"""Recording in several processes, which really run: two of them, over gloo on this machine."""

from itertools import chain

import numpy as np
import pytest
import torch
from ranks import EPOCHS, SCORES, in_one_process, in_processes, recorder, sampler
from torch.utils.data.distributed import DistributedSampler

from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.scoring import DynamicsRecorder, presentations
from fiftyone_drop.scoring.presentations import Presentations, in_order


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of what two processes recorded."""
    folder = tmp_path_factory.mktemp("processes")
    in_processes([64, 61], folder)
    return folder


@pytest.mark.parametrize("n", [64, 61], ids=["no remainder", "a remainder"])
def test_two_processes_have_the_scores_of_one(n, trained):
    both = [np.load(trained / f"{n}-{rank}.npz") for rank in range(2)]
    expected = in_one_process(n)
    for name in SCORES:
        np.testing.assert_array_equal(both[0][name], both[1][name])
        np.testing.assert_allclose(both[0][name], expected[name], rtol=1e-4, atol=1e-5)
    for rank in range(2):
        assert np.load(trained / f"{n}-{rank}.npy").tolist() == [EPOCHS] * n


def parts_of(*samples):
    """Presentations whose only column tells where they are from."""
    return [
        Presentations(np.array(own, np.int64), [np.arange(len(own)) + 100.0 * rank])
        for rank, own in enumerate(samples)
    ]


@pytest.mark.parametrize("n", [1, 2, 5, 16, 17, 19, 23])
@pytest.mark.parametrize("processes", [1, 2, 3, 4, 7])
def test_what_a_distributed_sampler_repeats_does_not_count(n, processes):
    own = [list(DistributedSampler(range(n), processes, rank)) for rank in range(processes)]
    kept = in_order(parts_of(*own))
    assert sorted(kept.samples.tolist()) == list(range(n))
    everything = DistributedSampler(range(n), 1, 0)
    assert kept.samples.tolist() == list(everything)


@pytest.mark.parametrize("n", [9, 13, 16, 61])
@pytest.mark.parametrize("processes", [2, 3])
def test_what_accelerate_repeats_does_not_count(n, processes):
    from accelerate.data_loader import BatchSamplerShard
    from torch.utils.data import BatchSampler

    order = np.random.default_rng(0).permutation(n).tolist()
    own = [
        [*chain(*BatchSamplerShard(BatchSampler(order, 4, False), processes, rank))]
        for rank in range(processes)
    ]
    kept = in_order(parts_of(*own))
    assert sorted(kept.samples.tolist()) == list(range(n))


def test_a_sampler_with_replacement_is_taken_as_it_is():
    rng = np.random.default_rng(0)
    own = [rng.integers(0, 20, 30).tolist() for _ in range(2)]
    kept = in_order(parts_of(*own))
    assert kept.samples.tolist() == [sample for pair in zip(*own, strict=True) for sample in pair]


def test_processes_that_record_the_same_samples_count_once():
    kept = in_order(parts_of([3, 1, 2], [3, 1, 2]))
    assert kept.samples.tolist() == [3, 1, 2]
    assert kept.columns[0].tolist() == [0, 1, 2]


def test_a_process_without_a_sample_is_no_trouble():
    assert in_order(parts_of([], [4, 2])).samples.tolist() == [4, 2]


def fake_processes(monkeypatch, answers):
    """Another process whose part is given: what all_gather_object would bring."""
    monkeypatch.setattr(presentations, "process", lambda: (0, 2))

    def gather(everywhere, own):
        everywhere[:] = [own, answers(own)]

    monkeypatch.setattr(torch.distributed, "all_gather_object", gather)
    monkeypatch.setattr("fiftyone_drop.scoring.dynamics.process", lambda: (0, 2))


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda own: ("other", *own[1:]), r"samples: .* process 1 has others .* gather=False"),
        (lambda own: (own[0], 7, own[2]), r"state: .* recorded 0 epochs and process 1 7; load it"),
    ],
)
def test_processes_that_record_different_things_are_told(monkeypatch, answer, words):
    fake_processes(monkeypatch, answer)
    one = DynamicsRecorder(4, [0, 1, 0, 1], scores=["aum"])
    one.update([0, 1], torch.eye(2))
    with pytest.raises(DropError, match=words):
        one.end_epoch()


def test_a_process_may_train_a_model_of_its_own(monkeypatch):
    fake_processes(monkeypatch, lambda own: pytest.fail("nothing may be gathered"))
    one = DynamicsRecorder(2, [0, 1], scores=["aum"], gather=False)
    one.update([0, 1], torch.eye(2))
    one.end_epoch()
    assert one.finish()["aum"].tolist() == [1, 1]
    assert one.writes


def test_the_open_epoch_of_another_process_is_left_out(monkeypatch):
    one = recorder(10)
    one.update(range(10), torch.randn(10, 3))
    state = one.state_dict()
    monkeypatch.setattr("fiftyone_drop.scoring.dynamics.process", lambda: (1, 2))
    other = recorder(10)
    with pytest.warns(DropWarning, match="saved by process 0 within an epoch"):
        other.load_state_dict(state)
    assert not len(other.state_dict()["open"][0])


def test_one_recorder_per_process_that_gathers_nothing_says_so():
    """What DistributedDataParallel leads to where torch.distributed is unknown to the recorder."""
    one = DynamicsRecorder(61, np.arange(61) % 3, scores=["aum"])
    own = sampler(61, 0)
    for epoch in range(3):
        own.set_epoch(epoch)
        rows = list(own)
        one.update(rows, torch.randn(len(rows), 3))
        one.end_epoch()
    with pytest.warns(DropWarning, match=r"unevenly: 1 to 3 times in 3 epochs, and \d+ of 61 nev"):
        one.finish()
