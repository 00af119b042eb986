"""From ``model=`` to sources of logits.

Each kind of model has a function, so the module is longer than others.
"""

from __future__ import annotations

import functools
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fiftyone.core.collections as foc
import fiftyone.core.models as fom
import fiftyone.utils.torch as fout
import fiftyone.zoo as foz
import numpy as np
import torch
import torchvision
from torch import nn

from fiftyone_drop import checks
from fiftyone_drop._types import IntArray
from fiftyone_drop.engine.devices import choose_device
from fiftyone_drop.engine.images import Square, Transformed
from fiftyone_drop.engine.weights import BadWeightsError, load_file, load_into
from fiftyone_drop.engine.wrappers import unwrapped
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.inference.class_names import ClassNames
from fiftyone_drop.inference.image_model import ImageModel
from fiftyone_drop.inference.source import Source
from fiftyone_drop.inference.stored_logits import stored_logits
from fiftyone_drop.population import Population
from fiftyone_drop.training import QueryModel
from fiftyone_drop.training.query_model import normalised

KINDS = (
    "a QueryModel, a torch.nn.Module with transform= and classes= (or attributes of these names), "
    "a FiftyOne model or the name of one in the model zoo, the name of a torchvision architecture "
    "with checkpoint= and classes=, the name of a field with stored logits, or a list of these"
)


@dataclass(frozen=True)
class Extras:
    """Arguments of ``compute_scores`` that some kinds of models need, as plain values."""

    transform: Callable[[Any], Any] | None = None
    classes: tuple[str, ...] | None = None
    checkpoint: Path | None = None
    device: torch.device | None = None

    @classmethod
    def of(
        cls,
        transform: Callable[[Any], Any] | None,
        classes: Sequence[str] | None,
        checkpoint: str | os.PathLike[str] | None,
        device: str | None,
    ) -> Extras:
        """The arguments as the user passed them.

        Raises:
            DropError: one has a value that it cannot have
        """
        return cls(
            None if transform is None else checks.function("transform", transform),
            None if classes is None else checks.class_list("classes", classes),
            None if checkpoint is None else checks.path("checkpoint", checkpoint),
            None if device is None else choose_device(device),
        )

    def need(self, name: str, module: nn.Module, meaning: str) -> Any:
        """The argument of that name, or else the module's attribute.

        Raises:
            DropError: if there is neither
        """
        value = getattr(self, name)
        if value is None:
            inner = unwrapped(module)
            value = getattr(module, name, getattr(inner, name, None))
            if isinstance(inner, nn.Sequential) and any(value is m for m in inner.children()):
                raise DropError(
                    name,
                    f"as module.{name} it became a layer that the torch.nn.Sequential "
                    "runs last, for torchvision's transforms are modules themselves; undo it with "
                    f"del module.{name}, and pass {name}=, or set module.{name} to a function that "
                    "calls it",
                )
        if value is None:
            raise DropError(
                name,
                f"must be given with a torch.nn.Module, or be set on it as module.{name}: "
                f"{meaning}",
            )
        return value


NOTHING = Extras()


def resolve(model: Any, samples: foc.SampleCollection, extras: Extras = NOTHING) -> list[Source]:
    """Turn ``model=`` into one model or several.

    Args:
        model: one of ``KINDS``
        samples: the collection, whose fields may hold logits
        extras: more for some kinds of models; by default nothing, so that models must bring it

    Raises:
        DropError: if it is something else, or something it needs is missing
    """
    if isinstance(model, (list, tuple)):
        if not model:
            raise DropError("model", f"the list is empty; pass {KINDS}")
        return [source for one in model for source in resolve(one, samples, extras)]
    if isinstance(model, str):
        return [_named(model, samples, extras)]
    if isinstance(model, QueryModel):
        return [query_model(model, extras)]
    if isinstance(model, fom.Model):
        return [_fiftyone_model(model, type(model).__name__, extras)]
    if isinstance(model, nn.Module):
        return [_module(model, extras)]
    raise DropError("model", f"must be {KINDS}, but got a {type(model).__name__}")


