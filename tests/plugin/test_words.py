"""What people read in the App has no code in it: the words of fields and buttons instead."""

import ast
import re
from pathlib import Path

import pytest

import fiftyone_drop as fod

PACKAGE = Path(fod.__file__).parent
CODE = re.compile(
    r"\b\w+=(?!=)|\w+\(\.{0,3}[^ )]*\)|\b[a-z]+(?:_[a-z]+)+\b|\b(?:fod|samples|dataset|view)\.\w"
    r"|\bTrue\b|\bNone\b|\[['\"]"
)
# Whose messages only people who write Python can cause: they call it, and no operator does
OUT_OF_REACH = {
    *("allocation.py", "offsets.py", "logit_offsets.py", "extension.py", "manifest.py"),
    *("manifest_file.py", "matching.py", "class_table.py", "integrations", "recorder.py"),
    *("dynamics.py", "presentations.py", "registry.py", "arrays.py", "imports.py", "forward.py"),
    *("gradient_norms.py", "resolve.py", "images.py", "query_model.py", "options.py"),
    *("cluster.py", "chunks.py", "cli", "score_file.py", "score_table.py", "sample_keys.py"),
    *("parquet.py", "figures.py", "embeddings.py"),
}


def template(argument):
    """The text that an expression stands for; None if it has none."""
    for part in ast.walk(argument):
        if isinstance(part, ast.JoinedStr):
            values = [getattr(value, "value", None) for value in part.values]
            return "".join(v if isinstance(v, str) else "X" for v in values)
        if isinstance(part, ast.Constant) and isinstance(part.value, str):
            return part.value
    return None


def templates():
    """All messages of errors and warnings that the App can show, with X for what is filled in."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if OUT_OF_REACH & {path.name, path.parent.name}:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            shown = []
            if isinstance(node, ast.Call):
                name = getattr(node.func, "id", getattr(node.func, "attr", ""))
                shown = {"DropError": node.args[1:], "warn": node.args[:1]}.get(name, [])
            elif isinstance(node, ast.Yield) and isinstance(node.value, ast.Tuple):
                shown = node.value.elts[1:]  # of a report: level and text
            elif isinstance(node, ast.Yield) and path.name == "advice.py":
                shown = [node.value]
            yield from filter(None, map(template, shown))


@pytest.fixture(scope="module")
def in_app_words(module_of_plugin):
    return module_of_plugin("words").in_app_words


def test_no_message_that_the_app_can_show_has_code_in_it(in_app_words):
    messages = list(templates())
    assert len(messages) > 150
    assert not [words for words in map(in_app_words, messages) if CODE.search(words)]


@pytest.mark.parametrize(
    ("of_the_package", "in_the_app"),
    [
        ("pass overwrite=True to replace it", "choose 'Replace' to replace it"),
        ("pass missing_recall=<float>", "choose 'Missing recall'"),
        (
            "to prune the training split only, call dataset.match_tags('train').apply_drop(...)",
            "to prune the training split only, choose The split train in the form",
        ),
        (
            "; pass classes= in the order of the logits, or correct dataset.classes",
            "; correct the classes that the dataset states for these predictions, in Python",
        ),
        (
            "Pass classes= in the order of the logits, or correct dataset.classes, and pass more",
            "Correct the classes that the dataset states for these predictions, in Python, and "
            "choose more",
        ),
        (
            "collections of images can. Make one first: dataset.to_frames(sample_frames=True)",
            "collections of images can; one is made in Python",
        ),
        ("must be in (0, 1], but got 2", "must be in (0, 1], but got 2"),
        ("depends on ['drop_keep_at'], which", "depends on 'drop_keep_at', which"),
    ],
)
def test_arguments_become_fields(in_app_words, of_the_package, in_the_app):
    assert in_app_words(of_the_package) == in_the_app


@pytest.mark.parametrize(
    "name",
    ["pass", "size=large", "image_size", "apply_drop()", "No pass", "it's a pass", "\\", '"'],
)
def test_names_in_a_message_stay_as_they_are(in_app_words, name):
    message = f"nothing is kept of {name!r}, {name!r}: pass min_per_class=1, not {name!r}"
    assert in_app_words(message) == (
        f"nothing is kept of {name!r}, {name!r}: choose "
        f"'Samples to keep of each class, at least' 1, not {name!r}"
    )


def test_labels_are_those_of_the_forms(in_app_words, form, dataset, module_of_plugin):
    labels = module_of_plugin("words").LABELS
    fields = form(dataset, {"more": True, "recalls_from": "training"})
    drawn = {name: field.view.label for name, field in fields.items() if name in labels}
    assert len(drawn) > 15
    for name, label in drawn.items():
        assert label.removesuffix(" (optional)") == labels[name]
