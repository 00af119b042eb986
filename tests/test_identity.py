"""Transforms that differ have other identities; the same one has the same in every process."""

import functools
import runpy
import subprocess
import sys
import textwrap
import threading

import pytest
import torch
from torchvision.transforms import v2

from fiftyone_drop.models.identity import identity

SIZE = 8


def scale(image, by=1):
    return image * by


def closure(by):
    return lambda image: image * by


def of_globals():
    return lambda image: image * SIZE


def nested(by):
    return lambda images: [image * by for image in images]


class Scale:
    def __init__(self, by):
        self.by = by

    def __call__(self, image):
        return scale(image, self.by)


class Own:
    """Another class that does something else under the same name."""

    class Scale(Scale):
        def __call__(self, image):
            return image + self.by


def default(by):
    def transform(image, by=by):
        return image * by

    return transform


DIFFERENT = {
    "code": (lambda image: image * 2, lambda image: image * 3),
    "names": (lambda image: image.real, lambda image: image.imag),
    "closure": (closure(2), closure(3)),
    "closure of functions": (closure(closure(2)), closure(closure(3))),
    "defaults": (default(2), default(3)),
    "partial": (functools.partial(scale, by=2), functools.partial(scale, by=3)),
    "attributes": (Scale(2), Scale(3)),
    "class": (Scale(2), Own.Scale(2)),
    "method": (Scale(2).__call__, Scale(3).__call__),
    "tensors": (closure(torch.ones(2)), closure(torch.zeros(2))),
    "Lambda": (v2.Lambda(closure(2)), v2.Lambda(closure(3))),
    "Compose": (v2.Compose([v2.Resize(4)]), v2.Compose([v2.Resize(5)])),
    "methods": (v2.Resize(4).forward, v2.Resize(5).forward),
    "nested": (nested(2), nested(3)),
}


@pytest.mark.parametrize("kind", DIFFERENT)
def test_what_differs_is_told_apart_and_what_is_the_same_is_not(kind):
    first, second = DIFFERENT[kind]
    assert identity(first) is not None
    assert identity(first) == identity(first)
    assert identity(first) != identity(second)
    assert identity(second) is not None


def test_globals_that_a_function_reads_count(monkeypatch):
    before = identity(of_globals())
    assert before == identity(of_globals())
    monkeypatch.setitem(globals(), "SIZE", 9)
    assert identity(of_globals()) != before


def test_a_global_of_the_name_of_an_attribute_does_not_count(monkeypatch):
    monkeypatch.setitem(globals(), "real", threading.Lock())
    assert identity(lambda image: image.real) is not None


def test_a_function_may_call_itself():
    def countdown(n):
        return countdown(n - 1) if n else 0

    assert identity(countdown) == identity(countdown) is not None


def test_what_cannot_be_taken_apart_has_none():
    lock = threading.Lock()
    assert identity(closure(lock)) is None


def test_another_process_agrees(tmp_path, capsys):
    code = """
        import functools, torch
        from PIL import Image
        from torchvision.transforms import v2
        from torchvision.transforms.functional import resize
        from fiftyone_drop.models.identity import identity

        SIZE = 8
        names = {"a", "b", "c"}

        def helper(image):
            return resize(image, (SIZE, SIZE))

        class Mine:
            kind = "mine"
            def __init__(self): super().__init__()
            def __call__(self, image): return helper(image)

        to_tensor = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
        for transform in (
            lambda image: to_tensor(helper(image)),
            functools.partial(resize, size=[3, 4]),
            v2.Compose([v2.Resize(3), v2.Lambda(lambda x: x * 2), to_tensor]),
            to_tensor.forward,
            Mine(),
        ):
            print(identity(transform).hex())
    """
    file = tmp_path / "run.py"
    file.write_text(textwrap.dedent(code))
    runpy.run_path(str(file), run_name="__main__")
    here = capsys.readouterr().out
    assert subprocess.check_output([sys.executable, file], text=True) == here
    assert len(set(here.split())) == 5
