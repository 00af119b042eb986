"""What a report advises besides the quotas."""

from dataclasses import replace

import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop.advice import advice
from fiftyone_drop.class_table import ClassTable


def table(correct=(40, 20), support=(50, 50), sizes=(100, 100), density=0.5, **changes):
    correct, support, sizes = map(np.array, (correct, support, sizes))
    recalls = correct / support
    made = {
        "classes": tuple(f"c{i}" for i in range(len(sizes))),
        "sizes": sizes,
        "density": density,
        "quotas": np.full(len(sizes), 1),
        "weights": 1 - recalls,
        "recalls": recalls,
        "correct": correct,
        "support": support,
    }
    return ClassTable(**made | changes)


def test_recalls_that_differ_by_more_than_noise_need_quotas():
    (text,) = advice(table())
    assert text.startswith("quotas matter here: the recalls differ by more than noise, from 0.40")


def test_recalls_within_noise_say_that_proportional_may_do():
    (text,) = advice(table(correct=(31, 29)))
    assert "rule='proportional' may do as well" in text


@pytest.mark.parametrize("correct", [(0, 0), (50, 50)])
def test_recalls_that_are_all_the_same_are_no_reason_for_quotas(correct):
    (text,) = advice(table(correct=correct))
    assert "may be noise" in text


def test_where_nearly_all_is_kept_quotas_change_little():
    (text,) = advice(table(density=0.85))
    assert text == "nearly all samples are kept (0.85), so quotas change little"


def test_a_long_tail_needs_offsets_whatever_the_rule():
    without = {"weights": None, "recalls": None, "correct": None, "support": None}
    (text,) = advice(replace(table(sizes=(1000, 10)), **without))
    assert "100 times the samples" in text
    assert "class offsets on logits, fod.class_offsets, take it out" in text


NO_RECALLS = {"recalls": None, "correct": None, "support": None}


@pytest.mark.parametrize("weights", [None, np.array([100.0, 10.0])], ids=["none", "proportional"])
def test_a_run_that_keeps_the_same_share_of_each_class_needs_offsets_at_ten_to_one(weights):
    (text,) = advice(replace(table(sizes=(100, 10)), weights=weights, **NO_RECALLS))
    assert text.startswith("the largest class has 10 times the samples of the smallest. A run with")
    assert not list(advice(replace(table(sizes=(99, 10)), weights=weights, **NO_RECALLS)))


@pytest.mark.parametrize("sizes", [(100, 10), (290, 10)])
def test_a_run_with_quotas_needs_offsets_on_a_steeper_tail_alone(sizes):
    with_quotas = table(sizes=sizes, weights=np.array([1.0, 1.0]))
    assert not list(advice(replace(with_quotas, **NO_RECALLS)))
    (text,) = advice(replace(table(sizes=(300, 10), weights=np.ones(2)), **NO_RECALLS))
    assert "30 times the samples of the smallest. Quotas alone leave" in text


def test_given_recalls_say_nothing_about_noise():
    assert not list(advice(replace(table(), correct=None, support=None)))


def test_it_stands_in_the_report(two_classes):
    dataset = two_classes(val={"cat": 45, "dog": 20})
    dataset.match_tags("train").apply_drop(0.5, eval_key="val", progress=False)
    texts = [text for _, text in fod.report(dataset, "drop").findings]
    assert any("the recalls differ by more than noise" in text for text in texts), texts
