"""The panel's component alone in a browser: no App, no server, no database.

The App's globals are stubs that note what the component asks of Python.
"""

import json
import os
import re

import pytest
from app_browser import REPOSITORY
from playwright.sync_api import expect

JS = REPOSITORY / "plugins" / "drop" / "js"
REACT = [JS / "node_modules" / name for name in ("react", "react-dom")]

STUBS = """
window.calls = [];  // [method, params]
window.waiting = [];  // their callbacks
window.answer = (result = {}) => ReactDOM.flushSync(() => window.waiting.shift()(result));
window.executed = [];  // [operator, params]
window.__foo__ = {
  Operator: class {}, OperatorConfig: function (config) { Object.assign(this, config); },
  registerOperator: (operator) => (window.operator = new operator()),
  executeOperator: (operator, params) => window.executed.push([operator, params]),
  useTriggerPanelEvent: () => (method, params, prompt, done) => {
    window.calls.push([method, params]);
    window.waiting.push(done);
  },
};
const atom = (value) => ({ value });
window.__fos__ = {
  activeFields: () => atom([]), colorScheme: atom({}), datasetColorScheme: atom({}),
  defaultActiveFields: atom([]), selectedSamples: atom(new Set()),
  getSampleSrc: (path) => `data:image/svg+xml,${path}`,
  dataset: atom({ id: "1", name: "digits" }), view: atom([]),
};
window.recoil = {
  useRecoilValue: ({ value }) => value,
  useRecoilState: ({ value }) => [value, () => {}],
  useRecoilCallback: () => () => Promise.resolve(),
};
window.__fop__ = {
  PluginComponentType: { Component: 3 },
  registerComponent: (registered) => (window.registered = registered),
};
"""
METHODS = ["refresh", "open_run", "open_form", "show", "show_difference"]
METHODS += ["count_score", "report", "compare", "draft", "work_draft"]
METHODS += ["compare_drafts", "strips"]


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
        "observed": None,
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

    def choose_tab(self, name):
        self.page.get_by_role("tab", name=name).click()

    def leave(self):
        """Hide the panel, as the App does with its tab."""
        self.page.evaluate("ReactDOM.flushSync(() => drawn.unmount()), delete window.drawn")

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


def test_the_bundle_is_small():
    assert (JS / "dist" / "index.umd.js").stat().st_size < 60_000


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
    shown = {"density": 1.0, "part": "kept", "score": None, "class_name": None}
    assert component.calls[0][1] == {"key": "drop", "version": "1", **shown}


def test_of_what_is_asked_while_an_answer_is_awaited_the_last_wins(component):
    component.draw(page_of(ANIMALS))
    for name in ("ant", "bee", "cat"):
        component.page.get_by_role("button", name=name).click()
    assert [params["class_name"] for _, params in component.calls] == ["ant"]
    component.answer()
    assert [params["class_name"] for _, params in component.calls] == ["ant", "cat"]
    component.answer()
    assert len(component.calls) == 2


def test_what_was_chosen_of_a_run_that_was_changed_meanwhile_is_not_asked_for(component):
    component.draw(page_of(ANIMALS))
    for name in ("ant", "bee"):
        component.page.get_by_role("button", name=name).click()
    component.draw(page_of(ANIMALS, version="2"))
    component.answer()
    assert [params["class_name"] for _, params in component.calls] == ["ant"]


def test_the_difference_of_two_runs_waits_its_turn_and_nothing_else_is_said_to_be_shown(component):
    comparison = {"version": "1", "other": "even", "names": ANIMALS, "warnings": []}
    comparison |= {"densities": [[0.5] * 4, [0.4] * 4]}
    comparison |= {name: [1] * 4 for name in ("both", "first", "second")}
    sent = page_of(ANIMALS) | {"runs": ["drop", "even"]}
    component.draw(sent, comparison=json.dumps(comparison))
    component.page.get_by_role("button", name="bee").click()
    component.choose_tab("Compare")
    component.page.get_by_role("button", name="Only in even").click()
    expect(component.page.locator('[data-cy="drop-grid"] [aria-pressed=true]')).to_have_count(0)
    expect(component.page.locator('[data-cy="drop-shown"]')).to_have_count(0)
    assert len(component.calls) == 1
    component.answer()
    asked = {"key": "drop", "version": "1", "other": "even", "which": "second"}
    assert component.calls[1:] == [["show_difference", asked]]


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


def test_what_went_wrong_is_said_until_somebody_clicks_whatever_is_read_meanwhile(component):
    page = component.page
    component.draw(page_of(ANIMALS))
    component.choose_tab("Samples")
    component.answer(error="boom", errorMessage="the samples were not read")
    expect(page.get_by_role("alert")).to_contain_text("the samples were not read")
    page.get_by_role("button", name="Pruned", exact=False).first.click()
    component.answer(error="boom", errorMessage="the view was not set")
    page.get_by_role("button", name="Read them again").click()
    component.answer()
    expect(page.get_by_role("alert")).to_contain_text("the view was not set")
    page.get_by_role("button", name="Kept", exact=False).first.click()
    component.answer()
    expect(page.get_by_role("alert")).to_have_count(0)
    component.draw(page_of(ANIMALS), unread="these cannot be compared")
    expect(page.get_by_role("alert")).to_contain_text("these cannot be compared")
    component.draw(page_of(ANIMALS), unread="not this", message="but this")
    expect(page.get_by_role("alert")).to_contain_text("but this")


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
    component.page.get_by_label("Find a class").fill("class 0999")
    for words in ("1 class", "page 1 of 1"):
        expect(component.page.get_by_text(words, exact=words.startswith("page"))).to_be_visible()
    expect(component.page.locator('[data-cy="drop-overview"]')).to_have_count(0)


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


