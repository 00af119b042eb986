"""The panel "DRoP": the kept samples of a run at any density, class by class.

All logic and all views are here. The component in ``js/`` draws the tables of :mod:`panel_data`,
and calls the methods below.
"""

from __future__ import annotations

import functools
import math

import fiftyone.operators as foo
import fiftyone.operators.types as types
from fiftyone import ViewField as F
from fiftyone.operators.categories import Categories

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from . import door, draft_data, drafting, jobs, panel_data, strips
from .draft_operator import WORKS
from .words import in_app_words

# The forms that the panel opens, with the parameters that it fills in
FORMS = {
    "apply_drop": ("run",),
    "compute_scores": (),
    "set_density": ("key", "density"),
    "delete_drop": ("key",),
    "export_run": ("key",),
    "open_panels": ("key",),
    "running": ("job",),
}
OPTIONAL = ("run",)  # the run that is shown, whose samples a new one starts from

KINDS = {"key": door.word, "run": door.word, "job": door.word, "density": checks.density}

HELP = """Drag the density: the classes follow the hand, and the grid follows when you let go.
Click a class, a point or a bar of the histogram to see its samples."""


CHANGED = "The drop run '{key}' was changed meanwhile. This is how it is now: choose again."


def in_words(method, slot="message"):
    """Show a ``DropError`` of a click in the panel, and draw it again: its run may be deleted.

    Does the same, without calling the method, where the run is no longer the one that the component
    has drawn. A click takes back what was said before it.
    """
    is_read = slot == "unread"
    silent = dict.fromkeys([slot] if is_read else ["message", "unread"])

    @functools.wraps(method)
    def event(self, ctx):
        self.tell(ctx, **silent)
        return _answer(self, ctx, method, slot)

    event.is_event, event.is_read = True, is_read
    return event


def read_in_words(method):
    """:func:`in_words` for what the component asks for by itself, or for a tab.

    It takes back nothing that was said of a click, such as that the run was changed: the page that
    is drawn then asks at once for what its tab shows.
    """
    return in_words(method, "unread")


def _answer(panel, ctx, method, slot):
    """What a method returns, or its problem in a slot of the panel's data."""
    try:
        key, drawn = door.optional(ctx, "key"), door.optional(ctx, "version")
        try:
            is_drawn = drawn is None or drawn == precheck.run_version(ctx.dataset, key)
        except fod.DropError:
            slot = "message"  # the run is gone, whatever was asked of it
            raise
        if is_drawn:
            return method(panel, ctx)
        slot, problem = "message", CHANGED.format(key=key)
    except fod.DropError as error:
        problem = str(error)
    panel.draw(ctx)
    panel.tell(ctx, **{slot: problem})
    return {"failed": True}


