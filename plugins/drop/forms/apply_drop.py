"""The form of ``apply_drop``, which is longer than others: the function has most arguments."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Any, ClassVar

import fiftyone as fo

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from .. import door
from .base import AMOUNTS, START_DENSITY, Choices, Kinds
from .target import NO_VALIDATION, TargetForm, find_validation

# The fields of each choice of `recalls_from`. `recalls_of` (a run key) and `validation`
# (view:<saved view> or tag:<sample tag>) are names, which `arguments` looks up.
SOURCES = {
    "evaluation": ("eval_key",),
    "run": ("recalls_of",),
    "validation": ("validation", "pred_field"),
    "closed-form": (),
    "training": ("folds", "holdout"),
}
QUERIES = {"closed-form": "closed-form", "training": "trained"}  # choice -> query=
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
MOST_CHOICES = 1_000  # of a list; a script can name any class
NONE_FITS = "there is none that fits; choose another source of recalls"
# The fields under the switch `more`
MORE = (
    *("rule", "select", "keep", "order_by", "group_by", "smoothing", "missing_recall"),
    *("min_per_class", "max_per_class", "protect", "must_keep"),
    *("suspects_by", "suspects_below", "suspects_above"),
    *("skip_unlabeled", "allow_empty_classes", "seed"),
)
# The thresholds on the score field `suspects_by`, and the arguments that they become
SUSPECTS = {"suspects_below": "drop_below", "suspects_above": "drop_above"}


class ApplyDropForm(TargetForm):
    """The form of the operator ``apply_drop``."""

    function = "apply_drop"
    kinds: ClassVar[Kinds] = {
        **dict.fromkeys(
            ("run", "label_field", "key", "eval_key", "recalls_of", "validation"), door.word
        ),
        **dict.fromkeys(("pred_field", "rule", "select", "keep", "order_by"), door.word),
        **dict.fromkeys(("must_keep", "suspects_by"), door.word),
        **dict.fromkeys((*AMOUNTS, "folds", "holdout", "smoothing"), door.scalar),
        "seed": door.seed,
        **dict.fromkeys(("missing_recall", *SUSPECTS), door.scalar),
        **dict.fromkeys(("min_per_class", "max_per_class"), door.per_class),
        "group_by": door.word_or_words,
        "protect": door.class_names,
        "amount": door.one_of(AMOUNTS),
        **dict.fromkeys(("overwrite", "more", "skip_unlabeled"), checks.flag),
        "allow_empty_classes": checks.flag,
        "recalls_from": door.one_of(SOURCES),
    }

    def __init__(self, ctx: Any):
        super().__init__(ctx)
        if "amount" in self.entries:  # the App keeps the values of fields that are hidden again
            self._forget(set(AMOUNTS) - {self.entries["amount"]})
        elif not {"quotas", *AMOUNTS} & set(self.entries):
            self.entries["density"] = START_DENSITY
        self._forget([name for name, value in self.entries.items() if value == []])
        # Hidden fields do not count; a script passes neither `more` nor `recalls_from`
        if self.entries.get("more") is False:
            self._forget(MORE)
        if "recalls_from" in self.entries:
            shown = SOURCES.get(self.entries["recalls_from"], ()) if self._needs_recalls() else ()
            self._forget({name for names in SOURCES.values() for name in names} - set(shown))

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``apply_drop``."""
        source = self.entries.get("recalls_from")
        for name in SOURCES.get(source, ()) if self._needs_recalls() else ():
            if name in NEEDED and name not in self.entries:
                raise fod.DropError(name, NEEDED[name])
        arguments = super().arguments()
        if arguments.get("smoothing") in ("0.5", "0"):
            arguments["smoothing"] = float(arguments["smoothing"])
        if source in QUERIES and self._needs_recalls():
            arguments["query"] = QUERIES[source]
        if "recalls_of" in self.entries:
            run = fod.load_drop(self.ctx.dataset, self.entries["recalls_of"])
            arguments["recalls"] = run.recalls
        if "validation" in self.entries:
            arguments["validation"] = find_validation(self.ctx.dataset, self.entries["validation"])
        return arguments | self._thresholds()

    def _thresholds(self) -> dict[str, Any]:
        """The arguments by which suspect samples are left out."""
        by = self.entries.get("suspects_by")
        if by is None:
            return {}
        found = {
            a: {by: self.entries[name]} for name, a in SUSPECTS.items() if name in self.entries
        }
        if not found:
            raise fod.DropError("suspects_by", "needs a threshold below or above which they leave")
        return found

    def _forget(self, names: Collection[str]) -> None:
        self.entries = {name: value for name, value in self.entries.items() if name not in names}

    def _needs_recalls(self) -> bool:
        rule = precheck.rules().get(self.value("rule"))
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
        """A warning where the target view is a part of another run.

        After each run the App shows the kept samples, and that view would be the next target.
        """
        for key in precheck.runs_behind(self.samples):
            words = f"The target view is a part of the drop run '{key}', pruned already"
            self.warning(f"part_of_{key}", words)

    def density_and_size(self) -> None:
        """The density, and the number of samples that it keeps."""
        # The slider has steps of a hundredth; a large dataset may want finer ones
        amount = self.amount(START_DENSITY, exact=bool(self.entries.get("more")))
        sizes = self.class_sizes()
        size = sum(sizes.values()) if self.value("skip_unlabeled") else self.size
        if self.value("group_by") is not None:
            sizes = {}  # the bounds are those of cells, whose sizes are not known here
        if not amount or set(SUSPECTS) & set(self.entries):
            return
        names = ("rule", "min_per_class", "max_per_class", "protect")
        bounds = {name: self.value(name) for name in names}
        if self.value("group_by") is not None:
            bounds = {"rule": bounds["rule"]}
        with self.checking():
            try:
                kept = precheck.kept(size, sizes, **amount, **bounds)
            except fod.DropError as error:
                # Below the floors or above the caps: what sets these may be wrong instead
                for name in names[1:] if error.argument in AMOUNTS else ():
                    if name in self.entries:
                        self.show(error, at=name)
                raise
            if kept is not None:
                self.notice("keeps", f"Keeps {kept:,} of {size:,} samples")

    def recalls(self) -> None:
        """The source of class recalls, and the fields that it needs."""
        fields = precheck.evaluations(self.samples, self.labels)
        evaluations = {key: f"{key} ({field})" for key, field in fields.items()}
        runs = precheck.runs_with_recalls(self.samples, self.labels, self.value("group_by"))
        predicted = self.predicted_on_split()
        evaluation = self.likely_evaluation(evaluations)
        # The cheapest source that the dataset has. A split that was set apart is better than what
        # was measured on the samples that are pruned
        likely = "evaluation" if evaluations else "run" if runs else "closed-form"
        if predicted and evaluation is None:
            likely = "validation"
        like = self.entries.get("run")
        if like in runs and self._evaluation_of(like) not in evaluations:
            likely = "run"  # its recalls are its own
        source = self.radio(
            "recalls_from",
            {
                "evaluation": "An evaluation run",
                "run": "Another drop run",
                "validation": "Predictions on validation samples",
                "closed-form": "A query model in closed form: no training",
                "training": "Query models, trained now",
            },
            default=likely,
            label="Class recalls from",
            description="Classes of low recall keep more. Measure it on samples that the model "
            "was not trained on",
        )
        if source == "evaluation":
            self.evaluation(evaluations, evaluation)
        elif source == "run":
            self.other_run(runs)
        elif source == "validation":
            self.predictions(predicted)
        elif source == "training":
            self.number(
                "folds",
                min=2,
                label="Folds (optional)",
                description="Query models, each predicting one fold: 5 unless you say otherwise",
            )
            self.number(
                "holdout",
                min=0,
                max=1,
                label="Hold-out (optional)",
                description="A fraction: one query model instead, and recall on these samples",
            )

    def predicted_on_split(self) -> list[str]:
        """The fields with predictions of a model on the split that was set apart for measuring."""
        split, dataset = self.validation_split(), self.ctx.dataset
        if split is None:
            return []
        return self.recently(
            ["predicted", split, self.labels],
            lambda: precheck.predictions(dataset.match_tags(split), self.labels),
        )

    def likely_evaluation(self, offered: Iterable[str]) -> str | None:
        """That of the run that is shown, or one that the samples of the target had no part in."""
        of_run = self._evaluation_of(self.entries.get("run"))
        if of_run in offered:
            return of_run
        if self.validation_split() is None:
            return None
        return self.recently(
            ["apart", sorted(offered)],
            lambda: next(
                (key for key in offered if not precheck.measured_inside(self.samples, key)), None
            ),
        )

    def evaluation(self, offered: dict[str, str], likely: str | None) -> None:
        """The evaluation run that recalls come from."""
        eval_key = self.needed("eval_key", offered, likely=likely, label="Evaluation run")
        if eval_key is not None:
            with self.checking():
                precheck.check_evaluation(self.samples, eval_key, self.labels)
                self.measured_on(self.ctx.dataset.exists(eval_key), "eval_key")

    def other_run(self, offered: list[str]) -> None:
        """The drop run that recalls come from."""
        like = self.entries.get("run")
        likely = like if like in offered else None
        key = self.needed("recalls_of", offered, likely=likely, label="Drop run")
        if key is not None and key not in offered:
            self.mark("recalls_of", NONE_FITS)
        elif key is not None:
            recalls = self.recently(
                ["recalls", key], lambda: list(fod.load_drop(self.ctx.dataset, key).recalls)
            )
            self.check_complete(recalls, "recalls_of")

    def predictions(self, likely: Sequence[str]) -> None:
        """The samples that recall is measured on, and the predictions there."""
        validation = self.validation()
        fields = precheck.label_fields(self.samples, besides=self.labels)
        only = likely[0] if len(likely) == 1 else None
        self.needed("pred_field", fields, likely=only, label="Predictions")
        if validation is not None:
            with self.checking():
                self.measured_on(validation, "validation")

    def needed(self, name: str, offered: Choices, **kwargs: Any) -> str | None:
        """The choice of a value that a source of recalls needs."""
        return self.choose_needed(name, offered, NEEDED[name] if offered else NONE_FITS, **kwargs)

    def measured_on(self, validation: fo.DatasetView, field: str) -> None:
        """Point out validation samples in the target view, and classes that have none."""
        self.overlap(validation)
        self.check_complete(self.classes_of(validation), field)

    def check_complete(self, measured: Collection[str], field: str) -> None:
        """Mark ``field`` if classes of the target view have no recall."""
        if "missing_recall" in self.entries or self.value("group_by") is not None:
            return
        words = self.without(measured)
        if words:
            self.mark(field, f"{words}; 'Missing recall' under 'More options' sets one")

    def key(self) -> None:
        """The run key; runs and fields may have its names already."""
        key = self.text(
            "key",
            default=self._free_key(),
            label="Run key",
            description="Names the run, its fields and its saved views",
        )
        self.may_replace(
            "Replace the run of that key",
            lambda overwrite: precheck.check_key(self.samples, key, overwrite, self.uses()),
        )

    def _evaluation_of(self, key: str | None) -> str | None:
        """The evaluation that a run was given."""
        if key not in precheck.runs(self.ctx.dataset):
            return None
        given = fod.load_drop(self.ctx.dataset, key).config.asked.get("eval_key")
        return None if given is None else str(given)

    def _free_key(self) -> str:
        return precheck.free_key(self.ctx.dataset, self.default("key"))

    def uses(self) -> list[tuple[str, str]]:
        """The fields and evaluations that are chosen, by argument."""
        names = ("label_field", "select", "pred_field", "eval_key", "order_by", "must_keep")
        used = [(name, self.entries[name]) for name in names if name in self.entries]
        used += [("group_by", name) for name in precheck.group_names(self.value("group_by"))]
        if "suspects_by" in self.entries:
            used.append((SUSPECTS["suspects_below"], self.entries["suspects_by"]))
        return used

    # -- more options --

    def rest(self) -> None:
        """The fields that are rarely changed."""
        rules = {name: f"{name}: {rule.description}" for name, rule in precheck.rules().items()}
        self.choose("rule", rules, label="Rule", description="How class quotas are set")
        scores = ["random", *precheck.score_fields(self.samples)]
        self.choose("select", scores, label="Select", description="The order inside a class")
        if self.value("select") != "random":
            ends = {"hardest": "the hardest first", "easiest": "the easiest first"}
            self.choose("keep", ends, label="Keep")
        groups = precheck.group_fields(self.samples, self.labels)
        self.choose_many(
            "group_by",
            {name: name for name in groups},
            label="Group by (optional)",
            description="Quotas, recalls and bounds per class and value of these fields",
        )
        names = {"id": "their ids", "filepath": "their paths, which outlive another import"}
        self.choose("order_by", names, label="The order at random hashes")
        if self._needs_recalls():
            self.choose(
                "smoothing",
                SMOOTHINGS,
                label="Smoothing",
                description="A remedy for the noise of measured recalls",
            )
            self.number(
                "missing_recall",
                min=0,
                max=1,
                label="Missing recall (optional)",
                description="The recall of classes without a validation sample",
            )
        self.bounds()
        self.suspects()
        self.switch("skip_unlabeled", "Leave samples without a label out of the run")
        self.switch("allow_empty_classes", "Allow a class to lose all its samples")
        self.seed()

    def bounds(self) -> None:
        """How few and how many of each class are kept, and what is kept in any case."""
        self.number("min_per_class", min=0, label="Samples to keep of each class, at least")
        self.number("max_per_class", min=0, label="At most (optional)")
        self.choose_many(
            "protect",
            {name: name for name in list(self.class_sizes())[:MOST_CHOICES]},
            label="Protected classes (optional)",
            description="Every sample of these is kept",
        )
        self.choose(
            "must_keep",
            self.recently("must_keep", lambda: precheck.must_keep_names(self.samples)),
            label="Must keep (optional)",
            description="Samples with this tag, or for which this field is true, come first",
        )

    def suspects(self) -> None:
        """The thresholds beyond which samples leave the run."""
        field = self.choose(
            "suspects_by",
            precheck.number_fields(self.samples),
            label="Leave out samples by (optional)",
            description="A score that tells suspect samples, which leave before quotas are cut",
        )
        if field is None:
            return
        self.inputs.float("suspects_below", label="Leave out below (optional)")
        self.inputs.float("suspects_above", label="Leave out above (optional)")
        with self.checking():
            self._thresholds()
