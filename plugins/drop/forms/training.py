"""The form of ``train_query_model``."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable
from typing import Any, ClassVar

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from .. import door, models_folder
from .base import Kinds
from .score_choice import ScoresForm
from .target import NO_VALIDATION, find_validation

BY_ITSELF = "Chosen to suit the images if left empty"


class TrainQueryModelForm(ScoresForm):
    """The form of the operator ``train_query_model``."""

    function = "train_query_model"
    kinds: ClassVar[Kinds] = {
        **dict.fromkeys(("label_field", "key", "validation", "architecture"), door.word),
        **dict.fromkeys(("save_to", "device"), door.word),
        **dict.fromkeys(("holdout", "epochs", "batch_size", "image_size"), door.scalar),
        **dict.fromkeys(("learning_rate", "momentum", "weight_decay"), door.scalar),
        "workers": door.scalar,
        "seed": door.seed,
        **dict.fromkeys(("overwrite", "more", "pretrained", "deterministic"), checks.flag),
        "scores": door.words,
        "recall_on": door.one_of(("holdout", "validation")),
    }

    @functools.cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """The parameters of the function, and the training options."""
        return super().parameters | dict(inspect.signature(fod.TrainingOptions).parameters)

    @property
    def save_to(self) -> str | None:
        """The name of the file that the model is saved to, in the folder of models."""
        return self.entries.get("save_to")

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``train_query_model``; checks the fields of the scores too."""
        arguments = super().arguments()
        source = self.entries.get("recall_on")
        if source == "holdout":
            arguments.pop("validation", None)
        if source == "validation" and "validation" not in arguments:
            raise fod.DropError("validation", NO_VALIDATION)
        if "validation" in arguments:
            arguments["validation"] = find_validation(self.ctx.dataset, arguments["validation"])
        self.check_fields(self.score_fields(self.value("scores")), self.value("overwrite"))
        self.check_file(self.value("overwrite"))
        return arguments

    @property
    def prefix(self) -> str:
        """The prefix of the score fields, since in-sample scores must not mix with others."""
        return f"{self.value('key')}_"

    def score_fields(self, scores: Iterable[str]) -> dict[str, str]:
        """The fields of scores: field -> score."""
        return {self.prefix + name: name for name in scores}

    def check_file(self, overwrite: bool) -> None:
        """Check that the model can be saved, before it is trained.

        Raises:
            fiftyone_drop.DropError: if the name leads elsewhere, or is taken
        """
        if self.save_to is not None:
            models_folder.to_write("save_to", self.save_to, overwrite)

    def fields(self) -> None:
        """Draw the fields."""
        if not self.target("Train on"):
            return
        self.label_field()
        trained_on = self.held_out()
        scores = self.scores(
            precheck.scores_of("training"),
            "Of the samples that it is trained on; held-out samples get none",
        )
        self.key(scores)
        self.choose("architecture", precheck.architectures(), label="Architecture")
        self.number("epochs", min=1, label="Epochs (optional)", description=BY_ITSELF)
        self.cost(trained_on)
        description = (
            "A name such as digits.pt, in the folder of models of the machine that runs FiftyOne; "
            "'DRoP: compute difficulty scores' offers it"
        )
        self.text("save_to", label="Save the model to a file (optional)", description=description)
        if self.more():
            self.rest(scores)

    def held_out(self) -> int:
        """The samples that recall is measured on; returns the number of those to train on."""
        source = self.radio(
            "recall_on",
            {"holdout": "A part of these samples, held out", "validation": "Other samples"},
            default="validation" if self.validation_split() else "holdout",
            label="Recall is measured on",
        )
        if source == "validation":
            validation = self.validation()
            if validation is not None:
                with self.checking():
                    self.overlap(validation)
                    words = self.without(self.classes_of(validation))
                    if words:
                        self.warning("without", f"There is {words}")
            return self.size
        self.number("holdout", min=0, max=1, label="Hold-out", description="A fraction of them")
        with self.checking():
            return precheck.training_size(self.size, self.value("holdout"))
        return self.size

    def key(self, scores: Iterable[str]) -> None:
        """The key, and the names that follow from it."""
        key = self.text("key", label="Key", description="Names the fields and the evaluation run")
        fields = self.score_fields(scores)
        self.notice("writes", f"Writes {', '.join([*precheck.training_outputs(key), *fields])}")

        def check(overwrite: bool) -> None:
            precheck.check_training_key(self.ctx.dataset, key, overwrite)
            self.check_fields(fields, overwrite)
            self.check_file(overwrite)

        self.may_replace("Replace what has these names already", check)

    def cost(self, images: int) -> None:
        """The size of the training that the options mean, on a number of images."""
        names = inspect.signature(fod.TrainingOptions).parameters
        # The device is checked when the operator runs: PyTorch alone knows it
        options = {n: v for n, v in self.entries.items() if n in names and n != "device"}

        def count() -> str:
            return precheck.training_cost(self.samples, images, fod.TrainingOptions(**options))

        with self.checking():
            self.notice("cost", f"Trains {self.recently(['cost', options, images], count)}")

    def rest(self, scores: dict[str, Any]) -> None:
        """The fields that are rarely changed."""
        self.conventions(scores)
        self.switch("pretrained", "Start from weights pretrained on ImageNet")
        self.number("image_size", min=1, label="Image size (optional)", description=BY_ITSELF)
        self.number("batch_size", min=2, label="Images per step")
        self.number("learning_rate", label="Learning rate (optional)", description=BY_ITSELF)
        self.number("momentum", label="Momentum")
        self.number("weight_decay", label="Weight decay")
        self.text("device", label="PyTorch device (optional)")
        self.number("workers", min=1, label="Threads that read images (optional)")
        self.seed()
        self.switch("deterministic", "The same bit for bit on a GPU too, by slower algorithms")
