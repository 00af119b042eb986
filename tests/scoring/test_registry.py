"""The registry: nothing can be added to it without a reference, a direction and a source."""

import inspect
import re
import textwrap

import numpy as np
import pytest
import torch
from score_references import REFERENCES

import fiftyone_drop
from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import (
    SCORES,
    deal_switches,
    forward_scores,
    get_score,
    register_score,
)


def test_every_score_has_a_reference_of_its_own():
    assert set(REFERENCES) == set(SCORES)


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_every_score_says_what_it_is(score):
    assert score.name.isidentifier()
    assert score.hard in ("high", "low", None)
    assert score.kept_first == (score.hard or score.kept_first)
    assert score.source
    assert score.description.endswith(".")
    assert "\n" not in score.description
    assert score.function.__doc__
    assert score.switches({}) == score.defaults


KEPT_FIRST = {
    "high": "el2n grand grand_last_layer loss entropy least_confidence forgetting first_learned "
    "el2n_mean dynamic_uncertainty dual tdds class_mean_distance zcore",
    "low": "margin aum k_center herding random",
}


def test_every_score_keeps_the_end_that_its_authors_keep():
    expected = {name: end for end, names in KEPT_FIRST.items() for name in names.split()}
    assert {score.name: score.kept_first for score in SCORES.values()} == expected


@pytest.mark.parametrize("score", SCORES.values(), ids=SCORES)
def test_a_function_called_by_itself_has_the_defaults_of_the_registry(score):
    parameters = inspect.signature(score.function).parameters
    assert {name: parameters[name].default for name in score.conventions} == score.defaults


def test_only_scores_that_are_not_about_difficulty_have_no_hard_end():
    endless = {s.name for s in SCORES.values() if s.hard is None}
    assert endless == {"random", "k_center", "herding", "zcore"}


@pytest.mark.parametrize("name", ["e12n", "", None, ["el2n"]])
def test_an_unknown_score_is_an_error_that_names_the_argument(name):
    with pytest.raises(DropError) as error:
        get_score(name)
    assert error.value.argument == "scores"
    assert name != "e12n" or "'el2n'" in error.value.message


def test_a_score_is_found_by_numpys_text():
    assert get_score(np.str_("el2n")) is SCORES["el2n"]


def test_ones_own_score_is_one_function_and_one_registration(registry):
    @register_score(
        "second", hard="high", needs="logits", description="Second logit.", source="a test"
    )
    def second(logits, labels):
        return logits[:, 1]

    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert registry["second"].function is second
    assert registry["second"].kept_first == "high"
    assert forward_scores(["second"], logits, torch.tensor([0, 1]))["second"].tolist() == [2, 4]


def test_the_example_of_the_docstring_runs(registry, monkeypatch):
    monkeypatch.setattr(fiftyone_drop, "register_score", register_score, raising=False)
    example = re.search(r"Example::\n\n(.*?)\n\n    and then", register_score.__doc__, re.DOTALL)
    exec(textwrap.dedent(example[1]), {"__name__": "__main__"})
    logits = torch.log(torch.tensor([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1]]))
    for rival, expected in (("strongest", [0.3, 0.1]), ("all", [0.5, 0.2])):
        switches = {"confusion": {"rival": rival}}
        scores = forward_scores(["confusion"], logits, torch.tensor([0, 1]), switches=switches)
        np.testing.assert_allclose(scores["confusion"], expected, rtol=1e-5)


FACTS = {
    "name": "mine",
    "hard": "high",
    "needs": "logits",
    "description": "Mine.",
    "source": "a test",
}


def define(**changes):
    """Register a function as a notebook's cell does, each time it runs."""

    @register_score(**(FACTS | changes))
    def mine(logits, labels):
        return logits[:, 0]

    return mine


def test_a_cell_that_runs_twice_replaces_its_score(registry):
    define()
    again = define(description="Mine, better.")
    assert registry["mine"].function is again
    assert registry["mine"].description == "Mine, better."


def test_another_function_may_not_take_a_name(registry):
    mine = define()

    def other(logits, labels):
        return logits[:, 0]

    with pytest.raises(DropError, match="registered already") as error:
        register_score(**FACTS)(other)
    assert error.value.argument == "name"
    assert registry["mine"].function is mine
    with pytest.raises(DropError, match="'el2n' is registered already"):
        define(name="el2n")


@pytest.mark.parametrize(
    ("changes", "argument", "message"),
    [
        ({"name": "my-score"}, "name", "letters, digits and _"),
        ({"name": "_hidden"}, "name", "not starting with"),
        ({"name": 7}, "name", "letters, digits and _"),
        ({"hard": "up"}, "hard", "must be one of"),
        ({"hard": None}, "kept_first", "where hard=None"),
        ({"kept_first": "up"}, "kept_first", "must be one of"),
        ({"needs": "gpu"}, "needs", "must be one of"),
        ({"description": ""}, "description", "must be a text"),
        ({"source": None}, "source", "must be a text"),
        ({"uses_labels": "no"}, "uses_labels", "must be True or False"),
        ({"conventions": {"the way": ("up", "down")}}, "conventions", "must have names of Python"),
        ({"conventions": {"way": "up"}}, "conventions", "must be a sequence"),
        ({"conventions": {"way": ()}}, "conventions", "must allow a value of 'way'"),
    ],
)
def test_a_bad_registration_is_refused(registry, changes, argument, message):
    with pytest.raises(DropError, match=message) as error:
        define(**changes)
    assert error.value.argument == argument
    assert "mine" not in registry


def test_what_is_registered_is_plain_and_does_not_change(registry):
    ways = ["up", np.str_("down")]
    define(
        name=np.str_("mine"), hard=np.str_("low"), conventions={"way": ways}, uses_labels=np.True_
    )
    ways.append("sideways")
    score = registry["mine"]
    assert score.conventions == {"way": ("up", "down")}
    assert [type(v) for v in (score.name, score.hard, score.uses_labels)] == [str, str, bool]
    assert score.kept_first == "low"


@pytest.mark.parametrize("result", [torch.zeros(3, 1), torch.zeros(2), np.zeros(4), [0, 0, 0], 0.0])
def test_a_result_that_is_not_one_number_per_sample_is_refused(result):
    with pytest.raises(DropError, match=r"'el2n' must return .* of the shape \(3,\)") as error:
        get_score("el2n").checked(result, 3)
    assert error.value.argument == "scores"


def test_switches_go_to_every_score_that_knows_them():
    table = deal_switches(["dual", "dynamic_uncertainty", "aum"], {"window": np.int64(5)})
    assert table["dual"] == {"window": 5, "dual_epochs": 30}
    assert table["dynamic_uncertainty"]["window"] == 5
    assert table["dynamic_uncertainty"]["last_window"] == "skip"
    assert table["aum"] == {"aum_on": "logits"}


def test_shared_switches_need_no_score_that_knows_them():
    assert deal_switches(["el2n", "random"], {}, {"seed": 3}) == {"el2n": {}, "random": {"seed": 3}}
    assert deal_switches(["el2n"], {}, {"seed": 3}) == {"el2n": {}}
    with pytest.raises(DropError, match="the switches are none"):  # it is an argument already
        deal_switches(["random"], {"seed": 3}, {"seed": 3})


def test_a_switch_that_no_score_knows_is_an_error_under_its_own_name():
    for call in (get_score("dual").switches, lambda given: deal_switches(["dual"], given)):
        with pytest.raises(DropError, match=r"no switch of 'dual'.*'window'") as error:
            call({"windows": 5})
        assert error.value.argument == "windows"
