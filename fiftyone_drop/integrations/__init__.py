"""Callbacks that record training dynamics in the loops of other libraries.

``LightningCallback`` is for Lightning, ``TransformersCallback`` for Hugging Face's Trainer. Each
takes a :class:`fiftyone_drop.DynamicsRecorder`, and loads with its library when it is first used::

    from fiftyone_drop.integrations import LightningCallback
"""

from typing import TYPE_CHECKING

from fiftyone_drop import _lazy

if TYPE_CHECKING:
    from fiftyone_drop.integrations.lightning import LightningCallback as LightningCallback
    from fiftyone_drop.integrations.transformers import TransformersCallback as TransformersCallback

_LIBRARIES = {"LightningCallback": "lightning", "TransformersCallback": "transformers"}

__all__ = ["LightningCallback", "TransformersCallback"]

_load = _lazy.loader(__name__, {name: f"{__name__}.{end}" for name, end in _LIBRARIES.items()})


def __getattr__(name: str) -> object:
    try:
        return _load(name)
    except ModuleNotFoundError as error:
        raise ImportError(
            f"{name} needs the package {error.name!r}; install it with "
            f"pip install 'fiftyone-drop[{_LIBRARIES[name]}]'"
        ) from error


def __dir__() -> list[str]:
    return __all__
