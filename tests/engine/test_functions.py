"""Functions that compute otherwise have other code, and the others the same in every process."""

import functools
import sys
import textwrap
import types

import fresh
import numpy as np
import pytest
import torch

from fiftyone_drop.engine.fingerprints import fingerprint
from fiftyone_drop.engine.functions import code_in, code_of
from fiftyone_drop.scoring import SCORES, Accumulator


def of(source):
    """The code of ``f`` after a cell of a notebook has run."""
    cell = {"__name__": "__main__"}
    exec(compile(textwrap.dedent(source), "a cell", "exec"), cell)
    return fingerprint(code_of(cell["f"]))


IMPORTS = "import functools, torch, numpy as np\n"
WITH_ONE_NUMBER = {
    "constant": "def f(x): return {} * x",
    "default": "def f(x, by={}): return by * x",
    "default of a keyword": "def f(x, *, by={}): return by * x",
    "closure": "def made(by):\n    def f(x): return by * x\n    return f\nf = made({})",
    "global": "BY = {}\ndef f(x): return BY * x",
    "global of a function inside": "BY = {}\ndef f(x): return [(lambda y: BY * y)(y) for y in x]",
    "tuple": "BY = (1, {})\ndef f(x): return BY[1] * x",
    "list": "BY = [1, [{}]]\ndef f(x): return BY[1] * x",
    "dict": "BY = dict(cat={})\ndef f(x): return BY['cat'] * x",
    "set": "BY = set([1, {}])\ndef f(x): return max(BY) * x",
    "set of constants": "def f(x): return x in {{1, 5, {}}}",
    "array": "BY = np.array([1.0, {}])\ndef f(x): return BY * x",
    "array of objects": "BY = np.array([None, {}])\ndef f(x): return BY[1] * x",
    "tensor": "BY = torch.tensor([1.0, {}])\ndef f(x): return BY * x",
    "module of PyTorch": "BY = torch.nn.Dropout({} / 10)\ndef f(x): return BY(x)",
    "function that it calls": "def g(x): return {} * x\ndef f(x): return g(x)",
    "function that calls it": "def g(x): return {} * f(x)\ndef f(x): return g(x) if x else 0",
    "lambda": "f = lambda x: {} * x",
    "partial": "def g(x, by): return by * x\nf = functools.partial(g, by={})",
    "partial of a library's": "f = functools.partial(np.clip, a_min={}, a_max=9)",
    "decorated": "@torch.no_grad()\ndef f(x): return {} * x",
    "decorated twice": "@functools.lru_cache\n@torch.no_grad()\ndef f(x): return {} * x",
    "class": "class f:\n    def __init__(self, n): self.n = {} * n",
    "attribute of a class": "class f:\n    by = {}\n    def see(self, x): return self.by * x",
    "base class": "class A:\n    def see(self, x): return {} * x\nclass f(A): pass",
    "property": "class f:\n    @property\n    def by(self): return {}",
    "static method": "class f:\n    @staticmethod\n    def by(x): return {} * x",
    "object": (
        "class A:\n    def __init__(self, by): self.by = by\n"
        "    def __call__(self, x): return self.by * x\nf = A({})"
    ),
    "object with slots": (
        "class A:\n    __slots__ = ['by']\n    def __call__(self, x): return self.by * x\n"
        "f = A()\nf.by = {}"
    ),
    "method": (
        "class A:\n    def __init__(self, by): self.by = by\n"
        "    def see(self, x): return self.by * x\nf = A({}).see"
    ),
    "own module of PyTorch": (
        "class A(torch.nn.Module):\n    def forward(self, x): return {} * x\nf = A()"
    ),
}


@pytest.mark.parametrize("source", WITH_ONE_NUMBER.values(), ids=WITH_ONE_NUMBER)
def test_another_number_anywhere_is_other_code(source):
    assert of(IMPORTS + source.format(2)) == of(IMPORTS + source.format(2))
    assert of(IMPORTS + source.format(2)) != of(IMPORTS + source.format(3))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def f(x): return x + 1", "def f(x): return x - 1"),
        ("def f(x): return x.min()", "def f(x): return x.max()"),
        ("def f(x): return min(x)", "def f(x): return max(x)"),
        ("def f(*, a, b): return a", "def f(*, b, a): return b"),
        ("def f(x): return 1", "def f(x): return True"),
        (
            "from torch import sin as g\ndef f(x): return g(x)",
            "from torch import cos as g\ndef f(x): return g(x)",
        ),
        (
            "from statistics import mean as g\ndef f(x): return g(x)",
            "from statistics import median as g\ndef f(x): return g(x)",
        ),
        (
            "from numpy.linalg import norm as g\ndef f(x): return g(x)",
            "from numpy.linalg import cond as g\ndef f(x): return g(x)",
        ),
        (
            "import torch\nG = torch.float32\ndef f(x): return x.to(G)",
            "import torch\nG = torch.float64\ndef f(x): return x.to(G)",
        ),
    ],
)
def test_what_computes_something_else_is_other_code(one, other):
    assert of(one) != of(other)


def test_comments_and_places_are_no_part_of_the_code():
    before = of("def f(x): return 2 * x")
    assert of("\n\n# twice as much\ndef f(x):\n    # by two\n    return 2 * x  # here") == before
    assert of("norm = 1\ndef f(x): return x.norm()") == of("def f(x): return x.norm()")


