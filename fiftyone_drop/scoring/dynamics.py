"""Recording training dynamics inside anybody's own training loop.

::

    recorder = DynamicsRecorder(len(dataset), labels)
    for epoch in range(epochs):
        for indices, images, targets in loader:
            logits = model(images)
            recorder.update(indices, logits, targets=targets)
            ...
        recorder.end_epoch()
    scores = recorder.finish()

Per batch, the recorder computes a few numbers per sample on the device of the logits and leaves
them there. ``presentations.py`` moves them to the CPU, and gathers those of all processes when the
epoch ends. Memory is O(N) plus the window, for any number of epochs.

The recorder is one class with one state, and longer than other modules by its checks of batches.
"""

from __future__ import annotations

import functools
import io
import json
import os
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fiftyone_drop import checks
from fiftyone_drop._torch import torch
from fiftyone_drop.engine.files import write_atomically
from fiftyone_drop.engine.fingerprints import fingerprint
from fiftyone_drop.errors import DropError, DropWarning, listing
from fiftyone_drop.scoring import epochs  # noqa: F401, registers its scores
from fiftyone_drop.scoring.accumulators import Accumulator, Column, ColumnFunction, column_function
from fiftyone_drop.scoring.agreement import confidences, misfit, predicted_classes
from fiftyone_drop.scoring.presentations import OpenEpoch, Presentations, gather, joined, process
from fiftyone_drop.scoring.registry import deal_switches, get_score

if TYPE_CHECKING:
    from torch import Tensor

DYNAMICS = ("forgetting", "first_learned", "aum", "dynamic_uncertainty", "dual", "el2n_mean")
"""The scores recorded unless told otherwise: all but TDDS, which holds N x K numbers."""

Indices: TypeAlias = "Tensor | npt.NDArray[np.integer[Any]] | Sequence[int]"


def _finite(logits: Tensor, labels: Tensor) -> Tensor:
    return torch.isfinite(logits).all(1).float()


