"""What a user says about classes, and the floors and caps that follow for the classes there are.

``min_per_class`` and ``must_keep`` are floors, ``max_per_class`` is a cap, and ``protect`` and
``quotas`` are both at once. Between floor and cap, the weights of the rule decide.

A number for all classes yields to what names a class: ``max_per_class=100, protect=("cat",)`` keeps
all cats, and at most 100 of every other class. Two that name one class must agree.

Each argument is parsed, and checked against the others, so the module is longer than others.

NumPy only.
"""

from __future__ import annotations

import functools
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import checks
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.density import kept_size
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.rules import Columns, Rule, class_weights

PerClass = int | Mapping[Hashable, int]
Share = int | float
LARGEST_CLASS = 2**53  # floats hold whole numbers up to here exactly; no class is larger


@dataclass(frozen=True)
class Limits:
    """What a user says about the classes, as canonical values.

    Attributes:
        min_per_class: a number for all classes, or class -> number
        otherwise: the floor of classes that such a mapping does not name
        max_per_class: a number for all classes, or class -> number, or None
        protect: the classes of which all is kept
        quotas: class -> a number of samples (int), or a fraction of the class (float)
    """

    min_per_class: PerClass = 0
    otherwise: int = 0
    max_per_class: PerClass | None = None
    protect: tuple[Hashable, ...] = ()
    quotas: Mapping[Hashable, Share] | None = None


def floors_under(floors: PerClass, sets_quotas: bool) -> tuple[PerClass, int]:
    """Floors, and that of the classes which a mapping does not name.

    A number for all classes is no floor of a rule that sets no quotas.
    """
    if sets_quotas:
        return floors, 1
    return (floors if isinstance(floors, Mapping) else 0), 0


def check_per_class(argument: str, value: object, *, optional: bool = False) -> PerClass | None:
    """A number of samples for all classes, or a mapping from class to one.

    Raises:
        DropError: if it is neither
    """
    if value is None and optional:
        return None
    if not isinstance(value, Mapping):
        return checks.whole(argument, value, least=0)
    numbers: Mapping[Hashable, int] = checks.by_class(
        argument, value, functools.partial(checks.whole, least=0)
    )
    return numbers


def check_quotas(argument: str, value: object) -> dict[Hashable, Share] | None:
    """A mapping from class to a number of samples (int), or to a fraction of the class (float).

    Raises:
        DropError: if it is none
    """
    return None if value is None else checks.by_class(argument, value, _check_share)


def _check_share(argument: str, value: object) -> Share:
    try:
        return checks.whole(argument, value, least=0)
    except DropError:
        hint = "a fraction of the class, or a whole number of samples"
        return checks.number(argument, value, "[0, 1]", hint)


def check_weights(argument: str, value: object) -> dict[Hashable, float] | None:
    """A mapping from class to weight, >= 0.

    Raises:
        DropError: if it is none
    """
    if value is None:
        return None
    return checks.by_class(argument, value, functools.partial(checks.number, interval="[0, inf)"))


def check_protect(argument: str, value: object) -> tuple[Hashable, ...]:
    """A sequence of classes as a tuple; None for none.

    Raises:
        DropError: if it is no sequence
    """
    if value is None:
        return ()
    if isinstance(value, str):
        raise DropError(argument, f"must be a sequence of classes, such as ({value!r},)")
    return tuple(
        checks.class_name(argument, name) for name in checks.items(argument, value, "classes")
    )


# -- the bounds of the classes that there are -----------------------------------------------------


