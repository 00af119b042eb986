"""The arguments of a pruning: parsed once, checked together, recorded as plain values."""

import inspect
import json
from dataclasses import FrozenInstanceError

import numpy as np
import pytest

from fiftyone_drop import DropError, apply_drop
from fiftyone_drop.options import DropOptions

DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(apply_drop).parameters.items()
    if name != "samples"
} | {"density": 0.5}
WRITING = ("key", "overwrite", "cluster", "progress")  # not about what is decided


def parse(**arguments):
    return DropOptions.parse(DEFAULTS | arguments)


def test_every_argument_of_the_call_but_those_of_the_writing_is_an_option():
    assert set(parse().asked()) == set(DEFAULTS) - set(WRITING)


def test_options_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        parse().density = 0.3


@pytest.mark.parametrize(
    ("name", "value", "parsed"),
    [
        ("density", np.float32(0.25), 0.25),
        ("folds", np.uint8(3), 3),
        ("holdout", np.float64(0.5), 0.5),
        ("rule", np.str_("balanced"), "balanced"),
        ("keep", np.array("easiest"), "easiest"),
        ("smoothing", 1, 1.0),
        ("smoothing", "shrinkage", "shrinkage"),
        ("min_per_class", np.int16(0), 0),
        ("skip_unlabeled", np.bool_(True), True),
        ("seed", np.array(-3), -3),
        ("group_by", ["parity"], "parity"),
        ("group_by", ["parity", np.str_("night")], ("parity", "night")),
        ("must_keep", np.str_("gold"), "gold"),
        ("max_per_class", np.int8(3), 3),
        ("order_by", np.str_("filepath"), "filepath"),
    ],
)
def test_an_argument_becomes_a_plain_value(name, value, parsed):
    found = getattr(parse(**{name: value}), name)
    assert (found, type(found)) == (parsed, type(parsed))


def test_recalls_become_floats_by_class():
    recalls = parse(recalls={"cat": np.float32(0.5), ("dog", "in"): 1}).recalls
    assert recalls == {"cat": 0.5, ("dog", "in"): 1.0}
    assert {type(recall) for recall in recalls.values()} == {float}
    with pytest.raises(DropError, match=r"^recalls: must be a number in \[0, 1\], for 'cat', but"):
        parse(recalls={"cat": 1.5})


@pytest.mark.parametrize(
    ("arguments", "argument", "words"),
    [
        ({"eval_key": "ev", "recalls": {}}, "eval_key", "pass one source of recalls"),
        ({"recalls": {}, "validation": "view"}, "recalls", "['recalls', 'validation']"),
        ({"pred_field": "p"}, "pred_field", "goes with validation=view only"),
        ({"size": 5}, "size", "pass one of density, size and max_bytes"),
        ({"density": None}, "density", "must be a number in (0, 1]"),
        ({"weights": {"a": 1}, "rule": "balanced"}, "weights", "leave rule='balanced' out"),
        ({"drop_below": 0.5}, "drop_below", "must be a mapping from score field to number"),
        ({"group_by": ["a", "a"]}, "group_by", "each once"),
        ({"model": "m"}, "model", "goes with validation=view only"),
        ({"validation": "view"}, "validation", "either pred_field"),
        ({"validation": "view", "pred_field": "p", "model": "m"}, "validation", "either"),
        ({"query": "closed-form", "folds": 3}, "folds", "goes with query='trained' only"),
        ({"query": "closed-form", "holdout": 0.2}, "holdout", "goes with query='trained' only"),
        ({"query": "trained", "eval_key": "ev"}, "query", "recalls are from eval_key="),
        ({"embeddings": "e", "eval_key": "ev"}, "embeddings", "recalls are from eval_key="),
        ({"brain_key": "b", "recalls": {}}, "brain_key", "recalls are from recalls="),
        ({"embeddings": "e", "brain_key": "b"}, "embeddings", "embeddings and brain_key"),
        ({"embeddings": "e", "folds": 3}, "folds", "embeddings= has embeddings"),
        ({"brain_key": "b", "holdout": 0.2}, "holdout", "trains on images"),
        ({"brain_key": "b", "query": "trained"}, "query", "trains on images"),
    ],
)
def test_arguments_that_do_not_go_together_are_refused(arguments, argument, words):
    with pytest.raises(DropError) as caught:
        parse(**arguments)
    assert caught.value.argument == argument
    assert words in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "query", "needs_recalls"),
    [
        ({}, "closed-form", True),
        ({"embeddings": "e"}, "closed-form", True),
        ({"query": "closed-form", "brain_key": "b"}, "closed-form", True),
        ({"query": "trained"}, "trained", True),
        ({"folds": 3}, "trained", True),
        ({"holdout": 0.2}, "trained", True),
        ({"rule": "proportional"}, "closed-form", False),
        ({"rule": "proportional", "query": "trained"}, "trained", False),
        ({"rule": "proportional", "recalls": {}}, None, True),
        ({"eval_key": "ev"}, None, True),
        ({"eval_key": "ev", "folds": 3}, None, True),
        ({"validation": "view", "model": "m"}, None, True),
    ],
)
def test_there_is_a_query_model_for_want_of_another_source(arguments, query, needs_recalls):
    options = parse(**arguments)
    assert (options.query, options.needs_recalls) == (query, needs_recalls)


