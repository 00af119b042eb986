"""Rules: how class weights follow from a class table.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.errors import DropError

PAPER = "Vysogorets, Ahuja, Kempe: DRoP: Distributionally Robust Data Pruning, ICLR 2025"


@dataclass(frozen=True)
class Rule:
    """How class weights follow from a class table.

    Attributes:
        name: the name that ``rule=`` takes
        needs: the columns of the class table that ``weights`` reads, among ``"sizes"`` (K,) int
            and ``"recalls"`` (K,) float in [0, 1]; only those are computed
        weights: a function of a mapping of these columns that returns the class weights, (K,)
            float >= 0; None means no quotas at all
        description: one line for tables and forms
        source: paper or file
    """

    name: str
    needs: tuple[str, ...]
    weights: Callable[[Mapping[str, FloatArray]], FloatArray] | None
    description: str
    source: str


RULES: dict[str, Rule] = {}
COLUMNS = ("sizes", "recalls")


def register_rule(rule: Rule) -> Rule:
    """Make ``rule`` known under its name.

    Raises:
        DropError: if the name is taken or a needed column does not exist
    """
    if rule.name in RULES:
        raise DropError(f"rule: '{rule.name}' is registered already; choose another name")
    unknown = sorted(set(rule.needs) - set(COLUMNS))
    if unknown:
        raise DropError(
            f"rule: '{rule.name}' needs {unknown}, but a class table has only {list(COLUMNS)}"
        )
    RULES[rule.name] = rule
    return rule


register_rule(
    Rule(
        "drop",
        ("sizes", "recalls"),
        lambda table: table["sizes"] * (1 - table["recalls"]),
        "class density in proportion to the class error",
        f"{PAPER}, Algorithm 1",
    )
)
register_rule(
    Rule(
        "drop-unweighted",
        ("recalls",),
        lambda table: 1 - table["recalls"],
        "class quota in proportion to the class error, whatever the class size",
        "the authors' code, avysogorets/fair-data-pruning, quoters/drop.py",
    )
)
register_rule(
    Rule(
        "proportional",
        ("sizes",),
        lambda table: table["sizes"],
        "the same density in each class: stratified random pruning",
        "stratified sampling with proportional allocation",
    )
)
register_rule(
    Rule(
        "balanced",
        ("sizes",),
        lambda table: np.ones_like(table["sizes"]),
        "equal class quotas, as far as the classes last",
        "stratified sampling with equal allocation",
    )
)
register_rule(
    Rule(
        "none",
        (),
        None,
        "no quotas and no floor: all samples ordered by score, or at random",
        f"the baselines of {PAPER}",
    )
)


def get_rule(name: object) -> Rule:
    """Look up a rule.

    Raises:
        DropError: if there is no rule of that name
    """
    if not isinstance(name, str) or name not in RULES:
        raise DropError(f"rule: no rule {name!r}; choose one of {sorted(RULES)}")
    return RULES[name]


def class_weights(rule: Rule, sizes: IntArray, recalls: FloatArray | None) -> FloatArray | None:
    """The class weights of a rule, (K,) float >= 0; None for a rule without quotas.

    Raises:
        DropError: if the rule needs recalls and there are none, or its weights are no weights
    """
    if rule.weights is None:
        return None
    if "recalls" in rule.needs and recalls is None:
        raise DropError(f"recalls: rule '{rule.name}' needs the recall of every class; got None")
    columns = {"sizes": sizes.astype(np.float64), "recalls": recalls}
    table = {name: column for name, column in columns.items() if column is not None}
    weights = np.asarray(rule.weights(table), dtype=np.float64)
    if weights.shape != sizes.shape or not np.all(np.isfinite(weights) & (weights >= 0)):
        raise DropError(
            f"rule: '{rule.name}' must give one finite weight >= 0 for each of the {len(sizes)} "
            f"classes, but gave {weights}"
        )
    return weights
