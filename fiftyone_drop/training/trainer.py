"""Train query models: one on all samples, or one per fold for out-of-sample predictions."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from fiftyone_drop.errors import DropError
from fiftyone_drop.training.architectures import build
from fiftyone_drop.training.checks import check_samples, split_folds
from fiftyone_drop.training.images import RGB, Images, Indices
from fiftyone_drop.training.optimiser import Optimiser, own_randomness
from fiftyone_drop.training.options import Setup, TrainingOptions
from fiftyone_drop.training.query_model import Floats, Progress, QueryModel

OnBatch = Callable[[Indices, torch.Tensor], object]
OnLogits = Callable[[Indices, Floats], object]

IMAGENET_MEAN: RGB = (0.485, 0.456, 0.406)
IMAGENET_STD: RGB = (0.229, 0.224, 0.225)


def train(
    paths: Sequence[str],
    labels: npt.ArrayLike,
    classes: Sequence[str],
    options: TrainingOptions | None = None,
    *,
    progress: Progress | None = None,
    on_batch: OnBatch | None = None,
) -> QueryModel:
    """Train one query model on all samples, without augmentation, as the paper does.

    Args:
        paths: N >= 2 image files
        labels: (N,) integers, positions in ``classes``
        classes: K class names; some may have no sample
        options: how to train. None means the defaults
        progress: called with the number of images trained on since its last call; every epoch
            counts N
        on_batch: called at every step with positions in ``paths`` (B,) int64 and the logits (B, K)
            float32 from before the step, detached, on the training device

    Returns:
        the model, in evaluation mode

    Raises:
        DropError: bad arguments, an unreadable image, weights that cannot be downloaded, or a
            training that diverged
    """
    task = _Task.of(paths, labels, classes, options)
    everything = np.arange(len(paths), dtype=np.int64)
    return task.fit(everything, 0, progress, on_batch)


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
    keep_models: bool = False,
) -> list[QueryModel]:
    """Predict every sample of a fold with a model that was trained on the other folds.

    Images that take up to 2 GiB once decoded are read once for all folds; more than that is read
    again in every epoch.

    Args:
        paths: N image files
        labels: (N,) integers, positions in ``classes``
        classes: K class names; some may be absent from what a fold trains on
        fold_of: (N,) integers, the fold that holds each sample out. -1 is never held out, so that
            folds {-1, 0} are hold-out training
        options: how to train. None means the defaults
        on_logits: called with positions in ``paths`` (B,) int64 and their out-of-sample logits
            (B, K) float32; every sample of a fold >= 0 comes exactly once
        progress: called with the number of images trained on, or predicted, since its last call
        on_batch: as in ``train``; the folds train one after the other, in ascending order
        keep_models: return the models, which otherwise are dropped once they have predicted

    Returns:
        one model per fold in ascending order of the folds; an empty list without ``keep_models``

    Raises:
        DropError: as in ``train``; no fold is held out, or one leaves too little to train on
    """
    folds = split_folds(fold_of, len(paths))
    task = _Task.of(paths, labels, classes, options)
    models = []
    for fold in folds:
        model = task.fit(fold.kept, fold.number, progress, on_batch)
        for indices, logits, _ in model.predict_images(
            task.images, fold.held_out, progress=progress
        ):
            on_logits(indices, logits)
        if keep_models:
            models.append(model)
    return models


@dataclass(frozen=True)
class _Task:
    """What all folds share. Its fields are checked."""

    images: Images
    codes: npt.NDArray[np.int64]
    classes: tuple[str, ...]
    options: TrainingOptions
    setup: Setup

    @classmethod
    def of(
        cls,
        paths: Sequence[str],
        labels: npt.ArrayLike,
        classes: Sequence[str],
        options: TrainingOptions | None,
    ) -> _Task:
        options = options or TrainingOptions()
        codes = check_samples(paths, labels, classes)
        setup = options.setup(paths)
        images = Images(paths, setup.image_size, workers=setup.workers)
        return cls(images, codes, tuple(classes), options, setup)

    def fit(
        self, indices: Indices, fold: int, progress: Progress | None, on_batch: OnBatch | None
    ) -> QueryModel:
        """Train a model on some of the samples; its seed follows from the options' and the fold."""
        seed = int(np.random.SeedSequence((self.options.seed, fold)).generate_state(1)[0])
        shuffle = np.random.default_rng(seed)
        steps = self.options.steps_per_epoch(len(indices))
        epochs = self.options.epochs_for(len(indices))
        with own_randomness(self.setup.device, seed):
            model = self._new_model(indices)
            targets = torch.from_numpy(self.codes).to(self.setup.device)
            optimiser = Optimiser(model, self.options, self.setup.learning_rate, epochs * steps)
            for epoch in range(epochs):
                batches = np.array_split(shuffle.permutation(indices), steps)
                losses = []
                for batch, pixels in self.images.batches(batches):
                    logits, loss = optimiser.step(pixels, targets[batch])
                    losses.append(loss)
                    if on_batch is not None:
                        on_batch(batch, logits)
                    if progress is not None:
                        progress(len(batch))
                self._check_finite(float(torch.stack(losses).mean()), epoch)
        model.module.eval()
        return model

    def _new_model(self, indices: Indices) -> QueryModel:
        setup = self.setup
        pretrained = self.options.pretrained
        module = build(
            setup.architecture, len(self.classes), setup.image_size, pretrained=pretrained
        )
        module.to(setup.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        mean, std = IMAGENET_MEAN, IMAGENET_STD
        if not pretrained:
            mean, std = self.images.statistics(indices)
        return QueryModel(module, self.classes, setup.architecture, setup.image_size, mean, std)

    def _check_finite(self, loss: float, epoch: int) -> None:
        if not math.isfinite(loss):
            raise DropError(
                f"The query model diverged in epoch {epoch + 1} (loss {loss}) with "
                f"architecture {self.setup.architecture!r} at "
                f"`learning_rate={self.setup.learning_rate}`; set a tenth of that."
            )
