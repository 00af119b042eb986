"""Before a call: its choices, its problems and its effect, for forms and other front ends.

Nothing is written here. A problem is the same :class:`fiftyone_drop.DropError` that the call
itself raises. Functions read the dataset's record alone; the docstrings of the few that query
samples say so, since a form may want to remember their answers.

A front end needs this module and the public names, and nothing else of the package. So the module
is longer than others: many short functions, each with its own contract.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import checks
from fiftyone_drop._version import __version__
from fiftyone_drop.amount import Amount
from fiftyone_drop.bounds import Bounds
from fiftyone_drop.class_table import ClassTable, class_words
from fiftyone_drop.comparison import check_comparable
from fiftyone_drop.counts import kept_counts
from fiftyone_drop.dataset_state import last_change, quick_state
from fiftyone_drop.density import check_no_class_emptied, kept_size
from fiftyone_drop.draft_sides import counts_of_two, side_of_draft, side_of_run
from fiftyone_drop.drafts import Draft, draft_of, draft_of_run, samples_of_run
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.evaluations import check_evaluation
from fiftyone_drop.fields import (
    check_collection,
    class_label_fields,
    default_label_field,
    label_path,
    logit_classes,
    number_fields,
    score_fields,
    stated_classes,
)
from fiftyone_drop.lease import writer
from fiftyone_drop.limits import class_bounds
from fiftyone_drop.options import DropOptions, group_names
from fiftyone_drop.population import SPLIT_TAGS, split_tags
from fiftyone_drop.pruning import DEFAULTS
from fiftyone_drop.query_models import check_predictions_free
from fiftyone_drop.quotas import levels
from fiftyone_drop.reader import count_tags, read_ids
from fiftyone_drop.rules import BY_HAND, RULES, Rule
from fiftyone_drop.run_keys import check_independent, check_key, present_views
from fiftyone_drop.run_lookup import check_order, find_configs, get_config, state_words
from fiftyone_drop.run_outputs import own_fields, owns_evaluation
from fiftyone_drop.runs import DropResults

if TYPE_CHECKING:
    from fiftyone_drop.scoring.registry import Score
    from fiftyone_drop.training import TrainingOptions

__all__ = [
    "BY_HAND",
    "SPLIT_TAGS",
    "Draft",
    "Kept",
    "Outputs",
    "architectures",
    "check_comparable",
    "check_evaluation",
    "check_key",
    "check_logits_field",
    "check_run",
    "check_score_fields",
    "check_training_key",
    "class_sizes",
    "class_words",
    "counts_of_two",
    "default_label_field",
    "draft_of",
    "draft_of_run",
    "evaluations",
    "free_key",
    "group_fields",
    "group_names",
    "has_logits",
    "kept",
    "kept_by_run",
    "label_fields",
    "last_change",
    "measured_inside",
    "must_keep_names",
    "newest_run",
    "number_fields",
    "outputs",
    "overlap",
    "predictions",
    "quick_state",
    "rules",
    "run_version",
    "runs",
    "runs_behind",
    "runs_with_recalls",
    "samples_of_run",
    "score_fields",
    "scores_of",
    "side_of_draft",
    "side_of_run",
    "splits",
    "states",
    "states_classes",
    "tags",
    "target_size",
    "training_cost",
    "training_outputs",
    "training_size",
    "unmeasured",
    "water_levels",
]

# -- fields ---------------------------------------------------------------------------------------


def label_fields(samples: foc.SampleCollection, besides: str | None = None) -> list[str]:
    """The fields that may hold class labels or predictions, all but one of them.

    Args:
        samples: a collection
        besides (None): a field to leave out, such as the label field

    Returns:
        Classification fields first, then string fields
    """
    return [name for name in class_label_fields(samples) if name != besides]


def group_fields(samples: foc.SampleCollection, label_field: str | None) -> list[str]:
    """The fields that ``group_by=`` takes: those of labels, and boolean and integer fields."""
    schema = samples.get_field_schema(ftype=(fo.BooleanField, fo.IntField))
    names = [*label_fields(samples), *schema]
    return [name for name in names if name != label_field]


def predictions(samples: foc.SampleCollection, besides: str | None) -> list[str]:
    """The Classification fields but one in which a model has left confidences or logits.

    Queries the samples.
    """
    fields = samples.get_field_schema(
        ftype=fo.EmbeddedDocumentField, embedded_doc_type=fo.Classification
    )
    return [
        name
        for name in fields
        if name != besides
        and any(
            len(samples.exists(f"{name}.{trace}").limit(1)) for trace in ("confidence", "logits")
        )
    ]


def must_keep_names(samples: foc.SampleCollection) -> list[str]:
    """The boolean fields and the tags that ``must_keep=`` takes. Queries the samples."""
    return [*samples.get_field_schema(ftype=fo.BooleanField), *samples.distinct("tags")]


# -- samples --------------------------------------------------------------------------------------


def target_size(samples: foc.SampleCollection) -> int:
    """The number of samples of a target view. Queries the samples.

    Raises:
        DropError: if the collection is empty, or holds something other than images
    """
    check_collection(samples)
    return len(samples)


def class_sizes(samples: foc.SampleCollection, label_field: str | None) -> dict[str, int]:
    """The number of samples of each class, without unlabelled samples. Queries the samples.

    Raises:
        DropError: if there is no such field, or it holds no class labels
    """
    counts = samples.count_values(label_path(samples, label_field, "label_field"))
    return {str(name): n for name, n in counts.items() if name is not None}


def overlap(samples: foc.SampleCollection, others: foc.SampleCollection) -> tuple[int, int]:
    """How many samples of ``others`` are in ``samples`` too, and the size of ``others``.

    Queries both collections.
    """
    target, ids = read_ids(samples), read_ids(others)
    return int(np.isin(ids, target).sum()), len(ids)


def tags(samples: foc.SampleCollection) -> dict[str, int]:
    """The sample tags, each with its number of samples. Queries the samples."""
    return dict(sorted(count_tags(samples).items()))


def measured_inside(samples: foc.SampleCollection, eval_key: str) -> bool:
    """Whether an evaluation has measured some of the samples. Queries the samples."""
    return len(samples.exists(eval_key).limit(1)) > 0


def splits(samples: foc.SampleCollection) -> dict[str, int]:
    """The sample tags that look like splits, training first, each with its number of samples.

    Empty where they name one split only. Queries the samples.
    """
    found = split_tags(count_tags(samples))
    return {tag: n for tags in found.values() for tag, n in tags.items()} if len(found) > 1 else {}


# -- recalls --------------------------------------------------------------------------------------


def evaluations(samples: foc.SampleCollection, label_field: str | None) -> dict[str, str]:
    """The evaluations that compare with ``label_field``: evaluation key -> prediction field."""
    dataset = samples._root_dataset
    configs = {
        key: dataset.get_evaluation_info(key).config
        for key in dataset.list_evaluations(type="classification")
    }
    return {key: c.pred_field for key, c in configs.items() if c.gt_field == label_field}


def runs_with_recalls(
    samples: foc.SampleCollection,
    label_field: str | None,
    group_by: str | Sequence[str] | None = None,
) -> list[str]:
    """The keys of the drop runs that have recalls of the same classes."""
    return [
        key
        for key, config in sorted(find_configs(samples._root_dataset).items())
        if config.complete
        and config.recalls_from
        and (config.label_field, group_names(config.group_by))
        == (label_field, group_names(group_by))
    ]


def unmeasured(classes: Collection[str], measured: Collection[str]) -> str | None:
    """Words for the classes without a validation sample; None if each class has one."""
    missing = sorted(set(classes) - set(measured))
    return f"no validation sample of {listing(missing)}" if missing else None


def training_size(size: int, holdout: float) -> int:
    """The number of samples that a query model trains on, beside those held out.

    Raises:
        DropError: if ``holdout`` is not in (0, 1)
    """
    return size - round(size * checks.number("holdout", holdout, "(0, 1)"))


# -- effects --------------------------------------------------------------------------------------


class Kept(NamedTuple):
    """The effect of a density on a run.

    Attributes:
        kept: the number of samples that the run would keep
        size: the number of samples of the run
        fewest: the class that would keep fewest samples, in words, with its quota and its size;
            None for a rule without quotas
    """

    kept: int
    size: int
    fewest: tuple[str, int, int] | None


class Outputs(NamedTuple):
    """What a run has written and still owns.

    Attributes:
        fields: its sample fields
        views: its saved views
        eval_key: its evaluation run, or None
    """

    fields: list[str]
    views: list[str]
    eval_key: str | None


def rules() -> dict[str, Rule]:
    """The rules by name, with a ``description``, and in ``needs`` the columns they read."""
    return dict(RULES)


def kept(samples: int, sizes: Mapping[str, int], **arguments: Any) -> int | None:
    """How many samples a pruning would keep.

    Args:
        samples: the number of samples that can be kept
        sizes: the class sizes, as far as they are known; bounds of others are not checked
        **arguments: some of those of :func:`fiftyone_drop.apply_drop`: ``density`` or ``size`` or
            ``max_bytes``, ``rule``, ``min_per_class``, ``max_per_class`` and ``protect``

    Returns:
        the number; None for ``max_bytes``, which depends on the files

    Raises:
        DropError: if an argument is invalid, two contradict each other, or the amount is below the
            floors or above the caps
    """
    options = DropOptions.parse({**DEFAULTS, **arguments})
    if options.max_bytes is not None:
        return None
    classes = tuple(sorted(sizes))
    known = np.array([sizes[name] for name in classes], dtype=np.int64)
    bounds = class_bounds(options.limits, classes, known) if sizes else Bounds.none(known)
    # Samples of classes that are not known have no bounds
    bounds = bounds.beside(samples - int(known.sum()))
    return options.amount.checked_size(samples, bounds)


def kept_by_run(
    run: DropResults, density: object = None, size: object = None, max_bytes: object = None
) -> Kept | None:
    """The effect of moving a run to another density.

    Queries the samples of a run that is known to lack some, unless the density is its own.

    Args:
        run: a run, as :func:`fiftyone_drop.load_drop` returns it
        density: the dataset density, in (0, 1]
        size: instead, a number of samples
        max_bytes: instead, a number of bytes

    Returns:
        the effect; None for ``max_bytes``, which depends on the files

    Raises:
        DropError: if the amount is invalid, below the floors, or above the caps
    """
    amount, table = Amount.parse(density, size, max_bytes), run.table
    if amount.max_bytes is not None:
        return None
    reached = table.density_of(amount)
    if table.weights is not None and not run.config.allow_empty_classes:
        check_no_class_emptied(table.classes, table.quotas_at([reached])[0])
    if reached != run.density:
        if _lacks_samples(run):
            table = table.at(reached, kept_counts(run.samples, run.key, [reached])[0])
        elif table.weights is None:
            return Kept(kept_size(table.size, reached), table.size, None)
        else:
            table = table.at(reached)
    if table.weights is None:
        return Kept(int(table.quotas.sum()), table.size, None)
    k = int(np.argmin(table.quotas))
    fewest = table.names[k], int(table.quotas[k]), int(table.sizes[k])
    return Kept(int(table.quotas.sum()), table.size, fewest)


def _lacks_samples(run: DropResults) -> bool:
    """Whether the record of a run says that samples of its class table are not there."""
    config, table = run.config, run.table
    if config.quotas is None:
        return False
    if table.weights is not None or table.size != config.found.get("size", table.size):
        return True
    # Quotas are always counted where the rule sets none
    return sum(config.quotas) < kept_size(table.size, run.density)


class State(NamedTuple):
    """Something that is not as usual with the runs of a dataset.

    Attributes:
        words: a sentence
        way: the way out: ``"wait"``, ``"delete"`` the run of ``key``, or make it ``"again"``
        key: the run, or None
    """

    words: str
    way: Literal["wait", "delete", "again"]
    key: str | None


def states(dataset: fo.Dataset, key: str | None) -> list[State]:
    """All that is not as usual: a writer at work, unfinished runs, and a run of another version.

    Args:
        dataset: the dataset
        key: the run that is looked at, if any
    """
    busy, configs = writer(dataset), find_configs(dataset)
    if busy is not None:
        words = f"{busy} is writing runs or scores of this dataset"
        return [State(f"{words}, so that what is shown may change", "wait", None)]
    found = [
        State(f"The run '{name}' {state_words(name, configs)}", "delete", name)
        for name, config in sorted(configs.items())
        if not config.complete
    ]
    made = configs[key].versions.get("fiftyone-drop") if key in configs else None
    if made not in (None, __version__):
        words = f"The run '{key}' was made with version {made}, and this is {__version__}: made"
        found.append(State(f"{words} again, it may keep other samples", "again", key))
    return found


def outputs(dataset: fo.Dataset, key: str) -> Outputs:
    """Everything that ``delete_drop`` would delete beside the run; empty without such a run."""
    config = find_configs(dataset).get(key)
    if config is None:
        return Outputs([], [], None)
    written = config.outputs
    return Outputs(
        own_fields(dataset, written),
        present_views(dataset, config),
        written.eval_key if owns_evaluation(dataset, written) else None,
    )


def water_levels(table: ClassTable, densities: Sequence[float]) -> list[float]:
    """The ``c`` of Algorithm 1's ``min(1, c (1 - recall))`` at each density.

    It is that of the classes that are neither at a floor nor at a cap of theirs.
    """
    if table.weights is None or not table.weights.any():
        return [0.0] * len(densities)
    return [float(c) for c in levels(table.sizes, table.weights, densities, table.bounds)]


# -- runs -----------------------------------------------------------------------------------------


def runs(dataset: fo.Dataset) -> dict[str, bool]:
    """All drop runs in sorted order: key -> whether the run is complete."""
    return {key: bool(config.complete) for key, config in sorted(find_configs(dataset).items())}


def newest_run(dataset: fo.Dataset) -> str | None:
    """The key of the complete run that was written last; None if there is no run."""
    keys = [key for key, complete in runs(dataset).items() if complete]
    return max(keys, key=lambda key: dataset.get_run_info(key).timestamp, default=None)


def run_version(dataset: fo.Dataset, key: str) -> str:
    """A text that changes with the run: when it is replaced, and when its density changes.

    Raises:
        DropError: if there is no such run
    """
    config = get_config(dataset, key)
    return f"{dataset._doc.id} {dataset.get_run_info(key).timestamp} {config.density!r}"


def check_run(dataset: fo.Dataset, key: str) -> None:
    """Check that it is known which samples a run keeps.

    Raises:
        DropError: if there is no such run, or the field with its order was deleted
    """
    check_order(dataset, key)


def runs_behind(samples: foc.SampleCollection) -> list[str]:
    """The keys of the complete runs that a view depends on, since it matches their fields."""
    behind = []
    for key, config in sorted(find_configs(samples._root_dataset).items()):
        try:
            check_independent(samples, key, config.fields)
        except DropError:
            behind += [key] if config.complete else []
    return behind


def free_key(dataset: fo.Dataset, key: str) -> str:
    """The key, or the first of ``<key>_2``, ``<key>_3``, ... under which a run can be written."""
    for wanted in (key, *(f"{key}_{i}" for i in range(2, 1000))):
        try:
            check_key(dataset, wanted, False, ())
        except DropError:
            continue
        return wanted
    return key


# -- scores and query models ----------------------------------------------------------------------


def scores_of(source: Literal["training", "logits", "images"]) -> dict[str, Score]:
    """The scores that a model can give, by name.

    Args:
        source: ``"training"`` for the scores that ``train_query_model`` records, ``"logits"`` for
            those that follow from predictions alone (stored, or of cross-validated query models),
            ``"images"`` for those of one model that reads the images
    """
    from fiftyone_drop.scoring import SCORES

    if source == "training":
        return {n: s for n, s in SCORES.items() if s.needs == "dynamics" or n == "el2n"}
    without = {"dynamics"} if source == "images" else {"dynamics", *_NEED_IMAGES}
    return {name: score for name, score in SCORES.items() if score.needs not in without}


def check_score_fields(dataset: fo.Dataset, fields: Mapping[str, str], overwrite: bool) -> None:
    """Check that scores may be written into fields.

    Args:
        dataset: the dataset
        fields: field -> score
        overwrite: whether a field that holds something else may be replaced

    Raises:
        DropError: if a name is invalid, or a field holds something else
    """
    from fiftyone_drop.score_fields.fields import check_field_free

    for field, name in fields.items():
        check_field_free(dataset, field, "score", name, overwrite)


def check_logits_field(
    samples: foc.SampleCollection, field: str, classes: Sequence[str] | None = None
) -> None:
    """Check that a field can hold logits, and that their classes are known.

    Args:
        samples: a collection
        field: the field
        classes (None): the names of the logits, where the dataset does not state them

    Raises:
        DropError: if not
    """
    logit_classes(samples, field, classes)


def states_classes(samples: foc.SampleCollection, field: str) -> bool:
    """Whether the dataset states the classes of a field in their order."""
    return stated_classes(samples, field) is not None


def has_logits(samples: foc.SampleCollection, field: str) -> bool:
    """Whether some sample has logits in a Classification field. Queries the samples."""
    return len(samples.exists(f"{field}.logits").limit(1)) > 0


def architectures() -> list[str]:
    """The architectures that a query model can have."""
    from fiftyone_drop.training.architecture_names import architecture_names

    return ["auto", *architecture_names()]


def training_cost(samples: foc.SampleCollection, images: int, options: TrainingOptions) -> str:
    """The size of a training in words, from the headers of a few files. Queries the samples.

    PyTorch, which knows the best device, is not asked for it.

    Args:
        samples: a collection
        images: the number of samples that the query model trains on
        options: the :class:`fiftyone_drop.TrainingOptions`

    Raises:
        DropError: if a file cannot be read
    """
    from fiftyone_drop.training.options import in_words

    inputs = options.inputs(samples.limit(_FILES_READ).values("filepath"))
    images = max(2, images)
    return in_words(1, *inputs, options.epochs_for(images), images)


def training_outputs(key: str) -> tuple[str, str]:
    """The prediction field and the evaluation run that ``train_query_model`` writes."""
    return f"{key}_pred", f"{key}_eval"


def check_training_key(dataset: fo.Dataset, key: str, overwrite: bool) -> None:
    """Check that ``train_query_model`` may write under a key.

    Raises:
        DropError: if the key is invalid, or its names are taken and not to be replaced
    """
    check_predictions_free(dataset, key, overwrite)


# Scores that need more than the predictions of a model
_NEED_IMAGES = ("features", "model", "embeddings")
_FILES_READ = 16  # to learn the size of the images
