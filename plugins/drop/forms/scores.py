"""The form of ``compute_scores``. Imports PyTorch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone.zoo as foz

import fiftyone_drop as fod
from fiftyone_drop.models.stored_logits import stored_logits
from fiftyone_drop.population import class_label_fields
from fiftyone_drop.scoring import SCORES

from .score_choice import ScoresForm

# What each choice of `model_from` asks for
SOURCES = {
    "training": "folds",
    "logits": "logits_field",
    "zoo": "zoo_model",
    "file": "model_file",
}
NEEDED = {
    "logits_field": "choose a field with stored logits",
    "zoo_model": "choose a model",
    "model_file": "name a file that 'DRoP: train a query model' has saved",
}
# What scores need that predictions alone do not give
NEED_IMAGES = ("features", "model", "embeddings")
ZOO_TAGS = ["classification", "logits", "torch"]


class ComputeScoresForm(ScoresForm):
    """The form of the operator ``compute_scores``."""

    function = "compute_scores"

    def arguments(self) -> dict[str, Any]:
        """The arguments of ``compute_scores``."""
        arguments = super().arguments()
        source = self.given.get("model_from")
        needed = SOURCES.get(source)
        if needed in NEEDED and needed not in self.given:
            raise fod.DropError(f"{needed}: {NEEDED[needed]}")
        if source == "file":
            arguments["model"] = fod.QueryModel.load(self.given["model_file"])
        elif source in ("logits", "zoo"):
            arguments["model"] = self.given[needed]
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
        chosen = self.scores(*self.offered(source))
        prefix = self.text("prefix", label="Prefix of the fields (optional)")
        fields = {prefix + name: name for name in chosen}
        if fields:
            self.notice("writes", f"Writes {', '.join(fields)}")
        else:
            self.mark("scores", "choose at least one")
        self.may_replace(
            "Replace fields that hold something else",
            lambda overwrite: self.check_score_fields(fields, overwrite),
        )
        if self.more():
            self.rest(chosen)

    def model(self, source: str) -> None:
        """What the choice of a model needs."""
        needed = SOURCES.get(source)
        if needed == "folds":
            self.number("folds", min=2, label="Folds", description="Query models to train")
        elif needed == "logits_field":
            fields = [name for name in class_label_fields(self.samples) if name != self.labels]
            field = self.choose_needed(needed, fields, NEEDED[needed], label="Predictions")
            if field is not None:
                self.check_logits(field)
        elif needed == "zoo_model":
            models = foz.list_zoo_models(tags=ZOO_TAGS)
            self.choose_needed(needed, models, NEEDED[needed], label="Model")
        elif needed == "model_file":
            path = self.text(needed, label="File", description="On the machine that runs FiftyOne")
            if path is None:
                self.mark(needed, NEEDED[needed])
            elif not Path(path).is_file():
                self.mark(needed, f"there is no file {path}")

    def check_logits(self, field: str) -> None:
        """Mark a field that holds no logits."""
        with self.checking("logits_field"):
            stored_logits(field, self.samples, None)
            with_logits = self.samples.exists(f"{field}.logits").limit(1)
            if not self.recently(["logits", field], lambda: len(with_logits)):
                self.mark(
                    "logits_field",
                    f"no logits in '{field}'; store them with samples.apply_model(model, "
                    f"'{field}', store_logits=True)",
                )

    def offered(self, source: str) -> tuple[list[str], str]:
        """The scores that the model gives, and why others are not among them."""
        needs = {name: score.needs for name, score in SCORES.items()}
        dynamics = [name for name in SCORES if needs[name] == "dynamics"]
        why = f"Not here: {', '.join(dynamics)} ('DRoP: train a query model' records them)"
        needy: list[str] = []
        if source in ("training", "logits"):
            needy = [name for name in SCORES if needs[name] in NEED_IMAGES]
            why += f"; {', '.join(needy)} (need one model that reads all images)"
        return [name for name in SCORES if name not in dynamics + needy], why

    def rest(self, chosen: list[str]) -> None:
        """What is rarely changed: conventions of the scores, and how images are read."""
        self.conventions(chosen)
        ends = {"skip": "leave their scores empty", "raise": "stop"}
        self.choose("on_error", ends, label="Images that cannot be read")
        self.number("batch_size", min=1, label="Images at once (optional)")
        self.number("workers", min=1, label="Threads that read images (optional)")
        self.text("device", label="PyTorch device (optional)")
        self.number("seed", label="Seed")