PICTURE = '<svg xmlns="http://www.w3.org/2000/svg" width="8" height="8"/>'


def test_kept_samples_of_a_class_stand_beside_pruned_ones_a_page_at_a_time(component):
    sent = page_of([f"class {k:02d}" for k in range(60)]) | {"scores": ["el2n"]}
    component.draw(sent)
    component.choose_tab("Samples")
    name, params = component.calls[-1]
    worst = {"class_name": "class 59", "score": "el2n", "page": 0, "density": 0.5}
    assert (name, {key: params[key] for key in worst}) == ("strips", worst)
    answer = {"asked": params["asked"], "kept": [["a", PICTURE]], "pruned": [["b", PICTURE]] * 1}
    component.draw(sent, strips=json.dumps(answer))
    component.answer()
    page = component.page
    expect(page.get_by_role("group", name="Kept: 30 of class 59").locator("img")).to_have_count(1)
    expect(page.get_by_role("group", name="Pruned: 30 of class 59").locator("img")).to_have_count(1)
    page.get_by_role("group", name="Pruned").get_by_role("button").press("Enter")
    executed = page.evaluate("window.executed")
    assert executed == [["@voxel51/operators/set_selected_samples", {"samples": ["b"]}]]
    page.get_by_role("button", name="Next").click()
    assert component.calls[-1][1]["page"] == 1
    component.answer()
    page.get_by_label("Order", exact=True).select_option("at random")
    page.get_by_label("Class", exact=True).select_option("class 02")
    component.answer()
    asked = [params for name, params in component.calls if name == "strips"][-1]
    assert (asked["class_name"], asked["score"], asked["page"]) == ("class 02", None, 0)


def test_the_worst_points_are_named_and_others_found_by_their_names(component):
    names = [f"class {k:03d}" for k in range(200)]
    component.draw(page_of(names, floors=[1] * 200))
    component.choose_tab("Recall")
    written = component.page.locator(".drop-names text")
    assert "class 199" in written.all_text_contents()
    assert 1 <= written.count() <= 10
    component.page.get_by_label("Find a class").fill("class 01")
    expect(component.page.get_by_text("10 found")).to_be_visible()
    assert set(written.all_text_contents()) <= {f"class 01{k}" for k in range(10)}
    # Of two samples one is kept at half, which is the floor
    expect(component.page.locator(".drop-rings")).to_have_count(1)
    expect(component.page.get_by_text("Rings: classes")).to_be_visible()


def test_the_class_table_has_the_intervals_of_recalls_where_there_is_room(component):
    component.page.set_viewport_size({"width": 800, "height": 900})
    intervals = [[0.4, 0.5]] * 4
    component.draw(page_of(ANIMALS, observed=[0.45] * 4, intervals=intervals))
    cell = component.page.locator('[data-cy="drop-class"] td:last-child').first
    expect(cell).to_have_text("0.40–0.50 0.450")
    component.page.set_viewport_size({"width": 400, "height": 900})
    expect(cell.locator("span")).to_be_hidden()


@pytest.mark.parametrize(("change", "asked"), [({}, []), ({"savedViews": ["a"]}, ["refresh"])])
def test_a_panel_that_was_just_opened_reads_itself_again_only_if_something_was_written(
    component, change, asked
):
    component.draw(page_of(ANIMALS))
    component.page.evaluate(
        "read => Object.assign(__fos__.dataset.value = {}, read)",
        {"id": "2", "name": "digits", **change},
    )
    component.draw(page_of(ANIMALS))
    assert [name for name, _ in component.calls] == asked


def test_a_run_is_shown_as_it_was_left_until_it_is_another(component):
    component.draw(page_of(ANIMALS))
    component.press("ArrowRight", times=3)
    component.page.wait_for_function("window.calls.length > 0")
    component.answer()
    component.page.get_by_role("button", name="Pruned").click()
    component.answer()
    component.page.get_by_role("button", name="cat").click()
    component.answer()
    component.leave()
    component.draw(page_of(ANIMALS))
    assert component.page.locator('[data-cy="drop-density"]').inner_text() == "0.80"
    expect(component.page.locator('[data-cy="drop-shown"]')).to_have_text("of cat")
    pressed = component.page.locator('[data-cy="drop-grid"] [aria-pressed=true]')
    expect(pressed).to_contain_text("Pruned")
    component.draw(page_of(ANIMALS, version="2"))
    assert component.page.locator('[data-cy="drop-density"]').inner_text() == "0.50"
    expect(pressed).to_have_count(0)


def test_tabs_are_changed_by_arrow_keys_and_say_what_they_belong_to(component):
    component.draw(page_of(ANIMALS))
    component.page.get_by_role("tab", name="Classes").focus()
    for key, name in (("ArrowRight", "Samples"), ("End", "Compare"), ("ArrowRight", "Classes")):
        component.page.keyboard.press(key)
        expect(component.page.get_by_role("tab", name=name)).to_be_focused()
        expect(component.page.get_by_role("tabpanel", name=name)).to_be_visible()


