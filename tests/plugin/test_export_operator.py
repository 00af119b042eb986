"""What a run keeps is taken away: into one folder, with a manifest, a tag and the call."""

from pathlib import Path

import fiftyone as fo
import pytest
from reading import choices, message, output, problems, texts

import fiftyone_drop as fod


@pytest.fixture
def exports(tmp_path, monkeypatch):
    """The folder that the server's owner has opened for exports."""
    monkeypatch.setenv("FIFTYONE_DROP_EXPORTS_DIR", str(tmp_path / "exports"))
    return tmp_path / "exports"


@pytest.fixture
def pruned(dataset):
    dataset.apply_drop(0.5, rule="proportional")
    return dataset


def test_the_form_says_how_many_samples_it_takes_and_offers_a_free_name(form, pruned, exports):
    drawn = form(pruned, operator="export_run")
    assert problems(drawn) == {}
    assert message(drawn["exports"]) == "Takes 150 of 300 samples"
    assert drawn["export_dir"].default == f"{pruned.name}-drop"
    assert "ImageDirectory" in choices(drawn["dataset_type"])
    (exports / f"{pruned.name}-drop").mkdir(parents=True)
    assert form(pruned, operator="export_run")["export_dir"].default == f"{pruned.name}-drop-2"
    (exports / f"{pruned.name}-drop-2.parquet").touch()  # a manifest without images
    assert form(pruned, operator="export_run")["export_dir"].default == f"{pruned.name}-drop-3"


def test_of_string_labels_a_format_that_holds_them_is_offered(form, run_in_app, dataset, exports):
    dataset.set_values("words", dataset.values("ground_truth.label"))
    dataset.apply_drop(0.5, rule="proportional", label_field="words")
    drawn = form(dataset, {"key": "drop"}, operator="export_run")
    assert problems(drawn) == {}
    assert drawn["dataset_type"].default == "FiftyOneDataset"
    params = {"key": "drop", "export_dir": "out", "dataset_type": "FiftyOneDataset"}
    run_in_app(dataset, params, operator="export_run")
    assert len(list((exports / "out").rglob("*.png"))) == 150
    for other in ("ImageClassificationDirectoryTree", "FiftyOneImageClassificationDataset"):
        params = {"key": "drop", "export_dir": "more", "dataset_type": other}
        words = problems(form(dataset, params, operator="export_run"))["dataset_type"]
        assert "choose the format 'Everything, to be imported" in words
    params["dataset_type"] = "ImageDirectory"
    assert problems(form(dataset, params, operator="export_run")) == {}


def test_a_likely_name_has_room_in_a_file_system(module_of_plugin, exports):
    folder = module_of_plugin("exports_folder")
    name = folder.likely("日" * 100, "k")
    assert name == "日" * 60
    folder.to_write("export_dir", name).mkdir(parents=True)
    assert folder.likely("日" * 100, "k") == f"{name}-2"
    folder.manifest("export_dir", f"{name}-2").touch()
    assert folder.likely("", "-") == "export"


def test_images_manifest_tag_and_call_are_one_step(run_in_app, pruned, exports):
    params = {"key": "drop", "dataset_type": "ImageClassificationDirectoryTree"}
    params |= {"export_dir": "mine/digits", "manifest": True, "tag": "kept by drop"}
    schema, data = output(run_in_app(pruned, params, operator="export_run"))
    assert "Took 150 samples of the run drop" in texts(schema)
    images = [path.parent.name for path in (exports / "mine" / "digits").rglob("*.png")]
    assert len(images) == 150
    kept = fod.drop_view(pruned, "drop")
    assert sorted(images) == sorted(kept.values("ground_truth.label"))
    assert pruned.match_tags("kept by drop").values("id") == kept.values("id")
    assert "fod.apply_drop(" in data["call"]
    copy = fo.Dataset()
    try:
        copy.add_samples(
            fo.Sample(filepath=path, ground_truth=fo.Classification(label=label))
            for path, label in zip(*pruned.values(["filepath", "ground_truth.label"]), strict=True)
        )
        fod.load_manifest(copy, exports / "mine" / "digits.parquet", match="filepath")
        assert len(fod.drop_view(copy, "drop")) == 150
    finally:
        copy.delete()


