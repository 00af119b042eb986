"""The form of ``train_query_model``. Imports PyTorch."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import fiftyone_drop as fod
from fiftyone_drop.api import check_predictions_free
from fiftyone_drop.recall_sources import RecallSource
from fiftyone_drop.scoring import SCORES
from fiftyone_drop.training import TrainingCost
from fiftyone_drop.training.architectures import architecture_names

from .score_choice import ScoresForm
from .target import NO_VALIDATION, find_validation

BY_ITSELF = "Chosen to suit the images if left empty"
FILES_LOOKED_AT = 16  # to find the size of the images


class TrainQueryModelForm(ScoresForm):
    """The form of the operator ``train_query_model``."""

    function = "train_query_model"

    @functools.cached_property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """Those of the function, and the training options."""
        return super().parameters | dict(inspect.signature(fod.TrainingOptions).parameters)

    @property
    def save_to(self) -> Path | None:
        """The file that the model is saved to."""
        path = self.given.get("save_to")
        return None if path is None else Path(path)

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``train_query_model``. The fields of the scores are checked too."""
        arguments = super().arguments()
        source = self.given.get("recall_on")
        if source == "holdout":
            arguments.pop("validation", None)
        if source == "validation" and "validation" not in arguments:
            raise fod.DropError(f"validation: {NO_VALIDATION}")
        if "validation" in arguments:
            arguments["validation"] = find_validation(self.ctx.dataset, arguments["validation"])
        self.check_score_fields(self.score_fields(self.value("scores")), self.value("overwrite"))
        self.check_file()
        return arguments

    @property
    def prefix(self) -> str:
        """Of the score fields: in-sample scores must not mix with those of ``compute_scores``."""
        return f"{self.value('key')}_"

    def score_fields(self, scores: Iterable[str]) -> dict[str, str]:
        """Field -> score."""
        return {self.prefix + name: name for name in scores}

    def check_file(self) -> None:
        """Check that the model can be saved before it is trained.

        Raises:
            fiftyone_drop.DropError: if not
        """
        if self.save_to is not None and not self.save_to.parent.is_dir():
            raise fod.DropError(f"save_to: there is no folder {self.save_to.parent}")

    def fields(self) -> None:
        """Draw the fields."""
        if not self.target("Train on"):
            return
        self.label_field()
        trained_on = self.held_out()
        dynamics = [name for name, score in SCORES.items() if score.needs == "dynamics"]
        chosen = self.scores(
            ["el2n", *dynamics],
            "Of the samples that it is trained on; held-out samples get none",
        )
        self.key(chosen)
        architectures = ["auto", *architecture_names()]
        self.choose("architecture", architectures, label="Architecture")
        self.number("epochs", min=1, label="Epochs (optional)", description=BY_ITSELF)
        self.cost(trained_on)
        description = (
            "On the machine that runs FiftyOne; 'DRoP: compute difficulty scores' reads it"
        )
        self.text("save_to", label="Save the model to a file (optional)", description=description)
        with self.checking():
            self.check_file()
        if self.more():
            self.rest(chosen)

    def held_out(self) -> int:
        """What recall is measured on; returns how many samples are left to train on."""
        source = self.radio(
            "recall_on",
            {"holdout": "A part of these samples, held out", "validation": "Other samples"},
            default="holdout",
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
            RecallSource(holdout=self.value("holdout")).check(self.samples, "")
            return self.size - round(self.size * self.value("holdout"))
        return self.size

    def key(self, chosen: Sequence[str]) -> None:
        """The key, and the fields that follow from it."""
        key = self.text("key", label="Key", description="Names the fields and the evaluation run")
        made = [f"{key}_pred", f"{key}_eval"]
        fields = self.score_fields(chosen)
        self.notice("writes", f"Writes {', '.join([*made, *fields])}")

        def check(overwrite: bool) -> None:
            check_predictions_free(self.ctx.dataset, *made, overwrite)
            self.check_score_fields(fields, overwrite)

        self.may_replace("Replace what has these names", check)

    def cost(self, trained_on: int) -> None:
        """What the training options come to, for so many samples."""
        names = inspect.signature(fod.TrainingOptions).parameters
        given = {name: value for name, value in self.given.items() if name in names}

        def count() -> str:
            options = fod.TrainingOptions(**given)
            setup = options.setup(self.samples.limit(FILES_LOOKED_AT).values("filepath"))
            n = max(2, trained_on)
            epochs = options.epochs_for(n)
            return str(TrainingCost(1, epochs, n, epochs * n, setup, seconds=None))

        with self.checking():
            self.notice("cost", f"Trains {self.recently(['cost', given, trained_on], count)}")

    def rest(self, chosen: Sequence[str]) -> None:
        """What is rarely changed."""
        self.conventions(chosen)
        self.switch("pretrained", "Start from weights pretrained on ImageNet")
        self.number("image_size", min=1, label="Image size (optional)", description=BY_ITSELF)
        self.number("batch_size", min=2, label="Images per step")
        self.number("learning_rate", label="Learning rate (optional)", description=BY_ITSELF)
        self.number("momentum", label="Momentum")
        self.number("weight_decay", label="Weight decay")
        self.text("device", label="PyTorch device (optional)")
        self.number("workers", min=1, label="Threads that read images (optional)")
        self.number("seed", label="Seed")
        self.switch("deterministic", "The same bit for bit on a GPU too, by slower algorithms")
