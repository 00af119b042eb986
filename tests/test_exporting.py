"""Exports of what a run keeps: into a new folder and nowhere else, whole or not at all."""

from pathlib import Path

import fiftyone as fo
import pytest

import fiftyone_drop as fod
from fiftyone_drop.exporting import DATASET_TYPES, PARTIAL, check_folders, export


@pytest.mark.parametrize("dataset_type", DATASET_TYPES)
def test_every_format_holds_the_samples(dataset, tmp_path, dataset_type):
    view = dataset[:10]
    assert export(view, str(tmp_path / "out"), dataset_type, "ground_truth") == 10
    assert len(list((tmp_path / "out").rglob("*.png"))) == 10


class StoppedError(Exception):
    pass


def stop(_):
    raise StoppedError


def test_an_export_that_is_interrupted_leaves_nothing(dataset, tmp_path):
    with pytest.raises(StoppedError):
        export(dataset[:10], str(tmp_path / "out"), DATASET_TYPES[0], "ground_truth", stop)
    assert not list(tmp_path.iterdir())


def test_an_empty_folder_of_before_stays_where_an_export_is_interrupted(dataset, tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(StoppedError):
        export(dataset[:10], str(tmp_path / "out"), DATASET_TYPES[0], "ground_truth", stop)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert export(dataset[:10], str(tmp_path / "out"), DATASET_TYPES[0], "ground_truth") == 10


def test_of_two_exports_into_one_folder_the_first_to_end_stands(dataset, tmp_path):
    out, begun = str(tmp_path / "out"), []

    def meanwhile(_):
        if not begun:
            begun.append(True)
            export(dataset[:5], out, "ImageDirectory", "ground_truth")

    with pytest.raises(fod.DropError, match="could not be written whole"):
        export(dataset[:10], out, "ImageDirectory", "ground_truth", meanwhile)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert len(list((tmp_path / "out").iterdir())) == 5


def test_an_empty_folder_is_filled_and_not_replaced_wherever_this_process_is(
    dataset, tmp_path, monkeypatch
):
    """It may be another file system, which nothing is renamed over."""
    out = tmp_path / "out"
    out.mkdir()
    before = out.stat().st_ino
    monkeypatch.chdir(out)
    assert export(dataset[:10], ".", DATASET_TYPES[0], "ground_truth") == 10
    assert out.stat().st_ino == before
    assert len(list(Path.cwd().rglob("*.png"))) == 10
    assert not list(out.glob(".*"))


def test_a_folder_that_is_filled_meanwhile_stays_as_it_is(dataset, tmp_path):
    out = tmp_path / "out"
    out.mkdir()

    def meanwhile(_):
        (out / "of another").touch()

    with pytest.raises(fod.DropError, match="could not be written whole"):
        export(dataset[:10], str(out), "ImageDirectory", "ground_truth", meanwhile)
    assert [path.name for path in out.iterdir()] == ["of another"]


def test_an_export_that_cannot_be_moved_into_its_folder_as_a_whole_leaves_it_empty(
    dataset, tmp_path, monkeypatch
):
    out, rename, moved = tmp_path / "out", Path.rename, []
    out.mkdir()

    def fails(self, target):
        if Path(target).parent == out:
            moved.append(target)
            if len(moved) == 3:
                raise OSError("no more")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fails)
    with pytest.raises(fod.DropError, match="no more"):
        export(dataset[:10], str(out), "ImageDirectory", "ground_truth")
    assert len(moved) == 3
    assert not list(out.iterdir())


def test_nothing_that_is_exported_names_the_folder_it_was_written_in(dataset, tmp_path):
    export(dataset[:3], str(tmp_path / "out"), "FiftyOneDataset", "ground_truth")
    files = list((tmp_path / "out").rglob("*.json"))
    assert files
    assert not any("exporting-" in path.read_text() for path in files)


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", ".hidden", "", "a\\b", "/etc"])
def test_a_class_that_leads_elsewhere_is_refused(dataset, tmp_path, name):
    with pytest.raises(fod.DropError, match="no names of folders"):
        check_folders(["cat", name])
    dataset[:1].set_values("ground_truth", [fo.Classification(label=name)])
    with pytest.raises(fod.DropError, match="no names of folders"):
        export(dataset[:10], str(tmp_path / "out"), DATASET_TYPES[0], "ground_truth")
    assert not list(tmp_path.iterdir())


def test_a_folder_with_files_is_refused(dataset, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(fod.DropError, match="must be a new or an empty folder"):
        export(dataset[:10], str(tmp_path), DATASET_TYPES[0], "ground_truth")


@pytest.mark.parametrize("path", ["/dev/zero", "s3://bucket/x.png", "/"])
def test_what_is_no_plain_file_is_not_copied(dataset, tmp_path, path):
    dataset[:1].set_values("filepath", [path])
    for dataset_type in DATASET_TYPES:
        with pytest.raises(fod.DropError, match="1 of 10 have a filepath that is no plain file"):
            export(dataset[:10], str(tmp_path / "out"), dataset_type, "ground_truth")
    assert not list(tmp_path.iterdir())


def test_an_address_is_no_folder(dataset, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(fod.DropError, match="export_dir: must be a path on this machine"):
        export(dataset[:10], "s3://bucket/out", DATASET_TYPES[0], "ground_truth")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["x" * 300, "circle", "circle/inside"])
def test_a_folder_that_cannot_be_read_is_refused_with_a_remedy(dataset, tmp_path, name):
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    with pytest.raises(fod.DropError, match=r"export_dir: .*pass another folder"):
        export(dataset[:10], str(tmp_path / name), DATASET_TYPES[0], "ground_truth")
    assert [path.name for path in tmp_path.iterdir()] == ["circle"]


def test_a_folder_that_is_not_for_us_to_list_is_refused(dataset, tmp_path, monkeypatch):
    """Whoever runs the tests may be root, who may list everything."""

    def refused(self):
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(fod.DropError, match=r"export_dir: .*Permission denied.*the right to read"):
        export(dataset[:10], str(tmp_path), DATASET_TYPES[0], "ground_truth")


def test_missing_images_are_counted_before_anything_is_copied(dataset, tmp_path):
    dataset[1:3].set_values("filepath", [str(tmp_path / "a.png"), str(tmp_path / "b.png")])
    with pytest.raises(fod.DropError, match=r"the images of 2 of 10 are missing .*a\.png"):
        export(dataset[:10], str(tmp_path / "out"), DATASET_TYPES[0], "ground_truth")
    assert not list(tmp_path.iterdir())


def test_what_an_export_has_left_that_was_killed_hinders_no_other(dataset, tmp_path):
    (tmp_path / f"{PARTIAL}x").mkdir()
    assert export(dataset[:10], str(tmp_path), DATASET_TYPES[0], "ground_truth") == 10