@pytest.mark.parametrize("name", ["../out", "/tmp/out", "~/out", ".hidden", "a/../../b", "a\\b"])
def test_no_name_leads_out_of_the_folder(form, run_in_app, pruned, exports, name):
    params = {"key": "drop", "export_dir": name}
    assert (
        "folder of exports" in problems(form(pruned, params, operator="export_run"))["export_dir"]
    )
    schema, _ = output(run_in_app(pruned, params, operator="export_run"))
    assert "Nothing was written" in texts(schema)
    assert not exports.exists() or not list(exports.iterdir())


def test_a_class_leads_nowhere_and_the_form_names_the_format_that_takes_it(
    form, run_in_app, dataset, exports, tmp_path
):
    dataset.set_values("ground_truth.label", ["../../x"] * 20 + ["y"] * 280)
    dataset.apply_drop(0.5, rule="proportional")
    params = {"key": "drop", "export_dir": "out"}
    words = problems(form(dataset, params, operator="export_run"))["dataset_type"]
    assert "'../../x'" in words
    assert "choose the format 'A folder of images, and a JSON file" in words
    run_in_app(dataset, params, operator="export_run")
    assert not [path for path in tmp_path.rglob("*.png") if "x" in path.parts]
    params["dataset_type"] = "FiftyOneImageClassificationDataset"
    assert problems(form(dataset, params, operator="export_run")) == {}
    run_in_app(dataset, params, operator="export_run")
    assert len(list((exports / "out").rglob("*.png"))) == 150
    assert {path.parent for path in tmp_path.rglob("*.png")} == {exports / "out" / "data"}


def test_what_exists_is_not_replaced(form, run_in_app, pruned, exports):
    (exports / "out").mkdir(parents=True)
    (exports / "out" / "file").touch()
    params = {"key": "drop", "export_dir": "out", "tag": "taken"}
    assert "exists" in problems(form(pruned, params, operator="export_run"))["export_dir"]
    run_in_app(pruned, params, operator="export_run")
    assert [path.name for path in (exports / "out").iterdir()] == ["file"]
    assert pruned.count_sample_tags().get("taken") is None


def test_without_images_the_tag_or_the_manifest_is_enough(form, run_in_app, pruned, exports):
    params = {"key": "drop", "dataset_type": "none"}
    assert "dataset_type" in problems(form(pruned, params, operator="export_run"))
    params |= {"tag": "kept"}
    assert problems(form(pruned, params, operator="export_run")) == {}
    run_in_app(pruned, params, operator="export_run")
    assert pruned.count_sample_tags()["kept"] == 150
    assert not exports.exists()
    again = form(pruned, params, operator="export_run")
    assert "150 samples have the tag kept already" in message(again["tagged"])


def test_where_the_manifest_cannot_be_written_there_are_no_images(
    run_in_app, pruned, exports, monkeypatch
):
    def full(dataset, key, path):
        raise fod.DropError("path", f"cannot write {path}") from OSError(28, "No space left")

    monkeypatch.setattr(fod, "save_manifest", full)
    params = {"key": "drop", "export_dir": "out", "manifest": True, "tag": "kept"}
    schema, _ = output(run_in_app(pruned, params, operator="export_run"))
    assert "Nothing was written" in texts(schema)
    assert "cannot write out: No space left" in texts(schema)
    assert str(exports) not in texts(schema)
    assert not list(exports.iterdir())
    assert pruned.count_sample_tags().get("kept") is None


