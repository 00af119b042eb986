"""The random baseline, which every other score has to beat."""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
import numpy.typing as npt

from fiftyone_drop.errors import DropError
from fiftyone_drop.scoring.registry import register_score
from fiftyone_drop.scoring.switches import Whole


@register_score(
    "random",
    hard=None,
    kept_first="low",
    needs="nothing",
    description="A seeded random number per sample, the baseline.",
    source="standard",
    conventions={"seed": Whole(default=51, minimum=0)},
    uses_labels=False,
)
def random(keys: Iterable[str | int], *, seed: int = 51) -> npt.NDArray[np.float64]:
    """A random number per key.

    The number is a hash of seed and key. So it is the same on every machine and NumPy version, and
    depends neither on the order of the keys nor on the other keys.

    Args:
        keys: one per sample, such as sample ids, or ``range(n)``
        seed: a whole number >= 0

    Returns:
        (N,) float64, uniform in [0, 1)

    Raises:
        DropError: if a key occurs twice, so that two samples would share their number
    """
    texts = [f"{seed}:{key}" for key in keys]
    if len(set(texts)) < len(texts):
        raise DropError("keys", "must name every sample once, but got repeated keys")
    digests = b"".join(blake2b(text.encode(), digest_size=8).digest() for text in texts)
    # The upper 53 bits fit a float64 exactly, so that the result stays below 1
    upper = np.frombuffer(digests, dtype="<u8") >> np.uint64(11)
    return upper.astype(np.float64) * 2.0**-53
