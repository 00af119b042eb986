"""The public calls on FiftyOne collections: read, decide, write."""

from __future__ import annotations

import os
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from fiftyone import ViewField as F
from numpy.typing import NDArray

from fiftyone_drop import runs
from fiftyone_drop.allocation import check_density, check_no_class_emptied
from fiftyone_drop.counts import kept_counts
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.plan import known_predictions, plan_drop
from fiftyone_drop.population import (
    Population,
    check_collection,
    default_label_field,
    label_path,
    read_outcomes,
    read_population,
)
from fiftyone_drop.query import cross_predict, predict_population, train_on
from fiftyone_drop.recall import SHRINKAGE, Smoothing, class_counts, class_recalls
from fiftyone_drop.recall_sources import RecallSource

if TYPE_CHECKING:
    from fiftyone_drop.scoring import DynamicsRecorder
    from fiftyone_drop.training import QueryModel, TrainingOptions


def apply_drop(
    samples: foc.SampleCollection,
    density: float,
    *,
    label_field: str | None = None,
    key: str = "drop",
    eval_key: str | None = None,
    recalls: Mapping[Hashable, float] | None = None,
    validation: foc.SampleCollection | None = None,
    pred_field: str | None = None,
    model: Any = None,
    folds: int = 5,
    holdout: float | None = None,
    rule: str = "drop",
    select: str = "random",
    keep: str = "hardest",
    group_by: str | None = None,
    smoothing: Smoothing = SHRINKAGE,
    min_per_class: int = 1,
    missing_recall: float | None = None,
    skip_unlabeled: bool = False,
    allow_empty_classes: bool = False,
    seed: int = 51,
    overwrite: bool = False,
    progress: Any = None,
) -> fo.DatasetView:
    """Prune a collection of labelled images so that every class is treated well.

    Each class gets a quota from its recall, the rest is chosen at random inside the class
    (Vysogorets, Ahuja, Kempe: DRoP: Distributionally Robust Data Pruning, ICLR 2025). No sample is
    deleted: the run adds the fields ``<key>_keep_at`` and ``<key>_kept`` and the saved views
    ``<key>-kept`` and ``<key>-pruned``.

    Recalls come from one of: ``eval_key``; ``recalls``; ``validation`` with ``pred_field`` or
    ``model``; and without any of these from query models that are trained on the samples, each
    predicting what it has not seen. Those predictions are written too, as ``<key>_pred``, and
    evaluated as ``<key>_eval``.

    Example::

        import fiftyone as fo
        import fiftyone_drop as fod

        dataset = fo.load_dataset("my-images")
        view = dataset.match_tags("train").apply_drop(density=0.5, eval_key="val_eval")
        print(fod.load_drop(dataset, "drop"))

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or
            :class:`fiftyone.core.view.DatasetView` of images, the target view
        density: the fraction of samples that is KEPT, in (0, 1]
        label_field (None): a Classification or string field; by default the only Classification
            field that is not a known prediction
        key ("drop"): the run key, a valid field name
        eval_key (None): an evaluation run (``evaluate_classifications``) to take recalls from
        recalls (None): a mapping from class, or with ``group_by`` from (class, value), to recall
            in [0, 1]; used as it is
        validation (None): a view of held-out samples to measure recall on
        pred_field (None): the predictions on ``validation``, a Classification or string field
        model (None): what predicts ``validation``: a :class:`fiftyone_drop.QueryModel`; a FiftyOne
            model or the name of one in its zoo; a ``torch.nn.Module`` with the attributes
            ``classes``, the names of its outputs, and ``transform``, from a Pillow image to its
            input; the name of a field with stored logits; or a list of these, whose probabilities
            are averaged
        folds (5): the number of query models that cross-validation trains
        holdout (None): a fraction in (0, 1): train one query model instead, and measure recall on
            so many of the samples, held out
        rule ("drop"): how class weights follow from sizes and recalls: ``"drop"`` (the paper's
            Algorithm 1), ``"drop-unweighted"`` (the authors' code), ``"proportional"``,
            ``"balanced"`` or ``"none"`` (no quotas)
        select ("random"): how samples are ordered inside a class: at random, which is what
            ``"random"`` always means, or by the score field of this name
        keep ("hardest"): with a score field, which end is kept first: ``"hardest"`` or
            ``"easiest"``
        group_by (None): a label, string, integer or boolean field; quotas, recalls and floors are
            then per (class, value)
        smoothing ("shrinkage"): measured recalls are pulled towards their mean as strongly as
            chance explains the differences between them. Or a number: they are then
            ``(correct + s) / (n + 2s)``; 0 is the paper's, 0.5 Jeffreys' prior
        min_per_class (1): keep at least so many samples of each class (all of a smaller one)
        missing_recall (None): a recall in [0, 1] for classes without a validation sample
        skip_unlabeled (False): leave samples without a label out of the run
        allow_empty_classes (False): whether a class may lose all its samples
        seed (51): decides which samples are kept at random, the folds and the query models
        overwrite (False): whether to replace the run of that key
        progress (None): whether to render a progress bar (True/False), use the default value
            ``fiftyone.config.show_progress_bars`` (None), or a progress callback function to
            invoke instead

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the kept samples of the target view

    Raises:
        DropError: if an argument is invalid; nothing has been written then
    """
    # Before an hour of training, not after it
    if isinstance(samples, foc.SampleCollection):
        runs.check_key(samples._root_dataset, key, overwrite)
        runs.check_independent(samples, key, eval_key)
    plan = plan_drop(
        samples,
        density,
        label_field=label_field,
        eval_key=eval_key,
        recalls=recalls,
        validation=validation,
        pred_field=pred_field,
        model=model,
        folds=folds,
        holdout=holdout,
        rule=rule,
        select=select,
        keep=keep,
        group_by=group_by,
        smoothing=smoothing,
        min_per_class=min_per_class,
        missing_recall=missing_recall,
        skip_unlabeled=skip_unlabeled,
        allow_empty_classes=allow_empty_classes,
        seed=seed,
        progress=progress,
    )
    return plan.apply(key=key, overwrite=overwrite, progress=progress)