def class_bounds(
    limits: Limits,
    classes: Sequence[Hashable],
    sizes: IntArray,
    must_keep: IntArray | None = None,
    kept_before: IntArray | None = None,
) -> Bounds:
    """The floors and caps of classes.

    Args:
        limits: what the user says
        classes: the K classes; cells as tuples
        sizes: (K,) int > 0
        must_keep (None): (K,) int, samples of each class that must be kept
        kept_before (None): (K,) int, samples of each class that were kept before an extension,
            and those that must be kept

    Returns:
        the :class:`Bounds`

    Raises:
        DropError: if a name is no class, or two of the arguments contradict each other
    """
    k = len(classes)
    must = np.zeros(k, np.int64) if must_keep is None else must_keep
    before = must if kept_before is None else kept_before
    low, low_named = _of_classes("min_per_class", limits.min_per_class, classes, limits.otherwise)
    high, high_named = _of_classes("max_per_class", limits.max_per_class, classes, LARGEST_CLASS)
    # A number for all yields to one that names the class; two of a kind must agree
    _agree("max_per_class", low > high, low_named == high_named, classes, low, high)
    low = np.where(high_named & ~low_named, np.minimum(low, high), low)
    high = np.where(low_named & ~high_named, np.maximum(low, high), high)

    quotas, by_hand = _quotas(limits, classes, sizes)
    _agree("quotas", by_hand & low_named & (quotas < low), True, classes, low, quotas)
    _agree("quotas", by_hand & high_named & (quotas > high), True, classes, quotas, high)
    protected = class_mask("protect", limits.protect, classes)
    for argument, named in (("quotas", by_hand), ("max_per_class", high_named)):
        both = protected & named
        if both.any():
            raise DropError(
                "protect",
                f"keeps all of {_listed(classes, both)}, for which {argument} says a number; "
                "name a class in one of the two",
            )
    fixed = np.where(protected, sizes, quotas)
    is_fixed = protected | by_hand
    caps = np.where(is_fixed, fixed, np.minimum(sizes, high))
    floors = np.where(is_fixed, fixed, np.minimum(caps, low))
    for argument, kept in (("must_keep", must), ("kept_before", before)):
        beyond = np.flatnonzero(kept > caps)
        if len(beyond):
            row = int(beyond[0])
            cap = "quotas" if by_hand[row] else "max_per_class"
            raise DropError(
                argument,
                f"has {kept[row]:,} samples of {classes[row]!r}, more than the {caps[row]:,} that "
                f"{cap} allows; raise that, or take samples out of {argument}",
            )
    raised = must > floors
    floors_by = [
        ("must_keep", raised.any()),
        ("protect", protected.any()),
        ("quotas", by_hand.any()),
        ("min_per_class", bool((floors > 0)[~is_fixed & ~raised].any())),
    ]
    caps_by = [("quotas", by_hand.any()), ("max_per_class", bool((high < sizes)[~is_fixed].any()))]
    return Bounds(
        must,
        np.maximum(floors, must),
        caps,
        before,
        tuple(name for name, some in floors_by if some),
        tuple(name for name, some in caps_by if some),
    )


def class_numbers(
    argument: str, values: Mapping[Hashable, float], classes: Sequence[Hashable]
) -> FloatArray:
    """The numbers of a mapping over classes, (K,) float, NaN for classes that it does not name.

    Raises:
        DropError: if a name is no class
    """
    numbers, rows = np.full(len(classes), np.nan), _Rows(classes)
    for name, value in _labels_first(values):
        numbers[rows.of(argument, name)] = value
    return numbers


def weights_of(
    rule: Rule,
    given: Mapping[Hashable, float] | None,
    classes: Sequence[Hashable],
    columns: Columns,
) -> FloatArray | None:
    """The class weights: those that ``weights=`` gives, or else those of the rule.

    Args:
        rule: the rule
        given: class -> weight, or None
        classes: the K classes
        columns: column -> (K,) float; ``"sizes"`` and what the rule needs

    Returns:
        (K,) float >= 0; None for a rule without quotas

    Raises:
        DropError: if a given name is no class, or a class has no weight; and what
            :func:`~fiftyone_drop.rules.class_weights` raises
    """
    if given is None:
        return class_weights(rule, columns)
    numbers = class_numbers("weights", given, classes)
    missing = np.isnan(numbers)
    if missing.any():
        raise DropError(
            "weights", f"must name every class, but {_listed(classes, missing)} has none"
        )
    return numbers


def _of_classes(
    argument: str, value: PerClass | None, classes: Sequence[Hashable], otherwise: int
) -> tuple[IntArray, NDArray[np.bool_]]:
    """A number of each class, (K,) int, and whether the class was named."""
    if not isinstance(value, Mapping):
        number = otherwise if value is None else min(value, LARGEST_CLASS)
        return np.full(len(classes), number, np.int64), np.zeros(len(classes), bool)
    numbers = class_numbers(argument, value, classes)
    named = ~np.isnan(numbers)
    found = np.minimum(np.where(named, numbers, otherwise), LARGEST_CLASS)
    return found.astype(np.int64), named


