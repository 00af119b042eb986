"""Floors and caps: how few and how many samples of each class are kept.

NumPy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fiftyone_drop._types import IntArray


@dataclass(frozen=True, eq=False)
class Bounds:
    """Floors and caps of K classes, with ``must_keep <= floors <= caps <= sizes``.

    Attributes:
        must_keep: (K,) int, samples of each class that come before all others of the dataset
        floors: (K,) int, samples of each class that are kept at least, these among them
        caps: (K,) int, samples of each class that are kept at most
        kept_before: (K,) int, samples of each class that were kept before the run was extended;
            they come after the floors and before all others, and are no floor: a run may be moved
            to a density that keeps fewer
        floors_by: the arguments that the floors follow from
        caps_by: the arguments that the caps follow from
    """

    must_keep: IntArray
    floors: IntArray
    caps: IntArray
    kept_before: IntArray
    floors_by: tuple[str, ...] = ()
    caps_by: tuple[str, ...] = ()

    @classmethod
    def none(cls, sizes: IntArray, min_per_class: int = 0) -> Bounds:
        """No bounds but one floor for all classes (all samples of a smaller one)."""
        floors_by = ("min_per_class",) if min_per_class else ()
        floors, zeros = np.minimum(sizes, min_per_class), np.zeros_like(sizes)
        return cls(zeros, floors, np.array(sizes), zeros, floors_by)

    def steps(self) -> list[IntArray]:
        """Where the steps of each class end, ascending, (K,) int; what follows is never kept."""
        return [self.must_keep, self.floors, np.maximum(self.floors, self.kept_before), self.caps]

    @property
    def least(self) -> int:
        """The samples that the floors take."""
        return int(self.floors.sum())

    @property
    def most(self) -> int:
        """The samples that the caps leave."""
        return int(self.caps.sum())

    def while_extending(self) -> Bounds:
        """The same bounds with what was kept before as a floor."""
        floors = np.maximum(self.floors, self.kept_before)
        if np.array_equal(floors, self.floors):
            return self
        return replace(self, floors=floors, floors_by=(*self.floors_by, "what was kept before"))

    def beside(self, size: int) -> Bounds:
        """These bounds, and none for one more class."""
        zero, more = np.zeros(1, np.int64), np.array([size])
        return replace(
            self,
            must_keep=np.append(self.must_keep, zero),
            floors=np.append(self.floors, zero),
            caps=np.append(self.caps, more),
            kept_before=np.append(self.kept_before, zero),
        )

    def to_dict(self) -> dict[str, Any]:
        """As JSON-serialisable values."""
        return {
            "must_keep": self.must_keep.tolist(),
            "floors": self.floors.tolist(),
            "caps": self.caps.tolist(),
            "kept_before": self.kept_before.tolist(),
            "floors_by": list(self.floors_by),
            "caps_by": list(self.caps_by),
        }

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Bounds:
        """The inverse of :meth:`to_dict`."""
        return cls(
            must_keep=np.array(values["must_keep"], np.int64),
            floors=np.array(values["floors"], np.int64),
            caps=np.array(values["caps"], np.int64),
            kept_before=np.array(values["kept_before"], np.int64),
            floors_by=tuple(values["floors_by"]),
            caps_by=tuple(values["caps_by"]),
        )
