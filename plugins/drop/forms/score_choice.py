"""What forms over difficulty scores share. Imports PyTorch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone_drop.errors import listing
from fiftyone_drop.scores.fields import check_field_free
from fiftyone_drop.scoring import SCORES, Whole

from .target import TargetForm


class ScoresForm(TargetForm):
    """A form whose function computes scores of the target view."""

    def arguments(self) -> dict[str, Any]:
        """The arguments of the function, with the conventions of the scores."""
        conventions = {switch for score in SCORES.values() for switch in score.conventions}
        chosen = {name: value for name, value in self.given.items() if name in conventions}
        return super().arguments() | chosen

    def scores(self, offered: Sequence[str], description: str) -> list[str]:
        """The choice of scores; returns those chosen."""
        chosen = self.choose_many(
            "scores",
            {name: f"{name}: {SCORES[name].description}" for name in offered},
            label="Scores",
            description=description,
        )
        wrong = [name for name in chosen if name not in offered]
        if wrong:
            self.mark("scores", f"{listing(wrong)} cannot be had here")
        return [name for name in chosen if name in offered]

    def check_score_fields(self, fields: Mapping[str, str], overwrite: bool) -> None:
        """Check the fields that scores will be written to, from field to score.

        Raises:
            fiftyone_drop.DropError: if one holds something else
        """
        for field, name in fields.items():
            check_field_free(self.ctx.dataset, field, "score", name, overwrite)

    def conventions(self, chosen: Sequence[str]) -> None:
        """The switches of the chosen scores."""
        for name in chosen:
            for switch, allowed in SCORES[name].conventions.items():
                if switch in self.parameters or switch in self.inputs.properties:
                    continue  # `seed`, and what two scores have in common
                label = f"{switch.replace('_', ' ')} ({name})"
                if isinstance(allowed, Whole):
                    least, default = allowed.minimum, allowed.default
                    self.inputs.int(switch, default=default, min=least, label=label)
                else:
                    self.choose(switch, allowed, default=allowed[0], label=label)
