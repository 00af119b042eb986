"""Which fields hold labels, groups and scores, and which end of a score is kept first."""

import re

import fiftyone as fo
import numpy as np
import pytest
from PIL import Image
from temporary import deleting_datasets

import fiftyone_drop as fod
from fiftyone_drop import DropError, fields


@pytest.fixture
def varied(make_dataset):
    """A dataset with a field of every kind."""
    dataset = make_dataset(30)
    dataset.add_sample_field("other", fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification)
    dataset.add_sample_field("boxes", fo.EmbeddedDocumentField, embedded_doc_type=fo.Detections)
    for name, ftype, info in (
        ("hard_high", fo.FloatField, {"hard": "high"}),
        ("hard_low", fo.FloatField, {"hard": "low"}),
        ("kept_low", fo.IntField, {"hard": None, "kept_first": "low"}),
        ("plain", fo.FloatField, None),
        ("odd", fo.FloatField, {"hard": "upwards"}),
        ("count", fo.IntField, None),
        ("flag", fo.BooleanField, None),
        ("when", fo.DateTimeField, None),
    ):
        dataset.add_sample_field(name, ftype, info=info)
    return dataset


@pytest.fixture
def refused():
    """A function that expects a call to be refused for an argument; the message."""

    def check(argument, call, *arguments):
        with pytest.raises(DropError) as caught:
            call(*arguments)
        assert caught.value.argument == argument
        return caught.value.message

    return check


@pytest.mark.parametrize("samples", [None, "digits", ["a.png"], 3, object()])
def test_what_is_no_collection_is_refused(refused, samples):
    message = refused("view", fields.check_collection, samples, "view")
    assert type(samples).__name__ in message


def test_a_collection_of_images_is_returned_as_it_is(dataset):
    for samples in (dataset, dataset.view(), dataset.limit(3)):
        assert fields.check_collection(samples) is samples