def test_a_function_that_has_run_often_has_the_code_that_it_had():
    cell = {}
    exec("def f(x):\n    total = 0\n    for y in x: total += y\n    return total", cell)
    before = fingerprint(code_of(cell["f"]))
    for _ in range(1000):  # Python rewrites what runs often
        cell["f"](range(10))
    assert fingerprint(code_of(cell["f"])) == before


def test_modules_of_the_users_own_count_by_what_is_taken_from_them(monkeypatch, tmp_path):
    own = types.ModuleType("own_helpers")
    own.__file__ = str(tmp_path / "own_helpers.py")
    monkeypatch.setitem(sys.modules, "own_helpers", own)
    found = []
    for helper, other in [(2, 2), (3, 2), (2, 3)]:
        exec(f"def g(x): return {helper} * x\ndef h(x): return {other} * x", vars(own))
        found.append(of("import own_helpers\ndef f(x): return own_helpers.g(x)"))
    assert found[0] == found[2] != found[1]


def test_what_libraries_hold_is_not_looked_at():
    """Their objects may be anything, such as a dataset in a database."""

    class Collection:
        __module__ = "fiftyone.core.dataset"

        def __getattr__(self, name):
            raise AssertionError(name)

    samples = Collection()
    with pytest.MonkeyPatch.context() as patch:
        place = types.ModuleType("fiftyone.core.dataset")
        place.__file__ = "/usr/lib/python3/site-packages/fiftyone/core/dataset.py"
        patch.setitem(sys.modules, "fiftyone.core.dataset", place)
        fingerprint(code_of(lambda keys: samples.values("field")))
    small = len(repr(code_of(torch.nn.functional.cross_entropy)))
    assert small < 200
    assert len(repr(code_of(functools.partial(np.linalg.norm, axis=1)))) < 300


IN_ANOTHER_PROCESS = """
from fiftyone_drop.engine.fingerprints import fingerprint
from fiftyone_drop.engine.functions import code_of
import functools, numpy as np, torch
WORDS = {"a", "b", "c", "d", "e", "f"}
class Kind:
    def __init__(self): self.words = frozenset(WORDS); self.held = object()
    def __call__(self, x): return x in self.words
kind = Kind()
random = np.random.default_rng(0)
@torch.no_grad()
def score(logits, labels, *, rival="all", held=(object(), torch.ones(2))):
    if rival in {"u", "v", "w", "x", "y", "z"}:
        return kind(logits) + random.random()
    return [torch.softmax(row, 0) for row in logits] + [score, WORDS]
print(fingerprint(code_of(score)))
"""


def test_code_is_the_same_in_every_process(monkeypatch):
    found = []
    for seed in ("1", "2", "3"):  # of the order of sets
        monkeypatch.setenv("PYTHONHASHSEED", seed)
        found.append(fresh.run(IN_ANOTHER_PROCESS))
    assert len(set(found)) == 1


def test_scores_of_this_package_have_no_code_to_tell():
    assert [name for name, score in SCORES.items() if score.code] == []


def test_an_accumulator_counts_by_its_methods():
    def made(by):
        class Mean(Accumulator):
            def see(self, samples, values):
                self.state["sum"][samples] += by * values

        return Mean

    assert fingerprint(code_of(made(1))) == fingerprint(code_of(made(1)))
    assert fingerprint(code_of(made(1))) != fingerprint(code_of(made(2)))


def model(forward, act="torch.relu", made="f = torch.nn.Sequential(A())"):
    """The fingerprint of the code in a model after a cell of a notebook has run."""
    cell = {"__name__": "__main__", "torch": torch}
    exec(
        "class A(torch.nn.Module):\n"
        f"    def __init__(self): super().__init__(); self.act = {act}\n"
        f"    def forward(self, x): return {forward}\n{made}",
        cell,
    )
    return fingerprint(code_in(cell["f"]))


COMPILED = [
    "f = torch.fx.symbolic_trace(A())",
    "f = torch.nn.Sequential(torch.jit.trace(A(), torch.ones(1)))",
    "A.__module__ = 'torch.nn'; f = torch.fx.symbolic_trace(A())",
]
PARAMETRISED = (
    "f = torch.nn.utils.parametrize.register_parametrization(\n"
    "    torch.nn.Linear(1, 1), 'weight', A())"
)


@pytest.mark.filterwarnings(
    "ignore:.torch.jit:DeprecationWarning", "ignore:.torch.jit:FutureWarning"
)
@pytest.mark.parametrize("made", ["f = torch.nn.Sequential(A())", *COMPILED, PARAMETRISED])
def test_a_model_has_the_code_of_the_layers_that_somebody_wrote(made):
    assert model("2 * x", made=made) == model("2 * x", made=made)
    assert model("2 * x", made=made) != model("3 * x", made=made)


def test_a_model_has_the_functions_that_its_layers_hold():
    names = [
        "torch.relu",
        "torch.sigmoid",
        "torch.nn.functional.relu",
        "lambda x: x",
        "torch.Tensor.relu",
    ]
    acts = [*names, "lambda x: 2 * x", "self.extra_repr"]
    assert len({model("self.act(x)", act) for act in acts}) == len(acts)
    assert model("self.act(x)", "self.extra_repr") == model("self.act(x)", "self.extra_repr")


def test_models_of_libraries_have_no_code_to_tell():
    parts = [torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.MultiheadAttention(4, 2)]
    module = torch.nn.Sequential(*parts)
    torch.nn.utils.parametrizations.weight_norm(module[0])
    module.transform = torch.relu
    assert code_in(module) == []
