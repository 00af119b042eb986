"""A classifier in closed form: ridge regression on random patches. It needs no training.

What class quotas need of a query model is one number per class. Features of random whitened patches
and one linear system give each sample a prediction of a model that was fitted without it, for the
price of less than one epoch of a small network.

Source: the features are those of Coates, Ng, Lee, AISTATS 2011, with random patches for centroids;
leave-one-out predictions of ridge regression follow from the hat matrix (Allen's PRESS, 1974).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d, conv2d, relu

from fiftyone_drop._types import FloatArray

FILTERS = 128
PATCH, STRIDE, GRID = 6, 2, 2  # pixels a side, pixels between patches, pooled cells a side
FITTED_ON = 20_000  # patches that the whitening is fitted on
CONTRAST, WHITENING = 10 / 255**2, 0.1  # what keeps variances from zero
THRESHOLD = 0.25
RIDGE = 0.01  # of the number of samples
AT_ONCE = 500


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
        self._weights = weights.float().view(-1, 3, PATCH, PATCH)
        self.size = 2 * GRID**2 * len(weights)

    def __call__(self, images: Tensor) -> Tensor:
        """The features of images (B, 3, S, S) uint8, (B, ``size``) float32."""
        x = images.to(self._device).float() / 255
        mean = avg_pool2d(x, PATCH, STRIDE).mean(1, keepdim=True)
        square = avg_pool2d(x.square(), PATCH, STRIDE).mean(1, keepdim=True)
        scale = ((square - mean.square()).clamp(min=0) + CONTRAST).rsqrt()
        sums = self._weights.sum((1, 2, 3)).view(1, -1, 1, 1)
        z = conv2d(x, self._weights, stride=STRIDE)
        z = (z - mean * sums) * scale - self._shift.view(1, -1, 1, 1)
        halves = [adaptive_avg_pool2d(relu(s * z - THRESHOLD), GRID).flatten(1) for s in (1, -1)]
        return torch.cat(halves, 1)


def leave_one_out(
    features: Tensor, labels: Tensor, classes: int, ridge: float = RIDGE
) -> FloatArray:
    """What ridge regression says of each sample after it was fitted on all the others.

    Args:
        features: (N, D) float32, D of them; changed: standardised in place
        labels: (N,) int in [0, K)
        classes: K
        ridge: the penalty, as a share of N

    Returns:
        (N, K) float64, higher for likelier classes
    """
    n = len(features)
    features -= features.mean(0)
    features /= features.std(0).clamp(min=1e-6)
    targets = torch.full((n, classes), -0.1, device=features.device)
    targets[torch.arange(n, device=features.device), labels] = 0.9
    centre = targets.mean(0)
    gram = (features.T @ features).double()
    gram.diagonal().add_(ridge * n)
    root = torch.linalg.cholesky(gram)
    half = torch.linalg.solve_triangular(
        root, torch.eye(len(gram), dtype=gram.dtype, device=gram.device), upper=False
    ).float()
    rotated = features @ half.T
    leverage = (rotated.square().sum(1, keepdim=True) + 1 / n).clamp(max=1 - 1e-6)
    fitted = rotated @ (rotated.T @ (targets - centre)) + centre
    left_out = (fitted - leverage * targets) / (1 - leverage)
    return np.asarray(left_out.double().cpu().numpy())


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
