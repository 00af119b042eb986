"""``apply_drop`` and ``plan_drop``: read, find recalls, decide, write."""

from __future__ import annotations

import inspect
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc

from fiftyone_drop.checks import flag
from fiftyone_drop.cluster import Cluster
from fiftyone_drop.decision import check_amount
from fiftyone_drop.errors import Warner
from fiftyone_drop.fields import (
    check_collection,
    current_collection,
)
from fiftyone_drop.options import DropOptions
from fiftyone_drop.plan import DropPlan, plan_of
from fiftyone_drop.population import warn_about_splits
from fiftyone_drop.recall import SHRINKAGE, Smoothing
from fiftyone_drop.recall_sources import check_source, find_recalls
from fiftyone_drop.run_keys import check_key
from fiftyone_drop.target import (
    check_fields,
    keeps_highest,
    read_target,
    rule_columns,
    with_label_field,
)


def apply_drop(
    samples: foc.SampleCollection,
    density: float | None = None,
    *,
    size: int | None = None,
    max_bytes: int | None = None,
    label_field: str | None = None,
    key: str = "drop",
    eval_key: str | None = None,
    recalls: Mapping[Hashable, float] | None = None,
    validation: foc.SampleCollection | None = None,
    pred_field: str | None = None,
    model: Any = None,
    query: str | None = None,
    embeddings: str | None = None,
    brain_key: str | None = None,
    folds: int | None = None,
    holdout: float | None = None,
    rule: str = "drop",
    select: str = "random",
    keep: str = "hardest",
    order_by: str = "id",
    group_by: str | Sequence[str] | None = None,
    smoothing: Smoothing = SHRINKAGE,
    min_per_class: int | Mapping[Hashable, int] = 1,
    max_per_class: int | Mapping[Hashable, int] | None = None,
    must_keep: foc.SampleCollection | str | None = None,
    protect: Sequence[Hashable] | None = None,
    quotas: Mapping[Hashable, int | float] | None = None,
    weights: Mapping[Hashable, float] | None = None,
    drop_below: Mapping[str, float] | None = None,
    drop_above: Mapping[str, float] | None = None,
    missing_recall: float | None = None,
    skip_unlabeled: bool = False,
    allow_empty_classes: bool = False,
    seed: int = 51,
    overwrite: bool = False,
    cluster: Cluster | str | None = None,
    progress: Any = None,
) -> fo.DatasetView:
    """Prune a collection of labelled images so that every class is treated well.

    Each class gets a quota from its recall; inside a class, chance decides which samples stay
    (Vysogorets, Ahuja, Kempe: DRoP: Distributionally Robust Data Pruning, ICLR 2025). No sample is
    deleted: the run adds the fields ``<key>_keep_at`` and ``<key>_kept`` and the saved views
    ``<key>-kept`` and ``<key>-pruned``.

    Recalls come from one of: ``eval_key``; ``recalls``; ``validation`` with ``pred_field`` or
    ``model``; and without any of these from a query model of the samples, which predicts samples
    that it has not seen. Its predictions are written too, as ``<key>_pred``, and evaluated as
    ``<key>_eval``. By default it is ridge regression in closed form, which leaves out each sample
    once: a minute or two for 50,000 small images, without training. Of more than 100,000 samples
    it looks at so many, the same fraction of each class. A class of one sample has a recall of 0
    then, before smoothing. It is a weak model. Where it tells classes apart no better than chance,
    a warning says so, and ``query="trained"`` trains small networks instead.

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
        size (None): instead of ``density``, the number of samples to keep, exactly
        max_bytes (None): instead, the bytes that the kept image files may take: as many samples are
            kept as fit. A file's size is ``metadata.size_bytes``, or else read from the disk
        label_field (None): a Classification, string, integer or boolean field; by default the one
            that ``eval_key`` compares with, or the only Classification field that is not a known
            prediction
        key ("drop"): the run key, a valid field name
        eval_key (None): an evaluation run (``evaluate_classifications``) to take recalls from
        recalls (None): a mapping from class, or with ``group_by`` from (class, value), to recall
            in [0, 1]; used as it is
        validation (None): a view of held-out samples to measure recall on
        pred_field (None): the predictions on ``validation``, a Classification or string field
        model (None): the model that predicts ``validation``: a
            :class:`fiftyone_drop.QueryModel`; a FiftyOne model or the name of one in its zoo; a
            ``torch.nn.Module`` with the attributes ``classes``, the names of its outputs, and
            ``transform``, from a Pillow image to its input; the name of a field with stored logits;
            or a list of these, whose probabilities are averaged
        query ("closed-form"): the query model where recalls have no other source:
            ``"closed-form"``, or ``"trained"`` by cross-validation. With ``folds`` or ``holdout``,
            the default is ``"trained"``
        embeddings (None): a field with a vector for each sample, of a model that knows such images:
            the query model in closed form is fitted on these instead of patches of the images,
            which are not read then
        brain_key (None): the same with the embeddings of a similarity index
            (``fiftyone.brain.compute_similarity``)
        folds (5): the number of query models that cross-validation trains
        holdout (None): a fraction in (0, 1): train one query model instead, and measure recall on
            this fraction of the samples, held out
        rule ("drop"): how class weights follow from sizes and recalls: ``"drop"`` (the paper's
            Algorithm 1), ``"drop-unweighted"`` (the authors' code), ``"proportional"``,
            ``"balanced"``, ``"none"`` (no quotas), or one of your own
            (:func:`fiftyone_drop.register_rule`)
        select ("random"): how samples are ordered inside a class: at random, which is what
            ``"random"`` always means, or by the score field of this name
        keep ("hardest"): with a score field, which end is kept first: ``"hardest"`` or
            ``"easiest"``
        order_by ("id"): what "at random" hashes: the ids of the samples, or the values of a string
            field. ``"filepath"`` gives the same order when the same files are imported again
        group_by (None): a label, string, integer or boolean field, or a sequence of these; quotas,
            recalls and bounds are then per cell, (class, value) or (class, value, value)
        smoothing ("shrinkage"): measured recalls are pulled towards their mean as strongly as
            chance explains the differences between them. Or a number: they are then
            ``(correct + s) / (n + 2s)``; 0 is the paper's, 0.5 Jeffreys' prior
        min_per_class (1): keep at least this many samples of each class (all of a smaller one): a
            number for all classes, or a mapping from class to number, 1 for the others
        max_per_class (None): keep at most this many: a number, or a mapping from class to number.
            A number for all classes yields to ``protect``, ``quotas`` and mappings that name a
            class. Where cells divide a class, its name stands for each of its cells
        must_keep (None): the samples that are kept in any case, inside the quota of their class: a
            view, or the name of a tag or boolean field. They come first in the order, and
            ``drop_below`` and ``drop_above`` leave them in
        protect (None): the classes of which every sample is kept
        quotas (None): a mapping from class to what is kept of it: a number of samples (an ``int``)
            or a fraction of the class (a ``float``). The rule divides the rest among the others. If
            every class is named, neither ``density`` nor ``size`` is needed
        weights (None): a mapping from every class to its weight, instead of a rule: a class gets a
            quota in proportion to it, as far as the class lasts
        drop_below (None): a mapping from number field to number: samples below it leave the run
            before quotas are cut and query models trained, as samples without a label do with
            ``skip_unlabeled``. The density is of those that stay; so do samples without a value
        drop_above (None): the same for samples above a number
        missing_recall (None): a recall in [0, 1] for classes without a validation sample
        skip_unlabeled (False): leave samples without a label out of the run
        allow_empty_classes (False): whether a class may lose all its samples
        seed (51): decides which samples are kept at random, the folds and the query models
        overwrite (False): whether to replace the run of that key
        cluster (None): where query models are trained: None for this machine; ``"auto"``, an
            address or a :class:`fiftyone_drop.Cluster` for a Ray cluster, one task per model
        progress (None): whether to render a progress bar (True/False), use the default value
            ``fiftyone.config.show_progress_bars`` (None), or a progress callback function to
            invoke instead

    Returns:
        a :class:`fiftyone.core.view.DatasetView` of the kept samples of the target view

    Bounds hold at every density that the run can be moved to: :func:`fiftyone_drop.set_density`
    refuses one below the sum of the floors or above the sum of the caps, and a sample beyond a cap
    is in no view of kept samples.

    Raises:
        DropError: if an argument is invalid, or two contradict each other; nothing has been written
            then
        ConnectionError: the database was away for ten minutes, or again and again
    """
    arguments = dict(locals())  # every argument by name, before there are other variables
    options, place = DropOptions.parse(arguments), Cluster.of(cluster)
    samples = current_collection(samples)
    # Before an hour of training, not after it
    key = check_key(samples, key, flag("overwrite", overwrite), options.uses())
    return _plan(samples, options, progress, place, writes=True).apply(key, overwrite, progress)


