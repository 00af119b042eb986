"""Trainings that are interrupted on purpose and their results, and a network that needs memory."""

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from fiftyone_drop.scoring import DynamicsRecorder
from fiftyone_drop.training import TrainingOptions, cross_validate, train
from fiftyone_drop.training.architectures import SmallCNN

OPTIONS = TrainingOptions(epochs=3, batch_size=32, device="cpu")  # 120 images: 4 steps of 30 each
SCORES = ("forgetting", "aum", "dual", "tdds", "el2n_mean")


class Interruption(BaseException):
    """What Ctrl-C raises is none of Exception's either."""


def stop_after(images):
    """A progress callback that interrupts once so many images are done."""
    done = 0

    def progress(more):
        nonlocal done
        done += more
        if done >= images:
            raise Interruption

    return progress


def recorder_of(few, scores=SCORES):
    return DynamicsRecorder(len(few[1]), few[1], scores=scores, window=2, tdds_window=3)


def outcome(few, folder=None, options=OPTIONS, **listeners):
    """The weights and the recorded state of one training."""
    recorder = recorder_of(few)
    model = train(*few, options, recorder=recorder, checkpoint_dir=folder, **listeners)
    return model.module.state_dict(), recorder.state_dict()["state"]


def folds_outcome(few, fold_of, folder=None, on_logits=None, **listeners):
    """The weights of every fold, and all out-of-sample logits, each written exactly once."""
    logits = np.full((len(few[0]), len(few[2])), np.nan, np.float32)

    def collect(indices, values):
        assert np.isnan(logits[indices]).all()
        logits[indices] = values
        if on_logits is not None:
            on_logits(indices, values)

    models = cross_validate(
        *few,
        fold_of,
        replace(OPTIONS, epochs=2),
        on_logits=collect,
        checkpoint_dir=folder,
        keep_models=True,
        **listeners,
    )
    return [model.module.state_dict() for model in models], torch.from_numpy(logits)


def same(one, other):
    """Whether nested tensors are equal bit for bit."""
    if isinstance(one, torch.Tensor):
        # Not torch.equal: NaN marks samples without a score, and is equal to itself here.
        bits = [tensor.cpu().numpy().tobytes() for tensor in (one, other)]
        return one.dtype == other.dtype and bits[0] == bits[1]
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return len(one) == len(other) and all(map(same, one, other))


class Small(nn.Module):
    """A network that runs out of memory whenever it gets more than ``most`` images."""

    def __init__(self, most, error=torch.cuda.OutOfMemoryError("CUDA out of memory.")):  # noqa: B008
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.network = SmallCNN(10, 8)
        self.most, self.error, self.sizes = most, error, []

    def forward(self, images):
        self.sizes.append(len(images))
        if len(images) > self.most:
            raise self.error
        return self.network(images)