def test_the_remedy_for_patches_makes_images_of_them(refused, make_dataset, tmp_path):
    dataset = make_dataset(6)
    box = {"label": "a", "bounding_box": [0.5, 0, 0.5, 1]}
    boxes = [fo.Detections(detections=[fo.Detection(**box) for _ in "ab"]) for _ in range(6)]
    dataset.set_values("boxes", boxes)
    patches = dataset.to_patches("boxes")
    message = refused("samples", fields.check_collection, patches)
    export, read = re.findall(r"\S+\(folder, dataset_type=kind\)", message)
    names = {"fo": fo, "patches": patches, "folder": str(tmp_path)}
    names["kind"] = fo.types.ImageClassificationDirectoryTree
    eval(export, names)
    with deleting_datasets() as made:
        made.append(eval(read, names))
        widths = {Image.open(path).width for path in made[0].values("filepath")}
        assert widths == {Image.open(dataset.first().filepath).width // 2}
        assert fod.plan_drop(made[0], 0.5, rule="proportional").table.sizes.tolist() == [12]


@pytest.mark.parametrize("kind", ["frames", "videos"])
def test_the_remedy_for_frames_and_videos_makes_images_of_them(refused, make_dataset, kind):
    video = fo.Sample(filepath="/none.mp4")
    for number, path in enumerate(make_dataset(6).values("filepath"), 1):
        video.frames[number] = fo.Frame(filepath=path, truth=fo.Classification(label="a"))
    with deleting_datasets() as made:
        made.append(fo.Dataset())
        made[0].add_sample(video)
        samples = made[0] if kind == "videos" else made[0].to_frames()
        message = refused("samples", fields.check_collection, samples)
        call = re.search(r"Make one first: ([^,]*)", message)[1]
        call = call.replace("sample_frames=True", "")  # the frames are there, and ffmpeg may not be
        made.append(eval(call, {"dataset": made[0], "frames": samples}))
        assert fod.plan_drop(made[1], 0.5, rule="proportional").table.sizes.tolist() == [6]


def test_an_empty_view_is_refused(refused, dataset):
    assert "empty" in refused("samples", fields.check_collection, dataset.limit(0))


def test_labels_are_read_from_classifications_strings_integers_and_booleans(refused, varied):
    assert fields.label_path(varied, "ground_truth", "label_field") == "ground_truth.label"
    for name in ("name", "count", "flag"):
        assert fields.label_path(varied, name, "label_field") == name
    for name in (
        "boxes",
        "tags",
        "metadata",
        "plain",
        "when",
        "id",
        "ground_truth.label.x",
    ):
        message = refused("label_field", fields.label_path, varied, name, "label_field")
        assert "['ground_truth', 'other', 'name', 'parity']" in message
    assert "no field 'labels'" in refused(
        "pred_field", fields.label_path, varied, "labels", "pred_field"
    )


def test_the_class_of_a_sample_is_its_label_and_its_group(refused, varied):
    assert fields.class_paths(varied, "ground_truth", None) == ["ground_truth.label"]
    assert fields.class_paths(varied, "name", "flag") == ["name", "flag"]
    groups = ("flag", "count", "parity", "other")
    paths = ["name", "flag", "count", "parity", "other.label"]
    assert fields.class_paths(varied, "name", groups) == paths
    for name in ("plain", "boxes", "tags", "when", "nothing"):
        refused("group_by", fields.class_paths, varied, "name", name)


def test_samples_that_must_be_kept_are_those_of_a_view_a_tag_or_a_flag(refused, varied):
    view = varied.limit(2)
    assert fields.must_keep_view(varied, view) is view
    flagged = varied.values("flag").count(True)
    assert len(fields.must_keep_view(varied, "flag")) == flagged
    assert len(fields.must_keep_view(varied, "train")) == len(varied)
    for value in ("count", "nothing", 3, None):
        refused("must_keep", fields.must_keep_view, varied, value)


def test_samples_are_ordered_by_id_or_by_a_string(refused, varied):
    for name in ("id", "filepath", "name"):
        fields.check_order_by(varied, name)
    for name in ("count", "ground_truth", "nothing"):
        refused("order_by", fields.check_order_by, varied, name)


def test_the_default_labels_are_the_only_ones_that_are_no_predictions(
    refused, varied, dataset, predict
):
    assert fields.default_label_field(dataset) == "ground_truth"
    message = refused("label_field", fields.default_label_field, varied)
    assert "['ground_truth', 'other']" in message
    assert fields.default_label_field(varied, besides=["other"]) == "ground_truth"
    predict(dataset, "predictions", eval_key="val")
    assert fields.default_label_field(dataset) == "ground_truth"
    assert fields.default_label_field(dataset.limit(3)) == "ground_truth"


def test_without_a_classification_the_string_fields_are_named(refused, dataset):
    dataset.delete_sample_field("ground_truth")
    assert "['name', 'parity']" in refused("label_field", fields.default_label_field, dataset)


def test_fields_of_labels_come_classifications_first(varied):
    expected = ["ground_truth", "other", "name", "parity"]
    assert fields.class_label_fields(varied) == expected
    known = [name for name in expected if fields.is_classification(varied.get_field(name))]
    assert known == ["ground_truth", "other"]
    assert not fields.is_classification(None)


NUMBERS = ["hard_high", "hard_low", "kept_low", "plain", "odd", "count"]


def test_numbers_are_floats_and_whole_numbers(refused, varied):
    assert fields.number_fields(varied) == NUMBERS
    for name in NUMBERS:
        assert fields.number_field(varied, name, "score", "pass one") == name
    for name in ("ground_truth", "flag", "name", "nothing", "", None, 3):
        message = refused("score", fields.number_field, varied, name, "score", "pass one of these")
        assert message.endswith("pass one of these")


@pytest.mark.parametrize(
    ("name", "first"),
    [("hard_high", "high"), ("hard_low", "low"), ("kept_low", "low"), ("plain", None)]
    + [("odd", None)],
)
def test_the_end_that_is_kept_first_stands_in_the_field(refused, varied, name, first):
    assert fields.first_end(varied.get_field(name)) == first
    assert (name in fields.score_fields(varied)) == (first is not None)
    if first is None:
        message = refused("select", fields.highest_first, varied, name, "hardest")
        assert f"'{name}' does not say which end is hard" in message
    else:
        assert fields.highest_first(varied, name, "hardest") == (first == "high")
        assert fields.highest_first(varied, name, "easiest") == (first != "high")


def test_the_remedy_for_a_field_without_a_direction_works(refused, varied):
    message = refused("select", fields.highest_first, varied, "plain", "hardest")
    line = message.split("set it with ")[1].replace(" (or 'low')", "")
    exec(line, {"dataset": varied})
    assert fields.highest_first(varied, "plain", "hardest")


def test_known_fields_come_in_the_order_they_were_asked_for(varied):
    assert fields.known_fields(varied, ["plain", "nothing", "name"]) == ["plain", "name"]


# -- fields with a list per sample, and fields that no class can be in -----------------------------


@pytest.fixture
def boxed(make_dataset, recalls):
    """Digits with boxes of two labels each, of which the schema says that they are strings."""
    dataset = make_dataset(100)
    for sample in dataset.iter_samples(autosave=True):
        sample["boxes"] = fo.Detections(
            detections=[
                fo.Detection(
                    label=sample.name,
                    bounding_box=[0, 0, 1, 1],
                    confidence=0.5,
                    index=2,
                    hidden=True,
                )
                for _ in range(2)
            ]
        )
    dataset.add_dynamic_sample_fields()
    dataset.apply_drop(0.5, rule="proportional", label_field="ground_truth")
    return dataset


IN_LISTS = {
    "label_field": lambda ds: fod.plan_drop(ds, 0.5, label_field="boxes.detections.label"),
    "group_by": lambda ds: fod.plan_drop(ds, 0.5, group_by="boxes.detections.label"),
    "of flags": lambda ds: fod.plan_drop(ds, 0.5, group_by="boxes.detections.hidden"),
    "of numbers": lambda ds: fod.plan_drop(ds, 0.5, group_by="boxes.detections.index"),
    "select": lambda ds: fod.plan_drop(ds, 0.5, select="boxes.detections.confidence"),
    "pred_field": lambda ds: fod.plan_drop(
        ds, 0.5, validation=ds.limit(9), pred_field="boxes.detections.label"
    ),
    "score": lambda ds: fod.drop_view(ds, "drop", score="boxes.detections.confidence"),
    "in a histogram": lambda ds: fod.score_histogram(ds, "drop", "boxes.detections.confidence"),
    "scores": lambda ds: fod.compute_scores(ds, "boxes.detections.label"),
    "model": lambda ds: fod.compute_scores(ds, "name", model="boxes.detections"),
    "train": lambda ds: fod.train_query_model(ds, "boxes.detections.label"),
    "recorder": lambda ds: fod.DynamicsRecorder(ds, "boxes.detections.label"),
    "tags": lambda ds: fod.plan_drop(ds, 0.5, label_field="ground_truth.tags"),
    "order_by": lambda ds: fod.plan_drop(
        ds, 0.5, rule="none", label_field="name", order_by="boxes.detections.label"
    ),
    "must_keep": lambda ds: fod.plan_drop(
        ds, 0.5, rule="none", label_field="name", must_keep="boxes.detections.hidden"
    ),
}


LISTS_ARE_REFUSED = (
    r"[lL]ist|must be the name of a number field|must hold|must be 'id', 'filepath'|neither a tag"
)


@pytest.mark.parametrize("where", IN_LISTS)
def test_a_list_per_sample_is_no_value(boxed, where):
    with pytest.raises(DropError, match=LISTS_ARE_REFUSED):
        IN_LISTS[where](boxed)


def test_fields_in_documents_that_are_no_lists_are_values(boxed):
    boxed.compute_metadata()
    assert fields.label_path(boxed, "metadata.mime_type", "label_field") == "metadata.mime_type"
    assert fields.number_field(boxed, "metadata.width", "select", "") == "metadata.width"
    assert fields.label_path(boxed, "metadata.height", "group_by") == "metadata.height"


@pytest.mark.parametrize("argument", ["label_field", "group_by", "pred_field"])
def test_a_path_of_a_file_is_no_class(boxed, argument):
    options = {"validation": boxed} if argument == "pred_field" else {"rule": "none"}
    with pytest.raises(DropError, match=rf"^{argument}: 'filepath' differs from sample to sample"):
        fod.plan_drop(
            boxed, 0.5, **{"label_field": "ground_truth"} | options | {argument: "filepath"}
        )


# -- labels that are none, and fields of others --------------------------------------------------


@pytest.mark.parametrize("nothing", [None, "no label"])
def test_samples_without_a_label_are_named_with_advice_that_helps(make_dataset, nothing):
    dataset = make_dataset(30)
    empty = None if nothing is None else fo.Classification(label=None)
    dataset.limit(2).set_values("ground_truth", [empty, empty])
    first = dataset.first().id
    for call in (fod.compute_scores, fod.train_query_model, fod.DynamicsRecorder):
        with pytest.raises(DropError, match=rf"^label_field: 2 of 30 .* {first}") as caught:
            call(dataset, "ground_truth")
        assert "skip_unlabeled" not in caught.value.message
        remedy = caught.value.message.split("pass samples")[1]
        assert len(eval("dataset" + remedy, {"dataset": dataset})) == 28
    with pytest.raises(DropError, match="skip_unlabeled=True"):
        dataset.apply_drop(0.5, rule="none")


def test_scores_of_fiftyone_brain_have_known_ends(make_dataset, recalls):
    fob = pytest.importorskip("fiftyone.brain", reason="fiftyone-brain is not installed")
    dataset = make_dataset(60)
    logits = np.random.default_rng(0).normal(size=(60, 10))
    names = sorted(set(dataset.values("name")))
    dataset.set_values(
        "predictions",
        [
            fo.Classification(label=names[row.argmax() % len(names)], confidence=0.7, logits=row)
            for row in logits
        ],
    )
    embeddings = np.random.default_rng(1).normal(size=(60, 4))
    fob.compute_mistakenness(dataset, "predictions", "ground_truth", progress=False)
    fob.compute_hardness(dataset, "predictions", hardness_field="how_hard", progress=False)
    fob.compute_uniqueness(dataset, embeddings=embeddings, progress=False)
    fob.compute_representativeness(dataset, embeddings=embeddings, progress=False)
    known = ["mistakenness", "how_hard", "uniqueness", "representativeness"]
    assert set(fields.score_fields(dataset)) == set(known)
    assert all(fields.highest_first(dataset, name, "hardest") for name in known)
    for name in known[:3]:  # a few samples have no representativeness
        kept = dataset.apply_drop(
            0.5, label_field="ground_truth", rule="none", select=name, overwrite=True
        )
        assert sorted(kept.values(name)) == sorted(dataset.values(name))[30:]
    dataset.set_values("plain", [1.0] * 60)
    assert fields.first_end_of(dataset, "plain") is None


def test_where_there_is_no_classification_no_predictions_are_blamed(dataset, predict):
    predict(dataset, "predictions", eval_key="val")
    dataset.delete_sample_field("ground_truth")
    with pytest.raises(DropError, match=r"no Classification field besides the predictions \['pred"):
        fields.default_label_field(dataset)
    dataset.delete_sample_field("predictions")
    with pytest.raises(DropError, match="there is no Classification field; pass the name of a str"):
        fields.default_label_field(dataset)


@pytest.mark.parametrize("ways", [{}, {"pred_field": "name"}, {"model": "name"}])
def test_the_argument_that_was_typed_is_blamed(dataset, ways):
    with pytest.raises(DropError, match=r"^validation: "):
        fod.plan_drop(dataset, 0.5, validation="x", **ways)
    with pytest.raises(DropError, match=r"^validation: "):
        fod.train_query_model(dataset, validation="x")