class DynamicsRecorder:
    """Streams logits into scores of training dynamics.

    Presentations with logits that are not finite (a mixed-precision overflow) are left out.
    ``accumulators.py`` defines what happens to samples seen twice in an epoch, or not at all.

    An epoch counts when it has ended. In a training of several processes (``torch.distributed``)
    each has a recorder of all samples and passes its own batches; ``end_epoch`` gathers them, and
    every process has the scores of the whole training. Samples that a sampler repeats to make the
    parts of equal size do not count twice.

    Args:
        n: number of samples
        labels: (n,) integer class indices >= 0
        scores: names of registered scores that need ``"dynamics"``
        ids (None): (n,) S24, whose labels these are
        classes (None): the class names, for messages
        gather (True): whether epochs are gathered from all processes, where there are several;
            every one of them must end every epoch then
        **switches: conventions of these scores, such as ``never_learned="inf"`` or ``window=5``; a
            switch that several scores know goes to all of them

    Attributes:
        n: number of samples
        labels: (n,) int64, class indices
        switches: score -> its switches, all of them
        code: for each score what it computes by, for fingerprints; see :attr:`Score.code`
        epoch: number of epochs that have ended
        presentations: (n,) int64, how often each sample was presented in these
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
        ids: npt.NDArray[np.bytes_] | None = None,
        classes: Sequence[str] | None = None,
        gather: bool = True,
        **switches: str | int,
    ) -> None:
        self.n = checks.whole("n", n, least=1)
        self.labels = _check_labels(self.n, labels)
        self.switches = deal_switches(_check_scores(scores), switches)
        self.code = [get_score(name).code for name in self.switches]
        self.epoch = 0
        self.presentations = np.zeros(self.n, np.int64)
        self.skipped = 0
        self._ids, self._classes = ids, classes
        self._gathers = checks.flag("gather", gather)
        self._accumulators: dict[str, Accumulator] = {
            name: get_score(name).function(self.n, **own) for name, own in self.switches.items()
        }
        # Accumulators that ask for the same column share it
        self._wanted: dict[tuple[str, Column], ColumnFunction] = {
            ("training", "finite"): _finite,
            ("training", "predicted"): predicted_classes,
            ("training", "confidence"): confidences,
        }
        for a in self._accumulators.values():
            self._wanted[a.forward, "finite"] = _finite
            self._wanted[a.forward, a.column] = column_function(a)
        self._open = OpenEpoch()
        self._outputs: int | None = None  # of the model, as soon as one batch is known
        self._looks_for_misfit = True

    @property
    def wants_clean(self) -> bool:
        """Whether :meth:`update` needs ``clean_logits``."""
        return any(forward == "clean" for forward, _ in self._wanted)

    @property
    def writes(self) -> bool:
        """Whether this process is the one that writes what all of them have."""
        return not self._gathers or process()[0] == 0

    def update(
        self,
        indices: Indices,
        logits: Tensor,
        *,
        targets: object = None,
        clean_logits: Tensor | None = None,
    ) -> None:
        """Record one batch.

        Args:
            indices: (B,) integers in [0, n), the samples of the batch. Best on the CPU, where a
                data loader has them anyway: taking them off a GPU waits for it
            logits: (B, K) float, any device and precision, as the training step has them
            targets (None): the labels that the batch is trained with, (B,) class indices or B
                class names, which must be those of the samples. Best on the CPU
            clean_logits (None): (B, K) float, those of an extra forward pass in evaluation mode on
                images without augmentation; only for scores switched to "clean"

        Raises:
            DropError: if shapes or indices do not fit, targets are other labels, or
                ``clean_logits`` are missing
        """
        rows = _check_indices(indices, self.n)
        if self.wants_clean and clean_logits is None:
            raise DropError(
                "clean_logits",
                "must be the logits of an extra forward pass, since a score is switched to "
                "'clean', but got None; pass them, or switch the score to 'training'",
            )
        passes = {"training": self._check_logits("logits", logits, rows)}
        if self.wants_clean:
            passes["clean"] = self._check_logits("clean_logits", clean_logits, rows)
        if targets is not None:
            self._check_targets(targets, rows)
        self._outputs = logits.shape[1]
        own = torch.from_numpy(self.labels[rows])
        with torch.no_grad():
            given = {
                forward: (values.detach().float(), own.to(values.device, non_blocking=True))
                for forward, values in passes.items()
            }
            columns = [f(*given[forward]) for (forward, _), f in self._wanted.items()]
        self._open.add(rows, columns)

    def end_epoch(self) -> None:
        """End an epoch: its presentations count, scores over epochs and windows move on.

        Raises:
            DropError: if the recorders of several processes are not of the same samples

        Warns:
            DropWarning: once, if predictions and labels cannot belong together
        """
        parts = self._open.parts()
        if self._gathers and process()[1] > 1:
            parts = gather(parts, self._recording(), self.epoch)
        self._open.put([])
        for part in parts:
            self._see(part)
        for accumulator in self._accumulators.values():
            accumulator.end_epoch()
        self.epoch += 1
        if self._looks_for_misfit and self.writes:
            self._look_for_misfit([Presentations(p.samples, p.columns[:3]) for p in parts])

    def restart_epoch(self) -> None:
        """Forget the presentations since the last epoch ended: the epoch begins again."""
        self._open.put([])

    def finish(self) -> dict[str, npt.NDArray[np.float64]]:
        """The scores of the epochs that have ended. Recording may go on afterwards.

        Returns:
            score name -> (n,) float64; NaN for samples that were never seen, or too rarely

        Warns:
            DropWarning: if a score has no value at all, since its window is longer than the
                training; if presentations were left out because their logits were not finite; if
                some samples were presented more often than others; or if the last epoch has not
                ended
        """
        results = {
            name: get_score(name).checked(accumulator.result(), self.n)
            for name, accumulator in self._accumulators.items()
        }
        if not self.writes:
            return results
        empty = sorted(name for name, values in results.items() if np.isnan(values).all())
        warn = functools.partial(warnings.warn, category=DropWarning, stacklevel=2)
        if self.skipped:
            warn(f"{self.skipped} presentations had logits that are not finite and were left out")
        if empty:
            warn(
                f"After {self.epoch} epochs no sample has a value for {empty}: train longer, or "
                "record with a shorter window"
            )
        least, most = self.presented
        if least < most:
            never = int((self.presentations == 0).sum())
            warn(
                f"Samples were presented unevenly: {least} to {most} times in {self.epoch} epochs"
                f"{f', and {never} of {self.n} never' if never else ''}, so that their scores rest "
                "on more or less. A loader with drop_last=True does that, and so does a recorder "
                "that sees one of several processes: initialise torch.distributed, and it sees all"
            )
        waiting = sum(map(len, self._open.parts()))
        if waiting:
            warn(
                f"The last epoch has not ended, and its {waiting} presentations do not count; call "
                "end_epoch() after each epoch"
            )
        return results

    @property
    def presented(self) -> tuple[int, int]:
        """How often the samples were presented that were: the fewest and the most times."""
        seen = self.presentations[self.presentations > 0]
        return int(seen.min(initial=self.presentations.max())), int(self.presentations.max())

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the scores of :meth:`finish` to an .npz file, whole or not at all.

        Args:
            path: the file. It holds one (n,) array per score, ``ids`` if there are any, and
                ``conventions``: the number of epochs, how often the samples were presented, and the
                value of every switch, as JSON text
        """
        self.save_results(path, self.finish())

    def save_results(
        self, path: str | os.PathLike[str], results: Mapping[str, npt.NDArray[np.float64]]
    ) -> None:
        """Write what :meth:`finish` has returned, as :meth:`save` does, without its warnings."""
        path = checks.path("path", path)
        facts = {"epochs": self.epoch, "presentations": self.presented, "switches": self.switches}
        content: dict[str, Any] = {**results, "conventions": np.array(json.dumps(facts))}
        if self._ids is not None:
            content["ids"] = self._ids
        buffer = io.BytesIO()
        np.savez(buffer, **content)
        write_atomically(path, buffer.getbuffer())

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on later with the same result, bit for bit.

        At the end of an epoch it is the same in all processes of a training, and one of them may
        save it. Within an epoch each has its own.

        Returns:
            tensors, numbers and text only, so that ``torch.load(..., weights_only=True)`` reads it.
            It shares no memory with the recorder
        """
        open_epoch = joined(self._open.parts())
        return {
            "n": self.n,
            "labels": torch.from_numpy(self.labels.copy()),
            "switches": {name: dict(own) for name, own in self.switches.items()},
            "recording": self._recording(),
            "epoch": self.epoch,
            "presentations": torch.from_numpy(self.presentations.copy()),
            "skipped": self.skipped,
            "outputs": self._outputs or 0,
            "process": process()[0],
            "open": [torch.from_numpy(a.copy()) for a in (open_epoch.samples, *open_epoch.columns)],
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

        Warns:
            DropWarning: if it was saved within an epoch by another process, so that the beginning
                of that epoch is missing in this one
        """
        if state.get("recording") != self._recording():
            raise DropError(
                "state",
                f"must be of the same samples, labels, scores and switches (n={self.n}, "
                f"{self.switches}), but got n={state.get('n')}, {state.get('switches')}; construct "
                "the recorder in the same way",
            )
        samples, *columns = (array.cpu().numpy().copy() for array in state["open"])
        if len(samples) and state["process"] != process()[0]:
            warnings.warn(
                f"The state was saved by process {state['process']} within an epoch, whose "
                f"beginning is missing in process {process()[0]}; save it when an epoch has ended, "
                "or in each process",
                DropWarning,
                stacklevel=2,
            )
            samples = samples[:0]
        self._open.put([Presentations(samples, columns)] if len(samples) else [])
        self.epoch, self.skipped = state["epoch"], state["skipped"]
        self._outputs = state.get("outputs") or None  # not in states of earlier versions
        self.presentations = state["presentations"].cpu().numpy().copy()
        for name, accumulator in self._accumulators.items():
            for key, value in state["state"][name].items():
                accumulator.state[key] = value.cpu().numpy().copy()

    def _recording(self) -> str:
        """The same text for the same samples, labels, scores and switches."""
        return fingerprint([self.labels, b"" if self._ids is None else self._ids, self.switches])

    def _see(self, part: Presentations) -> None:
        """Hand presentations to the accumulators."""
        columns = dict(zip(self._wanted, part.columns, strict=True))
        finite = np.all([columns[key] > 0 for key in columns if key[1] == "finite"], axis=0)
        self.presentations += np.bincount(part.samples, minlength=self.n)
        self.skipped += int((~finite).sum())
        if finite.any():
            for a in self._accumulators.values():
                a.see(part.samples[finite], columns[a.forward, a.column][finite])

    def _look_for_misfit(self, parts: Sequence[Presentations]) -> None:
        if not parts:
            return
        epoch = joined(parts)
        finite, predicted, confidence = epoch.columns
        rows = np.flatnonzero(finite > 0)
        words = misfit(
            self.labels[epoch.samples[rows]],
            predicted[rows].astype(np.int64),
            confidence[rows],
            self._name,
        )
        if words is not None:
            self._looks_for_misfit = False
            text = f"Logits and labels do not belong together: in epoch {self.epoch}, {words}"
            warnings.warn(text, DropWarning, stacklevel=3)

    def _name(self, code: int) -> str:
        known = self._classes is not None and 0 <= code < len(self._classes)
        return f"{self._classes[code]!r} ({code})" if known and self._classes else f"class {code}"

    def _check_logits(self, argument: str, logits: object, rows: npt.NDArray[np.int64]) -> Tensor:
        if not isinstance(logits, torch.Tensor):
            raise DropError(argument, f"must be a tensor, but got a {type(logits).__name__}")
        most = int(self.labels[rows].max(initial=0))
        if logits.ndim != 2 or len(logits) != len(rows) or logits.shape[1] <= max(most, 1):
            raise DropError(
                argument,
                f"must have the shape ({len(rows)}, K), a row per index and an output per class "
                f"(labels reach {most}), but got {tuple(logits.shape)}",
            )
        if self._outputs not in (None, logits.shape[1]):
            raise DropError(
                argument,
                f"must have as many outputs in every batch, {self._outputs} so far, but got "
                f"{logits.shape[1]}; record each model with a recorder of its own",
            )
        return logits

    def _check_targets(self, targets: object, rows: npt.NDArray[np.int64]) -> None:
        values = checks.ordered("targets", targets, "the order of the logits")
        values = values.cpu().numpy() if isinstance(values, torch.Tensor) else values
        array = np.asarray(
            values
            if isinstance(values, np.ndarray)
            else list(checks.items("targets", values, "labels"))
        )
        if array.dtype.kind == "U" and self._classes is not None:
            code_of = {name: code for code, name in enumerate(self._classes)}
            array = np.array([code_of.get(str(name), -1) for name in array.tolist()], np.int64)
        if array.shape != rows.shape or array.dtype.kind not in "iub":
            raise DropError(
                "targets",
                f"must be {len(rows)} class indices or class names, one per sample of the batch, "
                f"but got {array.dtype} of the shape {array.shape}; leave them out where labels "
                "are mixed or smoothed",
            )
        wrong = np.flatnonzero(array != self.labels[rows])
        if len(wrong):
            whose: Callable[[int], str] = lambda i: (  # noqa: E731
                f"{self._name(int(array[i]))} for sample "
                f"{rows[i] if self._ids is None else self._ids[rows[i]].decode()}, whose label is "
                f"{self._name(int(self.labels[rows[i]]))}"
            )
            raise DropError(
                "targets",
                f"must be the labels of the samples, but {len(wrong)} of {len(rows)} are others: "
                f"{listing(wrong.tolist(), 3, whose)}; pass the samples of this very batch, and "
                "classes= in the order of the loader's class indices",
            )


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
    array = np.asarray(labels.cpu() if isinstance(labels, torch.Tensor) else labels)
    if array.shape != (n,) or array.dtype.kind not in "iu" or array.min() < 0:
        raise DropError(
            "labels",
            f"must be integer class indices >= 0 of the shape ({n},), one per sample, but got "
            f"{array.dtype} of the shape {array.shape}",
        )
    return array.astype(np.int64)


def _check_indices(indices: Indices, n: int) -> npt.NDArray[np.int64]:
    rows = np.asarray(indices.cpu() if isinstance(indices, torch.Tensor) else indices)
    if rows.ndim != 1 or (rows.size and rows.dtype.kind not in "iu"):
        raise DropError(
            "indices",
            f"must be a list of sample numbers, but got {rows.dtype} of the shape {rows.shape}",
        )
    if rows.size and not 0 <= rows.min() <= rows.max() < n:
        raise DropError("indices", f"must lie in [0, {n}), but got [{rows.min()}, {rows.max()}]")
    return rows.astype(np.int64)
