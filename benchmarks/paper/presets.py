"""How much is trained: the paper's protocol, and two that need less of a machine."""

from __future__ import annotations

from dataclasses import dataclass, replace

from data import VARIANTS, Variant
from training import Recipe

from fiftyone_drop.engine.fingerprints import fingerprint


@dataclass(frozen=True)
class Preset:
    """A protocol.

    Attributes:
        name: what ``--preset`` takes
        recipe: how models are trained, final and query models alike
        query_models: how many short trainings scores and recalls are averaged over
        per_class: training images of each class before anything else; None is all
    """

    name: str
    recipe: Recipe
    query_models: int
    per_class: int | None = None

    @property
    def query_epochs(self) -> int:
        """A tenth of the epochs."""
        return max(1, round(self.recipe.epochs / 10))

    @property
    def version(self) -> str:
        """Results of different versions of a preset are never mixed."""
        return fingerprint(repr(self))[:8]

    def changed(self, epochs: int | None, per_class: int | None) -> Preset:
        """The same with other epochs or fewer images, under another name."""
        if epochs is None and per_class is None:
            return self
        recipe = self.recipe if epochs is None else replace(self.recipe, epochs=epochs)
        return replace(
            self,
            name=f"{self.name}-{epochs or 'same'}-epochs-{per_class or 'same'}-per-class",
            recipe=recipe,
            per_class=per_class or self.per_class,
        )

    def variant(self, dataset: str) -> Variant:
        """What is done to the training images."""
        return replace(VARIANTS[dataset], per_class=self.per_class)


PRESETS = {
    preset.name: preset
    for preset in (
        Preset(
            "paper",
            Recipe(
                network="vgg16",
                epochs=160,
                batch_size=128,
                learning_rate=0.1,
                weight_decay=1e-4,
                nesterov=False,
                schedule="drops",
                half=False,
            ),
            query_models=5,
        ),
        Preset(
            "fast",
            Recipe(
                network="resnet9",
                epochs=20,
                batch_size=512,
                learning_rate=0.4,
                weight_decay=5e-4,
                nesterov=True,
                schedule="triangle",
                half=True,
            ),
            query_models=5,
        ),
        Preset(
            "cpu",
            Recipe(
                network="patch-cnn",
                epochs=10,
                batch_size=64,
                learning_rate=0.1,
                weight_decay=5e-4,
                nesterov=True,
                schedule="triangle",
                half=False,  # without instructions for bfloat16 it is ten times slower
            ),
            query_models=5,
            per_class=2000,
        ),
    )
}
