"""Operators that no function of the package stands for: taking away, looking around, following."""

from __future__ import annotations

import time

import fiftyone.operators.types as types

import fiftyone_drop as fod
from fiftyone_drop import checks, exporting
from fiftyone_drop.python_call import python_call

from . import door, exports_folder, following, results, workspace
from .forms.exporting import ExportRunForm
from .forms.panels import OpenPanelsForm
from .forms.running import RunningForm
from .operator_base import DropOperator, FormOperator, operator_config

SECONDS_TO_OPEN = 1.5
LOOKS_AT_A_PANEL = 2


class ExportRun(DropOperator):
    """Exports, tags and saves what a run keeps, and shows the Python call that made the run."""

    config = operator_config(
        name="export_run",
        label="DRoP: take away what a run keeps",
        description="Copy the kept images to a folder, save the run as a manifest, tag its samples",
        icon="download",
    )

    def form(self, ctx):
        return ExportRunForm(ctx)

    def run(self, form, progress):
        dataset, key = form.ctx.dataset, form.entries.get("key")
        run = fod.load_drop(dataset, key)
        kept, (folder, manifest) = fod.drop_view(dataset, key), form.paths()
        with exports_folder.saying_the_name("export_dir", form.entries.get("export_dir")):
            if manifest is not None:
                manifest.parent.mkdir(parents=True, exist_ok=True)
                fod.save_manifest(dataset, key, manifest)
            if folder is not None:
                try:
                    exporting.export(
                        kept, str(folder), form.format, run.config.label_field, progress
                    )
                except BaseException:
                    if manifest is not None:
                        manifest.unlink(missing_ok=True)
                    raise
        if folder is not None:
            form.written.append(f"the images in the folder {form.entries.get('export_dir')}")
        if manifest is not None:
            form.written.append(f"the manifest {manifest.name}")
        if tag := form.entries.get("tag"):
            kept.tag_samples(tag)
        return results.of_export(form.entries, len(kept), folder, manifest) | {
            "call": python_call(dataset, key)
        }

    def show(self, result):
        return results.show_export(result)


class OpenPanels(FormOperator):
    """Opens FiftyOne's own panels on a run, and saves them as a workspace."""

    config = operator_config(
        name="open_panels",
        label="DRoP: open FiftyOne's panels on a run",
        description="Before you decide: embeddings by what is kept, model evaluation, histograms",
        icon="dashboard",
        risk_level=types.RiskLevel.LOW,
        allow_delegated_execution=False,
    )

    def form(self, ctx):
        return OpenPanelsForm(ctx)

    def execute(self, ctx):
        form = self.form(ctx)
        try:
            form.accept_values()
            run = fod.load_drop(ctx.dataset, door.param(ctx, "key"))
            brain_key, eval_key = form.chosen("brain_key"), form.chosen("eval_key")
            for name, key, known in (
                ("brain_key", brain_key, workspace.visualizations(ctx.dataset)),
                ("eval_key", eval_key, ctx.dataset.list_evaluations()),
            ):
                if key is not None:
                    checks.choice(name, key, known)
            space, embeddings = workspace.build(ctx.dataset, run, eval_key, brain_key)
            if name := form.entries.get("workspace"):
                workspace.check_name(ctx.dataset, name)
                ctx.dataset.save_workspace(
                    name, space, description=workspace.DESCRIPTION, overwrite=True
                )
        except fod.DropError as error:
            yield ctx.ops.show_output(*results.show_failure("No panel was opened", str(error)))
            return
        yield ctx.ops.set_spaces(spaces=space)
        if embeddings is not None:  # it forgets what it shows when it opens, and takes it then
            for _ in range(LOOKS_AT_A_PANEL):  # on a busy machine it opens late
                time.sleep(SECONDS_TO_OPEN)
                yield workspace.show_embeddings(ctx, embeddings, brain_key, run)


class Running(FormOperator):
    """Follows an operator that runs in this server, shows its result, or cancels it."""

    config = operator_config(
        name="running",
        label="DRoP: see what is running",
        description="At work: how far each operator of DRoP is, its result, and a way to stop it",
        icon="pending",
        risk_level=types.RiskLevel.LOW,
        allow_delegated_execution=False,
    )

    def form(self, ctx):
        return RunningForm(ctx)

    def execute(self, ctx):
        form = self.form(ctx)
        try:
            form.accept_values()
            yield from following.ACTIONS[form.action](ctx, form.job)
        except fod.DropError as error:
            yield ctx.ops.show_output(*results.show_failure("Nothing to see", str(error)))