# -- runs -----------------------------------------------------------------------------------------


def set_density(dataset: foc.SampleCollection, key: str, density: float) -> fo.DatasetView:
    """Move a run to another density. Its saved views follow.

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        density: the dataset density, in (0, 1]

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the kept samples

    Raises:
        DropError: if there is no such run, its order was deleted, ``density`` is out of range or
            keeps too little, or a class would be emptied and the run does not allow that
    """
    density = check_density(density)
    results = runs.load_order(dataset, key)
    config, table = results.config, results.table
    quotas = None
    if table.weights is None:
        quotas = kept_counts(dataset, key, [density])[0]
    table = table.at(density, quotas)
    if table.weights is not None and not config.allow_empty_classes:
        check_no_class_emptied(table.classes, table.quotas)
    runs.update_density(dataset._root_dataset, key, config, table)
    return dataset._root_dataset.match(F(config.kept_field) == True)  # noqa: E712


# -- query models ---------------------------------------------------------------------------------


def train_query_model(
    samples: foc.SampleCollection,
    label_field: str | None = None,
    *,
    validation: foc.SampleCollection | None = None,
    holdout: float = 0.2,
    scores: Sequence[str] = ("el2n", "forgetting", "first_learned", "aum", "el2n_mean"),
    key: str = "query",
    overwrite: bool = False,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    progress: Any = None,
    **options: Any,
) -> QueryModel:
    """Train a query model, and evaluate it on samples it has not seen.

    Writes its predictions on these samples as ``<key>_pred`` and, where labels are Classifications,
    evaluates them as ``<key>_eval``, fit for ``apply_drop(eval_key=...)``.

    An interrupted training goes on where it stopped when the same call is made again.

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or view of images
        label_field (None): a Classification or string field; by default the only Classification
            field that is not a known prediction
        validation (None): a view of held-out samples; None holds out a part of ``samples``
        holdout (0.2): the fraction of ``samples`` that is held out, in (0, 1)
        scores: what the model's ``scores`` hold: ``"el2n"`` of the trained model, and any scores
            of training dynamics, recorded on the way; by default those that need no minimum of
            epochs
        key ("query"): names the field and the evaluation run
        overwrite (False): whether to replace these
        checkpoint_dir (None): where an interrupted training leaves what it has; by default in the
            user's cache
        progress (None): as everywhere in FiftyOne
        **options: fields of :class:`fiftyone_drop.TrainingOptions`: ``architecture``,
            ``pretrained``, ``epochs``, ``image_size``, ``device``, ``seed``, ...; and conventions
            of the scores, as :class:`fiftyone_drop.DynamicsRecorder` takes them:
            ``never_learned="inf"``, ``aum_on="softmax"``, ``window=5``, ... Those that need a
            ``"clean"`` forward pass make the training about a third longer

    Returns:
        a :class:`fiftyone_drop.QueryModel` with ``recalls``, ``eval_key``, and in-sample ``scores``
        of the samples it was trained on, ``sample_ids``; ``import_scores(samples, model)`` writes
        these scores into fields

    Raises:
        DropError: if an argument is invalid; nothing has been written then
    """
    _check_in_sample(scores)
    trained_with, switches = _split_options(options, scores)
    check_collection(samples)
    dataset = samples._root_dataset
    if label_field is None:
        label_field = default_label_field(samples, known_predictions(samples))
    classifies = label_path(samples, label_field, "label_field") != label_field
    pred_field, eval_key = f"{key}_pred", f"{key}_eval" if classifies else None
    check_predictions_free(dataset, pred_field, f"{key}_eval", overwrite)
    RecallSource(holdout=holdout).check(samples, label_field)
    population = read_population(samples, label_field, filepaths=True)
    recorder = _recorder(population, scores, switches)
    resumable: dict[str, Any] = {"recorder": recorder, "checkpoint_dir": checkpoint_dir}
    if validation is None:
        seed = trained_with.seed
        predictions = cross_predict(
            population, 2, holdout, seed, progress, trained_with, keep_models=True, **resumable
        )
        trained_on = np.setdiff1d(np.arange(len(population)), predictions.rows)
        codes = population.codes[predictions.rows]
    else:
        check_collection(validation)
        ids, codes, (files,), labels = read_outcomes(
            validation, population.classes, label_field, None, ["filepath"]
        )
        trained_on = np.arange(len(population))
        held_out = (ids, files, labels)
        predictions = train_on(population, held_out, trained_with, progress, **resumable)
    model = predictions.models[0]
    correct, support = class_counts(codes, predictions.correct, len(population.classes))
    recalls = class_recalls(correct, support)
    learned = population.select(trained_on)
    recorded = {} if recorder is None else recorder.finish()
    found: dict[str, NDArray[np.floating[Any]]] = {n: x[trained_on] for n, x in recorded.items()}
    if "el2n" in scores:
        found |= predict_population(model, learned, progress).scores
    runs.write_predictions(
        dataset, predictions.ids, predictions.field_values(), label_field, pred_field, eval_key
    )
    predictions.written()
    model.recalls = dict(zip(population.label_names, recalls.tolist(), strict=True))
    model.eval_key = eval_key
    model.sample_ids = [i.decode() for i in learned.ids.tolist()]
    model.scores = {name: found[name] for name in scores}
    model.switches = {} if recorder is None else recorder.switches
    return model


