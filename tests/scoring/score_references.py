"""Every score once more, written from its definition: plain NumPy float64, no code shared.

`REFERENCES` has one entry per registered score; a test fails when one is missing. Its signature
follows from what the score needs:

* "logits", "features": f(logits, labels, features) -> (B,)
* "model": f(module, inputs, labels) -> (B,)
* "embeddings": f(embeddings, labels) -> (N,)
* "nothing": f(keys) -> (N,)
* "dynamics": f(history, labels, **switches) -> (N,), `history` being a list of epochs, each a list
  of presentations (sample, logits (K,))

Longer than other files, so that the definition of every score is in one place.
"""

import hashlib
import math

import numpy as np
import torch


def softmax(logits):
    z = np.exp(logits - logits.max(-1, keepdims=True))
    return z / z.sum(-1, keepdims=True)


def el2n(logits, labels, features=None):
    return np.linalg.norm(softmax(logits) - np.eye(logits.shape[1])[labels], axis=1)


def grand_last_layer(logits, labels, features):
    """The norm of the explicit gradient matrix, bias column and all."""
    error = softmax(logits) - np.eye(logits.shape[1])[labels]
    with_bias = np.concatenate([features, np.ones((len(features), 1))], axis=1)
    return np.linalg.norm(error[:, :, None] * with_bias[:, None, :], axis=(1, 2))


def loss(logits, labels, features=None):
    return np.log(np.exp(logits).sum(1)) - logits[np.arange(len(labels)), labels]


def entropy(logits, labels, features=None):
    p = softmax(logits)
    return -(p * np.log(p)).sum(1)


def margin(logits, labels, features=None):
    p = np.sort(softmax(logits), axis=1)
    return p[:, -1] - p[:, -2]


def least_confidence(logits, labels, features=None):
    return 1 - softmax(logits).max(1)


def grand(module, inputs, labels):
    """One sample at a time, as published."""
    parameters = [p for p in module.parameters() if p.requires_grad]
    norms = []
    for i in range(len(inputs)):
        loss = torch.nn.functional.cross_entropy(module(inputs[i : i + 1]), labels[i : i + 1])
        gradients = torch.autograd.grad(loss, parameters, allow_unused=True)
        norms.append(sum(g.double().square().sum() for g in gradients if g is not None).sqrt())
    return torch.stack(norms).cpu().numpy()


def class_mean_distance(embeddings, labels):
    return np.array(
        [
            np.linalg.norm(x - embeddings[labels == y].mean(0))
            for x, y in zip(embeddings, labels, strict=True)
        ]
    )


def k_center_picks(embeddings, n):
    distances = np.linalg.norm(embeddings[:, None] - embeddings[None], axis=2)
    picks = [int(np.linalg.norm(embeddings - embeddings.mean(0), axis=1).argmin())]
    while len(picks) < n:
        nearest = distances[:, picks].min(1)
        nearest[picks] = -1
        picks.append(int(nearest.argmax()))
    return np.array(picks)


def k_center(embeddings, labels):
    return np.argsort(k_center_picks(embeddings, len(embeddings))).astype(float)


def herding_picks(embeddings, herding_pick="closest"):
    mean, picks, weights = embeddings.mean(0), [], embeddings.mean(0)
    for _ in embeddings:
        left = [i for i in range(len(embeddings)) if i not in picks]
        if herding_pick == "closest":
            costs = [
                np.linalg.norm(embeddings[[*picks, i]].mean(0) - mean) * (len(picks) + 1)
                for i in left
            ]
        else:
            costs = [-weights @ embeddings[i] for i in left]
        picks.append(left[int(np.argmin(costs))])
        weights = weights + mean - embeddings[picks[-1]]
    return np.array(picks)


def herding(embeddings, labels, herding_pick="closest"):
    scores = np.empty(len(embeddings))
    for y in np.unique(labels):
        members = np.flatnonzero(labels == y)
        for j, pick in enumerate(herding_picks(embeddings[members], herding_pick)):
            scores[members[pick]] = (j + 0.5) / len(members)
    return scores


