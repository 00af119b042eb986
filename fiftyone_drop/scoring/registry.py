"""The registry of difficulty scores: one entry per score, and everything loops over it.

The docs table, the forms of the App and the tests are generated from `SCORES`, so that a score
cannot be added without a reference in the tests and a line in the docs. What a score's function
takes follows from what it needs:

| needs | function | returns |
|---|---|---|
| `"logits"` | `f(logits, labels, **switches)` | (B,) tensor, per batch |
| `"features"` | `f(logits, labels, features, **switches)` | (B,) tensor, per batch |
| `"model"` | `f(module, inputs, labels, **switches)` | (B,) tensor, per batch |
| `"embeddings"` | `f(embeddings, labels, **switches)` | (N,) array, all samples at once |
| `"nothing"` | `f(keys, **switches)` | (N,) array, one per key |
| `"dynamics"` | `f(n, **switches)` -> an `Accumulator` | see `accumulators.py` |

`features` are the penultimate activations, the inputs of the last linear layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Literal, TypeVar, get_args

from fiftyone_drop.errors import DropError

End = Literal["high", "low"]
Needs = Literal["logits", "features", "model", "dynamics", "embeddings", "nothing"]


@dataclass(frozen=True)
class Whole:
    """The allowed values of a switch that is a whole number."""

    default: int
    minimum: int

    def __str__(self) -> str:
        return f"a whole number >= {self.minimum} (default {self.default})"


Allowed = tuple[str, ...] | Whole
"""What a switch may be: one of some words, the first being the default, or a whole number."""


@dataclass(frozen=True)
class Score:
    """One difficulty score: what it is called, which end is hard, and how to compute it.

    Attributes:
        name: the registry key and default field name; a Python identifier.
        hard: which end is hard; None where difficulty is not what the score is about.
        kept_first: which end is kept first when the hardest (or most important) are kept. Equals
            `hard` where there is one; for `k_center`, "low" keeps in the order of picking.
        needs: what the function takes, see the table at the top of this module.
        description: one line.
        source: authors, venue and an arXiv id or a repository file.
        conventions: switch name -> allowed values; published implementations disagree on these.
        function: computes the score.
        uses_labels: whether it depends on labels; where not, a model may have other classes.
    """

    name: str
    hard: End | None
    kept_first: End
    needs: Needs
    description: str
    source: str
    conventions: Mapping[str, Allowed] = field(repr=False)
    function: Callable[..., Any] = field(repr=False)
    uses_labels: bool = True

    @property
    def defaults(self) -> dict[str, str | int]:
        """The default of every switch."""
        return {
            switch: allowed.default if isinstance(allowed, Whole) else allowed[0]
            for switch, allowed in self.conventions.items()
        }

    def switches(self, given: Mapping[str, object]) -> dict[str, Any]:
        """Complete some switches with the defaults of the others.

        Args:
            given: switch name -> value.

        Returns:
            every switch of this score with a value, to be passed to `function` by name.

        Raises:
            DropError: a switch is unknown or its value is not allowed.
        """
        for switch, value in given.items():
            if switch not in self.conventions:
                raise DropError(
                    f"Score {self.name!r} has no switch {switch!r}; "
                    f"it has {sorted(self.conventions) or 'none'}"
                )
            self._check(switch, value)
        return {**self.defaults, **given}

    def _check(self, switch: str, value: object) -> None:
        allowed = self.conventions[switch]
        if isinstance(allowed, Whole):
            # bool is an int to Python, and True is no window length.
            fine = type(value) is int and value >= allowed.minimum
        else:
            fine = value in allowed
        if not fine:
            rule = allowed if isinstance(allowed, Whole) else f"one of {list(allowed)}"
            raise DropError(
                f"Switch {switch!r} of score {self.name!r} must be {rule}, but is {value!r}"
            )


SCORES: dict[str, Score] = {}
"""Every known score by name, in the order of registration."""

F = TypeVar("F", bound=Callable[..., Any])


def register_score(
    name: str,
    *,
    hard: End | None,
    needs: Needs,
    description: str,
    source: str,
    kept_first: End | None = None,
    conventions: Mapping[str, Allowed] | None = None,
    uses_labels: bool = True,
) -> Callable[[F], F]:
    """Register a function as a score, under a name of its own.

    ::

        @register_score("confusion", hard="high", needs="logits",
                        description="Second-highest logit.", source="me")
        def confusion(logits, labels):
            return logits.topk(2).values[:, 1]

    Args:
        name: a Python identifier, not taken yet. It becomes a field name.
        hard: which end is hard, or None where there is none (then say `kept_first`).
        needs: what the function takes, see the table at the top of this module.
        description: one line.
        source: where it comes from.
        kept_first: which end is kept first; defaults to `hard`.
        conventions: switch name -> allowed values (a tuple of words, or `Whole`).
        uses_labels: whether it depends on the labels that the function is given.

    Returns:
        a decorator that registers the function and returns it unchanged.

    Raises:
        DropError: the name is taken or no identifier, or a word is not an allowed one.
    """
    _check_registration(name, hard, needs, kept_first)
    first = kept_first or hard
    assert first is not None  # _check_registration refuses that
    table = MappingProxyType(dict(conventions or {}))

    def register(function: F) -> F:
        SCORES[name] = Score(
            name, hard, first, needs, description, source, table, function, uses_labels
        )
        return function

    return register


def _check_registration(name: str, hard: object, needs: object, kept_first: object) -> None:
    if not name.isidentifier() or name.startswith("_"):
        raise DropError(
            f"A score's name becomes a field name and must be a Python identifier without a "
            f"leading underscore, but is {name!r}"
        )
    if name in SCORES:
        raise DropError(f"Score {name!r} is registered already; choose another name")
    if needs not in get_args(Needs):
        raise DropError(
            f"Argument `needs` of score {name!r} must be one of {list(get_args(Needs))}, "
            f"but is {needs!r}"
        )
    for argument, end in (("hard", hard), ("kept_first", kept_first)):
        if end is not None and end not in get_args(End):
            raise DropError(
                f"Argument `{argument}` of score {name!r} must be 'high', 'low' or None, "
                f"but is {end!r}"
            )
    if hard is None and kept_first is None:
        raise DropError(f"Score {name!r} has no hard end: say which end is `kept_first`")


def get_score(name: str) -> Score:
    """Look a score up.

    Args:
        name: its name.

    Raises:
        DropError: there is no such score; the message lists the names there are.
    """
    if name not in SCORES:
        raise DropError(f"Unknown score {name!r}; the scores are {sorted(SCORES)}")
    return SCORES[name]
