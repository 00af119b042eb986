"""Train query models: one on all samples, or one per fold for out-of-sample predictions."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
import numpy.typing as npt

from fiftyone_drop import checks
from fiftyone_drop.engine.checkpoint import Checkpoint
from fiftyone_drop.engine.files import Folder
from fiftyone_drop.engine.images import Indices
from fiftyone_drop.engine.runner import Here, Runner
from fiftyone_drop.engine.settings import own_settings
from fiftyone_drop.training.arrays import Fold, check_recorder, split_folds
from fiftyone_drop.training.fitting import Listeners, OnBatch
from fiftyone_drop.training.folds import FoldTrainer, Trained
from fiftyone_drop.training.options import TrainingOptions
from fiftyone_drop.training.query_model import Floats, Progress, QueryModel
from fiftyone_drop.training.task import Task

if TYPE_CHECKING:
    from fiftyone_drop.scoring import DynamicsRecorder

T = TypeVar("T")
OnLogits = Callable[[Indices, Floats], object]


@own_settings()
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
    runner: Runner | None = None,
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
            same labels. Scores switched to "clean" cost a second forward pass in each step. After
            an error or an interruption it is as it was before
        checkpoint_dir: a folder for checkpoints, written from time to time and removed at the end,
            where a call finds its own again by its inputs; or a ``Checkpoint`` in such a folder,
            which the caller removes. None writes none
        runner: where the training runs; None for here. Elsewhere ``on_batch`` is never called, and
            ``progress`` at the end

    Returns:
        the model, in evaluation mode

    Raises:
        DropError: bad arguments, an unreadable image, weights that cannot be downloaded, a
            training that diverged, or a GPU that is too small

    Warns:
        DropWarning: a checkpoint is damaged, or cannot be written; the training goes on
    """
    runner = runner or Here()
    task = Task.of(paths, labels, classes, options).on(runner)
    everything = np.arange(len(paths), dtype=np.int64)
    with (
        _recording(recorder, task, 1),
        _checkpoint(checkpoint_dir, task, None, recorder) as checkpoint,
    ):
        listeners = Listeners(progress, on_batch, recorder)
        fold = Fold(0, everything, everything[:0])
        (model,) = _trained(task, [fold], listeners, checkpoint, _nobody, runner)
        return model()


@own_settings()
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
    runner: Runner | None = None,
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
        runner: as in ``train``; elsewhere the folds train at once

    Returns:
        one model per fold in ascending order of the folds; an empty list without ``keep_models``

    Raises:
        DropError: as in ``train``; no fold is held out, or one leaves too little to train on
    """
    keep_models = checks.flag("keep_models", keep_models)
    folds = split_folds(fold_of, len(paths))
    runner = runner or Here()
    task = Task.of(paths, labels, classes, options).on(runner)
    with (
        _recording(recorder, task, len(folds)),
        _checkpoint(checkpoint_dir, task, fold_of, recorder) as checkpoint,
    ):
        listeners = Listeners(progress, on_batch, recorder)
        trained = _trained(task, folds, listeners, checkpoint, on_logits, runner, keep_models)
        return [model() for model in trained]


def _trained(
    task: Task,
    folds: Sequence[Fold],
    listeners: Listeners,
    checkpoint: Checkpoint,
    on_logits: OnLogits,
    runner: Runner,
    keep_models: bool = True,
) -> Iterator[Callable[[], QueryModel]]:
    """Train the models of folds, here or elsewhere; what makes each, in the order of the folds.

    Without ``keep_models`` there is nothing to make: each model goes once it has predicted.
    """
    names = {fold.number: f"fold-{fold.number}" for fold in folds}
    made: dict[int, Callable[[], QueryModel]] = {}

    def parts() -> Iterator[tuple[Fold, Any]]:
        for fold in folds:  # here the checkpoint itself is at hand
            yield fold, checkpoint.load(names[fold.number]) if runner.away else None

    with closing(runner.run(FoldTrainer(task, listeners, checkpoint), parts())) as results:
        for (fold, _), piece in results:
            if not isinstance(piece, Trained):
                on_logits(*piece)
                if runner.away:
                    listeners.count(len(piece[0]))
                continue
            if piece.model is not None:
                if keep_models:
                    made[fold.number] = functools.partial(_same, piece.model)
                continue
            state = piece.state
            assert state is not None
            if keep_models:
                made[fold.number] = functools.partial(_model_of, task, fold, state)
            checkpoint.save(names[fold.number], functools.partial(_same, state), often=True)
            if listeners.recorder is not None:
                listeners.recorder.load_state_dict(state["recorder"])
            listeners.count(len(fold.kept) * task.options.epochs_for(len(fold.kept)))
    yield from (made[fold.number] for fold in folds if keep_models)


def _nobody(indices: Indices, logits: Floats) -> None:
    """Nothing is held out."""


def _same(value: T) -> T:
    return value


def _model_of(task: Task, fold: Fold, state: Mapping[str, Any]) -> QueryModel:
    """The model of a training elsewhere, where the task's models are."""
    model = task.new_model(fold.kept, state)
    model.module.eval()
    return model


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
            "code": None if recorder is None else recorder.code,
        }
    )
    with nullcontext(checkpoint) if checkpoint is place else checkpoint:
        yield checkpoint
