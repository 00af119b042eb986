"""Every form of the plugin, and what is read from it. The only module that draws or parses.

The defaults are those of ``fiftyone_drop.apply_drop``, read from its signature. Forms are drawn
anew at each keystroke, so what a form checks is cheap: it reads the dataset's record, and
queries its samples every now and then only. The messages are those of the package.
"""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import fiftyone as fo
import fiftyone.operators.types as types
from fiftyone.operators import ViewTarget

import fiftyone_drop as fod
from fiftyone_drop.allocation import check_density, checked_size
from fiftyone_drop.plan import first_end, known_predictions
from fiftyone_drop.population import check_collection, class_label_fields, default_label_field
from fiftyone_drop.rules import RULES
from fiftyone_drop.runs import check_independent, check_key

TITLE = "DRoP: prune to a density"
PARAMETERS = inspect.signature(fod.apply_drop).parameters
START_DENSITY = 0.5  # where the slider starts: apply_drop has no default for it

# What each choice of `recalls_from` asks for; the first value is what it cannot do without.
# `recalls_of` (a run key) and `validation` (view:<saved view> or tag:<sample tag>) are names of
# things that `parse` looks up.
SOURCES = {
    "evaluation": ("eval_key",),
    "run": ("recalls_of",),
    "validation": ("validation", "pred_field"),
    "training": ("folds", "holdout"),
}
NEEDED = {
    "eval_key": "choose an evaluation run",
    "recalls_of": "choose a drop run",
    "validation": "choose a saved view or a sample tag",
    "pred_field": "choose the field that holds the predictions on the validation samples",
}
# What is drawn under the switch `more`
MORE = (
    *("rule", "select", "keep", "group_by", "smoothing", "min_per_class", "missing_recall"),
    *("skip_unlabeled", "allow_empty_classes", "seed"),
)
# Names that are known to the form only
FORM_ONLY = {"recalls_from", "recalls_of", "more"}

RECENT_SECONDS = 20
_recent: dict[str, tuple[float, Any]] = {}


# -- parsing --------------------------------------------------------------------------------------


def parse(ctx: Any) -> dict[str, Any]:
    """The arguments of ``apply_drop`` that a form, or a script, has given.

    Blank fields are left out, and so are those that the form has hidden since they were filled in.

    Raises:
        fiftyone_drop.DropError: if the chosen source of recalls lacks its value
    """
    given = _given(ctx.params)
    source = given.get("recalls_from")
    for name in SOURCES.get(source, ()) if _needs_recalls(given) else ():
        if name in NEEDED and name not in given:
            raise fod.DropError(f"{name}: {NEEDED[name]}")
    arguments = {name: value for name, value in given.items() if name in PARAMETERS}
    arguments.setdefault("density", START_DENSITY)
    if "recalls_of" in given:
        arguments["recalls"] = fod.load_drop(ctx.dataset, given["recalls_of"]).recalls
    if "validation" in given:
        arguments["validation"] = _validation(ctx.dataset, given["validation"])
    return arguments


def key_of(arguments: Mapping[str, Any]) -> str:
    """The run key that ``apply_drop(**arguments)`` writes to."""
    return arguments.get("key", PARAMETERS["key"].default)


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """What is filled in and visible. A script says neither ``more`` nor ``recalls_from``."""
    given = {name: value for name, value in params.items() if value is not None and value != ""}
    if given.get("more") is False:
        given = {name: value for name, value in given.items() if name not in MORE}
    if "recalls_from" in given:
        shown = SOURCES.get(given["recalls_from"], ()) if _needs_recalls(given) else ()
        hidden = {name for names in SOURCES.values() for name in names} - set(shown)
        given = {name: value for name, value in given.items() if name not in hidden}
    return given


def _needs_recalls(given: Mapping[str, Any]) -> bool:
    rule = RULES.get(given.get("rule", PARAMETERS["rule"].default))
    return rule is None or "recalls" in rule.needs


def _validation(dataset: fo.Dataset, value: Any) -> fo.DatasetView:
    kind, _, name = str(value).partition(":")
    if kind == "tag" and name:
        return dataset.match_tags(name)
    if kind == "view" and dataset.has_saved_view(name):
        return dataset.load_saved_view(name)
    raise fod.DropError(
        f"validation: must be view:<saved view> or tag:<sample tag>, but got {value!r}; saved "
        f"views are {dataset.list_saved_views()}"
    )


# -- the form of apply_drop -----------------------------------------------------------------------


def apply_drop_form(ctx: Any) -> types.Property:
    """The form of the operator ``apply_drop``."""
    form = _ApplyDropForm(ctx)
    if ctx.dataset is None:
        form.problem("Open a dataset first")
    else:
        form.draw()
    return types.Property(form.inputs, view=types.View(label=TITLE))


