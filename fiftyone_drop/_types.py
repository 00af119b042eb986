"""Names of types that several modules share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Codes = NDArray[np.int32]  # positions in a tuple of class names
Ids = NDArray[np.bytes_]  # (N,) S24: sample ids as hexadecimal digits
ClassName = str | tuple[str, ...]  # with group_by a cell: (class, value, ...)
