"""The form of ``compute_scores``."""

from __future__ import annotations

from typing import Any, ClassVar

import fiftyone.zoo as foz

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from .. import door, models_folder
from .base import Kinds
from .score_choice import ScoresForm

# The field of each choice of `model_from`
SOURCES = {
    "training": "folds",
    "logits": "logits_field",
    "zoo": "zoo_model",
    "file": "model_file",
}
NEEDED = {
    "logits_field": "choose a field with stored logits",
    "zoo_model": "choose a model",
    "model_file": "choose a file that 'DRoP: train a query model' has saved",
}
ZOO_TAGS = ["classification", "logits", "torch"]


class ComputeScoresForm(ScoresForm):
    """The form of the operator ``compute_scores``."""

    function = "compute_scores"
    kinds: ClassVar[Kinds] = {
        **dict.fromkeys(("label_field", "prefix", "on_error", "device"), door.word),
        **dict.fromkeys(("logits_field", "zoo_model", "model_file"), door.word),
        **dict.fromkeys(("folds", "batch_size", "workers"), door.scalar),
        "seed": door.seed,
        **dict.fromkeys(("overwrite", "more"), checks.flag),
        "scores": door.words,
        "classes": door.list_of_words,
        "model_from": door.one_of(SOURCES),
    }

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``compute_scores``."""
        arguments = super().arguments()
        source = self.entries.get("model_from")
        needed = SOURCES.get(source)
        if needed in NEEDED and needed not in self.entries:
            raise fod.DropError(needed, NEEDED[needed])
        if source == "file":
            arguments["model"] = _saved_model(self.entries[needed])
        elif source == "zoo":
            models = foz.list_zoo_models(tags=ZOO_TAGS)
            arguments["model"] = checks.choice(needed, self.entries[needed], models)
        elif source == "logits":
            # A name that is no field might be that of another model
            classes = self.entries.get("classes")
            precheck.check_logits_field(self.target_view, self.entries[needed], classes)
            arguments["model"] = self.entries[needed]
        return arguments

    def fields(self) -> None:
        """Draw the fields."""
        if not self.target("Score"):
            return
        self.label_field()
        source = self.radio(
            "model_from",
            {
                "training": "Query models, trained now: each sample by one that has not seen it",
                "logits": "Logits that a model has stored in a field",
                "zoo": "A model of FiftyOne's zoo, trained for these classes",
                "file": "A query model that was saved to a file",
            },
            default="training",
            label="Model",
        )
        self.model(source)
        scores = self.scores(*self.offered(source))
        prefix = self.text("prefix", label="Prefix of the fields (optional)")
        fields = {prefix + name: name for name in scores}
        if fields:
            self.notice("writes", f"Writes {', '.join(fields)}")
        else:
            self.mark("scores", "choose at least one")
        self.may_replace(
            "Replace fields that hold something else",
            lambda overwrite: self.check_fields(fields, overwrite),
        )
        if self.more():
            self.rest(scores)

    def model(self, source: str) -> None:
        """The field that the choice of a model needs."""
        needed = SOURCES.get(source)
        if needed == "folds":
            self.number("folds", min=2, label="Folds", description="Query models to train")
        elif needed == "logits_field":
            fields = precheck.label_fields(self.samples, besides=self.labels)
            field = self.choose_needed(needed, fields, NEEDED[needed], label="Predictions")
            if field is not None:
                self.classes(field)
                self.check_logits(field)
        elif needed == "zoo_model":
            models = foz.list_zoo_models(tags=ZOO_TAGS)
            self.choose_needed(needed, models, NEEDED[needed], label="Model")
            self.class_names(
                "Classes of the model (optional)",
                "For models of the zoo that name none, or name them otherwise than the labels",
            )
        elif needed == "model_file":
            name = self.choose_needed(
                needed,
                models_folder.offered(),
                NEEDED[needed],
                label="File",
                description="In the folder of models of the machine that runs FiftyOne",
            )
            if name is not None:
                with self.checking():
                    models_folder.to_read(needed, name)

    def classes(self, field: str) -> None:
        """The names of the logits, in case the dataset does not state them."""
        if precheck.states_classes(self.samples, field):
            return
        self.class_names("Classes of the model", "The dataset does not state them")
        if "classes" not in self.entries:
            self.mark("classes", "the dataset does not state them, so they must be given")

    def class_names(self, label: str, why: str) -> None:
        """The names of a model's outputs, as one line of text."""
        words = f"{why}: all class names in the order of the model's outputs, commas between them"
        self.inputs.str("classes", label=label, description=words)

    def check_logits(self, field: str) -> None:
        """Mark a field that holds no logits."""
        if "classes" in self.inputs.properties and "classes" not in self.entries:
            return
        with self.checking("logits_field"):
            precheck.check_logits_field(self.samples, field, self.entries.get("classes"))
            if not self.recently(
                ["logits", field], lambda: precheck.has_logits(self.samples, field)
            ):
                self.mark(
                    "logits_field",
                    f"no logits in '{field}'; they are stored there in Python, when a model is "
                    "applied",
                )

    def offered(self, source: str) -> tuple[dict[str, Any], str]:
        """The scores that the model gives, and the reason why the others are missing."""
        images = precheck.scores_of("images")
        offered = images if source in ("zoo", "file") else precheck.scores_of("logits")
        dynamics = [name for name in precheck.scores_of("training") if name not in images]
        why = f"Not here: {', '.join(dynamics)} ('DRoP: train a query model' records them)"
        needy = [name for name in images if name not in offered]
        if needy:
            why += f"; {', '.join(needy)} (need one model that reads all images)"
        return offered, why

    def rest(self, scores: dict[str, Any]) -> None:
        """The fields that are rarely changed: conventions of the scores, and reading images."""
        self.conventions(scores)
        ends = {"skip": "leave their scores empty", "raise": "stop"}
        self.choose("on_error", ends, label="Images that cannot be read")
        self.number("batch_size", min=1, label="Images at once (optional)")
        self.number("workers", min=1, label="Threads that read images (optional)")
        self.text("device", label="PyTorch device (optional)")
        self.seed()


def _saved_model(name: str) -> fod.QueryModel:
    """The query model in a file of the folder of models.

    Raises:
        fiftyone_drop.DropError: if there is none
    """
    path = models_folder.to_read("model_file", name)
    try:
        return fod.QueryModel.load(path)
    except (OSError, fod.DropError) as error:
        words = f"{name} is damaged, or no query model; {NEEDED['model_file']}"
        raise fod.DropError("model_file", words) from error
