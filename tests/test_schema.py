"""The list of fields in a dataset's document, field by field."""

import fiftyone as fo
import pytest

from fiftyone_drop import documents, schema, store


@pytest.fixture
def small(make_dataset):
    """20 digits with a field of numbers."""
    dataset = make_dataset(20)
    dataset.set_values("x", [1.0] * 20)
    return dataset


def test_a_field_that_another_session_has_made_meanwhile_stays(small):
    listed = documents.entry(small, "sample_fields", [])
    other = next(field for field in listed if field["name"] == "x") | {"name": "y", "db_field": "y"}
    documents.change_entries(small, {"$push": {"sample_fields": other}})
    assert "y" not in small.get_field_schema()  # of a session that has looked before
    schema.save_fields(small, {"x": {"description": "new"}})
    assert small.get_field("x").description == "new"
    assert small.has_field("y")


def test_a_field_that_is_forgotten_leaves_no_index_and_no_place_in_the_app(small):
    before = small.list_indexes()
    small.create_index("x")
    small.create_index([("filepath", 1), ("x", -1)])
    small.create_index("name")
    small.app_config.sidebar_groups = [fo.SidebarGroupDocument(name="mine", paths=["x", "name"])]
    small.save()
    text, number = ("str", "text"), ("float", "text")
    small.set_label_schemas(
        {
            path: dict(zip(("type", "component"), kind, strict=True))
            for path, kind in (("name", text), ("x", number))
        }
    )
    store.delete_fields(small, ["x"])
    assert sorted(small.list_indexes()) == sorted([*before, "name"])
    small.reload()
    assert [group.paths for group in small.app_config.sidebar_groups] == [["name"]]
    assert list(small.label_schemas) == ["name"]


def test_a_sample_that_somebody_holds_lives_on_without_a_field_that_is_forgotten(small):
    held = small.first()
    assert held.x == 1.0
    store.delete_fields(small, ["x"])
    assert not held.has_field("x")
    held.tags.append("seen")
    held.save()
    assert small.first().tags == ["train", "seen"]
    small.set_values("x", ["a text"] * 20)
    assert held.x == "a text"


def test_only_samples_that_have_a_value_are_written_when_a_field_goes(small):
    small.add_samples([fo.Sample(filepath="none.png")], progress=False)
    before = small.values("last_modified_at")
    small.limit(5).clear_sample_field("x")
    untouched = small.values("last_modified_at")[-1]
    store.delete_fields(small, ["x"])
    assert small.values("last_modified_at")[-1] == untouched == before[-1]
