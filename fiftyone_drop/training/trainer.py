"""Train query models: one on all samples, or one per fold for out-of-sample predictions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fiftyone_drop import checks
from fiftyone_drop.engine.checkpoint import Checkpoint
from fiftyone_drop.engine.files import Folder
from fiftyone_drop.engine.images import Indices
from fiftyone_drop.engine.randomness import deterministic_algorithms
from fiftyone_drop.training.arrays import check_recorder, split_folds
from fiftyone_drop.training.fitting import Listeners, OnBatch, fit
from fiftyone_drop.training.options import TrainingOptions
from fiftyone_drop.training.query_model import Floats, Progress, QueryModel
from fiftyone_drop.training.task import Task

if TYPE_CHECKING:
    from fiftyone_drop.scoring import DynamicsRecorder

OnLogits = Callable[[Indices, Floats], object]


def train(
    paths: Sequence[str],
    labels: npt.ArrayLike,
    classes: Sequence[str],
    options: TrainingOptions | None = None,
    *,
    progress: Progress | None = None,
    on_batch: OnBatch | None = None,
    recorder: DynamicsRecorder | None = None,
    checkpoint_dir: Folder | Checkpoint | None = None,
) -> QueryModel:
    """Train one query model on all samples, without augmentation, as the paper does.

    With ``checkpoint_dir``, an interrupted call goes on where it stopped when it is made again, and
    ends with the same weights and the same recorded dynamics, on the CPU (and with
    ``deterministic`` on CUDA) bit for bit.

    Args:
        paths: N >= 2 image files
        labels: (N,) integers, positions in ``classes``
        classes: K class names; some may have no sample
        options: how to train. None means the defaults
        progress: called with the number of images trained on since its last call; every epoch
            counts N, and so do the images of an interrupted call
        on_batch: called at every step of this call with positions in ``paths`` (B,) int64 and the
            logits (B, K) float32 from before the step, detached, on the training device
        recorder: records the training dynamics, one epoch after the other; of N samples with the
            same labels. Scores switched to "clean" cost a second forward pass, about a third of
            the training time. After an error or an interruption it is as it was before
        checkpoint_dir: a folder for checkpoints, written from time to time and removed at the end,
            where a call finds its own again by its inputs; or a ``Checkpoint`` in such a folder,
            which the caller removes. None writes none

    Returns:
        the model, in evaluation mode

    Raises:
        DropError: bad arguments, an unreadable image, weights that cannot be downloaded, a
            training that diverged, or a GPU that is too small

    Warns:
        DropWarning: a checkpoint is damaged, or cannot be written; the training goes on
    """
    task = Task.of(paths, labels, classes, options)
    everything = np.arange(len(paths), dtype=np.int64)
    with (
        _recording(recorder, task, 1),
        task.running(),
        _checkpoint(checkpoint_dir, task, None, recorder) as checkpoint,
    ):
        return fit(task, everything, 0, Listeners(progress, on_batch, recorder), checkpoint)


def cross_validate(
    paths: Sequence[str],
    labels: npt.ArrayLike,
    classes: Sequence[str],
    fold_of: npt.ArrayLike,
    options: TrainingOptions | None = None,
    *,
    on_logits: OnLogits,
    progress: Progress | None = None,
    on_batch: OnBatch | None = None,
    recorder: DynamicsRecorder | None = None,
    checkpoint_dir: Folder | Checkpoint | None = None,
    keep_models: bool = False,
) -> list[QueryModel]:
    """Predict every sample of a fold with a model that was trained on the other folds.

    Images that take up to 2 GiB once decoded are read once for all folds; more than that is read
    again in every epoch.

    With ``checkpoint_dir``, an interrupted call goes on where it stopped when it is made again.
    Folds that were done are not trained again, only predicted.

    Args:
        paths: N image files
        labels: (N,) integers, positions in ``classes``
        classes: K class names; some may be absent from what a fold trains on
        fold_of: (N,) integers, the fold that holds each sample out. -1 is never held out, so that
            folds {-1, 0} are hold-out training
        options: how to train. None means the defaults
        on_logits: called with positions in ``paths`` (B,) int64 and their out-of-sample logits
            (B, K) float32; every sample of a fold >= 0 comes exactly once in a call that returns
        progress: called with the number of images trained on, or predicted, since its last call
        on_batch: as in ``train``; the folds train one after the other, in ascending order
        recorder: as in ``train``, for hold-out training only: dynamics are those of one model on
            the samples it is trained on, and samples that are held out are never seen
        checkpoint_dir: as in ``train``
        keep_models: return the models, which otherwise are dropped once they have predicted

    Returns:
        one model per fold in ascending order of the folds; an empty list without ``keep_models``

    Raises:
        DropError: as in ``train``; no fold is held out, or one leaves too little to train on
    """
    keep_models = checks.flag("keep_models", keep_models)
    folds = split_folds(fold_of, len(paths))
    task = Task.of(paths, labels, classes, options)
    models = []
    with (
        _recording(recorder, task, len(folds)),
        _checkpoint(checkpoint_dir, task, fold_of, recorder) as checkpoint,
    ):
        listeners = Listeners(progress, on_batch, recorder)
        for fold in folds:
            with task.running():
                model = fit(task, fold.kept, fold.number, listeners, checkpoint)
            with deterministic_algorithms(task.setup.device, task.options.deterministic):
                for indices, logits, _ in model.predict_images(
                    task.images, fold.held_out, progress=progress
                ):
                    on_logits(indices, logits)
                    checkpoint.tick()
            if keep_models:
                models.append(model)
    return models


@contextmanager
def _recording(recorder: DynamicsRecorder | None, task: Task, models: int) -> Iterator[None]:
    """Check a recorder, which is as before after any error inside.

    So the same call may follow with the same recorder, and no presentation counts twice.
    """
    if recorder is None:
        yield
        return
    check_recorder(recorder, task.codes, models)
    before = recorder.state_dict()
    try:
        yield
    except BaseException:
        recorder.load_state_dict(before)
        raise


@contextmanager
def _checkpoint(
    place: Folder | Checkpoint | None,
    task: Task,
    fold_of: npt.ArrayLike | None,
    recorder: DynamicsRecorder | None,
) -> Iterator[Checkpoint]:
    """The checkpoint of a call; unless it is the caller's, it is removed after the call."""
    checkpoint = place if isinstance(place, Checkpoint) else Checkpoint(place)
    checkpoint.open(
        lambda: {
            **task.inputs(),
            "fold_of": None if fold_of is None else np.asarray(fold_of, np.int64),
            "recorder": None if recorder is None else recorder.state_dict(),
        }
    )
    with nullcontext(checkpoint) if checkpoint is place else checkpoint:
        yield checkpoint
