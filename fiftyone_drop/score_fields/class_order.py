"""The order of classes in a model's logits, and where in it the labels of a field are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._types import IntArray
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.fields import stated_classes


def class_order(
    samples: foc.SampleCollection,
    label_field: str,
    labels: Sequence[str],
    classes: object,
) -> tuple[str, ...]:
    """The classes in the order of the logits.

    Args:
        samples: the collection
        label_field: the field of the labels
        labels: the names that occur in it, sorted
        classes: what the user passed, or None: the dataset's own list then, and otherwise the
            labels, whole numbers by their value and other names by the alphabet

    Raises:
        DropError: if ``classes`` is no sequence of names
    """
    if classes is not None:
        return checks.class_list("classes", classes)
    stated = stated_classes(samples, label_field)
    if stated is not None:
        return stated
    if all(name.removeprefix("-").isdecimal() for name in labels):
        return tuple(sorted(labels, key=lambda name: (int(name), name)))
    return tuple(labels)


def positions(
    classes: Sequence[str], labels: Sequence[str], label_field: str, *, given: bool
) -> IntArray:
    """The position of each label in the classes, (L,) int.

    Args:
        classes: the classes in the order of the logits
        labels: the names that occur in the field
        label_field: the field
        given: whether the user passed the classes; the dataset states them otherwise

    Raises:
        DropError: if a label is not in the classes, or twice
    """
    place = {name: i for i, name in enumerate(classes)}
    missing = [name for name in labels if name not in place]
    if missing:
        whose = "must hold" if given else "of the dataset (classes, default_classes) must hold"
        raise DropError(
            "classes",
            f"{whose} every label in '{label_field}', but {listing(missing)} are missing; "
            "pass classes=, the names of all outputs of the model, in their order",
        )
    times = Counter(classes)
    for name in labels:
        if times[name] > 1:
            both = [i for i, other in enumerate(classes) if other == name]
            raise DropError(
                "classes",
                f"{name!r} is a label in '{label_field}' and the name of the outputs "
                f"{listing(both)}; name one of them otherwise, such as '{name} 2', and label its "
                "samples so",
            )
    return np.array([place[name] for name in labels], dtype=np.int64)
