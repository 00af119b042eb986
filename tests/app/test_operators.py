"""The operators, used by hand in the App."""

import re

import fiftyone as fo
import fiftyone.operators as foo
import numpy as np
import yaml
from app_browser import REPOSITORY
from fiftyone.core.odm import get_db_conn
from playwright.sync_api import expect

import fiftyone_drop as fod

LOADING = 300_000  # ms: the first training of a server loads PyTorch, and looks at nothing else
DEFINED = yaml.safe_load((REPOSITORY / "fiftyone.yml").read_text())["operators"]
NAMES = [name for name in DEFINED if name != "draft_work"]  # it has no form


def label_of(name):
    return foo.get_operator(f"@fiftyone-drop/drop/{name}").config.label


def train_for_long(app):
    """Start a training of many minutes."""
    form = app.open_form(label_of("train_query_model"))
    form.locator('input[type="number"]').nth(1).fill("2000")  # epochs
    app.execute(form)


def test_whoever_types_drop_finds_every_operator(app, dataset, picture):
    app.open(dataset.name)
    listed = app.search_operators("drop")
    for name in NAMES:
        expect(listed.get_by_text(label_of(name), exact=True)).to_be_visible()
    picture("operators", for_docs=True)


def test_a_run_made_in_the_app_shows_its_result_and_what_it_keeps(app, make_dataset, picture):
    dataset = make_dataset(limit=90)
    dataset[60:].untag_samples("train")
    dataset[60:].tag_samples("val")
    app.open(dataset.name)
    app.expect_count(90)
    form = app.open_form(label_of("apply_drop"))
    expect(form.get_by_text("The split train (60 samples)")).to_be_visible()
    expect(form.get_by_text("Keeps 30 of 60 samples")).to_be_visible()
    app.rest()
    expect(form.get_by_role("button", name="Execute")).to_be_enabled()
    picture("apply-drop-form", for_docs=True)
    app.execute(form)
    expect(app.page.get_by_text("Kept 30 of 60 samples")).to_be_visible(timeout=LOADING)
    picture("apply-drop-result")
    app.page.get_by_role("button", name="Done").click()
    app.expect_count(30)
    expect(app.saved_view).to_have_text(re.compile("drop-kept"))
    dataset.reload()
    assert fod.list_drops(dataset) == ["drop"]


def test_selected_samples_are_the_first_choice_of_a_form(app, make_dataset):
    dataset = make_dataset(limit=60)
    app.open(dataset.name)
    select = "(ids) => __foo__.executeOperator('@voxel51/operators/set_selected_samples', ids)"
    app.page.evaluate(select, {"samples": dataset[:20].values("id")})
    form = app.open_form(label_of("apply_drop"))
    expect(form.get_by_label("The 20 selected samples")).to_be_checked()
    expect(form.get_by_text("Keeps 10 of 20 samples")).to_be_visible()


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


def test_a_long_operator_is_found_again_after_its_page_was_closed_and_cancelled(
    app, make_dataset, picture
):
    dataset = make_dataset(limit=300)
    fields = list(dataset.get_field_schema())
    app.open(dataset.name)
    train_for_long(app)
    at_work = app.page.locator('[data-cy="operators-prompt-view-modal"]')
    expect(at_work.get_by_text("Training 1 query model").first).to_be_visible(timeout=LOADING)
    expect(at_work.get_by_role("button", name="Cancel")).to_be_visible()
    picture("operator-at-work", for_docs=True)
    app.open(dataset.name)  # the page is gone, and a new one comes
    form = app.open_form(label_of("running"))
    expect(form.get_by_text("DRoP: train a query model").first).to_be_visible()
    picture("operators-running", for_docs=True)
    app.execute(form)
    expect(at_work.get_by_text("Training 1 query model").first).to_be_visible()
    at_work.get_by_role("button", name="Cancel").click()
    expect(app.page.get_by_text("Cancelled. Nothing was written")).to_be_visible()
    picture("operator-cancelled")
    app.page.get_by_role("button", name="Done").click()
    dataset.reload()
    assert list(dataset.get_field_schema()) == fields
    assert dataset.list_evaluations() == []


