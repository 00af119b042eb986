"""Recording training dynamics inside anybody's own training loop.

::

    recorder = DynamicsRecorder(len(dataset), labels)
    for epoch in range(epochs):
        for indices, images, targets in loader:
            logits = model(images)
            recorder.update(indices, logits)
            ...
        recorder.end_epoch()
    scores = recorder.finish()

Per batch, the recorder computes a few numbers per sample on the device of the logits and leaves
them there. They move to the CPU together, at the end of the epoch or when there are many, so that
the training never waits for a batch. Memory is O(N) plus the window, for any number of epochs.
"""

from __future__ import annotations

import functools
import io
import json
import os
import warnings
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from fiftyone_drop import checks
from fiftyone_drop.engine.files import write_atomically
from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.scoring import epochs  # noqa: F401, registers its scores
from fiftyone_drop.scoring.accumulators import FORWARD, Accumulator, Column, column_function
from fiftyone_drop.scoring.registry import deal_switches, get_score

DYNAMICS = ("forgetting", "first_learned", "aum", "dynamic_uncertainty", "dual", "el2n_mean")
"""The scores recorded unless told otherwise: all but TDDS, which holds N x K numbers."""

_PENDING = 2**22
"""Most floats that wait on the device (16 MiB)."""

Indices = Tensor | npt.NDArray[np.integer[Any]] | Sequence[int]


class DynamicsRecorder:
    """Streams logits into scores of training dynamics.

    Presentations with logits that are not finite (a mixed-precision overflow) are left out.
    ``accumulators.py`` defines what happens to samples seen twice in an epoch, or not at all.

    Args:
        n: number of samples
        labels: (n,) integer class indices >= 0
        scores: names of registered scores that need ``"dynamics"``
        **switches: conventions of these scores, such as ``never_learned="inf"`` or ``window=5``; a
            switch that several scores know goes to all of them

    Attributes:
        n: number of samples
        labels: (n,) int64, class indices
        switches: score -> its switches, all of them
        epoch: number of epochs that have ended
        skipped: number of presentations that were left out

    Raises:
        DropError: if labels, scores or switches do not fit
    """

    def __init__(
        self,
        n: int,
        labels: Tensor | npt.ArrayLike,
        *,
        scores: Collection[str] = DYNAMICS,
        **switches: str | int,
    ) -> None:
        self.n = checks.whole("n", n, least=1)
        self.labels = _check_labels(self.n, labels)
        self.switches = deal_switches(_check_scores(scores), switches)
        self.epoch = 0
        self.skipped = 0
        self._accumulators: dict[str, Accumulator] = {
            name: get_score(name).function(self.n, **own) for name, own in self.switches.items()
        }
        # Accumulators that ask for the same column share it
        self._wanted: dict[str, dict[Column, Any]] = {name: {} for name in FORWARD}
        for a in self._accumulators.values():
            self._wanted[a.forward][a.column] = column_function(a)
        self._pending: list[tuple[npt.NDArray[np.int64], list[Tensor]]] = []
        self._pending_floats = 0

    @property
    def wants_clean(self) -> bool:
        """Whether :meth:`update` needs ``clean_logits``."""
        return bool(self._wanted["clean"])

    def update(
        self, indices: Indices, logits: Tensor, *, clean_logits: Tensor | None = None
    ) -> None:
        """Record one batch.

        Args:
            indices: (B,) integers in [0, n), the samples of the batch. Best on the CPU, where a
                data loader has them anyway: taking them off a GPU waits for it
            logits: (B, K) float, any device and precision, as the training step has them
            clean_logits (None): (B, K) float, those of an extra forward pass in evaluation mode on
                images without augmentation; only for scores switched to "clean". That pass costs
                about a third of the training time

        Raises:
            DropError: if shapes or indices do not fit, or ``clean_logits`` are missing
        """
        rows = _check_indices(indices, self.n)
        passes = {"training": logits, "clean": clean_logits}
        columns: list[Tensor] = []
        for forward, functions in self._wanted.items():
            if not functions:
                continue
            if forward == "clean" and clean_logits is None:
                raise DropError(
                    "clean_logits",
                    "must be the logits of an extra forward pass, since a score is switched to "
                    "'clean', but got None; pass them, or switch the score to 'training'",
                )
            argument = "clean_logits" if forward == "clean" else "logits"
            values = self._check_logits(argument, passes[forward], rows)
            labels = torch.from_numpy(self.labels[rows]).to(values.device, non_blocking=True)
            with torch.no_grad():
                values = values.detach().float()
                columns.append(torch.isfinite(values).all(1).float())
                columns += [function(values, labels) for function in functions.values()]
        self._pending.append((rows, columns))
        self._pending_floats += sum(column.numel() for column in columns)
        if self._pending_floats >= _PENDING:
            self._flush()

    def end_epoch(self) -> None:
        """End an epoch: scores over epochs and windows move on."""
        self._flush()
        for accumulator in self._accumulators.values():
            accumulator.end_epoch()
        self.epoch += 1

    def finish(self) -> dict[str, npt.NDArray[np.float64]]:
        """The scores of the epochs that have ended. Recording may go on afterwards.

        Returns:
            score name -> (n,) float64; NaN for samples that were never seen, or too rarely

        Warns:
            DropWarning: if a score has no value at all, since its window is longer than the
                training, or presentations were left out because their logits were not finite
        """
        self._flush()
        results = {
            name: get_score(name).checked(accumulator.result(), self.n)
            for name, accumulator in self._accumulators.items()
        }
        empty = sorted(name for name, values in results.items() if np.isnan(values).all())
        warn = functools.partial(warnings.warn, category=DropWarning, stacklevel=2)
        if self.skipped:
            warn(f"{self.skipped} presentations had logits that are not finite and were left out")
        if empty:
            warn(
                f"After {self.epoch} epochs no sample has a value for {empty}: train longer, or "
                "record with a shorter window"
            )
        return results

    def save(self, path: str | os.PathLike[str], **arrays: npt.NDArray[Any]) -> None:
        """Write the scores of :meth:`finish` to an .npz file, whole or not at all.

        Args:
            path: the file. It holds one (n,) array per score, and ``conventions``: the number of
                epochs and the value of every switch, as JSON text
            **arrays: more for the file, such as ``ids``, (n,) S24
        """
        path = checks.path("path", path)
        facts = json.dumps({"epochs": self.epoch, "switches": self.switches})
        content: dict[str, Any] = {**arrays, **self.finish(), "conventions": np.array(facts)}
        buffer = io.BytesIO()
        np.savez(buffer, **content)
        write_atomically(path, buffer.getbuffer())

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later with the same result, bit for bit.

        Returns:
            tensors, numbers and text only, so that ``torch.load(..., weights_only=True)`` reads it.
            It shares no memory with the recorder
        """
        self._flush()
        return {
            "n": self.n,
            "labels": torch.from_numpy(self.labels.copy()),
            "switches": {name: dict(own) for name, own in self.switches.items()},
            "epoch": self.epoch,
            "skipped": self.skipped,
            "state": {
                name: {key: torch.from_numpy(value.copy()) for key, value in a.state.items()}
                for name, a in self._accumulators.items()
            },
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another recorder stopped.

        Args:
            state: the result of its :meth:`state_dict`

        Raises:
            DropError: if it belongs to other samples, labels, scores or switches
        """
        n, switches = state.get("n"), state.get("switches")
        same = n == self.n and np.array_equal(state["labels"], self.labels)
        if not same or switches != self.switches:
            raise DropError(
                "state",
                f"must be of the same samples, labels, scores and switches (n={self.n}, "
                f"{self.switches}), but got n={n}, {switches}; construct the recorder in the same "
                "way",
            )
        self._pending, self._pending_floats = [], 0
        self.epoch, self.skipped = state["epoch"], state["skipped"]
        for name, accumulator in self._accumulators.items():
            for key, value in state["state"][name].items():
                accumulator.state[key] = value.cpu().numpy().copy()

    def _check_logits(self, argument: str, logits: object, rows: npt.NDArray[np.int64]) -> Tensor:
        if not isinstance(logits, Tensor):
            raise DropError(argument, f"must be a tensor, but got a {type(logits).__name__}")
        most = int(self.labels[rows].max(initial=0))
        if logits.ndim != 2 or len(logits) != len(rows) or logits.shape[1] <= max(most, 1):
            raise DropError(
                argument,
                f"must have the shape ({len(rows)}, K), a row per index and an output per class "
                f"(labels reach {most}), but got {tuple(logits.shape)}",
            )
        return logits

    def _flush(self) -> None:
        """Hand what is pending to the accumulators."""
        pending, self._pending, self._pending_floats = self._pending, [], 0
        if not pending:
            return
        samples = np.concatenate([rows for rows, _ in pending])
        arrays = [
            torch.cat(parts).cpu().numpy()
            for parts in zip(*(columns for _, columns in pending), strict=True)
        ]
        table: dict[tuple[str, Column], npt.NDArray[Any]] = {}
        finite = np.ones(len(samples), bool)
        columns = iter(arrays)
        for forward, functions in self._wanted.items():
            if functions:
                finite &= next(columns) > 0
                table |= {(forward, column): next(columns) for column in functions}
        self.skipped += int((~finite).sum())
        if finite.any():
            for a in self._accumulators.values():
                a.see(samples[finite], table[a.forward, a.column][finite])


