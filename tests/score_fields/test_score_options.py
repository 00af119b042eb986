"""The arguments of compute_scores: plain values whatever holds them, or refused by name."""

import pathlib

import numpy as np
import pytest

from fiftyone_drop import DropError
from fiftyone_drop.inference.resolve import Extras
from fiftyone_drop.score_fields.options import ScoreOptions

PLAIN = {
    "label_field": "ground_truth",
    "scores": ("el2n", "k_center", "random"),
    "conventions": {"picks": 7},
    "extras": Extras(),
    "spread": False,
    "prefix": "my_",
    "folds": 3,
    "models": 2,
    "seed": 2**40,
    "on_error": "raise",
    "batch_size": 16,
    "workers": 2,
    "deterministic": True,
    "overwrite": False,
}


def options(**changes):
    return ScoreOptions(**PLAIN | changes)


def scalar(value):
    """A NumPy scalar, of texts, numbers and truth values alike."""
    return np.array(value)[()]


@pytest.mark.parametrize("kind", [np.array, scalar])
def test_options_are_plain_values_whatever_holds_them(kind):
    names = [name for name in PLAIN if name not in ("scores", "conventions", "extras")]
    parsed = options(scores=np.array(PLAIN["scores"]), **{n: kind(PLAIN[n]) for n in names})
    assert parsed == options()
    for name in (*names, "scores"):
        value = getattr(parsed, name)
        assert (type(value), value) == (type(PLAIN[name]), PLAIN[name])
    assert [type(score) for score in parsed.scores] == [str] * 3


def test_every_score_gets_the_switches_that_it_knows():
    assert dict(options().switches) == {
        "el2n": {},
        "k_center": {"picks": 7},
        "random": {"seed": 2**40},
    }


def test_query_models_have_a_seed_of_their_own_each():
    seeds = [options(seed=2**32 - 1).training(number).seed for number in range(2)]
    assert seeds == [2**32 - 1, 0]
    assert options(seed=-1, scores=["el2n"], conventions={}).training(0).seed == 2**32 - 1


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("label_field", [3, "", b"a", ["ground_truth"]]),
        ("scores", ["el2n", b"el2n", 3, {"el2n": 1}, [3], (), None]),
        ("spread", [1, 0, "yes", None]),
        ("prefix", [3, None, b"my_"]),
        ("folds", [1, 0, -3, 2.0, True, "5", None, np.array([5]), float("nan")]),
        ("models", [0, 1.5, True, None]),
        ("seed", [1.0, "51", None, True, 2**63, float("inf")]),
        ("on_error", ["ignore", None, 1, ["skip"]]),
        ("batch_size", [0, 2.5, True, "16"]),
        ("workers", [0, -1, 1.5, np.float64(2)]),
        ("deterministic", [1, None, "no"]),
        ("checkpoint_dir", [3, b"/tmp", "/dev/null/below"]),
        ("overwrite", [1, None, "yes"]),
    ],
)
def test_odd_values_are_refused_by_the_name_of_the_argument(argument, values):
    for value in values:
        with pytest.raises(DropError) as refused:
            options(**{argument: value})
        assert refused.value.argument == argument, value


@pytest.mark.parametrize(
    ("argument", "values"),
    [
        ("classes", ["abc", 3, [1, 2], {"a": 1}]),
        ("checkpoint", [3, b"weights.pt", ""]),
        ("device", ["abacus", 3, ""]),
    ],
)
def test_odd_values_for_models_are_refused_too(argument, values):
    given = dict.fromkeys(("transform", "classes", "checkpoint", "device"))
    for value in values:
        with pytest.raises(DropError) as refused:
            Extras.of(**given | {argument: value})
        assert refused.value.argument == argument, value


def test_what_models_need_becomes_plain_too():
    extras = Extras.of(None, np.array(["a", "b"]), scalar("weights.pt"), scalar("cpu"))
    assert extras.classes == ("a", "b")
    assert extras.checkpoint == pathlib.Path("weights.pt")
    assert str(extras.device) == "cpu"
