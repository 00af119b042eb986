"""The panel with the App's own widgets, for where the bundle of its component is missing.

Usable, with fewer frills: bars follow when the slider is let go.
"""

from __future__ import annotations

import html
import json

import fiftyone.operators.types as types
import numpy as np

import fiftyone_drop as fod
from fiftyone_drop.runs import get_config

from . import panel_data
from .panel import DropPanel, in_words
from .plain_text import as_it_is

MOST_CLASSES = 100
LONGEST_NAME = 24  # below a bar
KEPT, PRUNED = "#e06000", "#9aa5b1"


class PlainDropPanel(DropPanel):
    """:class:`DropPanel` without its component."""

    def draw(self, ctx):
        """Send bars of the classes of lowest recall, and a table of all classes."""
        page = self._page(ctx)
        run = page.get("run")
        ctx.panel.set_state({"key": page["key"], "report": None})
        if run is None:
            return
        if ctx.panel.get_state("density") is None:
            ctx.panel.set_state("density", run["density"])
        kept, sizes = self._kept(ctx, run), np.array(run["sizes"])
        worst = _worst_first(run, kept)
        shown = worst[:MOST_CLASSES]
        bar = {"type": "bar", "x": _bar_names(run, shown), "ids": [int(k) for k in shown]}
        ctx.panel.set_data(
            "bars",
            [
                bar | {"name": "kept", "y": kept[shown].tolist(), "marker": {"color": KEPT}},
                bar
                | {"name": "pruned", "y": (sizes - kept)[shown].tolist()}
                | {"marker": {"color": PRUNED, "pattern": {"shape": "/"}}},
            ],
        )
        ctx.panel.set_data(
            "classes",
            [
                {
                    "class": run["names"][k],
                    "kept": f"{kept[k]:,} of {sizes[k]:,}",
                    "density": f"{kept[k] / sizes[k]:.3f}",
                    "recall": f"{run['recalls'][k]:.3f}" if run["recalls"] else "",
                }
                for k in worst
            ],
        )

    def render(self, ctx):
        panel = types.Object()
        page = self._page(ctx)
        run = page.get("run")
        message = ctx.panel.get_state("message")
        if message:
            panel.view("problem", types.Warning(label=as_it_is(message)))
        if page["runs"]:
            panel.enum("key", page["runs"], label="Drop run", on_change=self.choose_run)
        if run is None:
            panel.view(
                "next", types.Notice(label=page["title"], description=as_it_is(page["text"]))
            )
        else:
            self._render_run(ctx, panel, run)
        panel.btn("new", label="New run", **self._opening("apply_drop"))
        panel.btn("refresh", label="Refresh", on_click=self.refresh)
        return types.Property(panel, view=types.View())

    def _opening(self, operator, **params):
        """What makes a button open the form of an operator."""
        return {"on_click": self.open_form, "params": {"operator": operator, **params}}

    def _render_run(self, ctx, panel, run):
        kept, density = self._kept(ctx, run), ctx.panel.get_state("density") or run["density"]
        findings = ctx.panel.get_state("report") or []
        slider = {"min": run["densities"][0], "max": 1, "step": 1 / panel_data.STEPS}
        panel.float(
            "density",
            label="Density",
            on_change=self.slide,
            view=types.SliderView(
                label_position="top", value_precision=2, componentsProps={"slider": slider}
            ),
        )
        panel.md(f"Keeps **{kept.sum():,}** of {sum(run['sizes']):,} samples", name="total")
        panel.plot(
            "bars",
            on_click=self.click_class,
            layout={"barmode": "stack", "margin": {"t": 20}, "xaxis": _axis(run, kept)},
            height=300,
        )
        table = types.TableView()
        for column in ("class", "kept", "density", "recall"):
            table.add_column(column, label=column.capitalize())
        panel.list("classes", types.Object(), view=table)
        panel.btn(
            "report", label="Fairness report", on_click=self.report, params={"key": run["key"]}
        )
        for i, (level, words) in enumerate(findings):
            view = types.Warning if level == "warning" else types.Notice
            panel.view(f"finding_{i}", view(label=as_it_is(words)))
        panel.btn(
            "move",
            label="Move the run here",
            **self._opening("set_density", key=run["key"], density=density),
        )
        panel.btn("delete", label="Delete run", **self._opening("delete_drop", key=run["key"]))

    @in_words
    def choose_run(self, ctx):
        self._open(ctx, ctx.params["value"])

    @in_words
    def slide(self, ctx):
        self.set_view(ctx, ctx.panel.get_state("key"), ctx.params["value"])
        ctx.panel.set_state("density", ctx.params["value"])
        self.draw(ctx)

    @in_words
    def click_class(self, ctx):
        key, density = ctx.panel.get_state("key"), ctx.panel.get_state("density")
        get_config(ctx.dataset, key)  # the page would be that of another run
        class_name = self._page(ctx)["run"]["classes"][int(ctx.params["id"])]
        self.set_view(ctx, key, density, ctx.params["trace"], class_name)

    @in_words
    def refresh(self, ctx):
        ctx.panel.set_state("density", None)  # the run's own, which may be another one now
        self.draw(ctx)

    @in_words
    def report(self, ctx):
        findings = fod.report(ctx.dataset, ctx.params["key"]).findings
        ctx.panel.set_state("report", [list(finding) for finding in findings])

    def tell(self, ctx, problem):
        ctx.panel.set_state("message", problem)  # rendering in Python reads no data

    def _open(self, ctx, key):
        ctx.panel.set_state("density", None)
        super()._open(ctx, key)

    def _page(self, ctx):
        return json.loads(panel_data.page(ctx.dataset, ctx.panel.get_state("key")))

    def _kept(self, ctx, run):
        density = ctx.panel.get_state("density") or run["density"]
        nearest = np.abs(np.array(run["densities"]) - density).argmin()
        return np.array(run["counts"][nearest])


def _worst_first(run, kept):
    return np.argsort(run["recalls"] or kept / np.array(run["sizes"]), kind="stable")


def _bar_names(run, classes):
    """Names of bars as Plotly shows them: it would take tags in them for formatting."""
    return [html.escape(run["names"][k], quote=False) for k in classes]


def _axis(run, kept):
    """The axis of the bars: names, even where they look like numbers or dates, and short ones."""
    classes = _worst_first(run, kept)[:MOST_CLASSES]
    names = [run["names"][k] for k in classes]
    short = [n if len(n) <= LONGEST_NAME else f"{n[: LONGEST_NAME - 1]}…" for n in names]
    return {
        "type": "category",
        "tickvals": _bar_names(run, classes),
        "ticktext": [html.escape(name, quote=False) for name in short],
    }
