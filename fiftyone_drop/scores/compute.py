"""``compute_scores``: difficulty scores of images as fields of their samples."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import fiftyone.core.collections as foc
import numpy as np

from fiftyone_drop import store
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.models.forward_pass import Switches, wanted
from fiftyone_drop.models.resolve import Extras, Source, label_codes, resolve
from fiftyone_drop.models.stored_logits import StoredLogits
from fiftyone_drop.population import check_collection
from fiftyone_drop.scores.fields import (
    check_field_free,
    field_values,
    float_field,
    read_labelled,
    write,
)
from fiftyone_drop.scores.sources import Computed, Settings, Target, by_models, by_query_models
from fiftyone_drop.scoring import get_score
from fiftyone_drop.training import TrainingOptions


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
    progress: Any = None,
    **switches: Any,
) -> list[str]:
    """Compute difficulty scores and write each as a float field.

    All of them together take one pass over the images. The field's ``info`` says which end is
    hard, so that ``apply_drop(select=...)`` knows, and how the score was computed. All scores and
    their switches are listed in ``docs/scores.md``.

    A call that was interrupted goes on where it stopped when it is made again.

    Example::

        fod.compute_scores(dataset, scores=("el2n", "entropy", "grand_last_layer"), model=model)

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or view of images
        label_field (None): a Classification or string field; by default the only Classification
            field that is not a known prediction
        scores (("el2n",)): the scores to compute
        model (None): a :class:`fiftyone_drop.QueryModel`; a ``torch.nn.Module``, with ``transform``
            and ``classes``; a FiftyOne model or the name of one in its zoo; the name of a
            torchvision architecture, with ``checkpoint`` and ``classes``; the name of a field with
            stored logits (no image is read then); or a list of these, whose scores are averaged.
            None trains ``folds`` query models and scores each sample by the one that has not
            seen it
        transform (None): from a Pillow image to what the model takes, as a tensor; by default a
            module's own ``transform`` attribute
        classes (None): the names of the model's outputs, in their order; by default a module's own
            ``classes`` attribute
        checkpoint (None): a file of weights for a torchvision architecture
        spread (False): where several models are averaged, whether to write their standard
            deviation too, as ``<field>_std``
        prefix (""): the fields are named ``prefix`` + score; the score ``random`` needs one, since
            ``select="random"`` means at random
        folds (5): the number of query models that cross-validation trains
        models (1): without ``model``, the number of query models whose scores of a sample are
            averaged; the paper averages 5. So many cross-validations are trained
        seed (51): decides the folds, the query models, and the scores ``random`` and ``zcore``
        on_error ("skip"): what to do about images that cannot be read, or for which the model's
            output is not finite: ``"skip"`` leaves their scores empty and warns at the end,
            ``"raise"`` stops
        batch_size (None): images at once; by default found automatically. Halved when CUDA runs
            out of memory
        workers (None): threads that read images; by default one per core, at most 16
        device (None): a PyTorch device; by default where the model is
        deterministic (False): whether CUDA shall give the same bit for bit every time, by slower
            algorithms; so an interrupted call ends as one that was not. The CPU does anyway
        checkpoint_dir (None): where an interrupted call leaves what it has; by default in the
            user's cache
        overwrite (False): whether to replace fields that exist and are no scores of that name
        progress (None): whether to render a progress bar (True/False), use the default value
            ``fiftyone.config.show_progress_bars`` (None), or a progress callback function to
            invoke instead
        **switches: conventions of the scores, such as ``picks=1000`` for ``k_center``

    Returns:
        the names of the fields

    Raises:
        DropError: if an argument is invalid; nothing has been written then
    """
    check_collection(samples)
    dataset = samples._root_dataset
    _check_numbers(on_error, folds=folds, models=models, batch_size=batch_size, workers=workers)
    chosen = _deal(scores, seed, switches)
    for name in chosen:
        check_field_free(dataset, prefix + name, "score", name, overwrite)
        if spread:
            field = f"{prefix}{name}_std"
            check_field_free(dataset, field, "spread_of", prefix + name, overwrite)
    sources: list[Source] = []
    if model is not None and set(wanted(chosen, "nothing")) != set(chosen):
        sources = resolve(model, samples, Extras(transform, classes, checkpoint, device))
    _check_sources(chosen, sources, None if model is not None else models, spread)
    if model is not None and models > 1:
        raise DropError(
            f"models: must be 1 with model=, but got {models}; pass a list of models as model="
        )
    label_field, population = read_labelled(samples, label_field, filepaths=True)
    target = Target(samples, population, on_error == "raise", progress)
    if sources:
        needed = any(get_score(name).uses_labels for name in chosen)
        labels = [label_codes(s, population, label_field, needed=needed) for s in sources]
        settings = Settings(batch_size, workers, checkpoint_dir, deterministic)
        computed = by_models(target, sources, labels, chosen, settings)
    else:
        computed = by_query_models(
            target,
            chosen,
            folds,
            [
                TrainingOptions(seed=(seed + i) % 2**32, deterministic=deterministic)
                for i in range(models)
            ],
            seed,
            checkpoint_dir,
        )
    fields = _fields(computed, chosen, prefix, spread)
    names = write(dataset, population.ids, fields, progress)
    computed.written()
    warn = Warner()
    for message in computed.missing:
        warn(
            f"{message}; their scores stay empty, and apply_drop(select=...) needs them: leave "
            f"them out with .exists('{names[0]}')"
        )
    return names


def _fields(
    computed: Computed, switches: Switches, prefix: str, spread: bool
) -> dict[str, store.FieldValues]:
    """Mean and, if asked for, standard deviation over the models."""
    fields = {}
    for name, chosen in switches.items():
        table = computed.values[name].astype(np.float64)
        keyed = get_score(name).needs == "nothing"
        field = prefix + name
        fields[field] = field_values(
            name,
            table.mean(axis=0),
            chosen,
            model="none" if keyed else computed.source,
            out_of_sample=keyed or computed.out_of_sample,
        )
        if spread and not keyed:
            fields[f"{field}_std"] = float_field(
                table.std(axis=0),
                f"Standard deviation of '{field}' over {len(table)} models",
                {"spread_of": field, "models": len(table)},
            )
    return fields


def _deal(scores: Sequence[str], seed: int, given: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Give every score the switches it knows.

    Raises:
        DropError: if a score or switch is unknown, or needs a training run
    """
    if isinstance(scores, str):
        raise DropError(f"scores: must be a sequence of names, such as ({scores!r},)")
    chosen = [get_score(name) for name in scores]
    if not chosen:
        raise DropError("scores: must name at least one score")
    dynamic = [score.name for score in chosen if score.needs == "dynamics"]
    if dynamic:
        raise DropError(
            f"scores: {dynamic} follow from a training run, not from a model; record them with "
            "fiftyone_drop.DynamicsRecorder in your training loop"
        )
    known = {switch for score in chosen for switch in score.conventions} - {"seed"}
    if not known.issuperset(given):
        raise DropError(
            f"switches: {listing(sorted(set(given) - known))} are no arguments and no switches of "
            f"{list(scores)}, which have {sorted(known) or 'none'}"
        )
    available = {**given, "seed": seed}
    return {
        score.name: score.switches({k: v for k, v in available.items() if k in score.conventions})
        for score in chosen
    }


