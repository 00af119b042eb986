"""The names of architectures are those that torchvision has, though it is not imported for them."""

import torchvision
from fresh import run

from fiftyone_drop.training import architecture_names
from fiftyone_drop.training.architecture_names import SMALL, UNSUITABLE


def test_the_names_are_ours_and_those_of_torchvision_that_are_suitable():
    theirs = set(torchvision.models.list_models(module=torchvision.models))
    found = architecture_names.architecture_names()
    assert found[: len(SMALL)] == SMALL
    assert set(found[len(SMALL) :]) == theirs - UNSUITABLE
    assert theirs > UNSUITABLE


def test_options_and_names_do_without_pytorch():
    out = run("""
        import sys
        import fiftyone_drop as fod
        options = fod.TrainingOptions(architecture="resnet18", epochs=3)
        print(options.epochs_for(100), "torch" in sys.modules, "torchvision" in sys.modules)
    """)
    assert out == "3 False False"


def test_where_its_source_cannot_be_read_torchvision_is_asked(monkeypatch):
    read = architecture_names._of_torchvision()
    monkeypatch.setattr(architecture_names, "find_spec", lambda name: None)
    assert architecture_names._of_torchvision() == read
