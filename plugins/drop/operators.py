"""The operators: parse what the form holds, make one call of the package, show what came of it."""

from __future__ import annotations

import json
import logging
import re
import time

import fiftyone.operators as foo
import fiftyone.operators.types as types

import fiftyone_drop as fod
from fiftyone_drop.runs import find_configs

from . import results, worker
from .forms.apply_drop import ApplyDropForm
from .forms.runs import CompareDropsForm, DeleteDropForm, SetDensityForm

logger = logging.getLogger(__name__)

SECONDS_TO_RELOAD = 1.5


def _config(risk_level=types.RiskLevel.MEDIUM, **about):
    """The ``config`` of an operator: by default it writes fields and views, and deletes no sample.

    The App's operator browser sorts by the first letter of the description: what starts with a
    letter before D comes before FiftyOne's own "Drop index".
    """
    return property(
        lambda operator: foo.OperatorConfig(
            **about,
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            risk_level=risk_level,
        )
    )


class DropOperator(foo.Operator):
    """One call of the package, from a script, in the App, or delegated.

    Attributes:
        nothing: what an error means, in words
    """

    nothing = "Nothing was written"

    def form(self, ctx):
        """The form, with what is filled in."""
        raise NotImplementedError

    def run(self, form, progress):
        """Make the call; what came of it, as JSON."""
        raise NotImplementedError

    def show(self, result):
        """What :meth:`run` returned as the App shows it: a schema, and data for it."""
        raise NotImplementedError

    def afterwards(self, form, result):
        """What the App shall do then: invocations to be yielded."""
        yield form.ctx.ops.reload_dataset()

    def resolve_input(self, ctx):
        """The form, when the App draws it.

        FiftyOne asks again before it executes, from a script too. The package checks everything
        then, as things stand, and says more than a form that is invalid.
        """
        if ctx.request_params.get("target") != "inputs":
            return None
        return self.form(ctx).draw(self.config.label)

    def execute(self, ctx):
        """Run; in the App as a generator, for only that shows a live progress bar there."""
        form = self.form(ctx)
        if ctx.delegated:
            return self._report(form, ctx.set_progress)
        # Only the App's requests carry the operator
        if "operator_uri" not in ctx.request_params:
            return self.run(form, None)
        return self._stream(form, ctx)

    def _report(self, form, report):
        with worker.progress_in_words(report) as progress:
            return self.run(form, progress)

    def _stream(self, form, ctx):
        def work(send):
            return self._report(form, lambda *args: send(_progress(ctx, *args)))

        yield _progress(ctx, 0.0, "Preparing")
        try:
            result = yield from worker.stream(work)
        except fod.DropError as error:
            yield ctx.ops.show_output(*results.show_failure(self.nothing, str(error)))
            return
        except Exception as error:
            logger.exception("%s failed", self.name)
            words = f"{type(error).__name__}: {error}"
            yield ctx.ops.show_output(*results.show_failure(self.nothing, words))
            return
        yield ctx.ops.show_output(*self.show(result))
        yield from self.afterwards(form, result)

    def __call__(self, sample_collection, *args, delegate=False, **arguments):
        """Run the operator from Python, for example to delegate it.

        The function of that name in ``fiftyone_drop`` is the direct way.

        Args:
            sample_collection: a :class:`fiftyone.core.dataset.Dataset` or
                :class:`fiftyone.core.view.DatasetView`
            *args: arguments of the function that are JSON serialisable, in their order
            delegate (False): whether to queue the operation for a delegated service
            **arguments: the same, by name

        Returns:
            a :class:`fiftyone.operators.executor.ExecutionResult`, or an ``asyncio.Task`` in a
            notebook
        """
        names = self.form(foo.ExecutionContext()).parameters
        params = dict(zip(names, args, strict=False)) | arguments
        return foo.execute_operator(
            self.uri,
            {"view": sample_collection.view()},
            params=params,
            request_delegation=delegate,
        )


