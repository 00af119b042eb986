"""The operators: each reads its form, makes one call of the package, and shows the result."""

from __future__ import annotations

import json
import re
import time

import fiftyone.core.utils as fou
import fiftyone.operators.types as types

import fiftyone_drop as fod
from fiftyone_drop import precheck

from . import models_folder, results
from .forms.apply_drop import ApplyDropForm
from .forms.runs import CompareDropsForm, DeleteDropForm, SetDensityForm
from .forms.scores import ComputeScoresForm
from .forms.training import TrainQueryModelForm
from .operator_base import DropOperator, operator_config
from .operators_of_the_app import ExportRun, OpenPanels, Running

SECONDS_TO_RELOAD = 1.5
SHOW_SAVED_VIEW = "@fiftyone-drop/drop/show_saved_view"
CHECKPOINT = "What was trained or scored is in a checkpoint: the same call goes on from there"


class ApplyDrop(DropOperator):
    """``fiftyone_drop.apply_drop`` on the target view."""

    config = operator_config(
        name="apply_drop",
        label="DRoP: prune to a density",
        description="A fraction of the samples is kept, more of the classes that need them",
        icon="filter_alt",
    )
    nothing = "Nothing was pruned"
    kept_by_a_cancelled_one = CHECKPOINT

    def form(self, ctx):
        return ApplyDropForm(ctx)

    def run(self, form, progress):
        arguments = form.arguments()
        fod.apply_drop(form.target_view, **arguments, progress=progress)
        return fod.load_drop(form.ctx.dataset, form.value("key")).to_dict()

    def show(self, result):
        return results.show_run(result, "Pruned")

    def afterwards(self, form, result):
        yield from _show_saved_view(form.ctx, result["kept_view"])


class TrainQueryModel(DropOperator):
    """``fiftyone_drop.train_query_model`` on the target view."""

    config = operator_config(
        name="train_query_model",
        label="DRoP: train a query model",
        description="A short training that measures the recall of each class",
        icon="model_training",
    )
    kept_by_a_cancelled_one = CHECKPOINT

    def form(self, ctx):
        return TrainQueryModelForm(ctx)

    def run(self, form, progress):
        samples = form.target_view
        model = fod.train_query_model(samples, **form.arguments(), progress=progress)
        form.written.append(f"the predictions and the evaluation of '{form.value('key')}'")
        fields = fod.import_scores(
            samples, model, prefix=form.prefix, overwrite=form.value("overwrite")
        )
        if form.save_to is not None:
            models_folder.save(model, "save_to", form.save_to, form.value("overwrite"))
        return results.of_model(model, form.value("key"), fields, form.save_to)

    def show(self, result):
        return results.show_model(result)


class ComputeScores(DropOperator):
    """``fiftyone_drop.compute_scores`` on the target view."""

    config = operator_config(
        name="compute_scores",
        label="DRoP: compute difficulty scores",
        description="Compute how difficult each sample is, as fields to sort and prune by",
        icon="leaderboard",
    )
    kept_by_a_cancelled_one = CHECKPOINT

    def form(self, ctx):
        return ComputeScoresForm(ctx)

    def run(self, form, progress):
        samples = form.target_view
        fields = fod.compute_scores(samples, **form.arguments(), progress=progress)
        return results.of_scores(samples, fields)

    def show(self, result):
        return results.show_scores(result)


class SetDensity(DropOperator):
    """``fiftyone_drop.set_density``."""

    config = operator_config(
        name="set_density",
        label="DRoP: change the density of a run",
        description="Change how much a drop run keeps; its saved views follow",
        icon="tune",
    )
    nothing = "The density was not changed"

    def form(self, ctx):
        return SetDensityForm(ctx)

    def run(self, form, progress):
        arguments = form.arguments()
        fod.set_density(form.ctx.dataset, **arguments)
        return fod.load_drop(form.ctx.dataset, arguments["key"]).to_dict()

    def show(self, result):
        return results.show_run(result, "Density changed")

    def afterwards(self, form, result):
        yield from _show_saved_view(form.ctx, result["kept_view"])


class CompareDrops(DropOperator):
    """``fiftyone_drop.compare_drops``."""

    config = operator_config(
        name="compare_drops",
        label="DRoP: compare two runs",
        description="Compare what two drop runs keep, class by class",
        icon="compare_arrows",
        risk_level=types.RiskLevel.LOW,
    )
    nothing = "Nothing was compared"

    def form(self, ctx):
        return CompareDropsForm(ctx)

    def run(self, form, progress):
        comparison = fod.compare_drops(form.ctx.dataset, **form.arguments())
        form.shown = form.shows and comparison.view(form.shows)
        return results.of_comparison(comparison)

    def show(self, result):
        return results.show_comparison(result)

    def afterwards(self, form, result):
        if form.shown is not None:
            yield form.ctx.ops.set_view(view=form.shown)


class DeleteDrop(DropOperator):
    """``fiftyone_drop.delete_drop``."""

    config = operator_config(
        name="delete_drop",
        label="DRoP: delete a run",
        description="Clear a drop run away, with its fields and saved views; no sample is deleted",
        icon="delete",
        risk_level=types.RiskLevel.HIGH,
    )
    nothing = "Nothing was deleted"

    def form(self, ctx):
        return DeleteDropForm(ctx)

    def run(self, form, progress):
        arguments = form.arguments()
        outputs = precheck.outputs(form.ctx.dataset, arguments["key"])
        fod.delete_drop(form.ctx.dataset, **arguments)
        return results.of_deleted(arguments["key"], outputs)

    def show(self, result):
        return results.show_deleted(result)

    def afterwards(self, form, result):
        # A view of deleted fields would be an empty grid, and FiftyOne fails on a page that still
        # shows a deleted saved view
        request = form.ctx.request_params
        shown = json.dumps([request.get("view"), request.get("view_name")], default=str)
        names = "|".join(map(re.escape, [*result["fields"], *result["views"]]))
        if re.search(rf'"\$?({names})[".]', shown):  # whole names: "a_kept" is in "data_kept"
            yield form.ctx.ops.clear_view()
            time.sleep(SECONDS_TO_RELOAD)
        yield form.ctx.ops.reload_dataset()


# The App's browser lists operators in this order where their descriptions begin alike
OPERATORS = (
    ApplyDrop,
    TrainQueryModel,
    ComputeScores,
    SetDensity,
    CompareDrops,
    DeleteDrop,
    ExportRun,
    OpenPanels,
    Running,
)


def _show_saved_view(ctx, name):
    """Yields the invocations that show a saved view that the App may not know yet."""
    # The App knows a new saved view by name only after it has fetched the dataset again, which
    # takes a moment. Until then the view itself shows the right samples.
    yield ctx.ops.set_view(view=ctx.dataset.load_saved_view(name))
    yield ctx.ops.reload_dataset()
    # By its slug: of a name such as "drop_2_kept" the App makes another one than FiftyOne. The
    # operator is one of the browser, in js/src/saved.js
    yield ctx.trigger(SHOW_SAVED_VIEW, {"name": fou.to_slug(name)})
