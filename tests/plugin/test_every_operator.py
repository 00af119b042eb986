"""What holds for each operator of fiftyone.yml."""

import asyncio
import inspect
import json
import re
from pathlib import Path

import fiftyone as fo
import fiftyone.operators as foo
import pytest
import yaml
from fiftyone.operators.executor import ExecutionResult, resolve_type
from fiftyone.operators.registry import OperatorRegistry
from reading import problems

import fiftyone_drop as fod

PLUGIN = "@fiftyone-drop/drop"
DEFINITION = Path(__file__).resolve().parents[2] / "fiftyone.yml"
UNLISTED = ["draft_work"]  # the panel starts it, and it has no form
DEFINED = yaml.safe_load(DEFINITION.read_text())["operators"]
OPERATORS = [name for name in DEFINED if name not in UNLISTED]
ON_RUNS = ["set_density", "compare_drops", "delete_drop"]
OF_THE_APP = ["export_run", "open_panels", "running"]  # that no function of the package stands for
OF_THE_PACKAGE = [name for name in OPERATORS if name not in OF_THE_APP]
ON_SAMPLES = [name for name in OF_THE_PACKAGE if name not in ON_RUNS]


def labels_after_typing(query):
    """The operator browser of the App, where nobody has used any operator lately.

    An operator matches if the query is in its label, its URI or its description. The first letter
    of the description decides the order, or of the label where there is no description.
    """
    listed = [operator.config for operator in foo.list_operators() if not operator.config.unlisted]
    uris = {operator.config.label: operator.uri for operator in foo.list_operators()}
    matches = [
        config
        for config in listed
        if any(
            query in (text or "").lower()
            for text in (config.label, config.description, uris[config.label])
        )
    ]
    matches.sort(key=lambda config: ord((config.description or config.label)[0]))
    return [config.label for config in matches]


def test_typing_drop_lists_all_of_ours_before_anything_else():
    matches = labels_after_typing("drop")
    ours = [foo.get_operator(f"{PLUGIN}/{name}").config.label for name in OPERATORS]
    assert "Drop index" in matches
    assert sorted(matches[: len(ours)]) == sorted(ours)
    assert matches[0] == "DRoP: prune to a density"


def test_the_docs_list_every_public_name_that_the_app_lacks():
    """A name is in the plugin's code, is a class that a listed function returns, or is listed."""
    section = (DEFINITION.parent / "docs" / "app.md").read_text().split("## In Python alone")[1]
    listed = set(re.findall(r"`(\w+)`", section))
    plugin = DEFINITION.parent / "plugins" / "drop"
    code = "".join(path.read_text() for path in plugin.rglob("*.py"))
    used = set(re.findall(r"fod\.(\w+)", code)) | {name.split(".")[-1] for name in OPERATORS}
    functions = {name for name in fod.__all__ if inspect.isfunction(getattr(fod, name))}
    assert functions - used <= listed
    for operator in OF_THE_PACKAGE:
        parameters = set(inspect.signature(getattr(fod, operator)).parameters)
        known = set(re.findall(r"\w+", code))
        given = {"samples", "dataset", "progress", "switches"}
        assert parameters - known - given <= listed, operator


@pytest.mark.parametrize("name", OPERATORS)
def test_the_label_says_drop_and_runs_at_once_by_default(name):
    config = foo.get_operator(f"{PLUGIN}/{name}").config
    assert config.label.startswith("DRoP: ")
    assert config.execute_as_generator
    assert config.dynamic
    assert config.allow_immediate_execution
    assert config.allow_delegated_execution == (name not in ("open_panels", "running"))
    assert not config.default_choice_to_delegated


@pytest.mark.parametrize("name", OPERATORS)
def test_without_a_dataset_the_form_says_so(name):
    request = {"dataset_name": None, "params": {}, "target": "inputs"}
    drawn = asyncio.run(resolve_type(OperatorRegistry(), f"{PLUGIN}/{name}", request))
    assert not isinstance(drawn, ExecutionResult), drawn.error
    assert problems(drawn.type.properties) == {"problem": "Open a dataset first"}


@pytest.mark.parametrize("name", ON_SAMPLES)
def test_an_empty_dataset_is_named_as_the_problem(name, form, make_dataset):
    properties = form(make_dataset(rows=[]), operator=name)
    assert "the target view is empty" in problems(properties)["problem"]


@pytest.mark.parametrize("name", ON_SAMPLES)
def test_a_dataset_without_labels_is_told_what_is_missing(name, form, digits):
    dataset = fo.Dataset()
    try:
        dataset.add_sample(fo.Sample(filepath=str(digits[0][0])))
        properties = form(dataset, operator=name)
        assert "this dataset has no class labels" in problems(properties)["label_field"]
    finally:
        dataset.delete()


@pytest.mark.parametrize("name", ON_RUNS)
def test_without_a_run_the_form_names_the_operator_that_makes_one(name, form, dataset):
    properties = form(dataset, operator=name)
    assert "'DRoP: prune to a density'" in problems(properties)["problem"]
    assert set(properties) == {"problem"}


@pytest.mark.parametrize("name", OPERATORS)
def test_the_form_can_be_drawn_where_there_is_a_run(name, form, dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls)
    assert form(dataset, operator=name)
    assert form(dataset[:100], {"more": True}, operator=name)


@pytest.mark.parametrize("name", ON_SAMPLES)
def test_the_defaults_of_a_form_are_those_of_the_package(name, form, dataset, module_of_plugin):
    properties = form(dataset, {"more": True}, operator=name)
    operator = foo.get_operator(f"{PLUGIN}/{name}")
    parameters = operator.form(foo.ExecutionContext()).parameters
    common = set(properties) & set(parameters) - {"density", "label_field"}
    assert len(common) > 5
    for parameter in common:
        default = parameters[parameter].default
        default = list(default) if isinstance(default, tuple) else default
        assert properties[parameter].default == default, parameter


def test_operators_on_runs_take_the_arguments_of_the_package_and_return_json(dataset, recalls):
    dataset.apply_drop(0.5, recalls=recalls, key="first")
    dataset.apply_drop(0.3, rule="proportional", key="second")
    params = {"key": "first", "density": 0.4, "other": "second"}
    for name in ON_RUNS:
        operator = foo.get_operator(f"{PLUGIN}/{name}")
        names = operator.form(foo.ExecutionContext()).parameters
        with pytest.raises(Exception, match="key: must be given"):
            operator(dataset)
        named = {parameter: params[parameter] for parameter in names if parameter in params}
        result = operator(dataset, **named)
        assert json.dumps(result.result, allow_nan=False)
