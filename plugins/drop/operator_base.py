"""The base of the operators: one call of the package, from a script, in the App, or delegated."""

from __future__ import annotations

import logging

import fiftyone.operators as foo
import fiftyone.operators.types as types

import fiftyone_drop as fod

from . import following, jobs, results, worker

logger = logging.getLogger(__name__)


def operator_config(risk_level=types.RiskLevel.MEDIUM, **about):
    """The ``config`` of an operator: by default it writes fields and views, and deletes no sample.

    The App's operator browser sorts by the first letter of the description. Descriptions that start
    with a letter before D come before FiftyOne's own "Drop index".
    """
    return property(
        lambda operator: foo.OperatorConfig(
            **{"allow_delegated_execution": True} | about,
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            risk_level=risk_level,
        )
    )


class FormOperator(foo.Operator):
    """An operator that reads a form."""

    def form(self, ctx):
        """The form, with the values that are filled in."""
        raise NotImplementedError

    def resolve_input(self, ctx):
        """The form, when the App draws it.

        FiftyOne asks again before it executes an operator, even from a script. Then no form is
        needed: the package checks everything itself, and its error says more than an invalid form.
        """
        if ctx.request_params.get("target") != "inputs":
            return None
        return self.form(ctx).draw(self.config.label)


class DropOperator(FormOperator):
    """An operator that reads a form, makes one call of the package, and shows its result.

    Attributes:
        nothing: the meaning of an error, in words
        kept_by_a_cancelled_one: what is not lost, in words
    """

    nothing = "Nothing was written"
    kept_by_a_cancelled_one = ""

    def run(self, form, progress):
        """Make the call; returns its result, as JSON."""
        raise NotImplementedError

    def show(self, result):
        """The result of :meth:`run` for the App: a schema, and data for it."""
        raise NotImplementedError

    def afterwards(self, form, result):
        """Yields the invocations that bring the App up to date."""
        yield form.ctx.ops.reload_dataset()

    def execute(self, ctx):
        """Run; in the App as a generator, since only generators show a live progress bar there."""
        form = self.form(ctx)
        if ctx.delegated:
            return self._report(form, ctx.set_progress)
        if not form.from_app:
            form.accept()
            return self.run(form, None)
        return self._stream(form, ctx)

    def _report(self, form, report):
        form.accept()
        with worker.progress_in_words(report) as progress:
            return self.run(form, progress)

    def _stream(self, form, ctx):
        job = jobs.start(form.dataset_name, self.config.label)

        def work(tell):
            def report(*args):
                job.report(*args, can_stop=not form.written)
                tell()

            result, shown = None, results.show_failure(self.nothing, "It was cut off")
            try:
                done = self._report(form, report)
                result, shown = done, self.show(done)
            except jobs.StoppedError:
                shown = results.show_stopped(self.nothing, self.kept_by_a_cancelled_one)
            except Exception as error:
                if not isinstance(error, fod.DropError):
                    logger.exception("%s failed", self.name)
                done = f"Not finished. Written: {', '.join(form.written)}"
                title = done if form.written else self.nothing
                shown = results.show_failure(title, results.words_of(error))
            finally:  # even where the thread is told to end, for nobody follows it for ever
                job.end(shown, result)

        at_work = worker.stream(work)
        try:
            yield following.progress(ctx, job)
            for told in at_work:
                if job.in_background:  # the App lets nobody do anything else until this ends
                    return
                if told or following.has_buttons(job):
                    yield following.progress(ctx, job)
        except GeneratorExit:  # the page is closed
            job.in_background = True
            raise
        yield ctx.ops.show_output(*job.shown)
        if job.result is not None:
            yield from self.afterwards(form, job.result)

    def __call__(self, sample_collection, *args, delegate=False, **arguments):
        """Run the operator from Python, for example to delegate it.

        To run at once, call the function of the same name in ``fiftyone_drop`` instead.

        Args:
            sample_collection: a :class:`fiftyone.core.dataset.Dataset` or
                :class:`fiftyone.core.view.DatasetView`
            *args: arguments of the function that are JSON serialisable, in their order
            delegate (False): whether to queue the operation for a delegated service
            **arguments: the same, by name

        Returns:
            a :class:`fiftyone.operators.executor.ExecutionResult`, or an ``asyncio.Task`` in a
            notebook

        Raises:
            fiftyone_drop.DropError: if an argument is passed twice
            TypeError: if there are more arguments than the function has
        """
        names = list(self.form(foo.ExecutionContext()).parameters)
        if len(args) > len(names):
            raise TypeError(f"{self.name} takes {len(names)} arguments, but got {len(args)}")
        params = dict(zip(names, args, strict=False))
        for name in params.keys() & arguments.keys():
            raise fod.DropError(name, "is passed twice, by its place and by its name; pass it once")
        params |= arguments
        return foo.execute_operator(
            self.uri,
            {"view": sample_collection.view()},
            params=params,
            request_delegation=delegate,
        )
