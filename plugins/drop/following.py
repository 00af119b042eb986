"""How far an operator is, as the App shows it, and the buttons that stop it or leave it alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import fiftyone.operators.types as types

from . import jobs, results

RUNNING = "@fiftyone-drop/drop/running"  # the operator that follows others
# FiftyOne's own dialog has one button, "Done", that closes it; before there is time to wonder
# about that, the bar needs no others
SECONDS_WITHOUT_BUTTONS = 2.0
SECONDS_BETWEEN_LOOKS = 0.5


def has_buttons(job: jobs.Job) -> bool:
    """Whether an operator has taken long enough for somebody to want them."""
    return job.seconds >= SECONDS_WITHOUT_BUTTONS


def progress(ctx: Any, job: jobs.Job) -> Any:
    """The invocation that shows how far an operator is."""
    if not has_buttons(job):
        return ctx.ops.set_progress(progress=job.fraction, label=job.words, variant="linear")
    outputs = types.Object()
    outputs.float("progress", view=types.ProgressView(label=job.words, variant="linear"))
    if job.is_cancelled:
        outputs.view("note", types.Notice(label="It stops at its next step"))
    else:
        note = "Still at work. The operator 'DRoP: see what is running' finds it again"
        outputs.view("note", types.Notice(label=note))
        outputs.view("cancel", _button("Cancel", job, "cancel"))
        outputs.view("leave", _button("Go on in the background", job, "leave"))
    schema = types.Property(outputs, view=types.View(label=job.label)).to_json()
    return ctx.ops.show_output(schema, {"progress": job.fraction})


def follow(ctx: Any, job: jobs.Job) -> Iterator[Any]:
    """Yields the invocations that show an operator until it ends, and then its result."""
    while not job.ended.wait(SECONDS_BETWEEN_LOOKS):
        yield progress(ctx, job)
    assert job.shown is not None
    yield ctx.ops.show_output(*job.shown)
    if job.result is not None:
        yield ctx.ops.reload_dataset()


def leave(ctx: Any, job: jobs.Job) -> Iterator[Any]:
    """Yields the invocations after which the page that has started an operator shows it no more."""
    job.in_background = True
    yield ctx.ops.show_output(*results.show_in_background(job.label))


def cancel(ctx: Any, job: jobs.Job) -> Iterator[Any]:
    """Yields the invocations that stop an operator, and tell that it has stopped."""
    job.cancel()
    if job.in_background:
        yield from follow(ctx, job)
    else:  # the page that has started it shows how it ends
        time.sleep(SECONDS_BETWEEN_LOOKS)


ACTIONS = {"follow": follow, "cancel": cancel, "leave": leave}


def _button(label: str, job: jobs.Job, action: str) -> types.Button:
    return types.Button(label=label, operator=RUNNING, params={"job": job.key, "action": action})