@pytest.mark.parametrize(
    ("arguments", "reads"),
    [
        ({}, True),
        ({"query": "trained"}, True),
        ({"embeddings": "e"}, False),
        ({"brain_key": "b"}, False),
        ({"recalls": {}}, False),
        ({"rule": "balanced"}, False),
    ],
)
def test_images_are_read_for_a_query_model_without_embeddings(arguments, reads):
    assert parse(**arguments).reads_images == reads


def test_five_query_models_are_trained_unless_another_number_is_asked_for():
    assert parse().folds is None
    assert parse(query="trained").folds == 5
    assert parse(folds=3).folds == 3


def test_a_rule_without_quotas_has_no_floor():
    assert parse(min_per_class=3).limits.min_per_class == 3
    assert parse(min_per_class=3, rule="none").limits.min_per_class == 0
    named = parse(min_per_class={"cat": 3}, rule="none").limits
    assert (named.min_per_class, named.otherwise) == ({"cat": 3}, 0)
    assert parse(min_per_class={"cat": 3}).limits.otherwise == 1


class Model:
    """A model, of which a record can say the type alone."""


@pytest.mark.parametrize(
    "arguments",
    [
        {"recalls": {("cat", "in"): 0.5, "dog": 0.1}},
        {"validation": object(), "model": Model()},
        {"validation": object(), "model": ["a-zoo-model", Model(), np.zeros(3)]},
        {"validation": object(), "pred_field": "predictions"},
        {"density": np.float32(0.5), "seed": np.int64(3), "holdout": np.float16(0.5)},
        {"density": None, "size": np.int64(5), "group_by": np.array(["a", "b"])},
        {"density": None, "max_bytes": np.int64(5), "must_keep": object(), "protect": ["cat", 7]},
        {"min_per_class": {("cat", "in"): np.int8(2)}, "max_per_class": {7: 3}},
        {"density": None, "quotas": {"cat": np.float32(0.5), True: 3}},
        {"weights": {"cat": 1}, "drop_below": {"a.b": np.int8(1)}, "drop_above": {"$x": 0.5}},
    ],
)
def test_what_was_asked_is_plain(arguments):
    asked = parse(**arguments).asked()
    assert json.loads(json.dumps(asked)) == asked
    assert {type(value) for value in asked.values()} <= {int, float, bool, str, list, type(None)}


def test_what_was_asked_says_in_words_what_no_record_can_hold(dataset):
    asked = parse(validation=dataset.limit(3), model=[Model(), "zoo"]).asked()
    assert asked["validation"].startswith("a view with the stages")
    assert "limit=3" in asked["validation"]
    assert asked["model"] == "a Model, zoo"
    assert parse(validation=dataset, model="m").asked()["validation"] == "the whole dataset"
    assert (
        parse(recalls=dict.fromkeys(range(2000), 0.5))
        .asked()["recalls"]
        .startswith("given for 2,000")
    )
    long = parse(validation=dataset.select(dataset.values("id")), model="m").asked()["validation"]
    assert len(long) < 600


def test_the_fields_of_group_by_have_an_order():
    defaults = {name: p.default for name, p in inspect.signature(apply_drop).parameters.items()}
    given = defaults | {"density": 0.5}
    assert DropOptions.parse(given | {"group_by": {"a": 0, "b": 0}.keys()}).groups == ("a", "b")
    with pytest.raises(DropError, match=r"group_by: .* got a set, which has no order"):
        DropOptions.parse(given | {"group_by": {"a", "b"}})
