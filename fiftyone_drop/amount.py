"""How much is kept: a density, a number of samples, or a number of bytes.

NumPy only.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import IntArray
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.density import keep_at, kept_size
from fiftyone_drop.errors import DropError


@dataclass(frozen=True)
class Amount:
    """How much is kept, as a user says it: one of three, or none where quotas say it.

    Attributes:
        density: the dataset density, in (0, 1]
        size: a number of samples, >= 1
        max_bytes: the bytes that the image files may take, >= 1
    """

    density: float | None = None
    size: int | None = None
    max_bytes: int | None = None

    @classmethod
    def parse(
        cls,
        density: object = None,
        size: object = None,
        max_bytes: object = None,
        *,
        optional: bool = False,
    ) -> Amount:
        """Parse the arguments of a call.

        Args:
            density: the dataset density
            size: a number of samples
            max_bytes: a number of bytes
            optional (False): whether all may be None, since quotas say how much is kept

        Raises:
            DropError: if one is unfit, or if not exactly one is given
        """
        given = {"density": density, "size": size, "max_bytes": max_bytes}
        passed = [name for name, value in given.items() if value is not None]
        if len(passed) > 1:
            raise DropError(passed[1], f"pass one of density, size and max_bytes, not {passed}")
        if not passed and not optional:
            checks.density("density", None)  # raises
        return cls(
            density=None if density is None else checks.density("density", density),
            size=checks.whole("size", size, least=1, optional=True),
            max_bytes=checks.whole("max_bytes", max_bytes, least=1, optional=True),
        )

    @property
    def argument(self) -> str:
        """The argument that was given."""
        given = [n for n in ("size", "max_bytes") if getattr(self, n) is not None]
        return given[0] if given else "density"

    def density_of(self, size: int, n: int) -> float:
        """The dataset density of a size of ``n`` samples: the one that was given, if any."""
        return size / n if self.density is None else self.density

    def checked_size(self, n: int, bounds: Bounds, bytes_in_order: IntArray | None = None) -> int:
        """How many of ``n`` samples are kept.

        Args:
            n: the number of samples
            bounds: the floors and caps
            bytes_in_order: with ``max_bytes``: (n,) int, the bytes of each sample, in the order
                that they are kept in

        Returns:
            an int in [1, n]: exact for a density and a number of samples, the largest that fits
            for a number of bytes

        Raises:
            DropError: if that is less than the floors ask for, or more than the caps allow; it
                names the nearest that works. Or if the caps leave nothing at all
        """
        least, most = max(1, bounds.least), bounds.most
        if not most:
            raise DropError(
                bounds.caps_by[0], "allows no sample of any class, so nothing is left; raise it"
            )
        if self.density is not None:
            size = kept_size(n, self.density)
        elif self.size is not None:
            size = self.size
        elif self.max_bytes is not None:
            assert bytes_in_order is not None
            total = np.cumsum(bytes_in_order)
            # A budget: where the caps leave less, less of it is used
            size = min(most, int(np.searchsorted(total, self.max_bytes, side="right")))
        else:
            if least != most:
                raise DropError(
                    "density",
                    f"pass one of density, size and max_bytes: quotas= leave {least:,} to {most:,} "
                    "samples, since they do not name every class",
                )
            size = least
        if size < least:
            needed = None if bytes_in_order is None else int(np.cumsum(bytes_in_order)[least - 1])
            raise DropError(self.argument, self._too_small(size, n, bounds, needed))
        if size > most:
            raise DropError(self.argument, self._too_large(size, n, bounds))
        return size

    def _too_small(self, size: int, n: int, bounds: Bounds, needed: int | None) -> str:
        least = max(1, bounds.least)
        floor, remedy = "", ""
        if bounds.least > 1:
            floor = f", fewer than the {least} that {_words(bounds.floors_by)}"
            remedy = f" or lower {_listed(bounds.floors_by, 'or')}"
        if self.density is not None:
            # Rounded up to four digits, so that what the message says works when typed
            shown = _shown(keep_at(least - 1, n), math.ceil, n, bounds)
            return (
                f"{self.density:g} keeps {size} of {n} samples{floor}; "
                f"the smallest density that works is {shown}: use that or more{remedy}"
            )
        if self.size is not None:
            return f"{size:,} samples are too few{floor}; pass size={least} or more,{remedy}"
        return (
            f"{self.max_bytes:,} bytes hold {size} of {n} samples{floor}; pass "
            f"max_bytes={needed} or more{remedy}"
        )

    def _too_large(self, size: int, n: int, bounds: Bounds) -> str:
        most = bounds.most
        if most == n:
            return f"{size:,} is more than the {n:,} samples that there are; pass size={n} or less"
        cap = f"more than the {most} that {_words(bounds.caps_by, 'allow')}"
        remedy = f" or raise {_listed(bounds.caps_by, 'or')}"
        if self.density is None:
            return f"{size:,} samples are {cap}; pass size={most} or less{remedy}"
        shown = _shown(most / n, math.floor, n, bounds)
        return (
            f"{self.density:g} keeps {size} of {n} samples, {cap}; "
            f"the largest density that works is {shown}: use that or less{remedy}"
        )


def _shown(value: float, direction: Callable[[float], int], n: int, bounds: Bounds) -> str:
    """A density in (0, 1] with four digits; with all where so few would not work."""
    scale = 10.0 ** (4 - math.ceil(math.log10(value)))
    shown = f"{min(1.0, direction(value * scale) / scale):g}"
    # Floors and caps may lie closer together than four digits can tell
    works = max(1, bounds.least) <= kept_size(n, float(shown)) <= bounds.most
    return shown if works else repr(float(value))


def _words(arguments: Sequence[str], verb: str = "ask for") -> str:
    one, *rest = verb.split(" ", 1)
    verb = " ".join([f"{one}s" if len(arguments) == 1 else one, *rest])
    return f"{_listed(arguments, 'and')} {verb}"


def _listed(words: Sequence[str], last: str) -> str:
    *some, end = words
    return f"{', '.join(some)} {last} {end}" if some else end
