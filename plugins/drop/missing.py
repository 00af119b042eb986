"""What the App shows where a package is missing: the name of the package, and what installs it."""

from __future__ import annotations

from pathlib import Path

import fiftyone.operators as foo
import fiftyone.operators.types as types
import yaml

ROOT = Path(__file__).resolve().parents[2]


def register(p, packages):
    """Register stand-ins for the operators and the panel of fiftyone.yml, which say what to do."""
    definition = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    words = sentence(definition["name"], packages)
    for name in definition["operators"]:
        p.register(_with(name, words, _Operator))
    for name in definition["panels"]:
        p.register(_with(name, words, _Panel))


def sentence(plugin, packages):
    """What is missing, and the remedy."""
    names = ", ".join(packages)
    if "fiftyone_drop" in packages:
        remedy = "pip install fiftyone-drop, from its repository or wheel"
    else:
        remedy = f"fiftyone plugins requirements {plugin} --install"
    return (
        f"The Python environment of this App's server lacks {names}. Run there: {remedy}. Then "
        "start the App again."
    )


class _Operator(foo.Operator):
    @property
    def config(self):
        return foo.OperatorConfig(
            name=self.stands_for,
            label=f"DRoP: {self.stands_for.replace('_', ' ')}",
            description="A package is missing",
            icon="error",
            dynamic=True,
        )

    def resolve_input(self, ctx):
        inputs = types.Object()
        inputs.view("missing", types.Error(label="A package is missing", description=self.words))
        problem = inputs.str("missing_package", view=types.HiddenView())
        problem.invalid, problem.error_message = True, self.words
        return types.Property(inputs, view=types.View(label="DRoP"))

    def execute(self, ctx):
        raise ImportError(self.words)


class _Panel(foo.Panel):
    @property
    def config(self):
        return foo.PanelConfig(name=self.stands_for, label="DRoP", icon="error")

    def on_load(self, ctx):
        pass

    def render(self, ctx):
        panel = types.Object()
        panel.view("missing", types.Error(label="A package is missing", description=self.words))
        return types.Property(panel, view=types.GridView(orientation="vertical"))


def _with(name, words, base):
    """A class as FiftyOne registers it, for one name."""
    return type(f"Missing_{name}", (base,), {"stands_for": name, "words": words})
