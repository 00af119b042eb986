"""The interface of everything that gives logits of samples."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fiftyone_drop import checks
from fiftyone_drop._types import Ids, IntArray
from fiftyone_drop.engine.devices import check_workers
from fiftyone_drop.engine.files import Folder, writable_folder
from fiftyone_drop.engine.runner import Here, Runner
from fiftyone_drop.inference.class_names import ClassNames
from fiftyone_drop.scoring import Score, get_score
from fiftyone_drop.scoring.agreement import confidences

if TYPE_CHECKING:
    from typing_extensions import Self

Floats = NDArray[np.float32]
Values = NDArray[np.floating[Any]]
Switches = Mapping[str, Mapping[str, Any]]  # score -> its switches


@dataclass(frozen=True, kw_only=True)
class PassOptions:
    """How samples are gone through: arguments of ``compute_scores``, as plain values.

    Raises:
        DropError: a value is out of range
    """

    on_error: str = "skip"
    batch_size: int | None = None
    workers: int | None = None
    deterministic: bool = False
    checkpoint_dir: Folder | None = None
    progress: Any = None

    def __post_init__(self) -> None:
        folder = self.checkpoint_dir
        self._settle(
            on_error=checks.choice("on_error", self.on_error, ("skip", "raise")),
            batch_size=checks.whole("batch_size", self.batch_size, least=1, optional=True),
            workers=check_workers(self.workers),
            deterministic=checks.flag("deterministic", self.deterministic),
            checkpoint_dir=None if folder is None else writable_folder(folder),
        )

    @property
    def strict(self) -> bool:
        """Whether a sample that cannot be scored is an error."""
        return self.on_error == "raise"

    def _settle(self, **values: Any) -> None:
        for name, value in values.items():
            object.__setattr__(self, name, value)  # the class is frozen


@dataclass(frozen=True)
class Request:
    """Scores of N samples by M models that are asked for.

    Attributes:
        ids: (N,) S24, sample ids
        paths: N image files
        labels: for each model (N,) int, positions in its classes
        switches: score -> its switches
        options: how samples are gone through
        until_written: takes the checkpoint, which must last until the scores are written
        bar: opens a progress bar of some steps, with a method ``update``
        runner: computes them
    """

    ids: Ids
    paths: Sequence[str]
    labels: Sequence[IntArray]
    switches: Switches
    options: PassOptions
    until_written: ExitStack
    bar: Callable[[int], AbstractContextManager[Any]]
    runner: Runner = field(default_factory=Here)


@dataclass(frozen=True)
class Scored:
    """Scores of N samples by M models.

    Attributes:
        tables: score -> (M, N) float, NaN where there is none
        missing: sentences on samples that have no scores
        outcomes: (M, 2, N) float, the predicted class (the first of its name) and its probability,
            as :func:`outcomes_of` has them; NaN where nobody looked
    """

    tables: Mapping[str, Values]
    missing: list[str]
    outcomes: Floats


@dataclass(eq=False)
class Source(ABC):
    """A classifier, or its output.

    Attributes:
        classes: the K class names, in the order of the logits
        words: a description, for the record
        gives: the needs of scores that it serves, such as ``"logits"``
    """

    classes: tuple[str, ...]
    words: str
    gives: ClassVar[frozenset[str]]

    @property
    @abstractmethod
    def fingerprint(self) -> str:
        """A hash of what the logits of any sample follow from: equal ones give equal scores."""

    def origin(self, score: Score) -> list[object]:
        """What a score of any sample follows from, as ``fingerprint`` takes it."""
        return [self.fingerprint]

    @abstractmethod
    def logits(self, ids: Ids, paths: Sequence[str]) -> Iterator[tuple[IntArray, Floats]]:
        """The logits of samples, batch by batch.

        Args:
            ids: (N,) S24, sample ids
            paths: their N image files

        Yields:
            rows (B,) of ``ids`` and logits (B, K) float32; every row comes once

        Raises:
            DropError: a sample has no logits
        """

    @classmethod
    @abstractmethod
    def score_together(cls, sources: Sequence[Self], request: Request) -> Scored:
        """Scores by M sources of this class, which share as much of the work as they can.

        Raises:
            DropError: a model does not fit, or a sample cannot be scored and that is an error
        """


def outcomes_of(logits: Tensor, names: ClassNames) -> Floats:
    """(2, B) float32 of logits (B, K): the predicted class, and its probability."""
    predicted = names.first(logits.argmax(1)).float()
    return torch.stack([predicted, confidences(logits)]).cpu().numpy()


def wanted(switches: Switches, *needs: str) -> list[str]:
    """Those of the scores that need one of these."""
    return [name for name in switches if get_score(name).needs in needs]


def words_of(sources: Sequence[Source]) -> str:
    """A description of one model or an ensemble, for the record."""
    words = [source.words for source in sources]
    if len(words) == 1:
        return words[0]
    counts = {word: words.count(word) for word in words}
    parts = [word if n == 1 else f"{n} x {word}" for word, n in counts.items()]
    return f"an ensemble of {len(words)}: {', '.join(parts)}"
