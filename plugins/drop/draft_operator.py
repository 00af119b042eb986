"""The operator behind the panel's drafts: what takes long reports its progress to the panel."""

from __future__ import annotations

import json
import logging

import fiftyone.operators as foo

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from . import door, draft_data, draft_words, drafting, jobs, panel_data, results, worker
from .words import in_app_words

logger = logging.getLogger(__name__)

WORKS = {"measure": "Measuring recalls", "apply": "Writing the run"}
LABELS = {"measure": "DRoP: measure the recalls of a draft", "apply": "DRoP: apply a draft"}
NOTHING = "Nothing was written"
AT_WORK = (
    "The same is at work already, and is not begun twice: 'DRoP: see what is running' follows it"
)


class DraftWork(foo.Operator):
    """Measure the recalls of a draft, or write it as a run. The panel starts it; it has no form."""

    @property
    def config(self):
        return foo.OperatorConfig(
            name="draft_work",
            label="DRoP: work of a draft",
            unlisted=True,
            execute_as_generator=True,
        )

    def execute(self, ctx):
        dataset, panel_id = door.open_dataset(ctx), door.param(ctx, "panel_id")

        def tell(**data):
            return ctx.ops.patch_panel_data(data, panel_id=panel_id)

        # Whatever fails, the panel must not wait for an end
        try:
            yield from self._work(ctx, dataset, tell)
        except jobs.AtWorkError:  # its progress stays where it is shown
            yield tell(message=AT_WORK)
        except jobs.StoppedError:
            yield tell(working=None, message=f"Cancelled. {NOTHING}")
        except fod.DropError as error:
            yield tell(working=None, message=draft_words.of_problem(error))
        except Exception as error:
            logger.exception("a draft failed")
            yield tell(working=None, message=in_app_words(results.words_of(error)))

    def _work(self, ctx, dataset, tell):
        work, asked = door.param(ctx, "work", door.one_of(WORKS)), door.param(ctx, "asked")
        chosen = door.param(ctx, "choices", door.choices)
        density = door.param(ctx, "density", checks.density)
        what = (work, chosen, density if work == "apply" else None)
        job = jobs.start(dataset.name, LABELS[work], about=what)
        job.report(0.0, WORKS[work])

        def progress():
            words = {"asked": asked, "label": job.words, "done": job.fraction}
            return tell(working=json.dumps(words))

        def begin(told):
            def report(*at):
                job.report(*at)
                told()

            shown, result = results.show_stopped(NOTHING, ""), None
            try:
                with worker.progress_in_words(report) as bar:
                    result = _done(dataset, work, chosen, density, bar)
                shown = results.show_draft(result)
            except Exception as error:
                shown = results.show_failure(NOTHING, results.words_of(error))
                raise
            finally:
                job.end(shown, result)

        at_work = worker.stream(begin)
        try:
            yield progress()
            for told in at_work:
                if told:
                    yield progress()
        except GeneratorExit:  # the page is closed
            job.in_background = True
            raise
        if work == "measure":
            yield tell(working=None, draft=draft_data.drawn(dataset, asked, chosen, density))
            return
        dataset.reload()
        key = job.result["key"]
        applied = json.dumps({"asked": asked, "key": key})
        yield tell(working=None, applied=applied, page=panel_data.page(dataset, key))
        yield ctx.ops.patch_panel_state({"key": key}, panel_id=ctx.params["panel_id"])
        yield ctx.ops.reload_dataset()


def _done(dataset, work, chosen, density, progress):
    """Do the work of a draft; its result, as JSON."""
    choices = drafting.Choices.of(dataset, chosen)
    if work == "measure":
        measured = drafting.find(dataset, choices, wait=True, progress=progress)
        return {"recalls_from": measured.recalls.source}
    draft = drafting.read_again(dataset, choices, progress)
    key = precheck.free_key(dataset, choices.base or "drop")
    draft.plan(density).apply(key, progress=progress)
    return fod.load_drop(dataset, key).to_dict()
