"""The panel's component alone in a browser: no App, no server, no database.

The App's globals are stubs that note what the component asks of Python.
"""

import json
import os

import pytest
from app_browser import REPOSITORY
from playwright.sync_api import expect

JS = REPOSITORY / "plugins" / "drop" / "js"
REACT = [JS / "node_modules" / name for name in ("react", "react-dom")]

STUBS = """
window.calls = [];  // [method, params]
window.waiting = [];  // their callbacks
window.answer = (result = {}) => ReactDOM.flushSync(() => window.waiting.shift()(result));
window.__foo__ = { useTriggerPanelEvent: () => (method, params, prompt, done) => {
  window.calls.push([method, params]);
  window.waiting.push(done);
} };
window.__fop__ = {
  PluginComponentType: { Component: 3 },
  registerComponent: (registered) => (window.registered = registered),
};
"""
METHODS = ["refresh", "open_run", "open_form", "show", "show_difference"]
METHODS += ["count_score", "report", "compare"]


def page_of(names, **more):
    """What Python sends of a run in which class k has k + 1 samples, kept as the density grows."""
    densities = [i / 10 for i in range(1, 11)]
    sizes = [k + 1 for k in range(len(names))]
    run = {
        "version": "1",
        "key": "drop",
        "density": 0.5,
        "own": 4,
        "rule": "drop",
        "select": "random",
        "label_field": "ground_truth",
        "group_by": None,
        "recalls_from": "given",
        "classes": names,
        "names": names,
        "sizes": sizes,
        "recalls": [1 - (k + 1) / (2 * len(names)) for k in range(len(names))],
        "intervals": None,
        "densities": densities,
        "counts": [[round(d * size) for size in sizes] for d in densities],
        "levels": densities,
    }
    return {"runs": ["drop"], "key": "drop", "scores": [], "evaluations": [], "run": run | more}


class Component:
    def __init__(self, page):
        self.page = page
        self.slider = page.get_by_label("Density", exact=True)

    def draw(self, sent, **state):
        self.page.evaluate(
            """([data, methods]) => {
                window.drawn ??= ReactDOM.createRoot(document.getElementById("root"));
                const view = Object.fromEntries(methods.map((name) => [name, name]));
                const props = { data, schema: { view } };
                ReactDOM.flushSync(() =>
                    window.drawn.render(React.createElement(window.registered.component, props)));
            }""",
            [{"page": json.dumps(sent), **state}, METHODS],
        )
        return self

    @property
    def calls(self):
        return self.page.evaluate("window.calls")

    def answer(self, **result):
        self.page.evaluate("(result) => window.answer(result)", result)

    def press(self, key, times=1):
        self.slider.focus()
        for _ in range(times):
            self.page.keyboard.press(key)

    def drag(self, start, *stops):
        """Drag the handle from one fraction of its way to others, and hold it."""
        box = self.slider.bounding_box()
        y = box["y"] + box["height"] / 2
        self.page.mouse.move(box["x"] + start * box["width"], y)
        self.page.mouse.down()
        for stop in stops:
            self.page.mouse.move(box["x"] + stop * box["width"], y)

    def kept(self):
        return self.page.locator('[data-cy="drop-kept"]').inner_text()

    def rows(self):
        names = self.page.locator('[data-cy="drop-class"] button')
        return [name.text_content() for name in names.all()]


@pytest.fixture
def component(browser):
    if not all(folder.is_dir() for folder in REACT):
        reason = "React is not installed; `make js` installs it"
        if os.environ.get("DROP_REQUIRE_CHROMIUM"):
            pytest.fail(reason)
        pytest.skip(reason)
    context = browser.new_context(viewport={"width": 500, "height": 900})
    page = context.new_page()
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda m: m.type == "error" and errors.append(m.text))
    page.on("dialog", lambda dialog: errors.append(dialog.message))
    page.set_content('<div id="root"></div>')
    for folder in REACT:
        page.add_script_tag(path=folder / "umd" / f"{folder.name}.development.js")
    page.add_script_tag(content=STUBS)
    page.add_script_tag(path=JS / "dist" / "index.umd.js")
    yield Component(page)
    assert errors == []
    context.close()


ANIMALS = ["ant", "bee", "cat", "dog"]


def test_the_bundle_registers_the_component_that_python_names(component):
    assert component.page.evaluate("window.registered.name") == "DropPanel"
    assert 'component="DropPanel"' in (JS.parent / "panel.py").read_text()


def test_the_numbers_follow_the_hand_and_nobody_is_asked(component):
    sent = page_of(ANIMALS)
    component.draw(sent)
    assert component.kept() == str(sum(sent["run"]["counts"][4]))
    seen = []
    component.drag(0.45)
    for i, stop in ((6, 2 / 3), (7, 7 / 9), (9, 1.0)):
        component.drag(stop, stop)
        seen.append(component.kept() == str(sum(sent["run"]["counts"][i])))
    assert seen == [True] * 3
    assert component.calls == []


