"""What is decided of twelve samples of three classes, without a dataset."""

import inspect

import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.decision import check_amount, decide
from fiftyone_drop.options import DropOptions
from fiftyone_drop.population import Population
from fiftyone_drop.recall_sources import Recalls

IDS = np.array([b"%024x" % i for i in range(12)])
CODES = np.repeat(np.arange(3, dtype=np.int32), [6, 4, 2])
CLASSES = ("a", "b", "c")


def decided(recalls=None, **arguments):
    """What is decided of twelve samples of three classes, without a dataset."""
    scores = {"loss": np.arange(12.0)}
    population = Population(IDS, CODES, CLASSES, CODES, CLASSES, values=scores)
    options = DropOptions.parse(DEFAULTS | arguments)
    keep_at, table = decide(options, population, True, recalls, {})
    return keep_at, table


DEFAULTS = {
    name: parameter.default
    for name, parameter in inspect.signature(fod.apply_drop).parameters.items()
    if name != "samples"
} | {"density": 0.5, "rule": "proportional"}


@pytest.mark.parametrize("rule", ["proportional", "balanced", "drop", "none"])
def test_the_samples_below_a_density_are_those_of_the_quotas(rule):
    recalls = Recalls(np.array([0.9, 0.5, 0.1]), "a test")
    keep_at, _ = decided(recalls, rule=rule)
    assert sorted(keep_at) == ((np.arange(12) + 0.5) / 12).tolist()
    for n in range(3, 13):
        _, table = decided(recalls, rule=rule, density=n / 12, allow_empty_classes=True)
        counted = np.bincount(CODES[keep_at <= n / 12], minlength=3)
        assert table.quotas.tolist() == counted.tolist()
        assert table.quotas.sum() == n


def test_inside_a_class_the_score_decides():
    keep_at, _ = decided(select="loss")
    for code in range(3):
        assert np.all(np.diff(keep_at[code == CODES]) < 0)


def test_recalls_and_their_counts_stand_in_the_table():
    counts = np.array([9, 5, 1]), np.array([10, 10, 10])
    values = np.array([0.9, 0.5, 0.1])
    _, table = decided(Recalls(values, "a test", *counts), rule="drop")
    assert table.recalls.tolist() == values.tolist()
    assert (table.correct.tolist(), table.support.tolist()) == ([9, 5, 1], [10, 10, 10])
    assert table.weights.tolist() == pytest.approx([6 * 0.1, 4 * 0.5, 2 * 0.9])
    assert table.bounds.floors.tolist() == [1, 1, 1]


def test_an_amount_is_refused_before_recalls_are_known_as_it_is_after():
    """With bytes too: the samples within the floors do not depend on the recalls."""
    sizes = np.arange(1, 13) * 100
    population = Population(IDS, CODES, CLASSES, CODES, CLASSES, file_sizes=sizes)
    for arguments in ({"max_bytes": 500}, {"size": 2}, {"size": 12, "max_per_class": 3}):
        given = {"density": None, "min_per_class": 2, "rule": "drop"} | arguments
        options = DropOptions.parse(DEFAULTS | given)
        messages = []
        for recalls in ([0.9, 0.5, 0.1], [0.1, 0.5, 0.9]):
            with pytest.raises(DropError) as caught:
                decide(options, population, True, Recalls(np.array(recalls), "a test"), {})
            messages.append(str(caught.value))
        with pytest.raises(DropError) as caught:
            check_amount(options, population, True)
        messages.append(str(caught.value))
        if "max_bytes" in arguments:  # how many fit depends on the order, what is needed does not
            messages = [message.partition("; ")[2] for message in messages]
        assert len(set(messages)) == 1
