"""The forms of ``set_density``, ``compare_drops`` and ``delete_drop``, the operators on runs."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import precheck

from .. import door
from .base import AMOUNTS, Choices, Form, Kinds
from .recent import recently

NO_RUN = "There is no drop run here yet; make one with 'DRoP: prune to a density'"
ONE_RUN = "There is one drop run only; make another under another key"
NOTHING = "none"
SHOWN = (NOTHING, "first", "second", "both")
CHOOSE = "choose a drop run"


class RunForm(Form):
    """A form that begins with the choice of a drop run."""

    def choose_run(self, runs: Choices, likely: str | None = None) -> str | None:
        """The chosen one of the runs; without any, or before that, a problem is shown."""
        if not runs:
            self.problem(NO_RUN)
            return None
        return self.choose_needed("key", runs, CHOOSE, likely=likely, label="Drop run")

    def load(self, key: str) -> Any:
        """The run, without a query at each keystroke.

        Raises:
            fiftyone_drop.DropError: if there is no such run, or its order was deleted
        """
        dataset = self.ctx.dataset
        version = precheck.run_version(dataset, key)
        precheck.check_run(dataset, key)
        return recently(["run", key, version], lambda: fod.load_drop(dataset, key))


class SetDensityForm(RunForm):
    """The form of the operator ``set_density``."""

    function = "set_density"
    kinds: ClassVar[Kinds] = {
        "key": door.word,
        "amount": door.one_of(AMOUNTS),
        **dict.fromkeys(AMOUNTS, door.scalar),
    }

    def is_needed(self, name: str) -> bool:
        """Whether an argument is needed; of the three amounts the one that is filled in."""
        return super().is_needed(name) or (name in AMOUNTS and name in self.entries)

    def fields(self) -> None:
        """Draw the fields."""
        key = self.choose_run(fod.list_drops(self.ctx.dataset))
        if key is None:
            return
        with self.checking():
            run = self.load(key)
            amount = self.amount(run.density)
            if not amount:
                return
            with self.checking(at=next(iter(amount))):
                asked = ["kept", key, precheck.run_version(self.ctx.dataset, key), amount]
                kept = recently(asked, lambda: precheck.kept_by_run(run, **amount))
                self.notice("keeps", f"Keeps {_words(kept)}")


class CompareDropsForm(Form):
    """The form of the operator ``compare_drops``."""

    function = "compare_drops"
    kinds: ClassVar[Kinds] = {"key": door.word, "other": door.word, "show": door.one_of(SHOWN)}

    @property
    def shows(self) -> str | None:
        """The samples to be shown: ``first``, ``second``, ``both`` or None."""
        return None if self.entries.get("show") == NOTHING else self.entries.get("show")

    def fields(self) -> None:
        """Draw the fields."""
        keys = fod.list_drops(self.ctx.dataset)
        if len(keys) < 2:
            self.problem(ONE_RUN if keys else NO_RUN)
            return
        first = keys[0] if len(keys) == 2 else None  # of two there is one choice
        key = self.choose_needed("key", keys, CHOOSE, likely=first, label="Drop run")
        second = next(one for one in keys if one != key) if first else None
        other = self.choose_needed("other", keys, CHOOSE, likely=second, label="Compared with")
        if key is None or other is None:
            return
        if key == other:
            self.mark("other", "choose a run other than the first")
        with self.checking():
            precheck.check_comparable(self.ctx.dataset, key, other)
        self.radio(
            "show",
            {
                NOTHING: "The table only",
                "first": f"Samples that only {key} keeps",
                "second": f"Samples that only {other} keeps",
                "both": "Samples that both keep",
            },
            default=NOTHING,
            label="Show in the grid",
        )


class DeleteDropForm(RunForm):
    """The form of the operator ``delete_drop``."""

    function = "delete_drop"
    kinds: ClassVar[Kinds] = {"key": door.word}

    def fields(self) -> None:
        """Draw the fields."""
        runs = precheck.runs(self.ctx.dataset)
        words = {k: k if complete else f"{k} (incomplete)" for k, complete in runs.items()}
        key = self.choose_run(words)
        if key in runs:
            self.warning("deletes", f"Deletes {_outputs(self.ctx.dataset, key)}")
        elif key is not None:
            self.mark("key", f"there is no drop run '{key}' any more")


def _words(kept: precheck.Kept | None) -> str:
    if kept is None:
        return "as many samples as fit"
    words = f"{kept.kept:,} of {kept.size:,} samples"
    if kept.fewest is None:
        return words
    name, quota, size = kept.fewest
    return f"{words}; fewest of {name}, {quota:,} of {size:,}"


def _outputs(dataset: fo.Dataset, key: str) -> str:
    """The run and everything that it has written, in words."""
    fields, views, eval_key = precheck.outputs(dataset, key)
    parts = [
        f"the fields {', '.join(fields)}" if fields else "",
        f"the saved views {', '.join(views)}" if views else "",
        f"the evaluation run {eval_key}" if eval_key else "",
        "the run itself; no sample",
    ]
    return ", ".join(part for part in parts if part)
