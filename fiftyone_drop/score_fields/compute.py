"""``compute_scores``: difficulty scores of images as fields of their samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop.cluster import Cluster, opened
from fiftyone_drop.errors import Warner
from fiftyone_drop.fields import check_collection
from fiftyone_drop.score_fields.fields import (
    ScoreValues,
    check_field_free,
    check_parts,
    field_values,
    fingerprint_of,
    float_field,
    read_labelled,
    write,
)
from fiftyone_drop.scoring import get_score

if TYPE_CHECKING:
    from fiftyone_drop.inference.source import Source
    from fiftyone_drop.score_fields.options import ScoreOptions
    from fiftyone_drop.score_fields.sources import Computed


def compute_scores(
    samples: foc.SampleCollection,
    label_field: str | None = None,
    scores: Sequence[str] = ("el2n",),
    *,
    model: Any = None,
    transform: Callable[[Any], Any] | None = None,
    classes: Sequence[str] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    spread: bool = False,
    prefix: str = "",
    folds: int = 5,
    models: int = 1,
    seed: int = 51,
    on_error: str = "skip",
    batch_size: int | None = None,
    workers: int | None = None,
    device: str | None = None,
    deterministic: bool = False,
    checkpoint_dir: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    cluster: Cluster | str | None = None,
    progress: Any = None,
    **switches: Any,
) -> list[str]:
    """Compute difficulty scores and write each as a float field.

    All of them together take one pass over the images. The field's ``info`` says which end is
    hard, so that ``apply_drop(select=...)`` knows, and how the score was computed.
    ``fiftyone_drop.scoring.SCORES`` has all scores and their switches.

    A call that was interrupted goes on where it stopped when it is made again. A field holds the
    scores of one model and one convention: another call with the same ones adds to it, such as for
    new samples, and scores of something else replace all of it or nothing. Scores of query models,
    and those that the embeddings of all samples decide, compare with those of the same call only.

    Example::

        fod.compute_scores(dataset, scores=("el2n", "entropy", "grand_last_layer"), model=model)

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or view of images
        label_field (None): a Classification, string, integer or boolean field; by default the only
            Classification field that is not a known prediction
        scores (("el2n",)): the scores to compute
        model (None): a :class:`fiftyone_drop.QueryModel`; a ``torch.nn.Module``, with ``transform``
            and ``classes``; a FiftyOne model or the name of one in its zoo; the name of a
            torchvision architecture, with ``checkpoint`` and ``classes``; the name of a field with
            stored logits (no image is read then); or a list of these, whose scores are averaged.
            None trains ``folds`` query models and scores each sample by the one that has not
            seen it
        transform (None): from a Pillow image to the model's input, a tensor; by default a module's
            own ``transform`` attribute
        classes (None): the names of the model's outputs, in their order; by default a module's own
            ``classes`` attribute
        checkpoint (None): a file of weights for a torchvision architecture
        spread (False): where several models are averaged, whether to write their standard
            deviation too, as ``<field>_std``
        prefix (""): the fields are named ``prefix`` + score; the score ``random`` needs one, since
            ``select="random"`` means at random
        folds (5): the number of query models that cross-validation trains
        models (1): without ``model``, the number of query models whose scores of a sample are
            averaged; the paper averages 5. Each comes from a cross-validation of its own
        seed (51): decides the folds, the query models, and the scores ``random`` and ``zcore``
        on_error ("skip"): for images that cannot be read, or for which the model's output is not
            finite: ``"skip"`` leaves their scores empty and warns at the end, ``"raise"`` stops
        batch_size (None): images at once; by default found automatically. Halved when CUDA runs
            out of memory
        workers (None): threads that read images; by default one per core, at most 16
        device (None): a PyTorch device; by default where the model is
        deterministic (False): whether CUDA gives the same bit for bit every time, by slower
            algorithms; so an interrupted call ends as one that was not. The CPU does anyway
        checkpoint_dir (None): a folder where an interrupted call leaves its checkpoint; by default
            in the user's cache
        overwrite (False): whether to replace fields that exist and are no scores of that name, and
            to clear scores of another model or convention in samples that are not in ``samples``
        cluster (None): where to compute: None for this machine; ``"auto"``, an address or a
            :class:`fiftyone_drop.Cluster` for a Ray cluster, whose machines must see the images.
            The scores are the same, and a call goes on with or without one
        progress (None): whether to render a progress bar (True/False), use the default value
            ``fiftyone.config.show_progress_bars`` (None), or a progress callback function to
            invoke instead
        **switches: conventions of the scores, such as ``picks=1000`` for ``k_center``

    Returns:
        the names of the fields

    Raises:
        DropError: if an argument is invalid, or ``samples`` are a part of those that another model
            or convention has scored; nothing has been written then
        ConnectionError: the database was away for ten minutes, or again and again

    Warns:
        DropWarning: if samples have no scores, or the predictions of a model and the labels cannot
            belong together, as with ``classes`` in another order than the outputs
    """
    # These import PyTorch, which the signature of this function, as a form wants it, does not need
    from fiftyone_drop.engine.cache import cache_folder
    from fiftyone_drop.inference.resolve import Extras, label_codes, resolve
    from fiftyone_drop.inference.source import wanted
    from fiftyone_drop.score_fields.options import ScoreOptions
    from fiftyone_drop.score_fields.sources import by_models, by_query_models

    check_collection(samples)
    dataset = samples._root_dataset
    options = ScoreOptions(
        label_field=label_field,
        scores=scores,
        conventions=switches,
        extras=Extras.of(transform, classes, checkpoint, device),
        spread=spread,
        prefix=prefix,
        folds=folds,
        models=models,
        seed=seed,
        on_error=on_error,
        batch_size=batch_size,
        workers=workers,
        deterministic=deterministic,
        checkpoint_dir=checkpoint_dir,
        overwrite=overwrite,
        cluster=cluster,  # type: ignore[arg-type]  # parsed there
        progress=progress,
    )
    for name in options.scores:
        field = options.prefix + name
        check_field_free(dataset, field, "score", name, options.overwrite)
        if options.spread:
            check_field_free(dataset, f"{field}_std", "spread_of", field, options.overwrite)
    sources: list[Source] = []
    if model is not None and set(wanted(options.switches, "nothing")) != set(options.scores):
        sources = resolve(model, samples, options.extras)
    options.check_models(model, sources)
    label_field, population = read_labelled(samples, options.label_field, filepaths=True)
    origins = _origins(options, sources, label_field)
    check_parts(dataset, population.ids, _fingerprints(options, origins), options.overwrite)
    with ExitStack() as until_written, opened(options.cluster) as runner:  # of checkpoints
        if sources:
            needed = any(get_score(name).uses_labels for name in options.scores)
            labels = [label_codes(s, population, label_field, needed=needed) for s in sources]
            computed = by_models(population, sources, labels, options, until_written, runner)
        else:
            computed = by_query_models(population, options, until_written, runner)
        fields = _fields(computed, options, label_field, origins)
        names = write(
            dataset,
            [(population.ids, fields)],
            options.overwrite,
            options.progress,
            f"the scores lie in a checkpoint in {options.checkpoint_dir or cache_folder()}",
        )
    warn = Warner()
    for message in computed.misfits:
        warn(f"Logits and labels do not belong together: {message}")
    for message in computed.missing:
        warn(
            f"{message}; their scores stay empty, and apply_drop(select=...) needs them: leave "
            f"them out with .exists('{names[0]}')"
        )
    return names


def _origins(
    options: ScoreOptions, sources: Sequence[Source], label_field: str
) -> dict[str, object]:
    """What decides each score of a sample, where that is not the other samples of the call too.

    Scores of query models, and those that embeddings of all samples decide, have no such origin.
    """
    origins: dict[str, object] = {}
    for name in options.switches:
        score = get_score(name)
        if score.needs == "nothing":
            origins[name] = ["ids", *score.code]
        elif sources and score.needs != "embeddings":
            models = [part for source in sources for part in source.origin(score)]
            field = label_field if score.uses_labels else None
            origins[name] = ["models", models, field, *score.code]
    return origins


def _fingerprints(options: ScoreOptions, origins: Mapping[str, object]) -> dict[str, str | None]:
    """Field -> what its values will be from, as far as that is known before they are computed."""
    fingerprints = {}
    for name, switches in options.switches.items():
        facts = {"score": name, "convention": switches}
        fingerprints[options.prefix + name] = fingerprint_of(facts, origins.get(name))
    return fingerprints


def _fields(
    computed: Computed, options: ScoreOptions, label_field: str, origins: Mapping[str, object]
) -> dict[str, ScoreValues]:
    """Mean and, if asked for, standard deviation over the models."""
    fields = {}
    for name, switches in options.switches.items():
        table = computed.values[name].astype(np.float64)
        keyed = get_score(name).needs == "nothing"
        field = options.prefix + name
        fields[field] = field_values(
            name,
            table.mean(axis=0),
            switches,
            label_field=label_field,
            origin=origins.get(name),
            model="none" if keyed else computed.source,
            out_of_sample=keyed or computed.out_of_sample,
        )
        if options.spread and not keyed:
            fields[f"{field}_std"] = float_field(
                table.std(axis=0),
                f"Standard deviation of '{field}' over {len(table)} models",
                {"spread_of": field, "models": len(table)},
                origins.get(name),
            )
    return fields
