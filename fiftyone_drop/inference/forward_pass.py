"""One model on batches of inputs: every per-batch score from one forward pass.

Evaluation mode, another device and hooks are undone afterwards.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import linear

from fiftyone_drop._types import IntArray
from fiftyone_drop.engine.batches import evaluating, too_large
from fiftyone_drop.engine.head import Head
from fiftyone_drop.errors import DropError, DropWarning
from fiftyone_drop.inference.class_names import ClassNames
from fiftyone_drop.inference.source import Floats, Switches, outcomes_of, wanted
from fiftyone_drop.scoring import (
    forward_scores,
    get_score,
    per_sample_gradient_norms,
)
from fiftyone_drop.scoring.forward import are_probabilities, finite_rows
from fiftyone_drop.scoring.grand.gradient_norms import GradientNorms

if TYPE_CHECKING:
    from fiftyone_drop.inference.image_model import ImageModel

Bools = NDArray[np.bool_]
LOOKED_AT = 8  # one image of so many has its class predicted for its own sake
HALF = (torch.float16, torch.bfloat16)
WIDE = (nn.Linear, Head)  # last layers that can compute in float32 under mixed precision
OF_LOGITS = ("logits", "features", "model")  # what scores need that take the softmax of logits
PROBED = 2  # images that a model is tried on: batch norm and broadcasting show with two


def batch_scores(switches: Switches) -> list[str]:
    """The scores that a batch of images gives, in the order of :meth:`Scorer.__call__`'s rows."""
    return [*wanted(switches, "logits", "features"), *wanted(switches, "model")]