def _split_options(
    given: dict[str, Any], scores: Sequence[str]
) -> tuple[TrainingOptions, dict[str, Any]]:
    """Options of the training, and conventions of the scores.

    Raises:
        DropError: if a name is neither
    """
    from fiftyone_drop.scoring import get_score
    from fiftyone_drop.training import TrainingOptions

    options = {option.name for option in fields(TrainingOptions)}
    conventions = {switch for name in scores for switch in get_score(name).conventions}
    unknown = sorted(set(given) - options - conventions)
    if unknown:
        raise DropError(
            f"options: {listing(unknown)} are no fields of TrainingOptions, which has "
            f"{sorted(options)}, and no conventions of the scores {list(scores)}, which have "
            f"{sorted(conventions) or 'none'}"
        )
    switches = {name: value for name, value in given.items() if name not in options}
    return TrainingOptions(**{n: v for n, v in given.items() if n in options}), switches


def _check_in_sample(scores: Sequence[str]) -> None:
    from fiftyone_drop.scoring import get_score

    if isinstance(scores, str):
        raise DropError(f"scores: must be a sequence of names, such as ({scores!r},)")
    for name in scores:
        if get_score(name).needs != "dynamics" and name != "el2n":
            raise DropError(
                f"scores: a training records 'el2n' and scores of training dynamics, but got "
                f"'{name}'; compute it afterwards, with compute_scores(samples, model=model)"
            )


def _recorder(
    population: Population, scores: Sequence[str], switches: Mapping[str, Any]
) -> DynamicsRecorder | None:
    from fiftyone_drop.scoring import DynamicsRecorder

    dynamics = [name for name in scores if name != "el2n"]
    if not dynamics:
        return None
    return DynamicsRecorder(len(population), population.labels, scores=dynamics, **switches)


def check_predictions_free(
    dataset: fo.Dataset, pred_field: str, eval_key: str, overwrite: bool
) -> None:
    """Check the names under which :func:`train_query_model` writes predictions.

    Raises:
        DropError: if they are no names, or taken and not to be replaced
    """
    if not pred_field.isidentifier() or pred_field.startswith("_"):
        raise DropError(f"key: must make a valid field name, but '{pred_field}' is none")
    taken = dataset.get_field(pred_field) is not None or dataset.has_evaluation(eval_key)
    if taken and not overwrite:
        raise DropError(
            f"key: the field '{pred_field}' or the evaluation run '{eval_key}' exists; pass "
            "overwrite=True to replace them, or another key"
        )