# -- drafts ---------------------------------------------------------------------------------------

OFFERED = {
    "samples": {"run": "those of the run drop", "all": "the whole dataset"},
    "recalls": {"run:drop": "those of the run drop", "eval:val": "the evaluation val"},
    "rule": {"drop": "drop: the paper", "balanced": "balanced: equal quotas"},
    "select": {"random": "at random", "el2n": "by el2n"},
    "keep": {"hardest": "the hardest", "easiest": "the easiest"},
}
CHOSEN = {"base": "drop", "samples": "run", "recalls": "run:drop", "rule": "drop"}
CHOSEN |= {"select": "random", "keep": "hardest", "limits": [], "keep_ids": [], "left_out": []}


class Drafts:
    """Python's part: answers what the component asks of drafts."""

    def __init__(self, component, sent):
        self.component = component
        self.sent = sent
        self.drawn = {}

    def asked(self):
        name, params = self.component.calls[-1]
        assert name == "draft"
        return params

    def answer(self, counts=None, **more):
        asked = self.asked()
        run = page_of(ANIMALS, can_limit=True)["run"]
        if counts:
            run["counts"] = [counts] * 10
        drawn = {"asked": asked["asked"], "choices": CHOSEN | asked["choices"], "warnings": []}
        drawn |= {"offered": OFFERED, "run": run} | more
        self.drawn = {"draft": json.dumps(drawn)}
        self.component.draw(self.sent, **self.drawn)
        self.component.answer()


@pytest.fixture
def drafts(component):
    sent = page_of(ANIMALS, can_limit=True)
    component.draw(sent)
    return Drafts(component, sent)


