"""What forms over a collection of labelled images share: target view, label field, validation."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

import fiftyone as fo
import fiftyone.core.collections as foc
import numpy as np
from fiftyone.operators import ViewTarget

import fiftyone_drop as fod
from fiftyone_drop.errors import listing
from fiftyone_drop.plan import known_predictions
from fiftyone_drop.population import (
    check_collection,
    class_label_fields,
    default_label_field,
    label_path,
    stream,
)

from .base import Form, recently, split_message

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
        labels: the label field; None as long as it is open
    """

    samples: foc.SampleCollection
    size: int
    labels: str | None

    def target(self, verb: str) -> bool:
        """The choice of the target view; says why if it cannot be used, and returns False."""
        self.inputs.view_target(
            self.ctx,
            action_description=verb,
            # FiftyOne would start with the selection, which may be one forgotten sample
            default_target=ViewTarget.CURRENT_VIEW
            if self.ctx.has_custom_view
            else ViewTarget.DATASET,
        )
        self.samples = self.ctx.target_view()
        try:
            self.size = self.recently("size", lambda: _size(self.samples))
        except fod.DropError as error:
            self.problem(split_message(str(error))[1])
            return False
        self.labels, self._no_label_field = self.given.get("label_field"), None
        if self.labels is None:
            try:
                self.labels = default_label_field(self.samples, known_predictions(self.samples))
            except fod.DropError as error:
                self._no_label_field = error
        return True

    def label_field(self, remedy: str | None = "choose a target view without them") -> None:
        """The choice of the label field; ``remedy`` is for samples without a label, if needed."""
        fields = class_label_fields(self.samples)
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
                label_path(self.samples, self.labels, "label_field")
                missing = self.size - sum(self.class_sizes().values())
                if missing and remedy:
                    words = f"{missing:,} of {self.size:,} samples have no label; {remedy}"
                    self.mark("label_field", words)

    def class_sizes(self) -> dict[str, int]:
        """How many samples of each class the target view has; empty without a label field."""
        try:
            path = label_path(self.samples, self.labels, "label_field")
        except fod.DropError:
            return {}
        counts = self.recently(["classes", path], lambda: self.samples.count_values(path))
        return {str(name): n for name, n in counts.items() if name is not None}

    def recently(self, what: object, read: Callable[[], Any]) -> Any:
        """:func:`recently` for what is read of the target view."""
        names = ("dataset_name", "view", "view_name", "filters", "extended", "view_target")
        target = {name: self.ctx.request_params.get(name) for name in names}
        if target["view_target"] == ViewTarget.SELECTED_SAMPLES:
            target["selected"] = self.ctx.selected
        return recently([target, what], read)

    # -- validation samples --

    def validation(self) -> fo.DatasetView | None:
        """The choice of validation samples; returns them, None as long as it is open."""
        views = {f"view:{v}": f"saved view {v}" for v in self.ctx.dataset.list_saved_views()}
        tags = self.recently("tags", lambda: self.ctx.dataset.distinct("tags"))
        offered = views | {f"tag:{tag}": f"samples tagged {tag}" for tag in tags}
        value = self.choose_needed("validation", offered, NO_VALIDATION, label="Validation samples")
        if value is None:
            return None
        try:
            return find_validation(self.ctx.dataset, value)
        except fod.DropError as error:
            self.show(error)
            return None

    def overlap(self, validation: fo.DatasetView) -> None:
        """Warn of validation samples that are in the target view too."""

        def read() -> tuple[int, int]:
            target, others = _ids(self.samples), _ids(validation)
            return int(np.isin(others, target).sum()), len(others)

        shared, size = self.recently(["overlap", _stages(validation)], read)
        if shared:
            self.warning(
                "overlap",
                f"{shared:,} of {size:,} validation samples are in the target view too: if the "
                "model was trained on them, the recalls are too high",
            )

    def classes_of(self, validation: fo.DatasetView) -> list[str]:
        """The classes of validation samples.

        Raises:
            fiftyone_drop.DropError: if there is no label field yet
        """
        path = label_path(validation, self.labels, "label_field")
        what = ["classes", _stages(validation), path]
        return [str(name) for name in self.recently(what, lambda: validation.distinct(path))]

    def without(self, measured: Collection[str]) -> str | None:
        """Words for the classes of the target view that are not among ``measured``."""
        missing = sorted(set(self.class_sizes()) - set(measured))
        return f"no validation sample of {listing(missing)}" if missing else None


def find_validation(dataset: fo.Dataset, value: object) -> fo.DatasetView:
    """The samples that ``view:<saved view>`` or ``tag:<sample tag>`` stands for.

    Raises:
        fiftyone_drop.DropError: if there is no such thing
    """
    kind, _, name = str(value).partition(":")
    if kind == "tag" and name:
        return dataset.match_tags(name)
    if kind == "view" and dataset.has_saved_view(name):
        return dataset.load_saved_view(name)
    raise fod.DropError(
        f"validation: must be view:<saved view> or tag:<sample tag>, but got {value!r}; saved "
        f"views are {dataset.list_saved_views()}"
    )


def _stages(view: fo.DatasetView) -> Any:
    """What tells a view from others."""
    return view._serialize(include_uuids=False)


def _size(samples: fo.DatasetView) -> int:
    check_collection(samples)
    return len(samples)


def _ids(samples: foc.SampleCollection) -> Any:
    return np.concatenate([np.empty(0, "S24"), *(ids for ids, _ in stream(samples, []))])