def test_an_operator_at_work_can_be_left_to_itself(app, make_dataset):
    app.open(make_dataset(limit=300).name)
    train_for_long(app)
    app.page.get_by_role("button", name="Go on in the background").click()
    expect(app.page.get_by_text("'DRoP: train a query model' goes on")).to_be_visible()
    app.page.get_by_role("button", name="Done").click()
    app.page.wait_for_timeout(2000)
    expect(app.page.locator('[data-cy="operators-prompt-view-modal"]')).to_be_hidden()
    app.open_panel("drop_panel").get_by_role("button", name="Follow or cancel it").click()
    form = app.form()
    form.get_by_text("Cancel it").click()
    app.execute(form)
    expect(app.page.get_by_text("Cancelled. Nothing was written")).to_be_visible(timeout=LOADING)


def test_fiftyones_own_panels_open_on_a_run(app, pruned, predict, picture):
    import fiftyone.brain as fob
    import numpy as np

    predict(pruned, eval_key="val_eval")
    points = np.random.default_rng(51).normal(size=(len(pruned), 2))
    fob.compute_visualization(pruned, method="manual", points=points, brain_key="viz")
    app.open(pruned.name)
    app.execute(app.open_form(label_of("open_panels")))
    panel = app.page.locator('[data-cy="panel-content-Embeddings"]')
    expect(panel.get_by_text("drop_kept").first).to_be_visible()
    expect(app.page.get_by_text("Executing...")).to_be_hidden()
    app.settle()
    app.page.wait_for_timeout(2000)  # the points are drawn
    picture("panels-of-fiftyone", for_docs=True)
    app.page.locator('[data-cy="panel-tab-histograms"]').click()
    expect(app.page.locator("#histogram-drop_kept")).to_be_visible()
    app.page.get_by_text("Model Evaluation").first.click()
    content = app.page.locator('[data-cy="panel-content-model_evaluation_panel_builtin"]')
    expect(content.get_by_text("val_eval").first).to_be_visible()
    app.settle()
    picture("panels-evaluation")
    pruned.reload()
    assert pruned.list_workspaces() == ["DRoP"]


def test_scores_are_computed_from_logits_whose_classes_nobody_stated(app, make_dataset):
    dataset = make_dataset(limit=60)
    labels = dataset.values("ground_truth.label")
    classes = sorted(set(labels))
    rows = np.eye(len(classes))[[classes.index(label) for label in labels]]
    pairs = zip(labels, rows, strict=True)
    stored = [fo.Classification(label=label, logits=row) for label, row in pairs]
    dataset.set_values("predictions", stored)
    app.open(dataset.name)
    form = app.open_form(label_of("compute_scores"))
    form.get_by_role("combobox").nth(0).click()
    app.page.get_by_role("option", name="ground_truth", exact=True).click()
    form.get_by_text("Logits that a model has stored in a field").click()
    expect(form.get_by_text("choose a field with stored logits", exact=True)).to_be_visible()
    app.settle()
    form.get_by_role("combobox").nth(1).click()
    app.page.get_by_role("option", name="predictions", exact=True).click()
    expect(form.get_by_text("Classes of the model", exact=True)).to_be_visible()
    form.get_by_role("textbox").first.fill(", ".join(classes))
    expect(form.get_by_text("Writes el2n")).to_be_visible()
    app.execute(form)
    expect(app.page.get_by_text("Scored 60 samples")).to_be_visible(timeout=LOADING)
    dataset.reload()
    assert np.ptp(dataset.values("el2n")) < 1e-6  # each is as right as any other


def test_the_table_of_a_result_has_what_is_wanted_most_on_a_small_screen(app, make_dataset):
    app.open(make_dataset(limit=60).name)
    form = app.open_form(label_of("apply_drop"))
    app.page.set_viewport_size({"width": 1024, "height": 700})
    app.execute(form)
    expect(app.page.get_by_text("Kept 30 of 60 samples")).to_be_visible(timeout=LOADING)
    for heading in ("Class", "Quota", "Size", "Density"):
        header = app.page.get_by_role("columnheader", name=heading, exact=True)
        expect(header).to_be_visible()
        box = header.bounding_box()
        assert box["x"] + box["width"] <= 1024, heading
