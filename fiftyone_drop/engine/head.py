"""The last layer of our networks, which training builds and scoring knows."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import linear


class Head(nn.Linear):
    """The last layer, always in float32.

    Under mixed precision its logits would otherwise come in 8 bits of mantissa, and scores
    computed from them would tie.
    """

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Map activations (B, D) to logits (B, K) float32."""
        with torch.autocast(input.device.type, enabled=False):
            bias = None if self.bias is None else self.bias.float()
            return linear(input.float(), self.weight.float(), bias)
