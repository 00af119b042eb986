"""The panel "DRoP", used by hand in the App."""

import fiftyone as fo
import numpy as np
import pytest
from playwright.sync_api import expect

import fiftyone_drop as fod

PANEL = "drop_panel"


@pytest.fixture
def panel(app):
    """A function that opens a dataset and the panel beside its grid; the panel's content."""

    def open_panel(dataset):
        app.open(dataset.name)
        app.expect_count(len(dataset))
        return app.open_panel(PANEL)

    return open_panel


def part(panel, name):
    return panel.locator(f'[data-cy="drop-{name}"]')


def move_to(slider, position):
    """Move the handle without letting go of it."""
    slider.evaluate(
        """(element, position) => {
          const set = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value").set;
          set.call(element, String(position));
          element.dispatchEvent(new Event("input", { bubbles: true }));
        }""",
        position,
    )


def let_go(slider):
    slider.evaluate('element => element.dispatchEvent(new Event("change", { bubbles: true }))')


def number(locator):
    return int(locator.inner_text().replace(",", ""))


def test_the_numbers_follow_the_hand_and_the_grid_follows_when_it_lets_go(
    app, panel, pruned, picture
):
    opened = panel(pruned)
    slider = part(opened, "slider")
    expect(part(opened, "kept")).to_have_text("150")
    before = len(app.requests)
    seen = []
    for position in range(int(slider.get_attribute("max")) // 2):
        move_to(slider, position)
        seen.append(number(part(opened, "kept")))
    of_ours = [r for r in app.requests[before:] if r.url.endswith("/operators/execute")]
    assert seen == sorted(set(seen))
    assert not of_ours
    let_go(slider)
    app.expect_count(seen[-1])
    picture("panel", for_docs=True)


def test_a_click_on_a_class_shows_as_many_samples_as_its_quota(app, panel, pruned, picture):
    table = fod.load_drop(pruned, "drop").table
    opened = panel(pruned)
    for name in (table.names[int(np.argmin(table.quotas))], table.names[0]):
        opened.get_by_role("button", name=name, exact=True).click()
        opened.get_by_role("button", name="Kept", exact=False).first.click()
        app.expect_count(table.by_class("quotas")[name])
    picture("panel-class")


def test_classes_of_any_name_are_shown_and_matched_as_they_are(app, panel, odd_dataset, picture):
    hostile = '<img src=x onerror="window.injected = true">'
    labels = [f"{hostile}{x}" if "<" in x else x for x in odd_dataset.values("ground_truth.label")]
    odd_dataset.set_values("ground_truth", [fo.Classification(label=label) for label in labels])
    odd_dataset.apply_drop(0.5, rule="proportional", progress=False)
    table = fod.load_drop(odd_dataset, "drop").table
    opened = panel(odd_dataset)
    for name, quota in table.by_class("quotas").items():
        opened.get_by_role("button", name=name, exact=True).click()
        app.expect_count(quota)
    assert not app.page.evaluate("window.injected")
    assert app.page.locator("img[src=x]").count() == 0
    picture("panel-odd-names")


@pytest.mark.parametrize("classes", [2, 1000])
def test_two_classes_and_a_thousand_fit_the_panel(app, panel, make_dataset, classes, picture):
    dataset = make_dataset(rows=[i % 300 for i in range(1500)])
    names = [f"class {i % classes:04d}" for i in range(1500)]
    dataset.set_values("ground_truth", [fo.Classification(label=name) for name in names])
    recalls = {name: 0.3 + 0.6 * i / classes for i, name in enumerate(sorted(set(names)))}
    dataset.apply_drop(0.8, recalls=recalls, progress=False)
    opened = panel(dataset)
    last = f"class {classes - 1:04d}"
    if classes > 100:
        opened.get_by_role("searchbox", name="Find a class").or_(
            opened.get_by_label("Find a class")
        ).first.fill(last)
    opened.get_by_role("button", name=last, exact=True).click()
    app.expect_count(fod.load_drop(dataset, "drop").table.by_class("quotas")[last])
    picture(f"panel-{classes}-classes")


def test_a_run_deleted_meanwhile_is_said_to_be_gone(app, panel, pruned, picture):
    opened = panel(pruned)
    expect(part(opened, "kept")).to_have_text("150")
    fod.delete_drop(pruned, "drop")
    opened.get_by_role("button", name="zero", exact=True).click()
    expect(opened.get_by_text("the drop run 'drop'", exact=False).first).to_be_visible()
    expect(opened.get_by_role("button", name="New run", exact=False)).to_be_visible()
    picture("panel-run-deleted")


def test_a_dataset_without_a_run_says_what_to_do(panel, dataset):
    opened = panel(dataset)
    expect(opened.get_by_role("button", name="New run", exact=False)).to_be_visible()


def test_the_panel_works_without_its_bundle(app, panel, plugin, pruned, picture):
    bundle = plugin / "plugins" / "drop" / "js" / "dist"
    away = bundle.rename(bundle.with_name("dist-away"))
    try:
        opened = panel(pruned)
        expect(opened.get_by_text("150").first).to_be_visible()
        slider = opened.locator("input[type=range]")
        slider.focus()
        slider.press("End")
        app.expect_count(300)
        picture("panel-plain")
    finally:
        away.rename(bundle)
