"""The options that several commands share. Each has the name of the argument that it becomes.

An option that is left out is not passed on: its default is that of the function. The help repeats
it, and a test compares.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Collection
from typing import Any

import click

from fiftyone_drop.cli.values import (
    as_mapping,
    as_one_or_list,
    class_name,
    named_number,
    named_value,
    number_or_named,
    number_or_text,
)
from fiftyone_drop.errors import DropError

Decorator = Callable[[Any], Any]

FILE = click.Path(exists=True, dir_okay=False)


def together(*options: Decorator) -> Decorator:
    """Several options as one decorator, in this order in the help."""
    return lambda function: functools.reduce(lambda f, o: o(f), reversed(options), function)


def option(name: str, words: str, default: str | None = None, **rules: Any) -> Decorator:
    """An option that is None, or empty, where it is left out; ``default`` is for its help."""
    if rules.get("multiple"):
        words += " May be repeated."
    if default is not None:
        words += f"  [default: {default}]"
    return click.option(name, help=words, **rules)


def flag(name: str, words: str) -> Decorator:
    """A switch that is off by default."""
    return click.option(name, is_flag=True, default=None, help=words)


ONE_EACH = {
    "NAME=NUMBER": named_number,
    "[NAME=]NUMBER": number_or_named,
    "NAME=VALUE": named_value,
}


def by_name(
    name: str, words: str, default: str | None = None, metavar: str = "NAME=NUMBER"
) -> Decorator:
    """Repeated pairs, such as ``NAME=NUMBER``, as one mapping; where that can be, one number."""
    return option(
        name,
        words,
        default,
        multiple=True,
        type=ONE_EACH[metavar],
        metavar=metavar,
        callback=as_mapping,
    )


dataset = click.argument("dataset")
key = option("--key", "The key of the run.", required=True)
progress = click.option(
    "--progress/--no-progress", default=None, help="Whether to show progress bars."
)
overwrite = flag("--overwrite", "Replace what is there under that name.")
label_field = option("--label-field", "The field of the class labels.")
seed = option("--seed", "Decides what is random.", "51", type=int)
model = option(
    "--model",
    "A model of FiftyOne's zoo, or a field with stored logits; several are averaged.",
    multiple=True,
    callback=as_one_or_list,
)
model_file = option("--model-file", "A query model, as QueryModel.save wrote it.", type=FILE)
cluster = option("--cluster", "The address of a Ray cluster that computes, or auto.")

target = together(
    dataset,
    option("--view", "A saved view of the dataset: only its samples."),
    option("--tags", "Only samples with one of these tags.", multiple=True),
)


def check_switches(switches: Collection[str], function: Callable[..., Any]) -> None:
    """Check that no switch of a score has the name of an argument, which it would become.

    Args:
        switches: the names
        function: takes its arguments and the switches by name

    Raises:
        DropError: if one has
    """
    parameters = click.get_current_context().command.params
    names = {str(one.name): one.opts[0] for one in parameters}
    for name, argument in inspect.signature(function).parameters.items():
        if name in switches and argument.kind is not argument.VAR_KEYWORD:
            remedy = f"pass {names[name]}" if name in names else "leave it out here"
            raise DropError(
                "switches",
                f"must be conventions of scores, but {name!r} is an argument of its own; {remedy}",
            )


amount = together(
    option("--density", "The fraction of samples that is KEPT, in (0, 1].", type=float),
    option("--size", "Instead, the number of samples to keep.", type=int),
    option("--max-bytes", "Instead, the bytes that the kept files may take.", type=int),
)

drop = together(
    amount,
    label_field,
    option("--eval-key", "The evaluation run to take recalls from."),
    by_name("--recalls", "Recalls, such as cat=0.71, for each class."),
    option("--validation-view", "The saved view of held-out samples to measure recall on."),
    option("--validation-tags", "The tags of held-out samples.", multiple=True),
    option("--pred-field", "The predictions on the held-out samples."),
    model,
    model_file,
    option("--query", "The query model: closed-form or trained."),
    option("--embeddings", "The field of vectors that the closed form is fitted on."),
    option("--brain-key", "The similarity index whose embeddings it is fitted on."),
    option("--folds", "Query models that cross-validation trains.", type=int),
    option("--holdout", "A fraction to measure recall on, held out.", type=float),
    option("--rule", "How class weights follow from sizes and recalls.", "drop"),
    option("--select", "How samples are ordered in a class: random, or a score field.", "random"),
    option("--keep", "With a score field, the end that is kept first.", "hardest"),
    option("--order-by", "What random order hashes: id, or a string field.", "id"),
    option("--group-by", "Quotas per class and value of this field.", multiple=True),
    option(
        "--smoothing",
        "Of recalls: shrinkage, or a number.",
        "shrinkage",
        type=number_or_text,
        metavar="TEXT",
    ),
    by_name("--min-per-class", "Keep at least: 20, or cat=20.", "1", "[NAME=]NUMBER"),
    by_name("--max-per-class", "Keep at most: 500, or cat=500.", metavar="[NAME=]NUMBER"),
    option("--must-keep", "The tag or boolean field of samples that are kept."),
    option("--must-keep-view", "The saved view of samples that are kept."),
    option(
        "--protect",
        "A class of which all is kept.",
        multiple=True,
        type=class_name,
        metavar="CLASS",
    ),
    by_name("--quotas", "What is kept of a class: cat=100 samples, or a fraction cat=0.5."),
    by_name("--weights", "The weight of each class, such as cat=2, instead of a rule."),
    by_name("--drop-below", "A field and the number below which samples leave, as aum=0."),
    by_name("--drop-above", "The same, above a number."),
    option("--missing-recall", "For classes without a held-out sample.", type=float),
    flag("--skip-unlabeled", "Leave samples without a label out of the run."),
    flag("--allow-empty-classes", "A class may lose all its samples."),
    seed,
    cluster,
    progress,
)
