"""The entry of the FiftyOne plugin.

FiftyOne executes this file at every request of the App: it stays tiny, and keeps no state.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("fiftyone_drop") is None:
    # `fiftyone plugins download` brings the repository and installs nothing. The repository goes to
    # the end of the path: it holds a folder `plugins`, and so does FiftyOne, whose own comes first.
    sys.path.append(str(Path(__file__).resolve().parents[2]))

NEEDED = ("fiftyone_drop", "click", "numpy", "pymongo", "scipy", "torch", "torchvision")


def register(p):
    """Register the operators and the panel; FiftyOne calls this."""
    if packages := [name for name in NEEDED if find_spec(name) is None]:
        from . import missing

        missing.register(p, packages)
        return
    from .draft_operator import DraftWork
    from .operators import OPERATORS
    from .panel import DropPanel

    for operator in (*OPERATORS, DraftWork):
        p.register(operator)
    p.register(DropPanel)
