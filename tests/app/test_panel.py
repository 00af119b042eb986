"""The panel "DRoP", used by hand in the App."""

import os
import re
from urllib.parse import parse_qs, urlparse

import fiftyone as fo
import numpy as np
import pytest
from app_browser import REPOSITORY
from playwright.sync_api import expect

import fiftyone_drop as fod

PANEL = "drop_panel"
AXE = REPOSITORY / "plugins" / "drop" / "js" / "node_modules" / "axe-core" / "axe.min.js"
VIOLATIONS = """axe.run("[data-cy=drop-panel]").then(({ violations }) =>
  violations.map(({ id, nodes }) => [id, nodes[0].html]))"""

# What reaches beyond the panel, to the left or the right, where nobody can scroll to it
CUT_OFF = """(panel) => {
  const [left, right] = [panel.getBoundingClientRect().left, panel.getBoundingClientRect().right];
  return [...panel.querySelectorAll("button, select, input, p, td, th, svg, output")]
    .map((e) => [e.outerHTML.slice(0, 100), e.getBoundingClientRect()])
    .filter(([, box]) => box.width && (box.left < left - 1 || box.right > right + 1))
    .map(([html]) => html);
}"""

# The text of least contrast to what is behind it, by the definition of WCAG
LEAST_CONTRAST = """(panel) => {
  const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
  const over = ([r, g, b, a = 1], below) => [r, g, b].map((x, i) => a * x + (1 - a) * below[i]);
  const ground = (element) => {
    if (!element) return [255, 255, 255];
    const own = parse(getComputedStyle(element).backgroundColor);
    return (own[3] ?? 1) === 1 ? own : over(own, ground(element.parentElement));
  };
  const light = (colour) => {
    const [r, g, b] = colour.map((x) => x / 255)
      .map((x) => (x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ratios = [...panel.querySelectorAll("*")]
    .filter((e) => [...e.childNodes].some((n) => n.nodeType === 3 && n.textContent.trim()))
    .filter((e) => e.getClientRects().length && !["STYLE", "OPTION"].includes(e.tagName))
    .filter((e) => !e.disabled)
    .map((e) => {
      const behind = ground(e);
      const text = over(parse(getComputedStyle(e).color), behind);
      const [a, b] = [light(text), light(behind)];
      return { text: e.textContent, ratio: (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05) };
    });
  return ratios.reduce((least, one) => (one.ratio < least.ratio ? one : least));
}"""


@pytest.fixture
def panel(app):
    """A function that opens a dataset and the panel beside its grid; the panel's content."""

    def open_panel(dataset):
        app.open(dataset.name)
        app.expect_count(len(dataset))
        opened = app.open_panel(PANEL)
        app.rest()
        return opened

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


def choose_tab(panel, name):
    panel.get_by_role("tab", name=name).click()


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
    before = len(app.requests)
    let_go(slider)
    app.expect_count(seen[-1])
    app.settle()
    # State of the panel is not saved with it: the App would read the whole page once more
    queries = [r.post_data or "" for r in app.requests[before:] if r.url.endswith("/graphql")]
    assert not [query for query in queries if "setSpaces" in query]
    assert len([query for query in queries if "query DatasetPageQuery" in query]) <= 1
    picture("panel", for_docs=True)
    at = part(opened, "density").inner_text()
    app.page.reload()
    expect(part(app.page, "density")).to_have_text(at)


def test_a_click_on_a_class_shows_as_many_samples_as_its_quota(app, panel, pruned, picture):
    table = fod.load_drop(pruned, "drop").table
    opened = panel(pruned)
    for name in (table.names[int(np.argmin(table.quotas))], table.names[0]):
        opened.get_by_role("button", name=name, exact=True).click()
        opened.get_by_role("button", name="Kept", exact=False).first.click()
        app.expect_count(table.by_class("quotas")[name])
    picture("panel-class")


