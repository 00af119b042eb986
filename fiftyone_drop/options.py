"""The arguments of ``apply_drop``, parsed once into one object of canonical values.

Plan, record and forms share the object, and nothing else of a user's arguments travels further.
Knows no dataset: :mod:`fiftyone_drop.target` checks fields. Every argument is parsed and checked
against the others here, so that the module is longer than others.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from fiftyone_drop import checks
from fiftyone_drop.amount import Amount
from fiftyone_drop.errors import DropError
from fiftyone_drop.limits import (
    Limits,
    PerClass,
    Share,
    check_per_class,
    check_protect,
    check_quotas,
    check_weights,
    floors_under,
    without_gone,
)
from fiftyone_drop.recall import Smoothing, check_smoothing
from fiftyone_drop.rules import Rule, check_rule, rule_for

RANDOM = "random"  # as select=
BY_ID = "id"  # as order_by=
NO_FIELDS = (RANDOM, BY_ID)
SUSPECTS = ("drop_below", "drop_above")
KEEP = ("hardest", "easiest")
SOURCES = ("eval_key", "recalls", "validation")  # of recalls; without any, a query model
VECTORS = ("embeddings", "brain_key")  # that the query model in closed form may be fitted on
CLOSED_FORM, TRAINED = QUERIES = ("closed-form", "trained")
FOLDS = 5  # of trained query models
IN_WORDS = (*SOURCES, "pred_field", "model")  # in the record of a run, which has no values of these
OF_CLASSES = ("min_per_class", "max_per_class", "quotas", "weights")  # mappings by class
BY_CLASS = (*OF_CLASSES, *SUSPECTS)  # mappings


def _recalls(argument: str, value: object) -> Mapping[Hashable, float] | None:
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise DropError(argument, f"must be a mapping from class to recall, but got {value!r}")
    return {name: _recall(argument, name, recall) for name, recall in value.items()}


def _recall(argument: str, name: Hashable, value: object) -> float:
    try:
        return checks.number(argument, value, "[0, 1]", f"for {name!r}")
    except DropError as error:
        remedy = "leave out classes whose recall is not known, and pass missing_recall=<float>"
        raise DropError(argument, f"{error.message}; {remedy}") from None


def _group_by(argument: str, value: object) -> str | tuple[str, ...] | None:
    """The name of one field as a text, of several as a tuple."""
    if value is None or checks.is_text(value):
        return checks.text(argument, value, optional=True)
    names = checks.texts(argument, checks.ordered(argument, value, "the order of a cell's values"))
    if not names or len(set(names)) < len(names):
        raise DropError(argument, f"must name one field or several, each once, but got {value!r}")
    return names if len(names) > 1 else names[0]


def _must_keep(argument: str, value: Any) -> Any:
    """A text as a ``str``, and a view as it is."""
    return checks.text(argument, value) if checks.is_text(value) else value


def _thresholds(argument: str, value: object) -> Mapping[str, float] | None:
    """A mapping from number field to number."""
    if value is None:
        return None
    if not isinstance(value, Mapping):
        raise DropError(
            argument, f"must be a mapping from score field to number, but got {value!r}"
        )
    return {checks.text(argument, n): checks.number(argument, v) for n, v in value.items()}


def _by(check: Callable[..., Any], **rules: Any) -> dict[str, Callable[[str, Any], Any]]:
    """Metadata of a field: ``check(name, value, **rules)`` makes its value from an argument."""
    return {"parse": functools.partial(check, **rules)}


def _query(argument: str, value: object) -> str | None:
    return None if value is None else checks.choice(argument, value, QUERIES)


def _as_it_is(argument: str, value: Any) -> Any:
    return value


@dataclass(frozen=True)
class DropOptions:
    """The arguments of :func:`fiftyone_drop.apply_drop` of the same names, as canonical values.

    ``label_field`` is None where the default is asked for. ``validation`` and ``model`` are the
    objects that were passed. ``query`` is None where recalls have another source.
    """

    density: float | None = field(metadata=_by(_as_it_is))
    size: int | None = field(metadata=_by(_as_it_is))
    max_bytes: int | None = field(metadata=_by(_as_it_is))
    label_field: str | None = field(metadata=_by(checks.text, optional=True))
    eval_key: str | None = field(metadata=_by(checks.text, optional=True))
    recalls: Mapping[Hashable, float] | None = field(metadata=_by(_recalls))
    validation: Any = field(metadata=_by(_as_it_is))
    pred_field: str | None = field(metadata=_by(checks.text, optional=True))
    model: Any = field(metadata=_by(_as_it_is))
    query: str | None = field(metadata=_by(_query))
    embeddings: str | None = field(metadata=_by(checks.text, optional=True))
    brain_key: str | None = field(metadata=_by(checks.text, optional=True))
    folds: int | None = field(metadata=_by(checks.whole, least=2, optional=True))
    holdout: float | None = field(metadata=_by(checks.number, interval="(0, 1)", optional=True))
    rule: str = field(metadata=_by(check_rule))
    select: str = field(
        metadata=_by(checks.text, remedy="pass 'random' or the name of a number field of scores")
    )
    keep: str = field(metadata=_by(checks.choice, choices=KEEP))
    order_by: str = field(metadata=_by(checks.text))
    group_by: str | tuple[str, ...] | None = field(metadata=_by(_group_by))
    smoothing: Smoothing = field(metadata=_by(check_smoothing))
    min_per_class: PerClass = field(metadata=_by(check_per_class))
    max_per_class: PerClass | None = field(metadata=_by(check_per_class, optional=True))
    must_keep: Any = field(metadata=_by(_must_keep))
    protect: tuple[Hashable, ...] = field(metadata=_by(check_protect))
    quotas: Mapping[Hashable, Share] | None = field(metadata=_by(check_quotas))
    weights: Mapping[Hashable, float] | None = field(metadata=_by(check_weights))
    drop_below: Mapping[str, float] | None = field(metadata=_by(_thresholds))
    drop_above: Mapping[str, float] | None = field(metadata=_by(_thresholds))
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
        amount = Amount.parse(
            options.density, options.size, options.max_bytes, optional=bool(options.quotas)
        )
        options = options.at(amount)
        options._check_source()
        rule_for(options.rule, options.weights)
        return options if options._sources() else options._with_query()

    def at(self, amount: Amount) -> DropOptions:
        """The same options with another amount to keep."""
        return replace(self, density=amount.density, size=amount.size, max_bytes=amount.max_bytes)

    @property
    def amount(self) -> Amount:
        """How much is kept."""
        return Amount(self.density, self.size, self.max_bytes)

    @property
    def the_rule(self) -> Rule:
        """The rule of that name, or that of the given weights."""
        return rule_for(self.rule, self.weights)

    @property
    def groups(self) -> tuple[str, ...]:
        """The fields of ``group_by``."""
        return group_names(self.group_by)

    @property
    def needs_recalls(self) -> bool:
        """Whether recalls are looked for: a rule without need of them has no query model made."""
        return "recalls" in self.the_rule.needs or self.query is None

    @property
    def reads_images(self) -> bool:
        """Whether a query model is made that sees the images themselves."""
        return self.needs_recalls and self.query is not None and not self._vectors()

    @property
    def limits(self) -> Limits:
        """The floors and caps."""
        floors, otherwise = floors_under(self.min_per_class, self.the_rule.sets_quotas)
        return Limits(floors, otherwise, self.max_per_class, self.protect, self.quotas)

    @property
    def named_classes(self) -> tuple[Hashable, ...]:
        """The classes, labels and cells that limits and weights name, each once."""
        names: list[Hashable] = list(self.protect)
        for argument in OF_CLASSES:
            value = getattr(self, argument)
            names += value if isinstance(value, Mapping) else ()
        return tuple(dict.fromkeys(names))

    def of_classes(self, classes: Sequence[Hashable], were: Sequence[Hashable]) -> DropOptions:
        """The same without limits and weights of classes that were there and have nothing left.

        Args:
            classes: the classes that there are
            were: classes, and names of classes, that there were
        """
        named = self.named_classes
        stay = set(without_gone(named, classes, were))
        if len(stay) == len(named):
            return self
        values: dict[str, Any] = {"protect": tuple(n for n in self.protect if n in stay)}
        for argument in OF_CLASSES:
            value = getattr(self, argument)
            if isinstance(value, Mapping):
                values[argument] = {name: n for name, n in value.items() if name in stay}
        return replace(self, **values)

    @property
    def suspects(self) -> str:
        """The thresholds of ``drop_below`` and ``drop_above``, in words."""
        below, above = self.drop_below or {}, self.drop_above or {}
        words = [f"{name} < {value:g}" for name, value in below.items()]
        return ", ".join(words + [f"{name} > {value:g}" for name, value in above.items()])

    def uses(self) -> list[tuple[str, str]]:
        """Argument and name of each field, evaluation and run that the pruning reads."""
        names = ["label_field", "select", "pred_field", "eval_key", "embeddings", "order_by"]
        used = [(name, getattr(self, name)) for name in (*names, "must_keep")]
        used += [("group_by", name) for name in self.groups]
        used += [(name, field) for name in SUSPECTS for field in getattr(self, name) or ()]
        models = self.model if isinstance(self.model, list | tuple) else [self.model]
        used += [("model", name) for name in models if isinstance(name, str)]
        rule = self.the_rule
        used += [("rule", name) for name in rule.of_kind("mean") + rule.of_kind("kept")]
        return [(a, name) for a, name in used if isinstance(name, str) and name not in NO_FIELDS]

    def asked(self) -> dict[str, Any]:
        """Every argument as a plain value, for the record of a run."""
        asked = {option.name: getattr(self, option.name) for option in fields(self)}
        if self.recalls is not None:
            asked["recalls"] = f"given for {len(self.recalls):,} classes, see the class table"
        if self.validation is not None:
            asked["validation"] = _in_words(self.validation)
        for name in ("model", "must_keep"):
            if asked[name] is not None:
                asked[name] = _in_words(asked[name])
        for name, value in asked.items():
            # Pairs: MongoDB takes no number and no cell for a key
            if isinstance(value, Mapping):
                asked[name] = [[_plain_name(key), number] for key, number in value.items()]
            elif isinstance(value, tuple):
                asked[name] = [_plain_name(one) for one in value] or None
        return asked

    def _check_source(self) -> None:
        sources = self._sources()
        if len(sources) > 1:
            raise DropError(sources[0], f"pass one source of recalls, but {sources} were given")
        if sources and self.query is not None:
            raise DropError(
                "query", f"makes a query model, but recalls are from {sources[0]}=; leave one out"
            )
        vectors = self._vectors()
        if sources and vectors:
            raise DropError(
                vectors[0],
                f"is what a query model is fitted on, but recalls are from {sources[0]}=; leave "
                "one out",
            )
        if len(vectors) > 1:
            raise DropError(vectors[0], f"pass one of {' and '.join(vectors)}, but both were given")
        ways = [name for name in ("pred_field", "model") if getattr(self, name) is not None]
        if self.validation is None:
            for name in ways:
                raise DropError(name, "goes with validation=view only; pass that too")
        elif len(ways) != 1:
            raise DropError(
                "validation", "needs either pred_field=<field of predictions> or model=<a model>"
            )

    def _sources(self) -> list[str]:
        return [name for name in SOURCES if getattr(self, name) is not None]

    def _vectors(self) -> list[str]:
        return [name for name in VECTORS if getattr(self, name) is not None]

    def _with_query(self) -> DropOptions:
        """The same with the query model that they ask for.

        Raises:
            DropError: if they ask for two
        """
        divided = [name for name in ("folds", "holdout") if getattr(self, name) is not None]
        if vectors := self._vectors():
            for name in (*divided, *(["query"] if self.query == TRAINED else [])):
                raise DropError(
                    name, f"trains on images, but {vectors[0]}= has embeddings; leave one out"
                )
        if not divided and self.query != TRAINED:
            return replace(self, query=CLOSED_FORM)
        if self.query == CLOSED_FORM:
            raise DropError(divided[0], f"goes with query='{TRAINED}' only; leave one of them out")
        return replace(self, query=TRAINED, folds=self.folds or FOLDS)


def group_names(group_by: str | Sequence[str] | None) -> tuple[str, ...]:
    """The fields of a ``group_by=``: none, one or several."""
    if group_by is None:
        return ()
    return (group_by,) if isinstance(group_by, str) else tuple(group_by)


def group_by_of(asked: Mapping[str, Any]) -> str | tuple[str, ...] | None:
    """The ``group_by`` in the record of a run.

    Raises:
        DropError: if it names no fields
    """
    return _group_by("group_by", asked["group_by"])


def as_passed(name: str, value: Any) -> Any:
    """The value of an argument in the record of a run, as :meth:`DropOptions.asked` put it there.

    Args:
        name: the argument
        value: its plain value: pairs for a mapping
    """
    if isinstance(value, list) and name in BY_CLASS:
        return {_hashable(one): number for one, number in value}
    if isinstance(value, list) and name == "protect":
        return [_hashable(one) for one in value]
    return value


def _hashable(name: Any) -> Any:
    """The name of a class or cell, as a key."""
    return tuple(name) if isinstance(name, list) else name


def _plain_name(name: Any) -> Any:
    return list(name) if isinstance(name, tuple) else name


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
