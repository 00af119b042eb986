"""The arguments of ``apply_drop``, parsed once into one object of canonical values.

Plan, record and forms share the object, and nothing else of a user's arguments travels further.
Knows no dataset: :mod:`fiftyone_drop.pruning` checks fields.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from fiftyone_drop import checks
from fiftyone_drop.errors import DropError
from fiftyone_drop.recall import Smoothing, check_smoothing
from fiftyone_drop.rules import Rule, check_rule, get_rule

RANDOM = "random"  # as select=
KEEP = ("hardest", "easiest")
SOURCES = ("eval_key", "recalls", "validation")  # of recalls; none of them trains query models


def _recalls(argument: str, value: object) -> Mapping[Hashable, float] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise DropError(argument, f"must be a mapping from class to recall, but got {value!r}")
    return {
        name: checks.number(argument, recall, "[0, 1]", f"for {name!r}")
        for name, recall in value.items()
    }


def _by(check: Callable[..., Any], **rules: Any) -> dict[str, Callable[[str, Any], Any]]:
    """Metadata of a field: ``check(name, value, **rules)`` makes its value from an argument."""
    return {"parse": functools.partial(check, **rules)}


def _as_it_is(argument: str, value: Any) -> Any:
    return value


@dataclass(frozen=True)
class DropOptions:
    """The arguments of :func:`fiftyone_drop.apply_drop` of the same names, as canonical values.

    ``label_field`` is None where the default is asked for. ``validation`` and ``model`` are the
    objects that were passed.
    """

    density: float = field(metadata=_by(checks.density))
    label_field: str | None = field(metadata=_by(checks.text, optional=True))
    eval_key: str | None = field(metadata=_by(checks.text, optional=True))
    recalls: Mapping[Hashable, float] | None = field(metadata=_by(_recalls))
    validation: Any = field(metadata=_by(_as_it_is))
    pred_field: str | None = field(metadata=_by(checks.text, optional=True))
    model: Any = field(metadata=_by(_as_it_is))
    folds: int = field(metadata=_by(checks.whole, least=2))
    holdout: float | None = field(metadata=_by(checks.number, interval="(0, 1)", optional=True))
    rule: str = field(metadata=_by(check_rule))
    select: str = field(
        metadata=_by(checks.text, remedy="pass 'random' or the name of a number field of scores")
    )
    keep: str = field(metadata=_by(checks.choice, choices=KEEP))
    group_by: str | None = field(metadata=_by(checks.text, optional=True))
    smoothing: Smoothing = field(metadata=_by(check_smoothing))
    min_per_class: int = field(metadata=_by(checks.whole, least=0))
    missing_recall: float | None = field(
        metadata=_by(checks.number, interval="[0, 1]", optional=True)
    )
    skip_unlabeled: bool = field(metadata=_by(checks.flag))
    allow_empty_classes: bool = field(metadata=_by(checks.flag))
    seed: int = field(metadata=_by(checks.seed))

    @classmethod
    def parse(cls, arguments: Mapping[str, Any]) -> DropOptions:
        """Parse the arguments of a call.

        Args:
            arguments: name -> value; names of other arguments are ignored

        Raises:
            DropError: if a value is unfit, or two do not go together
        """
        parsed = {
            option.name: option.metadata["parse"](option.name, arguments[option.name])
            for option in fields(cls)
        }
        options = cls(**parsed)
        options._check_source()
        return options

    @property
    def the_rule(self) -> Rule:
        """The rule of that name."""
        return get_rule(self.rule)

    @property
    def trains(self) -> bool:
        """Whether recalls can come from query models only."""
        return all(getattr(self, name) is None for name in SOURCES)

    @property
    def needs_recalls(self) -> bool:
        """Whether recalls are looked for: a rule without need of them trains nothing for them."""
        return "recalls" in self.the_rule.needs or not self.trains

    @property
    def floor(self) -> int:
        """``min_per_class``, or 0 for a rule without quotas."""
        return self.min_per_class if self.the_rule.sets_quotas else 0

    def uses(self) -> list[tuple[str, str]]:
        """Argument and name of each field, evaluation and run that the pruning reads."""
        names = ("label_field", "group_by", "select", "pred_field", "eval_key")
        used = [(name, getattr(self, name)) for name in names]
        models = self.model if isinstance(self.model, list | tuple) else [self.model]
        used += [("model", name) for name in models if isinstance(name, str)]
        rule = self.the_rule
        used += [("rule", name) for name in rule.of_kind("mean") + rule.of_kind("kept")]
        return [(argument, name) for argument, name in used if name not in (None, RANDOM)]

    def asked(self) -> dict[str, Any]:
        """Every argument as a plain value, for the record of a run."""
        asked = {option.name: getattr(self, option.name) for option in fields(self)}
        if self.recalls is not None:
            asked["recalls"] = f"given for {len(self.recalls):,} classes, see the class table"
        if self.validation is not None:
            asked["validation"] = _in_words(self.validation)
        if self.model is not None:
            asked["model"] = _in_words(self.model)
        return asked

    def _check_source(self) -> None:
        sources = [name for name in SOURCES if getattr(self, name) is not None]
        if len(sources) > 1:
            raise DropError(sources[0], f"pass one source of recalls, but {sources} were given")
        ways = [name for name in ("pred_field", "model") if getattr(self, name) is not None]
        if self.validation is None:
            for name in ways:
                raise DropError(name, "goes with validation=view only; pass that too")
        elif len(ways) != 1:
            raise DropError(
                "validation", "needs either pred_field=<field of predictions> or model=<a model>"
            )


def _in_words(value: Any, most: int = 500) -> str:
    """One line for the record: a name, a type, or the stages of a view."""
    if isinstance(value, list | tuple):
        words = ", ".join(_in_words(one) for one in value)
    elif isinstance(value, str):
        words = value
    elif hasattr(value, "_root_dataset"):
        stages = ", ".join(map(str, getattr(value, "_stages", ())))
        words = f"a view with the stages {stages}" if stages else "the whole dataset"
    else:
        words = f"a {type(value).__name__}"
    return words if len(words) <= most else f"{words[:most]}..."
