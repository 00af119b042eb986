"""The registry of difficulty scores: one entry per score, and everything loops over it.

The docs table, the forms of the App and the tests are generated from :data:`SCORES`, so that a
score cannot be added without a reference in the tests and a line in the docs. The docstring of
:func:`register_score` says what the function of a score takes and returns.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, get_args

from fiftyone_drop import checks
from fiftyone_drop.engine.functions import code_of
from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring.switches import (
    Allowed,
    Whole,
    check_known,
    parse_conventions,
    parse_switch,
)

End = Literal["high", "low"]
Needs = Literal["logits", "features", "model", "dynamics", "embeddings", "nothing"]
Result = TypeVar("Result")

PACKAGE = f"{__name__.partition('.')[0]}."


@dataclass(frozen=True)
class Score:
    """One difficulty score: its name, which end is hard, and how to compute it.

    Attributes:
        name: the registry key and default field name, a Python identifier
        hard: which end is hard; None where the score is not about difficulty
        kept_first: which end is kept first when the hardest (or most important) are kept. It equals
            ``hard`` where there is one; for ``k_center``, "low" keeps in the order of picking
        needs: what the function takes, see :func:`register_score`
        description: one line
        source: authors, venue and an arXiv id or a repository file
        conventions: switch name -> allowed values; published implementations disagree on these
        function: computes the score
        uses_labels: whether it depends on labels; where not, a model may have other classes
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

    def switches(self, values: Mapping[str, object]) -> dict[str, str | int]:
        """Complete some switches with the defaults of the others.

        Args:
            values: switch name -> value

        Returns:
            a plain value for every switch of this score, to be passed to ``function`` by name

        Raises:
            DropError: if a switch is unknown or its value is not allowed
        """
        check_known(values, self.conventions, [self.name])
        return self.defaults | {
            switch: parse_switch(switch, value, self.conventions[switch])
            for switch, value in values.items()
        }

    @property
    def code(self) -> list[object]:
        """What a user's own score computes by, for fingerprints; nothing for one of this package.

        Whoever corrects it has another score of the same name.
        """
        module, _ = checks.place_of(self.function)
        return [] if f"{module}.".startswith(PACKAGE) else [code_of(self.function)]

    def checked(self, result: Result, n: int) -> Result:
        """The result of ``function``, if it holds one number for each of n samples.

        Raises:
            DropError: if it holds anything else; a score of the user's own may
        """
        shape = getattr(result, "shape", None)
        if shape is None or tuple(shape) != (n,):
            returned = type(result).__name__ if shape is None else f"the shape {tuple(shape)}"
            raise DropError(
                "scores",
                f"'{self.name}' must return a tensor or an array of the shape ({n},), one number "
                f"per sample, but returned {returned}",
            )
        return result


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
    conventions: Mapping[str, Collection[str] | Whole] | None = None,
    uses_labels: bool = True,
) -> Callable[[F], F]:
    """Register a function as a difficulty score, under a name of its own.

    The name then works wherever a score's name does: in ``compute_scores``, ``DynamicsRecorder``,
    ``import_scores``, and as a field in ``apply_drop(select=...)``.

    Example::

        import torch
        import fiftyone_drop as fod

        @fod.register_score(
            "confusion",
            hard="high",
            needs="logits",
            description="Probability of the class that competes with the label.",
            source="this notebook",
            conventions={"rival": ("strongest", "all")},
        )
        def confusion(logits, labels, *, rival="strongest"):
            p = torch.softmax(logits, 1)
            others = p.scatter(1, labels[:, None], 0)
            return others.amax(1) if rival == "strongest" else others.sum(1)

    and then ``fod.compute_scores(dataset, scores=["confusion"], model=model, rival="all")``. The
    function gets tensors or arrays according to ``needs``, and its switches by name:

    ================ =============================== ===================================
    ``needs``        call                            result
    ================ =============================== ===================================
    ``"logits"``     ``f(logits, labels)``           (B,) tensor, for each batch
    ``"features"``   ``f(logits, labels, features)`` (B,) tensor, for each batch
    ``"model"``      ``f(module, inputs, labels)``   (B,) tensor, for each batch
    ``"embeddings"`` ``f(embeddings, labels)``       (N,) array, for all samples at once
    ``"nothing"``    ``f(keys)``                     (N,) array, for all samples at once
    ``"dynamics"``   ``f(n)``                        an accumulator for n samples
    ================ =============================== ===================================

    - ``logits``: (B, K) float tensor, of any precision and on any device
    - ``labels``: (B,) or (N,) int64, positions in the K classes; a tensor beside the logits, an
      array beside embeddings
    - ``features``: (B, D) float tensor, the inputs of the model's last linear layer
    - ``module``: the ``torch.nn.Module`` in evaluation mode; ``inputs``: (B, ...) tensor on its
      device, with gradients enabled. ``module(inputs)`` gives the logits
    - ``embeddings``: (N, D) float32, the features of all samples: an array, often a memory map, or
      a tensor where they fit on the GPU
    - ``keys``: N texts, the sample ids
    - an accumulator sees the logits of a training loop pass by: subclass
      ``fiftyone_drop.scoring.Accumulator``, and decorate the class

    Registering a function of the same module and qualified name again replaces it, so that the cell
    of a notebook runs twice. Every other second registration of a name is refused.

    Args:
        name: letters, digits and _; it becomes the name of a field
        hard: which end is hard, ``"high"`` or ``"low"``; None where the score is not about
            difficulty, then ``kept_first`` is needed
        needs: what the function takes, see the table
        description: one line
        source: a paper, a file, or who made it up
        kept_first (None): which end ``keep="hardest"`` keeps first; by default ``hard``
        conventions (None): switch name -> its allowed values, a sequence of words or a
            :class:`fiftyone_drop.Whole`. The first word is the default. ``compute_scores`` and
            ``DynamicsRecorder`` take the switch by its name
        uses_labels (True): whether the score depends on the labels. Where it does not, the model
            may have other classes than the samples

    Returns:
        a decorator that registers the function (or accumulator class) and returns it unchanged

    Raises:
        DropError: if the name is taken or unfit, or another argument is invalid
    """
    name = checks.name("name", name)
    ends = get_args(End)
    end = None if hard is None else checks.choice("hard", hard, ends)
    if end is None and kept_first is None:
        raise DropError("kept_first", f"must be one of {list(ends)} where hard=None, but got None")
    first = end if kept_first is None else checks.choice("kept_first", kept_first, ends)
    facts: dict[str, Any] = {
        "name": name,
        "hard": end,
        "kept_first": first,
        "needs": checks.choice("needs", needs, get_args(Needs)),
        "description": checks.text("description", description),
        "source": checks.text("source", source),
        "conventions": parse_conventions(conventions or {}),
        "uses_labels": checks.flag("uses_labels", uses_labels),
    }

    def register(function: F) -> F:
        checks.function("function", function)
        if name in SCORES:
            checks.same_definition("name", name, SCORES[name].function, function)
        SCORES[name] = Score(function=function, **facts)
        return function

    return register


def get_score(name: object) -> Score:
    """Look a score up.

    Raises:
        DropError: if there is no score of that name; the message lists those that there are
    """
    known = checks.text("scores", name)
    if known not in SCORES:
        raise DropError("scores", f"no score '{known}'; the scores are {sorted(SCORES)}")
    return SCORES[known]


def deal_switches(
    scores: Collection[str],
    values: Mapping[str, object],
    shared: Mapping[str, object] | None = None,
) -> dict[str, dict[str, str | int]]:
    """Give every score the switches that it knows, and the defaults of its others.

    Args:
        scores: names of scores
        values: switch name -> value; a switch that several scores know goes to all of them
        shared (None): more switches, which no score has to know

    Returns:
        score -> a plain value for each of its switches

    Raises:
        DropError: if a score is unknown, no score knows a switch, or its value is not allowed
    """
    table = [get_score(name) for name in scores]
    shared = shared or {}
    known = {switch for score in table for switch in score.conventions} - shared.keys()
    check_known(values, known, [score.name for score in table])
    available = {**values, **shared}
    return {
        score.name: score.switches({k: v for k, v in available.items() if k in score.conventions})
        for score in table
    }
