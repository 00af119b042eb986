"""What letting go of the panel's density slider costs, at ten thousand samples and at a million.

    python scripts/with_mongod.py --home .benchmark -- python benchmarks/app.py
    ... --sizes 10000 50000 --repeats 2     to try it
    ... --quick                             what the tests run

Makes datasets of sample documents in 1,000 long-tailed classes that share one image. Each has a
server and a page of its own, in one headless Chromium, where the real slider is dragged with the
mouse. First, how long the class table takes to follow the handle, step by step. Then a draft is
begun, and it is noted how long the table takes to follow each choice of another rule. Then the
slider is let go, in one page after the other, and the page notes when Python has answered and when
the grid says the new count. In between FiftyOne's own operator sets the same match on another
field: what the grid takes without us. Needs Debian's chromium.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import fiftyone as fo
import numpy as np
from data_layer import recalls_of, synthetic_dataset
from fiftyone.core.odm import get_db_conn
from PIL import Image
from playwright.sync_api import expect
from reporting import report

from fiftyone_drop.density import kept_size
from fiftyone_drop.views import in_part

sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts"))
from app_browser import AppPage, app_server, chromium, copy_plugin

QUICK = {"sizes": [2_000], "classes": 50, "repeats": 1}
STEPS = range(15, 80)  # of the slider: above, few classes are left that still grow
THUMB = 16  # px, the width of the handle of Chromium's sliders
TWIN = "twin"  # the field of the same order that FiftyOne alone is shown by
POLL = "resolve-placements"  # FiftyOne asks so now and then which buttons operators have
PROMISE = "at most, as promised"
AT_MOST_S = 0.05  # from the handle to the bars
CHOICE_S = 0.3  # from a choice in a draft to the bars

# Note, by the clock of the page, when the mouse was let go (or, in SHOW, FiftyOne told to show a
# view), when the first answer of an operator had come, and when the grid said the count.
NOTE = """(count) => {
  const noted = (window.noted = {});
  addEventListener("pointerup", (event) => (noted.start = event.timeStamp), { once: true });
  const answers = new PerformanceObserver((list) => {
    for (const answer of list.getEntries())
      if (answer.name.endsWith("/operators/execute")) noted.answer ??= answer.responseEnd;
  });
  answers.observe({ type: "resource" });
  const grid = new MutationObserver(() => {
    const words = document.querySelector('[data-cy="entry-counts"]')?.textContent ?? "";
    if (words.match(/[\\d,]+/)?.[0] !== count) return;
    noted.count = performance.now();
    grid.disconnect();
    answers.disconnect();
  });
  grid.observe(document.body, { subtree: true, childList: true, characterData: true });
}"""

SHOW = """(view) => {
  window.noted.start = performance.now();
  __foo__.executeOperator("@voxel51/operators/set_view", { view });
}"""

# A message that is posted before a frame is painted arrives after it
FOLLOW = """(table) => {
  const steps = (window.steps = []);
  let moved = null;
  addEventListener("pointermove", (event) => (moved = event.timeStamp), true);
  new MutationObserver(() => {
    if (moved === null) return;
    const start = moved;
    moved = null;
    const painted = new MessageChannel();
    painted.port1.onmessage = () => steps.push(performance.now() - start);
    requestAnimationFrame(() => painted.port2.postMessage(null));
  }).observe(table, { subtree: true, childList: true, characterData: true });
}"""


# From the choice of a value until the table is painted with what Python has answered
CHOOSE = """([select, value, table]) => {
  window.chosen = null;
  const start = performance.now();
  const answered = new MutationObserver(() => {
    answered.disconnect();
    const painted = new MessageChannel();
    painted.port1.onmessage = () => (window.chosen = performance.now() - start);
    requestAnimationFrame(() => painted.port2.postMessage(null));
  });
  answered.observe(table, { subtree: true, childList: true, characterData: true });
  Object.getOwnPropertyDescriptor(HTMLSelectElement.prototype, "value").set.call(select, value);
  select.dispatchEvent(new Event("change", { bubbles: true }));
}"""


# -- datasets -------------------------------------------------------------------------------------


@contextlib.contextmanager
def pruned_dataset(n: int, k: int, image: Path) -> Iterator[fo.Dataset]:
    """A dataset with a run of density 0.5, and a copy of its order that is not the run's."""
    with synthetic_dataset(n, k, str(image)) as dataset:
        dataset.apply_drop(0.5, recalls=recalls_of(k), progress=False)
        dataset.add_sample_field(TWIN, fo.FloatField)
        dataset._sample_collection.update_many({}, [{"$set": {TWIN: "$drop_keep_at"}}])
        yield dataset