def _check_sources(
    switches: Switches, sources: Sequence[Source], trained: int | None, spread: bool
) -> None:
    """Check that the models, or so many query models per sample, can give the scores.

    Raises:
        DropError: if one cannot
    """
    if spread and (len(sources) if trained is None else trained) < 2:
        raise DropError(
            "spread: several models have a spread; pass a list of them as model=, or models=5"
        )
    needy = wanted(switches, "features", "model", "embeddings")
    if not needy:
        return
    remedy = "pass a model that reads images, such as fiftyone_drop.train_query_model(...)"
    if trained is not None:
        raise DropError(
            f"model: {needy} need one model for all samples, since activations and gradients of "
            f"cross-validated query models do not compare; {remedy}"
        )
    for source in sources:
        if isinstance(source, StoredLogits):
            raise DropError(
                f"model: {needy} need more than {source.words}: activations or gradients; {remedy}"
            )


def _check_numbers(on_error: object, **numbers: object) -> None:
    if on_error not in ("skip", "raise"):
        raise DropError(f"on_error: must be 'skip' or 'raise', but got {on_error!r}")
    for name, value in numbers.items():
        least = 2 if name == "folds" else 1
        if value is None and name in ("batch_size", "workers"):
            continue
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
            raise DropError(f"{name}: must be an integer >= {least}, but got {value!r}")
