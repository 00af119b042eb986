"""Made-up trainings: a history is a list of epochs, an epoch a list of (sample, logits (K,))."""

import numpy as np
import torch
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fiftyone_drop.scoring import DynamicsRecorder

N, K, EPOCHS = 23, 4, 14


def labels():
    return np.random.default_rng(0).integers(0, K, N)


def regular(epochs=EPOCHS, seed=1):
    """Every sample once per epoch, in random order; the model learns slowly."""
    rng = np.random.default_rng(seed)
    truth = np.eye(K)[labels()]
    ease = rng.normal(size=N)
    ease[:2] = -30  # two that are never learned
    history = []
    for epoch in range(epochs):
        logits = rng.normal(size=(N, K)) + truth * (ease[:, None] + 0.2 * epoch)
        logits = logits.astype(np.float32).astype(np.float64)
        history.append([(int(i), logits[i]) for i in rng.permutation(N)])
    return history


def irregular():
    """Samples seen twice, three times, not at all in an epoch, and one never."""
    history = regular(seed=2)
    rng = np.random.default_rng(3)
    for epoch, other in zip(history, regular(seed=4), strict=True):
        del epoch[:5]
        epoch += other[:6] + other[:2]
        rng.shuffle(epoch)
        epoch[:] = [(i, logits) for i, logits in epoch if i != 7]
    return history


def feed(recorder, epoch, batch=6):
    for start in range(0, len(epoch), batch):
        rows = epoch[start : start + batch]
        logits = torch.tensor(np.array([z for _, z in rows]))
        recorder.update(torch.tensor([i for i, _ in rows]), logits)


def record(history, targets=None, **options):
    targets = labels() if targets is None else targets
    recorder = DynamicsRecorder(len(targets), targets, **options)
    for epoch in history:
        feed(recorder, epoch)
        recorder.end_epoch()
    return recorder


@st.composite
def trainings(draw, most_epochs=7):
    """A history of few samples, some of them absent from an epoch or twice in it, and labels."""
    epochs, n, classes = draw(st.integers(1, most_epochs)), draw(st.integers(1, 3)), 3
    floats = st.floats(-8, 8, width=32)
    logits = draw(arrays(np.float32, (epochs, 2 * n, classes), elements=floats))
    times = draw(arrays(np.int64, (epochs, n), elements=st.sampled_from([1, 1, 1, 0, 2])))
    history = [
        [(i, logits[e, 2 * i + t].astype(float)) for i in range(n) for t in range(times[e, i])]
        for e in range(epochs)
    ]
    return history, draw(arrays(np.int64, n, elements=st.integers(0, classes - 1)))