def write_image(path: Path) -> None:
    """An image of noise, of the size that the sample documents state."""
    rng = np.random.default_rng(51)
    Image.fromarray(rng.integers(0, 256, (224, 224, 3), dtype=np.uint8)).save(path)


# -- the mouse ------------------------------------------------------------------------------------


class Panel:
    """The panel beside the grid of one dataset, in a page of its own, used with the mouse."""

    def __init__(self, app: AppPage, dataset: fo.Dataset):
        self.app = app
        self.page = app.page
        self.dataset = dataset
        self.size = len(dataset)
        app.open(dataset.name)
        app.expect_count(self.size)
        panel = app.open_panel("drop_panel")
        self.panel = panel
        self.slider = panel.locator('[data-cy="drop-slider"]')
        self.table = panel.locator('[data-cy="drop-classes"]')
        expect(self.slider).to_be_visible()
        # By name the largest classes come first, of which some grow at every step
        panel.get_by_role("button", name="Class", exact=True).click()
        self.rest()

    def rest(self) -> None:
        """Wait until the App asks for nothing more, such as further pages of the grid."""
        asked = -1
        while asked < len(self.app.requests):
            asked = len(self.app.requests)
            self.app.settle()
            self.page.wait_for_timeout(1_000)

    def grab(self) -> None:
        """Press the button on the handle."""
        self.page.bring_to_front()
        self.move_to(int(self.slider.input_value()))
        self.page.mouse.down()

    def move_to(self, position: int) -> None:
        """Move the mouse to where the handle is at a position."""
        box = self.slider.bounding_box()
        way = position / int(self.slider.get_attribute("max"))
        x = box["x"] + THUMB / 2 + way * (box["width"] - THUMB)
        self.page.mouse.move(x, box["y"] + box["height"] / 2)

    def follow(self) -> tuple[list[float], list[str]]:
        """Drag the handle step by step, and let it go at the last one.

        Returns:
            seconds from each step until the table is painted with its numbers, and how the
            addresses of the requests meanwhile end
        """
        self.grab()
        self.table.evaluate(FOLLOW)
        before = len(self.app.requests)
        for done, position in enumerate(STEPS, 1):
            self.move_to(position)
            self.page.wait_for_function("done => steps.length === done", arg=done, polling=10)
        requests = [r.url.rpartition("/")[2] for r in self.app.requests[before:]]
        self.page.mouse.up()
        self.app.expect_count(self.kept_at(STEPS[-1]))
        self.rest()
        return [ms / 1000 for ms in self.page.evaluate("steps")], requests

    def release(self, position: int) -> dict[str, float]:
        """Drag the handle to a position and let it go: see :meth:`noted`."""
        self.grab()
        self.move_to(position)
        expect(self.slider).to_have_value(str(position))
        before = len(self.app.requests)
        self.page.evaluate(NOTE, f"{self.kept_at(position):,}")
        self.page.mouse.up()
        noted = self.noted(position)
        sent = [r for r in self.app.requests[before:] if r.url.endswith("/operators/execute")]
        assert len(sent) == 1, "what was noted may be the answer to somebody else"
        return noted

    def draft(self, values: Sequence[str]) -> list[float]:
        """Choose rules in a draft, one after the other; seconds until the table is painted."""
        self.page.bring_to_front()
        self.panel.get_by_role("button", name="New run", exact=True).click()
        rule = self.panel.get_by_label("Rule", exact=True)
        draft = self.panel.locator('[data-cy="drop-draft"]')
        seconds = []
        for value in values:
            expect(draft).to_have_attribute("aria-busy", "false")
            self.rest()
            self.page.evaluate(CHOOSE, [rule.element_handle(), value, self.table.element_handle()])
            self.page.wait_for_function("window.chosen !== null", polling=10)
            seconds.append(self.page.evaluate("chosen") / 1000)
        self.panel.get_by_role("button", name="Discard").click()
        self.rest()
        return seconds

    def show_twin(self, position: int) -> dict[str, float]:
        """Let FiftyOne alone show the same samples by another field: see :meth:`noted`."""
        view = self.dataset.match(in_part(TWIN, density_at(position), "kept"))
        self.page.bring_to_front()
        self.page.evaluate(NOTE, f"{self.kept_at(position):,}")
        self.page.evaluate(SHOW, view._serialize())
        return self.noted(position)

    def noted(self, position: int) -> dict[str, float]:
        """Wait for the grid; seconds until the answer, if one came, and until the count."""
        self.app.expect_count(self.kept_at(position))
        self.rest()
        noted = self.page.evaluate("noted")
        start = noted.pop("start")
        return {what: (at - start) / 1000 for what, at in noted.items()}

    def kept_at(self, position: int) -> int:
        """How many samples the grid shows when the slider was let go at a position."""
        return kept_size(self.size, density_at(position))


