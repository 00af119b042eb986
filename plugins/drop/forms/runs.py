"""The forms of ``set_density``, ``compare_drops`` and ``delete_drop``: what there is to runs."""

from __future__ import annotations

import fiftyone as fo
import numpy as np

import fiftyone_drop as fod
from fiftyone_drop.allocation import check_density, check_no_class_emptied, kept_size
from fiftyone_drop.comparison import check_comparable
from fiftyone_drop.runs import DropConfig, DropResults, find_configs, get_config, load_order

from .base import Form, recently

NO_RUN = "There is no drop run here yet; make one with 'DRoP: prune to a density'"
ONE_RUN = "There is one drop run only; make another under another key"
NOTHING = "none"
CHOOSE = "choose a drop run"


class SetDensityForm(Form):
    """The form of the operator ``set_density``."""

    function = "set_density"

    def fields(self) -> None:
        """Draw the fields."""
        keys = fod.list_drops(self.ctx.dataset)
        if not keys:
            self.problem(NO_RUN)
            return
        key = self.choose_needed("key", keys, CHOOSE, label="Drop run")
        if key is None:
            return
        with self.checking():
            run = self.load(key)
            density = self.density(run.density)
            with self.checking(at="density"):
                self.notice("size", f"Keeps {_what_is_kept(run, check_density(density))}")

    def load(self, key: str) -> DropResults:
        """The run, without a query at each keystroke."""
        config = get_config(self.ctx.dataset, key)
        written = self.ctx.dataset.get_run_info(key).timestamp
        return recently(
            [self.ctx.dataset.name, key, config.density, written],
            lambda: load_order(self.ctx.dataset, key),
        )


class CompareDropsForm(Form):
    """The form of the operator ``compare_drops``."""

    function = "compare_drops"

    @property
    def shows(self) -> str | None:
        """Which samples shall be shown: ``first``, ``second``, ``both`` or None."""
        return None if self.given.get("show") == NOTHING else self.given.get("show")

    def fields(self) -> None:
        """Draw the fields."""
        keys = fod.list_drops(self.ctx.dataset)
        if len(keys) < 2:
            self.problem(ONE_RUN if keys else NO_RUN)
            return
        key = self.choose_needed("key", keys, CHOOSE, label="Drop run")
        other = self.choose_needed("other", keys, CHOOSE, label="Compared with")
        if key is None or other is None:
            return
        if key == other:
            self.mark("other", "choose a run other than the first")
        with self.checking():
            check_comparable(self.ctx.dataset, key, other)
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


class DeleteDropForm(Form):
    """The form of the operator ``delete_drop``."""

    function = "delete_drop"

    def fields(self) -> None:
        """Draw the fields."""
        configs = find_configs(self.ctx.dataset)
        if not configs:
            self.problem(NO_RUN)
            return
        words = {k: k if c.complete else f"{k} (incomplete)" for k, c in sorted(configs.items())}
        key = self.choose_needed("key", words, CHOOSE, label="Drop run")
        if key in configs:
            self.warning("deletes", f"Deletes {_what_goes(self.ctx.dataset, configs[key])}")
        elif key is not None:
            self.mark("key", f"there is no drop run '{key}' any more")


def _what_is_kept(run: DropResults, density: float) -> str:
    """What a run keeps at a density, in words; raises what ``set_density`` would raise."""
    table = run.table
    if table.weights is None:
        table.check_density(density)
        return f"{kept_size(table.size, density):,} of {table.size:,} samples"
    table = table.at(density)
    if not run.config.allow_empty_classes:
        check_no_class_emptied(table.classes, table.quotas)
    k = int(np.argmin(table.quotas))
    return (
        f"{table.quotas.sum():,} of {table.size:,} samples; fewest of {table.names[k]}, "
        f"{table.quotas[k]:,} of {table.sizes[k]:,}"
    )


def _what_goes(dataset: fo.Dataset, config: DropConfig) -> str:
    """What deleting a run takes away, as far as it exists, in words."""
    fields = [name for name in config.fields if dataset.has_field(name)]
    views = [name for name in config.views if dataset.has_saved_view(name)]
    parts = [
        f"the fields {', '.join(fields)}" if fields else "",
        f"the saved views {', '.join(views)}" if views else "",
        f"the evaluation run {config.eval_key}" if config.eval_key else "",
        "the run itself; no sample",
    ]
    return ", ".join(part for part in parts if part)
