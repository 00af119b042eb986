"""Fields: which hold labels, groups and scores, and which end of a score is kept first.

Reads the schema of a collection and the records of its runs, and no sample. Every argument that
names fields or samples is looked up here, so that the module is longer than others.
"""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
from fiftyone import ViewField as F

from fiftyone_drop import checks, lease, run_lookup
from fiftyone_drop.errors import DropError
from fiftyone_drop.field_marks import check_whole, unfinished
from fiftyone_drop.options import BY_ID, group_names
from fiftyone_drop.reader import count
from fiftyone_drop.schema import is_classification
from fiftyone_drop.waiting import while_away

BRAIN = ("mistakenness", "hardness", "uniqueness", "representativeness")
"""Methods of FiftyOne Brain whose high values are kept first."""
NUMBER_FIELDS = (fo.FloatField, fo.IntField)
VALUE_FIELDS = (fo.StringField, fo.IntField, fo.BooleanField)


def check_collection(samples: object, argument: str = "samples") -> foc.SampleCollection:
    """Return a collection of images that can be pruned.

    Raises:
        DropError: if ``samples`` is no FiftyOne collection, an empty one, or one of groups, videos,
            patches, frames or clips
    """
    collection = run_lookup.check_dataset(samples, argument)
    media = {collection.media_type, collection._root_dataset.media_type}
    kind = remedy = ""
    if collection._is_patches:
        kind = "a view of patches"
        remedy = (
            "patches.export(folder, dataset_type=kind) writes a crop of each, and "
            "fo.Dataset.from_dir(folder, dataset_type=kind) reads them, where kind is "
            "fo.types.ImageClassificationDirectoryTree"
        )
    elif collection._is_frames:
        kind, remedy = "a view of frames", "frames.clone(), whose samples are images"
    elif "group" in media:
        kind = "a grouped collection"
        remedy = "dataset.select_group_slices('left').clone(), or view.flatten() of dynamic groups"
    elif collection._is_clips or "video" in media:
        kind, remedy = "a collection of videos", "dataset.to_frames(sample_frames=True).clone()"
    if kind:
        raise DropError(
            argument,
            f"{kind} cannot be pruned; collections of images can. Make one first: {remedy}",
        )
    if not collection and not count(collection):
        raise DropError(argument, "the target view is empty; pass a view that holds samples")
    return collection


def current_collection(samples: object, argument: str = "samples") -> foc.SampleCollection:
    """:func:`check_collection` of a call that replaces runs or predictions.

    The dataset is loaded anew, since runs and evaluations of the server count, and not those that
    this session remembers. A database that is away is waited for.
    """
    collection = check_collection(samples, argument)
    while_away(lambda: lease.reload(collection._root_dataset), "nothing has begun")
    return collection


def check_validation(samples: foc.SampleCollection, validation: object) -> foc.SampleCollection:
    """Return a collection of validation samples.

    Raises:
        DropError: if it is no collection of images, or one of another dataset
    """
    collection = check_collection(validation, "validation")
    name, other = samples._root_dataset.name, collection._root_dataset.name
    if name != other:
        raise DropError(
            "validation",
            f"must be a view into '{name}', but is one into '{other}'; pass recalls= instead",
        )
    return collection


# -- labels and groups ----------------------------------------------------------------------------


def label_path(samples: foc.SampleCollection, label_field: object, argument: str) -> str:
    """The path of the class labels in a Classification, string, integer or boolean field.

    Args:
        samples: a collection
        label_field: the name of the field
        argument: the argument that named it, for errors

    Raises:
        DropError: if there is no such field, or it holds no class labels
    """
    label_field = checks.text(argument, label_field)
    field = samples.get_field(label_field)
    if field is None:
        raise DropError(
            argument,
            f"no field {label_field!r}; fields with class labels are {class_label_fields(samples)}",
        )
    single = single_field(samples, label_field)
    if isinstance(single, VALUE_FIELDS) and label_field != "filepath":
        return label_field
    if is_classification(single):
        check_whole(field, label_field, argument)
        return f"{label_field}.label"
    if single is None:
        what = "has a list per sample, and not one value"
    elif label_field == "filepath":
        what = "differs from sample to sample and holds no class labels"
    else:
        what = f"is a {_describe(field)} and holds no class labels"
    raise DropError(
        argument,
        f"'{label_field}' {what}; it must be a Classification, string, integer or boolean field, "
        f"such as {class_label_fields(samples)}",
    )