def label_codes(
    source: Source, population: Population, label_field: str, *, needed: bool
) -> IntArray:
    """(N,) int, the position of each sample's label in the model's classes, the first of its name.

    Where labels are not needed, those that the model does not know are 0.

    Raises:
        DropError: if the model does not know a label that is needed
    """
    table = ClassNames(source.classes).positions(population.label_names)
    unknown = [population.label_names[i] for i in np.flatnonzero(table < 0)]
    if unknown and needed:
        raise DropError(
            "classes",
            f"the model ({source.words}) has no class {listing(unknown)}, which are "
            f"labels in '{label_field}'; its classes are {listing(source.classes)}. Pass "
            "classes=[...], named like the labels and in the order of the logits",
        )
    return np.asarray(np.maximum(table, 0)[population.labels], dtype=np.int64)


def _named(name: str, samples: foc.SampleCollection, extras: Extras) -> Source:
    if samples.get_field(name) is not None:
        return stored_logits(name, samples, extras.classes)
    if extras.checkpoint is not None:
        return _torchvision(name, extras)
    if name in foz.list_zoo_models():
        # Loaded where it will run: FiftyOne's models do not move
        options = {} if extras.device is None else {"device": str(extras.device)}
        try:
            model = foz.load_zoo_model(name, **options)
        except Exception as error:  # of a network, a full disk, or a package that is missing
            raise DropError(
                "model",
                f"{name!r} could not be loaded from FiftyOne's zoo ({type(error).__name__}: "
                f"{error}); download it where there is a network, with "
                f"fiftyone.zoo.download_zoo_model({name!r})",
            ) from error
        return _fiftyone_model(model, name, extras)
    if name in torchvision.models.list_models(module=torchvision.models):
        raise DropError(
            "checkpoint",
            f"must be given with the torchvision architecture {name!r}: a file of its trained "
            "weights (compute_scores takes one; elsewhere load them and pass the module). "
            f"FiftyOne's zoo has pretrained ones: {listing(_similar(name))}",
        )
    raise DropError(
        "model",
        f"{name!r} is no field of the dataset, no model of FiftyOne's zoo "
        f"(fiftyone.zoo.list_zoo_models()) and no torchvision architecture; it must be {KINDS}",
    )


def _module(module: nn.Module, extras: Extras) -> ImageModel:
    inner = unwrapped(module)
    words = f"{type(inner).__name__} ({sum(p.numel() for p in inner.parameters()):,} parameters)"
    classes = extras.need("classes", module, "the names of its outputs, in their order")
    transform = extras.need("transform", module, "from a Pillow image to its input")
    classes = checks.class_list("classes", classes)
    return ImageModel.behind(transform, classes, words, module, extras.device)


def query_model(model: QueryModel, extras: Extras = NOTHING) -> ImageModel:
    """A query model as one of the models that read images."""
    return ImageModel(
        tuple(model.classes),
        f"a query model ({model.architecture})",
        model.module,
        Square(model.image_size),
        # Which moves nothing: what becomes of an image on the CPU is a part of the fingerprint
        prepare=functools.partial(normalised, mean=model.mean, std=model.std),
        device=extras.device,
    )


def _torchvision(name: str, extras: Extras) -> ImageModel:
    if name not in torchvision.models.list_models(module=torchvision.models):
        raise DropError(
            "model",
            f"with checkpoint= it must be the name of a torchvision classification "
            f"architecture, but got {name!r}; such as {listing(_similar(name) or ['resnet18'])}",
        )
    if extras.classes is None:
        raise DropError("classes", "must be given with checkpoint=: its outputs, in their order")
    classes = extras.classes
    assert extras.checkpoint is not None
    weights = _weights(extras.checkpoint)
    module = torchvision.models.get_model(name, weights=None, num_classes=len(classes))
    if hasattr(module, "transform_input"):
        # torchvision sets it for its own weights alone, and a file of weights does not tell
        raise DropError(
            "model",
            f"{name!r} normalises its input once more if its weights come from torchvision's "
            "pretrained ones, which the file does not say; build the module, as with "
            f"torchvision.models.{name}(num_classes={len(classes)}, transform_input=True) for such "
            "weights and False for others, load them, and pass it with transform= and classes=",
        )
    try:
        load_into(module, weights)
    except BadWeightsError as error:
        raise DropError(
            "checkpoint",
            f"{extras.checkpoint} does not fit {name!r} with {len(classes)} classes: "
            f"{error}; build the module yourself and pass it with transform=",
        ) from error
    transform = extras.transform or torchvision.models.get_model_weights(name).DEFAULT.transforms()
    words = f"{name} with the weights {extras.checkpoint.name}"
    return ImageModel.behind(transform, classes, words, module, choose_device(extras.device))