def test_the_run_moves_to_the_density_of_the_slider(app, panel, pruned):
    opened = panel(pruned)
    move_to(part(opened, "slider"), 29)
    let_go(part(opened, "slider"))
    app.expect_count(90)
    opened.get_by_role("button", name="Move the run to 0.30").click()
    app.execute(app.form())
    expect(app.page.get_by_text("Kept 90 of 300 samples")).to_be_visible()
    app.page.get_by_role("button", name="Done").click()
    expect(app.saved_view).to_have_text(re.compile("drop-kept"))
    app.expect_count(90)
    expect(opened.get_by_text("This is the density of the run")).to_be_visible()
    pruned.reload()
    assert fod.load_drop(pruned, "drop").density == 0.3


def test_both_parts_are_told_apart_at_the_density_of_the_slider(app, panel, pruned, picture):
    opened = panel(pruned)
    move_to(part(opened, "slider"), 29)
    let_go(part(opened, "slider"))
    app.expect_count(90)
    opened.get_by_role("button", name="Both 300").click()
    app.expect_count(300)
    first = fod.drop_view(pruned, "drop", 0.3, part="all").first()
    word = "kept" if first["drop_kept"] else "pruned"
    expect(app.samples.first.get_by_text(word)).to_be_visible()
    picture("panel-both", for_docs=True)


def test_whatever_ends_the_colours_of_both_parts_brings_back_what_was_before(app, panel, pruned):
    label = pruned.first().ground_truth.label
    opened = panel(pruned)
    before = app.samples.first.inner_text()
    badge = app.samples.first.get_by_text(re.compile("^(kept|pruned)$"))

    def both(count=300):
        opened.get_by_role("button", name="Both 300").click()
        app.expect_count(count)
        expect(badge).to_be_visible()
        expect(app.samples.first.get_by_text(label)).to_have_count(0)  # nothing else is coloured

    def nothing_is_left():
        expect(badge).to_have_count(0)
        expect(app.samples.first).to_have_text(re.compile(r"\w"))

    both()
    opened.get_by_role("button", name="Kept 150").click()
    app.expect_count(150)
    nothing_is_left()
    both()
    app.page.reload()
    expect(badge).to_be_visible()
    app.page.locator('[data-cy="panel-tab-drop_panel"] svg').last.click()
    nothing_is_left()
    opened = app.open_panel(PANEL)
    expect(badge).to_be_visible()
    opened.get_by_role("button", name="Back to all samples").click()
    app.expect_count(300)
    nothing_is_left()
    assert app.samples.first.inner_text() == before


def test_back_leads_to_the_view_that_somebody_had_before(app, pruned):
    pruned.save_view("own", pruned.skip(2))
    app.open(pruned.name, view="own")
    app.expect_count(298)
    opened = app.open_panel(PANEL)
    for part in ("Pruned 150", "Kept 150"):
        opened.get_by_role("button", name=part).click()
        app.expect_count(150)
    opened.get_by_role("button", name="Back to your view").click()
    app.expect_count(298)


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_a_new_run_starts_from_the_run_that_is_shown_whatever_the_grid_shows(
    app, panel, dataset, predict
):
    predict(dataset[200:], eval_key="before")
    dataset[:200].apply_drop(0.4, eval_key="before", progress=False)
    opened = panel(dataset)
    opened.get_by_role("button", name="Kept 80").press("Enter")
    app.expect_count(80)
    opened.get_by_role("button", name="New run", exact=True).press("Enter")
    opened.get_by_role("button", name="More in the form").press("Enter")
    form = app.form()
    expect(form.get_by_text("Keeps 100 of 200 samples")).to_be_visible()
    app.execute(form)
    expect(app.page.get_by_text("Kept 100 of 200 samples")).to_be_visible()
    app.page.get_by_role("button", name="Done").click()
    expect(opened.get_by_label("Drop run").locator("option", has_text="drop_2")).to_have_count(1)
    dataset.reload()
    assert fod.load_drop(dataset, "drop_2").config.asked["eval_key"] == "before"


