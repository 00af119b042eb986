"""The commands. Each calls the function that its help names, and prints what comes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

import fiftyone_drop as fod
from fiftyone_drop.cli import options
from fiftyone_drop.cli.collections import drop_arguments, given, load_dataset, model_of, view_of
from fiftyone_drop.cli.command import Answer, DropCommand
from fiftyone_drop.cli.options import option
from fiftyone_drop.exporting import DATASET_TYPES, DIRECTORY_TREE, export


@click.group(
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Answers go to stdout, all else to stderr. Exit codes: 0; 1, an error; 2, wrong usage.",
)
@click.version_option(fod.__version__, package_name="fiftyone-drop")
def main() -> None:
    """DRoP: prune a labelled image dataset of FiftyOne so that every class is treated well."""


def _command(name: str, example: str, *decorators: options.Decorator) -> Callable[..., Any]:
    """A command of ``main``; its options stand in the order of the decorators."""

    def decorate(function: Callable[..., Answer]) -> Any:
        function = options.together(*decorators)(function)
        return main.command(name, cls=DropCommand, example=f"fiftyone-drop {name} {example}")(
            function
        )

    return decorate


@_command("plan", "my-images --density 0.5 --eval-key val_eval", options.target, options.drop)
def plan(dataset: str, view: str | None, tags: tuple[str, ...], **chosen: Any) -> Answer:
    """Decide which samples a density would keep, and write nothing (plan_drop)."""
    samples = load_dataset(dataset)
    arguments = drop_arguments(samples, chosen)
    return Answer.of(fod.plan_drop(view_of(samples, view, tags), **arguments))


@_command(
    "apply",
    "my-images --tags train --density 0.5 --validation-tags val --pred-field predictions "
    "--key half",
    options.target,
    option("--key", "The key of the run.", "drop"),
    options.drop,
    options.overwrite,
)
def apply(dataset: str, view: str | None, tags: tuple[str, ...], **chosen: Any) -> Answer:
    """Prune a dataset: write a run with its fields and saved views (apply_drop)."""
    samples = load_dataset(dataset)
    arguments = drop_arguments(samples, chosen)
    kept = fod.apply_drop(view_of(samples, view, tags), **arguments)
    run = fod.load_drop(samples, arguments.get("key", "drop"))
    words = f"{len(kept):,} samples are kept, in the saved view '{run.config.kept_view}'"
    return Answer(f"{words}\n{run.table}", run.to_dict())


@_command("list", "my-images", options.dataset)
def list_(dataset: str) -> Answer:
    """List the keys of the runs of a dataset (list_drops)."""
    keys = fod.list_drops(load_dataset(dataset))
    return Answer("\n".join(keys), keys)


@_command("show", "my-images --key drop", options.dataset, options.key)
def show(dataset: str, key: str) -> Answer:
    """Show a run as it stands: its class table and its warnings (load_drop)."""
    return Answer.of(fod.load_drop(load_dataset(dataset), key))


@_command("move", "my-images --key drop --size 100", options.dataset, options.key, options.amount)
def move(dataset: str, key: str, **amount: Any) -> Answer:
    """Move a run to another density; its saved views follow (set_density)."""
    samples = load_dataset(dataset)
    fod.set_density(samples, key, **given(amount))
    return Answer.of(fod.load_drop(samples, key))


@_command("verify", "my-images --key drop", options.dataset, options.key)
def verify(dataset: str, key: str) -> Answer:
    """Tell which samples have changed since a run was decided (verify_drop)."""
    return Answer.of(fod.verify_drop(load_dataset(dataset), key))


@_command(
    "delete",
    "my-images --key drop --yes",
    options.dataset,
    options.key,
    click.option("--yes", is_flag=True, help="Do not ask."),
)
def delete(dataset: str, key: str, yes: bool) -> Answer:
    """Delete a run, its fields and its saved views; no sample is deleted (delete_drop)."""
    samples = load_dataset(dataset)
    if not yes:
        click.confirm(f"Delete the drop run '{key}' of '{dataset}'?", abort=True, err=True)
    fod.delete_drop(samples, key)
    return Answer(f"The drop run '{key}' is deleted", {"key": key})


# Those that a model gives. The registry, which a test compares, is loaded with NumPy
SCORES = (
    *("el2n", "loss", "entropy", "margin", "least_confidence", "grand_last_layer", "grand"),
    *("class_mean_distance", "k_center", "herding", "zcore", "random"),
)


@_command(
    "scores",
    "my-images --scores el2n --scores entropy --model predictions",
    options.target,
    options.label_field,
    option("--scores", f"A score: {', '.join(SCORES)}.", "el2n", multiple=True),
    options.model,
    options.model_file,
    option("--classes", "The names of the model's outputs, in their order.", multiple=True),
    option("--checkpoint", "Weights for a torchvision architecture.", type=options.FILE),
    options.flag("--spread", "Write the standard deviation over several models too."),
    option("--prefix", "The fields are named prefix + score."),
    option("--folds", "Query models that cross-validation trains.", "5", type=int),
    option("--models", "Query models whose scores are averaged.", "1", type=int),
    options.seed,
    option("--on-error", "For images that cannot be read: skip or raise.", "skip"),
    option("--batch-size", "Images at once.", type=int),
    option("--workers", "Threads that read images.", type=int),
    option("--device", "A PyTorch device."),
    options.cluster,
    options.flag("--deterministic", "Slower algorithms of CUDA that repeat bit for bit."),
    option("--checkpoint-dir", "Where an interrupted call leaves its checkpoint."),
    options.by_name(
        "--switches", "A convention of a score, such as picks=1000.", metavar="NAME=VALUE"
    ),
    options.overwrite,
    options.progress,
)
def scores(dataset: str, view: str | None, tags: tuple[str, ...], **chosen: Any) -> Answer:
    """Compute difficulty scores, and write each as a field (compute_scores)."""
    samples = view_of(load_dataset(dataset), view, tags)
    switches = chosen.pop("switches") or {}
    options.check_switches(switches, fod.compute_scores)
    chosen["model"] = model_of(chosen["model"], chosen.pop("model_file"))
    fields = fod.compute_scores(samples, **given(chosen), **switches)
    return Answer("\n".join(fields), {"fields": fields})


@_command(
    "export",
    "my-images kept-images --key drop",
    options.dataset,
    click.argument("export_dir"),
    options.key,
    option("--density", "Of the kept samples; by default the run's own.", type=float),
    option(
        "--dataset-type",
        "The format, a class of fiftyone.types.",
        DIRECTORY_TREE,
        type=click.Choice(DATASET_TYPES),
    ),
    option("--label-field", "The field of the classes; by default the run's own."),
)
def export_(dataset: str, export_dir: str, key: str, density: float | None, **more: Any) -> Answer:
    """Write the kept samples to a new folder, by FiftyOne's exporters (drop_view)."""
    samples = load_dataset(dataset)
    kept = fod.drop_view(samples, key, density)
    label_field = more["label_field"] or fod.load_drop(samples, key).config.label_field
    size = export(kept, export_dir, more["dataset_type"] or DIRECTORY_TREE, label_field)
    return Answer(
        f"{size:,} samples are in {export_dir}",
        {"key": key, "export_dir": export_dir, "samples": size},
    )


@_command("install-plugin", "--overwrite", options.overwrite)
def install_plugin(overwrite: bool | None) -> Answer:
    """Give the FiftyOne App the operators and the panel that the package carries."""
    from fiftyone_drop.cli import plugin

    folder = plugin.install(bool(overwrite))
    words = f"The plugin is in {folder}, {plugin.removal(folder)}"
    return Answer(words, {"name": plugin.NAME, "folder": str(folder)})
