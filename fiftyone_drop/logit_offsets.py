"""``class_offsets``: what to add to the logits of a model that was trained on what a run keeps.

What it returns, with how that prints, is here too, so that the module is longer than others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import fiftyone.core.collections as foc
import numpy as np
import numpy.typing as npt

from fiftyone_drop import checks
from fiftyone_drop._types import FloatArray, IntArray
from fiftyone_drop.class_table import ClassTable
from fiftyone_drop.errors import DropError, Warner, listing
from fiftyone_drop.evaluations import check_evaluation
from fiftyone_drop.fields import check_validation, label_path
from fiftyone_drop.offsets import log_prior_offsets, recalls_under, shares_known, tuned_offsets
from fiftyone_drop.population import read_outcomes
from fiftyone_drop.run_lookup import load_drop
from fiftyone_drop.scoring.agreement import misfit
from fiftyone_drop.tables import Table

METHODS = ("log-prior", "tuned")
STRENGTHS = (0.0, 0.25, 0.5, 0.75, 1.0)
LITTLE = 0.5  # of a recall counts, or less: a warning names the class
IN_ORDER = "pass classes= in the order of the logits, or correct dataset.classes"


@dataclass(frozen=True, eq=False)
class ClassOffsets(Mapping[str, float]):
    """What to add to the logit of each class: a mapping from class to float. Prints as a table.

    Attributes:
        key: the drop run
        method: ``"log-prior"`` or ``"tuned"``
        classes: the K classes, sorted
        offsets: (K,) float64, what is added to the logits; the mean is 0, except of ``"tuned"``
            ones for a model with outputs of more classes, which stay as they are
        kept: (K,) int, samples of each class that the run keeps
        before: (K,) float64 in [0, 1], recalls on the validation samples without offsets, NaN for
            classes without samples; None if none were given
        after: (K,) float64 in [0, 1], the same with the offsets
        trade_off: (share of the offsets, worst recall, mean recall), from no offsets to all of
            them; empty if no validation samples were given
        samples: the number of validation samples
        warnings: what was warned of
    """

    key: str
    method: str
    classes: tuple[str, ...]
    offsets: FloatArray
    kept: IntArray
    before: FloatArray | None = None
    after: FloatArray | None = None
    trade_off: tuple[tuple[float, float, float], ...] = ()
    samples: int = 0
    warnings: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> float:
        if name not in self.classes:
            raise KeyError(name)
        return float(self.offsets[self.classes.index(name)])

    def __iter__(self) -> Iterator[str]:
        return iter(self.classes)

    def __len__(self) -> int:
        return len(self.classes)

    def for_outputs(self, classes: Sequence[str]) -> npt.NDArray[np.float32]:
        """The offsets in the order of a model's outputs.

        Args:
            classes: the names of the K outputs; those that are no class of the run get 0

        Returns:
            (K,) float32

        Raises:
            DropError: if a class of the run is no output
        """
        names = checks.class_list("classes", classes, empty=True)
        missing = [name for name in self.classes if name not in names]
        if missing:
            raise DropError(
                "classes",
                f"must name all outputs of the model, but has not {listing(missing)}, which the "
                f"run '{self.key}' has",
            )
        return np.array([self.get(name, 0.0) for name in names], dtype=np.float32)

    @property
    def class_weights(self) -> dict[str, float]:
        """The same as weights of a loss: ``exp(offset)``, with mean 1 over the kept samples."""
        weights = np.exp(self.offsets)
        weights *= self.kept.sum() / max((weights * self.kept).sum(), 1e-300)
        return dict(zip(self.classes, weights.tolist(), strict=True))

    def __str__(self) -> str:
        columns = {
            "class": list(self.classes),
            "kept": [f"{n:,}" for n in self.kept],
            "offset": [f"{value:+.3f}" for value in self.offsets],
        }
        total = ["mean", f"{self.kept.mean():,.1f}", ""]
        for title, recalls in (("recall", self.before), ("with offset", self.after)):
            if recalls is not None:
                columns[title] = ["" if np.isnan(r) else f"{r:.3f}" for r in recalls]
                total.append(f"{np.nanmean(recalls):.3f}")
        rows = list(zip(*columns.values(), strict=True))
        lines = [str(Table(list(columns), rows, total, np.argsort(-self.offsets)))]
        if self.trade_off:
            lines.append(f"on {self.samples:,} validation samples:")
        lines += [
            f"{share:4.0%} of the offsets: worst recall {worst:.3f}, mean {mean:.3f}"
            for share, worst, mean in self.trade_off
        ]
        return "\n".join(lines)

    __repr__ = __str__


def class_offsets(
    dataset: foc.SampleCollection,
    key: str,
    method: str = "log-prior",
    *,
    validation: foc.SampleCollection | None = None,
    pred_field: str | None = None,
    eval_key: str | None = None,
    classes: Sequence[str] | None = None,
    strength: float = 1.0,
) -> ClassOffsets:
    """Find what to add to the logits of a model that was trained on the kept samples.

    Quotas decide what the model is trained on. Where classes are unequal there, it still expects
    the large ones; offsets take that off, and cost no training. Nothing is written.

    -   ``"log-prior"`` takes the log of each class's share of the kept samples off its logit. It
        needs no validation samples, but logits as softmax takes them. For long tails
    -   ``"tuned"`` finds the offsets under which the worst recall on validation samples is highest.
        It pays with the mean recall; :attr:`ClassOffsets.trade_off` says how much. The fewer of 50
        validation samples a class has, the less its recall counts

    Example::

        offsets = fod.class_offsets(dataset, "drop")
        logits = model(images) + torch.from_numpy(offsets.for_outputs(model.classes))

    Args:
        dataset: a :class:`fiftyone.core.dataset.Dataset` or view into it
        key: the run key
        method ("log-prior"): ``"log-prior"`` or ``"tuned"``
        validation (None): samples that the model was not trained on, with its predictions and
            their logits (``apply_model(..., store_logits=True)``). ``"tuned"`` needs them;
            ``"log-prior"`` says with them what it does
        pred_field (None): the field of the predictions
        eval_key (None): an evaluation of the predictions, instead of ``validation`` and
            ``pred_field``
        classes (None): the names of the logits, in their order; by default those that the dataset
            has for ``pred_field``, or its default classes
        strength (1.0): the share of the offsets that is taken, in (0, 1]

    Returns:
        a :class:`ClassOffsets`

    Raises:
        DropError: if there is no such run or evaluation, an argument is out of range, or samples
            have no logits

    Warns:
        DropWarning: if logits and labels cannot belong together, as with ``classes`` in another
            order than the outputs, or classes have too few validation samples for ``"tuned"``

    Source: Menon et al., ICLR 2021 (arXiv 2007.07314); DROPS, ICLR 2023 (arXiv 2309.08825).
    """
    method = checks.choice("method", method, METHODS)
    strength = checks.number("strength", strength, "(0, 1]")
    pred_field = checks.text("pred_field", pred_field, optional=True)
    eval_key = checks.text("eval_key", eval_key, optional=True)
    results = load_drop(dataset, key)
    label_field = results.config.label_field
    names, kept = _kept_by_class(results.table)
    measured = _logits(dataset, label_field, names, validation, pred_field, eval_key, classes)
    if measured is None:
        if method == "tuned":
            raise DropError(
                "validation",
                "must be given with method='tuned', with pred_field=<predictions with logits>; or "
                "pass eval_key=<an evaluation of such predictions>",
            )
        return ClassOffsets(results.key, method, names, strength * log_prior_offsets(kept), kept)
    logits, labels = measured
    warn = Warner()
    _warn_about_misfit(logits, labels, names, warn)
    if method == "tuned":
        _warn_about_few(labels, names, warn)
    found = log_prior_offsets(kept) if method == "log-prior" else tuned_offsets(logits, labels)
    if len(found) > len(names):  # the last is of the outputs of other classes
        found = found[:-1] - found[-1]
    values, others = strength * found, logits.shape[1] - len(names)
    recalls = [
        recalls_under(np.append(share * values, np.zeros(others)), logits, labels)[: len(names)]
        for share in STRENGTHS
    ]
    return ClassOffsets(
        results.key,
        method,
        names,
        values,
        kept,
        before=recalls[0],
        after=recalls[-1],
        trade_off=tuple(
            (share, float(np.nanmin(r)), float(np.nanmean(r)))
            for share, r in zip(STRENGTHS, recalls, strict=True)
        ),
        samples=len(labels),
        warnings=tuple(warn.messages),
    )


def _kept_by_class(table: ClassTable) -> tuple[tuple[str, ...], IntArray]:
    """The classes, and how many samples of each are kept; the cells of a class count together."""
    labels = [name if isinstance(name, str) else name[0] for name in table.classes]
    names, codes = np.unique(labels, return_inverse=True)
    kept = np.zeros(len(names), np.int64)
    np.add.at(kept, codes, table.quotas)
    return tuple(names.tolist()), kept


def _logits(
    dataset: foc.SampleCollection,
    label_field: str,
    names: tuple[str, ...],
    validation: foc.SampleCollection | None,
    pred_field: str | None,
    eval_key: str | None,
    classes: Sequence[str] | None,
) -> tuple[FloatArray, IntArray] | None:
    """Logits of the classes of the run and labels (N,), or None if none were given.

    The logits are (N, K), or (N, K + 1) with the largest of other classes. Of outputs that have
    one name, the model means the largest.
    """
    root = dataset._root_dataset
    of_samples, of_logits = "validation", "pred_field"  # the arguments that were typed
    if eval_key is not None:
        of_samples = of_logits = "eval_key"
        if validation is not None or pred_field is not None:
            raise DropError(
                "eval_key", "must be given without validation= and pred_field=, which it stands for"
            )
        eval_key = check_evaluation(root, eval_key, label_field)
        validation = root.exists(eval_key)
        pred_field = root.get_evaluation_info(eval_key).config.pred_field
    if validation is None and pred_field is None:
        return None
    if validation is None or pred_field is None:
        lacking = "validation" if validation is None else "pred_field"
        raise DropError(lacking, "must be given: validation= and pred_field= go together")
    check_validation(root, validation)
    label_path(validation, label_field, "label_field")
    outcomes = read_outcomes(validation, names, label_field, None, ["filepath"])
    if not len(outcomes.ids):
        raise DropError(
            of_samples, f"must have samples of the classes of the run, {listing(list(names))}"
        )
    from fiftyone_drop.inference.stored_logits import stored_logits  # imports PyTorch

    try:
        source = stored_logits(pred_field, validation, classes)
        missing = [name for name in names if name not in source.classes]
        if missing:
            raise DropError(
                "classes", f"must name every class of the run, but not {listing(missing)}"
            )
        column_of = {name: k for k, name in enumerate(names)}
        columns = np.array([column_of.get(name, len(names)) for name in source.classes])
        table = np.full((columns.max() + 1, len(outcomes.ids)), -np.inf)
        for rows, logits in source.logits(outcomes.ids, outcomes.columns[0]):
            some = np.full((len(table), len(rows)), -np.inf)
            np.maximum.at(some, columns, logits.T)
            table[:, rows] = some
    except DropError as error:
        raise DropError(
            of_logits if error.argument == "model" else error.argument, error.message
        ) from error
    if not np.isfinite(table).all():
        raise DropError(of_logits, f"the logits in '{pred_field}' must be finite")
    return table.T, outcomes.codes.astype(np.int64)


def _warn_about_few(labels: IntArray, names: Sequence[str], warn: Warner) -> None:
    support = np.bincount(labels, minlength=len(names))
    few = np.flatnonzero(shares_known(support) < LITTLE)
    if len(few):
        by_support = few[np.argsort(support[few], kind="stable")].tolist()
        shown = listing(by_support, show=lambda k: f"{names[k]!r} ({support[k]:,})")
        warn(
            f"{len(few):,} of {len(names):,} classes have too few validation samples to be tuned "
            f"for, {shown}: their recalls count for little, and may stay low. Add validation "
            "samples of these classes, or pass method='log-prior'"
        )


def _warn_about_misfit(
    logits: FloatArray, labels: IntArray, names: Sequence[str], warn: Warner
) -> None:
    shown = [*map(repr, names), "a class that the run does not have"]
    confidence = 1 / np.exp(logits - logits.max(1, keepdims=True)).sum(1)
    words = misfit(
        labels,
        logits.argmax(1),
        confidence,
        lambda code: shown[code],
        f"{IN_ORDER[:1].upper()}{IN_ORDER[1:]}, and pass predictions of these samples",
        IN_ORDER,
    )
    if words is not None:
        warn(f"Logits and labels do not belong together: {words}")