def test_a_new_run_is_a_draft_that_follows_every_choice_and_writes_nothing(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    assert drafts.asked()["choices"] == {"base": "drop"}
    drafts.answer()
    expect(page.get_by_label("Drop run")).to_have_value("draft 1")
    # It has no density of its own, and the slider says its own
    expect(page.locator(".drop-facts")).not_to_contain_text("density")
    assert component.kept() == str(sum(drafts.sent["run"]["counts"][4]))
    page.get_by_label("Rule").select_option("balanced")
    assert drafts.asked()["choices"]["rule"] == "balanced"
    drafts.answer([1, 1, 2, 1])
    assert component.kept() == "5"
    row = page.locator('[data-cy="drop-class"]', has_text="cat")
    expect(row.locator("td").nth(2)).to_contain_text("2 / 3")
    page.get_by_role("button", name="Apply as a new run").click()
    name, params = component.calls[-1]
    assert (name, params["work"]) == ("work_draft", "apply")
    assert params["choices"] == CHOSEN | {"rule": "balanced"}
    assert {name for name, _ in component.calls} == {"draft", "work_draft"}


def test_a_draft_is_undone_step_by_step_and_discarded_without_a_trace(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    undo = page.get_by_role("button", name="Undo")
    expect(undo).to_be_disabled()
    for rule in ("balanced", "drop"):
        page.get_by_label("Rule").select_option(rule)
        drafts.answer()
    undo.click()
    assert drafts.asked()["choices"]["rule"] == "balanced"
    drafts.answer()
    page.get_by_role("button", name="Discard").click()
    expect(page.get_by_label("Drop run")).to_have_value("drop")
    expect(page.get_by_label("Drop run").locator("option")).to_have_count(1)
    assert {name for name, _ in component.calls} == {"draft"}


def test_a_limit_on_a_class_of_a_run_begins_a_draft_of_it(component, drafts):
    page = component.page
    page.get_by_role("button", name="dog").click()
    component.answer()
    page.get_by_label("How many samples of dog").select_option("all of it")
    assert drafts.asked()["choices"] == {"base": "drop", "limits": [["dog", "all", 4]]}
    drafts.answer([0, 0, 1, 4])
    assert component.kept() == "5"
    row = page.locator('[data-cy="drop-class"]', has_text="dog")
    expect(row.locator("td").nth(2)).to_have_text("+2 4 / 4")
    expect(page.locator('[data-cy="drop-by-hand"]')).to_have_text("dog: all of it")
    expect(page.get_by_role("button", name="dog", pressed=True)).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    assert drafts.asked()["choices"] == {"base": "drop"}


def floor_of_dog(component, drafts):
    """The field for the floor of a class in a draft that the click has opened."""
    page = component.page
    page.get_by_role("button", name="dog").click()
    component.answer()
    page.get_by_label("How many samples of dog").select_option("at least")
    drafts.answer()
    return page.get_by_label("Samples of dog", exact=True)


@pytest.mark.parametrize("end", ["Enter", "Tab", None])
def test_a_number_that_is_typed_is_one_step_however_many_keys_it_has(component, drafts, end):
    page, number = component.page, floor_of_dog(component, drafts)
    number.press("Control+a")
    number.press_sequentially("003")
    asked = len(component.calls)
    if end:
        number.press(end)
    else:
        page.wait_for_function("count => window.calls.length > count", arg=asked)
    assert len(component.calls) == asked + 1
    assert drafts.asked()["choices"]["limits"] == [["dog", "least", 3]]
    drafts.answer()
    page.get_by_role("button", name="Undo").click()
    assert drafts.asked()["choices"]["limits"] == [["dog", "least", 2]]


def test_a_number_that_is_typed_and_taken_back_changes_nothing(component, drafts):
    page = component.page
    page.get_by_role("button", name="dog").click()
    component.answer()
    page.get_by_label("How many samples of dog").select_option("at least")
    drafts.answer()
    asked = len(component.calls)
    number = page.get_by_label("Samples of dog", exact=True)
    number.fill("")
    number.press("Tab")
    expect(number).to_have_value("2")
    assert len(component.calls) == asked


def test_a_saved_view_is_shown_as_soon_as_the_app_has_read_its_dataset_again(component):
    page = component.page
    page.evaluate("operator.useHooks()")
    page.evaluate("void (window.done = operator.execute({params: {name: 'a'}}))")
    page.wait_for_timeout(200)
    assert page.evaluate("executed") == []
    page.evaluate("__fos__.dataset.value = {id: '2'}")
    page.evaluate("operator.useHooks(), done")
    assert page.evaluate("executed") == [["@voxel51/operators/set_view", {"name": "a"}]]


def test_what_cannot_be_is_said_in_the_draft_and_not_applied(component, drafts):
    component.page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer(problem="it has 3")
    expect(component.page.get_by_role("alert")).to_contain_text("It cannot be: it has 3")
    expect(component.page.get_by_role("button", name="Apply as a new run")).to_be_disabled()


def test_recalls_that_take_long_are_measured_when_somebody_says_so(component, drafts):
    component.page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer(unmeasured=True, run=None)
    component.page.get_by_role("button", name="Measure recalls").click()
    name, params = component.calls[-1]
    assert (name, params["work"], params["density"]) == ("work_draft", "measure", 0.5)
    working = json.dumps({"asked": params["asked"], "label": "Stage 1: x", "done": 0.5})
    component.draw(drafts.sent, **drafts.drawn, working=working)
    expect(component.page.get_by_text("Stage 1: x, 50 %…")).to_be_visible()


def test_a_draft_is_asked_for_again_when_python_has_forgotten_it(component, drafts):
    component.page.get_by_role("button", name="New run").click()
    drafts.answer()
    before = len(component.calls)
    component.draw(drafts.sent, draft=None)
    component.page.wait_for_timeout(100)
    assert len(component.calls) == before + 1
    drafts.answer([1, 1, 2, 1])
    assert component.kept() == "5"
    component.draw(drafts.sent, **drafts.drawn)
    component.page.wait_for_timeout(100)
    assert len(component.calls) == before + 1


def test_a_draft_outlives_the_page_and_gives_way_to_the_run_that_it_becomes(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    page.get_by_label("Rule").select_option("balanced")
    drafts.answer()
    component.leave()
    component.draw(drafts.sent)
    assert drafts.asked()["choices"]["rule"] == "balanced"
    drafts.answer()
    applied = json.dumps({"asked": drafts.asked()["asked"], "key": "drop_2"})
    component.draw(drafts.sent, **drafts.drawn, applied=applied)
    expect(page.get_by_label("Drop run").locator("option")).to_have_count(1)


def test_two_drafts_are_compared_like_runs(component, drafts):
    page = component.page
    for _ in range(2):
        page.get_by_role("button", name="New run", exact=True).click()
        drafts.answer()
    component.choose_tab("Compare")
    page.get_by_label("The run to compare with").select_option("draft 1")
    name, params = component.calls[-1]
    assert (name, params["asked"]) == ("compare_drafts", "draft 2.0.null draft 1.0.null")
    assert params["first_choices"]["base"] == params["second_choices"]["base"] == "drop"
    counts = {name: [1] * 4 for name in ("both", "first", "second")}
    both = {"asked": params["asked"], "names": ANIMALS, "warnings": [], **counts}
    both["densities"] = [[0.5] * 4, [0.4] * 4]
    component.draw(drafts.sent, **drafts.drawn, comparison=json.dumps(both))
    component.answer()
    expect(page.get_by_text("Only in draft 2: 4")).to_be_visible()


def test_selected_samples_are_kept_always_or_left_out(component, drafts):
    component.page.evaluate("__fos__.selectedSamples.value = new Set(['a1', 'b2'])")
    component.draw(drafts.sent)
    component.page.get_by_role("button", name="Keep always").click()
    assert drafts.asked()["choices"] == {"base": "drop", "keep_ids": ["a1", "b2"]}
    drafts.answer()
    words = component.page.locator('[data-cy="drop-by-hand"]')
    expect(words).to_have_text("kept always: 2 samples")
    component.page.evaluate("__fos__.selectedSamples.value = new Set(['b2', 'c3'])")
    component.draw(drafts.sent, **drafts.drawn)
    component.page.get_by_role("button", name="Leave out").click()
    # A sample is in one of the two lists
    both = {"keep_ids": ["a1"], "left_out": ["b2", "c3"]}
    assert drafts.asked()["choices"] == {"base": "drop", **both}
    drafts.answer()
    expect(words).to_have_text("kept always: 1 sample · left out: 2 samples")
    component.page.get_by_role("button", name="Keep always").click()
    both = {"keep_ids": ["a1", "b2", "c3"], "left_out": []}
    assert drafts.asked()["choices"] == {"base": "drop", **both}


def test_a_draft_is_applied_at_the_density_that_its_slider_shows(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    component.press("ArrowRight", times=3)
    page.wait_for_function("window.calls.length == 2")
    drafts.answer()
    page.get_by_label("Drop run").select_option("drop")
    component.answer()
    page.get_by_role("button", name="bee").click()
    component.answer()
    page.get_by_label("Drop run").select_option("draft 1")
    expect(page.locator('[data-cy="drop-density"]')).to_have_text("0.80")
    page.get_by_role("button", name="Apply as a new run").click()
    assert component.calls[-1][1]["density"] == 0.8


def test_whoever_goes_on_from_the_slider_to_a_button_has_let_go_of_it(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    component.press("ArrowRight")
    page.get_by_role("button", name="Apply as a new run").click()
    assert drafts.asked()["density"] == 0.6
    drafts.answer()
    page.get_by_role("button", name="Apply as a new run").click()
    works = [params["density"] for name, params in component.calls if name == "work_draft"]
    assert works == [0.6]


def test_a_draft_is_applied_once_however_often_its_button_is_pressed(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    apply = page.get_by_role("button", name="Apply as a new run")

    def works():
        return len([name for name, _ in component.calls if name == "work_draft"])

    apply.dblclick()
    component.answer()
    expect(apply).to_be_disabled()
    assert works() == 1
    working = json.dumps({"asked": "draft 1.0.null", "label": "Writing", "done": 0.5})
    component.draw(drafts.sent, **drafts.drawn, working=working)
    expect(apply).to_be_disabled()
    component.draw(drafts.sent, **drafts.drawn, message="Nothing was written")
    expect(apply).to_be_enabled()
    apply.focus()
    for _ in range(3):
        page.keyboard.press("Enter")
    component.answer(result={"failed": True})
    expect(apply).to_be_enabled()
    assert works() == 2


def test_a_key_that_is_held_presses_a_button_once(component, drafts):
    component.page.get_by_role("button", name="New run", exact=True).focus()
    for _ in range(4):
        component.page.keyboard.down("Enter")
    component.page.keyboard.up("Enter")
    runs = component.page.get_by_label("Drop run").locator("option")
    expect(runs).to_have_text(["drop", "draft 1"])


def test_a_draft_that_python_refuses_to_work_on_twice_can_be_applied_later(component, drafts):
    component.page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    apply = component.page.get_by_role("button", name="Apply as a new run")
    apply.click()
    component.draw(drafts.sent, **drafts.drawn, message="It is being written already")
    component.answer()
    expect(apply).to_be_enabled()


def test_a_class_stays_chosen_by_its_name_where_other_samples_have_other_classes(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    page.get_by_role("button", name="dog").click()
    component.choose_tab("Recall")
    scatter = page.get_by_role("slider", name="Recall against")
    scatter.focus()
    page.keyboard.press("Home")
    assert scatter.get_attribute("aria-valuetext").startswith("dog")
    limit = page.locator('[data-cy="drop-limit"] b')
    samples = page.get_by_label("Samples", exact=True)
    samples.select_option("all")
    expect(scatter).to_be_focused()
    drafts.answer(run=page_of(["ant", "dog"], can_limit=True)["run"])
    expect(limit).to_have_text("dog")
    expect(page.locator(".drop-hover b")).to_have_text("dog")
    samples.select_option("run")
    drafts.answer(run=page_of(["ant", "bee"], can_limit=True)["run"])
    expect(limit).to_have_count(0)
    component.choose_tab("Classes")
    expect(page.locator('[data-cy="drop-class"] [aria-pressed=true]')).to_have_count(0)
    page.get_by_role("button", name="Undo").click()
    drafts.answer()
    expect(limit).to_have_text("dog")
    expect(page.get_by_role("button", name="dog", pressed=True)).to_be_visible()


def with_step(run, density, counts):
    """A run whose own density lies between two steps of the slider."""
    own = sum(d < density for d in run["densities"])
    for name, value in (("densities", density), ("counts", counts), ("levels", density)):
        run[name] = [*run[name][:own], value, *run[name][own:]]
    return run | {"own": own, "density": density}


def test_a_draft_is_shown_whatever_becomes_of_the_density_of_its_run(component, drafts):
    page = component.page
    between = with_step(page_of(ANIMALS, can_limit=True)["run"], 0.333, [0, 1, 1, 1])
    drafts.sent["run"] = between
    component.draw(drafts.sent)
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer(run=between)
    component.press("End")
    page.wait_for_function("window.calls.length == 2")
    drafts.answer(run=between)
    assert component.kept() == "10"
    drafts.sent = page_of(ANIMALS, version="2", can_limit=True)
    component.draw(drafts.sent, **drafts.drawn)
    page.get_by_label("Rule").select_option("balanced")
    drafts.answer()
    assert component.kept() == "10"
    expect(page.locator('[data-cy="drop-density"]')).to_have_text("1.00")
    component.press("ArrowLeft", times=2)
    page.wait_for_function("window.calls.length == 4")
    expect(page.locator('[data-cy="drop-density"]')).to_have_text("0.80")


def test_a_draft_differs_from_its_run_by_its_choices_and_not_by_other_steps(component, drafts):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer(run=with_step(page_of(ANIMALS, can_limit=True)["run"], 0.333, [0, 1, 1, 1]))
    component.press("ArrowRight", times=5)
    expect(page.locator('[data-cy="drop-density"]')).to_have_text("0.80")
    for row in page.locator('[data-cy="drop-class"]').all():
        expect(row.locator("td").nth(2)).to_have_text(re.compile(r"^\d / \d$"))


def test_a_density_that_the_slider_has_no_more_is_the_next_one_that_it_has(component, drafts):
    page = component.page
    between = with_step(page_of(ANIMALS, can_limit=True)["run"], 0.333, [0, 1, 1, 1])
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer(run=between)
    component.press("ArrowLeft")
    page.wait_for_function("window.calls.length == 2")
    drafts.answer(run=between)
    component.press("ArrowRight")
    page.wait_for_function("window.calls.length == 3")
    assert drafts.asked()["density"] == 0.333
    drafts.answer()
    drafts.answer()
    expect(page.locator('[data-cy="drop-density"]')).to_have_text("0.30")
    page.get_by_role("button", name="Apply as a new run").click()
    assert component.calls[-1][1]["density"] == 0.3


def test_a_number_that_cannot_be_stays_where_it_was_typed(component, drafts):
    page, number = component.page, floor_of_dog(component, drafts)
    number.fill("999")
    number.press("Enter")
    drafts.answer(run=None, problem="999 samples cannot be kept")
    expect(page.get_by_role("alert")).to_contain_text("It cannot be: 999 samples cannot be kept")
    expect(number).to_have_value("999")
    expect(number).to_be_focused()
    expect(page.get_by_role("button", name="Apply as a new run")).to_be_disabled()
    number.fill("3")
    number.press("Enter")
    drafts.answer([0, 1, 1, 3])
    expect(page.get_by_role("alert")).to_have_count(0)
    assert component.kept() == "5"


def test_samples_of_a_draft_are_asked_for_by_all_of_its_choices_once_they_are_known(
    component, drafts
):
    page = component.page
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    page.get_by_label("Rule").select_option("balanced")
    drafts.answer()
    component.choose_tab("Samples")
    component.answer()
    page.get_by_role("button", name="Undo").click()
    drafts.answer()
    asked = [params["choices"] for name, params in component.calls if name == "strips"]
    assert asked == [CHOSEN | {"rule": "balanced"}, CHOSEN]


def test_a_run_of_any_key_is_told_from_a_draft(component, drafts):
    page = component.page
    drafts.sent["runs"] = ["d1", "drop"]
    component.draw(drafts.sent)
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer()
    component.choose_tab("Compare")
    page.get_by_label("The run to compare with").select_option("d1")
    assert component.calls[-1][1]["second_key"] == "d1"
    component.answer()
    page.get_by_label("Drop run").select_option("d1")
    assert component.calls[-1] == ["open_run", {"key": "d1"}]


def test_a_draft_that_is_not_read_yet_is_compared_where_it_starts(component, drafts):
    page = component.page
    for _ in range(2):
        page.get_by_role("button", name="New run", exact=True).click()
        drafts.answer()
    component.press("ArrowRight")
    page.wait_for_function("window.calls.length == 3")
    drafts.answer()
    component.leave()
    component.draw(drafts.sent)
    drafts.answer()
    component.choose_tab("Compare")
    page.get_by_label("The run to compare with").select_option("draft 1")
    _, params = component.calls[-1]
    assert (params["first_density"], params["second_density"]) == (0.6, None)


def test_what_was_left_out_by_scores_is_said_of_a_draft(component, drafts):
    component.page.get_by_role("button", name="New run", exact=True).click()
    run = page_of(ANIMALS, can_limit=True)["run"]
    drafts.answer(run=run | {"left_out": 12})
    facts = component.page.locator(".drop-facts")
    expect(facts).to_contain_text("12 left out by their scores")


# -- what Python counts ---------------------------------------------------------------------------


def counted(score="el2n", density=0.5, version="1"):
    """The histogram of a score, as Python sends it."""
    bins = {"edges": [0.0, 0.5, 1.0], "kept": [3, 2], "pruned": [1, 4], "missing": 0}
    return json.dumps({"version": version, "score": score, "density": density, **bins})


@pytest.fixture
def scored(component):
    """A run whose scores are looked at."""
    sent = page_of(ANIMALS) | {"scores": ["el2n", "aum"]}
    component.draw(sent)
    component.choose_tab("Score")
    return sent


def counts(component):
    return [(p["score"], p["density"]) for name, p in component.calls if name == "count_score"]


def test_the_first_score_of_a_dataset_is_counted_when_it_comes(component):
    component.draw(page_of(ANIMALS))
    component.choose_tab("Score")
    assert counts(component) == []
    component.draw(page_of(ANIMALS) | {"scores": ["el2n"]})
    assert counts(component) == [("el2n", 0.5)]


def test_a_slow_count_does_not_come_after_that_of_a_newer_choice(component, scored):
    choice = component.page.get_by_label("Score", exact=True).and_(component.page.locator("select"))
    choice.select_option("aum")
    assert counts(component) == [("el2n", 0.5)]
    component.draw(scored, histogram=counted("el2n"))
    component.answer()
    assert counts(component) == [("el2n", 0.5), ("aum", 0.5)]
    component.draw(scored, histogram=counted("aum"))
    component.answer()
    expect(component.page.get_by_text("counted at density 0.50")).to_be_visible()
    assert len(counts(component)) == 2


def test_a_score_is_counted_anew_where_the_slider_is_let_go_and_when_refreshed(component, scored):
    component.draw(scored, histogram=counted())
    component.answer()
    component.press("ArrowRight")
    component.page.wait_for_function("window.calls.length == 3")
    assert {name for name, _ in component.calls[1:]} == {"show", "count_score"}
    assert counts(component)[-1] == ("el2n", 0.6)
    component.draw(scored, histogram=counted(density=0.6))
    component.answer()
    component.answer()
    component.draw(scored, histogram=None)
    assert counts(component)[-1] == ("el2n", 0.6)
    assert len(counts(component)) == 3


def test_what_could_not_be_counted_can_be_counted_again(component, scored):
    component.answer(result={"failed": True})
    expect(component.page.get_by_text("It was not counted.")).to_be_visible()
    assert len(counts(component)) == 1
    component.page.get_by_role("button", name="Count again").click()
    assert len(counts(component)) == 2


def test_bins_are_reached_by_arrow_keys_and_what_they_show_is_said(component, scored):
    component.draw(scored, histogram=counted())
    component.answer()
    bins = component.page.get_by_role("slider", name="Histogram of el2n")
    bins.focus()
    component.page.keyboard.press("End")
    assert bins.get_attribute("aria-valuetext") == "0.5 to 1: 2 kept, 4 pruned"
    component.page.keyboard.press("Enter")
    assert component.page.locator(".drop-chosen").count() == 1
    asked = component.calls[-1][1]
    assert (asked["score"], asked["score_range"], asked["is_last"]) == ("el2n", [0.5, 1.0], True)
    component.answer()
    expect(component.page.locator('[data-cy="drop-range"]')).to_have_text("with el2n from 0.5 to 1")
    component.page.get_by_role("button", name="Pruned", exact=True).click()
    asked = component.calls[-1][1]
    assert (asked["part"], asked["score_range"]) == ("pruned", [0.5, 1.0])
    component.answer()
    component.page.get_by_role("button", name="All values").click()
    assert "score_range" not in component.calls[-1][1]
    expect(component.page.get_by_role("button", name="Pruned 5")).to_be_visible()


def test_a_score_that_was_deleted_is_not_asked_for(component, scored):
    component.page.get_by_label("Order of the grid").select_option("aum")
    component.answer()
    component.answer()
    component.draw(scored | {"scores": ["el2n"]})
    component.page.get_by_role("button", name="Pruned").click()
    assert component.calls[-1][1]["score"] is None


def test_labels_that_look_wrong_are_shown_by_a_button_and_a_weak_model_has_none(component):
    said = {"title": "Fairness of drop", "eval_key": None, "accuracy": None, "offsets": None}
    findings = [{"level": "warning", "text": "3 labels may be wrong"}]
    component.draw(page_of(ANIMALS))
    component.choose_tab("Fairness")
    report = {"version": "1", "report": said | {"findings": findings, "suspects": ["el2n"]}}
    component.draw(page_of(ANIMALS) | {"scores": ["el2n"]}, report=json.dumps(report))
    component.answer()
    component.press("ArrowRight", times=3)
    component.page.wait_for_function("window.calls.at(-1)[0] == 'show'")
    component.answer()
    component.page.get_by_role("button", name="whose labels may be wrong").click()
    name, asked = component.calls[-1]
    assert (name, asked["part"], asked["score"]) == ("show", "kept", "el2n")
    # The numbers beside the grid are of the same density
    assert asked["density"] == 0.5
    expect(component.page.locator('[data-cy="drop-density"]')).to_have_text("0.50")
    component.answer()
    report["report"] |= {"findings": [], "suspects": []}
    component.draw(page_of(ANIMALS) | {"scores": ["el2n"]}, report=json.dumps(report))
    expect(component.page.get_by_role("button", name="may be wrong")).to_have_count(0)


def test_both_parts_together_say_how_to_tell_them(component):
    component.draw(page_of(ANIMALS))
    component.page.get_by_role("button", name="Both").click()
    words = component.page.locator('[data-cy="drop-colours"]')
    expect(words).to_have_text("tagged kept or pruned")


def test_half_a_thousandth_is_rounded_as_python_rounds_it(component):
    recalls = [0.8125, 0.0625, 0.9375, 0.5005]
    component.draw(page_of(ANIMALS, recalls=recalls))
    shown = component.page.locator('[data-cy="drop-class"] td:last-child').all_inner_texts()
    assert sorted(shown) == sorted(f"{recall:.3f}" for recall in recalls)


def test_a_recall_is_the_measured_one_and_the_smoothed_one_is_said_to_be(component):
    observed = [0.47, 0.5, 0.6, 0.7]
    component.draw(page_of(ANIMALS, recalls=[0.494, 0.5, 0.6, 0.7], observed=observed))
    component.page.get_by_role("button", name="ant").click()
    shown = component.page.locator('[data-cy="drop-recall"]')
    expect(shown).to_have_text("Recall: measured 0.470; the rule used 0.494, smoothed")
    cell = component.page.locator('[data-cy="drop-class"]').first.locator("td").last
    expect(cell).to_have_text("0.470")


def test_kept_and_size_are_sorted_by_apart(component):
    sent = page_of(ANIMALS)
    sent["run"]["counts"][4] = [1, 0, 3, 2]
    component.draw(sent)
    for name, first in (("Kept", "bee"), ("size", "ant")):
        component.page.get_by_role("button", name=name, exact=True).click()
        assert component.rows()[0] == first


def test_every_picture_is_one_tab_stop_with_arrow_keys_inside(component):
    names = [f"class {k:04d}" for k in range(60)]
    component.draw(page_of(names))
    strip = component.page.get_by_role("slider", name="all classes")
    strip.focus()
    component.page.keyboard.press("ArrowRight")
    assert "page 2 of 3" in strip.get_attribute("aria-valuetext")
    assert component.rows()[0] == "class 0034"
    stops = component.page.locator('[data-cy="drop-class"] button[tabindex="0"]')
    stops.focus()
    component.page.keyboard.press("ArrowDown")
    component.page.keyboard.press("Enter")
    assert component.calls[-1][1]["class_name"] == "class 0033"
    component.choose_tab("Recall")
    scatter = component.page.get_by_role("slider", name="Recall against")
    scatter.focus()
    component.page.keyboard.press("Home")
    assert scatter.get_attribute("aria-valuetext").startswith("class 0059")
    component.page.keyboard.press("Enter")
    assert component.calls[-1][1]["class_name"] == "class 0033"  # one request at a time
    component.answer()
    assert component.calls[-1][1]["class_name"] == "class 0059"


def test_at_two_hundred_per_cent_nothing_is_cut_off_and_nothing_moves_by_itself(component, drafts):
    page = component.page
    page.set_viewport_size({"width": 320, "height": 450})
    page.emulate_media(reduced_motion="reduce")
    page.get_by_role("button", name="New run", exact=True).click()
    drafts.answer(warnings=["300 of 300 samples of the evaluation 'val' are in the target view"])
    panel = page.locator('[data-cy="drop-panel"]')
    for tab in ("Classes", "Samples", "Recall", "Compare"):
        component.choose_tab(tab)
        widths = panel.evaluate("e => [e.scrollWidth, e.clientWidth]")
        assert widths[0] <= widths[1], tab
    moving = """e => [...e.querySelectorAll("*")].filter((one) => {
      const style = getComputedStyle(one);
      return parseFloat(style.transitionDuration) + parseFloat(style.animationDuration) > 0;
    }).length"""
    assert panel.evaluate(moving) == 0


def test_the_whole_panel_is_walked_by_the_tab_key_and_the_focus_is_seen(component):
    component.draw(page_of([f"class {k:04d}" for k in range(1000)], can_limit=True))
    page = component.page
    component.page.get_by_label("Drop run").focus()
    seen = []
    for _ in range(40):
        seen.append(
            page.evaluate(
                """() => {
                  const one = document.activeElement;
                  const name = one.getAttribute("aria-label") || one.textContent;
                  return [name, getComputedStyle(one).outlineStyle];
                }"""
            )
        )
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    names = [name for name, _ in seen]
    assert {outline for _, outline in seen} == {"solid"}
    for name in ("New run", "Density", "Classes", "Find a class", "class 0999", "Next"):
        assert name in names
    assert len(names) < 25  # a thousand classes are one stop, and so is each picture
    assert names[-1] == "class 0999"


def test_long_names_are_told_apart_by_their_ends(component):
    names = [f"a long name of a class that ends in {word}" for word in ("one", "two")]
    component.draw(page_of(names))
    for name in names:
        end = component.page.get_by_title(name).locator("span").last
        expect(end).to_be_in_viewport(ratio=1)
    assert sorted(component.rows()) == names


def test_what_is_not_as_usual_is_one_line_with_the_way_out(component):
    states = [
        {"words": "Somebody is writing", "way": "wait", "of": None},
        {"words": "At work: DRoP: compute", "way": "follow", "of": "a1"},
        {"words": "The run 'x' was not written to its end", "way": "delete", "of": "x"},
    ]
    component.draw(page_of(ANIMALS) | {"states": states, "changes": "12 samples are gone"})
    for name, asked in (
        ("Look again", ["refresh", {"key": "drop"}]),
        ("Follow or cancel it…", ["open_form", {"operator": "running", "job": "a1"}]),
        ("Delete it…", ["open_form", {"operator": "delete_drop", "key": "x"}]),
        ("Make it again…", ["open_form", {"operator": "apply_drop", "run": "drop"}]),
    ):
        component.page.get_by_role("button", name=name).click()
        assert component.calls[-1] == asked


def test_what_can_be_done_with_a_run_begins_with_the_one_that_is_shown(component, drafts):
    for name, operator in (
        ("Take away…", "export_run"),
        ("FiftyOne’s panels…", "open_panels"),
        ("Delete run…", "delete_drop"),
    ):
        component.page.get_by_role("button", name=name).click()
        assert component.calls[-1] == ["open_form", {"operator": operator, "key": "drop"}]
    component.page.get_by_role("button", name="New run", exact=True).click()
    expect(component.page.get_by_role("button", name="Take away…")).to_have_count(0)


def test_no_run_can_be_begun_where_there_is_nothing_to_prune(component):
    component.draw({"runs": [], "key": None, "title": "No labels", "text": "", "can_prune": False})
    expect(component.page.get_by_role("button", name="New run", exact=True)).to_be_disabled()


def test_an_empty_page_says_what_to_do_and_begins_a_draft(component):
    component.draw({"runs": [], "key": None, "title": "No drop run yet", "text": "Choose New run."})
    expect(component.page.get_by_text("Choose New run.")).to_be_visible()
    component.page.get_by_role("button", name="New run", exact=True).click()
    asked = {"id": "draft 1", "asked": "draft 1.0.null", "choices": {"base": None}}
    assert component.calls == [["draft", asked | {"density": None}]]