class ApplyDrop(DropOperator):
    """``fiftyone_drop.apply_drop`` on the target view."""

    config = _config(
        name="apply_drop",
        label="DRoP: prune to a density",
        description="A fraction of the samples is kept, more of the classes that need them",
        icon="filter_alt",
    )
    nothing = "Nothing was pruned"

    def form(self, ctx):
        return ApplyDropForm(ctx)

    def run(self, form, progress):
        arguments = form.arguments()
        fod.apply_drop(form.ctx.target_view(), **arguments, progress=progress)
        return results.of_run(fod.load_drop(form.ctx.dataset, form.value("key")))

    def show(self, result):
        return results.show_run(result, "Pruned")

    def afterwards(self, form, result):
        yield from _show_saved_view(form.ctx, result["kept_view"])


class TrainQueryModel(DropOperator):
    """``fiftyone_drop.train_query_model`` on the target view."""

    config = _config(
        name="train_query_model",
        label="DRoP: train a query model",
        description="A short training that measures the recall of each class",
        icon="model_training",
    )

    def form(self, ctx):
        from .forms.training import TrainQueryModelForm  # imports PyTorch

        return TrainQueryModelForm(ctx)

    def run(self, form, progress):
        samples = form.ctx.target_view()
        model = fod.train_query_model(samples, **form.arguments(), progress=progress)
        fields = fod.import_scores(
            samples, model, prefix=form.prefix, overwrite=form.value("overwrite")
        )
        if form.save_to is not None:
            model.save(form.save_to)
        return results.of_model(model, form.value("key"), fields, form.save_to)

    def show(self, result):
        return results.show_model(result)


class ComputeScores(DropOperator):
    """``fiftyone_drop.compute_scores`` on the target view."""

    config = _config(
        name="compute_scores",
        label="DRoP: compute difficulty scores",
        description="Compute how difficult each sample is, as fields to sort and prune by",
        icon="leaderboard",
    )

    def form(self, ctx):
        from .forms.scores import ComputeScoresForm  # imports PyTorch

        return ComputeScoresForm(ctx)

    def run(self, form, progress):
        samples = form.ctx.target_view()
        fields = fod.compute_scores(samples, **form.arguments(), progress=progress)
        return results.of_scores(samples, fields)

    def show(self, result):
        return results.show_scores(result)


class SetDensity(DropOperator):
    """``fiftyone_drop.set_density``."""

    config = _config(
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
        return results.of_run(fod.load_drop(form.ctx.dataset, arguments["key"]))

    def show(self, result):
        return results.show_run(result, "Density changed")

    def afterwards(self, form, result):
        yield from _show_saved_view(form.ctx, result["kept_view"])


class CompareDrops(DropOperator):
    """``fiftyone_drop.compare_drops``."""

    config = _config(
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

    config = _config(
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
        config = find_configs(form.ctx.dataset).get(arguments["key"])
        fod.delete_drop(form.ctx.dataset, **arguments)
        return results.of_deleted(arguments["key"], config)

    def show(self, result):
        return results.show_deleted(result)

    def afterwards(self, form, result):
        # A view that looks at fields that are gone would be an empty grid, and FiftyOne fails on a
        # page that is still at a saved view that is gone
        request = form.ctx.request_params
        shown = json.dumps([request.get("view"), request.get("view_name")], default=str)
        names = "|".join(map(re.escape, [*result["fields"], *result["views"]]))
        if re.search(rf'"\$?({names})[".]', shown):  # whole names: "a_kept" is in "data_kept"
            yield form.ctx.ops.clear_view()
            time.sleep(SECONDS_TO_RELOAD)
        yield form.ctx.ops.reload_dataset()


# In the order in which the App's browser lists those whose descriptions begin alike
OPERATORS = (ApplyDrop, TrainQueryModel, ComputeScores, SetDensity, CompareDrops, DeleteDrop)


def _show_saved_view(ctx, name):
    # The App knows no saved view by name before it has fetched the dataset anew, which takes it a
    # moment. The view itself shows the right samples whether or not that moment is enough.
    yield ctx.ops.set_view(view=ctx.dataset.load_saved_view(name))
    yield ctx.ops.reload_dataset()
    time.sleep(SECONDS_TO_RELOAD)
    yield ctx.ops.set_view(name=name)


def _progress(ctx, fraction, label):
    return ctx.ops.set_progress(progress=fraction, label=label, variant="linear")