def test_letting_go_asks_once_for_the_view(component):
    component.draw(page_of(ANIMALS))
    component.drag(0.45, 0.8, 1.0)
    component.page.mouse.up()
    component.page.wait_for_function("window.calls.length > 0")
    component.page.wait_for_timeout(400)
    assert [name for name, _ in component.calls] == ["show"]
    shown = {"key": "drop", "density": 1.0, "part": "kept", "score": None, "class_name": None}
    assert component.calls[0][1] == shown


def test_of_what_is_asked_while_an_answer_is_awaited_the_last_wins(component):
    component.draw(page_of(ANIMALS))
    for name in ("ant", "bee", "cat"):
        component.page.get_by_role("button", name=name).click()
    assert [params["class_name"] for _, params in component.calls] == ["ant"]
    component.answer()
    assert [params["class_name"] for _, params in component.calls] == ["ant", "cat"]
    component.answer()
    assert len(component.calls) == 2


def test_the_keyboard_asks_when_it_rests(component):
    component.draw(page_of(ANIMALS))
    component.press("ArrowRight", times=3)
    component.page.wait_for_function("window.calls.length > 0")
    component.page.wait_for_timeout(400)
    assert [params["density"] for _, params in component.calls] == [0.8]


def test_what_went_wrong_is_shown_and_the_panel_goes_on(component):
    component.draw(page_of(ANIMALS))
    component.page.get_by_role("button", name="bee").click()
    component.answer(error="boom", errorMessage="the dataset is gone")
    expect(component.page.get_by_role("alert")).to_contain_text("the dataset is gone")
    component.page.get_by_role("button", name="cat").click()
    component.answer()
    expect(component.page.get_by_role("alert")).to_have_count(0)


def test_labels_are_text_whatever_they_hold(component):
    names = ["<img src=x onerror=alert(1)>", "$label", "a.b", "😀", "x" * 300, "</style><b>"]
    component.draw(page_of(names))
    assert sorted(component.rows()) == sorted(names)
    assert component.page.locator("#root img, #root table b:has-text('<')").count() == 0
    for name in names:
        component.page.get_by_title(name, exact=True).click()
        assert component.calls[-1][1]["class_name"] == name
        component.answer()
        expect(component.page.locator('[data-cy="drop-shown"] b')).to_have_text(name)


def test_a_cell_goes_back_to_python_as_the_pair_it_is(component):
    cells = [["cat", "even"], ["cat", "odd"]]
    component.draw(page_of(["cat / even", "cat / odd"], classes=cells))
    component.page.get_by_role("button", name="cat / odd").click()
    assert component.calls[0][1]["class_name"] == ["cat", "odd"]


def test_a_thousand_classes_come_in_pages_worst_first_and_are_found_by_name(component):
    names = [f"class {k:04d}" for k in range(1000)]
    component.draw(page_of(names))
    assert component.rows() == names[:-26:-1]  # recall falls with k
    assert component.page.locator('[data-cy="drop-overview"] path').count() == 2
    component.page.get_by_role("button", name="Next").click()
    assert component.rows()[0] == "class 0974"
    component.page.get_by_label("Find a class").fill("CLASS 012")
    assert component.rows() == [f"class {k:04d}" for k in range(129, 119, -1)]
    component.page.get_by_role("button", name="Class", exact=True).click()
    assert component.rows()[0] == "class 0120"


def test_rows_keep_their_places_until_the_slider_is_let_go(component):
    sent = page_of(ANIMALS)
    sent["run"]["counts"][9] = [0, 2, 3, 4]
    component.draw(sent)
    component.page.get_by_role("button", name="Density").click()
    before = component.rows()
    component.drag(0.45, 1.0)
    assert component.rows() == before
    component.page.mouse.up()
    expect(component.page.locator('[data-cy="drop-class"] button').first).to_have_text("ant")


def test_a_run_is_shown_as_it_was_left(component):
    left = {"key": "drop", "density": 0.8, "part": "pruned", "class_name": "cat", "score": None}
    component.draw(page_of(ANIMALS), **left)
    assert component.page.locator('[data-cy="drop-density"]').inner_text() == "0.80"
    expect(component.page.locator('[data-cy="drop-shown"]')).to_have_text("of cat")
    pressed = component.page.locator(
        '[aria-label="Which samples the grid shows"] [aria-pressed=true]'
    )
    expect(pressed).to_contain_text("Pruned")


def test_an_empty_page_says_what_to_do_and_opens_the_form(component):
    component.draw({"runs": [], "key": None, "title": "No drop run yet", "text": "Choose New run."})
    expect(component.page.get_by_text("Choose New run.")).to_be_visible()
    component.page.get_by_role("button", name="New run…").click()
    assert component.calls == [["open_form", {"operator": "apply_drop"}]]