def class_paths(
    samples: foc.SampleCollection, label_field: str, group_by: str | Sequence[str] | None
) -> list[str]:
    """The paths that tell the class of a sample: its label and, with ``group_by``, its groups.

    Raises:
        DropError: if a field is unfit
    """
    groups = [label_path(samples, name, "group_by") for name in group_names(group_by)]
    return [label_path(samples, label_field, "label_field"), *groups]


def default_label_field(samples: foc.SampleCollection, besides: Iterable[str] = ()) -> str:
    """The only Classification field that holds no predictions, as far as runs tell.

    Args:
        samples: a collection
        besides (()): other fields that hold predictions

    Raises:
        DropError: if there are none or several; it lists the candidates
    """
    predictions = {*run_lookup.known_predictions(samples._root_dataset), *besides}
    candidates = [name for name in _classification_fields(samples) if name not in predictions]
    if len(candidates) == 1:
        return candidates[0]
    if candidates:
        raise DropError(
            "label_field", f"several fields hold class labels, pass one of {candidates}"
        )
    known = [name for name in _classification_fields(samples) if name in predictions]
    besides_them = f" besides the predictions {known}" if known else ""
    raise DropError(
        "label_field",
        f"there is no Classification field{besides_them}; pass the name of a string field that "
        f"holds class labels, such as {_string_fields(samples)}",
    )


def stated_classes(samples: foc.SampleCollection, field: str) -> tuple[str, ...] | None:
    """The classes of a field in their order, as the dataset states them; None if it does not."""
    dataset = samples._root_dataset
    classes = dataset.classes.get(field) or dataset.default_classes
    return checks.class_list("classes", classes) if classes else None


def logit_classes(
    samples: foc.SampleCollection, field: str, classes: Sequence[str] | None
) -> tuple[str, ...]:
    """The names of the logits that a Classification field holds, in their order.

    Args:
        samples: the collection
        field: the field
        classes: the names; None for those that the dataset has for the field

    Raises:
        DropError: if the field holds something else, or there are no names
    """
    if not is_classification(single_field(samples, field)):
        raise DropError(
            "model",
            f"the field '{field}' must hold Classifications with logits, but holds none; make it "
            f"with samples.apply_model(..., label_field='{field}', store_logits=True)",
        )
    if classes is not None:
        return checks.class_list("classes", classes)
    stated = stated_classes(samples, field)
    if stated is None:
        raise DropError(
            "classes",
            "must be given with stored logits, in their order, unless the dataset knows them: "
            f"dataset.classes['{field}'] = [...]; dataset.save()",
        )
    return stated


