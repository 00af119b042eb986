"""``train_query_model``: a query model of FiftyOne samples, with its recalls and scores.

The module is longer than others: a training, the scores recorded in it and what is written are
one call.
"""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from numpy.typing import NDArray

from fiftyone_drop import checks, field_writes, lease
from fiftyone_drop.cluster import Cluster, check_device, opened
from fiftyone_drop.cross_validation import cross_predict, train_and_predict
from fiftyone_drop.errors import DropError, listing
from fiftyone_drop.field_marks import recoverable
from fiftyone_drop.fields import (
    check_validation,
    current_collection,
    default_label_field,
    label_path,
)
from fiftyone_drop.population import (
    Population,
    check_as_stored,
    read_outcomes,
    read_population,
)
from fiftyone_drop.predictions import Predictions, predict_samples, query_model_source
from fiftyone_drop.recall import class_counts, class_recalls
from fiftyone_drop.run_outputs import KEY
from fiftyone_drop.schema import is_classification
from fiftyone_drop.waiting import while_away

if TYPE_CHECKING:
    from fiftyone_drop.engine.runner import Runner
    from fiftyone_drop.scoring import DynamicsRecorder
    from fiftyone_drop.training import QueryModel, TrainingOptions


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
    cluster: Cluster | str | None = None,
    progress: Any = None,
    **options: Any,
) -> QueryModel:
    """Train a query model, and evaluate it on samples it has not seen.

    Writes its predictions on these samples as ``<key>_pred`` and, where labels are Classifications,
    evaluates them as ``<key>_eval``, fit for ``apply_drop(eval_key=...)``. Where labels are
    strings, predictions are strings too.

    An interrupted training goes on where it stopped when the same call is made again.

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or view of images
        label_field (None): a Classification, string, integer or boolean field; by default the only
            Classification field that is not a known prediction
        validation (None): a view of held-out samples; None holds out a part of ``samples``
        holdout (0.2): the fraction of ``samples`` that is held out, in (0, 1)
        scores: the names of the scores that the model's ``scores`` hold: ``"el2n"`` of the trained
            model, and any scores of training dynamics, recorded on the way; by default those that
            need no minimum of epochs
        key ("query"): names the field and the evaluation run
        overwrite (False): whether to replace these
        checkpoint_dir (None): the folder for the checkpoint of an interrupted training; by default
            in the user's cache
        cluster (None): where to train: None for this machine; ``"auto"``, an address or a
            :class:`fiftyone_drop.Cluster` for a task of a Ray cluster
        progress (None): as everywhere in FiftyOne
        **options: fields of :class:`fiftyone_drop.TrainingOptions`: ``architecture``,
            ``pretrained``, ``epochs``, ``image_size``, ``device``, ``seed``, ...; and conventions
            of the scores, as :class:`fiftyone_drop.DynamicsRecorder` takes them:
            ``never_learned="inf"``, ``aum_on="softmax"``, ``window=5``, ... Those that need a
            ``"clean"`` forward pass cost a second one in each step

    Returns:
        a :class:`fiftyone_drop.QueryModel` with ``recalls``, ``eval_key``, and in-sample ``scores``
        of the samples it was trained on, ``sample_ids``; ``import_scores(samples, model)`` writes
        these scores into fields

    Raises:
        DropError: if an argument is invalid; nothing has been written then
        ConnectionError: the database was away for ten minutes, or again and again
    """
    scores = _check_in_sample(scores)
    trained_with, switches = _split_options(options, scores)
    place = Cluster.of(cluster)
    check_device(place, trained_with.device)
    samples = current_collection(samples)
    dataset = samples._root_dataset
    holdout = checks.number("holdout", holdout, "(0, 1)")
    overwrite = checks.flag("overwrite", overwrite)
    label_field = checks.text("label_field", label_field, optional=True)
    if label_field is None:
        label_field = default_label_field(samples)
    # FiftyOne evaluates Classification fields only, not strings
    evaluates = label_path(samples, label_field, "label_field") != label_field
    _, eval_key = check_predictions_free(dataset, key, overwrite, evaluates)
    if validation is not None:
        validation = check_validation(samples, validation)
    population = read_population(samples, label_field, filepaths=True, skip_unlabeled=None)
    population.check_as_stored(samples, label_field)
    recorder = _recorder(population, scores, switches)
    with opened(place) as runner:
        predictions, rows, codes = _train(
            population,
            validation,
            label_field,
            holdout,
            trained_with,
            progress,
            recorder,
            checkpoint_dir,
            runner,
        )
    model = predictions.models[0]
    correct, support = class_counts(codes, predictions.correct, len(population.classes))
    values = _scores(model, population.select(rows), rows, scores, recorder, progress)
    _write(dataset, predictions, key, label_field, evaluates, overwrite)
    recalls = zip(population.label_names, class_recalls(correct, support).tolist(), strict=True)
    model.recalls = {name: recall for name, recall in recalls if not math.isnan(recall)}
    model.eval_key = eval_key if evaluates else None
    model.sample_ids = [i.decode() for i in population.ids[rows].tolist()]
    model.scores = values
    model.switches = {} if recorder is None else recorder.switches
    model.label_field = label_field
    return model


