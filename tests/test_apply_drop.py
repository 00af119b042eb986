"""The main path: ``dataset.apply_drop`` on real images, and what it leaves in the dataset."""

import fiftyone as fo
import numpy as np
import pytest
from fiftyone import ViewField as F

import fiftyone_drop as fod


def counts(view):
    return view.count_values("ground_truth.label")


def test_class_counts_of_the_kept_samples_equal_the_plan(dataset, recalls):
    plan = fod.plan_drop(dataset, 0.5, recalls=recalls)
    view = dataset.apply_drop(density=0.5, recalls=recalls)
    assert counts(view) == plan.quotas
    assert len(view) == fod.kept_size(len(dataset), 0.5) == sum(plan.quotas.values())
    assert set(view.values("id")) == set(plan.kept_ids)