def density_at(position: int) -> float:
    """The density at a position of the slider, which starts at 0.01."""
    return (position + 1) / 100


# -- measurements ---------------------------------------------------------------------------------


def following(panels: Mapping[str, Panel], **facts: Any) -> None:
    """How long the class table takes to follow the handle."""
    seconds, requests = {}, []
    for name, panel in panels.items():
        seconds[name], sent = panel.follow()
        requests += sent
    polls = requests.count(POLL)
    report(
        f"one step of the panel's slider, until the table is painted, {facts['classes']:,} classes",
        {PROMISE: [AT_MOST_S] * len(STEPS), **seconds},
        PROMISE,
        dict.fromkeys(panels, ("at most", 1)),
        requests_while_dragging=len(requests) - polls,
        polls_of_fiftyone_meanwhile=polls,
        **facts,
    )


def choosing(panels: Mapping[str, Panel], repeats: int, **facts: Any) -> None:
    """How long the class table takes to follow a choice in a draft."""
    rules = ["balanced", "drop-unweighted", "proportional", "drop"] * repeats
    # The first choice is the warm-up
    seconds = {name: panel.draft(["proportional", *rules])[1:] for name, panel in panels.items()}
    report(
        f"a choice in a draft, until the table is painted, {facts['classes']:,} classes",
        {PROMISE: [CHOICE_S] * len(rules), **seconds},
        PROMISE,
        {next(iter(panels)): ("at most", 1)},
        **facts,
    )


def letting_go(panels: Mapping[str, Panel], repeats: int, **facts: Any) -> None:
    """How long Python and the grid take when the slider is let go, and FiftyOne without us."""
    answers, counts, alone = ({name: [] for name in panels} for _ in range(3))
    # No density twice, for a view that was shown before may be remembered. FiftyOne alone comes one
    # density behind, so that each count differs from the one that the grid says already.
    positions = np.random.default_rng(51).permutation(STEPS[:-1])[: repeats + 1].tolist()
    for i, (position, before) in enumerate(zip(positions, [STEPS[-1], *positions], strict=False)):
        for name, panel in panels.items():
            ours, theirs = panel.release(position), panel.show_twin(before)
            if i > 0:  # the first is the warm-up
                answers[name].append(ours["answer"])
                counts[name].append(ours["count"])
                alone[name].append(theirs["count"])
    smallest, *larger = panels
    claims = dict.fromkeys(larger, ("at most", 1.5))
    what = f"letting go of the panel's slider, {facts['classes']:,} classes"
    report(f"{what}, until Python has answered", answers, smallest, claims, **facts)
    report(f"{what}, until the grid says the count", counts, smallest, claims, **facts)
    report("the same count without the panel: FiftyOne alone", alone, smallest, **facts)


def open_panels(stack: contextlib.ExitStack, sizes: Sequence[int], k: int) -> dict[str, Panel]:
    """A panel per size, all in one browser; datasets and servers last as long as the stack."""
    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    write_image(folder / "image.png")
    plugins = copy_plugin(folder / "plugins").parent
    # Before the browser, for while it is open no asyncio.run works
    datasets = [stack.enter_context(pruned_dataset(n, k, folder / "image.png")) for n in sizes]
    browser = stack.enter_context(chromium())
    panels = {}
    for dataset in datasets:
        # A server has one state, which all its pages follow
        server = stack.enter_context(app_server(folder / f"{dataset.name}.log", plugins))
        app = AppPage(browser, server)
        stack.callback(app.close)
        panels[f"{len(dataset):,} samples"] = Panel(app, dataset)
    return panels


def versions(panels: Mapping[str, Panel]) -> dict[str, str]:
    """Of what else was measured."""
    page = next(iter(panels.values())).page
    return {
        "chromium": page.context.browser.version,
        "mongodb": get_db_conn().client.server_info()["version"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_280_000])
    parser.add_argument("--classes", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    args = parser.parse_args()
    if args.quick:
        vars(args).update(QUICK)
    with contextlib.ExitStack() as stack:
        panels = open_panels(stack, sorted(args.sizes), args.classes)
        facts = {"classes": args.classes, **versions(panels)}
        following(panels, **facts)
        choosing(panels, args.repeats, **facts)
        letting_go(panels, args.repeats, **facts)


if __name__ == "__main__":
    main()
