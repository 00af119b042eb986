"""The operator behind the panel's drafts: what takes long reports its progress to the panel."""

from __future__ import annotations

import json
import logging

import fiftyone.operators as foo

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from . import door, draft_data, drafting, panel_data, worker
from .words import in_app_words

logger = logging.getLogger(__name__)

WORKS = {"measure": "Measuring recalls", "apply": "Writing the run"}


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
        dataset, work = door.open_dataset(ctx), door.param(ctx, "work", door.one_of(WORKS))
        asked, panel_id = door.param(ctx, "asked"), door.param(ctx, "panel_id")
        chosen = door.param(ctx, "choices", door.choices)
        density = door.param(ctx, "density", checks.density)

        def tell(**data):
            return ctx.ops.patch_panel_data(data, panel_id=panel_id)

        def progress(fraction, label):
            return tell(working=json.dumps({"asked": asked, "label": label, "done": fraction}))

        def begin(send):
            with worker.progress_in_words(lambda *at: send(progress(*at))) as report:
                choices = drafting.Choices.of(dataset, chosen)
                draft = drafting.find(dataset, choices, wait=True)
                if work == "measure":
                    return None
                key = precheck.free_key(dataset, choices.base or "drop")
                draft.plan(density).apply(key, progress=report)
                return key

        yield progress(0.0, WORKS[work])
        try:
            key = yield from worker.stream(begin)
        except Exception as error:
            words = str(error)
            if not isinstance(error, fod.DropError):
                logger.exception("a draft failed")
                words = f"{type(error).__name__}: {error}"
            yield tell(working=None, message=in_app_words(words))
            return
        if key is None:
            yield tell(working=None, draft=draft_data.drawn(dataset, asked, chosen, density))
            return
        dataset.reload()
        applied = json.dumps({"asked": asked, "key": key})
        yield tell(working=None, applied=applied, page=panel_data.page(dataset, key))
        yield ctx.ops.patch_panel_state({"key": key}, panel_id=panel_id)
        yield ctx.ops.reload_dataset()
