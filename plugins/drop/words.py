"""Messages of the package in the words of the App: names of its fields and buttons, and no Python.

The package speaks to people who write Python: its messages name arguments and functions. People
in the App see fields, whose labels stand here for the arguments. A test looks for code in the rest.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

# Arguments -> the labels of their fields in the forms
LABELS = {
    "allow_empty_classes": "Allow a class to lose all its samples",
    "batch_size": "Images per step",
    "class_name": "class",
    "classes": "Classes of the model",
    "closed_form": "A query model in closed form",
    "dataset_type": "Format",
    "density": "Density",
    "device": "PyTorch device",
    "drop_above": "Leave out above",
    "drop_below": "Leave out below",
    "epochs": "Epochs",
    "export_dir": "Folder",
    "eval_key": "Evaluation run",
    "folds": "Folds",
    "group_by": "Group by",
    "holdout": "Hold-out",
    "image_size": "Image size",
    "key": "Run key",
    "keep": "Keep",
    "label_field": "Label field",
    "max_bytes": "Bytes of image files",
    "max_per_class": "At most",
    "min_per_class": "Samples to keep of each class, at least",
    "missing_recall": "Missing recall",
    "must_keep": "Must keep",
    "on_error": "Images that cannot be read",
    "order_by": "The order at random hashes",
    "overwrite": "Replace",
    "pred_field": "Predictions",
    "prefix": "Prefix of the fields",
    "pretrained": "Start from weights pretrained on ImageNet",
    "protect": "Protected classes",
    "query": "Class recalls from",
    "recalls": "Class recalls from",
    "rule": "Rule",
    "score": "Score",
    "select": "Select",
    "size": "Samples",
    "skip_unlabeled": "Leave samples without a label out of the run",
    "smoothing": "Smoothing",
    "validation": "Validation samples",
}

# Functions -> what does the same in the App, or where it is done instead
DOERS = {
    "apply_drop": "DRoP: prune to a density",
    "apply_model": "a model that is applied in Python and stores its logits",
    "compare_drops": "DRoP: compare two runs",
    "compute_metadata": "FiftyOne's operator Compute metadata",
    "compute_scores": "DRoP: compute difficulty scores",
    "delete_drop": "DRoP: delete a run",
    "evaluate_classifications": "FiftyOne's operator Evaluate model",
    "set_density": "DRoP: change the density of a run",
    "train_query_model": "DRoP: train a query model",
    "verify_drop": "the check of a run in Python",
}

# Sentences that are about Python from beginning to end
SENTENCES = {
    r"call dataset\.match_tags\(['\"]?(?P<tag>.*?)['\"]?\)\.apply_drop\(\.\.\.\)": (
        r"choose The split \g<tag> in the form"
    ),
    r"\. Store what the view shows in a field of its own and pass that field: .*$": (
        ". Store what the view shows in a field of its own, and choose that field"
    ),
    r"rename them with map_labels, or pass dataset_type='FiftyOneImageClassificationDataset'": (
        "rename them, or choose the format 'A folder of images, and a JSON file of their labels'"
    ),
    r"pass another one, or dataset_type='FiftyOneDataset'": (
        "choose the format 'Everything, to be imported into another FiftyOne'"
    ),
    r"class offsets on logits, fod\.class_offsets, take": (
        "class offsets on logits, which are computed in Python, take"
    ),
    r"architecture='auto'": "another architecture",
    r"checkpoint_dir": "folder of checkpoints",
    r"\bquotas= leave\b": "the quotas leave",
    r"True or False": "on or off",
    r"; got None": "",
    r"; start Python with the environment variable .*$": "; switch it off",
    r"^True comes too late": "This comes too late",
    r"call dataset\.reload\(\) there": "load the page again there",
    r"pass recalls=load_drop\(dataset, '(?P<key>.*?)'\)\.recalls": (
        r"take the recalls from the drop run \g<key>"
    ),
    r"; set it with field = .*?field\.save\(\)": "; it is set in Python, in the field's info",
    r"; allow changes with field = .*?field\.save\(\)": "; that is changed in Python",
    r"pass a view, such as dataset\.match_tags\((?P<tag>.*?)\)": "rename one of the two",
    r", such as dataset\.select\(view\.values\('id'\)\)": "",
    r", or dataset\.delete_sample_field\((?P<field>.*?)\)": r", or delete the field \g<field>",
    r" with \.match\(F\((?P<field>.*?)\) >= float\('-inf'\)\)": "",
    r"(them|samples) out with \.(exists|exclude)\([^)]*\)": r"\g<1> out of the view",
    r"unless the dataset knows them: dataset\.classes\[.*?\] = \[\.\.\.\]; dataset\.save\(\)": (
        "unless the dataset states them"
    ),
    r"\bpass classes= in the order of the logits, or correct dataset\.classes\b": (
        "correct the classes that the dataset states for these predictions, in Python"
    ),
    r"\bPass classes= in the order of the logits, or correct dataset\.classes\b": (
        "Correct the classes that the dataset states for these predictions, in Python"
    ),
    r"\. Make one first: .*$": "; one is made in Python",
    r" \(model\.classes = \[\.\.\.\], in the order of its outputs\)": "",
    r"; use kept_counts\([^)]*\)": "",
    r"apply_drop\(select=[^)]*\)": "Select",
    r" \(fiftyone\.zoo\.list_zoo_models\(\)\)": "",
    r"rule='none'": "'none'",
    r"\bquery='trained'": "Query models, trained now",
    r"\bset min_per_class=1 or more": "keep at least one sample of each class",
    r"\bmin_per_class=1 or more keeps some": "a floor of one sample or more keeps some",
}

# What stands in quotation marks is somebody's name for something, such as a class "pass", and stays
# as it is; but for values of arguments in the sentences above
_QUOTED = re.compile(r"""(?<!\w)(?:'((?:[^'\\]|\\.)*)'|"((?:[^"\\]|\\.)*)")(?!\w)""")
_VALUES = frozenset(re.findall(r"'(-?\w+)\\?'", " ".join(SENTENCES)))
_HIDDEN = re.compile("\ue000(\\d+)\ue001")

