"""Rules: how class weights follow from columns of the class table.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import FloatArray
from fiftyone_drop.errors import DropError

PAPER = "Vysogorets, Ahuja, Kempe: DRoP: Distributionally Robust Data Pruning, ICLR 2025"

COLUMNS = {
    "sizes": "samples of the class in the target view, > 0",
    "recalls": "recall of the class on held-out samples, in [0, 1]",
    "mean:<field>": "mean of a number field over the samples of the class",
    "kept:<run key>": "samples of the class that another drop run keeps, >= 0",
}

Columns = Mapping[str, FloatArray]
Weights = Callable[[Columns], FloatArray]
W = TypeVar("W", bound=Weights)


@dataclass(frozen=True)
class Rule:
    """How class weights follow from columns of the class table.

    Attributes:
        name: the name that ``rule=`` takes
        needs: the columns that ``weights`` reads, among ``COLUMNS``; only those are computed
        weights: a function of a mapping from column to (K,) float that returns the class weights,
            (K,) float >= 0; None for a rule without quotas
        description: one line for tables and forms
        source: paper or file
    """

    name: str
    needs: tuple[str, ...]
    weights: Weights | None
    description: str
    source: str

    @property
    def sets_quotas(self) -> bool:
        """Whether the rule gives each class a quota."""
        return self.weights is not None

    def of_kind(self, kind: str) -> list[str]:
        """The fields of its ``"mean"`` columns, or the run keys of its ``"kept"`` columns."""
        parts = (column.partition(":") for column in self.needs)
        return [what for prefix, colon, what in parts if colon and prefix == kind]


RULES: dict[str, Rule] = {
    "none": Rule(
        "none",
        (),
        None,
        "no quotas and no floor: all samples ordered by score, or at random",
        f"the baselines of {PAPER}",
    )
}
"""Every rule by name."""


DEFAULT_RULE = "drop"
BY_HAND = Rule("weights", (), lambda _: np.empty(0), "class weights given by hand", "weights=")
"""In the place of a rule where ``weights=`` are given."""


def register_rule(
    name: str, *, needs: Sequence[str] = ("sizes",), description: str, source: str
) -> Callable[[W], W]:
    """Register a function as a rule that ``rule=`` takes by its name.

    ::

        import fiftyone_drop as fod


        @fod.register_rule(
            "error-by-loss",
            needs=("sizes", "recalls", "mean:loss"),
            description="class error, weighted by the mean loss of the class",
            source="me",
        )
        def error_by_loss(columns):
            return columns["sizes"] * (1 - columns["recalls"]) * columns["mean:loss"]


        dataset.apply_drop(density=0.5, rule="error-by-loss")

    The function receives a mapping from each column in ``needs`` to a (K,) float64 array over the
    K classes in sorted order. It returns the class weights, (K,) float, finite and >= 0; only their
    ratios matter. A class of weight ``w`` gets a quota in proportion to ``w``, as far as the class
    lasts.

    Registering the same function again, as running a notebook's cell twice does, replaces it.

    Args:
        name: a text that no other rule has
        needs (("sizes",)): the columns that the function reads, and only those are computed:

            -   ``"sizes"``: samples of the class in the target view
            -   ``"recalls"``: recall of the class, in [0, 1]; ``apply_drop`` measures it
            -   ``"mean:<field>"``: mean of a number field over the samples of the class
            -   ``"kept:<run key>"``: samples of the class that another drop run keeps
        description: one line for tables and forms
        source: where the rule comes from, such as a paper

    Returns:
        a decorator that registers the function and returns it unchanged

    Raises:
        DropError: if another rule has the name, or ``needs`` names no column
    """
    name = checks.text("name", name)
    columns = checks.texts("needs", needs)
    description, source = checks.text("description", description), checks.text("source", source)
    for column in columns:
        kind, colon, what = column.partition(":")
        if column not in COLUMNS and not (colon and what and kind in ("mean", "kept")):
            raise DropError("needs", f"no column {column!r}; there are {list(COLUMNS)}")

    def register(function: W) -> W:
        checks.function("function", function)
        if name in RULES:
            checks.same_definition("name", name, RULES[name].weights, function)
        RULES[name] = Rule(name, columns, function, description, source)
        return function

    return register


@register_rule(
    "drop",
    needs=("sizes", "recalls"),
    description="class density in proportion to the class error",
    source=f"{PAPER}, Algorithm 1",
)
def _drop(columns: Columns) -> FloatArray:
    return columns["sizes"] * (1 - columns["recalls"])


@register_rule(
    "drop-unweighted",
    needs=("recalls",),
    description="class quota in proportion to the class error, at any class size",
    source="the authors' code, avysogorets/fair-data-pruning, quoters/drop.py",
)
def _drop_unweighted(columns: Columns) -> FloatArray:
    return 1 - columns["recalls"]


@register_rule(
    "proportional",
    description="the same density in each class: stratified random pruning",
    source="stratified sampling with proportional allocation",
)
def _proportional(columns: Columns) -> FloatArray:
    return columns["sizes"]


@register_rule(
    "balanced",
    description="equal class quotas, as far as the classes last",
    source="stratified sampling with equal allocation",
)
def _balanced(columns: Columns) -> FloatArray:
    return np.ones_like(columns["sizes"])


def check_rule(argument: str, name: object) -> str:
    """Return the name of a rule.

    Raises:
        DropError: if there is no rule of that name
    """
    return checks.choice(argument, name, sorted(RULES))


def get_rule(name: object) -> Rule:
    """Look up a rule.

    Raises:
        DropError: if there is no rule of that name
    """
    return RULES[check_rule("rule", name)]


def rule_for(name: object, weights: Mapping[Any, float] | None) -> Rule:
    """The rule of a name, or what stands in its place where ``weights=`` are given.

    Raises:
        DropError: if there is no rule of that name, or another than the default beside weights
    """
    rule = get_rule(name)
    if weights is None:
        return rule
    if rule.name != DEFAULT_RULE:
        raise DropError(
            "weights", f"set the class weights themselves: leave rule={rule.name!r} out"
        )
    return BY_HAND


def class_weights(rule: Rule, columns: Columns) -> FloatArray | None:
    """The class weights of a rule.

    Args:
        rule: the rule
        columns: column -> (K,) float; ``"sizes"`` and what the rule needs

    Returns:
        (K,) float >= 0; None for a rule without quotas

    Raises:
        DropError: if a column that the rule needs is absent, or its weights are no weights
    """
    if rule.weights is None:
        return None
    for name in rule.needs:
        if name not in columns:
            argument = name if name == "recalls" else "columns"
            raise DropError(argument, f"rule '{rule.name}' needs '{name}' of every class; got None")
    table = {name: np.asarray(columns[name], dtype=np.float64) for name in rule.needs}
    answer = rule.weights(table)
    k = len(columns["sizes"])
    try:
        weights = np.asarray(answer)
        if weights.shape == (k,) and weights.dtype.kind in "biuf":
            weights = weights.astype(np.float64)
            if np.all(np.isfinite(weights) & (weights >= 0)):
                return weights
    except ValueError:  # NumPy's about nested sequences of several lengths
        pass
    raise DropError(
        "rule",
        f"'{rule.name}' must give one finite weight >= 0 for each of the {k} classes, but gave "
        f"{answer!r}",
    )