def _weights(path: Path) -> dict[str, Any]:
    try:
        content = load_file(path)
    except OSError as error:
        raise DropError("checkpoint", f"cannot read {path}: {error}") from error
    except BadWeightsError as error:
        raise DropError(
            "checkpoint",
            f"{path} is damaged or holds more than weights ({error}); save it with "
            "torch.save(module.state_dict(), path)",
        ) from error
    for key in ("state_dict", "model"):  # what Lightning's and torchvision's scripts save
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
    if not isinstance(content, dict):
        raise DropError(
            "checkpoint", f"{path} must hold a state_dict, but holds a {type(content).__name__}"
        )
    return {str(key).removeprefix("module."): value for key, value in content.items()}


def _fiftyone_model(model: fom.Model, name: str, extras: Extras) -> ImageModel:
    """The module, transforms and classes of a FiftyOne model, where it is made of these."""
    if _is_transformer(model):
        return _transformer(model, name, extras)
    plain = (
        isinstance(model, fout.TorchImageModel)
        and type(model)._forward_pass is fout.TorchImageModel._forward_pass
        and model.has_logits
        and not model.config.raw_inputs
        and not model.has_collate_fn
        and model.transforms is not None
    )
    if not plain:
        raise DropError(
            "model",
            f"of FiftyOne's models, those can be scored here that are image classifiers in "
            f"PyTorch behind one transform, and {name} does more. If it has logits, store them: "
            "samples.apply_model(model, 'predictions', store_logits=True), and pass "
            "model='predictions'",
        )
    classes = model.classes if extras.classes is None else extras.classes
    if classes is None or not len(classes):
        raise DropError(
            "classes",
            f"must be given with {name}, which has none (compute_scores takes them; "
            "elsewhere make the model with 'classes' in its config)",
        )
    classes = checks.class_list("classes", classes)
    half = (torch.Tensor.half,) if model.using_half_precision else ()
    return ImageModel.behind(model.transforms, classes, name, model._model, extras.device, half)


def _is_transformer(model: fom.Model) -> bool:
    """Whether a FiftyOne model is one of Hugging Face's image classifiers."""
    wrappers = sys.modules.get("fiftyone.utils.transformers")  # it imports transformers
    return wrappers is not None and isinstance(
        model, wrappers.FiftyOneTransformerForImageClassification
    )


@dataclass(frozen=True)
class _PixelValues:
    """What an image processor of Hugging Face makes of one image."""

    processor: Callable[[Any], Any]

    def __call__(self, image: Any) -> torch.Tensor:
        pixels: torch.Tensor = self.processor(image)["pixel_values"][0]
        return pixels


def _transformer(model: Any, name: str, extras: Extras) -> ImageModel:
    module = model._model
    names = module.config.id2label
    classes = model.classes if extras.classes is None else extras.classes
    if classes is None or not len(classes):
        classes = [names[i] for i in range(len(names))]
    return ImageModel(
        checks.class_list("classes", classes),
        name,
        module,
        Transformed(_PixelValues(model.transforms)),
        device=extras.device,
    )


def _similar(name: str) -> list[str]:
    names = {*torchvision.models.list_models(module=torchvision.models), *foz.list_zoo_models()}
    return sorted(other for other in names if name in other and other != name)