def test_forms_that_are_opened_from_the_panel_begin_with_the_run_that_is_shown(
    app, panel, pruned, exports
):
    pruned.apply_drop(0.3, key="even", rule="balanced", progress=False)
    opened = panel(pruned)
    opened.get_by_label("Drop run").select_option("drop")
    expect(part(opened, "kept")).to_have_text("150")
    opened.get_by_role("button", name="Take away").click()
    form = app.form()
    expect(form.get_by_text("Takes 150 of 300 samples")).to_be_visible()
    app.execute(form)
    expect(app.page.get_by_text("Took 150 samples of the run drop")).to_be_visible()
    app.page.get_by_role("button", name="Done").click()
    (folder,) = exports.glob(f"{pruned.name}*")
    assert len(list(folder.rglob("*.png"))) == 150
    opened.get_by_role("button", name="FiftyOne’s panels").click()
    app.execute(app.form())
    expect(app.page.locator('[data-cy="panel-tab-histograms"]')).to_be_visible()
    app.settle()
    pruned.reload()
    (workspace,) = pruned.list_workspaces()
    panels = pruned.load_workspace(workspace).children[1].children
    assert [p.state for p in panels if p.type == "Histograms"] == [{"path": "drop_kept"}]


def test_the_panel_follows_what_is_done_in_the_operator_browser(app, panel, pruned):
    app.page.set_viewport_size({"width": 2000, "height": 900})
    opened = panel(pruned)
    expect(opened.get_by_label("Drop run").locator("option")).to_have_count(1)
    app.execute(app.open_form("DRoP: prune to a density"))
    expect(app.page.get_by_text("Kept 150 of 300 samples")).to_be_visible()
    app.page.get_by_role("button", name="Done").click()
    expect(opened.get_by_label("Drop run").locator("option")).to_have_count(2)


def test_a_click_on_a_bar_of_the_histogram_shows_its_samples(app, panel, dataset, recalls, picture):
    scores = dict(zip(dataset.values("id"), np.random.default_rng(0).normal(size=300), strict=True))
    fod.import_scores(dataset, scores, name="el2n", progress=False)
    dataset.apply_drop(0.5, recalls=recalls, select="el2n", progress=False)
    counted = fod.score_histogram(dataset, "drop", "el2n", bins=30)
    opened = panel(dataset)
    choose_tab(opened, "Score")
    bins = part(opened, "bin")
    expect(bins).to_have_count(30)
    most, last = int(np.argmax(counted.kept)), int(np.flatnonzero(counted.kept)[-1])
    for i in (last, most):
        bins.nth(i).click()
        app.expect_count(int(counted.kept[i]))
    app.samples.first.wait_for()
    picture("panel-score", for_docs=True)


def test_a_run_is_decided_in_the_panel_and_written_when_it_is_applied(app, panel, pruned, picture):
    table = fod.load_drop(pruned, "drop").table
    opened = panel(pruned)
    opened.get_by_role("button", name="New run", exact=True).click()
    opened.get_by_label("Rule").select_option("balanced")
    quotas = fod.plan_drop(pruned, 0.5, rule="balanced").quotas
    row = part(opened, "class").filter(has_text="zero")
    expect(row).to_contain_text(f"{quotas['zero']} / ")
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop"]
    opened.get_by_role("button", name="Undo").click()
    opened.get_by_role("button", name="zero", exact=True).press("Enter")
    opened.get_by_label("How many samples of zero").select_option("all of it")
    size = table.by_class("sizes")["zero"]
    expect(row).to_contain_text(f"{size} / {size}")
    expect(part(opened, "kept")).to_have_text("150")
    picture("panel-draft", for_docs=True)
    opened.get_by_role("button", name="Apply as a new run").click()
    expect(opened.get_by_label("Drop run")).to_have_value("drop_2")
    expect(part(opened, "draft")).to_have_count(0)
    pruned.reload()
    made = fod.load_drop(pruned, "drop_2").table
    assert (made.by_class("quotas")["zero"], made.quotas.sum()) == (size, 150)


