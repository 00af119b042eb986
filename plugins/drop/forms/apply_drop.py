"""The form of ``apply_drop``."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import fiftyone as fo
import numpy as np

import fiftyone_drop as fod
from fiftyone_drop.allocation import (
    check_density,
    check_min_per_class,
    checked_size,
    floor_size,
)
from fiftyone_drop.plan import first_end
from fiftyone_drop.population import class_label_fields
from fiftyone_drop.recall_sources import check_evaluation
from fiftyone_drop.rules import RULES
from fiftyone_drop.runs import check_independent, check_key

from .base import Choices
from .target import NO_VALIDATION, TargetForm, find_validation

START_DENSITY = 0.5  # where the slider starts: apply_drop has no default for it

# What each choice of `recalls_from` asks for; the first value is what it cannot do without.
# `recalls_of` (a run key) and `validation` (view:<saved view> or tag:<sample tag>) are names of
# things that `arguments` looks up.
SOURCES = {
    "evaluation": ("eval_key",),
    "run": ("recalls_of",),
    "validation": ("validation", "pred_field"),
    "training": ("folds", "holdout"),
}
NEEDED = {
    "eval_key": "choose an evaluation run",
    "recalls_of": "choose a drop run",
    "validation": NO_VALIDATION,
    "pred_field": "choose the field that holds the predictions on the validation samples",
}
# A number is a string here, since the field takes strings
SMOOTHINGS = {
    "shrinkage": "shrinkage: towards the mean recall, as far as differences may be chance",
    "0.5": "0.5: half a sample right and half a sample wrong for each class (Jeffreys)",
    "0": "0: none, as in the paper",
}
NONE_FITS = "there is none that fits; choose another source of recalls"
# What is drawn under the switch `more`
MORE = (
    *("rule", "select", "keep", "group_by", "smoothing", "min_per_class", "missing_recall"),
    *("skip_unlabeled", "allow_empty_classes", "seed"),
)


class ApplyDropForm(TargetForm):
    """The form of the operator ``apply_drop``."""

    function = "apply_drop"

    def __init__(self, ctx: Any):
        super().__init__(ctx)
        self.given.setdefault("density", START_DENSITY)
        # What is hidden does not count; a script says neither `more` nor `recalls_from`
        if self.given.get("more") is False:
            self._forget(MORE)
        if "recalls_from" in self.given:
            shown = SOURCES.get(self.given["recalls_from"], ()) if self._needs_recalls() else ()
            self._forget({name for names in SOURCES.values() for name in names} - set(shown))

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``apply_drop``."""
        source = self.given.get("recalls_from")
        for name in SOURCES.get(source, ()) if self._needs_recalls() else ():
            if name in NEEDED and name not in self.given:
                raise fod.DropError(f"{name}: {NEEDED[name]}")
        arguments = super().arguments()
        if arguments.get("smoothing") in ("0.5", "0"):
            arguments["smoothing"] = float(arguments["smoothing"])
        if "recalls_of" in self.given:
            arguments["recalls"] = fod.load_drop(self.ctx.dataset, self.given["recalls_of"]).recalls
        if "validation" in self.given:
            arguments["validation"] = find_validation(self.ctx.dataset, self.given["validation"])
        return arguments

    def _forget(self, names: Collection[str]) -> None:
        self.given = {name: value for name, value in self.given.items() if name not in names}

    def _needs_recalls(self) -> bool:
        rule = RULES.get(self.value("rule"))
        return rule is None or "recalls" in rule.needs

    # -- the short form --

    def fields(self) -> None:
        """Draw the fields."""
        if not self.target("Prune"):
            return
        self.pruned_before()
        self.density_and_size()
        skips = self.value("skip_unlabeled")
        self.label_field(None if skips else "leave them out under 'More options'")
        if self._needs_recalls():
            self.recalls()
        self.key()
        if self.more():
            self.rest()

    def pruned_before(self) -> None:
        """A notice where a run is about to prune what another run has left.

        After each run the App shows what it keeps, and that view would be the next target.
        """
        for key in fod.list_drops(self.ctx.dataset):
            try:
                check_independent(self.samples, key)
            except fod.DropError:
                words = f"The target view is a part of the drop run '{key}', pruned already"
                self.warning(f"part_of_{key}", words)

    def density_and_size(self) -> None:
        """The density, and how many samples that is."""
        # The slider has steps of a hundredth; a large dataset may want finer ones
        density = self.density(START_DENSITY, exact=bool(self.given.get("more")))
        size = sum(self.class_sizes().values()) if self.value("skip_unlabeled") else self.size
        with self.checking():
            kept = checked_size(size, check_density(density), self.floor())
            self.notice("size", f"Keeps {kept:,} of {size:,} samples")

    def floor(self) -> int:
        """How many samples the floors take, as far as that can be known here."""
        if self.value("rule") == "none" or self.value("group_by") is not None:
            return 0
        sizes = np.array(list(self.class_sizes().values()), dtype=np.int64)
        return floor_size(sizes, check_min_per_class(self.value("min_per_class")))

    def recalls(self) -> None:
        """Where class recalls come from, and what that needs."""
        evaluations, runs = self.evaluations(), self.runs()
        # Cheapest first, as far as the dataset has it
        likely = "evaluation" if evaluations else "run" if runs else "training"
        source = self.radio(
            "recalls_from",
            {
                "evaluation": "An evaluation run",
                "run": "Another drop run",
                "validation": "Predictions on a validation view",
                "training": "Query models, trained now",
            },
            default=likely,
            label="Class recalls from",
            description="Classes of low recall keep more. Measure it on samples that the model "
            "was not trained on",
        )
        if source == "evaluation":
            self.evaluation(evaluations)
        elif source == "run":
            self.other_run(runs)
        elif source == "validation":
            self.predictions()
        elif source == "training":
            self.number(
                "folds", min=2, label="Folds", description="Query models, each predicting one fold"
            )
            self.number(
                "holdout",
                min=0,
                max=1,
                label="Hold-out (optional)",
                description="A fraction: one query model instead, and recall on so many samples",
            )

    def evaluation(self, offered: dict[str, str]) -> None:
        """The evaluation run that recalls come from."""
        chosen = self.needed("eval_key", offered, label="Evaluation run")
        if chosen is not None:
            with self.checking():
                check_evaluation(self.samples, chosen, self.labels)
                self.measured_on(self.ctx.dataset.exists(chosen), "eval_key")

    def other_run(self, offered: list[str]) -> None:
        """The drop run whose recalls are taken."""
        chosen = self.needed("recalls_of", offered, label="Drop run")
        if chosen is not None and chosen not in offered:
            self.mark("recalls_of", NONE_FITS)
        elif chosen is not None:
            recalls = self.recently(
                ["recalls", chosen], lambda: list(fod.load_drop(self.ctx.dataset, chosen).recalls)
            )
            self.check_complete(recalls, "recalls_of")

    def predictions(self) -> None:
        """The samples that recall is measured on, and the predictions there."""
        validation = self.validation()
        fields = [name for name in class_label_fields(self.samples) if name != self.labels]
        self.needed("pred_field", fields, label="Predictions")
        if validation is not None:
            with self.checking():
                self.measured_on(validation, "validation")

    def needed(self, name: str, offered: Choices, **kwargs: Any) -> str | None:
        """The choice of what a source of recalls needs."""
        return self.choose_needed(name, offered, NEEDED[name] if offered else NONE_FITS, **kwargs)

    def measured_on(self, validation: fo.DatasetView, field: str) -> None:
        """Point out validation samples in the target view, and classes that have none."""
        self.overlap(validation)
        self.check_complete(self.classes_of(validation), field)

    def check_complete(self, measured: Collection[str], field: str) -> None:
        """Mark ``field`` if classes of the target view have no recall."""
        if "missing_recall" in self.given or self.value("group_by") is not None:
            return
        words = self.without(measured)
        if words:
            self.mark(field, f"{words}; 'Missing recall' under 'More options' would be taken")

    def key(self) -> None:
        """The run key; the runs and fields it would meet."""
        key = self.text(
            "key", label="Run key", description="Names the run, its fields and its saved views"
        )
        self.may_replace(
            "Replace the run of that key",
            lambda overwrite: check_key(self.ctx.dataset, key, overwrite),
        )
        with self.checking():
            check_independent(self.samples, key, self.given.get("eval_key"))

    # -- the rest of it --

    def rest(self) -> None:
        """What is rarely changed."""
        rules = {name: f"{name}: {rule.description}" for name, rule in RULES.items()}
        self.choose("rule", rules, label="Rule", description="How class quotas are set")
        scores = ["random", *self.score_fields()]
        self.choose("select", scores, label="Select", description="The order inside a class")
        if self.value("select") != "random":
            ends = {"hardest": "the hardest first", "easiest": "the easiest first"}
            self.choose("keep", ends, label="Keep")
        self.choose(
            "group_by",
            self.group_fields(),
            label="Group by (optional)",
            description="Quotas, recalls and floors per class and value of this field",
        )
        if self._needs_recalls():
            self.choose(
                "smoothing",
                SMOOTHINGS,
                label="Smoothing",
                description="What is done about the noise of measured recalls",
            )
            self.number(
                "missing_recall",
                min=0,
                max=1,
                label="Missing recall (optional)",
                description="The recall of classes without a validation sample",
            )
        self.number("min_per_class", min=0, label="Samples to keep of each class at least")
        self.switch("skip_unlabeled", "Leave samples without a label out of the run")
        self.switch("allow_empty_classes", "Allow a class to lose all its samples")
        self.number("seed", label="Seed")

    # -- what there is to choose from, all of it from the dataset's record --

    def evaluations(self) -> dict[str, str]:
        """Evaluation runs of the label field."""
        found = {}
        for key in self.ctx.dataset.list_evaluations(type="classification"):
            config = self.ctx.dataset.get_evaluation_info(key).config
            if config.gt_field == self.labels:
                found[key] = f"{key} ({config.pred_field})"
        return found

    def runs(self) -> list[str]:
        """Drop runs that have recalls of these classes."""
        found = []
        for key in fod.list_drops(self.ctx.dataset):
            config = self.ctx.dataset.get_run_info(key).config
            classes = (config.label_field, config.group_by)
            if config.recalls_from and classes == (self.labels, self.value("group_by")):
                found.append(key)
        return found

    def score_fields(self) -> list[str]:
        """Number fields that say which end comes first."""
        schema = self.samples.get_field_schema(ftype=(fo.FloatField, fo.IntField))
        return [name for name, field in schema.items() if first_end(field)]

    def group_fields(self) -> list[str]:
        """Fields that classes can be divided by."""
        schema = self.samples.get_field_schema(ftype=(fo.BooleanField, fo.IntField))
        labels = [name for name in class_label_fields(self.samples) if name != self.labels]
        return [*labels, *schema]
