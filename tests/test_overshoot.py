"""The warning that quotas go too far, against the map of the two-Gaussian model."""

import sys
from pathlib import Path

import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import ClassTable, DropWarning, allocate
from fiftyone_drop.overshoot import overshoot_warning, risks_after

sys.path.insert(0, str(Path(__file__).parents[1] / "benchmarks" / "paper"))

from theory import DENSITIES, PRIORS, RATIOS, SEPARATIONS, Setting, prune


def table_of(sizes, recalls, density):
    sizes, recalls = np.asarray(sizes), np.asarray(recalls)
    found = allocate(sizes, recalls, density)
    names = tuple(f"class {k}" for k in range(len(sizes)))
    return ClassTable(names, sizes, density, found.quotas, sizes * (1 - recalls), 0, recalls)


@pytest.fixture(scope="module")
def some_of_the_map():
    """Every ninth of the settings in which both classes are learnt, and what becomes of it."""
    settings = [
        (Setting(separation, float(ratio), float(prior)), density)
        for separation in SEPARATIONS
        for density in DENSITIES
        for ratio in RATIOS[::3]
        for prior in PRIORS[::3]
    ]
    outcomes = [(setting, density, prune(setting, density)) for setting, density in settings]
    return [one for one in outcomes if one[2] is not None]


@pytest.mark.parametrize("validation", [None, 500, 100])
def test_it_warns_where_the_worst_risk_rises_and_hardly_where_it_falls(some_of_the_map, validation):
    rng = np.random.default_rng(0)
    warned = {True: [], False: []}
    for setting, density, outcome in some_of_the_map:
        recalls = 1 - np.array(outcome.risks_before)
        if validation is not None:
            observed = rng.binomial(validation, recalls)
            recalls = (observed + 0.5) / (validation + 1)
        sizes = np.rint(100_000 * np.array([setting.prior, 1 - setting.prior])).astype(int)
        words = overshoot_warning(table_of(sizes, recalls, density))
        if abs(outcome.change) > 1e-9:
            warned[outcome.change > 0].append(words is not None)
    assert np.mean(warned[True]) >= 0.8
    assert np.mean(warned[False]) <= 0.1


def test_the_risks_of_two_gaussians_are_predicted_exactly(some_of_the_map):
    for setting, density, outcome in some_of_the_map[::7]:
        sizes = np.rint(1_000_000 * np.array([setting.prior, 1 - setting.prior])).astype(int)
        recalls = 1 - np.array(outcome.risks_before)
        kept = allocate(sizes, recalls, density).quotas
        if min(outcome.risks_before) > 1e-5 and np.isfinite(outcome.after):
            found = risks_after(sizes, recalls, kept)
            np.testing.assert_allclose(found, outcome.risks_after, atol=1e-3)


def test_nothing_changes_where_all_classes_keep_the_same_fraction():
    sizes, recalls = np.array([1000, 3000, 500]), np.array([0.7, 0.8, 0.9])
    found = risks_after(sizes, recalls, sizes // 2)
    np.testing.assert_allclose(found, 1 - recalls, atol=1e-6)


def test_it_is_silent_where_drop_has_been_seen_to_help():
    """Recalls like those of the weak network of docs/evidence.md on CIFAR-10."""
    recalls = [0.78, 0.87, 0.65, 0.56, 0.70, 0.66, 0.82, 0.79, 0.86, 0.84]
    for density in (0.2, 0.3, 0.5, 0.8):
        assert overshoot_warning(table_of([2000] * 10, recalls, density)) is None


def test_a_weak_model_of_two_classes_is_warned_about_and_the_report_repeats_it(two_classes):
    dataset = two_classes(val={"cat": 20, "dog": 45}, final={"cat": 45, "dog": 2})
    with pytest.warns(DropWarning, match="quotas may go too far: the worst recall, 0.4.* of 'cat'"):
        dataset.match_tags("train").apply_drop(density=0.3, eval_key="val")
    report = fod.report(dataset, "drop")
    assert any("may go too far" in text for level, text in report.findings if level == "warning")


def test_it_has_nothing_to_say_of_cells_emptied_classes_and_no_recalls():
    sizes, weights = np.array([50, 50]), np.array([0.6, 0.1])
    recalls = np.array([0.4, 0.9])
    cells = (("a", "x"), ("b", "x"))
    assert overshoot_warning(table_of([50, 50], recalls, 0.3)) is not None
    for table in (
        ClassTable(cells, sizes, 0.3, np.array([28, 2]), weights, 0, recalls),
        ClassTable(("a", "b"), sizes, 0.3, np.array([30, 0]), weights, 0, recalls),
        ClassTable(("a", "b"), sizes, 0.3, np.array([28, 2]), weights),
        ClassTable(("a",), sizes[:1], 0.3, np.array([15]), weights[:1], 0, recalls[:1]),
    ):
        assert overshoot_warning(table) is None
