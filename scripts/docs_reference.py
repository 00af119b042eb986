"""Write docs/reference/api.md from the public names, and operators.md from the App's forms.

The plugin is loaded as FiftyOne loads it, which needs a database.
"""

from __future__ import annotations

import ast
import inspect
import re
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "fiftyone_drop"
API, OPERATORS = (ROOT / "docs" / "reference" / f"{name}.md" for name in ("api", "operators"))
GROUPS = {
    "Prune": ("apply_drop", "plan_drop", "DropPlan"),
    "Runs": (
        *("list_drops", "load_drop", "drop_view", "set_density", "extend_drop", "delete_drop"),
        *("kept_counts", "score_histogram", "compare_drops", "report", "verify_drop"),
        *("save_manifest", "load_manifest", "DropConfig", "DropResults", "ClassTable"),
        *("DropComparison", "DropReport", "DropVerification", "ScoreHistogram"),
    ),
    "Scores": ("compute_scores", "import_scores", "DynamicsRecorder"),
    "Query models": ("train_query_model", "QueryModel", "TrainingOptions"),
    "After the training": ("class_offsets", "ClassOffsets"),
    "Your own": ("register_rule", "register_score", "Whole"),
    "Without FiftyOne": (
        *("plan_arrays", "plan_parquet", "ArrayPlan"),
        *("allocate", "Allocation", "kept_size", "suggested_epochs"),
    ),
    "Clusters": ("Cluster",),
    "Errors and types": ("DropError", "DropWarning", "TargetView"),
    "Trainers": ("LightningCallback", "TransformersCallback"),
}
KINDS = {
    "word": "a text",
    "words": "texts",
    "scalar": "a number, or a text",
    "flag": "a switch",
    "per_class": "a number, or one per class",
    "word_or_words": "a text, or several",
    "class_names": "classes",
    "list_of_words": "texts, or one text with commas",
    "seed": "a whole number >= 0",
}
# What the forms have besides the arguments of their functions
OF_FORMS = {
    "amount": "which of `density`, `size` and `max_bytes` counts; the App keeps the others",
    "key": "the run key",
    "logits_field": "the field of stored logits, with `model_from` logits",
    "model_file": "a file in the folder of models, with `model_from` file",
    "model_from": "where the model comes from",
    "more": "whether the further fields are open; closed ones count as empty",
    "recall_on": "what recall is measured on",
    "recalls_from": "where recalls come from; the fields of other sources count as empty",
    "recalls_of": "the run whose recalls are taken",
    "run": "the run whose samples are the target view",
    "save_to": "the name of a file in the folder of models, for the trained model",
    "show": "the samples that the grid shows then",
    "suspects_above": "samples of a higher `suspects_by` are suspects: `drop_above`",
    "suspects_below": "samples of a lower `suspects_by` are suspects: `drop_below`",
    "suspects_by": "the score field that tells suspect labels",
    "zoo_model": "a model of FiftyOne's zoo, with `model_from` zoo",
}
# The forms take names where the functions take views
BY_NAME = {
    "validation": "held-out samples to measure recall on: `view:<saved view>` or `tag:<tag>`",
    "must_keep": "the samples that are kept in any case, inside the quota of their class: a tag "
    "or a boolean field",
}
HEAD = """\
# Python

`import fiftyone_drop as fod`. The names below are public, and everything else is internal; `help()`
has the same texts. Written by `make docs` from the sources.
"""
OPERATORS_HEAD = """\
# Operators of the App

The operators of the plugin `{name}`. Those below make one call of the package each, whose
arguments their parameters are. A script may pass the function's other arguments too, but no views:
these have names. Written by `make docs` from the forms.

```python
import fiftyone as fo
import fiftyone.operators as foo

dataset = fo.load_dataset("my-images")
context = {{"dataset": dataset, "view": dataset.match_tags("train")}}
foo.execute_operator(
    "{name}/apply_drop", context, params={{"density": 0.5, "rule": "balanced"}}
)
```
"""


def homes() -> dict[str, str]:
    """Each public name with the module it is defined in."""
    stub = ast.parse((PACKAGE / "__init__.pyi").read_text())
    found = {
        alias.name: node.module or ""
        for node in stub.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if not alias.name.startswith("_")
    }
    callbacks = dict.fromkeys(GROUPS["Trainers"], "fiftyone_drop.integrations")
    return found | callbacks


