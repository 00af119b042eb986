"""Callbacks that record training dynamics in the loops of other libraries.

``LightningCallback`` is for Lightning, ``TransformersCallback`` for Hugging Face's Trainer. Each
takes a :class:`fiftyone_drop.DynamicsRecorder`, and loads with its library when it is first used::

    from fiftyone_drop.integrations import LightningCallback
"""

import importlib as _importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fiftyone_drop.integrations.lightning import LightningCallback as LightningCallback
    from fiftyone_drop.integrations.transformers import TransformersCallback as TransformersCallback

_LIBRARIES = {"LightningCallback": "lightning", "TransformersCallback": "transformers"}

__all__ = ["LightningCallback", "TransformersCallback"]


def __getattr__(name: str) -> object:
    if name not in _LIBRARIES:
        raise AttributeError(f"module 'fiftyone_drop.integrations' has no attribute {name!r}")
    library = _LIBRARIES[name]
    try:
        module = _importlib.import_module(f"fiftyone_drop.integrations.{library}")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} needs the package {error.name!r}; install it with "
            f"pip install 'fiftyone-drop[{library}]'"
        ) from error
    return getattr(module, name)


def __dir__() -> list[str]:
    return __all__
