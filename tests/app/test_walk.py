"""A person who has read docs/app.md alone prunes, looks, takes away and undoes: by a few clicks."""

import re

import pytest
from app_browser import REPOSITORY
from playwright.sync_api import expect

import fiftyone_drop as fod

MOST_CLICKS = 25
SAID = re.compile(r"takes \*\*(\d+) clicks\*\*")


class Hand:
    """What a person does: every click and every key is counted."""

    def __init__(self):
        self.clicks = 0
        self.in_vain = 0  # of them, those that FiftyOne has not taken

    def click(self, locator, **where):
        self.clicks += 1
        locator.click(**where)

    def choose(self, select, option):
        """A list opens with a click, and another one chooses."""
        self.clicks += 2
        select.select_option(option)

    def press(self, locator, key):
        self.clicks += 1
        locator.press(key)

    def execute(self, app):
        """FiftyOne takes no click while it checks a form; who reads it clicks later."""
        app.settle()
        button = app.form().get_by_role("button", name="Execute")
        self.click(button)
        try:
            expect(button).to_be_hidden(timeout=10_000)
        except AssertionError:
            self.in_vain += 1
            self.click(button)


@pytest.fixture
def hand():
    return Hand()


def test_a_new_user_prunes_a_split_protects_a_class_looks_exports_and_undoes(
    app, dataset, exports, hand, picture
):
    dataset[200:].untag_samples("train")
    dataset[200:].tag_samples("val")
    train = dataset.match_tags("train")
    before = list(dataset.get_field_schema()), dataset.count_sample_tags()
    app.open(dataset.name)
    page = app.page

    # Prune the train split to 30 %
    hand.click(page.locator('[data-cy="new-panel-btn"]').last)
    hand.click(page.locator('[data-cy="new-panel-option-drop_panel"]'))
    panel = page.locator('[data-cy="panel-content-drop_panel"]')
    hand.click(panel.get_by_role("button", name="New run", exact=True))
    expect(panel.get_by_label("Samples")).to_have_value("tag:train")
    picture("walk-1")
    hand.click(panel.get_by_role("button", name="Measure recalls"))
    density = panel.locator('[data-cy="drop-density"]')
    expect(density).to_have_text("0.50", timeout=300_000)  # the server loads PyTorch first
    picture("walk-2")
    slider = panel.locator('[data-cy="drop-slider"]')
    box = slider.bounding_box()
    hand.click(slider, position={"x": 0.3 * box["width"], "y": box["height"] / 2})
    while (at := float(density.inner_text())) != 0.3:
        hand.press(slider, "ArrowLeft" if at > 0.3 else "ArrowRight")
    expect(panel.locator('[data-cy="drop-kept"]')).to_have_text("60")

    # Protect a class
    hand.click(panel.get_by_role("button", name="zero", exact=True))
    hand.choose(panel.get_by_label("How many samples of zero"), "all of it")
    size = train.count_values("ground_truth.label")["zero"]
    expect(panel.locator('[data-cy="drop-class"]', has_text="zero")).to_contain_text(
        f"{size} / {size}"
    )
    picture("walk-3")
    hand.click(panel.get_by_role("button", name="Apply as a new run"))
    expect(panel.get_by_label("Drop run")).to_have_value("drop")
    picture("walk-4")

    # Look at what was cut of the worst class
    hand.click(panel.get_by_role("tab", name="Samples"))
    dataset.reload()
    table = fod.load_drop(dataset, "drop").table
    worst = table.names[int(table.observed.argmin())]
    cut = fod.drop_view(dataset, "drop", part="pruned", class_name=worst)
    strip = panel.get_by_role("group", name=f"Pruned: {len(cut)} of {worst}")
    expect(strip.locator("img")).to_have_count(min(len(cut), 12))
    picture("walk-5")

    # Export it
    hand.click(panel.get_by_role("button", name="Take away"))
    form = app.form()
    expect(form.get_by_text("Takes 60 of 200 samples")).to_be_visible()
    picture("walk-6")
    hand.execute(app)
    expect(page.get_by_text("Took 60 samples of the run drop")).to_be_visible()
    picture("walk-7")
    hand.click(page.get_by_role("button", name="Done"))
    (folder,) = exports.glob(f"{dataset.name}*")
    assert len(list(folder.rglob("*.png"))) == 60

    # Undo all of it
    hand.click(panel.get_by_role("button", name="Delete run"))
    hand.execute(app)
    expect(page.get_by_text("The drop run drop is deleted")).to_be_visible()
    hand.click(page.get_by_role("button", name="Done"))
    expect(panel.get_by_text("No drop run yet")).to_be_visible()
    picture("walk-8")
    dataset.reload()
    assert (list(dataset.get_field_schema()), dataset.count_sample_tags()) == before
    kept = dataset.list_runs(), dataset.list_saved_views(), dataset.list_evaluations()
    assert kept == ([], [], [])
    assert hand.clicks <= MOST_CLICKS
    (said,) = SAID.findall((REPOSITORY / "docs" / "app.md").read_text())
    assert hand.clicks - hand.in_vain == int(said)
