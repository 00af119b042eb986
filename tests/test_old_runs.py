"""Runs that an earlier version wrote open, move, compare and are deleted.

``data/runs_before_the_redesign.zip`` is FiftyOne's own export of a dataset with five runs, written
by the last commit whose records had no sections.
"""

import json
import uuid
import zipfile
from pathlib import Path

import pytest

import fiftyone_drop as fod

ARCHIVE = Path(__file__).parent / "data" / "runs_before_the_redesign.zip"
KEYS = ["drop", "evaluated", "grouped", "predicted", "scored"]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The folder of the export."""
    folder = tmp_path_factory.mktemp("exported")
    with zipfile.ZipFile(ARCHIVE) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def expected(exported):
    """What the earlier version said of its runs."""
    return json.loads((exported / "expected.json").read_text())


@pytest.fixture
def old(exported, made_datasets):
    """The dataset."""
    import fiftyone as fo

    dataset = fo.Dataset.from_dir(
        str(exported),
        dataset_type=fo.types.FiftyOneDataset,
        name=f"test-{uuid.uuid4().hex}",
        progress=False,
    )
    made_datasets.append(dataset)
    return dataset


@pytest.mark.parametrize("key", KEYS)
def test_an_old_run_opens_as_it_was(old, expected, key):
    run = fod.load_drop(old, key)
    assert run.density == expected[key]["density"]
    assert run.table.quotas.tolist() == expected[key]["quotas"]
    assert sorted(fod.drop_view(old, key).values("filepath")) == expected[key]["kept"]
    at_another = fod.drop_view(old, key, 0.8)
    assert sorted(at_another.values("filepath")) == expected[key]["kept_at_0.8"]
    assert len(old.load_saved_view(f"{key}-kept")) == len(expected[key]["kept"])
    assert fod.report(old, key).title.startswith(f"Drop run '{key}'")


def test_the_record_of_an_old_run_is_read_into_sections(old):
    assert fod.list_drops(old) == KEYS
    config = fod.load_drop(old, "evaluated").config
    assert config.asked["smoothing"] == 0.5
    assert config.asked["keep"] == "easiest"
    assert config.asked["density"] == 0.6
    assert config.recalls_from == "evaluation 'ev'"
    assert len(config.warnings) == 2
    assert config.found["size"] == 60
    assert config.written_eval_key is None
    assert fod.load_drop(old, "predicted").config.written_eval_key == "predicted_eval"
    assert fod.load_drop(old, "grouped").config.group_by == "parity"


@pytest.mark.parametrize("key", KEYS)
def test_an_old_run_moves_and_stays_readable(old, expected, key):
    view = fod.set_density(old, key, 0.8)
    assert sorted(view.values("filepath")) == expected[key]["kept_at_0.8"]
    old.reload()
    run = fod.load_drop(old, key)
    assert run.density == 0.8
    assert int(run.table.quotas.sum()) == len(view)
    assert len(old.load_saved_view(f"{key}-kept")) == len(view)


def test_old_runs_compare(old, expected):
    comparison = fod.compare_drops(old, "drop", "evaluated")
    first, second = (set(expected[key]["kept"]) for key in ("drop", "evaluated"))
    assert comparison.kept_by_both.sum() == len(first & second)
    assert comparison.only_first.sum() == len(first - second)


@pytest.mark.parametrize("key", KEYS)
def test_an_old_run_is_deleted_without_a_trace(old, key):
    fod.delete_drop(old, key)
    assert fod.list_drops(old) == [other for other in KEYS if other != key]
    left = [name for name in old.get_field_schema() if name.startswith(f"{key}_")]
    assert left == []
    assert not any(name.startswith(f"{key}-") for name in old.list_saved_views())


@pytest.mark.parametrize("key", KEYS)
def test_an_old_run_can_be_replaced(old, key):
    view = old.apply_drop(density=0.5, rule="proportional", key=key, overwrite=True)
    assert len(view) == 30
    assert fod.load_drop(old, key).config.asked["rule"] == "proportional"
