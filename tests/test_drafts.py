"""Drafts: the quotas of a run with other limits, before anything is written."""

import numpy as np
import pytest

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.drafts import KINDS, draft_arguments, draft_table

DENSITY = 0.4


@pytest.fixture
def run(dataset, recalls):
    dataset.apply_drop(DENSITY, recalls=recalls, min_per_class=2)
    return fod.load_drop(dataset, "drop")


LIMITS = {0: ("all", 0), 2: ("least", 20), 4: ("most", 3), 6: ("exactly", 7)}


def test_a_draft_has_its_limits_and_the_total_stays(run):
    table = draft_table(run.table, LIMITS).at(DENSITY)
    assert table.quotas.sum() == run.table.quotas.sum() == 120
    assert table.quotas[0] == table.sizes[0]
    assert table.quotas[2] >= 20
    assert table.quotas[4] <= 3
    assert table.quotas[6] == 7
    assert table.quotas.min() >= 2  # the floor of the run
    np.testing.assert_array_equal(draft_table(run.table, {}).at(DENSITY).quotas, run.table.quotas)


def test_the_run_of_a_draft_keeps_what_the_draft_says(dataset, run):
    drawn = draft_table(run.table, LIMITS)
    dataset.apply_drop(DENSITY, key="second", **draft_arguments(run, LIMITS))
    made = fod.load_drop(dataset, "second").table
    np.testing.assert_array_equal(made.quotas, drawn.at(DENSITY).quotas)
    np.testing.assert_array_equal(made.quotas_at([0.5, 0.7]), drawn.quotas_at([0.5, 0.7]))
    np.testing.assert_array_equal(made.recalls, run.table.recalls)


def test_what_cannot_be_kept_is_said_of_its_class(run):
    name, size = run.table.names[3], int(run.table.sizes[3])
    with pytest.raises(DropError, match=rf"'{name}' {size + 1} samples cannot .* has {size}"):
        draft_table(run.table, {3: ("exactly", size + 1)})
    everything = dict.fromkeys(range(8), (KINDS[0], 0))
    with pytest.raises(DropError, match="density"):
        draft_table(run.table, everything).at(DENSITY)


@pytest.mark.parametrize("limits", [{10: ("all", 0)}, {0: ("some", 1)}, {0: ("least", -1)}])
def test_a_limit_that_is_none_is_refused(run, limits):
    with pytest.raises(DropError, match="limits"):
        draft_table(run.table, limits)
