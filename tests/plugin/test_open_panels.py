"""FiftyOne's own panels on a run: what the App is told to open, and the workspace that stays."""

import fiftyone as fo
import fiftyone.brain as fob
import numpy as np
import pytest
from reading import choices, names, output, problems, texts


@pytest.fixture
def pruned(dataset, predict):
    predict(dataset[:100], eval_key="val_eval")
    dataset[100:].apply_drop(0.3, rule="proportional")
    return dataset


@pytest.fixture
def seen(pruned):
    """With a visualization of embeddings."""
    points = np.random.default_rng(51).normal(size=(len(pruned), 2))
    fob.compute_visualization(pruned, method="manual", points=points, brain_key="viz")
    return pruned


@pytest.fixture(autouse=True)
def at_once(module_of_plugin, monkeypatch):
    monkeypatch.setattr(module_of_plugin("operators_of_the_app"), "SECONDS_TO_OPEN", 0)


def test_the_form_offers_what_there_is(form, pruned):
    drawn = form(pruned, operator="open_panels")
    assert problems(drawn) == {}
    assert "brain_key" not in drawn
    assert "embeddings" in drawn
    assert choices(drawn["eval_key"]) == ["val_eval", "none"]
    assert drawn["workspace"].default == "DRoP"


def test_embeddings_are_coloured_by_what_is_kept(form, run_in_app, seen):
    assert form(seen, operator="open_panels")["brain_key"].default == "viz"
    params = {"key": "drop", "brain_key": "viz", "eval_key": "val_eval", "workspace": "DRoP"}
    invocations = run_in_app(seen, params, operator="open_panels")
    assert names(invocations) == ["set_spaces", *["patch_panel_data"] * 2]
    (_, opened), *_, (_, shows) = invocations
    grid, right = opened["spaces"]["children"]
    panels = {panel["type"]: panel for panel in right["children"]}
    assert grid["children"][0]["type"] == "Samples"
    assert set(panels) == {
        *("drop_panel", "Histograms", "Embeddings", "model_evaluation_panel_builtin"),
    }
    assert panels["Histograms"]["state"] == {"path": "drop_kept"}
    assert panels["model_evaluation_panel_builtin"]["state"]["state"]["view"]["key"] == "val_eval"
    assert shows["data"] == {"openKey": "viz", "colorField": "drop_kept"}
    assert shows["panel_id"] == panels["Embeddings"]["component_id"]
    seen.reload()
    assert seen.list_workspaces() == ["DRoP"]


def test_only_a_workspace_of_ours_is_replaced(form, run_in_app, pruned):
    params = {"key": "drop", "workspace": "DRoP"}
    for _ in range(2):
        assert names(run_in_app(pruned, params, operator="open_panels")) == ["set_spaces"]
        pruned.reload()
    mine = fo.Panel(type="Samples")
    pruned.save_workspace("mine", fo.Space(children=[mine]), description="My own")
    params["workspace"] = "mine"
    assert "choose another" in problems(form(pruned, params, operator="open_panels"))["workspace"]
    schema, _ = output(run_in_app(pruned, params, operator="open_panels"))
    assert "No panel was opened" in texts(schema)
    pruned.reload()
    assert pruned.get_workspace_info("mine")["description"] == "My own"


@pytest.mark.parametrize(
    ("name", "words"),
    [("drop", "a workspace DRoP"), ("DRoP!", "a workspace DRoP"), ("???", "letters or digits")],
)
def test_a_name_that_fiftyone_takes_for_another_or_for_none_is_refused(
    form, run_in_app, pruned, name, words
):
    run_in_app(pruned, {"key": "drop", "workspace": "DRoP"}, operator="open_panels")
    pruned.reload()
    params = {"key": "drop", "workspace": name}
    assert words in problems(form(pruned, params, operator="open_panels"))["workspace"]
    schema, _ = output(run_in_app(pruned, params, operator="open_panels"))
    assert "No panel was opened" in texts(schema)
    pruned.reload()
    assert pruned.list_workspaces() == ["DRoP"]


@pytest.mark.parametrize("forged", [{"brain_key": "no"}, {"eval_key": "no"}, {"key": "no"}])
def test_what_is_not_there_is_refused(run_in_app, pruned, forged):
    schema, _ = output(run_in_app(pruned, {"key": "drop"} | forged, operator="open_panels"))
    assert "No panel was opened" in texts(schema)
    assert next(iter(forged)) in texts(schema) or "'no'" in texts(schema)
