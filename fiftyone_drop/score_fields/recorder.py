"""Record training dynamics of FiftyOne samples in anybody's own training loop."""

from __future__ import annotations

import os
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import fiftyone.core.collections as foc
import numpy as np
from torch import Tensor

from fiftyone_drop import checks, scoring
from fiftyone_drop._log import logger
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.engine.cache import cache_folder
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import check_collection
from fiftyone_drop.reader import rows_of
from fiftyone_drop.score_fields.class_order import class_order, positions
from fiftyone_drop.score_fields.fields import (
    check_field_free,
    check_parts,
    field_values,
    read_labelled,
    write,
)
from fiftyone_drop.waiting import UNFINISHED


class DynamicsRecorder:
    """Turns the logits of a training loop into score fields.

    Three lines in any loop: ``update``, ``end_epoch``, ``finish``::

        recorder = fod.DynamicsRecorder(view, "ground_truth")
        for epoch in range(epochs):
            for ids, images, targets in loader:
                logits = model(images)
                recorder.update(ids, logits, targets=targets)
                ...
            recorder.end_epoch()
        recorder.finish()

    It takes the logits as they are, of any precision and still attached to the graph, and keeps a
    few numbers per sample. With gradient accumulation call ``update`` for every batch all the same.

    In a training of several processes (``torch.distributed``, ``torchrun``) each constructs the
    recorder of the whole view, passes its own batches and calls all three: ``end_epoch`` gathers
    the epoch from all of them, samples that a ``DistributedSampler`` repeats do not count twice,
    and the first process writes.

    For Lightning and Hugging Face's Trainer there are callbacks in
    :mod:`fiftyone_drop.integrations`.

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or view of the training samples
        label_field (None): a Classification, string, integer or boolean field; by default the only
            Classification field that is not a known prediction
        scores: names of scores of training dynamics; by default all but TDDS, which keeps 4
            bytes per sample and class, 8 in an epoch and 12 while it ends
        classes (None): the class names in the order of the logits; by default
            ``dataset.classes[label_field]`` or ``dataset.default_classes``, and where there is
            neither the labels of ``samples``: whole numbers by their value, other names sorted, as
            ``ImageFolder`` and most loaders number them
        prefix (""): the fields are named ``prefix`` + score
        overwrite (False): whether to replace fields that exist and are no scores of that name, and
            to clear scores of other trainings in samples that are not in ``samples``
        gather (True): whether epochs are gathered from all processes, where there are several.
            With False each process records a training of its own
        **switches: conventions of the scores, such as ``window=5`` or ``never_learned="inf"``

    Raises:
        DropError: if an argument is invalid
    """

    def __init__(
        self,
        samples: foc.SampleCollection,
        label_field: str | None = None,
        scores: Collection[str] = scoring.DYNAMICS,
        *,
        classes: Sequence[str] | None = None,
        prefix: str = "",
        overwrite: bool = False,
        gather: bool = True,
        **switches: str | int,
    ) -> None:
        check_collection(samples)
        label_field = checks.text("label_field", label_field, optional=True)
        scores = checks.texts("scores", scores)
        prefix = checks.text("prefix", prefix, empty=True)
        overwrite = checks.flag("overwrite", overwrite)
        self._dataset = samples._root_dataset
        self._prefix = prefix
        self._kept_in = cache_folder() / f"scores-{uuid.uuid4().hex}.npz"
        self._fields = {name: prefix + name for name in scores}
        for name, field in self._fields.items():
            check_field_free(self._dataset, field, "score", name, overwrite)
        label_field, population = read_labelled(samples, label_field)
        self._label_field, self._ids = label_field, population.ids
        self._overwrite = overwrite
        # Before the training, not after it
        check_parts(self._dataset, self._ids, dict.fromkeys(self._fields.values()), overwrite)
        self._order = np.argsort(self._ids)
        names = population.label_names
        self.classes = class_order(samples, label_field, names, classes)
        place = positions(self.classes, names, label_field, given=classes is not None)
        labels = place[population.labels]
        self._recorder = scoring.DynamicsRecorder(
            len(labels),
            labels,
            scores=scores,
            ids=self._ids,
            classes=self.classes,
            gather=gather,
            **switches,
        )

    def update(
        self,
        samples: Sequence[str] | Sequence[int] | Tensor | IntArray,
        logits: Tensor,
        *,
        targets: Sequence[str] | Sequence[int] | Tensor | IntArray | None = None,
        clean_logits: Tensor | None = None,
    ) -> None:
        """Record one batch.

        Args:
            samples: B sample ids, or B positions in the view
            logits: (B, K) float, any device and precision, as the training step has them
            targets (None): the labels that the batch is trained with, B class indices or names.
                They are compared with the labels of the samples, which tells whether samples,
                labels and classes belong together. Leave them out where labels are mixed
            clean_logits (None): (B, K) float, those of an extra forward pass in evaluation mode,
                without augmentation; only for scores switched to "clean"

        Raises:
            DropError: if a sample is not in the view, targets are other labels, or there are not
                as many logits as classes
        """
        for argument, values in {"logits": logits, "clean_logits": clean_logits}.items():
            shape = tuple(getattr(values, "shape", ()))  # the recorder below refuses no tensor
            if isinstance(values, Tensor) and shape[1:] != (len(self.classes),):
                raise DropError(
                    argument,
                    f"must have one column for each of the {len(self.classes)} classes "
                    f"{listing(self.classes)}, but have the shape {shape}; pass all of the "
                    "model's classes to DynamicsRecorder(classes=...)",
                )
        rows = self._rows(samples)
        try:
            self._recorder.update(rows, logits, targets=targets, clean_logits=clean_logits)
        except DropError as error:
            if error.argument != "indices":
                raise
            raise DropError("samples", error.message) from error

    def end_epoch(self) -> None:
        """End an epoch. In a training of several processes all of them call it.

        Raises:
            DropError: if the recorders of several processes are not of the same samples

        Warns:
            DropWarning: once, if predictions and labels cannot belong together, as with ``classes``
                in another order than the outputs, or positions that are not those in the view
        """
        self._recorder.end_epoch()

    @property
    def epoch(self) -> int:
        """How many epochs have ended."""
        return self._recorder.epoch

    def restart_epoch(self) -> None:
        """Forget what was recorded since the last epoch ended: the epoch begins again.

        For a training that goes on from a checkpoint within an epoch, with a loader that presents
        all of the epoch once more.
        """
        self._recorder.restart_epoch()

    def finish(self, progress: Any = None) -> list[str]:
        """Write the scores of the epochs that have ended. Recording may go on afterwards.

        Samples that were never seen, or too rarely for a score, stay empty. A failure leaves the
        old scores or the new. Until they are written, the scores lie in a file in the user's cache,
        which a failure names. In a training of several processes the first one writes.

        Args:
            progress (None): as everywhere in FiftyOne

        Returns:
            the names of the fields

        Raises:
            DropError: no epoch has ended, or a field may not be written
            ConnectionError: the database was away for ten minutes, or again and again

        Warns:
            DropWarning: if a score has no value at all, logits were not finite, samples were
                presented more often than others, or the last epoch has not ended
        """
        epochs = self._recorder.epoch
        if not epochs:
            raise DropError(
                "finish",
                "no epoch has ended, so that there is nothing to write; call end_epoch() "
                "after each epoch",
            )
        results = self._recorder.finish()
        fields = {
            self._fields[name]: field_values(
                name,
                values,
                self._recorder.switches[name],
                model=f"a training run of {epochs} epochs",
                epochs=epochs,
                presentations=list(self._recorder.presented),
                label_field=self._label_field,
                out_of_sample=False,
            )
            for name, values in results.items()
        }
        if not self._recorder.writes:
            return list(fields)
        with self._kept(results) as saved:
            groups = [(self._ids, fields)]
            return write(self._dataset, groups, self._overwrite, progress, saved)

    @contextmanager
    def _kept(self, results: Mapping[str, FloatArray]) -> Iterator[str]:
        """Keep the scores in a file until they are written: a script that ends loses its memory.

        Args:
            results: score name -> (n,) scores

        Yields:
            words for where they are
        """
        try:
            self._kept_in.parent.mkdir(parents=True, exist_ok=True)
            self._recorder.save_results(self._kept_in, results)
        except OSError as error:  # no reason not to write them
            logger.info("The scores of the training cannot be kept in a file: %s", error)
            yield UNFINISHED
            return
        prefix = f", prefix={self._prefix!r}" if self._prefix else ""
        remedy = f"fiftyone_drop.import_scores(samples, {str(self._kept_in)!r}{prefix})"
        saved = f"the scores of the training lie in a file, for {remedy}"
        try:
            yield saved
        except BaseException:
            logger.error("Not written: %s", saved)
            raise
        self._kept_in.unlink(missing_ok=True)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the scores to an .npz file with the sample ids, for ``import_scores``."""
        self._recorder.save(path)

    def state_dict(self) -> dict[str, Any]:
        """The state for a checkpoint of the training, for ``torch.save``.

        When an epoch has ended, it is the same in all processes.
        """
        return self._recorder.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on where another recorder of the same samples stopped; in each process."""
        self._recorder.load_state_dict(state)

    def _rows(self, samples: Sequence[str] | Sequence[int] | Tensor | IntArray) -> Any:
        if isinstance(samples, Tensor):
            return samples
        samples = checks.ordered("samples", samples, "the order of the logits")
        items = list(checks.items("samples", samples, "sample ids or positions"))
        if not items or not isinstance(items[0], str):
            return items
        # Wider than an id, so that no longer text passes for one
        ids = np.array([str(item).encode() for item in items], dtype="S25")
        rows = rows_of(ids, self._ids, self._order)
        strangers = np.flatnonzero(rows < 0)
        if len(strangers):
            raise DropError(
                "samples",
                f"{len(strangers)} of {len(ids)} ids are not in the view that is "
                f"recorded, such as {items[int(strangers[0])]!r}",
            )
        return rows