def zcore(
    embeddings,
    labels,
    zcore_draws=0,
    zcore_dimensions=2,
    zcore_neighbours=1000,
    zcore_exponent=4,
    zcore_start="uniform",
    seed=51,
):
    """One draw at a time, from the same random numbers."""
    n, width = embeddings.shape
    rng = np.random.default_rng(seed)
    scores = rng.random(n)
    if zcore_start == "zero":
        scores[:] = 0
    size = min(zcore_dimensions, width)
    for numbers in rng.random((zcore_draws or min(10 * n, 10**6), 2 * size)):
        left, x, point = list(range(width)), [], []
        for u, v in zip(numbers[:size], numbers[size:], strict=True):
            values = embeddings[:, left.pop(int(u * len(left)))]
            x.append(values)
            low, mode, high = values.min(), np.median(values), values.max()
            # Where v of the area below the triangle lies to the left
            if v * (high - low) < mode - low:
                point.append(low + np.sqrt(v * (high - low) * (mode - low)))
            else:
                point.append(high - np.sqrt((1 - v) * (high - low) * (high - mode)))
        x = np.array(x).T
        finder = np.abs(x - point).sum(1).argmin()
        distances = np.abs(x - x[finder]).sum(1)
        others = np.delete(np.arange(n), finder)
        if not distances[others].all():
            continue  # they share, and what they gain they lose
        scores[finder] += 1
        last = np.sort(distances[others])[: min(zcore_neighbours, n - 1)][-1]
        near = others[distances[others] <= last]
        loss = distances[near] ** -float(zcore_exponent)
        scores[near] -= loss / loss.sum()
    return (scores - scores.min()) / (scores.max() - scores.min())


