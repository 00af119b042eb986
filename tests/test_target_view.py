"""``TargetView`` is for type checkers; tests/test_types.py shows what they see."""

import fiftyone as fo
import fiftyone.core.collections as foc

import fiftyone_drop as fod


def test_it_has_the_function_as_its_method_and_all_that_collections_have():
    assert fod.TargetView.apply_drop is fod.apply_drop
    assert issubclass(fod.TargetView, foc.SampleCollection)


def test_at_run_time_nothing_is_one(dataset):
    assert not isinstance(dataset, fod.TargetView)
    assert not isinstance(dataset.view(), fod.TargetView)
    assert isinstance(dataset, fo.Dataset)