@pytest.mark.parametrize("meanwhile", [True, False])
def test_where_the_images_cannot_be_written_there_is_no_manifest_and_no_path_is_shown(
    run_in_app, pruned, exports, monkeypatch, meanwhile
):
    def export(self, export_dir, **_):
        assert (exports / "out.parquet").is_file()
        if not meanwhile:
            raise OSError(28, "No space left", export_dir)
        (exports / "out").mkdir()
        (exports / "out" / "of another").touch()
        Path(export_dir).mkdir()

    monkeypatch.setattr(fo.DatasetView, "export", export)
    params = {"key": "drop", "export_dir": "out", "manifest": True, "tag": "kept"}
    schema, _ = output(run_in_app(pruned, params, operator="export_run"))
    assert "Nothing was written" in texts(schema)
    reason = "Directory not empty" if meanwhile else "No space left"
    assert f"cannot write out: {reason}" in texts(schema)
    assert str(exports) not in texts(schema)
    names = [path.name for path in exports.rglob("*")]
    assert sorted(names) == (["of another", "out"] if meanwhile else [])
    assert pruned.count_sample_tags().get("kept") is None


def test_where_the_samples_cannot_be_tagged_it_is_said_what_was_written(
    run_in_app, pruned, exports, monkeypatch
):
    def away(self, tags):
        raise OSError("the database is away")

    monkeypatch.setattr(fo.DatasetView, "tag_samples", away)
    params = {"key": "drop", "export_dir": "out", "manifest": True, "tag": "kept"}
    schema, _ = output(run_in_app(pruned, params, operator="export_run"))
    words = texts(schema)
    assert "Nothing was written" not in words
    assert "Written: the images in the folder out, the manifest out.parquet" in words
    assert "the database is away" in words
    assert len(list((exports / "out").rglob("*.png"))) == 150
    params |= {"manifest": False, "dataset_type": "none"}
    schema, _ = output(run_in_app(pruned, params, operator="export_run"))
    assert "Nothing was written" in texts(schema)


@pytest.mark.parametrize("operator", ["export_run", "open_panels", "set_density"])
def test_the_run_is_loaded_once_however_often_its_form_is_drawn(
    form, pruned, exports, monkeypatch, operator
):
    load_drop, loaded = fod.load_drop, []
    monkeypatch.setattr(fod, "load_drop", lambda *args: loaded.append(args) or load_drop(*args))
    for _ in range(3):
        assert problems(form(pruned, {"key": "drop"}, operator=operator)) == {}
    assert len(loaded) == 1


def test_a_folder_is_asked_for_where_something_is_written_into_it(
    form, run_in_app, pruned, exports
):
    params = {"key": "drop", "dataset_type": "none", "tag": "kept", "export_dir": ""}
    drawn = form(pruned, params, operator="export_run")
    assert problems(drawn) == {}
    assert "export_dir" not in drawn
    with_manifest = form(pruned, params | {"manifest": True}, operator="export_run")
    assert "must not be empty" in problems(with_manifest)["export_dir"]
    run_in_app(pruned, params, operator="export_run")
    assert pruned.count_sample_tags()["kept"] == 150


def test_a_folder_of_exports_that_cannot_be_read_is_a_message_about_the_name(
    module_of_plugin, monkeypatch, tmp_path
):
    folder = module_of_plugin("exports_folder")
    monkeypatch.setenv("FIFTYONE_DROP_EXPORTS_DIR", str(tmp_path / ("x" * 300)))
    assert folder.likely("digits", "drop") == "digits-drop"
    with pytest.raises(fod.DropError, match=r"^export_dir: mine cannot be read") as caught:
        folder.to_write("export_dir", "mine")
    assert "xxx" not in str(caught.value)


def test_a_folder_of_models_that_cannot_be_read_is_a_message_about_the_name(
    module_of_plugin, monkeypatch, tmp_path
):
    folder = module_of_plugin("models_folder")
    monkeypatch.setenv("FIFTYONE_DROP_MODELS_DIR", str(tmp_path / ("x" * 300)))
    with pytest.raises(fod.DropError, match=r"^model_file: there is no file mine.pt"):
        folder.to_read("model_file", "mine.pt")