def class_label_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields that may hold class labels: Classifications first, then strings."""
    return _classification_fields(samples) + _string_fields(samples)


def single_field(samples: foc.SampleCollection, path: str) -> fo.Field | None:
    """The field at a path that has one value per sample; None if it has a list, or does not exist.

    The schema of ``boxes.detections.label`` says that it is a string, but a sample has as many of
    them as it has boxes.
    """
    parts = path.split(".")
    for stop in range(1, len(parts)):
        if isinstance(samples.get_field(".".join(parts[:stop])), fo.ListField):
            return None
    return samples.get_field(path)


def _describe(field: fo.Field) -> str:
    if isinstance(field, fo.EmbeddedDocumentField):
        return str(field.document_type.__name__)
    return type(field).__name__


def _classification_fields(samples: foc.SampleCollection) -> list[str]:
    schema = samples.get_field_schema()
    # Predictions that are being written are known to nobody yet
    return [name for name, f in schema.items() if is_classification(f) and not unfinished(f)]


def _string_fields(samples: foc.SampleCollection) -> list[str]:
    schema = samples.get_field_schema(ftype=fo.StringField)
    return [name for name in schema if name != "filepath"]


# -- scores ---------------------------------------------------------------------------------------


def number_field(samples: foc.SampleCollection, name: object, argument: str, remedy: str) -> str:
    """The name of a field of numbers.

    Args:
        samples: a collection
        name: the name of the field
        argument: the argument that named it, for errors
        remedy: what an error says in the end

    Raises:
        DropError: if there is no such field, it holds something else, or it is not whole
    """
    name = checks.text(argument, name, remedy)
    field = single_field(samples, name)
    if isinstance(field, NUMBER_FIELDS):
        check_whole(field, name, argument)
        return name
    raise DropError(
        argument,
        f"must be the name of a number field, one of {number_fields(samples)}, but got "
        f"{name!r}; {remedy}",
    )


def number_fields(samples: foc.SampleCollection) -> list[str]:
    """The fields that hold numbers."""
    return list(samples.get_field_schema(ftype=NUMBER_FIELDS))


def score_fields(samples: foc.SampleCollection) -> list[str]:
    """The number fields that say which end is kept first, and are whole."""
    schema = samples.get_field_schema(ftype=NUMBER_FIELDS)
    return [n for n, field in schema.items() if first_end_of(samples, n) and not unfinished(field)]


def first_end(field: fo.Field) -> str | None:
    """The end of a score field that is kept first, ``"high"`` or ``"low"``; None if unknown."""
    info = field.info or {}
    # Scores such as k_center have no hard end, but an end that is kept first
    first = info.get("hard") or info.get("kept_first")
    return first if first in ("high", "low") else None


def first_end_of(samples: foc.SampleCollection, name: str) -> str | None:
    """:func:`first_end` of a number field, which may be one that FiftyOne Brain has computed."""
    first = first_end(samples.get_field(name))
    if first is None:
        dataset = samples._root_dataset
        for brain_key in dataset.list_brain_runs():  # hardness says that it is mistakenness
            config = dataset.get_brain_info(brain_key).config
            if name in [getattr(config, f"{method}_field", None) for method in BRAIN]:
                return "high"
    return first


def highest_first(samples: foc.SampleCollection, select: str, keep: str) -> bool:
    """Whether the high values of a score field are kept first.

    Args:
        samples: a collection
        select: the name of the field
        keep: ``"hardest"`` or ``"easiest"``

    Raises:
        DropError: if ``select`` is no score field that says which end is hard
    """
    number_field(
        samples,
        select,
        "select",
        "pass 'random', or compute scores with fiftyone_drop.compute_scores(...)",
    )
    first = first_end_of(samples, select)
    if first is None:
        raise DropError(
            "select",
            f"the field '{select}' does not say which end is hard; set it with "
            f"field = dataset.get_field('{select}'); field.info = {{'hard': 'high'}} (or 'low'); "
            "field.save()",
        )
    return (first == "high") == (keep == "hardest")


def sorted_by_score(
    samples: foc.SampleCollection, name: str, highest_first: bool
) -> fo.DatasetView:
    """Samples by a number field; those without a number come last, whichever end comes first."""
    if highest_first:
        return samples.sort_by(name, reverse=True)
    # For MongoDB nothing, and NaN, are below every number
    return samples.sort_by([(F(name) >= -sys.float_info.max, -1), (name, 1)])


def known_fields(samples: foc.SampleCollection, names: Collection[str]) -> list[str]:
    """Those of the names that are fields of the collection."""
    schema = samples.get_field_schema()
    return [name for name in names if name in schema]


# -- samples that are named ----------------------------------------------------------------------


def must_keep_view(samples: foc.SampleCollection, must_keep: Any) -> foc.SampleCollection:
    """The samples that ``must_keep=`` names: those of a view, with a tag, or with a true field.

    Args:
        samples: the target view
        must_keep: a view, or the name of a tag or boolean field

    Raises:
        DropError: if it is none of these, or a view of another dataset
    """
    if isinstance(must_keep, foc.SampleCollection):
        name, other = samples._root_dataset.name, must_keep._root_dataset.name
        if name != other:
            raise DropError("must_keep", f"must be a view into '{name}', but is one into '{other}'")
        return must_keep
    if not isinstance(must_keep, str):
        raise DropError(
            "must_keep",
            f"must be a view, or the name of a tag or of a boolean field, but got {must_keep!r}",
        )
    field, tags = single_field(samples, must_keep), samples._root_dataset.distinct("tags")
    if isinstance(field, fo.BooleanField) and must_keep in tags:
        raise DropError(
            "must_keep",
            f"'{must_keep}' is a boolean field and a tag; pass a view, such as "
            f"dataset.match_tags('{must_keep}')",
        )
    if isinstance(field, fo.BooleanField):
        return samples.match(fo.ViewField(must_keep) == True)  # noqa: E712  # a MongoDB expression
    if must_keep in tags:
        return samples.match_tags(must_keep)
    booleans = list(samples.get_field_schema(ftype=fo.BooleanField))
    raise DropError(
        "must_keep",
        f"there is neither a tag nor a boolean field {must_keep!r}; tags are {tags}, boolean "
        f"fields {booleans}",
    )


def check_order_by(samples: foc.SampleCollection, order_by: str) -> None:
    """Check that samples can be ordered at random by the values of a field.

    Raises:
        DropError: if it is neither ``"id"`` nor a string field
    """
    if order_by == BY_ID or isinstance(single_field(samples, order_by), fo.StringField):
        return
    raise DropError(
        "order_by",
        f"must be 'id', 'filepath' or another string field with a value of its own for each "
        f"sample, but got {order_by!r}; there are {_string_fields(samples)}",
    )
