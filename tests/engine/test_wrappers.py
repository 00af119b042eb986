"""Whatever a module is wrapped in, the module that computes is found."""

import pytest
import torch
from torch import nn

from fiftyone_drop.engine.fingerprints import fingerprint
from fiftyone_drop.engine.wrappers import unwrapped
from fiftyone_drop.scoring import per_sample_gradient_norms

WRAPPERS = {
    "DataParallel": [nn.DataParallel],
    "one in the other": [torch.compile, nn.DataParallel, torch.compile],
}


@pytest.mark.filterwarnings("ignore:The model looks untrained")
@pytest.mark.parametrize("wrappers", WRAPPERS.values(), ids=WRAPPERS)
def test_wrappers_are_taken_off(wrappers):
    torch.manual_seed(0)
    module = wrapped = nn.Sequential(nn.Linear(4, 5), nn.ReLU(), nn.Linear(5, 3))
    for wrap in wrappers:
        wrapped = wrap(wrapped)
    assert unwrapped(wrapped) is module
    assert fingerprint(wrapped) == fingerprint(module)
    inputs, labels = torch.rand(6, 4), torch.arange(6) % 3
    expected = per_sample_gradient_norms(module, inputs, labels)
    assert torch.equal(per_sample_gradient_norms(wrapped, inputs, labels), expected)


def test_the_module_of_a_training_in_several_processes_is_found(tmp_path):
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{tmp_path / 'meeting'}", rank=0, world_size=1
    )
    try:
        module = nn.Linear(2, 2)
        assert unwrapped(nn.parallel.DistributedDataParallel(module)) is module
    finally:
        torch.distributed.destroy_process_group()


def test_a_module_that_has_a_part_called_module_is_no_wrapper():
    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = nn.Linear(2, 2)

    own = Own()
    assert unwrapped(own) is own
