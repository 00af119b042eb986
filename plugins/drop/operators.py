"""The operators: parse what the form holds, make one call of the package, show what came of it."""

from __future__ import annotations

import logging
import time

import fiftyone.operators as foo
import fiftyone.operators.types as types

import fiftyone_drop as fod

from . import forms, results, worker

logger = logging.getLogger(__name__)

SECONDS_TO_RELOAD = 1.5


class ApplyDrop(foo.Operator):
    """``fiftyone_drop.apply_drop`` on the target view."""

    @property
    def config(self):
        return foo.OperatorConfig(
            name="apply_drop",
            label=forms.TITLE,
            description="Keep a fraction of the samples, with more of the classes that need them",
            icon="filter_alt",
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            risk_level=types.RiskLevel.MEDIUM,  # writes fields and views, deletes no sample
        )

    def resolve_input(self, ctx):
        return forms.apply_drop_form(ctx)

    def execute(self, ctx):
        """Prune; in the App as a generator, for only that shows a live progress bar there."""
        if ctx.delegated:
            return self._prune(ctx, ctx.set_progress)
        # Only the App's requests carry the operator
        if "operator_uri" not in ctx.request_params:
            return self._prune(ctx)
        return self._stream(ctx)

    def _prune(self, ctx, report=None):
        arguments = forms.parse(ctx)
        samples = ctx.target_view()
        if report is None:
            fod.apply_drop(samples, **arguments)
        else:
            with worker.progress_in_words(report) as progress:
                fod.apply_drop(samples, **arguments, progress=progress)
        return results.to_json(fod.load_drop(ctx.dataset, forms.key_of(arguments)))

    def _stream(self, ctx):
        def work(send):
            return self._prune(ctx, lambda *args: send(_progress(ctx, *args)))

        yield _progress(ctx, 0.0, "Preparing")
        try:
            result = yield from worker.stream(work)
        except fod.DropError as error:
            yield ctx.ops.show_output(*results.show_failure(str(error)))
            return
        except Exception as error:
            logger.exception("apply_drop failed")
            yield ctx.ops.show_output(*results.show_failure(f"{type(error).__name__}: {error}"))
            return
        yield ctx.ops.show_output(*results.show(result))
        yield from _show_view(ctx, result["kept_view"])

    def __call__(self, sample_collection, density, delegate=False, **arguments):
        """Apply DRoP from Python through the operator, for example to delegate it.

        ``sample_collection.apply_drop(density, ...)`` is the direct way.

        Args:
            sample_collection: a :class:`fiftyone.core.dataset.Dataset` or
                :class:`fiftyone.core.view.DatasetView`
            density: the fraction of samples that is kept, in (0, 1]
            delegate (False): whether to queue the run for a delegated service
            **arguments: arguments of :func:`fiftyone_drop.apply_drop` that are JSON serialisable

        Returns:
            a :class:`fiftyone.operators.executor.ExecutionResult`, or an ``asyncio.Task`` in a
            notebook
        """
        return foo.execute_operator(
            self.uri,
            {"view": sample_collection.view()},
            params={"density": density, **arguments},
            request_delegation=delegate,
        )


def _show_view(ctx, name):
    # The App knows no saved view by name before it has fetched the dataset anew, which takes it a
    # moment. The view itself shows the right samples whether or not that moment is enough.
    yield ctx.ops.set_view(view=ctx.dataset.load_saved_view(name))
    yield ctx.ops.reload_dataset()
    time.sleep(SECONDS_TO_RELOAD)
    yield ctx.ops.set_view(name=name)


def _progress(ctx, fraction, label):
    return ctx.ops.set_progress(progress=fraction, label=label, variant="linear")
