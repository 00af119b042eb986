"""Problems and warnings of drafts in the words of the panel, whose controls are not a form's."""

from __future__ import annotations

import re

import fiftyone_drop as fod

from .words import LABELS, in_app_words

# Arguments -> the controls of the panel that stand for them
CONTROLS = {
    "density": "Density",
    "eval_key": "Class recalls",
    "keep": "Keep",
    "limits": "Keep of",
    "max_per_class": "at most",
    "min_per_class": "at least",
    "must_keep": "Keep always",
    "protect": "all of it",
    "query": "Class recalls",
    "recalls": "Class recalls",
    "rule": "Rule",
    "samples": "Samples",
    "select": "Selection",
}

# What no control stands for is in the form that the panel opens
NAMES = {name: f"More in the form: {label}" for name, label in LABELS.items()} | CONTROLS

# Messages whose remedies are no controls of the panel
SENTENCES = {
    r"^(?=[\d.e-]+ keeps )": "the density ",
    r"^need a rule that sets quotas, which the chosen one does not$": (
        "limits on classes need a rule that sets quotas, which the chosen one does not: choose "
        "another 'Rule', or take the limits back"
    ),
    r"^names ([\d,]+) samples, but none with a label in the target view; .*$": (
        r"of the samples that are kept always, \1, the draft has none with a label: choose other "
        "'Samples', or take that back"
    ),
}

# What a message begins with whose subject is its argument
PREDICATES = re.compile(
    r"(?:must|needs?|names?|allows?|keeps?|has|asks?|goes|leaves?|are|is|and|set|makes|trains)\b"
)


def of_problem(error: fod.DropError) -> str:
    """An error of a draft as a sentence of its own, without the point at its end."""
    words, argument = error.message, error.argument
    for pattern, sentence in SENTENCES.items():
        words = re.sub(pattern, sentence, words)
    words = of_panel(words)
    return f"'{NAMES.get(argument, argument)}' {words}" if PREDICATES.match(words) else words


def of_panel(text: str) -> str:
    """A message about a draft, with the controls of the panel in the place of fields of forms."""
    return in_app_words(text, NAMES)
