"""The form of the operator that follows others, which the package knows nothing of."""

from __future__ import annotations

from typing import ClassVar

import fiftyone as fo

import fiftyone_drop as fod

from .. import door, jobs
from ..following import ACTIONS
from .base import FROM_PANELS, Form, Kinds

NOTHING_RUNS = "No operator of DRoP is at work on this dataset"
QUEUES = (
    "To queue operators for another process, the server has to be started with "
    "FIFTYONE_ALLOW_LEGACY_ORCHESTRATORS=true, and 'fiftyone delegated launch' must run beside it; "
    "Schedule, beside Execute, is greyed out until then"
)


class RunningForm(Form):
    """The form of the operator ``running``."""

    kinds: ClassVar[Kinds] = {"job": door.word, "action": door.one_of(ACTIONS)}
    ignored = (*FROM_PANELS, "path")  # of the button that was pressed

    @property
    def job(self) -> jobs.Job:
        """The operator that is chosen, or the newest.

        Raises:
            fiftyone_drop.DropError: if there is none
        """
        found = jobs.on(self.dataset_name)
        chosen = self.entries.get("job")
        for job in found:
            if chosen in (None, job.key):
                return job
        raise fod.DropError("job", NOTHING_RUNS if not found else "it ended long ago")

    @property
    def action(self) -> str:
        """What is to be done with it."""
        return str(self.entries.get("action", "follow"))

    def fields(self) -> None:
        """Draw the fields."""
        found = jobs.on(self.dataset_name)
        if not found:
            self.problem(NOTHING_RUNS)
            return
        self.radio(
            "job",
            {job.key: job.in_words for job in found},
            default=found[0].key,
            label="Operators at work, or ended within the hour",
        )
        with self.checking():
            if self.job.ended.is_set():
                return
            self.radio(
                "action",
                {"follow": "Show how far it is, and its result", "cancel": "Cancel it"},
                default="follow",
                label="What to do",
            )
        if not fo.config.allow_legacy_orchestrators:
            self.notice("queues", QUEUES)
