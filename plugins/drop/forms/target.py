"""The base of forms over a collection of images: target view, label field, validation samples."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import fiftyone.operators.types as types
from fiftyone.operators import ViewTarget

import fiftyone_drop as fod
from fiftyone_drop import checks, precheck

from .. import door
from .base import Form
from .recent import recently, splits

NO_LABELS = (
    "this dataset has no class labels; add a Classification or string field that holds the class "
    "of each image"
)
NO_VALIDATION = "choose a saved view or a sample tag"


class TargetForm(Form):
    """A form whose function takes a collection of labelled images, the target view.

    Attributes:
        samples: the target view
        size: the number of its samples
        labels: the label field; None until one is chosen
    """

    samples: foc.SampleCollection
    size: int
    labels: str | None

    @property
    def target_view(self) -> foc.SampleCollection:
        """The target view.

        Raises:
            fiftyone_drop.DropError: if the request names none that there is
        """
        chosen = self.ctx.request_params.get("view_target")
        if chosen is None and self.from_app:
            chosen = self._likely_target()
        kind, _, name = str(chosen).partition(":")
        try:
            if kind == "tag" and name in splits(self.ctx.dataset):
                return self.ctx.dataset.match_tags(name)
            if kind == "run":
                return precheck.samples_of_run(self.ctx.dataset, name)
            # FiftyOne looks here for what it is asked for
            self.ctx.request_params["view_target"] = chosen
            return self.ctx.target_view()
        except fod.DropError:
            raise
        except Exception as error:
            raise self._no_target(error) from error

    @staticmethod
    def _no_target(error: Exception) -> fod.DropError:
        # FiftyOne takes the stages of a view from the request as they are
        return fod.DropError("view_target", f"cannot be used: {str(error)[:200]}")

    def _runs(self) -> list[str]:
        """The runs whose samples can be the target: that of the panel, and those in the grid."""
        try:
            shown = self.ctx.view
        except Exception as error:
            raise self._no_target(error) from error
        keys = [*filter(None, [self.entries.get("run")]), *precheck.runs_behind(shown)]
        return [key for key in dict.fromkeys(keys) if key in fod.list_drops(self.ctx.dataset)]

    def _targets(self) -> dict[str, str]:
        """What can be the target view, in words."""
        ctx = self.ctx
        offered = {ViewTarget.DATASET: "The whole dataset"}
        if ctx.has_custom_view:
            offered[ViewTarget.CURRENT_VIEW] = "What the grid shows"
        if ctx.selected:
            offered[ViewTarget.SELECTED_SAMPLES] = f"The {len(ctx.selected):,} selected samples"
        tags = splits(self.ctx.dataset)
        offered |= {f"tag:{tag}": f"The split {tag} ({n:,} samples)" for tag, n in tags.items()}
        return offered | {f"run:{key}": f"The samples of the run {key}" for key in self._runs()}

    def _likely_target(self) -> str:
        """The target view that is filled in.

        A selection was made for something. What the grid shows of a run is pruned already, and the
        run's samples are what it was made of.
        """
        offered = self._targets()
        if ViewTarget.SELECTED_SAMPLES in offered:
            return str(ViewTarget.SELECTED_SAMPLES)
        runs = self._runs()
        if runs:
            return f"run:{runs[0]}"
        if ViewTarget.CURRENT_VIEW in offered:
            return str(ViewTarget.CURRENT_VIEW)
        train = self._split("train")
        return f"tag:{train}" if train else str(ViewTarget.DATASET)

    def _split(self, kind: str) -> str | None:
        """The tag of the training, validation or test split; None where nothing looks like it."""
        tags = splits(self.ctx.dataset)
        return next((t for t in tags if t.lower() in precheck.SPLIT_TAGS[kind]), None)

    def target(self, verb: str) -> bool:
        """The choice of the target view; where it cannot be used, says why and returns False."""
        offered = self._targets()
        view = types.RadioGroup(label=verb, orientation="vertical")
        for value, words in offered.items():
            view.add_choice(value, label=words)
        if len(offered) == 1:
            view = types.HiddenView(read_only=False)
        self.inputs.enum("view_target", list(offered), default=self._likely_target(), view=view)
        self.samples = self.target_view
        try:
            self.size = self.recently("size", lambda: precheck.target_size(self.samples))
        except fod.DropError as error:
            self.problem(error.message)
            return False
        self.labels, self._no_label_field = self.entries.get("label_field"), None
        if self.labels is None:
            try:
                self.labels = precheck.default_label_field(self.samples)
            except fod.DropError as error:
                self._no_label_field = error
        return True

    def label_field(self, remedy: str | None = "choose a target view without them") -> None:
        """The choice of the label field.

        Args:
            remedy: the advice about samples without a label; None where they are allowed
        """
        fields = precheck.label_fields(self.samples)
        self.choose(
            "label_field",
            fields,
            label="Label field",
            description="The classes of the samples",
            default=self.labels,
        )
        if not fields:
            self.mark("label_field", NO_LABELS)
        elif self._no_label_field is not None:
            self.show(self._no_label_field)
        else:
            with self.checking():
                missing = self.size - sum(self._count(self.samples).values())
                if missing and remedy:
                    words = f"{missing:,} of {self.size:,} samples have no label; {remedy}"
                    self.mark("label_field", words)

    def class_sizes(self) -> dict[str, int]:
        """The number of samples of each class; empty without a label field."""
        try:
            return self._count(self.samples)
        except fod.DropError:
            return {}

    def _count(self, samples: foc.SampleCollection) -> dict[str, int]:
        what = ["classes", self.labels, None if samples is self.samples else _stages(samples)]
        return self.recently(what, lambda: precheck.class_sizes(samples, self.labels))

    def recently(self, what: object, read: Callable[[], Any]) -> Any:
        """:func:`recently` for questions about the target view."""
        names = ("dataset_name", "view", "view_name", "filters", "extended", "view_target")
        target = {name: self.ctx.request_params.get(name) for name in names}
        target |= {"selected": self.ctx.selected, "run": self.entries.get("run")}
        return recently([target, what], read)

    # -- validation samples --

    def validation_split(self) -> str | None:
        """The tag of the samples that were set apart for measuring, if they are not the target."""
        chosen = self.ctx.request_params.get("view_target") or self._likely_target()
        tag = self._split("validation")
        return None if f"tag:{tag}" == chosen else tag

    def validation(self) -> fo.DatasetView | None:
        """The choice of validation samples; returns them, None until they are chosen."""
        dataset, likely = self.ctx.dataset, splits(self.ctx.dataset)
        tags = self.recently("tags", lambda: precheck.tags(dataset))
        offered = {f"tag:{tag}": f"The split {tag} ({n:,} samples)" for tag, n in likely.items()}
        offered |= {f"view:{view}": f"The saved view {view}" for view in dataset.list_saved_views()}
        offered |= {
            f"tag:{tag}": f"The {n:,} samples tagged {tag}"
            for tag, n in tags.items()
            if tag not in likely
        }
        split = self.validation_split()
        value = self.choose_needed(
            "validation",
            offered,
            NO_VALIDATION,
            likely=f"tag:{split}" if split else None,
            label="Validation samples",
        )
        if value is None:
            return None
        try:
            return find_validation(self.ctx.dataset, value)
        except fod.DropError as error:
            self.show(error)
            return None

    def overlap(self, validation: fo.DatasetView) -> None:
        """Warn of validation samples that are in the target view too."""
        shared, size = self.recently(
            ["overlap", _stages(validation)], lambda: precheck.overlap(self.samples, validation)
        )
        if shared:
            self.warning(
                "overlap",
                f"{shared:,} of {size:,} validation samples are in the target view too: if the "
                "model was trained on them, the recalls are too high",
            )

    def classes_of(self, validation: fo.DatasetView) -> Collection[str]:
        """The classes of validation samples.

        Raises:
            fiftyone_drop.DropError: if there is no label field yet
        """
        return self._count(validation)

    def without(self, measured: Collection[str]) -> str | None:
        """Words for the classes of the target view that are not among ``measured``."""
        return precheck.unmeasured(self.class_sizes(), measured)


def find_validation(dataset: fo.Dataset, value: object) -> fo.DatasetView:
    """The samples that ``view:<saved view>`` or ``tag:<sample tag>`` stands for.

    Raises:
        fiftyone_drop.DropError: if there is no such view, or the value has another form
    """
    kind, _, name = door.word("validation", value).partition(":")
    if kind == "tag" and name:
        return dataset.match_tags(name)
    if kind == "view" and dataset.has_saved_view(name):
        return dataset.load_saved_view(name)
    raise fod.DropError(
        "validation",
        f"must be view:<saved view> or tag:<sample tag>, but got {checks.shown(value)}; saved "
        f"views are {dataset.list_saved_views()}",
    )


def _stages(view: fo.DatasetView) -> Any:
    """The stages of a view, which tell it from others."""
    return view._serialize(include_uuids=False)