_SIGNATURE = inspect.signature(apply_drop)
DEFAULTS = {name: p.default for name, p in _SIGNATURE.parameters.items()}


def plan_drop(
    samples: foc.SampleCollection,
    density: float | None = None,
    *,
    progress: Any = None,
    **options: Any,
) -> DropPlan:
    """Decide which samples a density would keep, and write nothing.

    Example::

        plan = fod.plan_drop(dataset, 0.5, eval_key="val_eval")
        print(plan)
        print(plan.at(0.3).quotas, plan.at(size=5000).quotas)
        view = plan.apply(key="half")

    Args:
        samples: a :class:`fiftyone.core.dataset.Dataset` or
            :class:`fiftyone.core.view.DatasetView` of images, the target view
        density: the fraction of samples that is KEPT, in (0, 1]
        progress (None): as everywhere in FiftyOne
        **options: the other arguments of :func:`fiftyone_drop.apply_drop`, but ``key`` and
            ``overwrite``, which go to :meth:`DropPlan.apply`

    Returns:
        a :class:`DropPlan`

    Raises:
        DropError: if an argument is invalid
    """
    bound = _PLAN_SIGNATURE.bind(samples, density, progress=progress, **options)
    bound.apply_defaults()
    parsed = DropOptions.parse(bound.arguments)
    place = Cluster.of(bound.arguments["cluster"])
    return _plan(check_collection(samples), parsed, progress, place)


_PLAN_SIGNATURE = _SIGNATURE.replace(
    parameters=[p for n, p in _SIGNATURE.parameters.items() if n not in ("key", "overwrite")],
    return_annotation=DropPlan,
)
plan_drop.__signature__ = _PLAN_SIGNATURE  # type: ignore[attr-defined]


def _plan(
    samples: foc.SampleCollection,
    options: DropOptions,
    progress: Any,
    place: Cluster | None,
    *,
    writes: bool = False,
) -> DropPlan:
    options = with_label_field(samples, options)
    check_fields(samples, options)
    high = keeps_highest(samples, options)
    check_source(samples, options)
    warn = Warner()
    warn_about_splits(samples, warn)
    population, left_out = read_target(samples, options, warn, progress, writes=writes)
    check_amount(options, population, high)
    columns = rule_columns(samples, options, population)
    recalls = None
    if options.needs_recalls:
        recalls = find_recalls(options, samples, population, warn, progress, place)
    return plan_of(samples, options, population, high, recalls, columns, warn, left_out)