def sentence(name: str, module: str) -> str:
    """The first line of the docstring of a name."""
    path = ROOT.joinpath(*module.split("."))
    paths = [path.with_suffix(".py")] if not path.is_dir() else sorted(path.glob("*.py"))
    for tree in (ast.parse(p.read_text()) for p in paths):
        for node in tree.body:
            if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
                first = (ast.get_docstring(node) or "").splitlines()[0]
                return re.sub(r":\w+:`~?([^`]*)`", r"`\1`", first).replace("``", "`")
    raise SystemExit(f"{module} defines no {name}")


def api() -> str:
    """The page of the public names."""
    parts = [HEAD]
    found = homes()
    if missing := set(found) ^ {name for names in GROUPS.values() for name in names}:
        raise SystemExit(f"GROUPS and the public names differ: {sorted(missing)}")
    for title, names in GROUPS.items():
        prefix = "fiftyone_drop.integrations" if title == "Trainers" else "fiftyone_drop"
        rows = [f"| `{name}` | {sentence(name, found[name])} |" for name in names]
        parts.append("\n".join([f"## {title}\n", "| name | |", "|---|---|", *rows, ""]))
        directives = [
            f".. auto{'class' if name[0].isupper() else 'function'}:: {prefix}.{name}"
            + ("\n   :members:" if name[0].isupper() else "")
            for name in names
        ]
        parts.append("```{eval-rst}\n" + "\n\n".join(directives) + "\n```\n")
    return "\n".join(parts)


def operators() -> str:
    """The page of the operators. The plugin is loaded as FiftyOne loads it."""
    from fiftyone.plugins.context import build_plugin_contexts

    import fiftyone_drop as fod

    plugin = yaml.safe_load((ROOT / "fiftyone.yml").read_text())
    (context,) = (c for c in build_plugin_contexts() if c.name == plugin["name"])
    module = sys.modules[type(context.instances[0]).__module__.rpartition(".")[0] + ".forms.base"]
    parts = [OPERATORS_HEAD.format(name=plugin["name"])]
    forms = {form.function: form for form in subclasses(module.Form)}
    of_the_app = []
    for operator in context.instances:
        form = forms.get(operator.name)
        if form is None:
            if not operator.config.unlisted:
                about = f"*{operator.config.label}* | {operator.config.description}"
                of_the_app.append(f"| `{operator.name}` | {about} |")
            continue
        told = arguments(inspect.getdoc(getattr(fod, form.function)) or "")
        told |= (
            arguments(inspect.getdoc(fod.TrainingOptions) or "") if "epochs" in form.kinds else {}
        )
        told = OF_FORMS | told | BY_NAME
        rows = [
            f"| `{name}` | {_words(kind)} | {told[name]} |" for name, kind in form.kinds.items()
        ]
        words = f"{operator.config.description}. Calls `fod.{form.function}`."
        head = f"## `{operator.name}`: *{operator.config.label}*\n\n{words}\n"
        parts.append("\n".join([head, "| parameter | takes | |", "|---|---|---|", *rows, ""]))
    head = "## Of the App alone\n\nThey have no one function of the package behind them.\n"
    parts.append("\n".join([head, "| operator | | |", "|---|---|---|", *of_the_app, ""]))
    return "\n".join(parts)


def _words(kind: Any) -> str:
    """What a parameter takes, in words."""
    if isinstance(kind, partial):
        *most, last = [f"`{choice}`" for choice in kind.args[0]]
        return f"{', '.join(most)} or {last}"
    return KINDS[kind.__name__]


def subclasses(base: type) -> Iterator[type]:
    """All classes below one."""
    for one in base.__subclasses__():
        yield one
        yield from subclasses(one)


def arguments(docstring: str) -> dict[str, str]:
    """Each argument with the beginning of its text, as far as it stands by itself."""
    section = re.split(r"\n(?:Args|Attributes):\n", docstring + "\n")[-1].split("\n\n")[0]
    found = re.findall(r"^    (\w+)(?: \([^\n]*?\))?: (.*(?:\n {8,}.*)*)", section, re.MULTILINE)
    return {name: _beginning(" ".join(text.split())) for name, text in found}


def _beginning(text: str) -> str:
    text = re.sub(r":\w+:`~?([^`]*)`", r"`\1`", text).replace("``", "`")
    return re.split(r"(?<=\w)[.;:](?= )| \((?!0)", text)[0].replace("|", "\\|")


if __name__ == "__main__":
    API.write_text(api())
    OPERATORS.write_text(operators())