def _quotas(
    limits: Limits, classes: Sequence[Hashable], sizes: IntArray
) -> tuple[IntArray, NDArray[np.bool_]]:
    """The quotas that were given, (K,) int, and whether there is one."""
    quotas, given = np.zeros(len(classes), np.int64), np.zeros(len(classes), bool)
    rows = _Rows(classes)
    for name, value in _labels_first(limits.quotas or {}):
        for row in rows.of("quotas", name):
            size = int(sizes[row])
            quotas[row] = kept_size(size, value) if checks.is_fraction(value) else value
            given[row] = True
            if quotas[row] > size:
                raise DropError(
                    "quotas",
                    f"asks for {value:,} samples of {classes[row]!r}, which has {size:,}; ask for "
                    "fewer, or name the class in protect= to keep all of it",
                )
    return quotas, given


def _labels_first(values: Mapping[Hashable, Any]) -> list[tuple[Hashable, Any]]:
    """Labels before cells: what is said of a cell replaces what is said of its label."""
    return sorted(values.items(), key=lambda item: isinstance(item[0], tuple))


def class_mask(
    argument: str, names: Sequence[Hashable], classes: Sequence[Hashable]
) -> NDArray[np.bool_]:
    """Which classes have one of the names, (K,) bool.

    Raises:
        DropError: if a name is no class
    """
    mask, rows = np.zeros(len(classes), bool), _Rows(classes)
    for name in names:
        mask[rows.of(argument, name)] = True
    return mask


def without_gone(
    names: Iterable[Hashable], classes: Sequence[Hashable], were: Sequence[Hashable]
) -> list[Hashable]:
    """The names, but for those of classes that were there and have nothing left.

    Args:
        names: names of classes, or of labels that stand for their cells
        classes: the K classes that there are
        were: classes, and names of classes, that there were; a name that never was one stays, to be
            refused
    """
    now, before = _Rows(classes), _Rows(were)
    return [name for name in names if now.has(name) or not before.has(name)]


class _Rows:
    """The rows of classes by name: of a class itself, and of every cell of a label."""

    def __init__(self, classes: Sequence[Hashable]):
        self._classes = classes
        self._exact: dict[Hashable, list[int]] = {}
        self._cells: dict[str, list[int]] = {}
        for k, name in enumerate(classes):
            self._exact.setdefault(name, []).append(k)
            if isinstance(name, tuple):
                self._cells.setdefault(name[0], []).append(k)

    def of(self, argument: str, name: Hashable) -> list[int]:
        """The rows that a name stands for.

        Raises:
            DropError: if there is none
        """
        if rows := self._rows(name):
            return rows
        known = listing(list(self._classes))
        raise DropError(argument, f"{name!r} is no class; the classes are {known}")

    def has(self, name: Hashable) -> bool:
        """Whether a name stands for some."""
        return bool(self._rows(name))

    def _rows(self, name: Hashable) -> list[int]:
        # A number may be a class of an array, or the word for a class of integers
        exact = {*self._exact.get(name, ()), *self._exact.get(str(name), ())}
        return sorted(exact) or self._cells.get(str(name), [])


def _agree(
    argument: str,
    differs: NDArray[np.bool_],
    of_a_kind: Any,
    classes: Sequence[Hashable],
    larger: IntArray,
    smaller: IntArray,
) -> None:
    wrong = np.flatnonzero(differs & of_a_kind)
    if not len(wrong):
        return
    row = int(wrong[0])
    others = f", and so for {len(wrong) - 1} more classes" if len(wrong) > 1 else ""
    what = {
        "max_per_class": f"allows {smaller[row]:,} samples of {classes[row]!r}, but min_per_class "
        f"asks for {larger[row]:,}{others}; raise the one or lower the other",
        "quotas": f"and the bounds of {classes[row]!r} contradict each other: {larger[row]:,} is "
        f"more than {smaller[row]:,}{others}; leave the class out of min_per_class and "
        "max_per_class",
    }
    raise DropError(argument, what[argument])


def _listed(classes: Sequence[Hashable], some: NDArray[np.bool_]) -> str:
    return listing([name for name, is_one in zip(classes, some, strict=True) if is_one])
