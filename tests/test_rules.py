"""Rules: what they need, and rules of one's own."""

import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError, allocate
from fiftyone_drop.rules import RULES, Rule, class_weights


@pytest.mark.parametrize("rule", RULES.values(), ids=lambda rule: rule.name)
def test_every_rule_says_what_it_is_and_where_it_is_from(rule):
    assert rule.description
    assert rule.source
    assert set(rule.needs) <= {"sizes", "recalls"}
    assert rule.name in fod.apply_drop.__doc__


@pytest.fixture
def own_rule():
    """A function that registers a rule; it is forgotten after the test."""
    before = dict(RULES)

    def register(name, function, **about):
        about = {"description": "a test's", "source": "a test"} | about
        return fod.register_rule(name, **about)(function)

    yield register
    RULES.clear()
    RULES.update(before)


def root(columns):
    return np.sqrt(columns["sizes"])


def test_a_rule_of_ones_own_is_one_registration(own_rule):
    assert own_rule("sqrt", root) is root
    assert allocate([100, 400], None, 0.3, rule="sqrt").quotas.tolist() == [50, 100]


def test_a_name_that_another_rule_has_is_refused(own_rule):
    own_rule("sqrt", root)
    with pytest.raises(DropError, match="name: 'sqrt' is registered already"):
        own_rule("sqrt", lambda columns: columns["sizes"])
    with pytest.raises(DropError, match="name: 'drop' is registered already"):
        own_rule("drop", root)


def test_registering_the_same_function_again_replaces_it(own_rule):
    own_rule("sqrt", root)
    own_rule("sqrt", root, description="another description")
    assert RULES["sqrt"].description == "another description"


@pytest.mark.parametrize("column", ["colour", "mean", "mean:", "kept:", ":el2n", "size"])
def test_a_rule_may_read_only_columns_that_exist(own_rule, column):
    with pytest.raises(DropError, match=f"needs: no column '{column}'"):
        own_rule("x", root, needs=(column,))
    assert "x" not in RULES


def test_weights_that_are_no_weights_are_refused():
    rule = Rule("negative", ("sizes",), lambda columns: -columns["sizes"], "x", "a test")
    with pytest.raises(DropError, match="one finite weight >= 0"):
        class_weights(rule, {"sizes": np.array([3.0, 4.0])})


def test_a_rule_reads_the_columns_it_asked_for_and_no_other(own_rule):
    columns = []

    def spy(table):
        columns.append(sorted(table))
        return table["mean:loss"]

    own_rule("spy", spy, needs=("mean:loss",))
    found = allocate([50, 50], [0.5, 0.5], 0.5, rule="spy", columns={"mean:loss": [3, 1]})
    assert found.quotas.tolist() == [38, 12]
    assert columns == [["mean:loss"]]


def test_a_column_that_is_not_there_is_named(own_rule):
    own_rule("by-loss", root, needs=("sizes", "mean:loss"))
    with pytest.raises(DropError, match="columns: rule 'by-loss' needs 'mean:loss'"):
        allocate([5, 5], None, 0.5, rule="by-loss")


def test_the_mean_of_a_field_decides_the_quotas_of_a_dataset(own_rule, dataset):
    losses = {name: float(k + 1) for k, name in enumerate(sorted(dataset.distinct("name")))}
    dataset.set_values("loss", [losses[name] for name in dataset.values("name")])
    own_rule("by-loss", lambda c: c["sizes"] * c["mean:loss"], needs=("sizes", "mean:loss"))
    plan = fod.plan_drop(dataset, 0.4, rule="by-loss")
    assert plan.recalls is None
    np.testing.assert_allclose(plan.table.columns["mean:loss"], list(losses.values()))
    by_hand = allocate(
        plan.table.by_class("sizes"),
        {name: 1 - loss / 10 for name, loss in losses.items()},
        0.4,
        min_per_class=1,
    )
    assert plan.quotas == dict(zip(by_hand.classes, by_hand.quotas.tolist(), strict=True))


def test_what_another_run_keeps_decides_the_quotas_of_the_next(own_rule, dataset, recalls):
    dataset.apply_drop(density=0.5, recalls=recalls, key="before")
    own_rule("as-before", lambda c: c["kept:before"], needs=("kept:before",))
    view = dataset.apply_drop(density=0.5, rule="as-before", key="after")
    before, after = (fod.load_drop(dataset, key).table for key in ("before", "after"))
    assert after.quotas.tolist() == before.quotas.tolist()
    assert after.columns["kept:before"].tolist() == before.quotas.tolist()
    assert len(view) == 150


def test_a_column_of_a_field_or_run_that_is_not_there_is_refused(own_rule, dataset):
    own_rule("by-loss", root, needs=("sizes", "mean:loss"))
    own_rule("as-before", root, needs=("sizes", "kept:before"))
    with pytest.raises(DropError, match=r"rule: .*number field.*'by-loss' needs its mean"):
        fod.plan_drop(dataset, 0.5, rule="by-loss")
    with pytest.raises(DropError, match=r"'before' .*does not exist"):
        fod.plan_drop(dataset, 0.5, rule="as-before")


@pytest.mark.parametrize("answer", ["x", None, [[1], [1, 2]], [1j, 1j], ["1", "2"], [1, -1], [1]])
def test_a_rule_that_gives_no_weights_is_refused_by_the_argument_rule(answer):
    odd = Rule("odd", ("sizes",), lambda columns: answer, "odd", "a test")
    with pytest.raises(DropError, match="one finite weight") as caught:
        class_weights(odd, {"sizes": np.ones(2)})
    assert caught.value.argument == "rule"


def test_a_rule_is_a_function():
    with pytest.raises(DropError, match="function: must be a function"):
        fod.register_rule("no-function", description="odd", source="a test")(3)
    assert "no-function" not in RULES


def test_a_run_that_a_rule_needs_and_is_not_there_is_about_the_argument_rule(own_rule, dataset):
    own_rule("own", root, needs=("kept:nowhere",))
    with pytest.raises(DropError, match="'nowhere'") as caught:
        fod.plan_drop(dataset, 0.5, rule="own")
    assert caught.value.argument == "rule"


@pytest.mark.parametrize("rule", ["balanced", "none"])
@pytest.mark.parametrize(
    "call",
    [
        lambda **given: fod.allocate({"a": 5, "b": 5}, None, 0.5, **given),
        lambda **given: fod.plan_arrays([1, 2], ["a", "b"], 0.5, **given),
    ],
)
def test_weights_and_a_rule_are_not_given_together_at_any_door(call, rule):
    with pytest.raises(DropError, match=f"^weights: .* leave rule='{rule}' out"):
        call(rule=rule, weights={"a": 1.0, "b": 1.0})