def check_predictions_free(
    dataset: fo.Dataset, key: object, overwrite: bool, evaluates: bool | None = None
) -> tuple[str, str]:
    """The field and the evaluation run that :func:`train_query_model` writes under a key.

    Args:
        dataset: the dataset
        key: the key
        overwrite: whether predictions of that key may be replaced
        evaluates (None): whether the predictions will be Classifications, which can be evaluated,
            or strings; None if that is not known yet

    Raises:
        DropError: if ``key`` makes no field name, or one of the names is taken and ``overwrite`` is
            False, or it is taken by something else
    """
    key = checks.stem("key", key)
    pred_field, eval_key = f"{key}_pred", f"{key}_eval"
    field = dataset.get_field(pred_field)
    if recoverable(field):
        return pred_field, eval_key  # that is ended or removed before anything is written
    taken = field is not None or dataset.has_evaluation(eval_key)
    if taken and not overwrite:
        raise DropError(
            "key",
            f"the field '{pred_field}' or the evaluation run '{eval_key}' exists; pass "
            "overwrite=True to replace them, or another key",
        )
    if field is not None and not _is_ours(field):
        raise DropError(
            "key",
            f"the field '{pred_field}' holds no predictions that train_query_model has written and "
            "may change; pass another key, or rename or delete the field",
        )
    if field is not None and evaluates is not None and is_classification(field) != evaluates:
        raise DropError(
            "key",
            f"the field '{pred_field}' holds predictions of labels of another kind; pass another "
            f"key, or dataset.delete_sample_field('{pred_field}')",
        )
    if not field_writes.may_evaluate(dataset, pred_field, eval_key):
        raise DropError(
            "key",
            f"'{eval_key}' is no evaluation of '{pred_field}', but of other predictions, or a "
            "field of somebody else; pass another key, or rename or delete it",
        )
    return pred_field, eval_key


def _is_ours(field: fo.Field) -> bool:
    info = field.info or {}
    predicts = is_classification(field) or isinstance(field, fo.StringField)
    return predicts and not field.read_only and "source" in info and KEY not in info


