"""A run is carried to another dataset of the same files, and to another database."""

import os
import subprocess
import sys
from pathlib import Path

import fiftyone as fo
import numpy as np
import pytest
from whole_runs import assert_whole, contents

import fiftyone_drop as fod
from fiftyone_drop import DropError
from fiftyone_drop.snapshot import delete_snapshot

DENSITIES = (0.1, 0.3, 0.5, 0.77, 1.0)


def kept_paths(dataset, key="drop", density=None):
    return set(fod.drop_view(dataset, key, density).values("filepath"))


@pytest.fixture
def run(dataset, recalls):
    """A dataset with a run at 0.5."""
    dataset.apply_drop(0.5, label_field="ground_truth", recalls=recalls, min_per_class=2)
    return dataset


@pytest.fixture
def elsewhere(make_dataset):
    """The same files in another order, with other ids."""
    rows = np.random.default_rng(0).permutation(300).tolist()
    return make_dataset(rows=rows)


@pytest.fixture
def file(run, tmp_path):
    """The manifest of the run."""
    return fod.save_manifest(run, "drop", tmp_path / "drop.parquet")


def test_the_same_files_are_kept_at_every_density(run, elsewhere, file):
    view = fod.load_manifest(elsewhere, file)
    assert set(view.values("filepath")) == kept_paths(run)
    assert fod.verify_drop(elsewhere, "drop").unchanged
    last = set()
    for density in DENSITIES:
        moved = set(fod.set_density(elsewhere, "drop", density).values("filepath"))
        assert moved == kept_paths(run, density=density)
        assert moved >= last
        last = moved
    assert_whole(elsewhere, ["drop"])


def test_the_record_comes_with_it_under_a_token_of_its_own(run, elsewhere, file):
    fod.load_manifest(elsewhere, file, key="mine")
    there, here = fod.load_drop(run, "drop"), fod.load_drop(elsewhere, "mine")
    assert here.recalls == there.recalls
    assert str(here.table) == str(there.table)
    assert here.config.asked == there.config.asked
    assert here.config.recalls_from == there.config.recalls_from
    assert here.config.found["manifest"] == f"drop.parquet: 'drop' of '{run.name}'"
    assert here.config.token not in (None, there.config.token)
    assert here.config.fields == ["mine_keep_at", "mine_kept"]
    fod.delete_drop(elsewhere, "mine")
    assert fod.list_drops(elsewhere) == []
    assert fod.list_drops(run) == ["drop"]


def test_it_is_carried_as_it_stands(run, elsewhere, tmp_path):
    fod.set_density(run, "drop", 0.3)
    file = fod.save_manifest(run, "drop", str(tmp_path / "drop.parquet"))
    view = fod.load_manifest(elsewhere, str(file))
    assert set(view.values("filepath")) == kept_paths(run, density=0.3)
    assert fod.load_drop(elsewhere, "drop").density == 0.3


@pytest.mark.parametrize(
    "options",
    [
        {"rule": "none"},
        {"rule": "proportional", "group_by": "parity"},
        {"rule": "proportional", "select": "difficulty", "keep": "easiest"},
        {"rule": "none", "select": "difficulty", "skip_unlabeled": True},
    ],
)
def test_every_kind_of_run_comes_over(dataset, elsewhere, tmp_path, options):
    for other in (dataset, elsewhere):
        paths = other.values("filepath")
        other.set_values("difficulty", [float(hash(path) % 97) for path in paths])
        field = other.get_field("difficulty")
        field.info = {"hard": "high"}
        field.save()
    dataset.match_tags("train").limit(200).apply_drop(0.4, label_field="ground_truth", **options)
    file = fod.save_manifest(dataset, "drop", tmp_path / "a run")
    before = elsewhere.count()
    fod.load_manifest(elsewhere, file)
    assert elsewhere.exists("drop_keep_at").count() == 200 < before
    for density in (0.2, 0.4, 0.9):
        fod.set_density(elsewhere, "drop", density)
        fod.set_density(dataset, "drop", density)
        assert kept_paths(elsewhere) == kept_paths(dataset)
        there, here = fod.load_drop(dataset, "drop"), fod.load_drop(elsewhere, "drop")
        assert here.table.quotas.tolist() == there.table.quotas.tolist()
    check = fod.verify_drop(elsewhere, "drop")
    assert check.counts["relabelled"] == check.counts["rescored"] == check.counts["removed"] == 0
    assert check.counts["added"] == 100  # the target view here is the whole dataset


