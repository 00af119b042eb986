"""The registry: nothing can be added to it without a reference, a direction and a source."""

import inspect

import pytest
import torch
from score_references import REFERENCES

from fiftyone_drop import scoring
from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring import SCORES, Whole, forward_scores, get_score, register_score


@pytest.fixture
def registry(monkeypatch):
    """Registrations of a test end with it."""
    monkeypatch.setattr(scoring.registry, "SCORES", dict(SCORES))
    return scoring.registry.SCORES


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


def test_an_unknown_score_is_an_error_that_lists_the_known_ones():
    with pytest.raises(DropError, match=r"'e12n'.*'el2n'"):
        get_score("e12n")


def test_ones_own_score_is_one_function_and_one_registration(registry):
    @register_score(
        "second", hard="high", needs="logits", description="Second logit.", source="a test"
    )
    def second(logits, labels):
        return logits[:, 1]

    logits = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert registry["second"].kept_first == "high"
    assert forward_scores(["second"], logits, torch.tensor([0, 1]))["second"].tolist() == [2, 4]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "el2n"}, "registered already"),
        ({"name": "my-score"}, "identifier"),
        ({"name": "_hidden"}, "underscore"),
        ({"hard": "up"}, "'high', 'low' or None"),
        ({"hard": None}, "kept_first"),
        ({"needs": "gpu"}, "must be one of"),
    ],
)
def test_a_bad_registration_is_refused(registry, changes, message):
    facts = {"name": "mine", "hard": "high", "needs": "logits", "description": "", "source": ""}
    with pytest.raises(DropError, match=message):
        register_score(**(facts | changes))
    assert "mine" not in registry


def test_switches_are_checked_and_completed():
    score = get_score("dynamic_uncertainty")
    assert score.switches({"window": 5})["last_window"] == "skip"
    assert score.conventions["window"] == Whole(10, 2)
    for bad in ({"window": 1}, {"window": True}, {"window": "5"}, {"last_window": "no"}):
        with pytest.raises(DropError, match="must be"):
            score.switches(bad)
    with pytest.raises(DropError, match="no switch 'windows'"):
        score.switches({"windows": 5})
