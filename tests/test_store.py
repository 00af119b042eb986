"""What is written is what FiftyOne reads back, and of other samples and things nothing changes."""

import fiftyone as fo
import numpy as np
import pytest
from pymongo.errors import AutoReconnect

from fiftyone_drop import DropError, documents, lease, reader, store
from fiftyone_drop.store import FieldValues


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    """Several messages of several statements for the few samples."""
    monkeypatch.setattr(store, "BATCH", 64)
    monkeypatch.setattr(store, "STATEMENT", 10)


@pytest.fixture
def part(dataset):
    """200 of 300 samples, in another order."""
    return dataset.shuffle(seed=3)[:200]


def test_fields_hold_their_values_and_other_samples_none(dataset, part):
    rng = np.random.default_rng(0)
    numbers, flags = rng.normal(size=200), rng.random(200) < 0.5
    store.write_fields(
        dataset,
        reader.read_ids(part),
        {
            "number": FieldValues(fo.FloatField, numbers, "A number", {"hard": "high"}),
            "flag": FieldValues(fo.BooleanField, flags, "A flag"),
        },
    )
    ids = part.values("id")
    written = dict(zip(ids, zip(numbers.tolist(), flags.tolist(), strict=True), strict=True))
    for sample_id, *values in zip(*dataset.values(["id", "number", "flag"]), strict=True):
        assert tuple(values) == written.get(sample_id, (None, None))
    field = dataset.get_field("number")
    assert isinstance(field, fo.FloatField)
    assert (field.description, field.info) == ("A number", {"hard": "high"})
    assert isinstance(dataset.get_field("flag"), fo.BooleanField)
    assert dataset.get_field("flag").info is None


def test_a_sample_that_is_loaded_and_the_time_of_its_change_follow(dataset, part):
    inside, outside = part.first(), dataset.exclude(part.values("id")).first()
    inside, outside = dataset[inside.id], dataset[outside.id]
    before = inside.last_modified_at, outside.last_modified_at
    values = FieldValues(fo.FloatField, np.ones(200), "One")
    store.write_fields(dataset, reader.read_ids(part), {"one": values})
    assert (inside.one, outside.one) == (1, None)
    assert inside.last_modified_at > before[0]
    assert outside.last_modified_at == before[1]


@pytest.mark.parametrize("confidences", [None, np.linspace(0, 1, 200, dtype=np.float32)])
def test_classifications_are_as_fiftyone_makes_them(dataset, part, confidences):
    labels = ["$odd", "a.b"] * 100
    values = FieldValues(fo.Classification, labels, "A guess", None, confidences)
    store.write_fields(dataset, reader.read_ids(part), {"guess": values})
    dataset.reload()
    guesses = dataset.select(part.values("id"), ordered=True).values("guess")
    assert [guess.label for guess in guesses] == labels
    expected = [None] * 200 if confidences is None else confidences.tolist()
    assert [guess.confidence for guess in guesses] == expected
    assert len({guess.id for guess in guesses}) == 200
    by_fiftyone = fo.Classification(label="$odd", confidence=0.5).to_dict()
    stored = dataset._sample_collection.find_one({"guess.label": "$odd"})["guess"]
    assert stored.keys() == by_fiftyone.keys()
    assert stored["_cls"] == by_fiftyone["_cls"]


def test_samples_that_are_all_gone_are_said(dataset, part):
    ids = reader.read_ids(part)
    values = {"number": FieldValues(fo.FloatField, np.zeros(200), "A number")}
    dataset.delete_samples(part.values("id")[1:])
    store.write_fields(dataset, ids, values)
    dataset.delete_samples(part.values("id"))
    with pytest.raises(DropError, match=r"^samples: .* has none of the 200 samples any more"):
        store.write_fields(dataset, ids, values)


def test_progress_is_told_of_every_sample(dataset, part):
    told = []
    values = FieldValues(fo.FloatField, np.ones(200), "One")
    ids = reader.read_ids(part)
    store.write_fields(
        dataset, ids, {"one": values}, progress=lambda bar: told.append(bar.iteration)
    )
    assert told[-1] == 200


def test_after_an_error_nothing_more_is_written(dataset, part, monkeypatch):
    """The caller cleans up, so no thread may write behind its back."""
    update, calls = store._update, []

    def fail(*arguments):
        calls.append(arguments)
        if len(calls) == 8:  # in the second message
            raise RuntimeError("no connection")
        return update(*arguments)

    monkeypatch.setattr(store, "_update", fail)
    monkeypatch.setattr(store, "THREADS", 1)
    values = FieldValues(fo.FloatField, np.ones(200), "One")
    with pytest.raises(RuntimeError, match="no connection"):
        store.write_fields(dataset, reader.read_ids(part), {"one": values})
    dataset.reload()
    assert len(dataset.exists("one")) == 64


def test_what_is_kept_is_written_again_for_samples_of_the_run_alone(dataset):
    dataset.add_sample_field("kept", fo.BooleanField)
    keep_at = [None if i < 50 else i / 300 for i in range(300)]
    dataset.set_values("keep_at", keep_at)
    dataset.set_values("kept", [None if d is None else d <= 0.9 for d in keep_at])
    times = dict(zip(*dataset.values(["id", "last_modified_at"]), strict=True))
    store.move_kept(dataset, "keep_at", "kept", 0.5)
    assert dataset.values("kept") == [None if d is None else d <= 0.5 for d in keep_at]
    changed = [
        i
        for i, time in zip(*dataset.values(["id", "last_modified_at"]), strict=True)
        if time > times[i]
    ]
    expected = [
        i for i, d in zip(dataset.values("id"), keep_at, strict=True) if d and 0.5 < d <= 0.9
    ]
    assert changed == expected


