"""Inputs that differ have fingerprints that differ."""

import copy
import pickle

import numpy as np
import pytest
import torch
from torch import nn

from fiftyone_drop.engine.fingerprints import file_states, fingerprint


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, [2, 3]], [[1, 2], 3]),
        (["a", "b"], ["ab", ""]),
        ([np.zeros(2, np.int64)], [np.zeros(2, np.float64)]),
        ([np.zeros((2, 1))], [np.zeros((1, 2))]),
        ({"a": 1}, {"b": 1}),
        (1, "1"),
        (None, "None"),
        (b"1", "1"),
        (torch.zeros(2), torch.zeros(2, dtype=torch.bfloat16)),
        (torch.zeros(2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.bfloat16)),
        (nn.Linear(2, 2), nn.Linear(2, 3)),
    ],
)
def test_inputs_that_differ_have_fingerprints_that_differ(one, other):
    assert fingerprint(one) != fingerprint(other)
    assert fingerprint(one) == fingerprint(one)


def test_modules_have_the_fingerprint_of_their_structure_and_weights():
    torch.manual_seed(0)
    one, other = (
        nn.Sequential(nn.Linear(2, 2), nn.ReLU()),
        nn.Sequential(nn.Linear(2, 2), nn.GELU()),
    )
    other.load_state_dict(one.state_dict())
    assert fingerprint(one) != fingerprint(other)
    before = fingerprint(one)
    with torch.no_grad():
        one[0].bias[0] += 1
    assert fingerprint(one) != before


class Model(nn.Module):
    """One whose output follows from more than its weights."""

    def __init__(self, **more):
        super().__init__()
        self.linear = nn.Linear(2, 2)
        nn.init.ones_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.register_buffer("shift", torch.zeros(2), persistent=False)
        self.temperature, self.mean, self.pool, self._gain = 1.0, (0.5, (0.1,)), "max", 1.0
        for name, value in more.items():
            setattr(self, name, value)


DECIDING = [
    {"shift": torch.ones(2)},
    {"temperature": 3.0},
    {"mean": (0.5, (0.2,))},
    {"pool": "mean"},
    {"skips": True},
    {"levels": 3},
    {"scale": np.float32(2)},
    {"_gain": 2.0},
]


@pytest.mark.parametrize("more", DECIDING, ids=str)
def test_modules_that_compute_otherwise_with_the_same_weights_differ(more):
    assert fingerprint(Model(**more)) != fingerprint(Model())
    assert fingerprint(nn.Sequential(Model(**more))) != fingerprint(nn.Sequential(Model()))
    assert fingerprint(Model(**more)) == fingerprint(Model(**more))


def test_what_passes_in_a_module_does_not_change_its_fingerprint():
    model, before = Model(), fingerprint(Model())
    model.eval()
    model.linear.register_forward_hook(lambda *_: None)
    model.register_full_backward_hook(lambda *_: None)
    model.requires_grad_(False)
    model.classes, model.transform, model.device = ["a", "b"], torch.relu, "cuda:1"
    model.seen, model.sizes = torch.ones(2), [16, 7]
    assert fingerprint(model) == before
    assert fingerprint(copy.deepcopy(model)) == before
    assert fingerprint(pickle.loads(pickle.dumps(Model()))) == before


def test_empty_tensors_have_a_fingerprint_whatever_their_strides():
    from_numpy = torch.from_numpy(np.zeros(0, np.int64))  # of stride 0
    assert fingerprint(from_numpy) == fingerprint(torch.zeros(0, dtype=torch.int64))
    assert fingerprint(from_numpy) != fingerprint(torch.zeros(0))


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_sparse_tensors_have_the_fingerprint_of_their_numbers_and_places(layout):
    one = torch.eye(3)
    before = fingerprint(one.to_sparse(layout=layout))
    assert fingerprint(one.clone().to_sparse(layout=layout)) == before
    for other in (2 * one, one.flip(0), torch.eye(3, 4)):
        assert fingerprint(other.to_sparse(layout=layout)) != before


def test_names_of_results_that_are_on_record_stay_the_same():
    assert fingerprint("Preset(name='cpu')") == "6db5b5ceaf773d2a05fe7f4dd50d0483"


def test_a_file_that_changes_has_another_state(tmp_path):
    path = tmp_path / "file"
    path.write_text("one")
    before, missing = file_states([str(path)]), file_states([str(tmp_path / "missing")])
    assert before == file_states([str(path)])
    path.write_text("two, longer")
    assert before != file_states([str(path)])
    assert missing == file_states([str(tmp_path / "missing")])


def test_a_thousand_files_have_one_state_and_each_of_them_decides_it(tmp_path):
    paths = [str(tmp_path / f"{i}") for i in range(2100)]
    before = file_states(paths)
    assert len(before) == 3
    (tmp_path / "1500").write_text("there")
    after = file_states(paths)
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]


def test_an_object_elsewhere_is_known_by_its_path():
    assert file_states(["s3://bucket/one"]) != file_states(["s3://bucket/other"])