class _ApplyDropForm:
    def __init__(self, ctx: Any):
        self.ctx = ctx
        self.inputs = types.Object()
        self.params = ctx.params
        self.given = _given(ctx.params)

    def draw(self) -> None:
        self.inputs.view_target(
            self.ctx,
            action_description="Prune",
            # FiftyOne would start with the selection, which may be one forgotten sample
            default_target=ViewTarget.CURRENT_VIEW
            if self.ctx.has_custom_view
            else ViewTarget.DATASET,
        )
        self.samples = self.ctx.target_view()
        try:
            size = _count(self.ctx, self.samples)
        except fod.DropError as error:
            self.problem(_words(error))
            return
        self.pruned_before()
        self.density(size)
        self.label_field()
        if _needs_recalls(self.given):
            self.recalls()
        self.key()
        self.inputs.bool("more", default=False, label="More options", view=types.SwitchView())
        if self.params.get("more"):
            self.more()

    def problem(self, words: str) -> None:
        """A message that keeps the form from being executed."""
        view = types.Error(label=words)
        self.inputs.view("problem", view, invalid=True, error_message=words)

    def pruned_before(self) -> None:
        """A notice where a run is about to prune what another run has left.

        After each run the App shows what it keeps, and that view would be the next target.
        """
        for key in fod.list_drops(self.ctx.dataset):
            try:
                check_independent(self.samples, key)
            except fod.DropError:
                words = f"The target view is a part of the drop run '{key}', pruned already"
                self.inputs.view(f"part_of_{key}", types.Warning(label=words))

    # -- the short form --

    def density(self, size: int) -> None:
        # The slider has steps of a hundredth; a large dataset may want finer ones
        view = None if self.params.get("more") else _slider()
        field = self.inputs.float(
            "density",
            min=0,
            max=1,
            default=START_DENSITY,
            label="Density",
            description="The fraction of the samples that is kept",
            view=view,
        )
        try:
            kept = checked_size(size, check_density(self.given.get("density", START_DENSITY)))
        except fod.DropError as error:
            _mark(field, error)
        else:
            self.inputs.view("size", types.Notice(label=f"Keeps {kept:,} of {size:,} samples"))

    def label_field(self) -> None:
        try:
            likely, problem = default_label_field(self.samples, self.predictions()), None
        except fod.DropError as error:
            likely, problem = None, error
        self.labels = self.given.get("label_field", likely)
        field = self.choose(
            "label_field",
            self.class_label_fields(),
            label="Label field",
            description="The classes of the samples",
            default=likely,
        )
        if self.labels is None:
            _mark(field, problem)

    def recalls(self) -> None:
        evaluations, runs = self.evaluations(), self.runs()
        sources = {
            "evaluation": "An evaluation run",
            "run": "Another drop run",
            "validation": "Predictions on a validation view",
            "training": "Query models, trained now",
        }
        # Cheapest first, as far as the dataset has it
        likely = "evaluation" if evaluations else "run" if runs else "training"
        source = self.params.get("recalls_from", self.source_of_script() or likely)
        radio = types.RadioGroup(orientation="vertical")
        for value, label in sources.items():
            radio.add_choice(value, label=label)
        self.inputs.str(
            "recalls_from",
            default=likely,
            label="Class recalls from",
            description="Classes of low recall keep more. Measure it on samples that the model "
            "was not trained on",
            view=radio,
        )
        if source == "evaluation":
            self.choose_needed("eval_key", evaluations, label="Evaluation run")
        elif source == "run":
            self.choose_needed("recalls_of", runs, label="Drop run")
        elif source == "validation":
            self.choose_needed("validation", self.validations(), label="Validation samples")
            self.choose_needed(
                "pred_field", self.class_label_fields(but=self.labels), label="Predictions"
            )
        elif source == "training":
            self.query_models()

    def query_models(self) -> None:
        self.number(
            "folds", min=2, label="Folds", description="Query models, each predicting one fold"
        )
        self.number(
            "holdout",
            min=0,
            max=1,
            label="Hold-out (optional)",
            description="A fraction: one query model instead, and recall on so many of the samples",
        )

    def key(self) -> None:
        key = self.given.get("key", PARAMETERS["key"].default)
        field = self.inputs.str(
            "key",
            default=PARAMETERS["key"].default,
            label="Run key",
            description="Names the run, its fields and its saved views",
        )
        if key in fod.list_drops(self.ctx.dataset):
            self.switch("overwrite", "Replace the run of that key")
        try:
            check_key(self.ctx.dataset, key, bool(self.given.get("overwrite")))
            check_independent(self.samples, key, self.given.get("eval_key"))
        except fod.DropError as error:
            _mark(field, error)

    # -- the rest of it --

    def more(self) -> None:
        rules = {name: f"{name}: {rule.description}" for name, rule in RULES.items()}
        self.choose("rule", rules, label="Rule", description="How class quotas are set")
        scores = ["random", *self.score_fields()]
        self.choose("select", scores, label="Select", description="The order inside a class")
        if self.given.get("select", "random") != "random":
            ends = {"hardest": "the hardest first", "easiest": "the easiest first"}
            self.choose("keep", ends, label="Keep")
        self.choose(
            "group_by",
            self.group_fields(),
            label="Group by (optional)",
            description="Quotas, recalls and floors per class and value of this field",
        )
        if _needs_recalls(self.given):
            self.number(
                "smoothing",
                min=0,
                label="Smoothing",
                description="Measured recalls are (correct + s) / (n + 2s); 0 is the paper's",
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

    # -- fields of the form --

    def choose(self, name: str, choices: Iterable[str], **kwargs: Any) -> types.Property:
        # A string and no enum: the package's message about a wrong value is the better one
        labels = choices if isinstance(choices, Mapping) else {choice: choice for choice in choices}
        view = types.Dropdown()
        for value, label in labels.items():
            view.add_choice(value, label=label)
        default = PARAMETERS[name].default if name in PARAMETERS else None
        return self.inputs.str(name, view=view, **{"default": default} | kwargs)

    def choose_needed(self, name: str, choices: Iterable[str], **kwargs: Any) -> None:
        choices = choices if isinstance(choices, Mapping) else list(choices)
        only = next(iter(choices)) if len(choices) == 1 else None
        field = self.choose(name, choices, default=only, **kwargs)
        if "recalls_from" not in self.params:
            return  # drawn for the first time, or checked for a script: apply_drop has the say
        if not choices:
            _mark(field, "there is none that fits; choose another source of recalls")
        elif self.given.get(name, only) not in choices:
            _mark(field, NEEDED[name])

    def number(self, name: str, **kwargs: Any) -> None:
        whole = PARAMETERS[name].annotation == "int"
        define = self.inputs.int if whole else self.inputs.float
        define(name, default=PARAMETERS[name].default, **kwargs)

    def switch(self, name: str, label: str) -> None:
        view = types.SwitchView()
        self.inputs.bool(name, default=PARAMETERS[name].default, label=label, view=view)

    # -- what there is to choose from, all of it from the dataset's record --

    def source_of_script(self) -> str | None:
        if "recalls" in self.given:
            return "given"
        return next((s for s, names in SOURCES.items() if names[0] in self.given), None)

    def predictions(self) -> list[str]:
        return known_predictions(self.samples)

    def class_label_fields(self, but: str | None = None) -> list[str]:
        return [name for name in class_label_fields(self.samples) if name != but]

    def evaluations(self) -> dict[str, str]:
        found = {}
        for key in self.ctx.dataset.list_evaluations(type="classification"):
            config = self.ctx.dataset.get_evaluation_info(key).config
            if config.gt_field == self.labels:
                found[key] = f"{key} ({config.pred_field})"
        return found

    def runs(self) -> list[str]:
        infos = {
            key: self.ctx.dataset.get_run_info(key) for key in fod.list_drops(self.ctx.dataset)
        }
        group_by = self.given.get("group_by")
        return [
            key
            for key, info in infos.items()
            if info.config.recalls_from
            and (info.config.label_field, info.config.group_by) == (self.labels, group_by)
        ]

    def validations(self) -> dict[str, str]:
        views = {f"view:{v}": f"saved view {v}" for v in self.ctx.dataset.list_saved_views()}
        return views | {
            f"tag:{t}": f"samples tagged {t}" for t in self.ctx.dataset.distinct("tags")
        }

    def score_fields(self) -> list[str]:
        schema = self.samples.get_field_schema(ftype=(fo.FloatField, fo.IntField))
        return [name for name, field in schema.items() if first_end(field)]

    def group_fields(self) -> list[str]:
        schema = self.samples.get_field_schema(ftype=(fo.BooleanField, fo.IntField))
        return [*self.class_label_fields(but=self.labels), *schema]


def _slider() -> types.View:
    slider = {"min": 0.01, "max": 1, "step": 0.01}
    return types.SliderView(
        label_position="top", value_precision=2, componentsProps={"slider": slider}
    )


def _count(ctx: Any, samples: Any) -> int:
    """The size of the target view, as it was recently.

    Raises:
        fiftyone_drop.DropError: if it is empty, or no collection of images
    """

    def read() -> int:
        check_collection(samples)
        return len(samples)

    names = ("dataset_name", "view", "view_name", "filters", "extended", "view_target")
    target = {name: ctx.request_params.get(name) for name in names}
    if target["view_target"] == ViewTarget.SELECTED_SAMPLES:
        target["selected"] = ctx.selected
    return _read_recently(target, read)


def _read_recently(what: object, read: Callable[[], Any]) -> Any:
    """What ``read()`` returned at most ``RECENT_SECONDS`` ago, for it queries all samples."""
    key, now = json.dumps(what, default=str, sort_keys=True), time.monotonic()
    for old in [key for key, (then, _) in _recent.items() if now - then > RECENT_SECONDS]:
        _recent.pop(old, None)
    if key not in _recent:
        _recent[key] = now, read()
    return _recent[key][1]


def _mark(field: types.Property, problem: object) -> None:
    """Show what is wrong at a field, and keep the form from being executed."""
    field.invalid = True
    field.error_message = _words(problem)


def _words(problem: object) -> str:
    """A message of the package without the argument's name, which the form shows already."""
    words = str(problem)
    argument, colon, rest = words.partition(": ")
    return rest if colon and argument.isidentifier() else words