def test_predictions_are_evaluated_and_the_evaluation_is_deleted(dataset, part):
    before = sorted(dataset.get_field_schema())
    values = FieldValues(fo.Classification, ["zero"] * 200, "All the same", None, np.ones(200))
    store.write_fields(dataset, reader.read_ids(part), {"guess": values}, progress=False)
    store.evaluate(dataset, "guess", "ground_truth", "val")
    zeros = part.values("ground_truth.label").count("zero")
    assert dataset.count_values("val") == {True: zeros, False: 200 - zeros, None: 100}
    store.delete_evaluation(dataset, "val")
    assert sorted(dataset.get_field_schema()) == sorted([*before, "guess"])
    assert dataset.list_evaluations() == []
    store.delete_evaluation(dataset, "val")  # there is nothing left, and no error


@pytest.mark.parametrize("step", ["forget_fields", "change_records", "delete_document"])
def test_an_evaluation_whose_deletion_is_cut_off_leaves_samples_and_lists_that_can_be_read(
    dataset, part, monkeypatch, step
):
    labels = part.values("ground_truth.label")
    values = FieldValues(fo.Classification, labels, "A guess", confidences=np.ones(200))
    store.write_fields(dataset, reader.read_ids(part), {"guess": values})
    store.evaluate(dataset, "guess", "ground_truth", "val")

    def cut(*arguments):
        raise AutoReconnect("cut off")

    with monkeypatch.context() as patch:
        patch.setattr(store if step == "forget_fields" else documents, step, cut)
        with pytest.raises(AutoReconnect):
            store.delete_evaluation(dataset, "val")
    dataset.reload()
    listed = documents.entry(dataset, "evaluations", {})
    there = {run["_id"] for run in documents.collection("runs").find({"key": "val"})}
    assert set(documents.ids_of(listed.values())) <= there
    assert [sample.id for sample in dataset] == dataset.values("id")
    store.delete_evaluation(dataset, "val")
    assert "val" not in documents.entry(dataset, "evaluations", {})


def test_values_of_no_field_with_which_no_sample_can_be_read_go_with_an_evaluation(dataset):
    dataset._sample_collection.update_many({}, {"$set": {"val": True}})
    with pytest.raises(Exception, match="val"):
        dataset.first()
    store.delete_evaluation(dataset, "val")
    assert dataset.first() is not None


def test_stray_values_under_a_new_name_are_unset(dataset, part):
    """Of a connection that was cut, or of a field that was deleted from the schema alone."""
    dataset._sample_collection.update_many({}, {"$set": {"one": 7.0}})
    values = FieldValues(fo.FloatField, np.zeros(200), "Zeros")
    store.write_fields(dataset, reader.read_ids(part), {"one": values}, progress=False)
    written = set(part.values("id"))
    expected = [0.0 if i in written else None for i in dataset.values("id")]
    assert dataset.values("one") == expected


def test_fields_change_where_a_sample_has_another_value(dataset, part):
    ids, numbers = reader.read_ids(part), np.arange(200.0)
    values = {name: FieldValues(fo.FloatField, numbers, name) for name in ("one", "two", "new")}
    store.write_fields(dataset, ids, values | {"one": FieldValues(fo.FloatField, -numbers, "")})
    dataset.set_values("two", {part.values("id")[150]: None}, key_field="id")
    dataset.exclude(part.values("id")).set_values("two", [7.0] * 100)  # of no sample of the call
    assert store.changed_fields(dataset, ids, values) == {"one"}
    listed = numbers.tolist()
    listed[199] = None  # where there is a value
    nothing = {"new": FieldValues(fo.FloatField, listed, "new")}
    assert store.changed_fields(dataset, ids, nothing) == {"new"}
    assert store.changed_fields(dataset, ids, {}) == set()


def test_values_under_a_name_are_found_without_a_field(dataset):
    assert not store.has_values(dataset, "one")
    dataset._sample_collection.update_one({}, {"$set": {"one": None}})
    assert store.has_values(dataset, "one")
    store.unset_strays(dataset, ["one"])
    assert not store.has_values(dataset, "one")


def test_values_of_fields_are_copied_by_the_server(dataset):
    dataset.set_values("one", [float(i) if i % 2 else None for i in range(300)])
    dataset.add_sample_field("two", fo.FloatField)
    store.copy_fields(dataset, {"two": "one"})
    assert dataset.values("two") == dataset.values("one")


def test_fields_are_deleted_as_far_as_they_exist(dataset):
    store.delete_fields(dataset, ["nothing", "parity"])
    store.delete_fields(dataset, ["parity"])
    assert "parity" not in dataset.get_field_schema()
    assert "parity" not in dataset._sample_collection.find_one()
    assert dataset.has_field("name")


def test_no_sample_is_evaluated_before_the_field_is_on_disk(dataset, predict, monkeypatch):
    predict(dataset)
    add = fo.Dataset.add_sample_field

    def add_and_end(*arguments, **kwargs):
        add(*arguments, **kwargs)
        monkeypatch.setattr(documents, "server_process", lambda: "another one")

    monkeypatch.setattr(fo.Dataset, "add_sample_field", add_and_end)
    with pytest.raises(AutoReconnect, match="started anew"), lease.writing(dataset):
        store.evaluate(dataset, "predictions", "ground_truth", "val")
    samples = dataset._sample_collection
    assert samples.count_documents({"val": {"$exists": True, "$ne": None}}) == 0
    assert dataset.list_evaluations() == []
