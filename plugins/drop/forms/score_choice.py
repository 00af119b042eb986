"""The base of forms over difficulty scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fiftyone_drop import precheck

from .. import door
from .target import TargetForm


class ScoresForm(TargetForm):
    """A form whose function computes scores of the target view."""

    def parse(self, name: str, value: object) -> Any:
        """A value that is filled in; the conventions of scores are fields too.

        Raises:
            fiftyone_drop.DropError: if the form has no such field, or one of another kind
        """
        if name not in self.kinds and name in _conventions():
            return door.scalar(name, value)
        return super().parse(name, value)

    def arguments(self) -> dict[str, Any]:
        """The arguments of the function, with the conventions of the scores."""
        names = _conventions()
        filled = {name: value for name, value in self.entries.items() if name in names}
        return super().arguments() | filled

    def scores(self, offered: Mapping[str, Any], description: str) -> dict[str, Any]:
        """The choice of scores, by name; returns those that are chosen and offered."""
        names = self.choose_many(
            "scores",
            {name: f"{name}: {score.description}" for name, score in offered.items()},
            label="Scores",
            description=description,
        )
        others = [repr(name) for name in names if name not in offered]
        if others:
            self.mark("scores", f"{', '.join(others)} cannot be computed here")
        return {name: offered[name] for name in names if name in offered}

    def check_fields(self, fields: Mapping[str, str], overwrite: bool) -> None:
        """Check that the scores may be written, from field to score.

        Raises:
            fiftyone_drop.DropError: if a field holds something else
        """
        precheck.check_score_fields(self.ctx.dataset, fields, overwrite)

    def conventions(self, scores: Mapping[str, Any]) -> None:
        """The switches of scores: words, the first being the default, or a whole number."""
        for name, score in scores.items():
            for switch, allowed in score.conventions.items():
                if switch in self.parameters or switch in self.inputs.properties:
                    continue  # `seed`, and the switches that two scores have in common
                label = f"{switch.replace('_', ' ')} ({name})"
                if isinstance(allowed, Sequence):
                    self.choose(switch, allowed, default=allowed[0], label=label)
                else:
                    least, default = allowed.minimum, allowed.default
                    self.inputs.int(switch, default=default, min=least, label=label)


def _conventions() -> set[str]:
    """The names of the switches that scores have."""
    scores = precheck.scores_of("training") | precheck.scores_of("images")
    return {switch for score in scores.values() for switch in score.conventions}