def _train(
    population: Population,
    validation: foc.SampleCollection | None,
    label_field: str,
    holdout: float,
    options: TrainingOptions,
    progress: Any,
    recorder: DynamicsRecorder | None,
    checkpoint_dir: str | os.PathLike[str] | None,
    runner: Runner,
) -> tuple[Predictions, NDArray[np.int64], NDArray[np.int32]]:
    """The predictions, the rows that the model was trained on, and the codes of the others."""
    if validation is None:
        predictions = cross_predict(
            population,
            2,
            holdout,
            options.seed,
            progress,
            options,
            keep_models=True,
            recorder=recorder,
            checkpoint_dir=checkpoint_dir,
            runner=runner,
        )
        rows = np.setdiff1d(np.arange(len(population)), predictions.rows)
        return predictions, rows, population.codes[predictions.rows]
    classes = population.classes
    outcomes = read_outcomes(validation, classes, label_field, None, ["filepath"])
    check_as_stored(
        validation, outcomes.ids, outcomes.codes, classes, label_field, None, argument="validation"
    )
    predictions = train_and_predict(
        population,
        outcomes,
        options,
        progress,
        recorder=recorder,
        checkpoint_dir=checkpoint_dir,
        runner=runner,
    )
    return predictions, np.arange(len(population)), outcomes.codes


def _scores(
    model: QueryModel,
    trained_on: Population,
    rows: NDArray[np.int64],
    names: Sequence[str],
    recorder: DynamicsRecorder | None,
    progress: Any,
) -> dict[str, NDArray[np.floating[Any]]]:
    """The in-sample scores of the samples that the model was trained on."""
    values: dict[str, NDArray[np.floating[Any]]] = {}
    if recorder is not None:
        values |= {name: column[rows] for name, column in recorder.finish().items()}
    if "el2n" in names:
        source, ids = query_model_source(model), trained_on.ids
        paths = trained_on.filepaths or []
        values |= predict_samples(source, ids, paths, trained_on.label_of, progress).scores
    return {name: values[name] for name in names}


def _write(
    dataset: fo.Dataset,
    predictions: Predictions,
    key: str,
    label_field: str,
    evaluates: bool,
    overwrite: bool,
) -> None:
    """Write predictions that belong to no run, and evaluate them.

    A failure leaves the old ones or the new. A database that is away is waited for.
    """
    tokens: set[str] = set()  # of the attempts

    def write() -> None:
        with lease.writing(dataset, patience=lease.LONG_PATIENCE) as held:
            field_writes.recover(dataset)
            if field_writes.written(dataset, [f"{key}_pred"], tokens):
                return  # the last attempt got there, and did not hear of it
            pred_field, eval_key = check_predictions_free(dataset, key, overwrite, evaluates)
            evaluation = {"key": eval_key, "label_field": label_field if evaluates else None}
            fields = {
                pred_field: predictions.field_values(
                    not evaluates, {field_writes.EVALUATION: evaluation}
                )
            }
            field_writes.write(
                dataset,
                held,
                [(predictions.ids, fields)],
                fingerprints={},
                clears=True,
                tokens=tokens,
                progress=False,
            )

    with predictions.checkpoint:
        while_away(write, predictions.saved)


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
            unknown[0],
            f"no option has the name {listing(unknown)}: TrainingOptions has {sorted(options)}, "
            f"and the scores {list(scores)} have the conventions {sorted(conventions)}",
        )
    switches = {name: value for name, value in given.items() if name not in options}
    return TrainingOptions(**{n: v for n, v in given.items() if n in options}), switches


def _check_in_sample(scores: object) -> tuple[str, ...]:
    """The names of scores that a training can record.

    Raises:
        DropError: if one needs something else
    """
    from fiftyone_drop.scoring import get_score

    names = checks.texts("scores", scores)
    for name in names:
        if get_score(name).needs != "dynamics" and name != "el2n":
            raise DropError(
                "scores",
                f"a training records 'el2n' and scores of training dynamics, but got '{name}'; "
                "compute it afterwards, with compute_scores(samples, model=model)",
            )
    return names


def _recorder(
    population: Population, scores: Sequence[str], switches: Mapping[str, Any]
) -> DynamicsRecorder | None:
    from fiftyone_drop.scoring import DynamicsRecorder

    dynamics = [name for name in scores if name != "el2n"]
    if not dynamics:
        return None
    # Each process that calls trains a model of its own
    return DynamicsRecorder(
        len(population), population.labels, scores=dynamics, gather=False, **switches
    )
