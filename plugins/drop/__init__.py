"""The entry of the FiftyOne plugin.

FiftyOne executes this file anew at every request of the App: it stays tiny, and keeps no state.
"""

import sys
from importlib.util import find_spec
from pathlib import Path

if find_spec("fiftyone_drop") is None:
    # `fiftyone plugins download` brings the repository and installs nothing. The end of the path,
    # for FiftyOne has a top-level package `plugins` of its own, which ours must not come before.
    sys.path.append(str(Path(__file__).resolve().parents[2]))


def register(p):
    """Register the operators and the panel; FiftyOne calls this."""
    from .operators import OPERATORS
    from .panel import BUNDLE, DropPanel
    from .panel_plain import PlainDropPanel

    for operator in OPERATORS:
        p.register(operator)
    p.register(DropPanel if BUNDLE.is_file() else PlainDropPanel)