def test_samples_are_seen_side_by_side_and_kept_always_in_a_draft(app, panel, pruned, picture):
    opened = panel(pruned)
    choose_tab(opened, "Samples")
    table = fod.load_drop(pruned, "drop").table
    worst = table.names[int(np.argmin(table.recalls))]
    files = {}
    for name in ("kept", "pruned"):
        view = fod.drop_view(pruned, "drop", part=name, class_name=worst)
        files[name] = set(view.values("filepath"))
        strip = opened.get_by_role("group", name=f"{name.title()}: {len(view)} of {worst}")
        images = strip.locator("img")
        expect(images).to_have_count(min(len(view), 12))
        for image in images.all():
            image.scroll_into_view_if_needed()
            app.page.wait_for_function("e => e.naturalWidth > 0", arg=image.element_handle())
            assert (
                parse_qs(urlparse(image.get_attribute("src")).query)["filepath"][0] in files[name]
            )
    cut = opened.get_by_role("group", name="Pruned")
    for i in (0, 1):
        cut.locator("button").nth(i).click()
    expect(cut.locator("button[aria-pressed=true]")).to_have_count(2)
    picture("panel-samples", for_docs=True)
    opened.get_by_role("button", name="Keep always").click()
    expect(part(opened, "by-hand")).to_have_text("kept always: 2 samples")
    expect(part(opened, "selection")).to_have_count(0)
    opened.get_by_role("button", name="New run", exact=True).click()
    opened.get_by_label("Rule").select_option("balanced")
    choose_tab(opened, "Compare")
    opened.get_by_label("The run to compare with").select_option("draft 1")
    expect(opened.get_by_text("In both:")).to_be_visible()
    picture("panel-drafts-compared")
    opened.get_by_role("button", name="Discard").click()
    pruned.reload()
    assert fod.list_drops(pruned) == ["drop"]


def test_what_only_one_of_two_runs_keeps_is_counted_and_shown(app, panel, pruned, picture):
    pruned.apply_drop(0.5, key="even", rule="balanced", progress=False)
    compared = fod.compare_drops(pruned, "even", "drop")
    opened = panel(pruned)
    choose_tab(opened, "Compare")
    opened.get_by_label("The run to compare with").select_option("drop")
    for words, counts in (
        ("Only in even", compared.only_first),
        ("Only in drop", compared.only_second),
        ("In both", compared.kept_by_both),
    ):
        opened.get_by_role("button", name=f"{words}: {counts.sum()}").click()
        app.expect_count(int(counts.sum()))
    app.samples.first.wait_for()
    picture("panel-compare", for_docs=True)


@pytest.mark.filterwarnings("ignore:the class recalls cannot be told apart")
def test_the_evaluation_after_training_stands_beside_the_one_before(
    app, panel, dataset, predict, picture
):
    validation = dataset[150:]
    predict(validation, eval_key="before")
    predict(validation, field="retrained", eval_key="after", wrong=9)
    dataset[:150].apply_drop(0.5, eval_key="before", progress=False)
    opened = panel(dataset)
    choose_tab(opened, "Fairness")
    opened.get_by_label("The evaluation of the model").select_option("after")
    accuracy = fod.report(dataset, "drop", "after").to_dict()["accuracy"]
    for row, words in (("average", "average over classes"), ("worst", "worst class")):
        cells = part(opened, "accuracy").get_by_role("row", name=words).first.get_by_role("cell")
        shown = [f"{accuracy[side][row]:.3f}" for side in ("before", "after")]
        expect(cells).to_have_text([words, *shown])
    picture("panel-fairness", for_docs=True)


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
@pytest.mark.filterwarnings("ignore:the quotas may go too far")
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
    choose_tab(opened, "Recall")
    expect(opened.locator(".drop-names text").first).to_be_visible()
    picture(f"panel-{classes}-recalls")


