"""PyTorch is loaded when something is first taken from it."""

from fresh import run


def test_pytorch_is_loaded_with_the_first_name_that_is_taken_from_it():
    out = run("""
        import sys
        from fiftyone_drop._torch import torch
        before = "torch" in sys.modules
        print(before, torch.zeros(2).tolist(), "torch" in sys.modules, torch.nn.ReLU())
    """)
    assert out == "False [0.0, 0.0] True ReLU()"