def _check_scores(scores: object) -> list[str]:
    """The names of registered scores that a training gives."""
    table = [get_score(name) for name in checks.texts("scores", scores)]
    for score in table:
        if score.needs != "dynamics":
            raise DropError(
                "scores", f"'{score.name}' needs {score.needs!r} and cannot be recorded in training"
            )
    return [score.name for score in table]


def _check_labels(n: int, labels: Tensor | npt.ArrayLike) -> npt.NDArray[np.int64]:
    array = np.asarray(labels.cpu() if isinstance(labels, Tensor) else labels)
    if array.shape != (n,) or array.dtype.kind not in "iu" or array.min() < 0:
        raise DropError(
            "labels",
            f"must be integer class indices >= 0 of the shape ({n},), one per sample, but got "
            f"{array.dtype} of the shape {array.shape}",
        )
    return array.astype(np.int64)


def _check_indices(indices: Indices, n: int) -> npt.NDArray[np.int64]:
    rows = np.asarray(indices.cpu() if isinstance(indices, Tensor) else indices)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise DropError(
            "indices",
            f"must be a list of sample numbers, but got {rows.dtype} of the shape {rows.shape}",
        )
    if rows.size and not 0 <= rows.min() <= rows.max() < n:
        raise DropError("indices", f"must lie in [0, {n}), but got [{rows.min()}, {rows.max()}]")
    return rows.astype(np.int64)