# The last one is a screen of 1280 x 900 at 200 %
@pytest.mark.parametrize(
    ("theme", "width", "height"), [("light", 900, 800), ("dark", 900, 800), ("dark", 640, 450)]
)
def test_the_panel_is_readable_in_both_themes_on_a_small_screen_and_at_twice_the_size(
    app, panel, pruned, theme, width, height, picture
):
    app.page.add_init_script(f"localStorage['mui-mode'] = '{theme}'")
    opened = panel(pruned)
    if width < 900:  # FiftyOne's sidebar would take half of the page
        app.page.locator('[data-cy="action-toggle-sidebar"]').click()
        app.settle()
    app.page.set_viewport_size({"width": width, "height": height})
    axe = AXE.read_text() if AXE.exists() else None  # `make js` installs it
    assert axe or "DROP_REQUIRE_CHROMIUM" not in os.environ

    def looks_right():
        if axe:
            app.page.evaluate(axe)
            assert app.page.evaluate(VIOLATIONS) == []
        sizes = part(opened, "panel").evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert sizes[0] <= sizes[1]
        assert part(opened, "panel").evaluate(CUT_OFF) == []

    for tab in ("Samples", "Recall", "Score", "Fairness", "Compare", "Classes"):
        choose_tab(opened, tab)
        app.settle()
        looks_right()
    opened.get_by_role("button", name="New run", exact=True).click()
    opened.get_by_role("button", name="zero", exact=True).press("Enter")
    expect(opened.get_by_label("How many samples of zero")).to_be_visible()
    expect(part(opened, "draft")).to_have_attribute("aria-busy", "false")
    looks_right()
    least = part(opened, "panel").evaluate(LEAST_CONTRAST)
    assert least["ratio"] >= 4.5, least  # WCAG AA
    picture(f"panel-{theme}-{width}")


def test_a_run_deleted_meanwhile_is_said_to_be_gone(app, panel, pruned, picture):
    opened = panel(pruned)
    expect(part(opened, "kept")).to_have_text("150")
    fod.delete_drop(pruned, "drop")
    opened.get_by_role("button", name="zero", exact=True).click()
    expect(opened.get_by_text("the drop run 'drop'", exact=False).first).to_be_visible()
    expect(opened.get_by_role("button", name="New run", exact=False)).to_be_visible()
    picture("panel-run-deleted")


@pytest.mark.parametrize("tab", ["Classes", "Samples", "Fairness"])
def test_a_run_moved_meanwhile_is_said_to_be_changed_and_shown_as_it_is(app, panel, pruned, tab):
    opened = panel(pruned)
    expect(part(opened, "kept")).to_have_text("150")
    choose_tab(opened, tab)
    app.settle()
    fod.set_density(pruned, "drop", 0.3)
    opened.get_by_role("button", name="Pruned", exact=False).first.click()
    expect(opened.get_by_text("'drop' was changed", exact=False)).to_be_visible()
    expect(part(opened, "kept")).to_have_text("90")
    app.settle()  # its tab has been read again
    expect(opened.get_by_text("'drop' was changed", exact=False)).to_be_visible()
    app.expect_count(300)
    opened.get_by_role("button", name="Kept", exact=False).first.click()
    app.expect_count(90)
    expect(opened.get_by_text("'drop' was changed", exact=False)).to_have_count(0)


def test_a_server_that_cannot_be_reached_is_said_and_the_panel_goes_on(app, panel, pruned):
    opened = panel(pruned)
    everything = "**/operators/execute"
    app.page.route(everything, lambda route: route.abort())
    opened.get_by_role("button", name="zero", exact=True).click()
    expect(opened.get_by_role("alert")).to_be_visible()
    app.settle()
    app.page.unroute(everything)
    app.errors.clear()  # FiftyOne's own words on it
    table = fod.load_drop(pruned, "drop").table
    opened.get_by_role("button", name="one", exact=True).click()
    app.expect_count(table.by_class("quotas")["one"])
    expect(opened.get_by_role("alert")).to_have_count(0)


def test_a_dataset_without_a_run_says_what_to_do(panel, dataset):
    opened = panel(dataset)
    expect(opened.get_by_role("button", name="New run", exact=False)).to_be_visible()