class Scorer:
    """Computes scores with one model; use it inside ``with scorer.ready():``.

    On CUDA the forward pass of a model that ends in a linear layer runs in mixed precision, that
    layer in float32; a batch that overflows is computed again in float32. Of other models, whose
    last step is not known, all is float32, and so are gradients. A module of another precision gets
    inputs of its own.

    Args:
        model: the model
        switches: score -> its switches
        mixed: whether to use mixed precision where the model allows it; None for on CUDA
    """

    def __init__(self, model: ImageModel, switches: Switches, mixed: bool | None = None) -> None:
        self._module = model.module
        self._model = model
        self._network = _Logits(self._module)
        self._switches = switches
        self._names = ClassNames(model.classes)
        self._forward_names = wanted(switches, "logits", "features")
        self._gradient_names = wanted(switches, "model")
        self._embeds = bool(wanted(switches, "embeddings"))
        self._head: nn.Linear | None = None
        self._gradients: dict[str, Callable[[Tensor, Tensor], Tensor]] = {}
        self.device = model.home
        self._mixed = model.mixed if mixed is None else mixed

    @contextmanager
    def ready(self) -> Iterator[None]:
        """Evaluation mode and the right device inside; as it was outside."""
        home = device_of(self._module)
        with ExitStack() as stack:
            stack.enter_context(evaluating(self._module))
            if home != self.device:
                stack.callback(self._module.to, home)  # a move that fails is undone too
                try:
                    self._module.to(self.device)
                except torch.OutOfMemoryError as error:
                    raise too_large(error) from error
            yield

    def probe(self, image: Tensor) -> int:
        """Check that the model fits its classes and the scores, on an image (...).

        Returns:
            the number of values per embedding; 0 where none are asked for

        Raises:
            DropError: it does not

        Warns:
            DropWarning: it seems to return probabilities, and scores need logits
        """
        for name in self._gradient_names:
            self._gradients[name] = self._gradient_function(name)
        images = torch.stack([image] * PROBED)
        try:
            logits, self._head, features = self._find_head(self._to_device(images))
        except torch.OutOfMemoryError as error:
            raise too_large(error) from error
        # The logits of another last layer would be half precision, in which some tie that differ
        self._mixed = self._mixed and type(self._head) in WIDE
        k = len(self._model.classes)
        if logits.ndim != 2 or logits.shape[1] != k:
            raise DropError(
                "classes",
                f"must name every output of the model, in the order of its logits; there are {k} "
                f"names, but the model ({self._model.words}) returns {tuple(logits.shape)} for "
                f"{len(images)} images",
            )
        if wanted(self._switches, *OF_LOGITS) and k > 1 and are_probabilities(logits):
            warnings.warn(
                f"The model ({self._model.words}) seems to return probabilities: its outputs are "
                ">= 0 and add up to 1. Scores take the softmax of logits, and those of "
                "probabilities hardly differ: pass the model without its last softmax, or let it "
                "return the logarithm of them",
                DropWarning,
                stacklevel=2,
            )
        needy = wanted(self._switches, "features", "embeddings")
        if needy and features is None:
            raise DropError(
                "scores",
                f"{needy} need the inputs of a last linear layer, but no nn.Linear of the "
                f"model ({self._model.words}) puts out its logits; leave them out, or pass a model "
                "that ends in one",
            )
        return features.shape[1] if self._embeds and features is not None else 0

    def __call__(self, images: Tensor, labels: IntArray) -> tuple[Floats, Floats | None, Bools]:
        """Score a batch.

        Args:
            images: (B, ...) on the CPU
            labels: (B,) positions in the classes

        Returns:
            scores in the order of :func:`batch_scores` and the two outcomes (S + 2, B), embeddings
            (B, D) where a score needs them, and whether the model's output is finite (B,)
        """
        inputs = self._to_device(images)
        targets = torch.from_numpy(labels).to(self.device)
        rows: list[Floats] = []
        outputs: list[Tensor | None] = []
        features = None
        outcomes = np.full((2, len(images)), np.nan, np.float32)
        if self._forward_names or self._embeds or self._names.repeated:
            logits, features = self._forward(inputs)
            outputs += [logits, features]
            outcomes[:] = outcomes_of(logits, self._names)
            targets = self._names.preferred(logits, targets)
            scores = forward_scores(
                self._forward_names, logits, targets, features, switches=self._switches
            )
            rows += [scores[name] for name in self._forward_names]
        else:  # gradients alone: some outcomes tell whether the labels are those of the outputs
            logits, _ = self._forward(inputs[::LOOKED_AT])
            outcomes[:, ::LOOKED_AT] = outcomes_of(logits, self._names)
        for name in self._gradient_names:
            norms = self._gradients[name](inputs, targets).float()
            outputs.append(norms[:, None])
            rows.append(norms.cpu().numpy())
        finite = finite_rows(*outputs).cpu().numpy()
        embeddings = None
        if self._embeds and features is not None:
            embeddings = features.float().cpu().numpy()
        return np.stack([*rows, *outcomes]), embeddings, finite

    def logits(self, images: Tensor) -> Tensor:
        """(B, K) float32 on the CPU, of a batch of images."""
        return self._forward(self._to_device(images))[0].float().cpu()

    def _to_device(self, images: Tensor) -> Tensor:
        inputs = images.to(self.device, non_blocking=True)
        if self._model.prepare is not None:
            inputs = self._model.prepare(inputs)
        if inputs.is_floating_point():
            inputs = inputs.to(_dtype_of(self._module) or inputs.dtype)
        if inputs.ndim == 4 and self.device.type == "cuda":  # no gain on a CPU
            inputs = inputs.contiguous(memory_format=torch.channels_last)
        return inputs

    def _gradient_function(self, name: str) -> Callable[[Tensor, Tensor], Tensor]:
        score, switches = get_score(name), self._switches[name]
        if score.function is per_sample_gradient_norms:
            return GradientNorms(self._network)  # probes the model once, not at every batch

        def compute(inputs: Tensor, labels: Tensor) -> Tensor:
            with torch.enable_grad():
                values: Tensor = score.function(self._network, inputs, labels, **switches)
            return score.checked(values, len(labels)).detach()

        return compute

    def _find_head(self, inputs: Tensor) -> tuple[Tensor, nn.Linear | None, Tensor | None]:
        """The logits, the linear layer that puts them out, and its inputs."""
        seen: list[tuple[nn.Linear, Tensor, Tensor]] = []

        def note(
            layer: nn.Linear, args: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor
        ) -> None:
            seen.append((layer, _first(args, named), output))

        with ExitStack() as stack, torch.inference_mode():
            for layer in self._module.modules():
                if isinstance(layer, nn.Linear):
                    stack.callback(layer.register_forward_hook(note, with_kwargs=True).remove)
            logits = self._network(inputs)
        for layer, features, output in reversed(seen):
            same = output.shape == logits.shape and output.dtype == logits.dtype
            if features.ndim == 2 and same and torch.allclose(output, logits, 0, 0, equal_nan=True):
                return logits, layer, features
        return logits, None, None

    def _forward(self, inputs: Tensor) -> tuple[Tensor, Tensor | None]:
        logits, features = self._forward_in(inputs, self._mixed)
        if self._mixed and not torch.isfinite(logits).all():
            return self._forward_in(inputs, False)
        return logits, features

    def _forward_in(self, inputs: Tensor, mixed: bool) -> tuple[Tensor, Tensor | None]:
        features: list[Tensor] = []

        def tap(
            layer: nn.Linear, args: tuple[Tensor, ...], named: dict[str, Tensor], output: Tensor
        ) -> Tensor | None:
            features.append(_first(args, named))
            half = mixed or layer.weight.dtype in HALF
            if not half or type(layer) is not nn.Linear:
                return None
            # In half precision logits would tie that differ
            bias = None if layer.bias is None else layer.bias.float()
            with torch.autocast(self.device.type, enabled=False):
                return linear(features[-1].float(), layer.weight.float(), bias)

        with ExitStack() as stack:
            stack.enter_context(torch.inference_mode())
            stack.enter_context(
                torch.autocast(self.device.type, dtype=torch.float16, enabled=mixed)
            )
            if self._head is not None:
                hook = self._head.register_forward_hook(tap, with_kwargs=True)
                stack.callback(hook.remove)
            logits = self._network(inputs)
        return logits, features[-1] if features else None


class _Logits(nn.Module):
    """A module that returns logits where the module inside wraps them in something.

    It leaves its inputs as they are, of which there may be another use: the module inside may
    normalise them in place.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module

    def forward(self, inputs: Tensor) -> Tensor:
        output = self.module(inputs.clone())
        if not isinstance(output, Tensor):
            named = isinstance(output, Mapping) and "logits" in output
            output = output["logits"] if named else getattr(output, "logits", None)
        if not isinstance(output, Tensor):
            raise DropError(
                "model",
                f"a {type(self.module).__name__} must return logits, as a tensor (B, K) or "
                "under the name 'logits'; wrap it in a module that does",
            )
        return output


def _first(args: tuple[Tensor, ...], named: dict[str, Tensor]) -> Tensor:
    """The input of a layer, which a model may name."""
    return (*args, *named.values())[0]


def device_of(module: nn.Module) -> torch.device:
    """Where a module is; the CPU for one without parameters."""
    first = next(module.parameters(), None)
    return torch.device("cpu") if first is None else first.device


def _dtype_of(module: nn.Module) -> torch.dtype | None:
    """The precision of its first weights; None for a module without weights."""
    return next((p.dtype for p in module.parameters() if p.is_floating_point()), None)
