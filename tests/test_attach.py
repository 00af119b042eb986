"""Datasets and views have ``apply_drop``, whichever of the two packages is imported first."""

import sys

import fiftyone as fo
import fiftyone.core.collections as foc
import pytest
from fresh import run

import fiftyone_drop as fod
from fiftyone_drop import _attach


def test_datasets_get_the_method_where_fiftyone_is_imported_first(monkeypatch):
    """The test that loads the plugin sees the same in a process of its own."""
    monkeypatch.delattr(foc.SampleCollection, "apply_drop")
    _attach.attach()
    assert fo.Dataset.apply_drop.__name__ == fo.DatasetView.apply_drop.__name__ == "apply_drop"


def test_and_where_it_is_not_and_a_plan_with_given_recalls_never_imports_torch(dataset, recalls):
    """In one process, for FiftyOne takes seconds to import."""
    out = run(f"""
        import sys
        import fiftyone_drop as fod
        import fiftyone as fo
        print(fo.Dataset.apply_drop.__name__, fo.DatasetView.apply_drop.__name__)
        plan = fod.plan_drop(fo.load_dataset({dataset.name!r}), 0.5, recalls={recalls!r})
        import fiftyone_drop.pruning
        print(len(plan.kept_ids), "torch" in sys.modules)
        print(any("fiftyone_drop" in type(f).__module__ for f in sys.meta_path))
    """)
    assert out.splitlines()[-3:] == ["apply_drop apply_drop", "150 False", "False"]


def test_only_one_finder_waits_for_fiftyone_however_often_it_is_attached(monkeypatch):
    monkeypatch.delitem(sys.modules, _attach.COLLECTIONS)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    for _ in range(2):
        _attach.attach()
    finders = [finder for finder in sys.meta_path if isinstance(finder, _attach._Finder)]
    assert len(finders) == 1
    assert finders[0].find_spec("fiftyone.core.dataset", None) is None
    assert finders[0] in sys.meta_path


def test_the_method_passes_its_arguments_on(dataset, monkeypatch):
    calls = []

    def remember(*values, **named):
        calls.append((values, named))

    monkeypatch.setattr("fiftyone_drop.pruning.apply_drop", remember)
    view = dataset.limit(3)
    view.apply_drop(0.5, key="half")
    dataset.apply_drop(density=0.3)
    assert calls == [((view, 0.5), {"key": "half"}), ((dataset, 0.3), {})]


def test_an_unknown_argument_is_pythons_own_error(dataset):
    with pytest.raises(TypeError, match="densty"):
        dataset.apply_drop(0.5, densty=0.3)
    with pytest.raises(TypeError, match="densty"):
        fod.plan_drop(dataset, 0.5, densty=0.3)
    assert fo.Dataset.apply_drop is fo.DatasetView.apply_drop
