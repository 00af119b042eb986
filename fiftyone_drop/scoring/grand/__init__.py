"""GraNd: the norm of the loss gradient of each sample, from batched passes.

- ``score.py`` registers the score, and ``gradient_norms.py`` computes it, batch after batch.
- ``coverage.py`` probes a model for the parameters that the formulas see exactly once.
- ``layer_formulas.py`` holds a formula per kind of layer, ``convolution.py`` those of convolutions.
- ``untrained.py`` tells whether a model looks untrained, where GraNd means nothing.
"""

from fiftyone_drop.scoring.grand.score import per_sample_gradient_norms

__all__ = ["per_sample_gradient_norms"]
