"""A classifier in closed form: ridge regression on random patches. It needs no training.

What class quotas need of a query model is one number per class. Features of random whitened patches
and one linear system give each sample a prediction of a model that was fitted without it, for the
price of less than one epoch of a small network. Features and system stand together, so the module
is longer than others.

Source: the features are those of Coates, Ng, Lee, AISTATS 2011, with random patches for centroids;
leave-one-out predictions of ridge regression follow from the hat matrix (Allen's PRESS, 1974).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d

from fiftyone_drop.engine.devices import choose_device, default_workers
from fiftyone_drop.engine.images import Indices, probe_size
from fiftyone_drop.engine.reader import Images, positions
from fiftyone_drop.engine.settings import own_settings
from fiftyone_drop.training.arrays import check_samples
from fiftyone_drop.training.query_model import Progress
from fiftyone_drop.training.trainer import OnLogits

LARGEST = 32  # pixels a side: what quotas need is seen there
DRAWN_FROM = 4096  # images
FILTERS = 128
PATCH, STRIDE, GRID = 6, 2, 2  # pixels a side, pixels between patches, pooled cells a side
FITTED_ON = 20_000  # patches that the whitening is fitted on
CONTRAST, WHITENING = 10 / 255**2, 0.1  # what keeps variances from zero
THRESHOLD = 0.25
RIDGES = (0.01, 0.1, 1.0)  # of the number of samples
CHOSEN_ON = 10_000  # samples
MOST_AXES = 8192  # of features, or samples if there are fewer: minutes on a few cores
FEW = 4096  # samples whose leverages may be so near to one that float32 cannot tell
AT_ONCE = 512
CONSTANT = 1e-6  # of a feature's mean: a smaller deviation is what float32 makes of a constant
FEW_IMAGES = 64


@dataclass(frozen=True)
class LeftOut:
    """A query model in closed form that leaves out each image once.

    Args:
        paths: N >= 2 image files
        size: pixels a side that it sees
        device: where it runs
    """

    paths: Sequence[str]
    size: int
    device: torch.device

    @classmethod
    def of(cls, paths: Sequence[str]) -> LeftOut:
        """The model for some files: of their size, at most 32 pixels a side, where it is fastest.

        Raises:
            DropError: a file cannot be read
        """
        return cls(paths, min(probe_size(paths), LARGEST), choose_device(None))

    def __str__(self) -> str:
        """One line for people."""
        images = f"{len(self.paths):,} images at {self.size}x{self.size}"
        return f"a query model in closed form, {images} on {self.device}"

    @own_settings()
    def predict(
        self,
        labels: npt.ArrayLike,
        classes: Sequence[str],
        seed: int,
        *,
        on_logits: OnLogits,
        progress: Progress | None = None,
    ) -> None:
        """Predict every image with a model that was fitted on all the others.

        A class of one image is unknown to the model that leaves this one out: its recall is 0.

        Args:
            labels: (N,) integers, positions in ``classes``
            classes: K class names
            seed: of the filters
            on_logits: called with positions in the paths (B,) int64 and their logits (B, K)
                float32; every image comes exactly once in a call that returns
            progress: called with the number of images read since its last call

        Raises:
            DropError: bad arguments, or an unreadable image
        """
        codes = torch.from_numpy(check_samples(self.paths, labels, classes)).to(self.device)
        n = len(self.paths)
        features_of = self._features(seed)
        features = torch.empty((n, features_of.size), device=self.device)
        for rows, images in self._read(np.arange(n)):
            features[rows] = features_of(images)
            if progress is not None:
                progress(len(rows))
        _leave_out(features, codes, len(classes), on_logits)

    def _features(self, seed: int) -> PatchFeatures:
        # Not the first ones: files of a class often stand together
        n = len(self.paths)
        drawn = np.sort(np.random.default_rng(seed).permutation(n)[:DRAWN_FROM])
        images = torch.cat([batch for _, batch in self._read(drawn)])
        return PatchFeatures(images.to(self.device), seed)

    def _read(self, indices: Indices) -> Iterator[tuple[Indices, Tensor]]:
        images = Images(self.paths, self.size, workers=default_workers(), cached=False)
        return images.batches(indices[i : i + AT_ONCE] for i in range(0, len(indices), AT_ONCE))


@own_settings()
def leave_out(
    features: npt.NDArray[np.float32],
    labels: npt.NDArray[Any],
    classes: int,
    *,
    on_logits: OnLogits,
) -> None:
    """Predict every sample by its features, with a model that was fitted on all the others.

    Args:
        features: (N, D) float32, N >= 2, all finite. Time goes with the cube of the smaller of
            N and D, which ``MOST_AXES`` bounds
        labels: (N,) integers in [0, K)
        classes: K
        on_logits: see :meth:`LeftOut.predict`
    """
    device = choose_device(None)
    codes = torch.from_numpy(labels.astype(np.int64)).to(device)
    _leave_out(torch.from_numpy(features).to(device), codes, classes, on_logits)


def _leave_out(features: Tensor, labels: Tensor, classes: int, on_logits: OnLogits) -> None:
    n = len(features)
    model = LeaveOneOut(features.double() if n <= FEW else features, labels, classes)
    scale = model.scale()
    for rows in positions(0, n, AT_ONCE):
        on_logits(rows, (model.outputs(rows) * scale).float().cpu().numpy())


class PatchFeatures:
    """What the patches of an image have in common with random patches of others.

    Each 6x6 patch is normalised in contrast and whitened, compared with the filters, and what is
    above a threshold, of either sign, is averaged over each quarter of the image.
    """

    def __init__(self, images: Tensor, seed: int, filters: int = FILTERS) -> None:
        """Draw the filters.

        Args:
            images: (M, 3, S, S) uint8, S >= 6: where the patches are from
            seed: of the drawing
            filters: how many
        """
        self._device = images.device
        patches = _normalised(_draw(images, np.random.default_rng(seed)))
        mean = patches.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov(patches.T).double())
        white = (vectors * (values.clamp(min=0) + WHITENING).rsqrt()) @ vectors.T
        chosen = (patches[:filters] - mean).double() @ white
        chosen = chosen / chosen.norm(dim=1, keepdim=True).clamp(min=1e-12)
        weights = chosen @ white
        self._shift = (weights @ mean.double()).float()
        # Weights without a mean see patches without theirs
        weights = (weights - weights.mean(1, keepdim=True)) / 255
        self._weights = weights.float().view(-1, 3, PATCH, PATCH)
        self.size = 2 * GRID**2 * len(weights)

    def __call__(self, images: Tensor) -> Tensor:
        """The features of images (B, 3, S, S) uint8, (B, ``size``) float32."""
        # What lies between is 100 kB per image: a few of them stay in the cache of a processor
        n = max(1, len(images))
        some = FEW_IMAGES if self._device.type == "cpu" else n
        return torch.cat([self._of(images[i : i + some]) for i in range(0, n, some)])

    def _of(self, images: Tensor) -> Tensor:
        x = images.to(self._device).float()
        mean = avg_pool2d(x.mean(1, keepdim=True), PATCH, STRIDE)
        square = avg_pool2d(x.square().mean(1, keepdim=True), PATCH, STRIDE)
        variance = (square - mean.square()).clamp_(min=0) / 255**2
        z = conv2d(x, self._weights, stride=STRIDE)
        z.mul_((variance + CONTRAST).rsqrt_()).sub_(self._shift.view(1, -1, 1, 1))
        above = adaptive_avg_pool2d((z - THRESHOLD).relu_(), GRID).flatten(1)
        below = adaptive_avg_pool2d(z.neg_().sub_(THRESHOLD).relu_(), GRID).flatten(1)
        return torch.cat([above, below], 1)


class LeaveOneOut:
    """What ridge regression says of each sample after it was fitted on all the others.

    Of the penalties, the one whose predictions are nearest to the truth, in squares, is taken.

    Attributes:
        ridge: the penalty, as a share of N

    Args:
        features: (N, D) float, D of them, N >= 2; changed in place
        labels: (N,) int in [0, K)
        classes: K
        ridges: the penalties to choose from
    """

    def __init__(
        self, features: Tensor, labels: Tensor, classes: int, ridges: Sequence[float] = RIDGES
    ) -> None:
        n = len(features)
        _standardise(features)
        self._values, self._rotated = _on_axes(features)
        self._labels, self._classes = labels, classes
        self._sums = self._rotated.new_zeros((self._rotated.shape[1], classes))
        for rows in positions(0, n, AT_ONCE):
            self._sums += self._rotated[rows].T @ self._targets(rows)
        self._centre = torch.bincount(labels, minlength=classes).to(features.dtype) / n
        some = np.sort(np.random.default_rng(0).permutation(n)[:CHOSEN_ON])
        self._some = [some[rows] for rows in positions(0, len(some), AT_ONCE)]
        errors = {}
        for self.ridge in ridges:
            errors[self.ridge] = sum(
                float((self.outputs(rows) - self._targets(rows)).square().sum())
                for rows in self._some
            )
        self.ridge = min(errors, key=errors.__getitem__)

    def outputs(self, rows: Indices) -> Tensor:
        """For the samples in rows (B,), (B, K), higher for likelier classes; they add up to one."""
        part, n = self._rotated[rows], len(self._rotated)
        shrunk = (1 / (self._values + self.ridge * n)).to(part.dtype)
        most = 1 - max(1e-9, torch.finfo(part.dtype).eps)  # below one in float32 too
        leverage = (part.square() @ shrunk + 1 / n).clamp(max=most).unsqueeze(1)
        fitted = part @ (shrunk.unsqueeze(1) * self._sums) + self._centre
        outputs: Tensor = (fitted - leverage * self._targets(rows)) / (1 - leverage)
        return outputs

    def scale(self) -> float:
        """What makes logits of the outputs: they are then likeliest, and their softmax means it.

        Guo, Pleiss, Sun, Weinberger: On calibration of modern neural networks, ICML 2017.
        """
        known = [(self._labels[rows], self.outputs(rows)) for rows in self._some]
        low, high = 0.0, 10.0  # of the logarithm to base 2
        for _ in range(20):
            scale = 2 ** ((low + high) / 2)
            slope = sum(
                float(outputs.gather(1, labels.unsqueeze(1)).sum())
                - float((torch.softmax(scale * outputs, 1) * outputs).sum())
                for labels, outputs in known
            )
            low, high = ((low + high) / 2, high) if slope > 0 else (low, (low + high) / 2)
        return scale

    def _targets(self, rows: Indices) -> Tensor:
        labels = self._labels[rows].unsqueeze(1)
        targets = self._rotated.new_zeros((len(labels), self._classes))
        return targets.scatter_(1, labels, 1)


def _standardise(features: Tensor) -> None:
    """Give each feature of (N, D) the mean 0 and the deviation 1, in place; a constant becomes 0.

    Moments are float64: the float32 mean of a constant is another number, by a rounding, which
    would be scaled to 1 and stand for the intercept, without being one.
    """
    n = len(features)
    parts = [features[start : start + AT_ONCE] for start in range(0, n, AT_ONCE)]
    mean, square = features.new_zeros((2, features.shape[1]), dtype=torch.float64)
    for part in parts:
        mean += part.sum(0, dtype=torch.float64)
    mean /= n
    for part in parts:
        square += (part.double() - mean).square_().sum(0)
    deviation = (square / n).sqrt_()
    scale = torch.where(deviation > CONSTANT * mean.abs(), 1 / deviation, 0)
    for part in parts:
        part.copy_((part.double() - mean).mul_(scale))


def _on_axes(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features on their principal axes, on which ridge regression says what it says without them.

    Of more features than samples the samples span N axes, which their N x N products give.

    Args:
        features: (N, D) float of mean 0; changed in place

    Returns:
        what there is of each of M = min(N, D) axes, (M,) float64 >= 0, and (N, M) float
    """
    n, size = features.shape
    if size > n:
        values, vectors = torch.linalg.eigh((features @ features.T).double())
        values.clamp_(min=0)
        return values, (vectors * values.sqrt()).to(features.dtype)
    values, vectors = torch.linalg.eigh((features.T @ features).double())
    vectors = vectors.to(features.dtype)
    for rows in positions(0, n, AT_ONCE):
        features[rows] = features[rows] @ vectors
    return values.clamp(min=0), features


def _draw(images: Tensor, random: np.random.Generator) -> Tensor:
    """Random patches of images, (P, 3 * 6 * 6) float32 in [0, 1]."""
    rooms = images.shape[-1] - PATCH + 1
    which = torch.from_numpy(random.integers(0, len(images), FITTED_ON))
    y, x = torch.from_numpy(random.integers(0, rooms, (2, FITTED_ON, 1, 1)))
    steps = torch.arange(PATCH)
    rows, columns = y + steps[:, None], x + steps[None, :]
    patches = images[
        which.to(images.device)[:, None, None], :, rows.to(images.device), columns.to(images.device)
    ]
    return patches.permute(0, 3, 1, 2).reshape(FITTED_ON, -1).float() / 255


def _normalised(patches: Tensor) -> Tensor:
    mean = patches.mean(1, keepdim=True)
    variance = patches.var(1, keepdim=True, correction=0)
    return (patches - mean) * (variance + CONTRAST).rsqrt()