class DropPanel(foo.Panel):
    """Drop runs of the open dataset."""

    @property
    def config(self):
        return foo.PanelConfig(
            name="drop_panel",
            label="DRoP",
            icon="filter_alt",
            help_markdown=HELP,
            category=Categories.CURATE,
            surfaces="grid",
        )

    def render(self, ctx):
        events = (
            *(self.refresh, self.open_run, self.open_form, self.show, self.show_difference),
            *(self.count_score, self.report, self.compare),
            *(self.draft, self.work_draft, self.compare_drafts, self.strips),
        )
        view = types.View(
            component="DropPanel",
            composite_view=True,
            **{event.__name__: event for event in events},
        )
        return types.Property(types.Object(), view=view)

    def execute(self, ctx):
        """Answer an event. FiftyOne would call any method that a request names."""
        params = ctx.params
        if params.get("__method__") in (None, "on_startup"):
            return super().execute(ctx)
        method = getattr(self, door.param(ctx, "__method__"), None)
        if not getattr(method, "is_event", False):
            raise fod.DropError("__method__", "is no event of this panel")
        door.param(ctx, "panel_id")
        if not isinstance(params.get("panel_state") or {}, dict):
            raise fod.DropError("panel_state", "must be a mapping")
        door.open_dataset(ctx)
        return super().execute(ctx)

    # -- runs --

    @in_words
    def on_load(self, ctx):
        self.draw(ctx)

    @in_words
    def refresh(self, ctx):
        """Look for runs, scores and evaluations again, and forget all earlier counts."""
        for counted in ("histogram", "report", "comparison", "strips", "draft"):
            ctx.panel.set_data(counted, None)
        at_work = jobs.at_work(ctx.dataset.name)
        if all(job.about is None or job.in_background for job in at_work):
            ctx.panel.set_data("working", None)  # its end may not have come
        drafting.forget(ctx.dataset)
        self.draw(ctx)

    @in_words
    def open_run(self, ctx):
        self._open(ctx, door.param(ctx, "key"))

    @in_words
    def open_newest(self, ctx):
        self._open(ctx, None)

    def _open(self, ctx, key):
        ctx.panel.set_state("key", key)
        self.draw(ctx)

    @in_words
    def open_form(self, ctx):
        """Open the form of an operator; the panel follows when it has been executed."""
        name = door.param(ctx, "operator", door.one_of(FORMS))
        params = {
            param: (door.optional if param in OPTIONAL else door.param)(ctx, param, KINDS[param])
            for param in FORMS[name]
        }
        params = {param: value for param, value in params.items() if value is not None}
        complete = precheck.runs(ctx.dataset)
        for key in filter(None, [params.get("key"), params.get("run")]):
            if name != "delete_drop" or key not in complete:  # what is unfinished can be deleted
                fod.load_drop(ctx.dataset, key)  # an error if it was deleted meanwhile
        if complete.get(params.get("key")):
            ctx.panel.set_state("key", params["key"])  # the run that is shown afterwards
        follow = self.open_newest if name == "apply_drop" else self.refresh
        if name == "open_panels":
            follow = None  # another panel stands in the place of this one
        ctx.prompt(f"{self.plugin_name}/{name}", params=params, on_success=follow)

    def draw(self, ctx):
        """Send the page of the run that an event is about, or that was chosen."""
        key = ctx.params.get("key") or ctx.panel.get_state("key")
        ctx.panel.set_data("page", panel_data.page(ctx.dataset, key))

    def tell(self, ctx, **problems):
        """Show problems, or none: the ``message`` of a click, and what is ``unread``.

        They travel as data: the App saves the state of a panel, and then reads the dataset again.
        """
        for slot, problem in problems.items():
            ctx.panel.set_data(slot, problem and in_app_words(problem))

    # -- samples in the grid --

    @in_words
    def show(self, ctx):
        """Show samples of a run: of one part, class or score range, at one density."""
        key, part = door.param(ctx, "key"), door.param(ctx, "part")
        score_range = door.optional(ctx, "score_range", door.interval)
        # The last bin of a histogram includes its upper edge
        if score_range and door.optional(ctx, "is_last", checks.flag):
            score_range = (score_range[0], math.nextafter(score_range[1], math.inf))
        view = fod.drop_view(
            ctx.dataset,
            key,
            door.param(ctx, "density", checks.density),
            part=part,
            class_name=door.optional(ctx, "class_name", door.class_name),
            score=door.optional(ctx, "score"),
            score_range=score_range,
        )
        if part == "all":
            # In the place of the tags, in this view alone, stands what the badges of samples say
            keep_at = F(fod.load_drop(ctx.dataset, key).config.keep_at_field)
            words = (keep_at <= door.param(ctx, "density", checks.density)).if_else(
                ["kept"], ["pruned"]
            )
            view = view.set_field("tags", words)
        ctx.ops.set_view(view)

    @in_words
    def show_difference(self, ctx):
        """Show the samples that only one of two runs keeps, or that both keep."""
        key, other = door.param(ctx, "key"), door.param(ctx, "other")
        compared = panel_data.compared(ctx.dataset, key, other)
        ctx.ops.set_view(compared.view(door.param(ctx, "which")))

    # -- drafts --

    @read_in_words
    def draft(self, ctx):
        """Draw what is chosen in a draft; nothing is written."""
        chosen, asked = door.param(ctx, "choices", door.choices), door.param(ctx, "asked")
        density = door.optional(ctx, "density", checks.density)
        ctx.panel.set_data("draft", draft_data.drawn(ctx.dataset, asked, chosen, density))

    @in_words
    def work_draft(self, ctx):
        """Let the operator do what takes long: it reports its progress to the panel."""
        params = {
            "work": door.param(ctx, "work", door.one_of(WORKS)),
            "asked": door.param(ctx, "asked"),
            "density": door.param(ctx, "density", checks.density),
        }
        door.param(ctx, "choices", door.choices)
        params |= {"choices": ctx.params["choices"], "panel_id": ctx.panel_id}
        ctx.trigger(f"{self.plugin_name}/draft_work", params=params)

    @read_in_words
    def compare_drafts(self, ctx):
        """Compare two sides of which one is a draft at least."""
        sides = [
            draft_data.Side(
                door.optional(ctx, f"{which}_key"),
                door.optional(ctx, f"{which}_choices", door.choices),
                door.optional(ctx, f"{which}_density", checks.density),
            )
            for which in ("first", "second")
        ]
        asked = door.param(ctx, "asked")
        ctx.panel.set_data("comparison", draft_data.comparison(ctx.dataset, asked, *sides))

    # -- counts on demand --

    @read_in_words
    def strips(self, ctx):
        """Show a page of kept and of pruned samples of a class, of a run or of a draft."""
        dataset, chosen = ctx.dataset, door.optional(ctx, "choices", door.choices)
        if chosen is None:
            of = door.param(ctx, "key")
        else:
            of = drafting.measured(dataset, drafting.Choices.of(dataset, chosen))
        shown = strips.strips(
            dataset,
            door.param(ctx, "asked"),
            of,
            density=door.param(ctx, "density", checks.density),
            class_name=door.param(ctx, "class_name", door.class_name),
            score=door.optional(ctx, "score"),
            page=door.param(ctx, "page", door.page),
        )
        ctx.panel.set_data("strips", shown)

    @read_in_words
    def count_score(self, ctx):
        key, score = door.param(ctx, "key"), door.param(ctx, "score")
        density = door.param(ctx, "density", checks.density)
        ctx.panel.set_data("histogram", panel_data.histogram(ctx.dataset, key, score, density))

    @read_in_words
    def report(self, ctx):
        key, eval_key = door.param(ctx, "key"), door.optional(ctx, "eval_key")
        ctx.panel.set_data("report", panel_data.report(ctx.dataset, key, eval_key))

    @read_in_words
    def compare(self, ctx):
        key, other = door.param(ctx, "key"), door.param(ctx, "other")
        ctx.panel.set_data("comparison", panel_data.comparison(ctx.dataset, key, other))
