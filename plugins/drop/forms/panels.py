"""The form of the operator that opens FiftyOne's own panels on a run."""

from __future__ import annotations

from typing import ClassVar

import fiftyone_drop as fod
from fiftyone_drop import precheck

from .. import door, workspace
from .base import Kinds
from .runs import RunForm

NAME = "DRoP"  # of the workspace
NONE = "none"


class OpenPanelsForm(RunForm):
    """The form of the operator ``open_panels``."""

    kinds: ClassVar[Kinds] = dict.fromkeys(("key", "brain_key", "eval_key", "workspace"), door.word)

    def chosen(self, name: str) -> str | None:
        """The visualization or the evaluation that is chosen; None where none is."""
        value = self.entries.get(name)
        return None if value == NONE else value

    def fields(self) -> None:
        """Draw the fields."""
        dataset = self.ctx.dataset
        key = self.choose_run(fod.list_drops(dataset), likely=precheck.newest_run(dataset))
        if key is None:
            return
        with self.checking():
            config = self.load(key).config
            shown = workspace.visualizations(dataset)
            if shown:
                self.choose(
                    "brain_key",
                    {one: one for one in shown} | {NONE: "Leave it out"},
                    default=shown[0],
                    label="Embeddings, coloured by what is kept",
                )
            else:
                words = (
                    "There is no visualization of embeddings here. FiftyOne's panel Embeddings, or "
                    "its operator Compute visualization, makes one"
                )
                self.notice("embeddings", words)
            evaluations = list(precheck.evaluations(dataset, config.label_field))
            if evaluations:
                own = config.recalls_eval_key
                self.choose(
                    "eval_key",
                    {one: one for one in evaluations} | {NONE: "Leave it out"},
                    default=own if own in evaluations else evaluations[0],
                    label="Model evaluation",
                )
            name = self.text("workspace", default=NAME, label="Save as the workspace (optional)")
            self.emptied.discard("workspace")
            if name:
                workspace.check_name(dataset, name)