_NAMES = "|".join(sorted(LABELS, key=len, reverse=True))
_ARGUMENT = re.compile(
    rf"\b(?P<name>{_NAMES})=(?P<value><[^>]*>|'[^']*'|\(.*?\)|\[.*?\]|[\w./-]+\b|(?=\W|$))"
)
_CALL = re.compile(r"(?:\b(?:fod|samples|dataset|view)\.)?\b(?P<name>\w+)\((?:[^()]|\([^()]*\))*\)")
_BARE = re.compile(rf"\b(?P<name>{'|'.join(n for n in [*LABELS, *DOERS] if '_' in n)})\b")


def in_app_words(text: str, labels: Mapping[str, str] = LABELS) -> str:
    """A message of the package for somebody who looks at forms and at the panel.

    Args:
        text: the message
        labels: arguments -> what stands for them; the labels of their fields by default
    """
    names: list[str] = []

    def hide(found: re.Match[str]) -> str:
        name = found[1] if found[2] is None else found[2]
        if name in _VALUES:
            return found[0]
        names.append(name)
        return f"{found[0][0]}\ue000{len(names) - 1}\ue001{found[0][0]}"

    text = _QUOTED.sub(hide, text.replace("\ue000", ""))
    for pattern, words in SENTENCES.items():
        text = re.sub(pattern, words, text)
    text = _CALL.sub(lambda m: DOERS.get(m["name"], m[0]), text)
    text = _ARGUMENT.sub(lambda m: _argument(m, labels), text)
    text = _BARE.sub(lambda m: f"'{labels.get(m['name']) or DOERS[m['name']]}'", text)
    text = re.sub(r"\[('[^\]\[]*')\]", r"\1", text)
    text = re.sub(r"\b([Pp])ass\b", lambda m: "choose" if m[1] == "p" else "Choose", text)
    return _HIDDEN.sub(lambda m: names[int(m[1])], text)


def _argument(found: re.Match[str], labels: Mapping[str, str]) -> str:
    label, value = f"'{labels[found['name']]}'", found["value"]
    if value in ("", "True") or value.startswith(("<", "(", "[")):
        return label
    return f"{label} off" if value == "False" else f"{label} {value}"