def random(keys):
    def number(key):
        digest = hashlib.blake2b(f"51:{key}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) / 2**53

    return np.array([number(key) for key in keys])


# -- training dynamics: from the papers' formulas, one sample and one epoch at a time -------------


def _probabilities(logits):
    powers = [math.exp(z - max(logits)) for z in logits]
    return [power / sum(powers) for power in powers]


def _presentations(history, sample):
    return [list(logits) for epoch in history for i, logits in epoch if i == sample]


def _epoch_values(history, sample, function):
    """The sample's value in each epoch: None where it was not seen, the mean where it was twice."""
    values = []
    for epoch in history:
        seen = [function(list(logits)) for i, logits in epoch if i == sample]
        values.append(sum(seen) / len(seen) if seen else None)
    return values


def _each(labels, function):
    return np.array([function(i, int(y)) for i, y in enumerate(labels)], float)


def _first_of_the_highest(logits):
    return logits.index(max(logits))


def forgetting(history, labels, never_learned="max"):
    """Toneva et al., section 3 and Algorithm 1: acc at one presentation, not at the next."""
    most = max(len(_presentations(history, i)) for i in range(len(labels)))

    def score(i, y):
        right = [_first_of_the_highest(z) == y for z in _presentations(history, i)]
        if not right:
            return math.nan
        if not any(right):
            return {"max": most, "inf": math.inf, "zero": 0}[never_learned]
        events = 0
        for t in range(len(right) - 1):
            if right[t] and not right[t + 1]:
                events += 1
        return events

    return _each(labels, score)


def first_learned(history, labels):
    """Toneva et al., section 3: the first epoch in which the sample is right."""

    def score(i, y):
        if not _presentations(history, i):
            return math.nan
        for number, epoch in enumerate(history):
            for j, z in epoch:
                if j == i and _first_of_the_highest(list(z)) == y:
                    return number
        return len(history)

    return _each(labels, score)


def aum(history, labels, aum_on="logits"):
    """Pleiss et al., section 3: the mean of z_y - max z_i over i != y."""

    def score(i, y):
        margins = []
        for z in _presentations(history, i):
            values = z if aum_on == "logits" else _probabilities(z)
            margins.append(values[y] - max(v for c, v in enumerate(values) if c != y))
        return sum(margins) / len(margins) if margins else math.nan

    return _each(labels, score)


def el2n_mean(history, labels, el2n_epochs=10, el2n_forward="training"):
    """Paul et al., section 2: |p - onehot(y)|, here averaged over epochs as Zheng et al. sum it."""

    def score(i, y):
        def error_norm(z):
            p = _probabilities(z)
            return math.sqrt(sum((p[c] - (c == y)) ** 2 for c in range(len(p))))

        values = _epoch_values(history, i, error_norm)
        seen = [v for v in values[:el2n_epochs] if v is not None]
        return sum(seen) / len(seen) if seen else math.nan

    return _each(labels, score)


def _windows(history, i, y, J):
    """For each epoch: P(y | x) in the sample's last J epochs up to it, if it was seen in it."""
    values = _epoch_values(history, i, lambda z: _probabilities(z)[y])
    windows = []
    for last in range(len(values)):
        own = [p for p in values[: last + 1] if p is not None]
        windows.append(own[-J:] if len(own) >= J and values[last] is not None else None)
    return windows


def _mean_and_deviation(window):
    """He et al., section 3: P with a bar, and U_k with J - 1 in the denominator."""
    J = len(window)
    mean = sum(window) / J
    return mean, math.sqrt(sum((p - mean) ** 2 for p in window) / (J - 1))


def dynamic_uncertainty(
    history, labels, window=10, last_window="skip", uncertainty_forward="training"
):
    """He et al., section 3: U is the mean of U_k over k = 0 ... K - J - 1 of K epochs.

    So the window k = K - J, which ends with the last epoch, is left out. Their code takes 10 U_k.
    """

    def score(i, y):
        windows = _windows(history, i, y, window)
        if last_window == "skip":
            windows = windows[:-1]
        uncertainties = [10 * _mean_and_deviation(w)[1] for w in windows if w is not None]
        return sum(uncertainties) / len(uncertainties) if uncertainties else math.nan

    return _each(labels, score)


def dual(history, labels, window=10, dual_epochs=30):
    """Cho et al., section 3: the mean over windows of (1 - P bar) U_k in the first T epochs.

    Their code takes 10 times that.
    """

    def score(i, y):
        values = []
        for w in _windows(history[:dual_epochs], i, y, window):
            if w is not None:
                mean, deviation = _mean_and_deviation(w)
                values.append(10 * (1 - mean) * deviation)
        return sum(values) / len(values) if values else math.nan

    return _each(labels, score)


def tdds(history, labels, tdds_window=10, tdds_epochs=90):
    """Zhang et al., section 3: moves f' log(f' / f), their spread in a window, averaged over time.

    Their code takes the absolute value of every class's share of a move, adds 1e-8 inside the
    logarithms, and averages with weights 0.9 * 0.1^age.
    """

    def move(before, after):
        pairs = zip(before, after, strict=True)
        return sum(abs(q * (math.log(q + 1e-8) - math.log(p + 1e-8))) for p, q in pairs)

    def score(i, y):
        values = _epoch_values(history[:tdds_epochs], i, lambda z: np.array(_probabilities(z)))
        own = [p for p in values if p is not None]
        average = None
        for end in range(tdds_window, len(own) + 1):
            epochs = own[end - tdds_window : end]
            moves = [move(epochs[t], epochs[t + 1]) for t in range(tdds_window - 1)]
            mean = sum(moves) / len(moves)
            spread = math.sqrt(sum((m - mean) ** 2 for m in moves))
            average = 0.1 * (average or 0.0) + 0.9 * spread
        return math.nan if average is None else average

    return _each(labels, score)


REFERENCES = {
    function.__name__: function
    for function in (
        el2n,
        grand_last_layer,
        loss,
        entropy,
        margin,
        least_confidence,
        grand,
        forgetting,
        first_learned,
        aum,
        el2n_mean,
        dynamic_uncertainty,
        dual,
        tdds,
        class_mean_distance,
        k_center,
        herding,
        zcore,
        random,
    )
}
