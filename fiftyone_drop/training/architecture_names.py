"""The names of architectures, known without PyTorch, whose import takes seconds."""

from __future__ import annotations

import re
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

SMALL = ("small-cnn", "small-resnet18")  # ours
# These return several outputs in training, or end in a convolution: no single last linear layer.
UNSUITABLE = {"googlenet", "inception_v3", "squeezenet1_0", "squeezenet1_1"}
# A function of torchvision that builds a model: its decorators, and then its name
_REGISTERED = re.compile(r"^@register_model\(\)\n(?:@.*\n|[ )].*\n)*def (\w+)\(", re.MULTILINE)


@lru_cache(maxsize=1)
def architecture_names() -> tuple[str, ...]:
    """Every name that ``architectures.build`` knows: ours first, then torchvision's."""
    return (*SMALL, *(name for name in _of_torchvision() if name not in UNSUITABLE))


def _of_torchvision() -> list[str]:
    """The classification models of torchvision, as its source registers them."""
    spec = find_spec("torchvision")
    if spec is not None and spec.origin is not None:
        sources = Path(spec.origin).with_name("models").glob("*.py")
        found = [name for path in sources for name in _REGISTERED.findall(path.read_text("utf-8"))]
        if found:
            return sorted(found)
    import torchvision  # an error if it is not installed

    return list(torchvision.models.list_models(module=torchvision.models))
