"""The operators, used by hand in the App."""

import re

import fiftyone.operators as foo
import yaml
from app_browser import REPOSITORY
from fiftyone.core.odm import get_db_conn
from playwright.sync_api import expect

import fiftyone_drop as fod

DEFINED = yaml.safe_load((REPOSITORY / "fiftyone.yml").read_text())["operators"]
NAMES = [name for name in DEFINED if name != "draft_work"]  # it has no form


def label_of(name):
    return foo.get_operator(f"@fiftyone-drop/drop/{name}").config.label


def test_whoever_types_drop_finds_every_operator(app, dataset, picture):
    app.open(dataset.name)
    listed = app.search_operators("drop")
    for name in NAMES:
        expect(listed.get_by_text(label_of(name), exact=True)).to_be_visible()
    picture("operators", for_docs=True)


def test_a_run_made_in_the_app_shows_its_result_and_what_it_keeps(app, make_dataset, picture):
    dataset = make_dataset(limit=60)
    app.open(dataset.name)
    app.expect_count(60)
    form = app.open_form(label_of("apply_drop"))
    expect(form.get_by_text("Keeps 30 of 60 samples")).to_be_visible()
    expect(form.get_by_role("button", name="Execute")).to_be_enabled()
    picture("apply-drop-form", for_docs=True)
    app.execute(form)
    expect(app.page.get_by_text("Kept 30 of 60 samples")).to_be_visible()
    picture("apply-drop-result")
    app.page.get_by_role("button", name="Done").click()
    app.expect_count(30)
    expect(app.saved_view).to_have_text(re.compile("drop-kept"))
    dataset.reload()
    assert fod.list_drops(dataset) == ["drop"]


def test_a_wheel_over_a_number_scrolls_the_form_and_changes_nothing(app, make_dataset):
    app.open(make_dataset(limit=60).name)
    form = app.open_form(label_of("apply_drop"))
    form.get_by_text("More options").click()
    number = form.locator('input[type="number"]').first
    number.click()
    before = number.input_value()
    for _ in range(3):
        app.page.mouse.wheel(0, 100)
        app.page.wait_for_timeout(100)
        number.hover()
    assert number.input_value() == before


def test_the_saved_view_opens_by_its_name(app, pruned, picture):
    app.open(pruned.name, view="drop-kept")
    app.expect_count(150)
    expect(app.saved_view).to_have_text(re.compile("drop-kept"))
    picture("saved-view")


def test_a_run_deleted_in_the_app_takes_its_fields_and_views_along(app, pruned):
    app.open(pruned.name)
    form = app.open_form(label_of("delete_drop"))
    expect(form.get_by_text("drop_keep_at").first).to_be_visible()
    app.execute(form)
    expect(app.page.get_by_text("The drop run drop is deleted")).to_be_visible()
    # In the database, since this process has a copy of the dataset's record of its own
    record = get_db_conn()["datasets"].find_one({"name": pruned.name})
    assert record["runs"] == {}
    assert not {field["name"] for field in record["sample_fields"]} & {"drop_keep_at", "drop_kept"}
    assert not record.get("saved_views")  # MongoDB keeps no empty list