def test_a_manifest_of_a_manifest_is_the_same(run, elsewhere, file, tmp_path, make_dataset):
    fod.load_manifest(elsewhere, file)
    again = fod.save_manifest(elsewhere, "drop", tmp_path / "again.parquet")
    third = make_dataset()
    fod.load_manifest(third, again)
    for density in DENSITIES:
        assert kept_paths(third, density=density) == kept_paths(run, density=density)


@pytest.mark.slow
def test_it_is_carried_to_another_database(run, file, tmp_path):
    script = f"""
import fiftyone as fo, fiftyone_drop as fod
dataset = fo.Dataset("same-files")
dataset.add_samples([fo.Sample(path, ground_truth=fo.Classification(label=label))
                     for path, label in zip({run.values("filepath")!r},
                                            {run.values("ground_truth.label")!r})])
fod.load_manifest(dataset, {str(file)!r})
print("kept:", *sorted(fod.set_density(dataset, "drop", 0.3).values("filepath")), sep="\\n")
"""
    root = Path(__file__).parents[1]
    command = [sys.executable, root / "scripts" / "with_mongod.py", "--home", tmp_path / "home"]
    env = {n: v for n, v in os.environ.items() if not n.startswith("FIFTYONE_")}
    done = subprocess.run(
        [*command, "--", sys.executable, "-c", script],
        capture_output=True,
        text=True,
        env=env | {"FIFTYONE_SHOW_PROGRESS_BARS": "false"},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    paths = done.stdout.split("kept:\n")[1].split()
    assert paths == sorted(kept_paths(run, density=0.3))


# -- what a dataset has become meanwhile ----------------------------------------------------------


def test_labels_that_differ_are_refused_by_name(elsewhere, file):
    first, second = elsewhere.limit(2)
    first.ground_truth.label, second.ground_truth = "unheard of", None
    for sample in (first, second):
        sample.save()
    before = contents(elsewhere)
    with pytest.raises(DropError) as caught:
        fod.load_manifest(elsewhere, file)
    assert caught.value.argument == "dataset"
    assert "2 of 300 samples have another label" in caught.value.message
    assert f"{first.filepath!r}" in caught.value.message
    assert "no class of the run here" in caught.value.message
    assert contents(elsewhere) == before


def test_samples_that_are_missing_are_refused_or_left_out(run, elsewhere, file):
    gone = elsewhere.values("filepath")[:30]
    elsewhere.delete_samples(elsewhere.values("id")[:30])
    before = contents(elsewhere)
    with pytest.raises(DropError, match=r"does not have 30 of the 300 samples .*extra='ignore'"):
        fod.load_manifest(elsewhere, file)
    assert contents(elsewhere) == before
    fod.load_manifest(elsewhere, file, extra="ignore")
    for density in (None, *DENSITIES):
        if density is not None:
            fod.set_density(elsewhere, "drop", density)
        view = elsewhere.load_saved_view("drop-kept")
        assert set(view.values("filepath")) == kept_paths(run, density=density) - set(gone)
        quotas = fod.load_drop(elsewhere, "drop").table.by_class("quotas")
        assert view.count_values("ground_truth.label") == {n: q for n, q in quotas.items() if q}
    assert "30 of the 300 samples" in str(fod.load_drop(elsewhere, "drop"))
    assert fod.verify_drop(elsewhere, "drop").unchanged


def test_a_run_whose_samples_are_gone_or_relabelled_is_carried_as_it_was_decided(
    run, elsewhere, tmp_path
):
    sample = run.first()
    sample.ground_truth.label = "unheard of"
    sample.save()
    gone = run.values("filepath")[-7:]
    run.delete_samples(run.values("id")[-7:])
    copies = run.limit(2).clone()
    run.add_collection(copies, new_ids=True)  # copies that carry a place in the order
    file = fod.save_manifest(run, "drop", tmp_path / "drop.parquet")
    view = fod.load_manifest(elsewhere, file)
    assert set(view.values("filepath")) == kept_paths(run)
    assert not set(gone) & set(view.values("filepath"))
    assert elsewhere.exists("drop_keep_at").count() == 293
    assert "7 of the 300 samples" in fod.load_drop(elsewhere, "drop").config.warnings[-1]


def test_a_dataset_of_other_images_is_refused(make_dataset, file):
    other = make_dataset(5)
    other.set_values("filepath", [f"/elsewhere/{i}.png" for i in range(5)])
    for arguments in ({}, {"extra": "ignore"}):
        with pytest.raises(DropError, match=r"^dataset: .* 300 of the 300 samples"):
            fod.load_manifest(other, file, **arguments)
    other.delete_sample_field("ground_truth")
    with pytest.raises(DropError, match=r"^dataset: .*no field 'ground_truth'"):
        fod.load_manifest(other, file)
    with pytest.raises(DropError, match=r"^dataset: the target view is empty"):
        fod.load_manifest(other.limit(0), file)


# -- keys and files -------------------------------------------------------------------------------


def test_a_key_that_is_taken_is_refused_or_its_run_replaced(run, elsewhere, file):
    elsewhere.apply_drop(0.2, label_field="ground_truth", rule="proportional")
    before = contents(elsewhere)
    with pytest.raises(DropError, match=r"^key: there is a drop run 'drop' already"):
        fod.load_manifest(elsewhere, file)
    assert contents(elsewhere) == before
    fod.load_manifest(elsewhere, file, overwrite=True)
    assert_whole(elsewhere, ["drop"])
    assert kept_paths(elsewhere) == kept_paths(run)


def test_a_file_is_replaced_when_that_is_asked_for_and_if_it_is_a_manifest(run, file, tmp_path):
    with pytest.raises(DropError, match=r"^path: .* exists; pass overwrite=True"):
        fod.save_manifest(run, "drop", file)
    before = file.read_bytes()
    fod.set_density(run, "drop", 0.3)
    fod.save_manifest(run, "drop", file, overwrite=True)
    assert file.read_bytes() != before
    other = tmp_path / "notes.txt"
    other.write_text("mine")
    for path in (other, tmp_path):
        with pytest.raises(DropError, match=r"^path: .* exists and is no manifest"):
            fod.save_manifest(run, "drop", path, overwrite=True)
    assert other.read_text() == "mine"
    with pytest.raises(DropError, match=r"^path: there is no folder .*/missing;"):
        fod.save_manifest(run, "drop", tmp_path / "missing" / "drop.parquet")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["drop.parquet", "notes.txt"]


def test_a_disk_that_is_full_leaves_the_old_file(run, file, monkeypatch):
    before = file.read_bytes()

    def full(source, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(DropError, match=r"^path: .* cannot be written .*No space left"):
        fod.save_manifest(run, "drop", file, overwrite=True)
    assert file.read_bytes() == before
    assert [p.name for p in file.parent.iterdir()] == [file.name]


def test_an_order_that_was_altered_is_not_carried_on(run, tmp_path):
    run.set_values("drop_keep_at", [0.123456] * 300)
    with pytest.raises(DropError, match=r"^key: the run 'drop' is not as it was written"):
        fod.save_manifest(run, "drop", tmp_path / "drop.parquet")
    assert list(tmp_path.iterdir()) == []
    run.set_values("drop_keep_at", [None] * 300)
    with pytest.raises(DropError, match=r"^key: .* it has no sample"):
        fod.save_manifest(run, "drop", tmp_path / "drop.parquet")


def test_an_earlier_run_is_carried_with_the_labels_of_today(run, elsewhere, tmp_path):
    delete_snapshot(fod.load_drop(run, "drop").config.token)
    file = fod.save_manifest(run, "drop", tmp_path / "drop.parquet")
    fod.load_manifest(elsewhere, file)
    assert kept_paths(elsewhere) == kept_paths(run)
    sample = run.first()
    sample.ground_truth = fo.Classification(label="unheard of")
    sample.save()
    with pytest.raises(DropError, match=r"^key: 1 samples of the run 'drop' have no class of it"):
        fod.save_manifest(run, "drop", tmp_path / "other.parquet")


def test_without_pyarrow_the_extra_is_named(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    for call in (
        lambda: fod.save_manifest(run, "drop", tmp_path / "drop.parquet"),
        lambda: fod.load_manifest(run, tmp_path / "drop.parquet"),
    ):
        with pytest.raises(DropError, match=r"pip install 'fiftyone-drop\[parquet\]'"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_floors_caps_and_cells_of_several_groups_are_carried(run, elsewhere, tmp_path):
    for dataset in (run, elsewhere):
        paths = dataset.values("filepath")
        place = {path: i for i, path in enumerate(sorted(paths))}
        dataset.set_values("even", [place[path] % 2 == 0 for path in paths])
        dataset.set_values("third", [place[path] % 3 for path in paths])
    run.apply_drop(
        0.3,
        label_field="even",
        group_by=["third"],
        rule="proportional",
        must_keep=run[:4],
        max_per_class=30,
        key="bounded",
    )
    run.apply_drop(
        0.4, label_field="ground_truth", group_by=["even", "third"], rule="none", key="cells"
    )
    for key in ("bounded", "cells"):
        file = fod.save_manifest(run, key, tmp_path / f"{key}.parquet")
        fod.load_manifest(elsewhere, file, match="filepath")
        assert fod.verify_drop(elsewhere, key).unchanged
        there, here = fod.load_drop(run, key), fod.load_drop(elsewhere, key)
        assert here.table.to_dict() == there.table.to_dict()
        assert here.config.asked == there.config.asked
        for density in (0.05, 0.3, 0.5):
            kept = fod.drop_view(elsewhere, key, density).values("filepath")
            assert set(kept) == kept_paths(run, key, density)
    with pytest.raises(DropError, match="max_per_class"):
        fod.set_density(elsewhere, "bounded", 1.0)


def test_an_extended_run_is_carried(run, elsewhere, recalls, tmp_path):
    run[:200].apply_drop(0.5, label_field="ground_truth", recalls=recalls, key="part")
    fod.extend_drop(run, "part", run)
    file = fod.save_manifest(run, "part", tmp_path / "part.parquet")
    view = fod.load_manifest(elsewhere, file)
    assert set(view.values("filepath")) == kept_paths(run, "part")
    kept = fod.set_density(elsewhere, "part", 0.2).values("filepath")
    assert set(kept) == kept_paths(run, "part", 0.2)


def test_a_run_with_a_score_that_is_infinite_is_carried(dataset, elsewhere, recalls, tmp_path):
    dataset.add_sample_field("loss", fo.FloatField, info={"hard": "high"})
    dataset.set_values("loss", [float("inf"), *map(float, range(299))])
    dataset.apply_drop(0.5, recalls=recalls, select="loss")
    file = fod.save_manifest(dataset, "drop", tmp_path / "drop.parquet")
    fod.load_manifest(elsewhere, file)
    assert kept_paths(elsewhere) == kept_paths(dataset)
